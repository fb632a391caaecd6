import { inflateSync } from "node:zlib";

const PAGE = Buffer.from("/Page");
const TYPE = "/Type";
const OBJECT_STREAM = Buffer.from("/ObjStm");
const STREAM = Buffer.from("stream");
const END = Buffer.from("endstream");
/** Beyond these a file is not looked into any further. */
const MOST_PLACES = 50_000;
const MOST_STREAMS = 2_000;
const MOST_INFLATED = 4 * 1024 * 1024;

const isLetter = (byte: number | undefined): boolean => byte !== undefined && /[A-Za-z0-9]/.test(String.fromCharCode(byte));

/** Objects of the type Page; undefined when there are too many places to look at. */
function pagesIn(data: Buffer): number | undefined {
  let pages = 0;
  let places = 0;
  for (let at = data.indexOf(PAGE); at >= 0; at = data.indexOf(PAGE, at + PAGE.length)) {
    if (++places > MOST_PLACES) return undefined;
    if (isLetter(data[at + PAGE.length])) continue;
    if (
      data
        .toString("latin1", Math.max(0, at - 16), at)
        .trimEnd()
        .endsWith(TYPE)
    )
      pages += 1;
  }
  return pages;
}

/** What the file's object streams hold; undefined when one cannot be read: encrypted, otherwise packed, or too much. */
function unpacked(data: Buffer): Buffer[] | undefined {
  const streams: Buffer[] = [];
  let left = MOST_INFLATED;
  for (let at = data.indexOf(OBJECT_STREAM); at >= 0; at = data.indexOf(OBJECT_STREAM, at + OBJECT_STREAM.length)) {
    const word = data.indexOf(STREAM, at);
    const start = word + STREAM.length + (data[word + STREAM.length] === 0x0d ? 2 : 1);
    const end = data.indexOf(END, start);
    if (word < 0 || end < 0 || left <= 0 || streams.length === MOST_STREAMS) return undefined;
    try {
      const stream = inflateSync(data.subarray(start, end), { maxOutputLength: left });
      left -= stream.length;
      streams.push(stream);
    } catch {
      return undefined;
    }
  }
  return streams;
}

/** How many pages a PDF has; undefined when that cannot be found out at a glance. */
export function pdfPages(data: Buffer): number | undefined {
  const streams = unpacked(data);
  if (!streams) return undefined;
  let pages = 0;
  for (const part of [data, ...streams]) {
    const found = pagesIn(part);
    if (found === undefined) return undefined;
    pages += found;
  }
  return pages > 0 ? pages : undefined;
}
