import type { Request } from "express";
import { z } from "zod";
import { AppError, appError, type ErrorCode } from "../../platform/errors.ts";
import type { Pool } from "../../platform/postgres.ts";
import { equalSecret, sha256, type SecretBox } from "../../platform/secrets.ts";
import { readBody } from "../dify/body.ts";
import type { Intake, Taken } from "../dify/intake.ts";
import type { Refusal, Refusals } from "../dify/refusals.ts";
import { createVerifier } from "../dify/signature.ts";
import { findSource } from "./repository.ts";
import { readReports } from "./report.ts";

const LIMIT_BYTES = 262_144;
/** Of sources, as they are made. */
export const SOURCE_NAME = /^[a-z][a-z0-9-]{1,31}$/;

/** What became of one reported use. Points are exact decimal text. */
export const resultView = z.object({
  id: z.string(),
  status: z.enum(["charged", "open"]).meta({ description: "`open`: kept, to be charged when what is missing is there" }),
  code: z.string().nullable().meta({ description: "`insufficient_balance`: charged, and a part is owed; else why it is open" }),
  repeat: z.boolean().meta({ description: "It came before; nothing was charged now" }),
  consumption_id: z.string().nullable(),
  points: z.string().nullable(),
  tokens: z.number().int().nullable(),
  shortfall: z.string().nullable(),
});
type Result = z.output<typeof resultView>;

interface Said {
  data?: Deduction | null;
  error?: { code: string; details?: Deduction };
}

interface Deduction {
  consumptionId?: string;
  tokensUsed?: number;
  shortfall?: string;
}

/** The webhook's answer as a line of ours. Points stand in it as a number that no float need hold. */
function resultOf(id: string, { answer, kind }: Taken): Result {
  const { data, error } = JSON.parse(answer.body) as Said;
  const deduction = data ?? error?.details;
  return {
    id,
    status: deduction?.consumptionId === undefined ? "open" : "charged",
    code: error?.code ?? null,
    repeat: kind !== "first",
    consumption_id: deduction?.consumptionId ?? null,
    points: /"pointsDeducted":(\d+(?:\.\d+)?)/.exec(answer.body)?.[1] ?? null,
    tokens: deduction?.tokensUsed ?? null,
    shortfall: deduction?.shortfall ?? null,
  };
}

/** Sources that nobody knows are noted under no name of their own. */
const NO_SOURCE = "?";
const NOTHING: Buffer = Buffer.alloc(0);

/**
 * Takes what a source reports: its key is checked before the body is read, the body's signature before it is believed. Throws
 * `unauthenticated`, `invalid_signature`, `request_expired`, `payload_too_large`, or `validation_failed`; then nothing was taken. What is
 * refused is kept for operators, as far as there is room for strangers.
 */
export function createTakeReports(deps: {
  pool: Pool;
  secretBox: SecretBox;
  intake: Pick<Intake, "take">;
  refusals: Pick<Refusals, "keep" | "note">;
  clock?: () => number;
}) {
  const { pool, secretBox, intake, refusals, clock = Date.now } = deps;

  return async (name: string, req: Request, traceId: string): Promise<Result[]> => {
    const startMs = performance.now();
    const bearer = /^Bearer +(\S+)$/i.exec(req.get("authorization") ?? "")?.[1];
    const apiKey = req.get("x-api-key")?.trim() ?? bearer ?? "";
    const source = SOURCE_NAME.test(name) ? await findSource(pool, name) : undefined;

    const refusal = (reason: string, error: AppError, body: Buffer, authenticated: boolean): Refusal => ({
      reason,
      source: source?.name ?? NO_SOURCE,
      status: error.status,
      authenticated,
      body,
      headers: req.headers,
      clientIp: req.ip ?? "",
      message: error.message,
    });
    function stranger(reason: string, code: ErrorCode, message: string, body: Buffer = NOTHING): AppError {
      const error = appError(code, { message });
      refusals.note(refusal(reason, error, body, false));
      return error;
    }

    if (source?.status !== "active" || !equalSecret(sha256(apiKey), source.key_hash)) {
      const reason = apiKey === "" ? "key_missing" : "key_wrong";
      throw stranger(reason, "unauthenticated", "Send the source's key as X-API-Key or bearer token");
    }
    const { kind, raw } = await readBody(req, LIMIT_BYTES);
    if (kind === "oversized") throw stranger(kind, "payload_too_large", `The body is longer than ${LIMIT_BYTES} bytes`, raw);
    if (kind === "truncated") throw stranger(kind, "validation_failed", "body: ended before its end", raw);
    const credentials = { apiKey, signature: req.get("x-signature")?.trim(), timestamp: req.get("x-timestamp")?.trim() };
    const verifier = createVerifier({ apiKeys: [], secrets: [secretBox.open(source.secret)] });
    const forged = verifier.checkSignature(credentials, raw);
    if (forged) throw stranger(forged.reason, forged.code, forged.message, raw);

    /** From here on the source is who it says it is: what is refused is durable before it is told so. */
    async function authentic(reason: string, error: AppError): Promise<AppError> {
      await refusals.keep(refusal(reason, error, raw, true));
      return error;
    }
    const late = verifier.checkTime(credentials, clock());
    if (late) throw await authentic(late.reason, appError(late.code, { message: late.message }));
    const receivedAt = new Date(clock());
    const messages = readReports(name, raw, receivedAt.getTime());
    if (messages instanceof AppError) throw await authentic("malformed", messages);
    const taken = await Promise.all(messages.map((message) => intake.take({ message, traceId, receivedAt, startMs })));
    return taken.map((one, n) => resultOf(messages[n]!.messageId.slice(name.length + 1), one));
  };
}
