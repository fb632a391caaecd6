import { expect } from "chai";
import { decide, STATES, type Action, type State } from "../../../src/render/states.ts";
import { useStack } from "../../support/stack.ts";
import { prove, startRig, type Person, type Rig, type Task } from "./rig.ts";

const ASKED = ["pause", "resume", "cancel", "remove"] as const satisfies readonly Action[];
/** Where each action that is allowed leads, as the next answer says. */
const LEADS: Record<(typeof ASKED)[number], State[]> = {
  pause: ["paused"],
  resume: ["queued", "preparing", "rendering"],
  cancel: ["cancelled"],
  remove: [],
};

describe("every state with everything that may be asked, over HTTP", function () {
  this.timeout(90_000);
  const places = useStack({ namespace: true });
  let rig: Rig;
  let ada: Person;

  before(async () => {
    rig = await startRig({ places });
    ada = await rig.person("1000", { render_tasks: 1_000 });
  });
  after(async () => {
    await prove(rig);
    await rig.close();
  });

  /** A task in this state of which no workflow knows, as one that Temporal has lost. */
  async function taskIn(state: State): Promise<{ id: string }> {
    const over = ["completed", "failed", "cancelled"].includes(state);
    const { rows } = await rig.pool.query<{ id: string; hold: string }>(
      `INSERT INTO render_tasks (id, user_id, wallet_id, name, engine, settings, frame_start, frame_end, frame_step, width, height, samples,
         output_format, priority, parallel, state, price_id, frame_seconds, frame_estimate, estimated_cost, hold_id, total_frames, ended_at)
       SELECT gen_random_uuid(), $1, $2, 'A kettle', 'simulate', '{"seconds_per_frame": 60}', 1, 2, 1, 64, 36, 1, 'png', 'normal', 1, $3,
         (SELECT min(id) FROM render_prices WHERE engine = 'simulate'), 60, 10000, 20000, CASE WHEN $4 THEN NULL ELSE gen_random_uuid() END, 2,
         CASE WHEN $4 THEN now() END
       RETURNING id, hold_id AS hold`,
      [ada.id, ada.walletId, state, over],
    );
    const { id, hold } = rows[0]!;
    if (hold) await rig.ledger.authorize({ id: hold, walletId: ada.walletId, amount: 20_000n, owner: `render:${id}`, ttlMs: 60_000 });
    return { id };
  }

  for (const state of STATES) {
    for (const action of ASKED) {
      const outcome = decide(state, action);
      it(`${action} while ${state}: ${outcome.kind === "refused" ? "409" : "200"}`, async () => {
        const task = await taskIn(state);
        const answer = await (action === "remove"
          ? ada.call<Task>("DELETE", `/api/tasks/${task.id}`)
          : ada.call<Task>("POST", `/api/tasks/${task.id}/${action}`));
        if (outcome.kind === "refused") {
          expect([answer.status, answer.error.code, answer.message]).to.deep.equal([409, "invalid_state", outcome.why]);
          expect((await ada.read(task)).status).to.equal(state);
          // Nothing is to be left under way.
          if (!["completed", "failed", "cancelled"].includes(state)) await ada.call("POST", `/api/tasks/${task.id}/cancel`);
        } else {
          expect(answer.status).to.equal(200);
          if (action !== "remove") expect(answer.data.status).to.be.oneOf(LEADS[action]);
          else expect((await ada.call("GET", `/api/tasks/${task.id}`)).status).to.equal(404);
          if (action === "pause" || action === "resume") await ada.call("POST", `/api/tasks/${task.id}/cancel`);
        }
      });
    }
  }

  it("what was held for them is free again", async () => {
    expect((await ada.balance()).held).to.equal("0");
  });
});
