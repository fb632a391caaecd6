import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** A file that takes longer is not read. */
const LIMIT_MS = 2_000;

/** Starts the thread; resolves when it can take files. Nothing waits for it when the process ends. */
async function startWorker(): Promise<Worker> {
  const worker = new Worker(new URL("./worker.js", import.meta.url));
  worker.unref();
  await once(worker, "message");
  return worker;
}

let starting: Promise<Worker> | undefined;
let last: Promise<unknown> = Promise.resolve();

async function measure(data: Buffer, type: string): Promise<number | undefined> {
  const worker = await (starting ??= startWorker());
  try {
    worker.postMessage({ data, type });
    const [{ seconds }] = (await once(worker, "message", { signal: AbortSignal.timeout(LIMIT_MS) })) as [{ seconds: number | undefined }];
    return seconds;
  } catch {
    // The thread is stuck in the file, or died of it.
    starting = undefined;
    void worker.terminate();
    return undefined;
  }
}

/**
 * How long the sound in a file is, in seconds; undefined when it is no sound or takes more than two seconds to find out. Done in a thread
 * of its own, one file after the other: what is odd enough to keep that busy keeps nobody else waiting.
 */
export function measureSound(data: Buffer, type: string): Promise<number | undefined> {
  const mine = last.then(() => measure(data, type));
  last = mine.catch(() => (starting = undefined));
  return mine;
}
