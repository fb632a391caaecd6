import { BILLING_PATHS } from "../../../../src/gateway/billing/index.ts";
import { PASSED, type PassedRoute } from "../../../../src/gateway/dify/table.ts";
import type { Speaks } from "../../../../src/gateway/pipeline/format.ts";
import { encode } from "../../../support/samples.ts";
import { askings, type Asking } from "../faults/askings.ts";

/** What a caller has at its providers, which some routes are about. */
export interface Things {
  conversation: string;
  message: string;
  task: string;
  run: string;
  /** What a paused run has asked, and been told. */
  form: string;
  /** What another asks still. */
  question: string;
  file: string;
  response: string;
}

/** One way to use the gateway. */
export interface Way {
  title: string;
  /** Of what its providers speak. */
  speaks: Speaks;
  method: string;
  path(things: Things, model: string): string;
  body?(model: string): { type: string; bytes: Buffer };
  /** It is charged, and so held to all that is spent. */
  costs: boolean;
  /** It takes a place among the calls at once. */
  runs: boolean;
  /** It goes on when its client has left. */
  outlives?: true;
  /** It is about a model, and so held to that model's limits. */
  ofModel: boolean;
}

const json = (body: object): { type: string; bytes: Buffer } => ({ type: "application/json", bytes: Buffer.from(JSON.stringify(body)) });
const FREE = { costs: false, runs: false, ofModel: false };
const CHARGED = { costs: true, runs: true, ofModel: true };

/** A format with one kind of answer, at providers of one kind. */
const ofAsking = ({ title, speaks, sample, format }: Asking): Way => ({
  ...CHARGED,
  title,
  speaks,
  method: "POST",
  path: () => sample.path,
  body: (model) => encode({ ...sample, body: { ...sample.body, model } }),
  costs: !format.free,
});

/** Dify's routes that cost something and name a thing in their path. */
const NAMED: Way[] = [
  {
    ...CHARGED,
    title: "questions after a message",
    speaks: "dify",
    method: "GET",
    path: ({ message }) => `/dify/v1/messages/${message}/suggested`,
  },
  {
    ...CHARGED,
    title: "a name for a conversation",
    speaks: "dify",
    method: "POST",
    path: ({ conversation }) => `/dify/v1/conversations/${conversation}/name`,
    body: () => json({ auto_generate: true }),
  },
  {
    ...CHARGED,
    title: "a workflow in a version of its own",
    speaks: "dify",
    method: "POST",
    path: () => "/dify/v1/workflows/5f0f7a3c-9d1e-4b57-8c9e-0123456789ab/run",
    body: (model) => json({ model, inputs: { query: "Which way?" }, user: "x" }),
  },
  {
    ...CHARGED,
    title: "the events of a run that goes on",
    speaks: "dify",
    method: "GET",
    path: ({ run }) => `/dify/v1/workflow/${run}/events`,
    outlives: true,
  },
  {
    ...CHARGED,
    title: "an answer to what a run asks",
    speaks: "dify",
    method: "POST",
    path: ({ question }) => `/dify/v1/form/human_input/${question}`,
    body: () => json({ inputs: {}, action: "approve" }),
    outlives: true,
  },
];

/** The thing that `:id` stands for. */
function idIn(route: PassedRoute, things: Things): string {
  const [named] = route.things?.({ params: { id: "", task: "" }, query: new URLSearchParams(), body: {} }) ?? [];
  return things[named?.kind ?? "form"];
}

function bodyOf({ body }: PassedRoute, model: string): { type: string; bytes: Buffer } {
  if (body === "json") return json({ model, value: "4", rating: "like" });
  const file = { field: "file", name: "a.png", type: "image/png", bytes: Buffer.alloc(64, 1) };
  return encode({ body: { model }, file });
}

/** Dify's routes that cost nothing, from the gateway's own list. */
const ofPassed = (route: PassedRoute): Way => ({
  ...FREE,
  title: `${route.method} ${route.path}`,
  speaks: "dify",
  method: route.method,
  path: (things, model) => {
    const place = route.path.replace(/:(id|task)/, () => idIn(route, things)).replace(":variable", "toll");
    const query = route.path === "/messages" ? `conversation_id=${things.conversation}` : `model=${encodeURIComponent(model)}`;
    return `/dify/v1${place}?${query}`;
  },
  ...(route.body ? { body: (model: string) => bodyOf(route, model) } : {}),
  runs: !route.ends,
  ofModel: true,
});

/** What else there is beside calls. Deleting comes last: what it deletes is asked for before. */
const BESIDES: Way[] = [
  { ...FREE, title: "the models", speaks: "openai", method: "GET", path: () => "/v1/models" },
  { ...FREE, title: "one model", speaks: "openai", method: "GET", path: (_, model) => `/v1/models/${model}` },
  ...BILLING_PATHS.map(([path]): Way => ({ ...FREE, title: `GET ${path}`, speaks: "openai", method: "GET", path: () => path })),
  {
    ...FREE,
    title: "a kept response",
    speaks: "openai",
    method: "GET",
    path: ({ response }) => `/v1/responses/${response}`,
    runs: true,
    ofModel: true,
  },
  {
    ...FREE,
    title: "a kept response deleted",
    speaks: "openai",
    method: "DELETE",
    path: ({ response }) => `/v1/responses/${response}`,
    runs: true,
    ofModel: true,
  },
];

/** Every way to use the gateway, at every kind of provider: from its own lists of formats and routes, those that remove things last. */
export function everyWay(): Way[] {
  const passed = PASSED.map((route) => ofPassed(route));
  const all = [...askings().map((asking) => ofAsking(asking)), ...NAMED, ...passed, ...BESIDES];
  return [...all.filter(({ method }) => method !== "DELETE"), ...all.filter(({ method }) => method === "DELETE")];
}
