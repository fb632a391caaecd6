import { countsOf, type Counts } from "../upstream/content/counts.ts";
import { planContent } from "../upstream/content/plan.ts";
import { tokensOf, tokensOfJson } from "../upstream/content/tokens.ts";
import type { Directives } from "../upstream/control/directives.ts";
import { refuse, type Asked } from "../upstream/endpoint.ts";
import { newId, notFound, now, type Conversation, type Holder, type Store, type Task } from "./store.ts";

export type AppKind = "chat" | "agent" | "chatflow" | "completion" | "workflow";

/** Everything an answer consists of, decided before its first byte. */
export interface Plan {
  kind: AppKind;
  holder: Holder;
  task: Task;
  message: string;
  run: string;
  conversation: Conversation | undefined;
  pieces: string[];
  tools: { name: string; input: string }[];
  counts: Counts | "none" | "shape";
  at: number;
  directives: Directives;
}

const INSTRUCTIONS = 12;

/** What kind of app a key opens: by its name, as `app-agent-1`, or as the call is told; else by the route. */
function kindOf({ headers, directives }: Asked, usual: AppKind): AppKind {
  const named = /app-(chat|agent|chatflow|completion|workflow)\b/.exec(headers["authorization"] ?? "")?.[1];
  return (directives.app ?? named ?? usual) as AppKind;
}

function checkFiles(store: Store, holder: Holder, value: unknown): void {
  for (const file of (Array.isArray(value) ? value : []) as { upload_file_id?: unknown }[]) {
    if (typeof file?.upload_file_id === "string" && !store.files.find(holder, file.upload_file_id)) refuse("Invalid upload file");
  }
}

function conversationOf(store: Store, holder: Holder, { body }: Asked): Conversation {
  const id = body["conversation_id"];
  if (typeof id === "string" && id !== "") return store.conversations.find(holder, id) ?? notFound("Conversation");
  return store.conversations.add({ ...holder, id: newId(), name: "New conversation", inputs: body["inputs"], at: now() });
}

/** Decides the whole answer to a call of an app. Throws what Dify refuses. */
export function planAnswer(store: Store, asked: Asked, holder: Holder, usual: "chat" | "completion" | "workflow"): Plan {
  const { body, directives } = asked;
  const kind = kindOf(asked, usual);
  if (typeof body["inputs"] !== "object" || body["inputs"] === null) refuse("inputs is required in input form");
  if (usual === "chat" && typeof body["query"] !== "string") refuse("query is required");
  if (kind === "agent" && body["response_mode"] !== "streaming") refuse("Agent Chat App does not support blocking mode");
  checkFiles(store, holder, body["files"]);
  const conversation = usual === "chat" ? conversationOf(store, holder, asked) : undefined;
  const text = textOf(body);
  const content = planContent({ text, directives });
  const history = conversation ? store.messages.of(holder).filter((message) => message.conversation === conversation.id) : [];
  const before = history.reduce((sum, message) => sum + tokensOf(message.query) + tokensOf(message.answer), 0);
  const plan: Plan = {
    kind,
    holder,
    task: store.tasks.add({ ...holder, id: newId(), stopped: false }),
    message: newId(),
    run: newId(),
    conversation,
    pieces: content.pieces,
    tools: content.tools.map(({ name, pieces }) => ({ name, input: pieces.join("") })),
    counts: countsOf(directives, () => ({
      prompt: INSTRUCTIONS + tokensOf(text) + tokensOfJson(body["inputs"]) + before,
      completion: content.tokens.completion,
    })),
    at: now(),
    directives,
  };
  if (conversation) keep(store, plan, String(body["query"]), body["inputs"]);
  else if (kind === "completion") keep(store, plan, "", body["inputs"]);
  return plan;
}

/** What the caller says: a query, or the texts of the inputs. */
export function textOf({ query, inputs }: Record<string, unknown>): string {
  if (typeof query === "string" && query !== "") return query;
  const texts = Object.values((inputs ?? {}) as Record<string, unknown>).filter((value) => typeof value === "string");
  return texts.length > 0 ? texts.join(" ") : "Which way?";
}

function keep(store: Store, { holder, message, conversation, pieces, at }: Plan, query: string, inputs: unknown): void {
  const answer = pieces.join("");
  store.messages.add({ ...holder, id: message, conversation: conversation?.id ?? newId(), query, answer, inputs, at, rating: null });
}
