import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect } from "chai";
import { FORMATS } from "../../../../src/gateway/formats/index.ts";
import { useOpenai } from "./rig.ts";

/** `this._client.post(path `/threads/${id}/runs`, …)` in the client's sources. */
const CALL = /_client\.(get|post|delete|put|patch|getAPIList)\(\s*(?:path ?)?[`']([^`']*)[`']/g;

/** Every method and path that the official client knows, ids in place of their names. */
function clientPaths(): string[] {
  const folder = path.join(process.cwd(), "node_modules/openai/resources");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".mjs"));
  const found = files.flatMap((file) =>
    [...readFileSync(path.join(folder, file), "utf8").matchAll(CALL)].map(([, method, template]) => {
      const verb = method === "getAPIList" ? "GET" : method!.toUpperCase();
      return `${verb} ${template!.replace(/\?.*$/, "").replaceAll(/\$\{[^}]*\}/g, "abc_123")}`;
    }),
  );
  return [...new Set(found)].sort();
}

/** What we serve of it beside the metered formats: nothing of this costs anything. */
const FREE = ["DELETE /responses/abc_123", "GET /models", "GET /models/abc_123", "GET /responses/abc_123"];

describe("what the official client can ask for", () => {
  const rig = useOpenai();
  const metered = new Set(FORMATS.map(({ route }) => `POST ${route.replace(/^\/v1/, "")}`));
  const all = clientPaths();
  const ask = (one: string, body?: object): Promise<Response> => {
    const [method, route] = one.split(" ");
    return rig.send(`/v1${route}`, "", {
      method: method!,
      body: method === "GET" || method === "DELETE" ? null : JSON.stringify(body ?? {}),
    });
  };

  it("is known here, so that nothing is forgotten", () => {
    expect(all.length).to.be.greaterThan(250);
    for (const part of [
      "fine_tuning/jobs",
      "batches",
      "files",
      "assistants",
      "threads",
      "vector_stores",
      "realtime/",
      "videos",
      "uploads",
      "evals",
    ])
      expect(
        all.some((one) => one.startsWith(`POST /${part}`)),
        part,
      ).to.equal(true);
    expect(all.filter((one) => metered.has(one) || FREE.includes(one))).to.include.members(FREE);
  });

  it("and is not metered passes to no provider, and is answered in the vendor's shape", async () => {
    const model = await rig.model({ raw: true });
    await rig.relay.pool.query("UPDATE models SET aliases = ARRAY['gpt-5', 'dall-e-2', 'sora-2'] WHERE name = $1", [model]);
    rig.raw.behave((socket) => void socket.destroy());
    const odd: string[] = [];
    for (const one of all.filter((known) => !metered.has(known) && !FREE.includes(known))) {
      const answer = await ask(one, { model, input: "x", prompt: "x", messages: [], file: "x" });
      const body = (await answer.json()) as { error?: { message: string; type: string; code: string } };
      const shaped = body.error && Object.keys(body.error).sort().join() === "code,message,param,type";
      if (![404, 405].includes(answer.status) || !shaped) odd.push(`${one}: ${answer.status} ${JSON.stringify(body)}`);
    }
    expect(odd).to.deep.equal([]);
    expect(rig.raw.requests).to.have.length(0);
  });

  it("and is metered asks for what it needs before anything is sent", async () => {
    rig.raw.behave((socket) => void socket.destroy());
    for (const one of all.filter((known) => metered.has(known))) {
      const answer = await ask(one);
      expect(answer.status, one).to.be.oneOf([400, 415]);
    }
    expect(rig.raw.requests).to.have.length(0);
  });

  it("with another method, or another way to write the path, is refused", async () => {
    const answer = await rig.send("/v1/chat/completions", "", { method: "GET", body: null });
    expect(answer.status).to.equal(405);
    expect(answer.headers.get("allow")).to.equal("POST");
    expect((await rig.send("/v1/responses/resp_1", "{}")).status).to.equal(405);
    expect((await rig.send("/v1/images/variations", "{}")).status).to.equal(404);
    expect((await rig.send("/v1/responses/resp_1/cancel", "{}")).status).to.equal(404);
    for (const odd of [
      "/v1//chat/completions",
      "/v1/chat/completions/",
      "/V1/files",
      "/v1/./files",
      "/v1/files%2f",
      "/v1/threads/x/../../files",
    ]) {
      expect((await rig.send(odd, "{}")).status, odd).to.equal(404);
    }
  });
});
