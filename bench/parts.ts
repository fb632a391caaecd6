import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Order } from "./relayProcess.ts";

/** As the launcher and the image start the api. */
const API_FLAG = "--max-semi-space-size=64";

/** A process of the bench and where it can be reached. */
export interface Part {
  who: ChildProcess;
  at: { url: string; key: string; model: string; difyKey?: string; monitor?: string };
}

/** Servers for the relay: a database of the bench's own, which is migrated, and a Redis. */
export interface RelayPlaces {
  databaseUrl: string;
  redisUrl: string;
}

/** Sends an order to a process and waits for its answer; without an order, for its first word. */
export function ask<T>(who: ChildProcess, order?: Order): Promise<T> {
  return new Promise((resolve, reject) => {
    const died = (code: number | null): void => reject(new Error(`a process of the bench ended with ${code}`));
    who.once("exit", died);
    who.once("message", (answer) => {
      who.off("exit", died);
      resolve(answer as T);
    });
    if (order) who.send(order);
  });
}

/** Starts one role of relayProcess.ts as a process of its own. */
export async function startRole(role: string, args: string[] = [], execArgv: string[] = []): Promise<Part> {
  const file = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "./relayProcess.ts" : "./relayProcess.js", import.meta.url));
  const who = fork(file, [role, ...args], { execArgv });
  return { who, at: await ask(who) };
}

/** Starts upstream, pass-through, relay and load generator. `relayFlags` (`--cpu-prof` and the like) go to the relay. */
export async function startParts(
  places: RelayPlaces,
  relayFlags: string[] = [],
): Promise<Record<"upstream" | "bare" | "relay" | "client", Part>> {
  const upstream = await startRole("upstream");
  return {
    upstream,
    bare: await startRole("passthrough", [upstream.at.url], [API_FLAG]),
    relay: await startRole("relay", [upstream.at.url, places.databaseUrl, places.redisUrl], ["--expose-gc", API_FLAG, ...relayFlags]),
    client: await startRole("client"),
  };
}

/** Ends all of them. */
export function stopParts(parts: Record<string, Part>): void {
  for (const { who } of Object.values(parts)) if (who.connected) who.send({ kind: "stop" });
}
