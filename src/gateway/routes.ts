import type { IncomingMessage, ServerResponse } from "node:http";
import type { Route } from "../http/route.ts";
import { requestIdOf } from "../http/trace.ts";
import { serveKeptAnswer } from "./answers/endpoint.ts";
import { billingDocs } from "./billing/docs.ts";
import { BILLING_PATHS, showBilling, type BillingDeps } from "./billing/index.ts";
import { difyDocs } from "./dify/docs.ts";
import { DIFY_ROOT } from "./dify/root.ts";
import { difyRoutes } from "./dify/routes.ts";
import { difyVoice } from "./formats/dify/errors.ts";
import { FORMAT_DOCS, FORMATS } from "./formats/index.ts";
import { openaiVoice } from "./formats/openai-chat/errors.ts";
import { modelsDocs } from "./models/docs.ts";
import { listModels, showModel } from "./models/index.ts";
import { newAnswer, sendFailure, type Answer } from "./pipeline/answer.ts";
import type { RelayDeps } from "./pipeline/deps.ts";
import { failure, type Failure } from "./pipeline/failure.ts";
import type { Voice } from "./pipeline/format.ts";
import { serve } from "./pipeline/serve.ts";
import type { Registry } from "./registry.ts";
import { isAnthropic, voiceOf } from "./voices.ts";

/** The names of models may hold slashes. */
const MODELS = "/v1/models/";

/** What is served at one path with one method. */
interface Endpoint {
  /** By the caller where it is left out. */
  voice?: Voice;
  /** `id` is the last part of the path, where the path is declared with `:id` in its place. */
  handle(req: IncomingMessage, answer: Answer, id: string): Promise<void>;
}

/**
 * The relay's routes. A plain lookup by path and method on Node's own request, because this runs for every relayed call: nothing of the
 * rest of the application, Express included, runs before it. False when the path is not the relay's.
 */
export function relayHandler(
  deps: RelayDeps & { registry: Registry; billing: BillingDeps },
): (req: IncomingMessage, res: ServerResponse) => boolean {
  const paths = new Map<string, Map<string, Endpoint>>();
  const add = (method: string, path: string, endpoint: Endpoint): void => {
    const methods = paths.get(path) ?? new Map<string, Endpoint>();
    paths.set(path, methods.set(method, endpoint));
  };
  for (const format of FORMATS) {
    add("POST", format.route, { voice: format.voice, handle: (req, answer) => serve(deps, format, req, answer) });
  }
  add("GET", "/v1/models", { handle: (req, answer) => listModels(deps, req, answer) });
  add("GET", `${MODELS}:id`, { handle: (req, answer, id) => showModel(deps, req, answer, id) });

  for (const method of ["GET", "DELETE"]) {
    add(method, "/v1/responses/:id", { voice: openaiVoice, handle: (req, answer, id) => serveKeptAnswer(deps, req, answer, id) });
  }

  for (const [path, shape] of BILLING_PATHS) {
    add("GET", path, { voice: openaiVoice, handle: (req, answer) => showBilling(deps, shape, req, answer) });
  }

  function refuse(answer: Answer, voice: Voice, why: Failure): true {
    sendFailure(answer, voice, why);
    return true;
  }

  const dify = difyRoutes(deps);

  /** Paths under Dify's root that are no format's own. */
  function serveDify(req: IncomingMessage, path: string, answer: Answer): true {
    const found = dify.find(req.method ?? "", path);
    if (!found) return refuse(answer, difyVoice, failure("not_found", { message: "There is no such route" }));
    if ("allowed" in found) {
      answer.headers.push("allow", found.allowed.join(", "));
      return refuse(answer, difyVoice, failure("method_not_allowed"));
    }
    if (deps.registry.draining) return refuse(answer, difyVoice, restarting(answer.res));
    void found.serve(req, answer);
    return true;
  }

  return (req, res) => {
    const url = req.url ?? "/";
    const query = url.indexOf("?");
    const path = query < 0 ? url : url.slice(0, query);
    let methods = paths.get(path);
    let id = "";
    if (!methods && url.startsWith(`${DIFY_ROOT}/`)) return serveDify(req, path, newAnswer(res, traceOf(req)));
    if (!methods) {
      if (!url.startsWith("/v1/") && url !== "/v1") return false;
      const lastPart = path.startsWith(MODELS) ? MODELS.length : path.lastIndexOf("/") + 1;
      methods = paths.get(`${path.slice(0, lastPart)}:id`);
      id = path.slice(lastPart);
    }
    const answer = newAnswer(res, traceOf(req));
    if (!methods) return refuse(answer, voiceOf(req), failure("not_found", { message: "There is no such route" }));
    const endpoint = methods.get(req.method ?? "");
    if (!endpoint) {
      answer.headers.push("allow", [...methods.keys()].join(", "));
      const [any] = methods.values();
      return refuse(answer, (isAnthropic(req) ? undefined : any!.voice) ?? voiceOf(req), failure("method_not_allowed"));
    }
    if (deps.registry.draining) return refuse(answer, endpoint.voice ?? voiceOf(req), restarting(res));
    void endpoint.handle(req, answer, id);
    return true;
  };
}

const traceOf = (req: IncomingMessage): string => requestIdOf(req.headers["x-request-id"] as string | undefined);

function restarting(res: ServerResponse): Failure {
  res.shouldKeepAlive = false;
  return failure("unavailable", { message: "The server is restarting; send the request again", retryAfter: 1 });
}

/** The relay's routes for the API document. */
export function relayDocumentation(): Route[] {
  return [...FORMAT_DOCS, ...difyDocs, ...modelsDocs, ...billingDocs];
}
