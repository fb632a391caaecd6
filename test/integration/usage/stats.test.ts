import { expect } from "chai";
import { parseCredits } from "../../../src/platform/credits.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import type { UsageEvent } from "../../../src/usage/index.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { eventOf } from "../../support/usage.ts";
import { startUsageApi, type Owner, type UsageApi } from "./api.ts";

/** Zones of whole hours, of 30 and 45 minutes, and one whose clocks move by half an hour on 2026-04-05. */
const ZONES = [
  "UTC",
  "Asia/Shanghai",
  "America/New_York",
  "Asia/Kolkata",
  "Asia/Kathmandu",
  "America/St_Johns",
  "Pacific/Chatham",
  "Australia/Lord_Howe",
];
const FROM = "2026-04-03T10:00:00Z";
const TO = "2026-04-06T20:17:00Z";

interface Item {
  key: string | null;
  requests: number;
  failed: number;
  input_tokens: number;
  output_tokens: number;
  cost: string;
}

interface Sums {
  items: Item[];
  totals: Item;
  groups: number;
}

/** The local date of an instant, by another calendar than the one under test. */
function dateIn(timeZone: string, at: Date): string {
  return new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short" }).format(at);
}

/** The beginning of the hour on a clock in this zone. */
function hourIn(timeZone: string, at: Date): string {
  const minute = (ms: number) => Number(new Intl.DateTimeFormat("en", { timeZone, minute: "2-digit" }).format(ms));
  const start = at.getTime() - (at.getTime() % 60_000);
  return new Date(start - minute(start) * 60_000).toISOString().replace(".000Z", "Z");
}

describe("statistics", function () {
  this.timeout(60_000);
  const places = useStack();
  let api: UsageApi;
  let owner: Owner;
  const keys = [uuidv7(), uuidv7()];
  const events: UsageEvent[] = [];

  before(async () => {
    api = await startUsageApi({ databaseUrl: places.databaseUrl, deps: { keyNames: async () => new Map([[keys[0]!, "batch"]]) } });
    owner = await api.rig.wallet(1_000_000);
    const first = Date.parse("2026-04-03T08:00:00Z");
    for (let n = 0; n < 180; n++) {
      // Every 29 minutes and some seconds: all quarters of the hour, hours before and after the range.
      const startedAt = new Date(first + n * 1_763_000);
      const failed = n % 17 === 0;
      events.push(
        eventOf(owner, {
          startedAt,
          model: n % 3 === 0 ? "model-b" : "test-model",
          keyId: n % 5 === 0 ? null : keys[n % 2]!,
          tokens: { input: 100 + n, cachedInput: n % 7, cacheWrite: n % 2, output: 10 + n, reasoning: n % 4 },
          ...(failed ? { status: "failed", httpStatus: 502, errorCode: "upstream_error" } : {}),
        }),
      );
    }
    for (const event of events) if (event.status === "ok") await api.rig.usage.record(event);
    for (const event of events) if (event.status === "failed") api.rig.usage.recordFailure(event);
    while ((await api.rig.settlement.settleBatch(0, 500)).taken > 0);
    await waitFor(async () => {
      const { rows } = await api.rig.pool.query("SELECT FROM usage_events WHERE user_id = $1 AND settled_at IS NOT NULL", [owner.userId]);
      return rows.length === events.length;
    });
  });
  after(() => api.close());

  const inRange = () => events.filter(({ startedAt }) => startedAt >= new Date(FROM) && startedAt < new Date(TO));

  /** The same sums over the calls themselves. */
  async function bruteForce(keyOf: (event: UsageEvent) => string | null): Promise<Item[]> {
    const { rows } = await api.rig.pool.query<{ id: string; cost: bigint }>("SELECT id, cost FROM usage_events WHERE user_id = $1", [
      owner.userId,
    ]);
    const costs = new Map(rows.map(({ id, cost }) => [id, cost]));
    const groups = new Map<string | null, { requests: number; failed: number; input: number; output: number; cost: bigint }>();
    for (const event of inRange()) {
      const sums = groups.get(keyOf(event)) ?? { requests: 0, failed: 0, input: 0, output: 0, cost: 0n };
      sums.requests += 1;
      sums.failed += event.status === "failed" ? 1 : 0;
      const used = event.status === "failed" ? 0 : 1;
      sums.input += used * (event.tokens.input + event.tokens.cachedInput + event.tokens.cacheWrite);
      sums.output += used * (event.tokens.output + event.tokens.reasoning);
      sums.cost += costs.get(event.id)!;
      groups.set(keyOf(event), sums);
    }
    return [...groups].map(([key, { requests, failed, input, output, cost }]) => ({
      key,
      requests,
      failed,
      input_tokens: input,
      output_tokens: output,
      cost: cost.toString(),
    }));
  }

  const plain = (items: Item[]) =>
    items.map(({ key, requests, failed, input_tokens, output_tokens, cost }) => ({
      key,
      requests,
      failed,
      input_tokens,
      output_tokens,
      cost: parseCredits(cost)!.toString(),
    }));
  const ask = async (query: string) => {
    const answer = await api.get<Sums>(`/api/user/usage/stats?from=${FROM}&to=${TO}&${query}`, owner);
    expect(answer.status, JSON.stringify(answer.error)).to.equal(200);
    return answer.data;
  };

  for (const zone of ZONES) {
    it(`by day and by hour are those of the clocks in ${zone}, to the last call`, async () => {
      const days = await ask(`group_by=day&time_zone=${zone}`);
      expect(plain(days.items)).to.deep.equal(await bruteForce(({ startedAt }) => dateIn(zone, startedAt)));
      const hours = await ask(`group_by=hour&time_zone=${zone}`);
      expect(plain(hours.items)).to.deep.equal(await bruteForce(({ startedAt }) => hourIn(zone, startedAt)));
    });
  }

  it("by model and by key begin with the dearest, with the names of keys, and have the same totals", async () => {
    const models = await ask("group_by=model");
    expect(plain(models.items)).to.have.deep.members(await bruteForce(({ model }) => model));
    expect(models.items.map(({ key }) => key)).to.deep.equal(["test-model", "model-b"]);
    const byKey = await ask("group_by=key");
    expect(plain(byKey.items)).to.have.deep.members(await bruteForce(({ keyId }) => keyId));
    const named = byKey.items.find(({ key }) => key === keys[0]) as unknown as { name: string };
    expect(named.name).to.equal("batch");
    const { key: _, ...total } = (await bruteForce(() => null))[0]!;
    for (const { totals } of [models, byKey, await ask("group_by=day")]) {
      expect(totals).to.include({ requests: total.requests, failed: total.failed, input_tokens: total.input_tokens });
      expect(parseCredits(totals.cost)!.toString()).to.equal(total.cost);
    }
    const one = await ask(`group_by=model&key=${keys[1]}&model=MODEL-B`);
    expect(one.items.map(({ key }) => key)).to.deep.equal(["model-b"]);
  });

  it("of 1500 tokens in and 800 out say 93, and nothing of anybody else", async () => {
    const ada = await api.rig.wallet(1_000);
    await api.settle([[ada]]);
    for (const group of ["day", "hour", "model", "key"]) {
      const { data } = await api.get<Sums>(`/api/user/usage/stats?group_by=${group}`, ada);
      expect(data.items, group).to.have.length(1);
      expect(data.totals, group).to.include({ requests: 1, failed: 0, input_tokens: 1_500, output_tokens: 800, cost: "93" });
    }
    const { data } = await api.get<Sums>(`/api/admin/usage/stats?group_by=user&user=${ada.userId}`, owner, "operator");
    expect(data.items[0]).to.include({ key: ada.userId, cost: "93" });
    expect((await api.get("/api/admin/usage/stats", ada)).status).to.equal(403);
  });

  it("of everybody add up what each has", async () => {
    const all = await api.get<Sums>(`/api/admin/usage/stats?from=${FROM}&to=${TO}&group_by=user`, owner, "operator");
    const mine = all.data.items.find(({ key }) => key === owner.userId);
    expect(mine).to.deep.include((await ask("group_by=day")).totals);
  });

  it("take a date for the beginning of that day in the time zone", async () => {
    const { data } = await api.get<Sums>("/api/user/usage/stats?from=2026-04-04&to=2026-04-05&time_zone=Asia/Kolkata", owner);
    expect(data).to.include({ from: "2026-04-03T18:30:00.000Z", to: "2026-04-04T18:30:00.000Z", time_zone: "Asia/Kolkata" });
    expect(data.items.map((item) => item.key)).to.deep.equal(["2026-04-04"]);
  });

  it("refuse what cannot be, naming it", async () => {
    for (const [query, field] of [
      ["group_by=week", "group_by"],
      ["time_zone=Mars/Olympus", "time_zone"],
      ["from=2026-04-04&to=2026-04-04", "to"],
      ["from=2026-01-01&to=2026-03-01&group_by=hour", "from"],
      ["from=1999-01-01", "from"],
      ["from=yesterday", "from"],
      ["user=x", "user"],
    ] as const) {
      const { status, error } = await api.get(`/api/user/usage/stats?${query}`, owner);
      expect(status, query).to.equal(400);
      expect(JSON.stringify(error?.details), query).to.contain(`"${field}"`);
    }
  });
});
