/** A comment, or a field with a name; a bare `{"error": …}` is neither. */
const FIELD = /^(?::|(?:data|event|id|retry)$|[A-Za-z][\w-]*:)/;

/** Whether a line that is not blank may stand in a stream. */
export const isField = (line: string): boolean => FIELD.test(line);

/** Whether every line of an event may stand in a stream. */
export const isWellFormed = (event: Buffer): boolean =>
  event
    .toString("latin1")
    .split(/\r\n|\n|\r/)
    .every((line) => line === "" || FIELD.test(line));

/** The `data` of each complete event in these bytes, in order. */
export function* eventData(bytes: Buffer): Generator<string> {
  let data: string | undefined;
  for (const line of bytes.toString("utf8").split(/\r\n|\n|\r/)) {
    if (line === "") {
      if (data !== undefined) yield data;
      data = undefined;
    } else if (line.startsWith("data:")) {
      const value = line.slice(line[5] === " " ? 6 : 5);
      data = data === undefined ? value : `${data}\n${value}`;
    }
  }
  if (data !== undefined) yield data;
}
