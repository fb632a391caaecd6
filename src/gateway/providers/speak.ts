import type { UpstreamProvider } from "./catalog.ts";
import { PATH_NAMES, type CustomFormat } from "./custom.ts";
import { fill, fillDeep } from "./template.ts";

/** The version of Anthropic's API that our conversions write; a caller's own goes before it. */
const ANTHROPIC_VERSION = "2023-06-01";

type Spoken = Pick<UpstreamProvider, "baseUrl" | "apiRoot" | "speaks" | "custom">;

/** Where a request goes. `path` is the one in OpenAI's or Anthropic's API, such as `/chat/completions`; always on the provider's own host. */
export function upstreamUrl(provider: Spoken, path: string, upstreamModel: string): string {
  const own = provider.custom?.paths?.[PATH_NAMES[path as keyof typeof PATH_NAMES]];
  return own === undefined ? provider.apiRoot + path : provider.baseUrl + fill(own, { model: encodeURIComponent(upstreamModel) });
}

/** The headers that show who we are: names in lower case and values in turn. What the caller or the operator set goes before these. */
export function upstreamAuth(provider: Spoken, apiKey: string, upstreamModel: string): string[] {
  const { custom, speaks } = provider;
  const list = custom ? customAuth(custom, apiKey, upstreamModel) : undefined;
  if (speaks !== "claude") return list ?? ["authorization", `Bearer ${apiKey}`];
  return [...(list ?? ["x-api-key", apiKey]), "anthropic-version", ANTHROPIC_VERSION];
}

function customAuth(custom: CustomFormat, apiKey: string, upstreamModel: string): string[] {
  // Other signs than these would break the header.
  const model = /^[\x21-\x7e]*$/.test(upstreamModel) ? upstreamModel : encodeURIComponent(upstreamModel);
  const values = { api_key: apiKey, model };
  const list = [(custom.auth_header ?? "authorization").toLowerCase(), fill(custom.auth_template ?? "Bearer {{api_key}}", values)];
  for (const [name, template] of Object.entries(custom.headers ?? {})) list.push(name.toLowerCase(), fill(template, values));
  return list;
}

/** A JSON body as a provider of the format `custom` wants it: fields renamed, removed, set. The same object when it wants no change. */
export function shapeBody(provider: Spoken, json: Record<string, unknown>, upstreamModel: string): Record<string, unknown> {
  const change = provider.custom?.body;
  if (!change) return json;
  const removed = new Set(change.remove);
  const renamed = new Map(Object.entries(change.rename ?? {}));
  // A name that something else is given belongs to that alone: what a client writes there itself was not priced.
  const taken = new Set(renamed.values());
  const kept = Object.entries(json)
    .filter(([name]) => renamed.has(name) || !taken.has(name))
    .map(([name, value]): [string, unknown] => [renamed.get(name) ?? name, value])
    .filter(([name]) => !removed.has(name));
  const set = Object.entries(change.set ?? {}).map(([name, value]): [string, unknown] => [name, fillDeep(value, { model: upstreamModel })]);
  return Object.fromEntries([...kept, ...set]);
}

/** The same for bytes; anything but JSON passes as it is. */
export function shapeBytes(provider: Spoken, body: Buffer, contentType: string, upstreamModel: string): Buffer {
  if (!provider.custom?.body || !/^application\/json\b/i.test(contentType)) return body;
  const json = JSON.parse(body.toString("utf8")) as Record<string, unknown>;
  return Buffer.from(JSON.stringify(shapeBody(provider, json, upstreamModel)));
}
