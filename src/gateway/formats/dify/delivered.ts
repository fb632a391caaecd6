import { RawEvents } from "../../sse/raw.ts";
import { GatheredText } from "../../tokens/gathered.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { isObject, wordOf, type Fields } from "../checks.ts";

const charactersIn = (text: unknown): number => (typeof text === "string" ? [...text].length : 0);

/**
 * What was handed to the client's socket, for counting: answers, text of workflows, thoughts, names and inputs of tools. What tools said
 * and what moderation put in the answer's place was not made by the model.
 */
export class DeliveredWords {
  /** Set when something delivered turns out not to be JSON. */
  malformed = false;
  readonly #raw = new RawEvents((data) => this.#read(data));
  #texts = new GatheredText();
  /** A thought comes several times, each time whole. */
  #tools = new Map<string, string>();
  #any = false;
  #characters = 0;

  add(bytes: Buffer): void {
    this.#raw.add(bytes);
  }

  /** Reads what was kept raw. */
  fold(): void {
    this.#raw.fold();
  }

  #read(data: string): void {
    let fields: unknown;
    try {
      fields = data === "" ? undefined : JSON.parse(data);
    } catch {
      this.malformed = true;
    }
    if (isObject(fields)) this.readEvent(fields);
  }

  /** Takes the words of one event, or of a whole answer under the name of an event. */
  readEvent(fields: Fields): void {
    switch (fields["event"]) {
      case "message":
      case "agent_message":
        this.#characters += charactersIn(fields["answer"]);
        return this.#texts.append("answer", fields["answer"]);
      case "message_replace":
        this.#characters = charactersIn(fields["answer"]);
        return;
      case "text_chunk":
        return this.#texts.append("text", isObject(fields["data"]) ? fields["data"]["text"] : undefined);
      case "reasoning_chunk":
        return this.#texts.append("reasoning", isObject(fields["data"]) ? fields["data"]["reasoning"] : fields["reasoning"]);
      case "agent_thought":
        if (fields["tool"]) this.#tools.set(wordOf(fields["id"]), wordOf(fields["tool"]) + wordOf(fields["tool_input"]));
    }
  }

  /** What was said so far is counted elsewhere. */
  forget(): void {
    this.fold();
    this.#any ||= this.hasContent;
    this.#texts = new GatheredText();
    this.#tools.clear();
  }

  get hasContent(): boolean {
    return this.hasNew || this.#any;
  }

  /** Something was said that is counted nowhere else. */
  get hasNew(): boolean {
    this.fold();
    return this.#texts.hasContent || this.#tools.size > 0;
  }

  /** How long the answer is that its reader has: what was put in its place, if something was. */
  get characters(): number {
    this.fold();
    return this.#characters;
  }

  /** Output tokens of it. */
  count(tokenizer: Tokenizer, budget: Budget): number {
    this.fold();
    let { tokens } = this.#texts.count(tokenizer, budget);
    for (const tool of this.#tools.values()) tokens += tokenizer.count(tool, budget);
    return tokens;
  }
}
