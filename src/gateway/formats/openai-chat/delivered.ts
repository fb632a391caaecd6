import { wordOf } from "../checks.ts";
import { saidIn } from "../conversion/parts.ts";
import { RawEvents } from "../../sse/raw.ts";
import { GatheredText, type Delivered } from "../../tokens/gathered.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";

type Fields = Record<string, unknown>;

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null;

/**
 * What was handed to the client's socket: kept by reference, folded into text when it grows, counted once at the end. Content is text,
 * refusals, tool names and arguments, and reasoning; not framing, not JSON escapes.
 */
export class DeliveredContent {
  /** Set when something delivered turns out not to be JSON. */
  malformed = false;
  readonly #raw = new RawEvents((data) => this.#read(data));
  readonly #texts = new GatheredText();
  readonly #open = new Set<unknown>();
  readonly #finished = new Set<unknown>();

  add(bytes: Buffer): void {
    this.#raw.add(bytes);
  }

  /** Reads what was kept raw. */
  fold(): void {
    this.#raw.fold();
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
      this.#finished.add(index);
    }
    this.readMessage(choice["delta"], wordOf(index));
    this.readText(choice, wordOf(index));
  }

  /** Takes the text of a choice of the older completions, which have no messages. */
  readText(choice: unknown, stream: string): void {
    if (isObject(choice)) this.#texts.append(`${stream} text`, choice["text"]);
  }

  /** Takes the content of one delta, or of a whole message. */
  readMessage(message: unknown, stream: string): void {
    if (!isObject(message)) return;
    const { content } = message as { content?: unknown };
    if (typeof content === "string") this.#texts.append(`${stream} text`, content);
    else if (Array.isArray(content)) {
      const said = saidIn(content);
      this.#texts.append(`${stream} text`, said.text);
      this.#texts.append(`${stream} reasoning`, said.thinking);
    }
    this.#texts.append(`${stream} refusal`, message["refusal"]);
    this.#texts.append(`${stream} reasoning`, message["reasoning_content"] ?? message["reasoning"]);
    if (isObject(message["function_call"])) this.#readFunction(message["function_call"], `${stream} function`);
    if (!Array.isArray(message["tool_calls"])) return;
    for (const call of message["tool_calls"] as unknown[]) {
      if (!isObject(call)) continue;
      const tool = call["function"] ?? call["custom"];
      if (isObject(tool)) this.#readFunction(tool, `${stream} tool ${wordOf(call["index"] ?? call["id"])}`);
    }
  }

  #readFunction(tool: Fields, stream: string): void {
    this.#texts.append(stream, tool["name"]);
    this.#texts.append(stream, tool["arguments"] ?? tool["input"]);
  }

  /** Every one of `choices` answers has said why it stopped. */
  allFinished(choices: number): boolean {
    this.fold();
    return this.#finished.size >= choices && this.#open.size === 0;
  }

  get hasContent(): boolean {
    this.fold();
    return this.#texts.hasContent;
  }

  count(tokenizer: Tokenizer, budget: Budget): Delivered {
    this.fold();
    return this.#texts.count(tokenizer, budget);
  }
}
