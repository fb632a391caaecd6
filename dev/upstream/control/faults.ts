/**
 * Every way in which this upstream can be told to fail, on every route, with its options. `after` counts content events (3 unless
 * told, never more than the answer has): words of a text, pieces of a tool's arguments, chunks of audio, partial images.
 */
export const FAULTS = {
  status: "answers an error status in the route's own shape: code=503 retry_after=<seconds> retry_after_ms=<ms>",
  html_page: "an HTML page: code=200",
  redirect: "answers 302: to=<url>",
  dead: "closes the socket before the first byte",
  hang: "never sends headers",
  hang_after_headers: "sends headers and nothing more",
  die_after_headers: "sends headers and closes the socket",
  die_mid_stream: "closes the socket: after=3; not streaming, in the middle of the body",
  error_in_band: "sends an error event and ends: after=3; not streaming, an error with status 200",
  failed: "ends with the format's own event of failure where it has one (responses), else as error_in_band",
  no_terminal: "ends cleanly in the middle: after=3; not streaming, a cut body",
  no_done: "everything but the last event",
  bad_json: "sends an event that is no JSON and goes on: after=3; not streaming, a cut body",
  silent: "sends nothing any more: after=3 for=<duration, for ever unless told>",
  endless: "goes on for ever: after=3 every=1ms; not streaming, a body without end",
  extra_data: "more after the end: events after the last one, bytes after the JSON",
  extra_bytes: "bytes on the connection after the answer's declared end",
  no_usage: "sends no usage, asked or not: where=end for none at the end alone (messages)",
  zero_usage: "counts 0 and 0",
  huge_usage: "counts far too much: tokens=100000000",
  bad_usage: "counts that cannot be read: kind=negative|text|float|null|huge|shape",
  usage_every_chunk: "chat: cumulative usage on every chunk, asked or not",
  usage_last_chunk_no_done: "chat: usage on the last content chunk, then ends without [DONE]",
  big_event: "one content event of bytes=1048576",
  split_utf8: "text beyond ASCII, every event cut in two inside a character",
  tiny_events: "count=10000 events of one character",
  trickle: "a few bytes at a time: bytes=7 every=5ms",
  crlf: "lines end in CR LF",
  comments: "comment lines between events, also before the first",
  unknown_fields: "fields nobody has heard of",
  unknown_events: "events nobody has heard of, where events have names",
  wrong_content_type: "the right answer under a wrong name: type=text/plain",
  compressed: "the answer compressed, asked or not: encoding=gzip|deflate|br",
  content_length_lie: "content-length off by=100 where the answer has one",
  huge_headers: "headers of bytes=65536",
} as const;

export type FaultName = keyof typeof FAULTS;

export function isFault(name: string): name is FaultName {
  return Object.hasOwn(FAULTS, name);
}
