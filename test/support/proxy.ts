import net from "node:net";

/** A TCP proxy that can cut its connections and refuse new ones; begins open unless told otherwise. */
export async function interruptible(port: number, host: string, options: { open?: boolean } = {}) {
  const sockets = new Set<net.Socket>();
  let open = options.open ?? true;
  let refused = 0;
  const server = net.createServer((socket) => {
    if (!open) {
      refused += 1;
      socket.destroy();
      return;
    }
    const upstream = net.connect(port, host);
    for (const one of [socket, upstream]) {
      sockets.add(one);
      one.on("error", () => undefined).on("close", () => (sockets.delete(one), socket.destroy(), upstream.destroy()));
    }
    socket.pipe(upstream).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    refused: () => refused,
    cut() {
      open = false;
      for (const socket of sockets) socket.destroy();
    },
    heal: () => void (open = true),
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}
