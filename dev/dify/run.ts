import type { OutEvent } from "../upstream/endpoint.ts";
import type { Plan } from "./plan.ts";
import { totalOf } from "./usage.ts";

type Write = (event: string, more: object) => string;

/** Writes events with what all of a call's events share; the event's name goes first, as Dify writes it. */
export function writerOf({ task, message, conversation, run, kind, at }: Plan): Write {
  const shared = {
    ...(conversation ? { conversation_id: conversation.id } : {}),
    ...(kind === "workflow" ? {} : { message_id: message }),
    created_at: at,
    task_id: task.id,
    ...(kind === "workflow" || kind === "chatflow" ? { workflow_run_id: run } : {}),
  };
  return (event, more) => JSON.stringify({ event, ...shared, ...more });
}

const NODE = { id: "node-1", node_id: "llm", node_type: "llm", title: "LLM", index: 2 };

/** The beginning of a run. */
export function* runBegins(plan: Plan, write: Write): Generator<OutEvent> {
  const { run, at } = plan;
  yield { data: write("workflow_started", { data: { id: run, workflow_id: "workflow-1", inputs: {}, created_at: at } }) };
  yield { data: write("node_started", { data: { ...NODE, inputs: null, created_at: at } }) };
}

/** The model's node is done; the usage inside is the only place where its two sides stand. */
export function nodeFinished(plan: Plan, write: Write): OutEvent {
  const total = totalOf(plan);
  const data = { ...NODE, status: "succeeded", outputs: { text: plan.pieces.join("") }, error: null, elapsed_time: 1.2 };
  return { data: write("node_finished", { data: { ...data, execution_metadata: { ...total, total_price: "0.001", currency: "USD" } } }) };
}

/** The end of a run with this status. */
export function runFinished(plan: Plan, write: Write, status: string): OutEvent {
  const data = {
    id: plan.run,
    workflow_id: "workflow-1",
    status,
    outputs: { text: plan.pieces.join("") },
    error: status === "failed" ? "[openai] Error: 401 Incorrect API key provided: sk-demo123456 at http://10.0.0.7:8080/v1" : null,
    elapsed_time: 1.5,
    ...totalOf(plan),
    total_steps: 3,
    created_at: plan.at,
    finished_at: plan.at + 2,
  };
  return { data: write("workflow_finished", { data }), terminal: true };
}

/** A run that waits for a person ends its stream without an end. */
export function* runPauses(plan: Plan, write: Write): Generator<OutEvent> {
  yield { data: write("human_input_required", { data: { form_id: "form-1", node_id: "human", form_token: `form-${plan.run}` } }) };
  yield {
    data: write("workflow_paused", {
      data: { workflow_run_id: plan.run, status: "paused", reasons: [], ...totalOf(plan), total_steps: 2 },
    }),
    terminal: true,
  };
}
