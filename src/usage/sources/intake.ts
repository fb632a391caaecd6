import type { Request } from "express";
import { z } from "zod";
import { appError } from "../../platform/errors.ts";
import type { Pool } from "../../platform/postgres.ts";
import { equalSecret, sha256, type SecretBox } from "../../platform/secrets.ts";
import { readBody } from "../dify/body.ts";
import type { Intake, Taken } from "../dify/intake.ts";
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

/**
 * Takes what a source reports: its key is checked before the body is read, the body's signature before it is believed. Throws
 * `unauthenticated`, `invalid_signature`, `request_expired`, `payload_too_large`, or `validation_failed`; then nothing was taken.
 */
export function createTakeReports(deps: { pool: Pool; secretBox: SecretBox; intake: Pick<Intake, "take">; clock?: () => number }) {
  const { pool, secretBox, intake, clock = Date.now } = deps;

  return async (name: string, req: Request, traceId: string): Promise<Result[]> => {
    const startMs = performance.now();
    const bearer = /^Bearer +(\S+)$/i.exec(req.get("authorization") ?? "")?.[1];
    const apiKey = req.get("x-api-key")?.trim() ?? bearer ?? "";
    const source = SOURCE_NAME.test(name) ? await findSource(pool, name) : undefined;
    if (source?.status !== "active" || !equalSecret(sha256(apiKey), source.key_hash)) {
      throw appError("unauthenticated", { message: "Send the source's key as X-API-Key or bearer token" });
    }
    const { kind, raw } = await readBody(req, LIMIT_BYTES);
    if (kind === "oversized") throw appError("payload_too_large", { message: `The body is longer than ${LIMIT_BYTES} bytes` });
    if (kind === "truncated") throw appError("validation_failed", { message: "body: ended before its end" });
    const credentials = { apiKey, signature: req.get("x-signature")?.trim(), timestamp: req.get("x-timestamp")?.trim() };
    const verifier = createVerifier({ apiKeys: [], secrets: [secretBox.open(source.secret)] });
    const distrust = verifier.checkSignature(credentials, raw) ?? verifier.checkTime(credentials, clock());
    if (distrust) throw appError(distrust.code, { message: distrust.message });
    const receivedAt = new Date(clock());
    const messages = readReports(name, raw, receivedAt.getTime());
    const taken = await Promise.all(messages.map((message) => intake.take({ message, traceId, receivedAt, startMs })));
    return taken.map((one, n) => resultOf(messages[n]!.messageId.slice(name.length + 1), one));
  };
}
