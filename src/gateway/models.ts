import type { Request, Response } from "express";
import { openaiChat } from "./formats/openai-chat/index.ts";
import { authenticate, passLimits } from "./pipeline/admit.ts";
import { sendFailure } from "./pipeline/answer.ts";
import type { RelayDeps } from "./pipeline/deps.ts";
import { failureOf } from "./pipeline/serve.ts";

/** `GET /v1/models`: the active, priced models this key may call, in OpenAI's shape. Counts as a request, holds no permit. */
export async function listModels(deps: RelayDeps, req: Request, res: Response, traceId: string): Promise<void> {
  try {
    const who = await authenticate(deps, req);
    if ("failure" in who) return sendFailure(res, openaiChat, who.failure, traceId);
    const passed = await passLimits(deps, who.caller, res, undefined);
    if ("failure" in passed) return sendFailure(res, openaiChat, passed.failure, traceId);
    const allowed = who.caller.modelSet;
    const models = (await deps.pricing.models()).filter((model) => model.price !== null && (!allowed || allowed.has(model.name.toLowerCase())));
    const data = models.map((model) => ({
      id: model.name,
      object: "model",
      created: Math.floor(model.createdAt.getTime() / 1_000),
      owned_by: "tollkeeper",
    }));
    const body = Buffer.from(JSON.stringify({ object: "list", data }));
    res.writeHead(200, { "content-type": "application/json; charset=utf-8", "content-length": body.length });
    res.end(body);
  } catch (error) {
    sendFailure(res, openaiChat, failureOf(error), traceId);
  }
}
