import type { Answer, Asked, Endpoint } from "../upstream/endpoint.ts";
import { Refused } from "../upstream/endpoint.ts";
import { appEvents, errorEvent, failedEvent, resumedEvents, stoppedEvents } from "./events.ts";
import { planAnswer, textOf, type Plan } from "./plan.ts";
import { runFinished, writerOf } from "./run.ts";
import { holderOf, newId, notFound, type Store } from "./store.ts";
import { metadataOf, totalOf } from "./usage.ts";
import { dify } from "./vendor.ts";
import type { Webhooks } from "./webhooks.ts";

interface Parts {
  store: Store;
  webhooks: Webhooks;
}

const parsed = (data: string | undefined): object => JSON.parse(data ?? "{}") as object;

/** An answer in one piece. */
function wholeOf(plan: Plan): object {
  const { task, message, run, conversation, kind, pieces, at } = plan;
  if (kind === "workflow") {
    const { data } = parsed(runFinished(plan, writerOf(plan), plan.directives.outcome ?? "succeeded").data) as { data: object };
    return { task_id: task.id, workflow_run_id: run, data };
  }
  return {
    event: "message",
    task_id: task.id,
    id: message,
    message_id: message,
    conversation_id: conversation?.id ?? newId(),
    mode: kind === "completion" ? "completion" : "chat",
    answer: pieces.join(""),
    metadata: metadataOf(plan),
    created_at: at,
  };
}

function failedWhole(plan: Plan): object | undefined {
  if (plan.kind !== "workflow") return undefined;
  const { data } = parsed(failedEvent(plan).data) as { data: object };
  return { task_id: plan.task.id, workflow_run_id: plan.run, data };
}

function answerOf(plan: Plan, streaming: boolean, webhooks: Webhooks): Answer {
  const { before, after } = webhooks.around(plan);
  if (!streaming) {
    const failure = failedWhole(plan);
    return { kind: "whole", body: wholeOf(plan), steps: plan.pieces.length, before, after, ...(failure ? { failure } : {}) };
  }
  return {
    kind: "events",
    events: appEvents(plan),
    error: () => errorEvent(plan),
    failure: () => failedEvent(plan),
    stopped: () => (plan.task.stopped ? stoppedEvents(plan) : undefined),
    before,
    after,
  };
}

const app = (path: RegExp, usual: "chat" | "completion" | "workflow", { store, webhooks }: Parts): Endpoint => ({
  method: "POST",
  path,
  vendor: dify,
  prompt: textOf,
  answer(asked) {
    const { error: code } = asked.directives;
    if (code) throw new Refused(400, `The demo app was told to answer ${code}.`, { code });
    const plan = planAnswer(store, asked, holderOf(asked), usual);
    if (plan.directives.outcome === "paused")
      store.runs.add({
        ...plan.holder,
        id: plan.run,
        message: plan.message,
        conversation: plan.conversation,
        waits: totalOf(plan),
        used: 0,
      });
    return answerOf(plan, asked.body["response_mode"] === "streaming", webhooks);
  },
});

/** Dify takes the wish from anybody and does nothing for others than the task's own user. */
const stop = (path: RegExp, { store }: Parts): Endpoint => ({
  method: "POST",
  path,
  vendor: dify,
  calm: true,
  answer(asked) {
    const task = store.tasks.find(holderOf(asked), asked.param);
    if (task) task.stopped = true;
    return { kind: "whole", body: { result: "success" } };
  },
});

/** The events of a run that somebody's word let go on. */
const resume = ({ store, webhooks }: Parts): Endpoint => ({
  method: "GET",
  path: /^\/v1\/workflow\/([^/]+)\/events$/,
  vendor: dify,
  answer(asked: Asked) {
    const holder = holderOf(asked);
    const run = store.runs.find(holder, asked.param) ?? notFound("Workflow run");
    const { message, conversation } = run;
    const planned = planAnswer(store, { ...asked, body: { ...asked.body, inputs: {} } }, holder, "workflow");
    const plan: Plan = { ...planned, run: run.id, message, conversation };
    if (plan.directives.outcome === "paused") run.waits = totalOf(plan);
    return { kind: "events", events: resumedEvents(plan), error: () => errorEvent(plan), ...webhooks.around(plan) };
  },
});

/** Everything that an app answers with its model. */
export function appEndpoints(parts: Parts): Endpoint[] {
  return [
    app(/^\/v1\/chat-messages$/, "chat", parts),
    app(/^\/v1\/completion-messages$/, "completion", parts),
    app(/^\/v1\/workflows\/run$/, "workflow", parts),
    app(/^\/v1\/workflows\/[^/]+\/run$/, "workflow", parts),
    stop(/^\/v1\/(?:chat|completion)-messages\/([^/]+)\/stop$/, parts),
    stop(/^\/v1\/workflows\/tasks\/([^/]+)\/stop$/, parts),
    resume(parts),
  ];
}
