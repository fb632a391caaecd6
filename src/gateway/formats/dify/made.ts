import type { Made } from "../../pipeline/format.ts";
import { isObject, objectsIn, type Fields } from "../checks.ts";

/** As Dify writes its ids; anything else is not put into a path, nor kept. */
export const ID = /^[\w-]{1,128}$/;

const idIn = (fields: Fields, name: string): string | undefined => {
  const value = fields[name];
  return typeof value === "string" && ID.test(value) ? value : undefined;
};

/**
 * What an event or a whole answer says was made. A message is charged by its id, a workflow without a message by its run's; what comes of
 * a run after a pause is charged apart, under what was `settled` before; undefined when it has not paused yet.
 */
export function madeIn(fields: Fields, settled?: number): Made | undefined {
  const task = idIn(fields, "task_id");
  const message = idIn(fields, "message_id");
  const run = idIn(fields, "workflow_run_id");
  if (task === undefined && message === undefined && run === undefined) return undefined;
  const charged = message ?? run ?? task!;
  return {
    conversation: idIn(fields, "conversation_id"),
    message,
    task,
    run,
    charge: settled === undefined ? charged : `${charged}#${settled}`,
    settled,
  };
}

/** The tokens of the forms that a run says it waits for: of a person's node, or of all that made it pause. Those sent by e-mail have none. */
export function formsIn(fields: Fields): string[] {
  const data = isObject(fields["data"]) ? fields["data"] : {};
  return [data, ...objectsIn(data["reasons"])].flatMap((holder) => idIn(holder, "form_token") ?? []);
}
