import type { KeptAnswer } from "../../pipeline/format.ts";
import { isObject, type Fields } from "../checks.ts";

const ID = /^[\w-]{1,256}$/;
/** More pieces than this one answer never has. */
const MOST_ITEMS = 256;

const idOf = (value: unknown): string | undefined =>
  isObject(value) && typeof value["id"] === "string" && ID.test(value["id"]) ? value["id"] : undefined;

/** The ids under which the provider keeps a response and the pieces of its output. */
export function keptOf(response: Fields): KeptAnswer | undefined {
  const id = idOf(response);
  if (id === undefined) return undefined;
  const output = Array.isArray(response["output"]) ? (response["output"] as unknown[]).slice(0, MOST_ITEMS) : [];
  return { id, items: output.flatMap((item) => idOf(item) ?? []) };
}
