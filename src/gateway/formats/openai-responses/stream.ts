import type { Failure } from "../../pipeline/failure.ts";
import type { Delivered, KeptAnswer, Usage } from "../../pipeline/format.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { isObject, type Fields } from "../checks.ts";
import { malformed, type Judge, type JsonEvent } from "../events.ts";
import { inBandFailure } from "../openai-chat/errors.ts";
import { isUnreadable } from "../whole.ts";
import { DeliveredOutput } from "./delivered.ts";
import { failedResponse } from "./errors.ts";
import { keptOf } from "./kept.ts";
import { readUsage } from "./usage.ts";

/** Understands the events of a response: numbered, named, ended by the whole response. One that stopped early is an answer too. */
export class ResponseEvents implements Judge {
  unreadableUsage = false;
  kept: KeptAnswer | undefined;
  nextNumber = 0;
  #said: Usage | undefined;
  readonly #delivered: DeliveredOutput;

  constructor(options: { searching: boolean }) {
    this.#delivered = new DeliveredOutput(options.searching);
  }

  judge({ name, fields }: JsonEvent): "pass" | "end" | Failure {
    const type = typeof fields["type"] === "string" ? fields["type"] : name;
    if (type === undefined) return fields["error"] ? inBandFailure(fields) : malformed("The provider sent an event without a type");
    if (type === "error" || name === "error") return inBandFailure(fields);
    const { response } = fields;
    if (isObject(response)) this.#note(response);
    switch (type) {
      case "response.completed":
      case "response.incomplete":
        if (!isObject(response)) return malformed("The provider ended a response without it");
        if (!this.#delivered.hasContent) this.#delivered.readOutput(response["output"]);
        return "end";
      case "response.failed":
      case "response.cancelled":
        return failedResponse(isObject(response) ? response : fields);
    }
    this.#delivered.readEvent(type, fields);
    // Only what passes on counts: an error of ours takes the place of the event that did not.
    const number = fields["sequence_number"];
    if (Number.isSafeInteger(number)) this.nextNumber = (number as number) + 1;
    return "pass";
  }

  #note(response: Fields): void {
    this.kept = keptOf(response) ?? this.kept;
    const said = response["usage"];
    if (said === undefined || said === null) return;
    this.#said = readUsage(said);
    this.unreadableUsage = isUnreadable(said, this.#said);
  }

  get usage(): Usage | undefined {
    return this.#said && { ...this.#said, units: this.#delivered.units };
  }

  get hasContent(): boolean {
    return this.#delivered.hasContent;
  }

  count(tokenizer: Tokenizer, budget: Budget): Delivered {
    return this.#delivered.count(tokenizer, budget);
  }
}
