import { expect } from "chai";
import { appError } from "../../../src/platform/errors.ts";
import { isolating } from "../../../src/usage/dify/isolate.ts";

const sqlError = (code: string) => Object.assign(new Error(`error ${code}`), { code });

/** Runs `size` items of which some fail their batch; what each was answered, and how many times a batch was run. */
async function play(size: number, fails: (n: number) => Error | undefined): Promise<{ answers: (string | Error)[]; runs: number }> {
  let runs = 0;
  const answers = await isolating<number, string>(
    Array.from({ length: size }, (_, n) => n),
    async (items) => {
      runs += 1;
      for (const n of items) {
        const error = fails(n);
        if (error) throw error;
      }
      return items.map((n) => `done ${n}`);
    },
    async (n, error) => `aside ${n}: ${error.message}`,
  );
  return { answers, runs };
}

describe("a batch with one that cannot be done", () => {
  for (const [what, error] of [
    ["a number out of range", sqlError("22003")],
    ["a constraint", sqlError("23514")],
    ["what a function refuses", sqlError("P0002")],
    ["a range error", new RangeError("too large")],
    ["a fault of our own code", new TypeError("undefined is not a function")],
    ["a refusal of ours", appError("internal_error", { message: "recorded and not settled" })],
  ] as const) {
    it(`puts it aside alone, for ${what}, in few runs, and does the others in their order`, async () => {
      for (const bad of [[0], [137], [199], [5, 6, 150]]) {
        const { answers, runs } = await play(200, (n) => (bad.includes(n) ? error : undefined));
        expect(answers).to.deep.equal(
          Array.from({ length: 200 }, (_, n) => (bad.includes(n) ? `aside ${n}: ${error.message}` : `done ${n}`)),
        );
        expect(runs).to.be.at.most(1 + 17 * bad.length);
      }
    });
  }

  it("fails as a whole, at once, when it is nobody's fault", async () => {
    for (const error of [sqlError("42P01"), sqlError("53100"), appError("unavailable")]) {
      const { answers, runs } = await play(200, () => error);
      expect([new Set(answers), runs]).to.deep.equal([new Set([error]), 1]);
    }
  });

  it("is run again when Postgres chose it to give way or its connection went, and fails after a few", async () => {
    for (const code of ["40P01", "40001", "ECONNRESET", "57P01"]) {
      let left = 2;
      const twice = await play(10, () => (left-- > 0 ? sqlError(code) : undefined));
      expect(twice.answers[9]).to.equal("done 9");
      const always = await play(10, () => sqlError(code));
      expect(always.answers.every((answer) => answer instanceof Error)).to.equal(true);
      expect(always.runs).to.equal(4);
    }
  });

  it("answers an error for one that cannot even be put aside", async () => {
    const answers = await isolating<number, string>(
      [1, 2],
      async (items) => {
        if (items.includes(1)) throw sqlError("22000");
        return items.map(String);
      },
      () => Promise.reject(new Error("no room")),
    );
    expect(answers.map((answer) => (answer instanceof Error ? answer.message : answer))).to.deep.equal(["no room", "2"]);
  });
});
