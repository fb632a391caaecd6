import { parse } from "csv-parse/sync";
import { expect } from "chai";
import { eventsOf, openStream, type Stream } from "../integration/monitor/client.ts";
import { customer, operator, pricedModel, proveLedger, request, settledBalance, type Person } from "../support/people.ts";
import { product, waitFor, type Product } from "../support/stack.ts";
import { APP, everyPath, type Path } from "./everyPath.support.ts";

type Item = Record<string, string | number | null>;
interface List {
  items: Item[];
  totals: Item;
  total: number;
}

const CREDITS = 2_000;

/** One person, and the same message of 1500 and 800 tokens at 30 and 60 by every path there is. */
describe("1500 and 800 tokens, by whatever path they come, are 93 points", function () {
  this.timeout(120_000);
  let at: Product;
  let admin: Person;
  let ada: Person & { key: string };
  let keys: { id: string; key: string }[];
  let model: string;
  let paths: Path[];
  let monitor: Stream;
  /** What all of them cost, and what is left. */
  let spent: string;
  let left: string;

  before(async () => {
    at = await product();
    admin = await operator(at);
    model = await pricedModel(admin, at.upstream);
    ada = await customer(at, admin, { credits: String(CREDITS) });
    const limits = { spend_daily: "1000" };
    const make = (name: string, models: string[]) => ada.post<{ id: string; key: string }>("/api/user/keys", { name, models, limits });
    keys = [await make("chat", [model]), await make("app", [APP])];
    paths = await everyPath(at, admin, { id: ada.id, key: keys[0]!.key, appKey: keys[1]!.key, model });
    spent = String(93 * paths.length);
    left = String(CREDITS - 93 * paths.length);
    monitor = await openStream(`${at.api}/api/admin/monitor/stream?user=${ada.id}`, { token: admin.token });
    await waitFor(() => monitor.messages.length > 0, { message: "the monitor's first words" });
  });
  after(async () => {
    monitor?.close();
    await proveLedger(admin);
  });

  const tokens = { input_tokens: 1_500, output_tokens: 800 };
  const each = (amount: string) => paths.map(() => amount);
  const column = ({ items }: Pick<List, "items">, name: string) => items.map((item) => item[name]);
  const callsOf = (name: string) => paths.filter((path) => path.model === name).length;

  it("before they are used: estimate, balance check, calculator", async () => {
    for (const name of [model, APP]) {
      const asked = `model=${name}&input_tokens=1500&output_tokens=800`;
      const before = { estimated_cost: "93", points: "93" };
      expect(await ada.get<Item>(`/api/user/points/estimate?${asked}`), `estimate of ${name}`).to.include(before);
      const check = { model: name, estimated_input_tokens: 1_500, estimated_output_tokens: 800 };
      expect(await ada.post<Item>("/api/user/points/check-balance", check), `check of ${name}`).to.include({
        estimated_cost: "93",
        estimatedCost: "93",
        balance: String(CREDITS),
        can_proceed: true,
      });
      const items = [{ model: name, ...tokens }];
      expect(await admin.post<Item>("/api/admin/points/calculate", { items }), `calculator for ${name}`).to.include({ total: "93" });
    }
    const prices = await request<List>(at.api, "GET", `/api/models/${model}/prices`);
    expect(prices.body.data.items[0]).to.include({ version: 1, input_price: "30", output_price: "60" });
  });

  it("in the answer, where it names them, and each is charged once", async () => {
    const named: Record<string, number | null> = {};
    for (const { name, send } of paths) {
      const points = await send();
      named[name] = points === null ? null : Number(points);
    }
    const streamed = (name: string) => name.includes("stream");
    expect(named).to.deep.equal(Object.fromEntries(paths.map(({ name }) => [name, streamed(name) ? null : 93])));
    await waitFor(
      async () => column(await ada.get<List>("/api/user/usage"), "cost").filter((cost) => cost === "93").length === paths.length,
    );
    expect(await settledBalance(ada)).to.include({ available: left, total: left });
  });

  it("in the list of calls, history, transactions and bills", async () => {
    const usage = await ada.get<List>("/api/user/usage");
    expect(column(usage, "cost"), "usage").to.deep.equal(each("93"));
    for (const item of usage.items) expect(item, String(item["route"])).to.include(tokens);
    expect(usage.items.map((item) => [item["model"], item["route"]])).to.deep.equal(
      paths.map((path) => [path.model, path.route]).toReversed(),
    );
    for (const path of ["/api/user/points/history", "/api/user/transactions"]) {
      const history = await ada.get<List>(`${path}?type=CONSUMPTION`);
      expect(column(history, "amount"), path).to.deep.equal(each("-93"));
      expect(column(history, "balance_after").map(Number), path).to.have.members(paths.map((_, n) => CREDITS - 93 * (n + 1)));
    }
    const bills = await ada.get<List>("/api/user/billing?type=consumption");
    expect(column(bills, "credits"), "bills").to.deep.equal(each("93"));
    for (const { id } of bills.items) {
      expect(await ada.get<Item>(`/api/user/billing/${id}`), "a bill").to.include({ credits: "93", paid: "93", status: "completed" });
    }
    const { by_type: byType } = await ada.get<{ by_type: Item[] }>("/api/user/billing/stats");
    expect(
      byType.find(({ type }) => type === "consumption"),
      "sums of bills",
    ).to.include({ count: paths.length, credits: spent });
  });

  it("in statistics, reports, the forecast, and estimates from what was used", async () => {
    for (const group of ["day", "hour", "key", "model"]) {
      const { totals } = await ada.get<List>(`/api/user/usage/stats?group_by=${group}`);
      expect(totals, `by ${group}`).to.include({
        requests: paths.length,
        input_tokens: 1_500 * paths.length,
        output_tokens: 800 * paths.length,
        cost: spent,
      });
    }
    const byModel = (await ada.get<List>("/api/user/usage/stats?group_by=model")).items;
    expect(byModel.map(({ key, cost }) => [key, cost])).to.have.deep.members(
      [model, APP].map((name) => [name, String(93 * callsOf(name))]),
    );
    expect((await ada.get<List>("/api/user/usage/report")).totals, "report").to.include({ cost: spent });
    expect(await ada.get<Item>("/api/user/usage/forecast"), "forecast").to.include({ spent });
    for (const name of [model, APP]) {
      const own = await ada.get<Item>(`/api/user/points/estimate?model=${name}`);
      expect(own, `as the own calls of ${name}`).to.include({ basis: "history", calls: callsOf(name), estimated_cost: "93" });
    }
    const { totals } = await admin.get<List>(`/api/admin/usage/stats?group_by=user&user=${ada.id}`);
    expect(totals, "operators").to.include({ cost: spent });
  });

  it("in what each key has spent, and what its limit leaves", async () => {
    for (const [n, name] of [model, APP].entries()) {
      const calls = paths.filter((path) => path.relayed && path.model === name).length;
      const cost = String(93 * calls);
      const usage = await ada.get<Record<"totals" | "today" | "month", Item> & { budgets: Item[] }>(`/api/user/keys/${keys[n]!.id}/usage`);
      for (const part of ["totals", "today", "month"] as const)
        expect(usage[part], `${part} of ${name}`).to.include({ requests: calls, cost });
      const [budget] = usage.budgets;
      expect(budget, `limit of ${name}`).to.include({ of: "key", spent: cost, held: "0", left: String(1_000 - Number(cost)) });
    }
  });

  it("in every file that is exported, also of messages of Dify", async () => {
    const csv = async (path: string, who: Person): Promise<Record<string, string>[]> => {
      const answer = await fetch(at.api + path, { headers: { authorization: `Bearer ${who.token}` } });
      expect(answer.status, path).to.equal(200);
      return parse(await answer.text(), { columns: true });
    };
    const files: [string, Person, string, string][] = [
      ["/api/user/usage/export.csv", ada, "cost", "93"],
      [`/api/admin/usage/export.csv?user=${ada.id}`, admin, "cost", "93"],
      ["/api/user/transactions/export.csv?type=CONSUMPTION", ada, "amount", "-93"],
      ["/api/user/points/history/export.csv?type=CONSUMPTION", ada, "amount", "-93"],
    ];
    for (const [path, who, name, amount] of files) {
      const rows = (await csv(path, who)).map((row) => [row["model"], row[name]]);
      expect(rows, path).to.have.deep.members(paths.map((called) => [called.model, amount]));
    }
    const report = await csv("/api/user/usage/report/export.csv", ada);
    expect(
      report.filter((row) => row["cost"] === spent),
      JSON.stringify(report),
    ).to.not.have.length(0);
  });

  it("in the live monitor, call by call", async () => {
    type Told = { kind: string; cost?: string; charged?: string; model: string };
    const told = () => eventsOf(monitor) as unknown as Told[];
    const settled = () => told().filter(({ kind }) => kind === "call.settled");
    await waitFor(() => settled().length >= paths.length, { message: "the charges" });
    expect(settled().map((event) => [event.model, event.charged])).to.have.deep.members(paths.map((path) => [path.model, "93"]));
    const ended = told().filter(({ kind }) => kind === "call.ended");
    const relayed = paths.filter((path) => path.relayed);
    expect(ended.map((event) => [event.model, event.cost])).to.have.deep.members(relayed.map((path) => [path.model, "93"]));
  });
});
