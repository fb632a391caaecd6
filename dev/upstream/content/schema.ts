interface Schema {
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  properties?: Record<string, Schema>;
  items?: Schema;
  anyOf?: Schema[];
}

const MOST_DEEP = 8;

/** Some value that a JSON schema allows, as far as its usual words go; the same one every time. */
export function sampleOf(schema: unknown, name = "value", depth = 0): unknown {
  const { type, enum: allowed, const: only, properties, items, anyOf } = (schema ?? {}) as Schema;
  if (only !== undefined) return only;
  if (allowed?.length) return allowed[0];
  if (depth > MOST_DEEP) return null;
  if (anyOf?.length) return sampleOf(anyOf[0], name, depth + 1);
  const kind = (Array.isArray(type) ? type[0] : type) ?? (properties ? "object" : "string");
  if (kind === "object")
    return Object.fromEntries(Object.entries(properties ?? {}).map(([key, value]) => [key, sampleOf(value, key, depth + 1)]));
  if (kind === "array") return items ? [sampleOf(items, name, depth + 1)] : [];
  if (kind === "number" || kind === "integer") return 7;
  if (kind === "boolean") return true;
  return kind === "null" ? null : `some ${name}`;
}
