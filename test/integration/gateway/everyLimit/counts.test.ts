import { expect } from "chai";
import type { Sequelize } from "sequelize";
import { FORMATS } from "../../../../src/gateway/formats/index.ts";
import { relayDocumentation } from "../../../../src/gateway/routes.ts";
import { formatCredits, parseCredits } from "../../../../src/platform/credits.ts";
import { createSequelize } from "../../../../src/platform/sequelize.ts";
import { createUsageLists } from "../../../../src/usage/lists.ts";
import type { userView } from "../../../../src/usage/views.ts";
import { waitFor } from "../../../support/stack.ts";
import { hang, startRawUpstream, type RawUpstream } from "../rawUpstream.ts";
import { clearShared, setShared, useLimitRig, WIDE, type Caller } from "./rig.ts";
import { everyWay, type Way } from "./ways.ts";

type Shown = ReturnType<typeof userView>;

/** What a token, and a call, of the model counts, in percent. */
const WEIGHT = 250;
/** Every limit on what is spent or used; far from being reached. */
const SPEND = { spend_total: "90000", spend_monthly: "90000", spend_daily: "90000" };
const QUOTAS = { quota_requests: 1_000_000, quota_tokens: 1_000_000_000, quota_credits: "90000" };
const EVERYTHING = { ...WIDE, ...SPEND, ...QUOTAS };
/** Of account and key each, and the token's budget. */
const COUNTERS = 2 * 6 + 1;

/** Where the limits of each scope are counted. */
const rootsOf = ({ userId, keyId, tokenId, ip, model }: Caller): Record<string, string> => ({
  user: `tk:{u:${userId}}`,
  key: `tk:{u:${userId}}:k:${keyId}`,
  token: `tk:{u:${userId}}:e:${tokenId}`,
  ip: `tk:ip:${ip}`,
  model: `tk:m:${model}`,
  global: "tk:g",
});
const isOfNoModel = (way: Way): boolean => !way.runs;
const scopesOf = (way: Way): string[] => ["user", "key", "token", "ip", "global", ...(isOfNoModel(way) ? [] : ["model"])];

describe("every limit, on every route", () => {
  const rig = useLimitRig();
  let sequelize: Sequelize;
  let silent: RawUpstream;

  before(async () => {
    sequelize = createSequelize({ url: rig.databaseUrl, max: 2 });
    silent = await startRawUpstream();
    silent.behave(hang);
  });
  beforeEach(async () => {
    await clearShared(rig);
    await setShared(rig, "ip", WIDE, null);
    await setShared(rig, "model", WIDE, null, WEIGHT);
    await setShared(rig, "global", WIDE, null);
  });
  after(async () => {
    await sequelize?.close();
    await silent?.close();
  });

  /** Requests or tokens that each scope has counted, over the window that runs and the one before. */
  async function rates(caller: Caller, suffix: "r" | "t"): Promise<Record<string, number>> {
    const roots = Object.entries(rootsOf(caller));
    const read = await rig.relay.redis.mget(roots.map(([, root]) => `${root}:${suffix}`));
    return Object.fromEntries(
      roots.map(([scope], i) => {
        const [, current = 0, previous = 0] = (read[i] ?? "").split(" ").map(Number);
        return [scope, current + previous];
      }),
    );
  }
  /** What budgets and quotas have counted, by counter, and hold for calls that run. */
  async function budgets({ userId, keyId, tokenId }: Caller): Promise<Map<string, { spent: bigint; held: bigint }>> {
    const { rows } = await rig.relay.pool.query<{ id: string; period: string; spent: bigint; held: bigint }>(
      "SELECT id, period, spent, held FROM ledger_budgets WHERE id = ANY($1)",
      [[`user:${userId}`, `key:${keyId}`, `token:${tokenId}`]],
    );
    return new Map(rows.map(({ id, period, spent, held }) => [`${id.split(":")[0]} ${period}`, { spent, held }]));
  }
  /** Everything that says what a caller has used so far. */
  async function stand(caller: Caller) {
    await rig.relay.settle();
    const { items } = await createUsageLists(sequelize).ofUser(caller.userId, {}, { page: 1, page_size: 100 });
    const { total, held } = await rig.relay.ledger.balance(caller.walletId);
    const [requests, tokens] = [await rates(caller, "r"), await rates(caller, "t")];
    return { shown: items as Shown[], total, held, requests, tokens, budgets: await budgets(caller) };
  }
  const tokensOf = (calls: Shown[]): number => calls.reduce((sum, call) => sum + call.input_tokens + call.output_tokens, 0);
  const costOf = (calls: Shown[]): bigint => calls.reduce((sum, { cost }) => sum + parseCredits(cost!)!, 0n);

  /** Waits until the call is over and everything about it is written. */
  async function settled(caller: Caller, records: number) {
    return waitFor(
      async () => {
        const after = await stand(caller);
        const done = after.shown.length === records && after.held === 0n && after.shown.every(({ settled_at }) => settled_at);
        return done && rig.relay.gateway.live === 0 ? after : undefined;
      },
      { timeoutMs: 5_000, message: "the call to be settled" },
    );
  }

  it("no route of the gateway's is left out", () => {
    const things = { conversation: "c", message: "m", task: "t", run: "r", form: "f", question: "q", file: "i", response: "p" };
    const walked = everyWay().map((way) => `${way.method} ${way.path(things, "one")}`.split("?")[0]!);
    const fits = (route: string) => new RegExp(`^${route.replace(/[:{*][^/]*/g, "[^/]+")}$`);
    const documented = relayDocumentation().map(({ method, path }) => `${method.toUpperCase()} ${path}`);
    const known = [...documented, ...FORMATS.map(({ route }) => `POST ${route}`)];
    expect(known.length).to.be.greaterThan(40);
    expect(known.filter((route) => !walked.some((one) => fits(route).test(one)))).to.deep.equal([]);
  });

  for (const way of everyWay()) {
    it(`${way.title}: what is shown is what was charged, and what each limit has counted`, async () => {
      const caller = await rig.caller(way.speaks, { user: EVERYTHING, key: EVERYTHING, token: WIDE });
      const before = await settled(caller, (await stand(caller)).shown.length);
      const answer = await rig.ask(way, caller);
      const said = await answer.text();
      // What a run has asked it does not ask again.
      expect(answer.status, said).to.be.within(200, way.path(caller.things, "").includes(caller.things.form) && !way.costs ? 404 : 204);
      const after = await settled(caller, before.shown.length + (way.costs ? 1 : 0));

      const calls = after.shown.slice(0, after.shown.length - before.shown.length);
      const [tokens, cost] = [tokensOf(calls), costOf(calls)];
      expect(formatCredits(before.total - after.total)).to.equal(formatCredits(cost));
      if (way.costs) expect(Number(cost)).to.be.greaterThan(0);
      for (const scope of scopesOf(way)) expect(after.requests[scope]! - before.requests[scope]!, `requests of ${scope}`).to.equal(1);
      const weighted = Math.ceil((tokens * WEIGHT) / 100);
      await waitFor(
        async () => {
          const now = await rates(caller, "t");
          return Object.keys(now).every((scope) => weighted === now[scope]! - before.tokens[scope]!);
        },
        { timeoutMs: 2_000, message: `every scope to have counted ${weighted} tokens` },
      );

      const counted = { requests: BigInt(way.costs ? WEIGHT : 0), tokens: BigInt(tokens * WEIGHT) };
      if (way.costs) expect([...after.budgets.keys()]).to.have.length(COUNTERS);
      for (const [name, { spent, held }] of after.budgets) {
        const expected = name.includes(" qr:") ? counted.requests : name.includes(" qt:") ? counted.tokens : cost;
        expect([spent - (before.budgets.get(name)?.spent ?? 0n), held], name).to.deep.equal([expected, 0n]);
      }
    });
  }

  for (const way of everyWay().filter(({ runs }) => runs)) {
    it(`${way.title}: has a place among the calls at once of each scope until its end`, async () => {
      const caller = await rig.caller(way.speaks, { user: WIDE, key: WIDE, token: WIDE });
      await waitFor(async () => (await stand(caller)).held === 0n, { timeoutMs: 5_000, message: "the calls before to be settled" });
      const roots = Object.entries(rootsOf(caller));
      const places = async (): Promise<Record<string, string[]>> =>
        Object.fromEntries(
          await Promise.all(roots.map(async ([scope, root]) => [scope, await rig.relay.redis.zrange(`${root}:p`, 0, "-1")] as const)),
        );
      // What outlived its client before has places, too, and may take them anew where they were cleared away.
      const taken = (await places())["user"]!;
      /** The places of the calls that this caller has begun since, scope by scope. */
      const added = async (): Promise<string[][]> => {
        const now = await places();
        const begun = now["user"]!.filter((id) => !taken.includes(id));
        return Object.values(now).map((ids) => ids.filter((id) => begun.includes(id)));
      };
      const provided = "SELECT provider_id FROM provider_models WHERE model_name = $2";
      await rig.change("provider", "*", `UPDATE providers SET base_url = $1 WHERE id IN (${provided})`, [silent.url, caller.model]);
      const [leaving, seen] = [new AbortController(), silent.requests.length];
      const call = rig.ask(way, caller, leaving.signal).then(
        (answer) => answer.status,
        () => 0,
      );
      // Some are answered without a provider.
      await Promise.race([call, waitFor(() => silent.requests.length > seen, { timeoutMs: 3_000, message: "the provider to be asked" })]);
      const begun = await added();
      if (silent.requests.length > seen) {
        expect(begun[0]).to.have.length(1);
        expect(begun).to.deep.equal(roots.map(() => begun[0]));
      }
      leaving.abort();
      expect(await call).to.equal(silent.requests.length > seen ? 0 : 200);
      if (way.outlives) return expect(await added()).to.deep.equal(begun);
      return waitFor(
        async () => {
          const now = Object.values(await places()).flat();
          return begun.flat().every((id) => !now.includes(id));
        },
        { timeoutMs: 3_000, message: "the places back" },
      );
    });
  }
});
