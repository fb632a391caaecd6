import type { OutEvent } from "../upstream/endpoint.ts";
import type { Plan } from "./plan.ts";
import { nodeFinished, runBegins, runFinished, runPauses, writerOf } from "./run.ts";
import { metadataOf } from "./usage.ts";

const SPEECH = "SUQzBAAAAAAA";
const REPLACED = "This answer cannot be shown.";

/** The stream of an app, in order, as Dify sends it. */
export function* appEvents(plan: Plan): Generator<OutEvent> {
  const { directives } = plan;
  for (let i = 0; i < (directives.pings ?? 1); i++) yield { event: "ping" };
  if (plan.kind === "workflow") yield* workflowEvents(plan);
  else if (plan.kind === "chatflow") yield* chatflowEvents(plan);
  else if (plan.kind === "agent") yield* agentEvents(plan);
  else yield* messageEvents(plan);
}

function* answerEvents(plan: Plan, event: "message" | "agent_message"): Generator<OutEvent> {
  const write = writerOf(plan);
  for (const [i, piece] of plan.pieces.entries()) {
    yield { data: write(event, { id: plan.message, answer: piece }), content: true };
    if (i === 0) yield { data: write("tts_message", { audio: SPEECH }) };
  }
  if (plan.directives.replace) yield { data: write("message_replace", { answer: REPLACED }) };
}

function messageEnd(plan: Plan): OutEvent {
  return { data: writerOf(plan)("message_end", { id: plan.message, metadata: metadataOf(plan), files: [] }), terminal: true };
}

function* messageEvents(plan: Plan): Generator<OutEvent> {
  yield* answerEvents(plan, "message");
  yield messageEnd(plan);
  yield { data: writerOf(plan)("tts_message_end", { audio: "" }) };
}

function* agentEvents(plan: Plan): Generator<OutEvent> {
  const write = writerOf(plan);
  for (const [i, { name, input }] of plan.tools.entries()) {
    const thought = { id: `thought-${i}`, position: i + 1, thought: "", tool: name, tool_labels: {}, tool_input: input, message_files: [] };
    yield { data: write("agent_thought", { ...thought, observation: "" }) };
    yield { data: write("agent_thought", { ...thought, observation: `{"${name}": "a tool said this"}` }) };
    yield {
      data: write("message_file", { id: `file-${i}`, type: "image", belongs_to: "assistant", url: "https://dify.example/files/1.png" }),
    };
  }
  yield* answerEvents(plan, "agent_message");
  yield messageEnd(plan);
}

function* chatflowEvents(plan: Plan): Generator<OutEvent> {
  const write = writerOf(plan);
  const { outcome = "succeeded" } = plan.directives;
  yield* runBegins(plan, write);
  yield* answerEvents(plan, "message");
  yield nodeFinished(plan, write);
  if (outcome === "paused") return yield* runPauses(plan, write);
  yield runFinished(plan, write, outcome);
  if (outcome === "failed") yield errorEvent(plan);
  else yield messageEnd(plan);
}

function* workflowEvents(plan: Plan): Generator<OutEvent> {
  const write = writerOf(plan);
  const { outcome = "succeeded" } = plan.directives;
  yield* runBegins(plan, write);
  for (const piece of plan.pieces)
    yield { data: write("text_chunk", { data: { text: piece, from_variable_selector: ["llm", "text"] } }), content: true };
  yield nodeFinished(plan, write);
  if (outcome === "paused") yield* runPauses(plan, write);
  else yield runFinished(plan, write, outcome);
}

/** What is left of a run that went on after a pause; its total counts all of it. */
export function* resumedEvents(plan: Plan): Generator<OutEvent> {
  const write = writerOf(plan);
  yield { event: "ping" };
  yield { data: write("workflow_started", { data: { id: plan.run, reason: "resumption", created_at: plan.at } }) };
  if (plan.kind === "chatflow") yield* answerEvents(plan, "message");
  else for (const piece of plan.pieces) yield { data: write("text_chunk", { data: { text: piece } }), content: true };
  yield nodeFinished(plan, write);
  if (plan.directives.outcome === "paused") return yield* runPauses(plan, write);
  yield runFinished(plan, write, plan.directives.outcome === "failed" ? "failed" : "succeeded");
  if (plan.kind === "chatflow") yield messageEnd(plan);
}

/** Somebody has stopped it: Dify ends such a stream in order, with what was used until then. */
export function stoppedEvents(plan: Plan): OutEvent[] {
  const write = writerOf(plan);
  if (plan.kind === "workflow") return [runFinished(plan, write, "stopped")];
  return plan.kind === "chatflow" ? [runFinished(plan, write, "stopped"), messageEnd(plan)] : [messageEnd(plan)];
}

/** An error inside a stream. */
export function errorEvent(plan: Plan, code = "completion_request_error"): OutEvent {
  const message = "The demo app failed: [openai] Error: Incorrect API key provided: sk-demo123456";
  return { data: writerOf(plan)("error", { status: 400, code, message }) };
}

/** How a workflow says that it failed; other apps have an error for that. */
export const failedEvent = (plan: Plan): OutEvent =>
  plan.kind === "workflow" ? runFinished(plan, writerOf(plan), "failed") : errorEvent(plan);
