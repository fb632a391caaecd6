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
