import { isField } from "./data.ts";

/** One event as its provider sent it; without `data` it is a comment, or only a name. */
export interface ServerEvent {
  name: string | undefined;
  data: string | undefined;
}

const valueOf = (line: string, name: string): string => line.slice(line[name.length + 1] === " " ? name.length + 2 : name.length + 1);

/** The complete events in these bytes, in order; `undefined` in place of one with a line that is no part of a stream. */
export function* eventsIn(bytes: Buffer): Generator<ServerEvent | undefined> {
  let name: string | undefined;
  let data: string | undefined;
  let odd = false;
  let seen = false;
  for (const line of bytes.toString("utf8").split(/\r\n|\n|\r/)) {
    if (line !== "") {
      seen = true;
      if (!isField(line)) odd = true;
      else if (line.startsWith("data")) data = data === undefined ? valueOf(line, "data") : `${data}\n${valueOf(line, "data")}`;
      else if (line.startsWith("event")) name = valueOf(line, "event");
    } else if (seen) {
      yield odd ? undefined : { name, data };
      name = data = undefined;
      odd = seen = false;
    }
  }
}
