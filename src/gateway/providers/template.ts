const PLACE = /\{\{([^{}]*)\}\}/g;

/** What can be filled into a template: the model's name at the provider and, in headers alone, the key. */
export type Values = Partial<Record<"model" | "api_key", string>>;

/** The text with every `{{name}}` replaced. Names without a value stay as they are; they are refused when the template is saved. */
export const fill = (template: string, values: Values): string =>
  template.replace(PLACE, (whole, name: string) => values[name as keyof Values] ?? whole);

/** The first name in a template that is not allowed there. */
export function unknownPlace(template: string, allowed: readonly string[]): string | undefined {
  for (const [, name = ""] of template.matchAll(PLACE)) if (!allowed.includes(name)) return name;
  return undefined;
}

/** The same in every text of a JSON value. */
export function fillDeep(value: unknown, values: Values): unknown {
  if (typeof value === "string") return fill(value, values);
  if (Array.isArray(value)) return value.map((item) => fillDeep(item, values));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, fillDeep(item, values)]));
}
