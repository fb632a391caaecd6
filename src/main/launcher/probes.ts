import http from "node:http";
import net from "node:net";

/** The status of a GET, or 0 when nothing answers in time. Keeps no connection open. */
export function httpStatus(url: string, timeoutMs = 1_000): Promise<number> {
  return new Promise((resolve) => {
    const request = http.get(url, { agent: false, timeout: timeoutMs }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(0));
  });
}

/** What a TCP server says to `send` within `timeoutMs`; "" when it says nothing or cannot be reached. */
export function ask(host: string, port: number, send: string, timeoutMs = 1_000): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port });
    const finish = (answer: string) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => finish(""));
    socket.on("connect", () => socket.write(send));
    socket.once("data", (data) => finish(data.toString("latin1")));
    socket.on("error", () => finish(""));
    socket.on("end", () => finish(""));
  });
}
