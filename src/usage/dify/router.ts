import express, { type Request, type RequestHandler, type Response, type Router } from "express";
import { endUnread, isUnread } from "../../http/linger.ts";
import { requestIdOf, traceIdOf } from "../../http/trace.ts";
import { formatCredits } from "../../platform/credits.ts";
import { AppError, ERROR_CODES, type ErrorCode } from "../../platform/errors.ts";
import type { Logger } from "../../platform/logger.ts";
import { isConnectionError } from "../../platform/postgres.ts";
import { within } from "../../platform/within.ts";
import { consumptionId, ignoredAnswer, refusedAnswer, type DifyAnswer } from "./answers.ts";
import { readBody } from "./body.ts";
import type { Intake, Taken } from "./intake.ts";
import { parseDelivery, type DifyMessage } from "./message.ts";
import type { DifyMetrics } from "./metrics.ts";
import type { Refusals } from "./refusals.ts";
import type { Credentials, Verifier } from "./signature.ts";

/** All that the webhook needs of the application that serves it. */
export interface DifyWebhookDeps {
  intake: Pick<Intake, "take">;
  verifier: Verifier;
  refusals: Pick<Refusals, "keep" | "note">;
  log: Logger;
  metrics?: DifyMetrics | undefined;
  /** Logs what came, what it cost and what was left, without anything secret. */
  debug?: boolean;
  clock?: () => number;
}

const LIMIT_BYTES = 65_536;
/** A sender is told to come again rather than kept waiting. */
const ANSWER_WITHIN_MS = 10_000;

function credentialsOf(req: Request): Credentials {
  const bearer = /^Bearer +(\S+)$/i.exec(req.get("authorization") ?? "")?.[1];
  return {
    apiKey: req.get("x-api-key")?.trim() ?? bearer,
    signature: req.get("x-signature")?.trim(),
    timestamp: req.get("x-timestamp")?.trim(),
  };
}

function send(res: Response, { status, body }: DifyAnswer): void {
  if (res.headersSent || res.destroyed) return;
  res.status(status).set("cache-control", "no-store").type("application/json");
  if (!isUnread(res.req)) return void res.send(body);
  const bytes = Buffer.from(body);
  res.set({ connection: "close", "content-length": String(bytes.length) });
  endUnread(res, bytes);
}

const notInTime = (): Error => Object.assign(new Error("the event was not taken in time"), { code: "ETIMEDOUT" });

const outcomeOf = ({ kind, outcome }: Taken): string => (kind === "first" ? (outcome?.kept.reason ?? "charged") : kind);

/** Answers deliveries of Dify's webhook. Reads the body itself: it must not come behind a body parser. */
export function difyWebhookHandler(deps: DifyWebhookDeps): RequestHandler {
  const { intake, verifier, refusals, log, metrics, debug = false, clock = Date.now } = deps;

  interface Visit {
    req: Request;
    res: Response;
    traceId: string;
    startMs: number;
    body: Buffer;
    authentic: boolean;
  }

  function refuse(visit: Visit, reason: string, code: ErrorCode, message: string, details?: unknown): void {
    metrics?.answered(reason, (performance.now() - visit.startMs) / 1_000);
    if (debug) log.info({ reason, dify_message: message, trace_id: visit.traceId }, "a dify delivery was refused");
    send(visit.res, refusedAnswer(code, message, visit.traceId, details));
  }

  const record = ({ req, body }: Visit, reason: string, status: number, message: string, authenticated: boolean) => ({
    reason,
    status,
    authenticated,
    body,
    headers: req.headers,
    clientIp: req.ip ?? "",
    message,
  });

  function refuseStranger(visit: Visit, reason: string, code: ErrorCode, message: string): void {
    refusals.note(record(visit, reason, ERROR_CODES[code].status, message, false));
    refuse(visit, reason, code, message);
  }

  async function refuseAuthentic(visit: Visit, reason: string, code: ErrorCode, message: string, details?: unknown): Promise<void> {
    await refusals.keep(record(visit, reason, ERROR_CODES[code].status, message, true));
    refuse(visit, reason, code, message, details);
  }

  function unavailable(visit: Visit, error: unknown): void {
    const busy = error instanceof AppError && error.code === "unavailable";
    const level = busy ? "warn" : "error";
    log[level]({ err: error, trace_id: visit.traceId }, "a dify delivery could not be taken; its sender is asked to repeat it");
    metrics?.answered("unavailable", (performance.now() - visit.startMs) / 1_000);
    visit.res.set("retry-after", "1");
    const code = busy || isConnectionError(error) ? "unavailable" : "internal_error";
    // A sender that does not come again is not the end of it.
    if (code === "internal_error" && visit.authentic) {
      const said = "It met a fault of ours, which the log has";
      refusals
        .keep(record(visit, "failed", ERROR_CODES[code].status, said, true))
        .catch((cause: unknown) => log.error({ err: cause }, said));
    }
    send(visit.res, refusedAnswer(code, ERROR_CODES[code].message, visit.traceId));
  }

  function tell(visit: Visit, message: DifyMessage, { answer, kind, outcome }: Taken): void {
    log.info(
      {
        trace_id: visit.traceId,
        dify: { ...message, at: message.at.toISOString() },
        kind,
        status: answer.status,
        consumption_id: outcome?.kept.event_id ? consumptionId(outcome.kept.event_id) : null,
        cost: outcome?.kept.cost ? formatCredits(BigInt(outcome.kept.cost)) : null,
        balance_after: outcome?.kept.balance_after ? formatCredits(BigInt(outcome.kept.balance_after)) : null,
        reason: outcome?.kept.reason ?? null,
      },
      "a dify event was taken",
    );
  }

  async function takeMessage(visit: Visit, message: DifyMessage): Promise<void> {
    const { traceId, startMs } = visit;
    const taken = await within(ANSWER_WITHIN_MS, intake.take({ message, traceId, receivedAt: new Date(clock()), startMs }), notInTime);
    send(visit.res, taken.answer);
    metrics?.answered(outcomeOf(taken), (performance.now() - startMs) / 1_000);
    if (debug) tell(visit, message, taken);
    if (taken.kind === "differs") {
      const said = "A message or request id that came before with other content; the first answer was given again";
      refusals
        .keep(record(visit, "duplicate_differs", taken.answer.status, said, true))
        .catch((error: unknown) => log.error({ err: error }, said));
    }
  }

  /** From here on the sender is who it says it is. */
  async function takeAuthentic(visit: Visit): Promise<void> {
    const parsed = parseDelivery(visit.body, clock());
    switch (parsed.kind) {
      case "invalid":
        return refuseAuthentic(visit, "malformed", "validation_failed", parsed.message, parsed.problems);
      case "other":
        metrics?.answered("ignored", (performance.now() - visit.startMs) / 1_000);
        return send(visit.res, ignoredAnswer(parsed.event));
      case "message":
        return takeMessage(visit, parsed.message);
    }
  }

  async function receive(visit: Visit): Promise<void> {
    const { req } = visit;
    if (req.body !== undefined) throw new Error("the Dify webhook is mounted behind a body parser and cannot verify signatures");
    const credentials = credentialsOf(req);
    const strange = verifier.checkKey(credentials);
    if (strange) return refuseStranger(visit, strange.reason, strange.code, strange.message);
    const { kind, raw } = await readBody(req, LIMIT_BYTES);
    visit.body = raw;
    if (kind === "oversized") {
      return refuseStranger(visit, "oversized", "payload_too_large", `The body is longer than ${LIMIT_BYTES} bytes`);
    }
    if (kind === "truncated") return refuseStranger(visit, "truncated", "validation_failed", "body: ended before its end");
    const forged = verifier.checkSignature(credentials, raw);
    if (forged) return refuseStranger(visit, forged.reason, forged.code, forged.message);
    visit.authentic = true;
    const late = verifier.checkTime(credentials, clock());
    // Rightly signed at another time: either sent again by a stranger, or held up on its way.
    if (late) return refuseAuthentic(visit, late.reason, late.code, late.message);
    return takeAuthentic(visit);
  }

  return async (req, res) => {
    const traceId = traceIdOf(res) || requestIdOf(req.get("x-request-id"));
    res.setHeader("X-Request-ID", traceId);
    const visit: Visit = { req, res, traceId, startMs: performance.now(), body: Buffer.alloc(0), authentic: false };
    await receive(visit).catch((error: unknown) => unavailable(visit, error));
  };
}

/** `POST /` of Dify's webhook as a router that any Express application can mount, ahead of its body parsers. */
export function difyWebhookRouter(deps: DifyWebhookDeps): Router {
  const router = express.Router();
  router.post("/", difyWebhookHandler(deps));
  return router;
}
