import { objectsIn, whole, wordOf, type Fields, type Problem } from "../checks.ts";

/** The vendor's own search, charged one by one. */
const WEB_SEARCH = /^web_search_\d/;
const MOST_SEARCHES = 100;

/** What one search finds is read by the model: about ten results of a thousand tokens each. */
export const TOKENS_PER_SEARCH = 10_000;

export const isSearch = (type: string): boolean => WEB_SEARCH.test(type);

/** The first thing wrong with a search tool, or undefined: what may be charged has to have an end. */
export function checkSearch(tool: Fields, at: string): Problem | undefined {
  const message = whole(1, MOST_SEARCHES)(tool["max_uses"]);
  return message === undefined ? undefined : { param: `${at}.max_uses`, message };
}

/** The most searches that a validated messages request lets the vendor make. */
export const searchesOf = (body: Readonly<Fields>): number =>
  objectsIn(body["tools"])
    .filter(({ type }) => isSearch(wordOf(type)))
    .reduce((sum, tool) => sum + (tool["max_uses"] as number), 0);
