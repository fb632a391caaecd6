import type { Delivered } from "../../pipeline/format.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";

/** Raw events are kept as they came and read only beyond this much, or when someone asks. */
const FOLD_BYTES = 16 * 1024;
/** Content beyond this is kept as a length only; a token is at least three bytes in the long run. */
const TEXT_LIMIT = 1024 * 1024;

type Fields = Record<string, unknown>;

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null;

/** The `data` of each complete event in these bytes, in order. */
export function* eventData(bytes: Buffer): Generator<string> {
  let data: string | undefined;
  for (const line of bytes.toString("utf8").split(/\r\n|\n|\r/)) {
    if (line === "") {
      if (data !== undefined) yield data;
      data = undefined;
    } else if (line.startsWith("data:")) {
      const value = line.slice(line[5] === " " ? 6 : 5);
      data = data === undefined ? value : `${data}\n${value}`;
    }
  }
  if (data !== undefined) yield data;
}

/**
 * What was handed to the client's socket: kept by reference, folded into text when it grows, counted once at the end. Content is text,
 * refusals, tool names and arguments, and reasoning; not framing, not JSON escapes.
 */
export class DeliveredContent {
  /** Set when something delivered turns out not to be JSON. */
  malformed = false;
  #raw: Buffer[] = [];
  #rawBytes = 0;
  readonly #texts = new Map<string, string>();
  #length = 0;
  #overflow = 0;
  readonly #open = new Set<unknown>();
  #finished = 0;

  add(bytes: Buffer): void {
    this.#raw.push(bytes);
    this.#rawBytes += bytes.length;
    if (this.#rawBytes > FOLD_BYTES) this.fold();
  }

  /** Reads what was kept raw. */
  fold(): void {
    const raw = this.#raw;
    this.#raw = [];
    this.#rawBytes = 0;
    for (const bytes of raw) for (const data of eventData(bytes)) this.#read(data);
  }

  #read(data: string): void {
    let chunk: unknown;
    try {
      chunk = data === "" ? undefined : JSON.parse(data);
    } catch {
      this.malformed = true;
    }
    if (!isObject(chunk) || !Array.isArray(chunk["choices"])) return;
    for (const choice of chunk["choices"] as unknown[]) if (isObject(choice)) this.#readChoice(choice);
  }

  #readChoice(choice: Fields): void {
    const index = choice["index"] ?? 0;
    if (choice["finish_reason"] === null || choice["finish_reason"] === undefined) this.#open.add(index);
    else {
      this.#open.delete(index);
      this.#finished += 1;
    }
    this.readMessage(choice["delta"], String(index));
  }

  /** Takes the content of one delta, or of a whole message. */
  readMessage(message: unknown, stream: string): void {
    if (!isObject(message)) return;
    this.#append(`${stream} text`, message["content"]);
    this.#append(`${stream} refusal`, message["refusal"]);
    this.#append(`${stream} reasoning`, message["reasoning_content"] ?? message["reasoning"]);
    if (isObject(message["function_call"])) this.#readFunction(message["function_call"], `${stream} function`);
    if (!Array.isArray(message["tool_calls"])) return;
    for (const call of message["tool_calls"] as unknown[]) {
      if (!isObject(call)) continue;
      const tool = call["function"] ?? call["custom"];
      if (isObject(tool)) this.#readFunction(tool, `${stream} tool ${String(call["index"] ?? call["id"])}`);
    }
  }

  #readFunction(tool: Fields, stream: string): void {
    this.#append(stream, tool["name"]);
    this.#append(stream, tool["arguments"] ?? tool["input"]);
  }

  #append(stream: string, piece: unknown): void {
    if (typeof piece !== "string" || piece === "") return;
    if (this.#length > TEXT_LIMIT) {
      this.#overflow += Buffer.byteLength(piece);
      return;
    }
    this.#length += piece.length;
    this.#texts.set(stream, (this.#texts.get(stream) ?? "") + piece);
  }

  /** Every choice seen has said why it stopped. */
  get allFinished(): boolean {
    this.fold();
    return this.#finished > 0 && this.#open.size === 0;
  }

  get hasContent(): boolean {
    this.fold();
    return this.#texts.size > 0;
  }

  count(tokenizer: Tokenizer, budget: Budget): Delivered {
    this.fold();
    let tokens = Math.ceil(this.#overflow / 3);
    for (const text of this.#texts.values()) tokens += tokenizer.count(text, budget);
    return { content: this.#texts.size > 0, tokens };
  }
}
