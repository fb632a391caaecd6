import { expect } from "chai";
import { settledBalance, type Product } from "../../support/people.ts";
import { waitFor } from "../../support/stack.ts";
import { directUpstream } from "../../support/upstream.ts";
import type { Seen } from "./seen.ts";
import type { Staged } from "./stage.ts";

interface Item {
  request_id: string;
  status: string;
  cost: string | null;
}

/** "1.3" credits in micro-credits. */
function micro(credits: string): bigint {
  const [whole = "0", part = ""] = credits.split(".");
  return BigInt(whole) * 1_000_000n + BigInt(part.padEnd(6, "0"));
}

/** The records of usage, once all are charged and nothing is held. */
async function settledUsage({ person, one }: Staged): Promise<Item[]> {
  const expected = one.records?.length ?? 1;
  await waitFor(
    async () => {
      const { items } = await person.get<{ items: Item[] }>("/api/user/usage?page_size=100");
      return items.length >= expected && items.every(({ cost }) => cost !== null);
    },
    { timeoutMs: 30_000, message: `${expected} settled calls` },
  );
  await settledBalance(person);
  return (await person.get<{ items: Item[] }>("/api/user/usage?page_size=100")).items;
}

/** What the client showed, and how many requests that took. */
function judgeSeen({ one, given }: Staged, seen: Seen): void {
  const expected = one.sees?.(given) ?? {};
  if (!("error" in expected)) expect(seen.error, "an error").to.equal(undefined);
  expect(seen).to.containSubset(expected);
  if (typeof one.sent === "function") one.sent(seen.sent);
  else expect(seen.sent, "answers").to.deep.equal(one.sent ?? [200]);
}

/** What was charged: the wallet, the records and the case agree to the millionth of a credit. */
async function judgeCharge(staged: Staged, seen: Seen): Promise<void> {
  const { one, person, given } = staged;
  const items = await settledUsage(staged);
  expect(items, "records").to.have.length(one.records?.length ?? 1);
  expect(items).to.containSubset(one.records ?? [{ status: "ok" }]);
  if (typeof seen.requestId === "string") expect(items.map(({ request_id }) => request_id)).to.deep.equal([seen.requestId]);
  const paid = micro(one.credits ?? "1000") - micro((await settledBalance(person)).total);
  const recorded = items.reduce((sum, { cost }) => sum + micro(cost!), 0n);
  const expected = typeof one.costs === "function" ? one.costs(seen, given) : micro(one.costs ?? "93");
  expect({ paid, recorded }).to.deep.equal({ paid: expected, recorded: expected });
}

/** What arrived at the provider. */
async function judgeCalls(at: Product, { one, given }: Staged): Promise<void> {
  const calls = () => directUpstream(at.upstream).calls(given.id);
  if (one.left) await waitFor(async () => (await calls()).every(({ aborted }) => aborted), { message: "the provider to be told" });
  if (one.calls !== null) expect(await calls(), "requests to the provider").to.have.length(one.calls ?? 1);
}

/** Everything that a case states about what was seen, charged and asked of the provider; throws. */
export async function judge(at: Product, staged: Staged, seen: Seen): Promise<void> {
  judgeSeen(staged, seen);
  await judgeCharge(staged, seen);
  await judgeCalls(at, staged);
  await staged.one.check?.(seen, staged.given);
}
