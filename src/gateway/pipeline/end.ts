import type { TokenClasses } from "../../pricing/index.ts";
import { newBudget } from "../tokens/index.ts";
import type { RelayDeps } from "./deps.ts";
import type { Failure } from "./failure.ts";
import type { Delivered, StreamReader, WholeResult } from "./format.ts";

/** The provider's terminal event or complete answer was read. */
export interface Done {
  kind: "done";
  /** Goes to the client once the charge is durable. */
  last: Buffer;
  count(): Delivered;
  /** `last` with what is charged, where the provider has not said what it used and the client is to be told. */
  restate?: ((counted: TokenClasses) => Buffer) | undefined;
}

/** How a call may end. */
export type End =
  | Done
  /** We or the provider failed, or we refused: nothing is charged. */
  | { kind: "failed"; failure: Failure }
  /** The client left before the end. */
  | { kind: "gone" };

/** An answer that was made here, or before. */
export const ready = (last: Buffer): Done => ({ kind: "done", last, count: () => ({ content: false, tokens: 0 }) });

/** The end of a stream that is done. */
export const streamed = ({ tokenizer }: Pick<RelayDeps, "tokenizer">, reader: StreamReader): Done => ({
  kind: "done",
  last: reader.tail!,
  count: () => reader.count(tokenizer, newBudget()),
  restate: reader.restate && ((counted) => reader.restate!(counted)),
});

/** The end of an answer that came as one body. */
export const whole = ({ tokenizer }: Pick<RelayDeps, "tokenizer">, result: Extract<WholeResult, { ok: true }>, body: Buffer): Done => ({
  kind: "done",
  last: result.body ?? body,
  count: () => result.count(tokenizer, newBudget()),
  restate: result.restate,
});
