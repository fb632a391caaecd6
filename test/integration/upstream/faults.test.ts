import { gunzipSync } from "node:zlib";
import { expect } from "chai";
import { FAULTS, type FaultName } from "../../../dev/upstream/control/faults.ts";
import { rawCall, type RawAnswer } from "../../support/rawCall.ts";
import { encode, SAMPLES as ALL, type Sample } from "../../support/samples.ts";
import { startUpstream } from "../../support/upstream.ts";

/** Dify's apps have a demo of their own. */
const SAMPLES = ALL.filter(({ path }) => !path.startsWith("/dify/"));

const PATIENCE_MS = 150;
/** Those that end only when the caller gives up. */
const SILENT = ["hang", "hang_after_headers", "silent"];

/** Where its name is not for every route: the routes it is for. */
const CHAT_ONLY: FaultName[] = ["usage_every_chunk", "usage_last_chunk_no_done"];
/** Those that change how an answer is counted; not every route counts. */
const COUNTING: FaultName[] = ["no_usage", "zero_usage", "huge_usage", "bad_usage"];
/** Those that make the text itself another. */
const WORDING: FaultName[] = ["big_event", "split_utf8", "tiny_events"];

type Check = (got: RawAnswer, healthy: RawAnswer, sample: Sample) => unknown;

const parses = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};
const eventsIn = (text: string): string[] => text.split(/\r?\n\r?\n/).filter(Boolean);
const broken: Check = (got) => expect(got).to.include({ status: 200, broken: true });
const same: Check = (got, healthy, { answers }) => {
  expect(got).to.include({ status: 200, broken: false });
  if (answers === "events")
    expect(eventsIn(got.text).filter((event) => !event.startsWith(":"))).to.have.length(eventsIn(healthy.text).length);
  else expect(got.bytes.length).to.be.closeTo(healthy.bytes.length, 80);
};
const shorter: Check = (got, healthy, { answers }) => {
  expect(got).to.include({ status: 200, broken: false });
  if (answers === "json") expect(parses(got.text)).to.equal(false);
  expect(got.bytes.length).to.be.lessThan(healthy.bytes.length);
};
const silence: Check = (got, healthy) => {
  expect(got).to.include({ status: 200, broken: true });
  expect(got.bytes.length).to.be.lessThan(healthy.bytes.length);
};

const CHECKS: Partial<Record<FaultName, Check>> = {
  status: (got, _, { path }) => {
    expect(got.status).to.equal(503);
    expect(JSON.parse(got.text)).to.have.property(path.startsWith("/v1/messages") ? "type" : "error");
  },
  html_page: (got) => expect([got.status, got.headers["content-type"]]).to.deep.equal([200, "text/html; charset=utf-8"]),
  redirect: (got) => expect(got.status).to.equal(302),
  dead: (got) => expect(got).to.include({ status: 0, broken: true }),
  hang: (got) => expect(got).to.include({ status: 0, broken: true }),
  hang_after_headers: (got) => expect(got).to.include({ status: 200, text: "", broken: true }),
  die_after_headers: (got) => expect(got).to.include({ status: 200, text: "", broken: true }),
  die_mid_stream: broken,
  error_in_band: (got, _, { answers }) => {
    if (answers === "bytes") return broken(got, _, SAMPLES[0]!);
    return expect(got.text).to.match(/overloaded/i);
  },
  failed: (got, _, { answers }) => (answers === "bytes" ? broken(got, _, SAMPLES[0]!) : expect(got.text).to.match(/overloaded|"failed"/i)),
  no_terminal: shorter,
  no_done: (got, healthy, { answers }) => {
    if (answers !== "events") return same(got, healthy, SAMPLES[0]!);
    return expect(eventsIn(healthy.text).length - eventsIn(got.text).length).to.equal(1);
  },
  bad_json: (got, healthy, sample) => {
    if (sample.answers !== "events") return sample.answers === "bytes" ? same(got, healthy, sample) : shorter(got, healthy, sample);
    const data = eventsIn(got.text).map((event) => event.slice(event.indexOf("data: ") + 6));
    return expect(data.filter((one) => one !== "[DONE]" && !parses(one))).to.have.length(1);
  },
  silent: silence,
  endless: (got) => expect(got.broken).to.equal(true),
  extra_data: (got, healthy) => expect(got.bytes.length).to.be.greaterThan(healthy.bytes.length),
  trickle: same,
  crlf: (got, healthy, sample) => {
    if (sample.answers === "events") expect(got.text).to.match(/\r\n\r\n$/);
    return same(got, healthy, sample);
  },
  comments: (got, healthy, sample) => {
    if (sample.answers === "events") expect(got.text).to.match(/^: a comment\n\n/);
    return same(got, healthy, sample);
  },
  unknown_fields: (got, _, { answers }) => {
    if (answers === "events" || answers === "json") expect(got.text).to.contain("x_strange");
  },
  unknown_events: (got, _, { answers }) => {
    if (answers === "events") expect(got.text).to.contain("x_demo_event");
  },
  wrong_content_type: (got) => expect(got.headers["content-type"]).to.equal("text/plain"),
  compressed: (got, healthy) => {
    expect(got.headers["content-encoding"]).to.equal("gzip");
    expect(gunzipSync(got.bytes).length).to.be.closeTo(healthy.bytes.length, 80);
  },
  content_length_lie: (got, healthy, sample) => (sample.answers === "events" ? same(got, healthy, sample) : broken(got, healthy, sample)),
  extra_bytes: same,
  huge_headers: (got) => expect(got.status === 0 || String(got.headers["x-demo-filler"]).length === 65_536).to.equal(true),
};

describe("the demo upstream fails as it is told, on every route", () => {
  let upstream: Awaited<ReturnType<typeof startUpstream>>;

  before(async () => {
    upstream = await startUpstream();
  });
  after(() => upstream?.close());

  const call = (sample: Sample, limits: { patienceMs?: number; mostBytes?: number } = {}): Promise<RawAnswer> => {
    const { type, bytes } = encode(sample);
    const version: Record<string, string> = sample.path.startsWith("/v1/messages") ? { "anthropic-version": "2023-06-01" } : {};
    const headers = { authorization: "Bearer k", "content-type": type, ...version };
    return rawCall(upstream.url + sample.path, { headers, body: bytes, ...limits });
  };

  it("no fault is without a check", () => {
    const checked = [...Object.keys(CHECKS), ...CHAT_ONLY, ...COUNTING, ...WORDING];
    expect(checked.toSorted()).to.deep.equal(Object.keys(FAULTS).toSorted());
  });

  for (const sample of SAMPLES) {
    it(`POST ${sample.path} answered with ${sample.answers}`, async () => {
      await upstream.tell("[[chunks:6]]");
      const healthy = await call(sample);
      expect(healthy).to.include({ status: 200, broken: false });
      for (const [fault, check] of Object.entries(CHECKS)) {
        const options = fault === "trickle" ? " bytes=64 every=0ms" : "";
        await upstream.tell(`[[chunks:6]] [[fault:${fault}${options}]]`);
        try {
          const limits = { ...(SILENT.includes(fault) ? { patienceMs: PATIENCE_MS } : {}), mostBytes: 2 * healthy.bytes.length + 50_000 };
          check(await call(sample, limits), healthy, sample);
        } catch (error) {
          throw new Error(`${fault}: ${(error as Error).message}`, { cause: error });
        }
      }
    });
  }

  it("counts as told wherever it counts", async () => {
    const counted = SAMPLES.filter(({ path, answers }) => answers === "json" && !/count_tokens|moderations|translations/.test(path));
    for (const sample of counted) {
      const usage = async (told: string) => {
        await upstream.tell(told);
        return (JSON.parse((await call(sample)).text) as { usage?: unknown }).usage;
      };
      expect(await usage(""), sample.path).to.be.an("object");
      expect(await usage("[[fault:no_usage]]"), sample.path).to.equal(undefined);
      expect(await usage("[[fault:bad_usage kind=shape]]"), sample.path).to.equal("plenty");
      for (const [fault, shown] of [
        ["zero_usage", ":0"],
        ["huge_usage", ":100000000"],
        ["bad_usage kind=negative", ":-5"],
        ["bad_usage kind=text", '"12"'],
      ])
        expect(JSON.stringify(await usage(`[[fault:${fault}]]`)), sample.path).to.contain(shown);
    }
  });

  it("by key: those named for a status, and those that are told", async () => {
    const status = async (key: string) =>
      (
        await rawCall(`${upstream.url}/v1/embeddings`, {
          headers: { authorization: `Bearer ${key}` },
          body: JSON.stringify(SAMPLES[9]!.body),
        })
      ).status;
    await upstream.tell("", { keys: { "k-slow": "[[fault:status code=429 retry_after=9]]" } });
    expect([await status("k-401"), await status("k-529"), await status("k-slow"), await status("k-good")]).to.deep.equal([
      401, 529, 429, 200,
    ]);
    await upstream.reset();
    expect(await status("k-slow")).to.equal(200);
  });

  it("at random, a tenth of the calls, the same ones for the same seed", async () => {
    const run = async () => {
      await upstream.tell("[[random:10 seed=7 faults=status]]");
      const statuses: number[] = [];
      for (let i = 0; i < 200; i++) statuses.push((await call(SAMPLES[9]!)).status);
      return statuses;
    };
    const first = await run();
    expect(first.filter((one) => one === 503).length).to.be.within(10, 32);
    expect(await run()).to.deep.equal(first);
  });
});
