import net, { type AddressInfo, type Socket } from "node:net";

/** A way to a server that a test can cut and mend. */
export interface Proxy {
  url: string;
  cut(): void;
  mend(): void;
  close(): Promise<void>;
}

/** Stands before the server of `target` and passes bytes on while it is not cut. */
export async function startProxy(target: string): Promise<Proxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let whole = true;
  const server = net.createServer((near) => {
    if (!whole) return void near.destroy();
    const far = net.connect(Number(port), hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("error", () => undefined);
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = new URL(target);
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const cut = (): void => {
    whole = false;
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: url.href,
    cut,
    mend: () => void (whole = true),
    async close() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
