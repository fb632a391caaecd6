import { milliseconds, type Directives } from "../control/directives.ts";
import type { Answer, OutEvent } from "../endpoint.ts";
import { contentTypeOf, endAnswer, stoppedAfterHeaders, strange, strikes, writeCut } from "./parts.ts";
import type { Sending } from "./send.ts";

type Events = Extract<Answer, { kind: "events" }>;

/** Streams server-sent events, with everything that can go wrong on the way. */
export async function sendEvents(sending: Sending, answer: Events): Promise<void> {
  const { response, wire, directives, record } = sending;
  const { faults } = directives;
  response.writeHead(200, {
    ...sending.headers,
    "content-type": contentTypeOf(directives, "text/event-stream; charset=utf-8"),
    "cache-control": "no-cache",
  });
  response.flushHeaders();
  if (await stoppedAfterHeaders(wire, directives)) return;

  const write = writerOf(sending);
  const events = [...answer.events];
  const total = events.filter((event) => event.content).length;
  let sent = 0;
  for (const [written, event] of events.entries()) {
    if (wire.gone) return;
    const ending = answer.stopped?.();
    if (ending) {
      for (const last of ending) await write(last);
      return endAnswer(sending);
    }
    if (event.terminal) await answer.before?.();
    const strikesHere = event.content ?? (event.terminal === true && total === 0);
    if (strikesHere && (await interrupted(sending, answer, { event, sent, total, written }, write))) return;
    if (written === 1 && faults.unknown_events)
      await write({ ...(event.event ? { event: "x_demo_event" } : {}), data: '{"type":"x_demo_event"}' });
    if (event.terminal && faults.no_done) continue;
    await write(event);
    if (event.content) {
      sent += 1;
      record.chunks = sent;
      await wire.wait(sending.paceMs);
    }
  }
  if (faults.extra_data) for (const event of events.filter(({ content, terminal }) => content || terminal).slice(-3)) await write(event);
  if (!wire.gone) endAnswer(sending);
  answer.after?.();
}

function writerOf({ wire, directives }: Sending): (event: OutEvent) => Promise<void> {
  const { faults } = directives;
  const eol = faults.crlf ? "\r\n" : "\n";
  const comment = faults.comments ? `: a comment${eol}${eol}` : "";
  return (written) => {
    const { event, data } = faults.unknown_fields ? strangeEvent(written, directives) : written;
    const name = event === undefined ? "" : `event: ${event}${eol}`;
    const line = data === undefined ? "" : `data: ${data}${eol}`;
    return writeCut(wire, directives, Buffer.from(`${comment}${name}${line}${eol}`));
  };
}

function strangeEvent(event: OutEvent, directives: Directives): OutEvent {
  if (!event.data?.startsWith("{")) return event;
  return { ...event, data: JSON.stringify(strange(directives, JSON.parse(event.data) as object)) };
}

/** Acts out the faults that strike in the middle; true when nothing more is to be sent. */
async function interrupted(
  { wire, directives: { faults }, paceMs }: Sending,
  answer: Events,
  at: { event: OutEvent; sent: number; total: number; written: number },
  write: (event: OutEvent) => Promise<void>,
): Promise<boolean> {
  const here = (fault: Record<string, string> | undefined): boolean => strikes(fault, at.sent, at.total);
  if (here(faults.die_mid_stream)) {
    await wire.breakOff();
    return true;
  }
  if (here(faults.error_in_band) || here(faults.failed)) {
    await write(faults.failed && answer.failure ? answer.failure(at.written) : answer.error(at.written));
    wire.end();
    return true;
  }
  if (here(faults.no_terminal)) {
    wire.end();
    return true;
  }
  if (here(faults.endless)) {
    while (!wire.gone) {
      await write(at.event);
      await wire.wait(Math.max(paceMs, milliseconds(faults.endless?.["every"] ?? "1ms"), 1));
    }
    return true;
  }
  const { data = "" } = at.event;
  if (here(faults.bad_json)) await write({ ...at.event, data: data.slice(0, data.length >> 1) });
  if (here(faults.silent)) {
    const time = faults.silent?.["for"];
    await (time ? wire.wait(milliseconds(time)) : wire.forever());
  }
  return wire.gone;
}
