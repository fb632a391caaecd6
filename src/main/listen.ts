import { once } from "node:events";
import type { Server } from "node:http";
import type { Config } from "../config/index.ts";

/** Listens on HOST and PORT; when that cannot be done, says which variables are meant and ends the process. */
export async function listen(server: Server, { HOST, PORT }: Pick<Config, "HOST" | "PORT">, portName = "PORT"): Promise<void> {
  server.listen(PORT, HOST);
  try {
    await once(server, "listening");
  } catch (error) {
    console.error(`HOST, ${portName}: cannot listen on ${HOST}:${PORT}: ${(error as Error).message}`);
    process.exit(78);
  }
}
