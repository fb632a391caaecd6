import { waitFor } from "../../support/stack.ts";
import type { Customer, Relay } from "./harness.ts";

const CREDIT = 1_000_000_000n;

/** What a call came to. */
export interface Bill {
  /** All that this customer of 1000 credits has paid, in micro-credits. */
  charged: bigint;
  status: string | undefined;
  code: string | null | undefined;
  estimated: boolean | undefined;
  /** In and out. */
  tokens: number[];
  units: object | null | undefined;
}

/** After everything: the charge, nothing held, and the newest record, which a call that is free does not have. */
export async function billOf(relay: Relay, customer: Customer, { free = false } = {}): Promise<Bill> {
  if (!free) await waitFor(async () => (await relay.lastEvent(customer)) !== undefined, { timeoutMs: 5_000, message: "the record" });
  await waitFor(
    async () => {
      await relay.settle();
      return (await relay.balance(customer)).held === "0";
    },
    { timeoutMs: 5_000, message: "nothing held" },
  );
  const event = await relay.lastEvent(customer);
  const { total } = await relay.balance(customer);
  return {
    charged: CREDIT - BigInt(total),
    status: event?.status,
    code: event?.error_code,
    estimated: event?.estimated,
    tokens: [Number(event?.input_tokens), Number(event?.output_tokens)],
    units: event?.units,
  };
}
