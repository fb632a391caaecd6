import { isObject, objectsIn, whole, wordOf, type Fields, type Problem } from "../checks.ts";

/** The vendor's own search, charged call by call (https://platform.openai.com/docs/guides/tools-web-search). */
const WEB_SEARCH = /^web_search(?:_preview)?(?:_\d{4}_\d{2}_\d{2})?$/;
/** When the client does not say how many: what may be charged has to have an end. The provider is told. */
const USUAL_CALLS = 5;
const MOST_CALLS = 100;

/** What one search finds is read by the model. */
export const TOKENS_PER_SEARCH = 8_000;

export const isSearch = (type: string): boolean => WEB_SEARCH.test(type);

/** Where a request lets the provider search the web, or -1. */
export const searchTool = (body: Readonly<Fields>): number => objectsIn(body["tools"]).findIndex(({ type }) => isSearch(wordOf(type)));

/** What is wrong with the number of searches, or undefined. */
export function checkSearches(body: Readonly<Fields>): Problem | undefined {
  const most = body["max_tool_calls"] ?? undefined;
  if (most === undefined || searchTool(body) < 0) return undefined;
  const message = whole(1, MOST_CALLS)(most);
  return message === undefined ? undefined : { param: "max_tool_calls", message: `${message} with web search` };
}

/** The most searches that a validated request lets the provider make. */
export const searchesOf = (body: Readonly<Fields>): number =>
  searchTool(body) < 0 ? 0 : ((body["max_tool_calls"] ?? USUAL_CALLS) as number);

/** Whether a piece of output is a search that is charged; opening a page that was found is not. */
export const isCharged = (item: Fields): boolean =>
  item["type"] === "web_search_call" && (!isObject(item["action"]) || item["action"]["type"] === "search");
