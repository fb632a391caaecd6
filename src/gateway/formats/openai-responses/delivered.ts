import type { Units } from "../../../pricing/index.ts";
import { GatheredText, type Delivered } from "../../tokens/gathered.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { isObject, type Fields, wordOf } from "../checks.ts";
import { isCharged } from "./search.ts";

/** Events that bring text in pieces, and the field in which their `done` event repeats all of it. */
const TEXTS: Record<string, string> = {
  output_text: "text",
  refusal: "refusal",
  reasoning_text: "text",
  reasoning_summary_text: "text",
  function_call_arguments: "arguments",
  custom_tool_call_input: "input",
  mcp_call_arguments: "arguments",
  code_interpreter_call_code: "code",
};
const EVENT = /^response\.(\w+)\.(delta|done)$/;

/** What was handed to the client: text, refusals, tool names, their arguments and reasoning, each once. */
export class DeliveredOutput {
  readonly #texts = new GatheredText();
  /** Texts that came in pieces. */
  readonly #inPieces = new Set<string>();
  /** Searches that are charged, by place or id. */
  readonly #searches = new Set<unknown>();
  readonly #searching: boolean;

  /** `searching`: the provider may search the web for the answer. */
  constructor(searching: boolean) {
    this.#searching = searching;
  }

  /** Takes one event. A `done` event counts only where no piece came before it. */
  readEvent(type: string, event: Fields): void {
    if (type === "response.output_item.added" && isObject(event["item"])) {
      this.#texts.append(`${wordOf(event["output_index"])} name`, event["item"]["name"]);
      return;
    }
    if (type === "response.output_item.done" && isObject(event["item"]) && isCharged(event["item"]))
      this.#searches.add(event["output_index"]);
    const found = EVENT.exec(type);
    const field = found ? TEXTS[found[1]!] : undefined;
    if (!found || field === undefined) return;
    const text = [found[1], event["output_index"] ?? event["item_id"], event["content_index"] ?? event["summary_index"]].join(" ");
    if (found[2] === "delta") {
      this.#inPieces.add(text);
      this.#texts.append(text, event["delta"]);
    } else if (!this.#inPieces.has(text)) {
      this.#inPieces.add(text);
      this.#texts.append(text, event[field]);
    }
  }

  /** Takes the output of a whole response. */
  readOutput(output: unknown): void {
    if (!Array.isArray(output)) return;
    for (const [i, item] of (output as unknown[]).entries()) {
      if (!isObject(item)) continue;
      if (isCharged(item)) this.#searches.add(i);
      for (const name of ["name", "arguments", "input"]) this.#texts.append(`${i} ${name}`, item[name]);
      for (const list of [item["content"], item["summary"]]) {
        if (!Array.isArray(list)) continue;
        for (const [j, part] of (list as unknown[]).entries()) {
          if (isObject(part)) this.#texts.append(`${i} ${j} ${wordOf(part["type"])}`, part["text"] ?? part["refusal"]);
        }
      }
    }
  }

  get units(): Units | undefined {
    return this.#searching ? { searches: this.#searches.size } : undefined;
  }

  get hasContent(): boolean {
    return this.#texts.hasContent;
  }

  count(tokenizer: Tokenizer, budget: Budget): Delivered {
    return { ...this.#texts.count(tokenizer, budget), units: this.units };
  }
}
