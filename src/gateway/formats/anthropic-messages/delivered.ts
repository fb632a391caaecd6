import { RawEvents } from "../../sse/raw.ts";
import { GatheredText, type Delivered } from "../../tokens/gathered.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { isObject, type Fields, wordOf } from "../checks.ts";

/** Of a delta: what is not said to the reader. */
const SILENT = new Set(["type", "signature", "citation"]);

/**
 * What was handed to the client's socket: kept by reference, folded into text when it grows, counted once at the end. Content is text,
 * tool names and inputs, and thinking; not framing, not JSON escapes, not signatures.
 */
export class DeliveredContent {
  /** Set when something delivered turns out not to be an event of a message. */
  malformed = false;
  /** Searches that the vendor has begun. */
  #searches = 0;
  readonly #raw = new RawEvents((data) => this.#read(data));
  readonly #texts = new GatheredText();

  add(bytes: Buffer): void {
    this.#raw.add(bytes);
  }

  /** Reads what was kept raw. */
  fold(): void {
    this.#raw.fold();
  }

  #read(data: string): void {
    let event: unknown;
    try {
      event = data === "" ? {} : JSON.parse(data);
    } catch {
      event = undefined;
    }
    // Deltas pass by their looks; one that is an error inside was passed on wrongly.
    if (!isObject(event) || event["type"] === "error") this.malformed = true;
    else if (event["type"] === "content_block_start" && isObject(event["content_block"])) {
      this.readBlock(event["content_block"], wordOf(event["index"]));
    } else if (event["type"] === "content_block_delta" && isObject(event["delta"])) this.#readDelta(event["delta"], wordOf(event["index"]));
  }

  #readDelta(delta: Fields, at: string): void {
    for (const name in delta) if (!SILENT.has(name)) this.#texts.append(at, delta[name]);
  }

  /** Takes the content of one block, as it begins or whole. */
  readBlock(block: Fields, at: string): void {
    this.#texts.append(at, block["text"]);
    this.#texts.append(at, block["thinking"]);
    if (!wordOf(block["type"]).endsWith("tool_use")) return;
    if (block["type"] === "server_tool_use" && block["name"] === "web_search") this.#searches += 1;
    this.#texts.append(`${at} name`, block["name"]);
    if (isObject(block["input"]) && Object.keys(block["input"]).length > 0) this.#texts.append(at, JSON.stringify(block["input"]));
  }

  get hasContent(): boolean {
    this.fold();
    return this.#texts.hasContent;
  }

  count(tokenizer: Tokenizer, budget: Budget): Delivered {
    this.fold();
    return { ...this.#texts.count(tokenizer, budget), units: { searches: this.#searches } };
  }
}
