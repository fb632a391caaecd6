import { z } from "zod";
import { rawRoute, type Route } from "../../http/route.ts";
import { relayedRoute, servedByRelay } from "../formats/documentation.ts";
import { DIFY_ROOT } from "./root.ts";
import { PASSED, type PassedRoute } from "./table.ts";

const model = z
  .string()
  .optional()
  .meta({ description: "The app's model name here; unless the key has one app, or a header `x-dify-app`" });
const call = {
  model,
  inputs: z.record(z.string(), z.unknown()).optional(),
  response_mode: z.enum(["blocking", "streaming"]).optional().meta({ description: "`blocking` when left out" }),
  user: z.string().optional().meta({ description: "Not used: Dify is told a name made from the account" }),
  files: z.array(z.unknown()).optional(),
};
const message = z.looseObject({ message_id: z.string(), conversation_id: z.string(), answer: z.string(), metadata: z.unknown() });
const run = z.looseObject({ task_id: z.string(), workflow_run_id: z.string(), data: z.unknown() });
const ERRORS = "Errors are Dify's `{code, message, status}`, and `trace_id`.";

const calls = [
  relayedRoute({
    path: `${DIFY_ROOT}/chat-messages`,
    summary: "Send a message to a Dify chat, agent or chatflow app",
    description: `Dify's own request and answer. ${ERRORS} See docs/dify.md for how the app is chosen and what is charged.`,
    body: z.looseObject({ query: z.string(), conversation_id: z.string().optional(), ...call }),
    answer: message,
  }),
  relayedRoute({
    path: `${DIFY_ROOT}/completion-messages`,
    summary: "Ask a Dify text generation app",
    description: ERRORS,
    body: z.looseObject(call),
    answer: message,
  }),
  ...[`${DIFY_ROOT}/workflows/run`, `${DIFY_ROOT}/workflows/:id/run`].map((path) =>
    relayedRoute({
      path,
      summary: path.includes(":id") ? "Run a certain version of a Dify workflow" : "Run a Dify workflow",
      description: `Dify tells only the sum of a run's tokens: it is priced with the app's blended price. ${ERRORS}`,
      body: z.looseObject(call),
      answer: run,
    }),
  ),
  relayedRoute({
    path: `${DIFY_ROOT}/text-to-audio`,
    summary: "Speech, by a Dify app",
    description: "A text, or a message of the caller's. Charged by the character.",
    produces: "audio/mpeg",
    body: z.looseObject({ model, text: z.string().optional(), message_id: z.string().optional() }),
    answer: undefined,
  }),
  relayedRoute({
    path: `${DIFY_ROOT}/audio-to-text`,
    summary: "What was said, by a Dify app",
    description: "A form with one `file`. Charged by the second.",
    consumes: "multipart/form-data",
    body: z.looseObject({ model, file: z.unknown() }),
    answer: z.looseObject({ text: z.string() }),
  }),
  relayedRoute({
    path: `${DIFY_ROOT}/form/human_input/:id`,
    summary: "Answer what a paused run asks",
    description: "The run goes on, and what it uses is held for and charged, whether or not anybody listens to its events.",
    body: z.looseObject({ inputs: z.record(z.string(), z.unknown()).optional(), action: z.string().optional() }),
    answer: z.looseObject({}),
  }),
  relayedRoute({
    path: `${DIFY_ROOT}/conversations/:id/name`,
    summary: "Name a conversation",
    description: "With `auto_generate` the app's model makes the name; its tokens are counted by us.",
    body: z.looseObject({ name: z.string().optional(), auto_generate: z.boolean().optional() }),
    answer: z.looseObject({ id: z.string(), name: z.string() }),
  }),
];

const METHODS = { GET: "get", POST: "post", PUT: "put", DELETE: "delete" } as const;
const paramsOf = (path: string) => Object.fromEntries([...path.matchAll(/:(\w+)/g)].map(([, name]) => [name!, z.string()]));

const shown = ({ method, path, summary, query }: Pick<PassedRoute, "method" | "path" | "summary" | "query">): Route =>
  rawRoute({
    method: METHODS[method],
    path: DIFY_ROOT + path,
    summary,
    description: `Passes to the Dify app and costs nothing. What it names must have been made by the account's own calls. ${ERRORS}`,
    tag: "Relay",
    access: "api_key",
    ...(path.includes(":") ? { params: z.object(paramsOf(path)) } : {}),
    ...(query ? { query: z.object(Object.fromEntries(query.map((name) => [name, z.string().optional()]))) } : {}),
    responses: { 200: z.unknown() },
    errors: ["not_found", "model_not_allowed", "model_not_found", "rate_limited", "upstream_error", "upstream_timeout"],
    handler: servedByRelay,
  });

export const difyDocs: readonly Route[] = [
  ...calls,
  shown({ method: "GET", path: "/messages/:id/suggested", summary: "Questions that might come next; the app's model makes them" }),
  shown({ method: "GET", path: "/workflow/:id/events", summary: "The events of a run that goes on after a pause" }),
  ...PASSED.map(shown),
];
