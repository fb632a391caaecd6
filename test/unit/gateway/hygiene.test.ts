import { expect } from "chai";
import fc from "fast-check";
import { openaiVoice, readError } from "../../../src/gateway/formats/openai-chat/errors.ts";
import { discreet } from "../../../src/gateway/pipeline/discreet.ts";
import { failure } from "../../../src/gateway/pipeline/failure.ts";
import { cutLongRuns } from "../../../src/gateway/tokens/pieces.ts";
import { createTokenizer, newBudget } from "../../../src/gateway/tokens/index.ts";
import { upstreamHeaders } from "../../../src/gateway/upstream/headers.ts";
import { sanitizeMessage } from "../../../src/gateway/upstream/sanitize.ts";
import { candidate } from "./routing/support.ts";

describe("headers to a provider", () => {
  it("carry nothing of the caller but what is on the list", () => {
    const list = upstreamHeaders({
      caller: {
        authorization: "Bearer sk-tk-secret",
        "x-api-key": "sk-tk-secret",
        cookie: "a=b",
        host: "api.example",
        "x-forwarded-for": "1.2.3.4",
        "openai-beta": "assistants=v2",
        "openai-organization": "org-x",
        "user-agent": "me",
        "x-request-id": "abc",
      },
      speaks: "openai",
      auth: ["authorization", "Bearer upstream-key"],
      accept: "text/event-stream",
      contentType: "application/json",
      bytes: 12,
    });
    expect(list.join("|")).to.not.match(/secret|a=b|api\.example|1\.2\.3\.4|org-x|\|me\||abc/);
    expect(list).to.include.members([
      "authorization",
      "Bearer upstream-key",
      "openai-beta",
      "assistants=v2",
      "content-length",
      "12",
      "accept-encoding",
      "identity",
    ]);
  });

  it("drop a value that would break out of its line", () => {
    const list = upstreamHeaders({
      caller: { "openai-beta": "a\r\nx-evil: 1" },
      speaks: "openai",
      auth: [],
      accept: "*/*",
      contentType: "application/json",
      bytes: 0,
    });
    expect(list).to.not.include("openai-beta");
  });

  it("are set once: by the operator, else by the format, else by default, and never by a caller whom no format has read", () => {
    const build = (caller: Record<string, string>, more: string[], extra: Record<string, string>) => {
      const list = upstreamHeaders({
        caller,
        speaks: "claude",
        auth: ["x-api-key", "k", "anthropic-version", "default"],
        accept: "*/*",
        contentType: "application/json",
        bytes: 0,
        more,
        extra,
      });
      return list.flatMap((name, i) => (i % 2 === 0 && name === "anthropic-version" ? [list[i + 1]] : []));
    };
    const caller = { "anthropic-version": "caller" };
    expect(build({}, [], {})).to.deep.equal(["default"]);
    expect(build(caller, [], {})).to.deep.equal(["default"]);
    expect(build(caller, ["anthropic-version", "format"], {})).to.deep.equal(["format"]);
    expect(build(caller, ["anthropic-version", "format"], { "Anthropic-Version": "operator" })).to.deep.equal(["operator"]);
  });
});

describe("a provider's words to a stranger", () => {
  for (const [said, told] of [
    ["see http://10.1.2.3:8080/v1/x?k=1 now", "see [address] now"],
    ["dial tcp 192.168.1.7:443 refused", "dial tcp [address] refused"],
    ["dial tcp [fd00:1:2:3::1]:443", "dial tcp [address]:443"],
    ["Incorrect API key: sk-proj-abc123def456.", "Incorrect API key: [key]."],
    ["key sk-1234****cdef bad", "key [key] bad"],
    ["organization org-AbCdEf123456 over", "organization [id] over"],
    ["host vllm-0.models.svc.cluster.local down", "host [address] down"],
    ["API key AIzaSyA1234567890abcdefghijklmnopqrstuv expired", "API key [key] expired"],
    ["token hf_abcdefGHIJKLmnopqrstuvwxyz0123456789 bad", "token [key] bad"],
    ["key 0123456789abcdef0123456789abcdef.AbCdEf123456 bad", "key [key] bad"],
    ["key 0123456789abcdef0123456789abcdef bad", "key [key] bad"],
    ["dial llm-7.prod.example.com:8443/v1 failed", "dial [address] failed"],
    ["no host gpu.models.acme.cn", "no host [address]"],
    ["upstream vllm:8000/v1/chat died", "upstream [address] died"],
    ["tool call call_9pw1qnYScqvGrCH58HWCvFH6 has no answer", "tool call call_9pw1qnYScqvGrCH58HWCvFH6 has no answer"],
    [
      "messages.0.content.1.image.source.data: claude-sonnet-4-5-20250929",
      "messages.0.content.1.image.source.data: claude-sonnet-4-5-20250929",
    ],
    ["response_format.json_schema.schema at 12:30", "response_format.json_schema.schema at 12:30"],
    ["max_tokens is too large: 5", "max_tokens is too large: 5"],
  ] as const) {
    it(`"${said}" becomes "${told}"`, () => expect(sanitizeMessage(said)).to.equal(told));
  }
});

describe("what a provider is known by", () => {
  const known = candidate("p", { model: "gpt-4.1-2025" });
  Object.assign(known.provider, {
    baseUrl: "https://models-7:8443/v1",
    keys: [{ fingerprint: "f", value: "short+key" }],
    headers: { x: "secret" },
  });
  for (const [said, told] of [
    ["short+key is bad", "[key] is bad"],
    ["header secret", "header [key]"],
    ["models-7:8443 and models-7 and models-77", "[address] and [address] and models-77"],
    ["The model GPT-4.1-2025 is away, gpt-4.1-2025-mini is not", "The model mine is away, gpt-4.1-2025-mini is not"],
  ] as const) {
    it(`"${said}" becomes "${told}"`, () => {
      const why = failure("upstream_error", { message: said, verbatim: Buffer.from(said) });
      const { message, verbatim } = discreet(why, known, "mine");
      expect([message, String(verbatim)]).to.deep.equal([told, told]);
    });
  }
});

describe("a provider's error status", () => {
  const body = Buffer.from(
    JSON.stringify({ error: { message: "bad thing", type: "invalid_request_error", param: "messages[0].x", code: "some_code" } }),
  );
  for (const [status, expected] of [
    [400, { status: 400, record: "upstream_rejected" }],
    [404, { status: 404, record: "upstream_rejected" }],
    [422, { status: 422, record: "upstream_rejected" }],
    [401, { status: 502, record: "upstream_refused" }],
    [403, { status: 502, record: "upstream_refused" }],
    [402, { status: 502, record: "upstream_refused" }],
    [302, { status: 502, record: "upstream_refused" }],
    [408, { status: 504, record: "upstream_timeout" }],
    [429, { status: 429, record: "upstream_rate_limited" }],
    [500, { status: 502, record: "upstream_5xx" }],
    [529, { status: 502, record: "upstream_5xx" }],
  ] as const) {
    it(`${status} is told as ${expected.status}`, () => expect(readError(status, body, undefined)).to.include(expected));
  }

  it("a key that the provider does not know is not the caller's mistake, though Google says so by a 400", () => {
    for (const wrap of [(error: object) => ({ error }), (error: object) => [{ error }]]) {
      const said = wrap({ code: 400, message: "API key not valid. Please pass a valid API key.", status: "INVALID_ARGUMENT" });
      const told = readError(400, Buffer.from(JSON.stringify(said)), undefined);
      expect(told).to.include({ status: 502, record: "upstream_refused" });
      expect(told.message).to.not.contain("API key");
    }
  });

  it("a spent account of the operator is not the caller's rate limit", () => {
    expect(readError(429, Buffer.from('{"error":{"code":"insufficient_quota","message":"x"}}'), undefined)).to.include({ status: 502 });
  });

  it("has all four keys and the trace id", () => {
    const told = JSON.parse(openaiVoice.errorBody(readError(400, body, undefined), "trace")) as { error: object; trace_id: string };
    expect(told).to.deep.equal({
      error: { message: "bad thing", type: "invalid_request_error", param: "messages[0].x", code: "some_code" },
      trace_id: "trace",
    });
    expect(JSON.parse(openaiVoice.errorBody(failure("insufficient_balance"), "t"))).to.deep.equal({
      error: { message: "The wallet does not cover this", type: "insufficient_quota", param: null, code: "insufficient_balance" },
      trace_id: "t",
    });
  });
});

describe("counting tokens", () => {
  const tokenizer = createTokenizer();
  before(() => tokenizer.ready);
  const count = (text: string): number => tokenizer.count(text, newBudget());

  it("counts as o200k_base does", () => {
    expect(count("hello world")).to.equal(2);
    expect(count("")).to.equal(0);
  });

  it("takes control tokens for plain text", () => expect(count("<|endoftext|>")).to.be.greaterThan(3));

  it("takes little time for text made to be slow", function () {
    this.timeout(20_000);
    for (const text of [
      "x".repeat(250_000),
      "世界人民大团结万岁".repeat(25_000),
      " ".repeat(250_000),
      "=".repeat(250_000),
      "🙂".repeat(120_000),
    ]) {
      const before = process.cpuUsage();
      expect(count(text)).to.be.greaterThan(1_000);
      const spent = process.cpuUsage(before);
      expect((spent.user + spent.system) / 1_000, text.slice(0, 3)).to.be.lessThan(2_000);
    }
  });

  it("goes by size past 256 KB", () => {
    expect(count("a b ".repeat(100_000))).to.be.closeTo(131_072 + (400_000 - 262_144) / 3, 2_000);
  });

  it("cuts long runs without losing a character", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 500 }), fc.nat(300), (text, length) => {
        const long = text + "x".repeat(length) + "🙂".repeat(length);
        expect(cutLongRuns(long).join("")).to.equal(long);
      }),
    );
  });
});
