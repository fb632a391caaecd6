import { expect } from "chai";
import fc from "fast-check";
import { customFormat } from "../../../../src/gateway/providers/custom.ts";
import { shapeBody, shapeBytes, upstreamAuth, upstreamUrl } from "../../../../src/gateway/providers/speak.ts";

const plain = { baseUrl: "https://x.example/api", apiRoot: "https://x.example/api/v1", speaks: "openai" as const, custom: undefined };
const custom = (given: object) => ({ ...plain, custom: customFormat.parse({ speaks: "openai", ...given }) });
const refused = (given: object) =>
  customFormat.safeParse({ speaks: "openai", ...given }).error?.issues.map((issue) => issue.path.join(".")) ?? [];

describe("how a provider is spoken to", () => {
  it("OpenAI's and Anthropic's APIs have their own headers", () => {
    expect(upstreamUrl(plain, "/chat/completions", "m")).to.equal("https://x.example/api/v1/chat/completions");
    expect(upstreamAuth(plain, "k", "m")).to.deep.equal(["authorization", "Bearer k"]);
    expect(upstreamAuth({ ...plain, speaks: "claude" }, "k", "m")).to.deep.equal(["x-api-key", "k", "anthropic-version", "2023-06-01"]);
  });

  it("a custom one has its own header, paths and fields", () => {
    const azure = custom({
      auth_header: "Api-Key",
      auth_template: "{{api_key}}",
      headers: { "X-Model": "m={{model}}" },
      paths: { chat: "/openai/deployments/{{model}}/chat/completions?api-version=2024-10-21" },
      body: {
        set: { deployment: "d-{{model}}", options: [{ name: "{{model}}" }] },
        remove: ["user"],
        rename: { max_tokens: "max_output" },
      },
    });
    expect(upstreamUrl(azure, "/chat/completions", "a/b:1")).to.equal(
      "https://x.example/api/openai/deployments/a%2Fb%3A1/chat/completions?api-version=2024-10-21",
    );
    expect(upstreamUrl(azure, "/embeddings", "m")).to.equal("https://x.example/api/v1/embeddings");
    expect(upstreamAuth(azure, "k", "m")).to.deep.equal(["api-key", "k", "x-model", "m=m"]);
    const body = { model: "m", user: "u", max_tokens: 5, messages: [] };
    const wanted = { model: "m", max_output: 5, messages: [], deployment: "d-m", options: [{ name: "m" }] };
    expect(shapeBody(azure, body, "m")).to.deep.equal(wanted);
    expect(JSON.parse(shapeBytes(azure, Buffer.from(JSON.stringify(body)), "application/json", "m").toString())).to.deep.equal(wanted);
  });

  it("a name that something else is given cannot be written by a client, and the model cannot be made another", () => {
    const renaming = custom({ body: { rename: { max_tokens: "max_new_tokens", model: "deployment", n: "num" }, remove: ["user"] } });
    const body = { max_tokens: 5, max_new_tokens: 50_000, deployment: "dear", model: "m", num: 99, n: 1, messages: [] };
    expect(shapeBody(renaming, body, "m")).to.deep.equal({ max_new_tokens: 5, deployment: "m", num: 1, messages: [] });
    expect(shapeBody(renaming, { model: "m", max_new_tokens: 50_000 }, "m")).to.deep.equal({ deployment: "m" });
    expect(refused({ body: { set: { model: "dear" } } })).to.deep.equal(["body.set.model"]);
    expect(refused({ body: { rename: { engine: "model" } } })).to.deep.equal(["body.rename"]);
    expect(refused({ body: { remove: ["model"] } })).to.deep.equal([]);
  });

  it("bytes pass as they are where nothing changes them", () => {
    const bytes = Buffer.from('{"a":1}');
    expect(shapeBytes(plain, bytes, "application/json", "m")).to.equal(bytes);
    const changed = custom({ body: { set: { a: 2 } } });
    expect(shapeBytes(changed, bytes, "multipart/form-data; boundary=x", "m")).to.equal(bytes);
  });

  it("a name of a model never leads to another host or path", () => {
    const azure = custom({ paths: { chat: "/d/{{model}}/chat" } });
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 40, unit: "grapheme" }), (model) => {
        fc.pre(model !== "." && model !== "..");
        const url = new URL(upstreamUrl(azure, "/chat/completions", model));
        expect([url.origin, url.search, url.hash]).to.deep.equal(["https://x.example", "", ""]);
        expect(url.pathname.startsWith("/api/d/") && url.pathname.endsWith("/chat")).to.equal(true);
      }),
    );
  });

  const bad: [string, object][] = [
    ["paths.chat", { paths: { chat: "//evil.example" } }],
    ["paths.chat", { paths: { chat: "https://evil.example" } }],
    ["paths.chat", { paths: { chat: "@evil.example/x" } }],
    ["paths.chat", { paths: { chat: "/a/../../x" } }],
    ["paths.chat", { paths: { chat: "/a/%2e%2e/x" } }],
    ["paths.chat", { paths: { chat: "/a\\b" } }],
    ["paths.chat", { paths: { chat: "/a#b" } }],
    ["paths.chat", { paths: { chat: "/a?" } }],
    ["paths.chat", { paths: { chat: "/a?key={{api_key}}" } }],
    ["paths", { paths: { nowhere: "/a" } }],
    ["auth_header", { auth_header: "host" }],
    ["auth_header", { auth_header: "a b" }],
    ["auth_template", { auth_template: "Bearer nothing" }],
    ["auth_template", { auth_template: "{{api_key}}\r\nx: y" }],
    ["headers.x-a", { headers: { "x-a": "{{secret}}" } }],
    ["headers.cookie", { headers: { cookie: "a" } }],
    ["body.set.n", { body: { set: { n: 10 } } }],
    ["body.set.stream", { body: { set: { stream: true } } }],
    ["body.set", { body: { set: { a: ["{{api_key}}"] } } }],
    ["body.remove.0", { body: { remove: ["max_tokens"] } }],
    ["body.rename", { body: { rename: { foo: "max_tokens" } } }],
    ["", { surprise: 1 }],
  ];
  for (const [field, given] of bad) {
    it(`refuses ${JSON.stringify(given)}`, () => {
      expect(refused(given)[0]).to.match(new RegExp(`^${field.replaceAll(".", "\\.")}`));
      expect(refused(given)).to.have.length.greaterThan(0);
    });
  }
});
