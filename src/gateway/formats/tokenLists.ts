import { failure, type Failure } from "../pipeline/failure.ts";
import type { Budget, Tokenizer } from "../tokens/index.ts";
import type { Problem } from "./checks.ts";

/** Input of the routes that take text or ready tokens, one or several: a text, texts, one list of tokens, or lists of tokens. */
export type TextOrTokens = string | string[] | number[] | number[][];

const isToken = (value: unknown): boolean => typeof value === "number" && Number.isInteger(value) && value >= 0;

/** Its items: texts, or lists of tokens. */
export function itemsOf(input: TextOrTokens): (string | number[])[] {
  if (typeof input === "string") return [input];
  return typeof input[0] === "number" ? [input as number[]] : (input as (string | number[])[]);
}

/** What is wrong with such input, or undefined. */
export function checkTextOrTokens(input: unknown, param: string, limits: { items: number; empty: boolean }): Problem | undefined {
  if (typeof input === "string") return input === "" && !limits.empty ? { param, message: "must not be empty" } : undefined;
  const kinds = "must be text, a list of texts, a list of tokens or a list of such lists";
  if (!Array.isArray(input)) return { param, message: kinds };
  if (input.length === 0) return { param, message: "must not be empty" };
  if (typeof input[0] === "number") return input.every(isToken) ? undefined : { param, message: kinds };
  if (input.length > limits.items) return { param, message: `must be a list of at most ${limits.items}` };
  for (let i = 0; i < input.length; i++) {
    const item: unknown = input[i];
    const fits = typeof input[0] === "string" ? typeof item === "string" : Array.isArray(item) && item.every(isToken);
    if (!fits) return { param: `${param}[${i}]`, message: "must be like the first one: a text, or a list of tokens" };
    if (!limits.empty && (item as string | unknown[]).length === 0) return { param: `${param}[${i}]`, message: "must not be empty" };
  }
  return undefined;
}

/** Tokens of one item. */
export function tokensOf(item: string | number[], tokenizer: Tokenizer, budget: Budget): number {
  return typeof item === "string" ? tokenizer.count(item, budget) : item.length;
}

/** The refusal of input that is too long. */
export const tooLong = (param: string, message: string): Failure =>
  failure("validation_failed", { message: `${param}: ${message}`, param });
