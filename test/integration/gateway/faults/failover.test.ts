import { expect } from "chai";
import { relayed } from "./askings.ts";
import { useFaults } from "./rig.ts";
import { FAULTS, outcomeOf, type Fault } from "./table.ts";
import { tryCall, type Trial } from "./trial.ts";

describe("every way a provider can fail, with another behind it", () => {
  const rig = useFaults();

  for (const asking of relayed()) {
    const faults = FAULTS.filter((fault) => (fault.only?.(asking) ?? true) && outcomeOf(fault, asking).record !== null);

    describe(asking.title, () => {
      const trials = new Map<Fault, Promise<Trial>>();

      before(() => {
        for (const fault of faults) {
          const trial = rig.onLane((lane) => tryCall(rig, lane, asking, fault, { backed: true }));
          trial.catch(() => undefined);
          trials.set(fault, trial);
        }
      });

      for (const fault of faults) {
        const { elsewhere, view, record } = outcomeOf(fault, asking);
        it(`${fault.name}: ${elsewhere ? "the other one answers" : "it stays so"}`, async () => {
          const trial = await trials.get(fault)!;
          expect(trial.asked).to.equal(1);
          expect(trial.view.kind).to.equal(elsewhere ? "answer" : typeof view === "number" ? "refused" : view);
          if (asking.format.free) return;
          expect(trial.attempts).to.deep.equal(elsewhere ? [record, null] : [record]);
          expect(trial.bill).to.include(elsewhere ? { charged: asking.full, status: "ok" } : { charged: 0n, code: record });
        });
      }
    });
  }
});
