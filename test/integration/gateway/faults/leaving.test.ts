import { expect } from "chai";
import { tokensOf } from "../../../../dev/upstream/content/tokens.ts";
import { waitFor } from "../../../support/stack.ts";
import { relayed, type Asking } from "./askings.ts";
import { useFaults, type Lane } from "./rig.ts";
import { tryCall, type Trial } from "./trial.ts";
import { viewOf } from "./view.ts";

const PIECES = 3;

describe("a client that leaves, on every route", () => {
  const rig = useFaults();

  /** Leaves when the provider has been asked. */
  async function leaveEarly(lane: Lane, asking: Asking, tell: string): Promise<Trial> {
    const leave = new AbortController();
    await lane.told.reset();
    // One that has to be told to stop is listened to until it says how.
    const short = asking.speaks === "dify" ? "first_byte_ms" : undefined;
    const trial = tryCall(rig, lane, asking, { tell, short }, { call: { signal: leave.signal } });
    await waitFor(async () => (await lane.told.calls()).length === 1, { timeoutMs: 5_000, message: "the provider's request" });
    leave.abort();
    return trial;
  }

  /** Leaves when so many words have come, or anything of what is no words. */
  const leaveLate = (lane: Lane, asking: Asking, tell: string): Promise<Trial> => {
    const enough = (text: string): boolean =>
      viewOf(asking, { status: 200, headers: {}, bytes: Buffer.alloc(0), pieces: [], text, broken: false }).said.split(" ").length >
      (asking.words ? PIECES : 0);
    return tryCall(rig, lane, asking, { tell }, { call: { leave: enough } });
  };

  /** Some providers are told to stop beside that. */
  const wasLeft = async (lane: Lane): Promise<boolean> =>
    (await lane.told.calls()).every((call) => call.aborted || call.path.endsWith("/stop"));

  const expectNothing = (asking: Asking, { bill, event }: Trial): void => {
    expect(bill.charged).to.equal(0n);
    if (asking.format.free) expect(event).to.equal(undefined);
    else expect(event).to.deep.include({ status: "client_gone", output_tokens: 0n });
  };

  for (const asking of relayed()) {
    describe(asking.title, () => {
      it("before anything came: nothing is charged and the provider is told to stop", async () => {
        const { trial, aborted } = await rig.onLane(async (lane) => {
          const done = await leaveEarly(lane, asking, "[[fault:hang]]");
          return { trial: done, aborted: await wasLeft(lane) };
        });
        expectNothing(asking, trial);
        expect(aborted).to.equal(true);
      });

      it("before the first content: nothing is charged", async () => {
        expectNothing(asking, await rig.onLane((lane) => leaveEarly(lane, asking, "[[fault:silent after=0]]")));
      });

      if (asking.answer === "stream") {
        it("later: the prompt and what was delivered is charged, and the provider is told to stop", async () => {
          const { trial, aborted } = await rig.onLane(async (lane) => {
            const done = await leaveLate(lane, asking, `[[fault:silent after=${PIECES}]]`);
            return { trial: done, aborted: await wasLeft(lane) };
          });
          const { bill, view } = trial;
          const event = trial.event!;
          expect(aborted).to.equal(true);
          expect(bill).to.include({ status: "client_gone", estimated: true });
          if (asking.words) expect(Number(event.output_tokens)).to.equal(tokensOf(view.said));
          else expect(Number(event.output_tokens)).to.be.within(1, asking.rule);
          // Anthropic says what the prompt was before it answers.
          if (asking.speaks === "claude") expect(event.input_tokens).to.equal(1_500n);
          else {
            // What an app of Dify's adds to a prompt only Dify sees.
            const added = asking.speaks === "dify" ? 2_000 : 0;
            expect(Number(event.input_tokens)).to.be.within(added + 1, added + 30 + asking.pictures * 1_600);
          }
          expect(bill.charged).to.equal(event.input_tokens * 30_000n + event.output_tokens * 60_000n);
        });
      }

      if (asking.gathered) {
        it("later: what was made until then is charged, for it can be read, and the provider is told to stop", async () => {
          const { trial, aborted } = await rig.onLane(async (lane) => {
            const leave = new AbortController();
            await lane.told.reset();
            const call = tryCall(rig, lane, asking, { tell: `[[fault:silent after=${PIECES}]]` }, { call: { signal: leave.signal } });
            await waitFor(async () => (await lane.told.calls())[0]?.chunks === PIECES, { timeoutMs: 5_000, message: "the first words" });
            leave.abort();
            const done = await call;
            return { trial: done, aborted: (await lane.told.calls()).some(({ path }) => path.endsWith("/stop")) && (await wasLeft(lane)) };
          });
          const event = trial.event!;
          expect(aborted).to.equal(true);
          expect(trial.bill).to.include({ status: "client_gone", estimated: true });
          expect(Number(event.output_tokens)).to.be.at.least(PIECES);
          expect(trial.bill.charged).to.equal(event.input_tokens * 30_000n + event.output_tokens * 60_000n);
        });
      }

      if (asking.answer === "bytes") {
        // Bytes leave no place to look for the client: its absence shows when the next ones come.
        it("later: what was asked for is charged, and the provider is told to stop", async () => {
          const { trial, aborted } = await rig.onLane(async (lane) => {
            const done = await leaveLate(lane, asking, "[[chunks:80]] [[pace:30ms]]");
            return { trial: done, aborted: await wasLeft(lane) };
          });
          expect(trial.bill).to.include({ status: "client_gone", charged: asking.full });
          expect(aborted).to.equal(true);
        });
      }

      if (asking.answer === "stream" && asking.speaks === "openai" && asking.format.route.endsWith("/chat/completions")) {
        it("later, and the provider has counted: its count is charged", async () => {
          const trial = await rig.onLane((lane) => leaveLate(lane, asking, `[[fault:usage_every_chunk]] [[fault:silent after=${PIECES}]]`));
          expect(trial.bill).to.include({ status: "client_gone", estimated: false });
          expect(trial.event).to.deep.include({ input_tokens: 1_500n, output_tokens: 300n });
        });
      }
    });
  }
});
