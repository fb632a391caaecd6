import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { WorkflowHandle } from "@temporalio/client";
import proto, { type temporal } from "@temporalio/proto";
import { projectRoot } from "../../src/platform/root.ts";

/**
 * Histories of real runs as files. They are protobufjs' own JSON of `temporal.api.history.v1.History`: the SDK's history reader and
 * writer need one copy of protobufjs in the tree, and there are several.
 */
const { History } = proto.temporal.api.history.v1;
const folder = path.join(projectRoot, "test/replay/histories");

/** Names of all recorded histories: `<what>.<release>`. */
export function historyNames(): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.slice(0, -".json".length))
    .sort();
}

/** A recorded history and the type of its workflow. */
export function readHistory(name: string): { history: temporal.api.history.v1.History; workflowType: string } {
  const history = History.fromObject(JSON.parse(readFileSync(path.join(folder, `${name}.json`), "utf8")) as Record<string, unknown>);
  const workflowType = history.events[0]?.workflowExecutionStartedEventAttributes?.workflowType?.name;
  if (!workflowType) throw new Error(`${name}.json does not begin with the start of a workflow`);
  return { history, workflowType };
}

/** Keeps the history of a run under `<name>.<release>.json`. */
export async function saveHistory(handle: WorkflowHandle, name: string, release: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const json = JSON.stringify(History.fromObject(await handle.fetchHistory()));
  // Stack traces in failures name the folder of whoever records.
  writeFileSync(path.join(folder, `${name}.${release}.json`), `${json.replaceAll(projectRoot, "/app")}\n`);
}
