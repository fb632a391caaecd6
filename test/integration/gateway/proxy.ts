import net, { type AddressInfo, type Socket } from "node:net";

/** A way to a server that a test can cut and mend. */
export interface Proxy {
  url: string;
  cut(): void;
  mend(): void;
  /** Bytes that come from now on are kept, in both directions, until it is mended: a server that hangs. */
  stall(): void;
  close(): Promise<void>;
}

/** Stands before the server of `target` and passes bytes on while it is not cut. */
export async function startProxy(target: string): Promise<Proxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let whole = true;
  let stalled = false;
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
      if (stalled) from.pause();
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
    mend() {
      whole = true;
      stalled = false;
      for (const socket of sockets) socket.resume();
    },
    stall() {
      stalled = true;
      for (const socket of sockets) socket.pause();
    },
    async close() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
