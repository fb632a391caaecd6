import { randomUUID } from "node:crypto";
import { expect } from "chai";
import type { EventView } from "../../../src/usage/dify/inbox.ts";
import { useStack } from "../../support/stack.ts";
import { message, startDify, type DifyRig, type Page, type Person } from "./rig.ts";

const MICRO = 1_000_000n;
const WRONG = 9_999;

for (const totals of ["keep", "charge"] as const) {
  describe(`a message whose total is not the sum of its parts (${totals})`, () => {
    const places = useStack();
    let rig: DifyRig;
    before(async () => {
      rig = await startDify(places.databaseUrl, { totals });
      await rig.model("gpt-4");
    });
    afterEach(async () => expect((await rig.ledger.verify()).differences).to.deep.equal([]));
    after(() => rig.close());

    const wrong = ({ userId }: Person) => message({ user_id: userId, model_name: "gpt-4", total_tokens: WRONG });
    const total = async (who: Person) => (await rig.balance(who)).total / MICRO;
    async function kept({ userId }: Person): Promise<EventView> {
      const { body } = await rig.admin<Page<EventView>>("GET", `/api/admin/dify/events?user=${userId}`);
      expect(body.data.items).to.have.length(1);
      return body.data.items[0]!;
    }
    const incidents = async ({ userId }: Person) =>
      (await rig.pool.query("SELECT kind FROM incidents WHERE user_id = $1", [userId])).rows as { kind: string }[];

    if (totals === "charge") {
      it("is charged by its parts, and reported", async () => {
        const ada = await rig.person(1_000);
        const answer = await rig.send(wrong(ada));
        expect(answer.body.data).to.include({ pointsDeducted: 93, tokensUsed: 2_300 });
        expect(answer.body.message).to.contain("total_tokens is not the sum");
        expect(await kept(ada)).to.include({ totals_agree: false, total_tokens: WRONG, points: "93", state: "charged" });
        expect(await incidents(ada)).to.deep.equal([{ kind: "usage_disagrees" }]);
      });
      return;
    }

    it("is refused in plain words, charges nobody, and is kept and reported", async () => {
      const ada = await rig.person(1_000);
      const body = wrong(ada);
      const answer = await rig.send(body);
      expect([answer.status, answer.body.error?.code]).to.deep.equal([400, "validation_failed"]);
      expect(answer.body.message).to.contain("total_tokens is not the sum");
      expect(await rig.send(body), "a repeat").to.deep.equal(answer);
      await rig.sweep();
      expect(await total(ada)).to.equal(1_000n);
      expect(await kept(ada)).to.include({
        state: "open",
        reason: "totals_disagree",
        totals_agree: false,
        total_tokens: WRONG,
        points: null,
        deliveries: 2,
      });
      expect(await incidents(ada)).to.deep.equal([{ kind: "usage_disagrees" }]);
    });

    it("is charged once, by the right numbers, when it comes again with them, and operators see both", async () => {
      const ada = await rig.person(1_000);
      const body = { ...wrong(ada) };
      await rig.send(body);
      const right = { ...body, data: { ...body.data, total_tokens: 2_300 } };
      const answers = await Promise.all([rig.send(right), rig.send({ ...right, request_id: randomUUID() }), rig.send(right)]);
      answers.push(await rig.send(right), await rig.send(body), await rig.send({ ...body, data: { ...body.data, output_tokens: 8_499 } }));
      for (const { status, body: said } of answers) expect([status, said.data.pointsDeducted]).to.deep.equal([200, 93]);
      await rig.sweep();
      expect(await total(ada)).to.equal(907n);
      expect(await kept(ada)).to.include({ state: "charged", points: "93", total_tokens: 2_300, totals_agree: true });
      expect(await incidents(ada)).to.deep.equal([{ kind: "usage_disagrees" }]);
      const { rows } = await rig.pool.query("SELECT FROM incidents WHERE kind = 'message_differs' AND details ->> 'event' = $1", [
        (await kept(ada)).id,
      ]);
      expect(rows).not.to.have.length(0);
    });

    it("is charged once when both come at the same instant, in either order", async () => {
      for (let round = 0; round < 10; round++) {
        const ada = await rig.person(1_000);
        const body = wrong(ada);
        const both = [body, { ...body, request_id: randomUUID(), data: { ...body.data, total_tokens: 2_300 } }];
        const answers = await Promise.all((round % 2 ? both : both.reverse()).map((one) => rig.send(one)));
        expect(answers.filter(({ status }) => status === 200)).not.to.have.length(0);
        expect(await total(ada)).to.equal(907n);
        expect((await kept(ada)).state).to.equal("charged");
      }
    });

    it("is charged by the sweep when its process was lost between taking the right numbers and charging them", async () => {
      const ada = await rig.person(1_000);
      await rig.send(wrong(ada));
      const { id } = await kept(ada);
      await rig.pool.query("UPDATE dify_events SET total_tokens = 2300 WHERE id = $1", [id]);
      await rig.sweep();
      await rig.sweep();
      expect(await total(ada)).to.equal(907n);
      const refused = await rig.pool
        .query("UPDATE dify_events SET output_tokens = 1, total_tokens = 1501 WHERE id = $1", [id])
        .catch(String);
      expect(refused).to.contain("what was reported stays");
    });

    it("that another message's request id names is not charged by that one", async () => {
      const ada = await rig.person(1_000);
      const body = wrong(ada);
      await rig.send(body);
      const other = message({ user_id: ada.userId, model_name: "gpt-4", request_id: body.request_id });
      expect((await rig.send({ ...other, request_id: body.request_id })).status).to.equal(400);
      expect(await total(ada)).to.equal(1_000n);
    });

    it("is charged once, by its parts, when an operator replays it", async () => {
      const ada = await rig.person(1_000);
      const body = wrong(ada);
      await rig.send(body);
      const { id } = await kept(ada);
      const replayed = await rig.admin("POST", `/api/admin/dify/events/${id}/replay`, {});
      expect(replayed.body.data).to.include({ state: "charged", points: "93" });
      const answer = await rig.send(body);
      expect(answer.body.data).to.include({ pointsDeducted: 93, tokensUsed: 2_300 });
      expect((await rig.admin("POST", `/api/admin/dify/events/${id}/replay`, {})).status).to.equal(409);
      expect(await total(ada)).to.equal(907n);
    });

    it("is charged with others of its kind when an operator replays these, and not with those of another", async () => {
      const [ada, eve] = [await rig.person(1_000), await rig.person(1_000)];
      await rig.send(wrong(ada));
      await rig.send({ ...message({ user_id: eve.userId, model_name: "not-yet" }) });
      await rig.admin("POST", "/api/admin/dify/events/replay", { reason: "model_not_found" });
      await rig.admin("POST", "/api/admin/dify/events/replay", {});
      expect(await total(ada)).to.equal(1_000n);
      await rig.admin("POST", "/api/admin/dify/events/replay", { reason: "totals_disagree" });
      expect([await total(ada), await total(eve)]).to.deep.equal([907n, 1_000n]);
    });

    it("costs nothing for ever when an operator closes it without a charge", async () => {
      const ada = await rig.person(1_000);
      await rig.send(wrong(ada));
      const { id } = await kept(ada);
      await rig.admin("POST", `/api/admin/dify/events/${id}/resolve`, { note: "a fault of the app" });
      expect(await kept(ada)).to.include({ state: "dismissed", reason: "totals_disagree" });
      expect(await total(ada)).to.equal(1_000n);
    });
  });
}
