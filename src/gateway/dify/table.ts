import type { Form } from "../pipeline/form.ts";
import { filesOf } from "../formats/forms.ts";
import type { NamedThing } from "../formats/dify/things.ts";

/** What a request that costs nothing was read to be. */
export interface PassedRequest {
  params: Record<string, string>;
  query: URLSearchParams;
  body: unknown;
}

/** One of Dify's routes that passes through with our `user`, once what it names is known to be the caller's. */
export interface PassedRoute {
  method: "GET" | "POST" | "DELETE" | "PUT";
  /** Under `/dify/v1`, and at Dify; `:name` is one part. */
  path: string;
  summary: string;
  body?: "json" | "form";
  /** What of the query passes on. */
  query?: readonly string[];
  things?(request: PassedRequest): NamedThing[];
  /** What is wrong with it, if it is wrong before anybody is asked. */
  check?(request: PassedRequest): string | undefined;
  /** It makes a file of the caller's, or takes a conversation away. */
  effect?: "makes a file" | "removes a conversation";
  /** It lists what apps have said, or conversations by their names: what the guardrail has not let pass is taken out. */
  lists?: "messages" | "conversations";
  /** It shows how a run went: what that used may not be charged yet. */
  shows?: "run";
  /** It ends work under way, and takes no place among the calls at once. */
  ends?: true;
}

const inPath =
  (kind: NamedThing["kind"], param = "id") =>
  ({ params }: PassedRequest): NamedThing[] => [{ id: params[param]!, kind, param }];

/** Things that the query may name. */
const inQuery =
  (kinds: Record<string, NamedThing["kind"]>) =>
  ({ query }: PassedRequest): NamedThing[] =>
    Object.entries(kinds).flatMap(([param, kind]) => {
      const id = query.get(param);
      return id ? [{ id, kind, param }] : [];
    });

const stop = (path: string): PassedRoute => ({
  method: "POST",
  path,
  summary: "Stop an answer that is on its way",
  body: "json",
  things: inPath("task", "task"),
  ends: true,
});

const hasFile = ({ body }: PassedRequest): string | undefined =>
  filesOf(body as Form, "file").length === 1 ? undefined : "file: is required";

/** Every route of Dify's that costs nothing and is about the caller's own things or the app. Lists of all users' things are not offered. */
export const PASSED: readonly PassedRoute[] = [
  stop("/chat-messages/:task/stop"),
  stop("/completion-messages/:task/stop"),
  stop("/workflows/tasks/:task/stop"),
  {
    method: "GET",
    path: "/conversations",
    summary: "The caller's conversations",
    query: ["last_id", "limit", "sort_by", "pinned"],
    things: inQuery({ last_id: "conversation" }),
    lists: "conversations",
  },
  {
    method: "DELETE",
    path: "/conversations/:id",
    summary: "Delete a conversation",
    body: "json",
    things: inPath("conversation"),
    effect: "removes a conversation",
  },
  {
    method: "GET",
    path: "/conversations/:id/variables",
    summary: "Variables of a conversation",
    query: ["last_id", "limit", "variable_name"],
    things: inPath("conversation"),
  },
  {
    method: "PUT",
    path: "/conversations/:id/variables/:variable",
    summary: "Set a variable of a conversation",
    body: "json",
    things: inPath("conversation"),
  },
  {
    method: "GET",
    path: "/messages",
    summary: "Messages of a conversation, newest first",
    query: ["conversation_id", "first_id", "limit"],
    things: inQuery({ conversation_id: "conversation", first_id: "message" }),
    lists: "messages",
    check: ({ query }) => (query.get("conversation_id") ? undefined : "conversation_id: is required"),
  },
  { method: "POST", path: "/messages/:id/feedbacks", summary: "Rate a message", body: "json", things: inPath("message") },
  {
    method: "POST",
    path: "/files/upload",
    summary: "Upload a file for later calls",
    body: "form",
    check: hasFile,
    effect: "makes a file",
  },
  { method: "GET", path: "/files/:id/preview", summary: "An uploaded file", query: ["as_attachment"], things: inPath("file") },
  { method: "GET", path: "/workflows/run/:id", summary: "How a workflow run went", things: inPath("run"), shows: "run" },
  { method: "GET", path: "/form/human_input/:id", summary: "What a paused run asks", things: inPath("form") },
  { method: "GET", path: "/parameters", summary: "What the app asks for, and what it can do" },
  { method: "GET", path: "/info", summary: "The app's name and description" },
  { method: "GET", path: "/meta", summary: "Icons of the app's tools" },
  { method: "GET", path: "/site", summary: "How the app's page looks" },
];
