import { expect } from "chai";
import { ACTIONS, decide, isOver, numberOf, STATES, stateOf, type Action, type State } from "../../../src/render/states.ts";

/** Every state with every action, by hand: where it leads, `same` for a repeated step, `go` for a removal, `no` for a refusal. */
const TABLE: Record<State, Record<Action, State | "same" | "go" | "no">> = {
  pending: {
    queue: "queued",
    prepare: "no",
    render: "no",
    pause: "no",
    resume: "no",
    complete: "no",
    fail: "failed",
    cancel: "cancelled",
    remove: "no",
  },
  queued: {
    queue: "same",
    prepare: "preparing",
    render: "no",
    pause: "paused",
    resume: "no",
    complete: "no",
    fail: "failed",
    cancel: "cancelled",
    remove: "no",
  },
  preparing: {
    queue: "no",
    prepare: "same",
    render: "rendering",
    pause: "paused",
    resume: "no",
    complete: "no",
    fail: "failed",
    cancel: "cancelled",
    remove: "no",
  },
  rendering: {
    queue: "no",
    prepare: "no",
    render: "same",
    pause: "paused",
    resume: "no",
    complete: "completed",
    fail: "failed",
    cancel: "cancelled",
    remove: "no",
  },
  paused: {
    queue: "no",
    prepare: "no",
    render: "no",
    pause: "no",
    resume: "queued",
    complete: "completed",
    fail: "failed",
    cancel: "cancelled",
    remove: "no",
  },
  completed: {
    queue: "no",
    prepare: "no",
    render: "no",
    pause: "no",
    resume: "no",
    complete: "same",
    fail: "no",
    cancel: "no",
    remove: "go",
  },
  failed: { queue: "no", prepare: "no", render: "no", pause: "no", resume: "no", complete: "no", fail: "same", cancel: "no", remove: "go" },
  cancelled: {
    queue: "no",
    prepare: "no",
    render: "no",
    pause: "no",
    resume: "no",
    complete: "no",
    fail: "no",
    cancel: "no",
    remove: "go",
  },
};

describe("the states of a render task", () => {
  for (const state of STATES) {
    for (const action of ACTIONS) {
      const expected = TABLE[state][action];
      it(`${action} while ${state}: ${expected}`, () => {
        const outcome = decide(state, action);
        if (expected === "no") {
          expect(outcome.kind).to.equal("refused");
          expect(outcome.kind === "refused" && outcome.why, "it says why").to.contain(
            state === "pending" && action === "pause" ? "queued" : state,
          );
        } else if (expected === "same") expect(outcome).to.deep.equal({ kind: "same" });
        else if (expected === "go") expect(outcome).to.deep.equal({ kind: "removable" });
        else expect(outcome).to.deep.equal({ kind: "moved", to: expected });
      });
    }
  }

  it("nothing leads out of the three last ones", () => {
    const over = STATES.filter(isOver);
    expect(over).to.deep.equal(["completed", "failed", "cancelled"]);
    for (const state of over) for (const action of ACTIONS) expect(decide(state, action).kind).to.not.equal("moved");
  });

  it("have the numbers 0 to 7 in their order", () => {
    expect(STATES.map(numberOf)).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7]);
    for (const state of STATES) {
      expect(stateOf(state)).to.equal(state);
      expect(stateOf(String(numberOf(state)))).to.equal(state);
    }
    expect(stateOf("8")).to.equal(undefined);
    expect(stateOf("done")).to.equal(undefined);
  });
});
