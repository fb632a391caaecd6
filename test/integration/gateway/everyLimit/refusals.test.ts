import { expect } from "chai";
import type { Speaks } from "../../../../src/gateway/pipeline/format.ts";
import { waitFor } from "../../../support/stack.ts";
import { closed, startRawUpstream, type RawUpstream } from "../rawUpstream.ts";
import { everyLimit, type Narrow } from "./limits.ts";
import { clearShared, useLimitRig, type Caller } from "./rig.ts";
import { everyWay, type Way } from "./ways.ts";

/** Enough that whoever gets past a limit is seen to. */
const TOGETHER = 4;

interface Met {
  status: number;
  text: string;
}

/** The words of a refusal, in whatever vendor's shape. */
function messageOf(text: string): string {
  const said = JSON.parse(text) as { message?: string; error?: { message: string } };
  return said.error?.message ?? said.message ?? "";
}

describe("a limit that is used up", () => {
  const rig = useLimitRig();
  const ways = everyWay();
  let silent: RawUpstream;

  before(async () => {
    silent = await startRawUpstream();
  });
  beforeEach(() => clearShared(rig));
  after(() => silent?.close());

  async function meet(way: Way, caller: Caller): Promise<Met> {
    const answer = await rig.ask(way, caller);
    return { status: answer.status, text: await answer.text() };
  }

  /** The provider says nothing until the signal, and nothing then. */
  function keepSilent(signal: AbortSignal): void {
    silent.behave(async (socket) => {
      signal.addEventListener("abort", () => socket.destroy());
      await closed(socket);
    });
  }

  /** Uses it up on the first route there is for these providers, and leaves what must go on running. */
  async function useUp({ usedUp }: Narrow, first: Way, caller: Caller, signal: AbortSignal): Promise<void> {
    if (usedUp === "by a call") await meet(first, caller);
    if (usedUp !== "by a call that runs") return rig.relay.settle();
    const seen = silent.requests.length;
    void rig.ask(first, caller, signal).catch(() => undefined);
    await waitFor(() => silent.requests.length > seen, { timeoutMs: 3_000, message: "a call to run" });
  }

  const wallet = async (caller: Caller): Promise<bigint> => {
    await rig.relay.settle();
    return (await rig.relay.ledger.balance(caller.walletId)).total;
  };

  for (const speaks of ["openai", "claude", "dify"] as Speaks[]) {
    const first = ways.find((way) => way.speaks === speaks && way.costs)!;
    for (const limit of everyLimit()) {
      it(`${limit.title}: no route at a provider of ${speaks} gets past it`, async () => {
        const caller = await rig.caller(speaks);
        await limit.set(rig, caller);
        const leaving = new AbortController();
        keepSilent(leaving.signal);
        const provided = "SELECT provider_id FROM provider_models WHERE model_name = $2";
        if (limit.usedUp === "by a call that runs")
          await rig.change("provider", "*", `UPDATE providers SET base_url = $1 WHERE id IN (${provided})`, [silent.url, caller.model]);
        await useUp(limit, first, caller, leaving.signal);
        const before = await wallet(caller);
        const asked = (await rig.upstream.calls()).length + silent.requests.length;
        let passed = 0;
        let refused = 0;
        for (const way of ways.filter((one) => one.speaks === speaks && limit.holds(one))) {
          const times = limit.usedUp === "by calls that come together" ? TOGETHER : 1;
          const met = await Promise.all(Array.from({ length: times }, () => meet(way, caller)));
          const turnedAway = met.filter(({ status }) => status === limit.status);
          for (const { text } of turnedAway) expect(messageOf(text), way.title).to.match(limit.says);
          refused += turnedAway.length;
          passed += times - turnedAway.length;
          if (times > 1) expect(turnedAway.length, `${way.title}: ${met.map(({ text }) => text).join()}`).to.be.at.least(1);
          else if (!limit.ofTokens) expect(met[0]!.status, `${way.title}: ${met[0]!.text}`).to.equal(limit.status);
          else if (turnedAway.length === 0) expect(await tokensOf(caller), way.title).to.equal(0);
        }
        expect(refused).to.be.greaterThan(0);
        if (!limit.ofTokens && limit.usedUp !== "by calls that come together") {
          expect((await rig.upstream.calls()).length + silent.requests.length, "requests to providers").to.equal(asked);
          expect(await wallet(caller)).to.equal(before);
          expect(passed).to.equal(0);
        }
        leaving.abort();
        await waitFor(() => rig.relay.gateway.live === 0, { timeoutMs: 3_000, message: "every call to end" });
      });
    }
  }

  /** Of the newest call, which got past a limit on tokens. */
  async function tokensOf(caller: Caller): Promise<number> {
    const event = (await rig.relay.lastEvent(caller))!;
    return Number(event.input_tokens + event.cached_input_tokens + event.cache_write_tokens + event.output_tokens);
  }
});
