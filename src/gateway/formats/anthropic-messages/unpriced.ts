import { isObject, notOffered, type Check, type Fields, type Problem, wordOf } from "../checks.ts";

/**
 * Fields that make an answer cost what no price here covers (code execution, servers of others, another model, faster or nearer machines,
 * work that the usage leaves out), or that reach what another customer of the same provider has stored.
 */
export const UNPRICED_FIELDS: Record<string, Check> = {
  container: notOffered,
  mcp_servers: notOffered,
  // Upstreams that read no headers read features here; those that are offered go by the header, which is checked.
  anthropic_beta: notOffered,
  betas: notOffered,
  fallbacks: notOffered,
  fallback_credit_token: notOffered,
  billing_policy: notOffered,
  compaction: notOffered,
  thread: notOffered,
  speed: (value) => (value === "standard" ? undefined : "only standard is offered here"),
  inference_geo: (value) => (value === "global" ? undefined : "only global is offered here"),
};

/** Features behind `anthropic-beta` of the same kind, by the beginning of their names. */
const UNPRICED_BETAS =
  /^(?:context-1m|fast-mode|code-execution|mcp-|skills|server-side-fallback|fallback-credit|compact|message-threads|advisor-tool|files-api|message-batches|user-profiles|managed-agents|agent-memory|dreaming)/;

/** The names in a header `anthropic-beta`. */
export const betasOf = (header: string | string[] | undefined): string[] =>
  header === undefined
    ? []
    : String(header)
        .split(",")
        .map((beta) => beta.trim())
        .filter((beta) => beta !== "");

/** A beta that would cost what no price covers, or undefined. */
export function checkBetas(betas: string[]): Problem | undefined {
  const unpriced = betas.find((beta) => UNPRICED_BETAS.test(beta));
  return unpriced === undefined ? undefined : { param: "anthropic-beta", message: `${unpriced.slice(0, 100)} is not offered here` };
}

/** Summaries made on the way are output that the usage does not count. */
export function checkContextManagement(body: Fields): Problem | undefined {
  const management = body["context_management"];
  const edits = isObject(management) ? management["edits"] : undefined;
  if (!Array.isArray(edits)) return undefined;
  const at = edits.findIndex((edit: unknown) => isObject(edit) && wordOf(edit["type"]).startsWith("compact"));
  return at < 0 ? undefined : { param: `context_management.edits[${at}].type`, message: "compaction is not offered here" };
}
