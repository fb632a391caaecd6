import { inTurns } from "../inTurns.ts";
import type { Driver, Seen, Task } from "../seen.ts";
import { anthropicAsks } from "./anthropic.ts";
import { anthropicClient, errorOf, openaiClient, type Shown } from "./client.ts";
import { mediaAsks } from "./openaiMedia.ts";
import { responseAsks } from "./openaiResponses.ts";
import { chatAsks } from "./openaiText.ts";

const AT_ONCE = 8;
const openaiAsks = { ...chatAsks, ...responseAsks, ...mediaAsks };

function use(task: Task, sent: (number | null)[]): Promise<Shown> {
  const unknown = new Error(`no such thing to ask: ${task.client} ${task.ask}`);
  if (task.client === "openai") return openaiAsks[task.ask]?.(openaiClient(task, sent), task, sent) ?? Promise.reject(unknown);
  return anthropicAsks[task.ask]?.(anthropicClient(task, sent), task, sent) ?? Promise.reject(unknown);
}

async function perform(task: Task): Promise<Seen> {
  const sent: (number | null)[] = [];
  const shown = await use(task, sent).catch((error: unknown) => ({ error: errorOf(error) }));
  return { ...shown, sent };
}

/** The official clients for JavaScript, in this process. */
export const javascript: Driver = async (tasks) =>
  new Map(await inTurns(tasks, AT_ONCE, async (task) => [task.id, await perform(task)] as const));
