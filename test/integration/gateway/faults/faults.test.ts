import { expect } from "chai";
import { tokensOf } from "../../../../dev/upstream/content/tokens.ts";
import { FORMATS } from "../../../../src/gateway/formats/index.ts";
import { askings, readSample, relayed, samplesOf, type Asking } from "./askings.ts";
import { useFaults } from "./rig.ts";
import { FAULTS, outcomeOf, type Fault, type Outcome } from "./table.ts";
import { told, tryCall, type Trial } from "./trial.ts";
import { isReadable, type View } from "./view.ts";

/** What must never reach a client: where a provider is, its account, our key there. */
const SECRET = /127\.0\.0\.1|upstream-key|demo-organization/;
const VENDOR_HEADERS = [
  "set-cookie",
  "cf-ray",
  "openai-organization",
  "openai-processing-ms",
  "anthropic-organization-id",
  "x-demo-filler",
];

const titleOf = (fault: Fault, { view, code, charge }: Outcome): string =>
  `${fault.name}: ${view}${code ? ` ${code}` : ""}, charged ${charge}`;

describe("every way a provider can end a call, on every route", () => {
  const rig = useFaults();

  it("no format is left out, nor a kind of answer that it has", async () => {
    for (const format of FORMATS) {
      const samples = samplesOf(format);
      expect(samples, format.route).to.not.be.empty;
      const answers: string[] = [];
      for (const sample of samples) {
        const read = await readSample(format, sample);
        answers.push(read.ok ? read.request.answer : read.failure.message);
      }
      expect(answers, format.route).to.deep.equal(
        askings([format])
          .slice(0, samples.length)
          .map(({ answer }) => answer),
      );
      const streaming = await readSample(format, { ...samples[0]!, body: { ...samples[0]!.body, stream: true } });
      if (streaming.ok) expect(answers, format.route).to.include(streaming.request.answer);
    }
    expect(
      askings()
        .filter((asking) => !isReadable(asking))
        .map(({ title }) => title),
    ).to.deep.equal([]);
  });

  for (const asking of askings().filter(({ local }) => local)) {
    it(`${asking.title}: is answered whatever the provider does`, async () => {
      const { asked, view, bill } = await rig.onLane((lane) => tryCall(rig, lane, asking, { tell: "[[fault:dead]]" }));
      expect([asked, view.kind, bill.charged]).to.deep.equal([0, "answer", 0n]);
    });
  }

  for (const asking of relayed()) {
    const faults = FAULTS.filter((fault) => fault.only?.(asking) ?? true);
    const [healthy] = faults;

    describe(asking.title, () => {
      const trials = new Map<Fault, Promise<Trial>>();

      before(() => {
        for (const fault of faults) {
          const trial = rig.onLane((lane) => tryCall(rig, lane, asking, fault));
          // Its own test says what went wrong.
          trial.catch(() => undefined);
          trials.set(fault, trial);
        }
      });

      for (const fault of faults) {
        const outcome = outcomeOf(fault, asking);
        it(titleOf(fault, outcome), async () => {
          const usual = (await trials.get(healthy!)!).view.said;
          const trial = await trials.get(fault)!;
          checkView(asking, trial.view, outcome, fault, usual);
          checkAnswer(trial, fault);
          checkBill(asking, trial, outcome);
          if (fault.incident) await told(rig, trial, fault.incident);
        });
      }
    });
  }
});

function checkView(asking: Asking, view: View, { view: expected, code }: Outcome, { says }: Fault, usual: string): void {
  const about = `${view.kind} ${view.code ?? ""} ${view.message}`;
  if (typeof expected === "number") expect([view.kind, view.status], about).to.deep.equal(["refused", expected]);
  else expect([view.kind, view.status], about).to.deep.equal([expected, 200]);
  if (code) expect(view.code).to.equal(code);
  if (typeof expected === "number") return;
  expect(view.said).to.not.equal("");
  if (says) expect(view.said).to.match(says);
  // Bytes and text show no end: what is cut short or goes on is an answer too.
  else if (expected === "answer" && /bytes|text/.test(asking.sample.answers)) {
    expect(usual.startsWith(view.said) || view.said.startsWith(usual)).to.equal(true);
  } else if (expected === "answer") expect(view.said).to.equal(usual);
  else expect(usual.startsWith(view.said)).to.equal(true);
}

function checkAnswer({ answer: { text, headers } }: Trial, { header }: Fault): void {
  expect(text).to.not.match(SECRET);
  for (const name of VENDOR_HEADERS) expect(headers).to.not.have.property(name);
  if (header) expect(headers[header]).to.be.oneOf(["7", "false"]);
}

function checkBill(asking: Asking, { bill, event, held, view, asked }: Trial, { charge, record }: Outcome): void {
  expect(asked).to.equal(1);
  if (asking.format.free) {
    expect([bill.charged, held, event]).to.deep.equal([0n, 0n, undefined]);
    return;
  }
  expect(bill).to.include({ code: record, status: record === null ? "ok" : "failed" });
  if (charge === "nothing") expect(bill.charged).to.equal(0n);
  else if (charge === "capped" && asking.speaks === "dify") {
    // Nobody can tell an app how much it may use: all that the wallet had is charged, and the rest is owed.
    expect(event!.input_tokens + event!.output_tokens > 0n && bill.charged > mostCharged(held)).to.equal(true);
  } else if (charge === "capped") expect(bill.charged).to.equal(mostCharged(held));
  // Where nobody counts tokens every answer costs the same.
  else if (charge === "full" || !asking.counts) expect(bill).to.include({ charged: asking.full, estimated: false });
  else {
    expect(Number(event!.output_tokens)).to.equal(asking.words ? tokensOf(view.said) : asking.rule);
    if (charge === "output counted") expect(event!.input_tokens).to.equal(1_500n);
    else expect(Number(event!.input_tokens)).to.be.within(1, 30 + asking.pictures * 1_600);
    expect(bill).to.include({ estimated: true, charged: event!.input_tokens * 30_000n + event!.output_tokens * 60_000n });
  }
}

/** A hold and its tolerance: 10 %, or 100 credits when that is more. */
const mostCharged = (held: bigint): bigint => held + (held / 10n > 100_000_000n ? held / 10n : 100_000_000n);
