import { proveLedger, type Person, type Product } from "../../support/people.ts";
import { product } from "../../support/stack.ts";
import { AREAS, type Case } from "./cases/index.ts";
import { inTurns } from "./inTurns.ts";
import { judge } from "./judge.ts";
import type { Driver, Seen } from "./seen.ts";
import { setUp, type Staged } from "./stage.ts";

const AT_ONCE = 6;

/**
 * Registers every case that `drive` knows for the official clients of one language. All requests are made before the first test, many at
 * a time; each test judges one.
 */
export function describeLanguage(language: string, drive: Driver, knows: (one: Case) => boolean = () => true): void {
  const areas = Object.entries(AREAS)
    .map(([area, cases]) => [area, cases.filter(knows)] as const)
    .filter(([, cases]) => cases.length > 0);
  describe(`the official clients for ${language}`, () => {
    let at: Product;
    let admin: Person;
    const staged = new Map<Case, Staged>();
    let seen: Map<string, Seen>;

    before(async function () {
      this.timeout(600_000);
      at = await product();
      const set = await setUp(at);
      ({ admin } = set);
      // What is prepared last is asked first: requests of the last minute, say, do not stay that for long.
      const cases = areas.flatMap(([, known]) => known).sort((a, b) => Number(a.before !== undefined) - Number(b.before !== undefined));
      for (const one of await inTurns(cases, AT_ONCE, set.stage)) staged.set(one.one, one);
      seen = await drive([...staged.values()].map(({ task }) => task).reverse());
    });

    for (const [area, cases] of areas) {
      describe(area, () => {
        for (const one of cases) {
          it(`${one.client}: ${one.name}`, () => {
            const its = staged.get(one)!;
            return judge(at, its, seen.get(its.task.id)!);
          });
        }
      });
    }

    describe("afterwards", () => {
      it("the ledger is proven", () => proveLedger(admin));
    });
  });
}
