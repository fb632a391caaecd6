import { AsyncLocalStorage } from "node:async_hooks";
import { restWhenEmpty } from "../restingStorage.ts";
import type { Span } from "./types.ts";

/** What is being served, for code far from the request: log lines, queries. The relay carries its call by hand instead. */
export interface Served {
  /** The request id that its caller was told. */
  requestId: string;
  span: Span | undefined;
}

const storage = new AsyncLocalStorage<Served>();
const enter = restWhenEmpty(storage);

/** Runs `work` as part of serving this, until what `over` is given is called. What still goes on then may no longer know what it belongs to. */
export function serving<T>(served: Served, work: () => T, over: (left: () => void) => void): T {
  over(enter());
  return storage.run(served, work);
}

/** What is being served here, if anything is. */
export function served(): Served | undefined {
  return storage.getStore();
}

/** Runs `work` as a step of the traced request, if there is one: its end and its error are the span's. */
export async function inSpan<T>(
  name: string,
  options: Parameters<Span["child"]>[1],
  work: (span: Span | undefined) => Promise<T>,
): Promise<T> {
  const parent = storage.getStore()?.span;
  if (!parent) return work(undefined);
  const span = parent.child(name, options);
  try {
    return await work(span);
  } catch (error) {
    span.fail((error as Error).name);
    throw error;
  } finally {
    span.end();
  }
}
