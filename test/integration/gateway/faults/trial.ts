import { waitFor } from "../../../support/stack.ts";
import type { RawAnswer, RawCall } from "../../../support/rawCall.ts";
import { billOf, type Bill } from "../bill.ts";
import type { EventRow } from "../harness.ts";
import type { Asking } from "./askings.ts";
import { HEALTHY, idle, type FaultRig, type Lane } from "./rig.ts";
import type { Fault } from "./table.ts";
import { viewOf, type View } from "./view.ts";

/** Everything that is known of a call when it is over. */
export interface Trial {
  answer: RawAnswer;
  view: View;
  bill: Bill;
  /** The record; none of a call that is free. */
  event: EventRow | undefined;
  /** Micro-credits. */
  held: bigint;
  /** Requests that came to the provider that was told. */
  asked: number;
  /** The codes of the attempts on the record, one for each request to a provider; null for the one that succeeded. */
  attempts: (string | null)[];
}

/** One call of a new customer to a provider that was told this; over when nothing is under way any more. */
export async function tryCall(
  rig: FaultRig,
  lane: Lane,
  asking: Asking,
  fault: Pick<Fault, "tell" | "short" | "rests">,
  options: { backed?: boolean; call?: Partial<RawCall> } = {},
): Promise<Trial> {
  const { relay } = rig;
  const customer = await relay.customer();
  const model = await lane.model(asking, { short: fault.short, once: fault.rests, backed: options.backed ?? false });
  await lane.told.reset();
  await lane.told.tell(`${HEALTHY} ${fault.tell}`);
  const answer = await rig.call(asking, model, customer, options.call);
  const bill = await billOf(relay, customer, { free: asking.format.free ?? false });
  await idle(lane.told);
  const event = await relay.lastEvent(customer);
  const holds = await relay.pool.query<{ amount: bigint }>("SELECT amount FROM ledger_holds WHERE wallet_id = $1", [customer.walletId]);
  return {
    answer,
    view: viewOf(asking, answer),
    bill,
    event,
    held: BigInt(holds.rows[0]?.amount ?? 0),
    // A provider that goes on by itself is also told to stop.
    asked: (await lane.told.calls()).filter(({ path }) => !path.endsWith("/stop")).length,
    attempts: (event?.attempts ?? []).map((attempt) => attempt.error_code ?? null),
  };
}

/** Waits until operators were told this of a call. */
export async function told({ relay }: FaultRig, { event }: Trial, incident: string): Promise<void> {
  const query = "SELECT FROM incidents WHERE subject = $1 AND kind = $2";
  await waitFor(async () => (await relay.pool.query(query, [event?.id, incident])).rowCount, { timeoutMs: 3_000, message: incident });
}
