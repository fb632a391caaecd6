import type { IncomingMessage } from "node:http";
import { addressOf } from "../http/address.ts";
import { openaiVoice } from "./formats/openai-chat/errors.ts";
import { authenticate } from "./pipeline/admit.ts";
import { endWhole, sendFailure, type Answer } from "./pipeline/answer.ts";
import type { RelayDeps } from "./pipeline/deps.ts";
import { passRequest } from "./pipeline/pass.ts";
import { failureOf } from "./pipeline/serve.ts";

/** `GET /v1/models`: the active, priced models this key may call, in OpenAI's shape. Counts as a request, holds no permit. */
export async function listModels(deps: RelayDeps, req: IncomingMessage, answer: Answer): Promise<void> {
  try {
    const who = await authenticate(deps, req, addressOf(req, deps.config.proxyHops));
    if ("failure" in who) return sendFailure(answer, openaiVoice, who.failure);
    const limited = await passRequest(deps, who.caller, answer.headers, openaiVoice.vendor);
    if (limited) return sendFailure(answer, openaiVoice, limited);
    const allowed = who.caller.modelSet;
    const models = (await deps.pricing.models()).filter(
      (model) => model.price !== null && (!allowed || allowed.has(model.name.toLowerCase())),
    );
    const data = models.map((model) => ({
      id: model.name,
      object: "model",
      created: Math.floor(model.createdAt.getTime() / 1_000),
      owned_by: "tollkeeper",
    }));
    endWhole(answer, Buffer.from(JSON.stringify({ object: "list", data })));
  } catch (error) {
    sendFailure(answer, openaiVoice, failureOf(error));
  }
}
