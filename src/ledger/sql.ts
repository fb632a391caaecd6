/** An array parameter of values that need no quoting. */
export function list(values: readonly (string | number | bigint)[]): string {
  return `{${values.join(",")}}`;
}
