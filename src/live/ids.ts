/** Ids of events are as those of a Redis stream: milliseconds and a number. One clock gives them, so that all of them are in order. */
const ID = /^(\d{1,15})-(\d{1,10})$/;

/** Whether a client's last event id can be one of ours. */
export const isEventId = (text: string): boolean => ID.test(text);

/** Negative when `a` came before `b`. */
export function compareIds(a: string, b: string): number {
  const [, aMs = "0", aNo = "0"] = ID.exec(a) ?? [];
  const [, bMs = "0", bNo = "0"] = ID.exec(b) ?? [];
  return Number(aMs) - Number(bMs) || Number(aNo) - Number(bNo);
}
