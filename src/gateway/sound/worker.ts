import { parentPort } from "node:worker_threads";
import { soundSeconds } from "./measure.ts";

/** The thread in which files are looked into, see index.ts. */
parentPort?.on("message", ({ data, type }: { data: Uint8Array; type: string }) => {
  void soundSeconds(Buffer.from(data.buffer, data.byteOffset, data.byteLength), type)
    .catch(() => undefined)
    .then((seconds) => parentPort?.postMessage({ seconds }));
});
parentPort?.postMessage({ ready: true });
