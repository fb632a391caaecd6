import { randomBytes } from "node:crypto";
import { answerPieces } from "../../../dev/upstream/content/text.ts";
import { customer, operator, unique, type Person, type Product } from "../../support/people.ts";
import type { Case, Given, ModelKind } from "./cases/case.ts";
import type { Task } from "./seen.ts";

const TOKENS = { input_price: "30", output_price: "60", cached_input_price: "3", cache_write_price: "37.5" };
const NO_TOKENS = { input_price: "0", output_price: "0" };

interface Kind {
  prices: Record<string, string>;
  format?: "claude";
  upstreamModel?: string;
}

const KINDS: Record<ModelKind, Kind> = {
  chat: { prices: TOKENS },
  claude: { prices: TOKENS, format: "claude" },
  unpriced: { prices: {} },
  speech: { prices: { ...NO_TOKENS, character_price: "0.01" } },
  whisper: { prices: { ...NO_TOKENS, second_price: "0.1" }, upstreamModel: "whisper-1" },
  pictures: { prices: { ...NO_TOKENS, image_price: "2" } },
  moderation: { prices: { ...NO_TOKENS, request_price: "0.5" } },
};

/** A case with everything it needs in the product. */
export interface Staged {
  one: Case;
  person: Person;
  task: Task;
  given: Given;
}

/** Adds models, people and keys to a product. */
export function createStage(at: Product, admin: Person) {
  const shared = new Map<ModelKind, Promise<string>>();

  async function addModel(kind: ModelKind, more: object = {}): Promise<string> {
    const { prices, format = "openai", upstreamModel = "demo-chat" } = KINDS[kind];
    const name = `sdk/${unique(kind)}:test`;
    await admin.post("/api/admin/models", { name, max_output_tokens: 10_000, ...prices });
    const provider = await admin.post<{ id: string }>("/api/admin/providers", {
      name: unique("provider"),
      base_url: at.upstream,
      api_key: "upstream-key",
      api_format: format,
      ...more,
    });
    await admin.post(`/api/admin/providers/${provider.id}/models`, { model_name: name, upstream_model: upstreamModel });
    return name;
  }

  function modelOf(kind: ModelKind): Promise<string> {
    if (!shared.has(kind)) shared.set(kind, addModel(kind));
    return shared.get(kind)!;
  }

  async function keyOf(one: Case, person: Person & { key: string }): Promise<string> {
    if (one.key === null) return "sk-tk-no-such-key";
    if (one.key === undefined) return person.key;
    return (await person.post<{ key: string }>("/api/user/keys", { name: "narrow", ...one.key })).key;
  }

  return async function stage(one: Case): Promise<Staged> {
    const kind = one.model ?? (one.client === "openai" ? "chat" : "claude");
    const model = await (one.alone ? addModel(kind, one.provider) : modelOf(kind));
    const person = await customer(at, admin, { credits: one.credits ?? "1000", ...(one.limits ? { limits: one.limits } : {}) });
    const key = await keyOf(one, person);
    await one.before?.(at.api, key);
    const id = randomBytes(4).toString("hex");
    const question = `How much is the toll at gate ${id}?`;
    const pieces = answerPieces(question);
    const ask = (directives?: string) => (directives ? `${question} ${directives}` : question);
    const given: Given = { id, model, upstream: at.upstream, ask, answer: pieces.join(""), pieces };
    const task = { id, client: one.client, ask: one.ask, url: at.api, key, body: one.body(given), ...one.options };
    return { one, person, task, given };
  };
}

/** The product's operator, and a stage. */
export async function setUp(at: Product) {
  const admin = await operator(at);
  return { admin, stage: createStage(at, admin) };
}
