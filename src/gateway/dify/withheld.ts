import { isObject, type Fields } from "../formats/checks.ts";
import type { RelayDeps } from "../pipeline/deps.ts";
import type { PassedRoute } from "./table.ts";

/**
 * A list of Dify's without what the guardrail has not let pass: messages are left out, conversations have no name. Undefined when it is no
 * list.
 */
export async function withoutWithheld(
  { owned }: Pick<RelayDeps, "owned">,
  owner: string,
  lists: NonNullable<PassedRoute["lists"]>,
  body: Buffer,
): Promise<Buffer | undefined> {
  const list = parse(body);
  if (!list) return undefined;
  const ids = list.data.flatMap(({ id }) => (typeof id === "string" ? [id] : []));
  const withheld = new Set((await owned.find(owner, ids)).filter((row) => row.withheld).map(({ id }) => id));
  if (withheld.size === 0) return body;
  const isShown = ({ id }: Fields): boolean => typeof id !== "string" || !withheld.has(id);
  const data = lists === "messages" ? list.data.filter(isShown) : list.data.map((item) => (isShown(item) ? item : { ...item, name: "" }));
  return Buffer.from(JSON.stringify({ ...list, data }));
}

function parse(body: Buffer): (Fields & { data: Fields[] }) | undefined {
  try {
    const list: unknown = JSON.parse(body.toString("utf8"));
    return isObject(list) && Array.isArray(list["data"]) ? { ...list, data: list["data"].filter(isObject) } : undefined;
  } catch {
    return undefined;
  }
}
