import type { CallerKey } from "../../../identity/index.ts";
import { difyUser } from "../../../usage/index.ts";
import type { OwnedRow } from "../../dify/owned/index.ts";
import type { RelayDeps } from "../../pipeline/deps.ts";
import { failure, type Failure } from "../../pipeline/failure.ts";
import type { NamedThing } from "./things.ts";

/**
 * The `user` that Dify is told of a caller, whatever the caller writes: the account, or the end user that a token of the account is for. A
 * token that names nobody is somebody of its own.
 */
export function ownerOf({ principal, keyId, tokenId, endUser }: CallerKey): string {
  if (tokenId === null) return difyUser(principal.userId, undefined);
  return difyUser(principal.userId, endUser === null ? `token:${tokenId}` : `end-user:${keyId}:${endUser}`);
}

/** Dify's word for what is not there, whoever's it is. */
export const notFound = (what: string): Failure =>
  failure("not_found", { message: `${what} does not exist`, vendor: { type: null, code: "not_found" } });

const WHAT: Record<NamedThing["kind"], string> = {
  conversation: "Conversation",
  message: "Message",
  task: "Task",
  run: "Workflow run",
  file: "File",
  form: "Form",
};

/** What is known of the things a request names, in their order; a failure when one of them is not the owner's, or they lie apart. */
export async function ownThings(
  deps: Pick<RelayDeps, "owned">,
  owner: string,
  things: readonly NamedThing[],
): Promise<OwnedRow[] | Failure> {
  const found = new Map(
    (
      await deps.owned.find(
        owner,
        things.map(({ id }) => id),
      )
    ).map((row) => [row.id, row]),
  );
  const rows: OwnedRow[] = [];
  for (const { id, kind } of things) {
    const row = found.get(id);
    // A run is also known by the task that began it.
    if (!row || (row.kind !== kind && !(kind === "task" && row.kind === "run"))) return notFound(WHAT[kind]);
    // What the guardrail has not let pass is not read by another way.
    if (row.withheld && (kind === "message" || kind === "run")) return notFound(WHAT[kind]);
    if (rows[0] && row.providerId !== rows[0].providerId) return notFound(WHAT[kind]);
    rows.push(row);
  }
  return rows;
}
