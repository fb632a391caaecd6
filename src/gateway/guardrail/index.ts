import { createHmac } from "node:crypto";
import { Agent, request } from "undici";
import type { Logger } from "../../platform/logger.ts";
import type { Call } from "../pipeline/call.ts";
import { failure, type Failure } from "../pipeline/failure.ts";

export interface GuardrailConfig {
  url: string;
  /** Signs what is asked; unsigned without. */
  secret: string | undefined;
  timeoutMs: number;
  /** Whether answers are checked too. */
  answers: boolean;
  /** What happens when the guardrail does not say: the call is refused, or goes on unchecked. */
  onFailure: "refuse" | "allow";
  /** `shadow` notes what would be refused and refuses nothing. */
  mode: "enforce" | "shadow";
}

/** One HTTP call before a provider is asked and, if wanted, one before the client is answered. */
export interface Guardrail {
  /** Why the request may not go on; undefined when it may. `body` is what was parsed of it. */
  checkRequest(call: Call, body: unknown): Promise<Failure | undefined>;
  /** Why the answer may not be given; undefined when it may, or when answers are not checked. */
  checkAnswer(call: Call, answer: Buffer): Promise<Failure | undefined>;
  /** Answers are checked: nothing of a stream is given before its whole was. */
  readonly withholds: boolean;
  close(): Promise<void>;
}

/** More than this of a stream is not withheld for a check. */
export const WITHHELD_LIMIT = 8 * 1024 * 1024;
const VERDICT_LIMIT = 64 * 1024;
const WORD = /^[a-z0-9_.-]{1,40}$/i;

interface Verdict {
  allow: boolean;
  category: string;
  message: string | undefined;
}

function readVerdict(text: string): Verdict {
  const said = JSON.parse(text) as { allow?: unknown; category?: unknown; message?: unknown };
  if (typeof said.allow !== "boolean") throw new TypeError("the guardrail's answer has no `allow`");
  const category = typeof said.category === "string" && WORD.test(said.category) ? said.category.toLowerCase() : "other";
  return { allow: said.allow, category, message: typeof said.message === "string" ? said.message.slice(0, 500) : undefined };
}

/** Asks a service of the operator's about requests and answers. Never rejects: what it does not say is as configured. */
export function createGuardrail(config: GuardrailConfig, deps: { log: Logger; refused(): void }): Guardrail {
  const agent = new Agent({ connect: { timeout: config.timeoutMs }, keepAliveTimeout: 15_000 });

  async function ask(call: Call, stage: "request" | "answer", content: unknown): Promise<Verdict> {
    const { principal, keyId } = call.caller!;
    const body = JSON.stringify({
      stage,
      call_id: call.id,
      request_id: call.traceId,
      user_id: principal.userId,
      key_id: keyId,
      route: call.format.route,
      model: call.model!.name,
      content,
    });
    const timestamp = String(Math.floor(Date.now() / 1_000));
    const signature = config.secret && createHmac("sha256", config.secret).update(`${timestamp}.${body}`).digest("hex");
    const answer = await request(config.url, {
      method: "POST",
      dispatcher: agent,
      headers: {
        "content-type": "application/json",
        "x-timestamp": timestamp,
        ...(signature ? { "x-signature": `sha256=${signature}` } : {}),
      },
      body,
      signal: AbortSignal.timeout(config.timeoutMs),
    });
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of answer.body) {
      length += (chunk as Buffer).length;
      if (length > VERDICT_LIMIT) throw new RangeError("the guardrail's answer is too large");
      chunks.push(chunk as Buffer);
    }
    if (answer.statusCode !== 200) throw new Error(`the guardrail answered ${answer.statusCode}`);
    return readVerdict(Buffer.concat(chunks).toString("utf8"));
  }

  async function check(call: Call, stage: "request" | "answer", content: unknown): Promise<Failure | undefined> {
    let verdict: Verdict;
    try {
      verdict = await ask(call, stage, content);
    } catch (error) {
      deps.log.warn({ err: error, trace_id: call.traceId, stage, on_failure: config.onFailure }, "the guardrail did not say");
      if (config.onFailure === "allow" || config.mode === "shadow") return undefined;
      return failure("unavailable", { message: "The request could not be checked", retryAfter: 2, record: "guardrail_unavailable" });
    }
    if (verdict.allow) return undefined;
    const { category } = verdict;
    deps.refused();
    deps.log.info({ trace_id: call.traceId, call: call.id, stage, category, mode: config.mode }, "the guardrail refused a call");
    if (config.mode === "shadow") return undefined;
    const message = verdict.message ?? (stage === "request" ? "This request is not allowed" : "This answer may not be shown");
    return failure("content_refused", { message, record: `guardrail_${category}` });
  }

  return {
    withholds: config.answers && config.mode === "enforce",
    checkRequest: (call, body) => check(call, "request", body),
    async checkAnswer(call, answer) {
      if (!config.answers || call.request!.answer === "bytes") return undefined;
      return check(call, "answer", answer.toString("utf8"));
    },
    close: () => agent.close(),
  };
}
