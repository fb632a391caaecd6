import type { OwnedKind } from "../../dify/owned/index.ts";
import { isObject, type Fields } from "../checks.ts";

/** Something at Dify that a request names, and the field that names it. */
export interface NamedThing {
  id: string;
  kind: OwnedKind;
  param: string;
}

/** How a client says that a message follows none. */
const NO_MESSAGE = "00000000-0000-0000-0000-000000000000";
/** Files that Dify keeps, by how an input names them. It looks at no user for the others than the first. */
const FILE_FIELDS = ["upload_file_id", "tool_file_id", "datasource_file_id", "related_id"] as const;
const DEEPEST = 16;

/** Everything of Dify's that the body of a call builds on, files in inputs included. */
export function thingsIn(body: Fields): NamedThing[] {
  const things: NamedThing[] = [];
  const { conversation_id: conversation, parent_message_id: parent } = body;
  if (typeof conversation === "string" && conversation !== "")
    things.push({ id: conversation, kind: "conversation", param: "conversation_id" });
  if (typeof parent === "string" && parent !== "" && parent !== NO_MESSAGE)
    things.push({ id: parent, kind: "message", param: "parent_message_id" });
  gatherFiles(body["files"], things, 0);
  gatherFiles(body["inputs"], things, 0);
  return things;
}

function gatherFiles(value: unknown, things: NamedThing[], depth: number): void {
  if (depth > DEEPEST || typeof value !== "object" || value === null) return;
  if (isObject(value) && "transfer_method" in value) {
    for (const param of FILE_FIELDS) {
      const id = value[param];
      if (typeof id === "string" && id !== "") things.push({ id, kind: "file", param });
    }
  }
  for (const inner of Array.isArray(value) ? (value as unknown[]) : Object.values(value)) gatherFiles(inner, things, depth + 1);
}
