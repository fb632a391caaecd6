import type { Request, Response } from "express";
import type { Logger } from "../platform/logger.ts";
import type { Notices, Reception } from "./notices.ts";
import type { PaymentProvider } from "./providers/types.ts";

const MAX_BODY_BYTES = 16_384;
const MAX_QUERY_BYTES = 8_192;
const READ_TIMEOUT_MS = 10_000;

function answer(res: Response, status: number, text: string): void {
  res.status(status).set("cache-control", "no-store").type("text/plain").send(text);
}

/** The body as it came, undefined when it is longer than the limit. What lies beyond it is not read. */
async function readBody(req: Request): Promise<{ bytes: Buffer; complete: boolean }> {
  const chunks: Buffer[] = [];
  let size = 0;
  const timer = setTimeout(() => req.destroy(), READ_TIMEOUT_MS);
  try {
    for await (const chunk of req as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > MAX_BODY_BYTES) return { bytes: Buffer.concat(chunks).subarray(0, MAX_BODY_BYTES), complete: false };
    }
  } finally {
    clearTimeout(timer);
  }
  return { bytes: Buffer.concat(chunks), complete: true };
}

/** Answers a provider's callback in its own words: its acknowledgement, or `fail` with a truthful status. */
export function notifyHandler(deps: { notices: Notices; providers: ReadonlyMap<string, PaymentProvider>; log: Logger }) {
  const { notices, providers, log } = deps;

  async function receive(req: Request, provider: PaymentProvider): Promise<Reception> {
    const cut = req.originalUrl.indexOf("?");
    const query = cut < 0 ? "" : req.originalUrl.slice(cut + 1);
    const clientIp = req.ip ?? "";
    if (query.length > MAX_QUERY_BYTES)
      return notices.refuse(provider, "too_large", Buffer.from(query.slice(0, MAX_QUERY_BYTES), "latin1"), clientIp);
    const method = req.method === "POST" ? "POST" : "GET";
    const body = method === "POST" ? await readBody(req) : { bytes: Buffer.alloc(0), complete: true };
    if (!body.complete) return notices.refuse(provider, "too_large", body.bytes, clientIp);
    return notices.receive(provider, { method, query, contentType: req.get("content-type"), body: body.bytes }, clientIp);
  }

  return async (req: Request, res: Response): Promise<void> => {
    const provider = providers.get(String(req.params["provider"]));
    if (!provider) return answer(res, 404, "fail");
    try {
      const reception = await receive(req, provider);
      if (reception.kind === "taken") return answer(res, 200, provider.acknowledgement);
      if (reception.reason === "too_large") res.set("connection", "close");
      answer(res, reception.reason === "too_large" ? 413 : 400, "fail");
    } catch (error) {
      // Not stored, so not acknowledged: the provider sends it again.
      log.error({ err: error, provider: provider.name }, "a callback could not be stored");
      answer(res, 503, "fail");
    }
  };
}
