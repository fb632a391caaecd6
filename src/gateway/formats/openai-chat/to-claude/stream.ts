import type { TokenClasses } from "../../../../pricing/index.ts";
import type { Usage } from "../../../pipeline/format.ts";
import type { ServerEvent } from "../../../sse/events.ts";
import { GatheredText } from "../../../tokens/gathered.ts";
import { inBandFailure } from "../../anthropic-messages/errors.ts";
import { StreamedUsage } from "../../anthropic-messages/usage.ts";
import { isObject, type Fields } from "../../checks.ts";
import type { Conversion, Step } from "../../conversion/stream.ts";
import { malformed, NOT_JSON } from "../../events.ts";
import { finishReasonOf } from "../../conversion/stop.ts";
import { chatUsage } from "../../conversion/usage.ts";
import { envelope, toolCall } from "./answer.ts";
import { inOpenaiWords } from "./errors.ts";

const DONE = "data: [DONE]\n\n";
const NOTHING: Step = {};

/** The block being written: blocks of a message never overlap. */
interface Open {
  block: Fields;
  /** Of a tool call: its place among the calls. */
  call: number;
  thinking: string;
  signature: string;
  wrote: boolean;
}

/** Events of a message as chunks of a chat completion. */
export class MessageToChunks implements Conversion {
  readonly texts = new GatheredText();
  readonly #showUsage: boolean;
  /** What every chunk begins with, written once. */
  #head: string | undefined;
  readonly #usage = new StreamedUsage();
  #open: Open | undefined;
  #calls = 0;

  constructor(options: { showUsage: boolean }) {
    this.#showUsage = options.showUsage;
  }

  get usage(): Usage | undefined {
    return this.#usage.usage;
  }

  get unreadableUsage(): boolean {
    return this.#usage.unreadable;
  }

  get prompt(): TokenClasses | undefined {
    return this.#usage.prompt;
  }

  close(): undefined {
    return undefined;
  }

  read({ name, data }: ServerEvent & { data: string }): Step {
    let event: unknown;
    try {
      event = JSON.parse(data);
    } catch {
      event = undefined;
    }
    if (!isObject(event)) return { failure: malformed(NOT_JSON) };
    if (event["type"] === "error" || event["error"] || name === "error") return { failure: inOpenaiWords(inBandFailure(event)) };
    if (event["type"] === "message_start") return this.#start(isObject(event["message"]) ? event["message"] : {});
    if (!this.#head)
      return event["type"] === "message_stop" ? { failure: malformed("The provider ended an answer that it had not begun") } : NOTHING;
    return this.#continue(event);
  }

  #continue(event: Fields): Step {
    switch (event["type"]) {
      case "content_block_start":
        return this.#openBlock(isObject(event["content_block"]) ? event["content_block"] : {});
      case "content_block_delta":
        return this.#delta(isObject(event["delta"]) ? event["delta"] : {});
      case "content_block_stop":
        return this.#closeBlock();
      case "message_delta": {
        this.#usage.add(event["usage"]);
        const reason = isObject(event["delta"]) ? event["delta"]["stop_reason"] : undefined;
        return typeof reason === "string" ? this.#chunk({}, finishReasonOf(reason)) : NOTHING;
      }
      case "message_stop":
        return { tail: (counted) => this.#usageChunk(counted) + DONE };
      default:
        return NOTHING;
    }
  }

  #start(message: Fields): Step {
    this.#usage.start(message["usage"]);
    this.#head = `data: ${JSON.stringify(envelope(message, "chat.completion.chunk")).slice(0, -1)},`;
    return this.#chunk({ role: "assistant", content: "" });
  }

  #openBlock(block: Fields): Step {
    this.#open = { block, call: 0, thinking: "", signature: "", wrote: false };
    switch (block["type"]) {
      case "tool_use": {
        this.#open.call = this.#calls++;
        this.texts.append(`${this.#open.call} name`, block["name"]);
        return this.#chunk({ tool_calls: [{ index: this.#open.call, ...toolCall(block, "") }] });
      }
      case "text":
        return this.#text(block["text"]);
      case "thinking":
        this.#open.signature = typeof block["signature"] === "string" ? block["signature"] : "";
        return this.#think(block["thinking"]);
      case "redacted_thinking":
        return this.#chunk({ thinking_blocks: [block] });
      default:
        return NOTHING;
    }
  }

  #delta(delta: Fields): Step {
    switch (delta["type"]) {
      case "text_delta":
        return this.#text(delta["text"]);
      case "thinking_delta":
        return this.#think(delta["thinking"]);
      case "signature_delta":
        if (this.#open && typeof delta["signature"] === "string") this.#open.signature = delta["signature"];
        return NOTHING;
      case "input_json_delta":
        return this.#input(delta["partial_json"]);
      default:
        return NOTHING;
    }
  }

  #text(text: unknown): Step {
    if (typeof text !== "string" || text === "") return NOTHING;
    this.texts.append("text", text);
    return this.#chunk({ content: text });
  }

  #think(thinking: unknown): Step {
    if (typeof thinking !== "string" || thinking === "") return NOTHING;
    this.texts.append("thinking", thinking);
    if (this.#open) this.#open.thinking += thinking;
    return this.#chunk({ reasoning_content: thinking });
  }

  #input(json: unknown): Step {
    const open = this.#open;
    if (typeof json !== "string" || json === "" || open?.block["type"] !== "tool_use") return NOTHING;
    open.wrote = true;
    this.texts.append(`${open.call} input`, json);
    return this.#chunk({ tool_calls: [{ index: open.call, function: { arguments: json } }] });
  }

  #closeBlock(): Step {
    const open = this.#open;
    this.#open = undefined;
    // Arguments that came with the block, or not at all, are an object too.
    if (open?.block["type"] === "tool_use" && !open.wrote) {
      this.#open = open;
      const step = this.#input(JSON.stringify(open.block["input"] ?? {}));
      this.#open = undefined;
      return step;
    }
    if (open?.block["type"] !== "thinking" || open.signature === "") return NOTHING;
    return this.#chunk({ thinking_blocks: [{ type: "thinking", thinking: open.thinking, signature: open.signature }] });
  }

  #chunk(delta: Fields, finish: string | null = null): Step {
    const choice = `{"index":0,"delta":${JSON.stringify(delta)},"logprobs":null,"finish_reason":${finish === null ? "null" : `"${finish}"`}}`;
    return { out: `${this.#head}"choices":[${choice}]${this.#showUsage ? ',"usage":null' : ""}}\n\n` };
  }

  #usageChunk(counted: TokenClasses | undefined): string {
    const usage = counted ? chatUsage({ tokens: counted }) : this.usage && chatUsage(this.usage, this.#usage.said);
    if (!this.#showUsage || !usage) return "";
    return `${this.#head}"choices":[],"usage":${JSON.stringify(usage)}}\n\n`;
  }
}
