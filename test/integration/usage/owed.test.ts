import { expect } from "chai";
import { formatCredits, MICRO, parseCredits } from "../../../src/platform/credits.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { REPORTED } from "../../../src/usage/event.ts";
import { useStack } from "../../support/stack.ts";
import { startUsageApi, type Owner, type UsageApi } from "./api.ts";

interface Bill {
  id: string;
  credits: string;
  paid: string;
  status: string;
}

interface Item {
  amount: string;
  shortfall: string | null;
  call: { id: string } | null;
}

interface Stats {
  by_type: { type: string; count: number; credits: string }[];
  by_month: { type: string; credits: string }[];
}

describe("a charge that the wallet cannot pay in full", () => {
  const places = useStack();
  let api: UsageApi;
  before(async () => {
    api = await startUsageApi({ databaseUrl: places.databaseUrl });
  });
  after(() => api.close());

  const sum = (amounts: string[]) => formatCredits(amounts.reduce((total, amount) => total + parseCredits(amount, { signed: true })!, 0n));
  const less = (amount: string) => formatCredits(-parseCredits(amount)!);
  const pay = (owner: Owner, credits: number) =>
    api.rig.ledger.credit(api.rig.pool, {
      id: `test:${uuidv7()}`,
      walletId: owner.walletId,
      amount: BigInt(credits) * MICRO,
      from: "adjustments",
      source: "admin",
      type: "ADMIN",
      description: "test",
    });

  /** What was charged, as each place shows it. */
  async function shown(owner: Owner, filter = "") {
    const items = (await api.get<{ items: Item[] }>(`/api/user/transactions?type=CONSUMPTION${filter}`, owner)).data.items;
    const csv = (await api.text(`/api/user/transactions/export.csv?type=CONSUMPTION${filter}`, owner)).body.trim().split("\r\n");
    const amount = csv[0]!.split(",").indexOf("amount");
    const bills = (await api.get<{ items: Bill[] }>("/api/user/billing?type=consumption", owner)).data.items;
    const stats = (await api.get<Stats>("/api/user/billing/stats", owner)).data.by_type;
    const consumption = stats.find(({ type }) => type === "consumption");
    const month = (await api.get<Stats>("/api/user/billing/stats", owner)).data.by_month;
    return {
      history: sum(items.map((item) => item.amount)),
      csv: sum(csv.slice(1).map((line) => line.split(",")[amount]!)),
      bills: less(sum(bills.map(({ paid }) => paid))),
      stats: less(consumption?.credits ?? "0"),
      months: less(sum(month.filter(({ type }) => type === "consumption").map(({ credits }) => credits))),
    };
  }
  const all = (amount: string) => ({ history: amount, csv: amount, bills: amount, stats: amount, months: amount });

  it("is shown alike in bills, history, CSV and sums while it is owed, when a part of it is paid, and when all is", async () => {
    const ada = await api.rig.wallet(40);
    const [id] = await api.settle([[ada, { route: REPORTED }, 0]]);
    const bills = async () => (await api.get<{ items: Bill[] }>("/api/user/billing?type=consumption", ada)).data.items;
    const states = async () => (await bills()).map(({ credits, paid, status }) => [credits, paid, status]);
    expect(await states()).to.deep.equal([
      ["53", "0", "pending"],
      ["40", "40", "completed"],
    ]);
    expect(await shown(ada)).to.deep.equal(all("-40"));
    await pay(ada, 20);
    expect(await states()).to.deep.equal([
      ["53", "20", "pending"],
      ["40", "40", "completed"],
    ]);
    expect(await shown(ada)).to.deep.equal(all("-60"));
    await pay(ada, 100);
    expect(await states()).to.deep.equal([
      ["53", "53", "completed"],
      ["40", "40", "completed"],
    ]);
    expect(await shown(ada)).to.deep.equal(all("-93"));
    expect(await shown(ada, "&model=TEST-model"), "by its model").to.deep.equal(all("-93"));
    const { by_type } = (await api.get<Stats>("/api/user/billing/stats", ada)).data;
    expect(by_type).to.deep.include({ type: "consumption", count: 2, amount: "9.30", credits: "93" });
    const items = (await api.get<{ items: Item[] }>("/api/user/transactions?model=test-model", ada)).data.items;
    expect(items.map(({ amount, shortfall, call }) => [amount, shortfall, call?.id])).to.deep.equal([
      ["-33", null, id],
      ["-20", null, id],
      ["0", "53", id],
      ["-40", null, id],
    ]);
    expect((await api.get<{ totals: { cost: string } }>("/api/user/usage/stats?group_by=model", ada)).data.totals.cost).to.equal("93");
  });
});
