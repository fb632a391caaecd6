import type { IncomingMessage } from "node:http";
import { addressOf } from "../../http/address.ts";
import type { PricedModel } from "../../pricing/index.ts";
import { authenticate } from "../pipeline/admit.ts";
import { endWhole, sendFailure, type Answer } from "../pipeline/answer.ts";
import type { RelayDeps } from "../pipeline/deps.ts";
import { failure, type Failure } from "../pipeline/failure.ts";
import { passRequest } from "../pipeline/pass.ts";
import { failureOf } from "../pipeline/thrown.ts";
import { isAnthropic, voiceOf } from "../voices.ts";
import { anthropicModel, anthropicPage, openaiModel } from "./shapes.ts";

type Allowed = ReadonlySet<string> | null;

/** Answers what `find` makes of the models a key may call. Counts as a request, holds no permit. */
async function serveModels(
  deps: RelayDeps,
  req: IncomingMessage,
  answer: Answer,
  find: (allowed: Allowed) => Promise<object | Failure>,
): Promise<void> {
  const voice = voiceOf(req);
  try {
    const ip = addressOf(req, deps.config.proxyHops);
    const who = await authenticate(deps, req, ip);
    if ("failure" in who) return sendFailure(answer, voice, who.failure);
    const limited = await passRequest(deps, who.caller, ip, answer.headers, voice.vendor);
    if (limited) return sendFailure(answer, voice, limited);
    const found = await find(who.caller.modelSet);
    if ("code" in found) return sendFailure(answer, voice, found);
    endWhole(answer, Buffer.from(JSON.stringify(found)));
  } catch (error) {
    sendFailure(answer, voice, failureOf(error));
  }
}

/** Dify's apps, in lower case: clients of these lists could not call them. */
async function appsAlone({ catalog }: Pick<RelayDeps, "catalog">): Promise<ReadonlySet<string>> {
  const alone = new Set<string>();
  for (const name of await catalog.difyApps()) {
    const routes = await catalog.route(name);
    if (routes.every(({ provider }) => provider.speaks === "dify")) alone.add(name.toLowerCase());
  }
  return alone;
}

const isAllowed = (allowed: Allowed, name: string): boolean => !allowed || allowed.has(name.toLowerCase());

/** `GET /v1/models`: the active, priced models this key may call; in Anthropic's shape, and page by page, for its clients. */
export function listModels(deps: RelayDeps, req: IncomingMessage, answer: Answer): Promise<void> {
  return serveModels(deps, req, answer, async (allowed) => {
    const apps = await appsAlone(deps);
    const models = (await deps.pricing.models()).filter(
      (model) => model.price !== null && isAllowed(allowed, model.name) && !apps.has(model.name.toLowerCase()),
    );
    if (isAnthropic(req)) return anthropicPage(models, new URLSearchParams((req.url ?? "").split("?")[1] ?? ""));
    return { object: "list", data: models.map((model) => openaiModel(model)) };
  });
}

/** `GET /v1/models/{id}`, where an id may hold slashes and colons, encoded or not. One that this key may not call is as unknown as any other. */
export function showModel(deps: RelayDeps, req: IncomingMessage, answer: Answer, id: string): Promise<void> {
  return serveModels(deps, req, answer, async (allowed) => {
    const name = decoded(id);
    const model: PricedModel | undefined = await deps.pricing.model(name);
    if (
      !model?.price ||
      (await appsAlone(deps)).has(model.name.toLowerCase()) ||
      !(isAllowed(allowed, name) || isAllowed(allowed, model.name))
    ) {
      return failure("model_not_found", { message: "There is no such model", param: "model" });
    }
    return isAnthropic(req) ? anthropicModel(model) : openaiModel(model);
  });
}

function decoded(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}
