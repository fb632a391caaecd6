import type { IncomingMessage } from "node:http";
import { addressOf } from "../../http/address.ts";
import type { CallerKey } from "../../identity/index.ts";
import { isObject } from "../formats/checks.ts";
import { namedApp } from "../formats/dify/apps.ts";
import { difyVoice, readError } from "../formats/dify/errors.ts";
import { ID } from "../formats/dify/made.ts";
import { notFound, ownerOf } from "../formats/dify/owner.ts";
import { encodeForm } from "../formats/forms.ts";
import { authenticate } from "../pipeline/admit.ts";
import { endOnward, noAnswerFailure, onwardTo, refuseOrBreak, whileWanted, withPermit, type BesidesDeps } from "../besides.ts";
import type { Answer } from "../pipeline/answer.ts";
import { readBody } from "../pipeline/body.ts";
import type { RelayDeps } from "../pipeline/deps.ts";
import { failure, type Failure } from "../pipeline/failure.ts";
import type { Form } from "../pipeline/form.ts";
import type { EncodedRequest } from "../pipeline/format.ts";
import { passRequest, passWork } from "../pipeline/pass.ts";
import { discreet } from "../pipeline/discreet.ts";
import { failureOf } from "../pipeline/thrown.ts";
import { upstreamAuth, upstreamUrl } from "../providers/index.ts";
import { ask, NoAnswer, type Answered } from "../upstream/ask.ts";
import { retryAfterSeconds, upstreamHeaders } from "../upstream/headers.ts";
import { findApp, type AppPlace } from "./apps.ts";
import type { PassedRequest, PassedRoute } from "./table.ts";
import { withoutWithheld } from "./withheld.ts";

/** Of what is not handed on as it comes: errors, and the word of what was made. */
const BODY_LIMIT = 1024 * 1024;
/** Of a list from which something may be taken out. */
const LIST_LIMIT = 32 * 1024 * 1024;
const FILES = { files: 1, fileSize: 64 * 1024 * 1024 };

/**
 * Serves a route that costs nothing: it counts as a request, takes a place among the caller's calls at once while it runs, and what it names
 * must be the caller's. Never rejects.
 */
export async function servePassed(
  deps: BesidesDeps,
  route: PassedRoute,
  params: Record<string, string>,
  req: IncomingMessage,
  answer: Answer,
): Promise<void> {
  const refuse = (why: Failure): void => refuseOrBreak(answer, difyVoice, why);
  try {
    await whileWanted(deps, { req, res: answer.res }, async (signal) => {
      const refusal = await serve(deps, route, params, req, answer, signal);
      if (refusal) refuse(refusal);
    });
  } catch (error) {
    refuse(error instanceof NoAnswer ? noAnswerFailure(error, "The app") : failureOf(error));
  }
}

/** Answers, or says why not. */
async function serve(
  deps: BesidesDeps,
  route: PassedRoute,
  params: Record<string, string>,
  req: IncomingMessage,
  answer: Answer,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  const ip = addressOf(req, deps.config.proxyHops);
  const who = await authenticate(deps, req, ip);
  if ("failure" in who) return who.failure;
  const { caller } = who;
  const asked = await readAsked(deps, route, params, req, caller);
  if (!asked) return undefined;
  const { headers } = answer;
  const { vendor } = difyVoice;
  if ("code" in asked) return (await passRequest(deps, caller, ip, headers, vendor)) ?? asked;
  const { candidate, model } = asked.place;
  // What ends work must not wait for the place that this work has.
  const passed = route.ends
    ? await passRequest(deps, caller, ip, headers, vendor)
    : await passWork(deps, caller, { model, ip, headers, vendor });
  if (passed && "code" in passed) return passed;
  const got = await withPermit(deps, passed?.permit, askDify(deps, route, asked, answer, signal));
  if (got.status < 200 || got.status > 299) {
    return discreet(readError(got.status, got.body, retryAfterSeconds(got.headers)), candidate, model);
  }
  await remember(deps, route, asked, got);
  if (route.shows === "run") await deps.runs.shown({ owner: asked.owner, run: asked.request.params["id"]! });
  const body = route.lists && deps.guardrail?.withholds ? await withoutWithheld(deps, asked.owner, route.lists, got.body) : got.body;
  if (!body) return failure("upstream_error", { message: "The app's list cannot be read" });
  endOnward(answer, { ...got, body });
  return undefined;
}

/** A request as it is sent on: what is asked, where, and for whom. */
interface Asked {
  request: PassedRequest;
  place: AppPlace;
  owner: string;
}

/** What is asked of which app; undefined when the client left. */
async function readAsked(
  deps: RelayDeps,
  route: PassedRoute,
  params: Record<string, string>,
  req: IncomingMessage,
  caller: CallerKey,
): Promise<Asked | Failure | undefined> {
  const request = await readRequest(deps, route, params, req);
  if (!request || "code" in request) return request;
  const owner = ownerOf(caller);
  const named = bodyName(request.body) ?? namedApp(req);
  const place = await findApp(deps, caller, owner, { named, things: route.things?.(request) ?? [] });
  return "code" in place ? place : { request, place, owner };
}

/** The app as a JSON body or form names it. */
function bodyName(body: unknown): string | undefined {
  const named = isForm(body) ? body.fields.find(([name]) => name === "model")?.[1] : isObject(body) ? body["model"] : undefined;
  return typeof named === "string" && named !== "" ? named : undefined;
}

const isForm = (body: unknown): body is Form => isObject(body) && Array.isArray(body["files"]) && Array.isArray(body["fields"]);

/** Undefined when the client left. */
async function readRequest(
  deps: Pick<RelayDeps, "config">,
  route: PassedRoute,
  params: Record<string, string>,
  req: IncomingMessage,
): Promise<PassedRequest | Failure | undefined> {
  if (Object.values(params).some((id) => !ID.test(id))) return notFound("What the path names");
  const url = req.url ?? "";
  const query = new URLSearchParams(url.includes("?") ? url.slice(url.indexOf("?")) : "");
  let body: unknown = {};
  // Clients send DELETE with a body, or without one.
  const empty = req.headers["content-length"] === "0" || (!req.headers["content-length"] && !req.headers["transfer-encoding"]);
  if (route.body && !(route.body === "json" && empty)) {
    const read = await readBody(req, { body: route.body === "form" ? "multipart" : "json", files: FILES }, deps.config.bodyLimitBytes);
    if (!read) return undefined;
    if (!read.ok) return read.failure;
    body = read.value;
    if (route.body === "json" && !isObject(body))
      return failure("validation_failed", { message: "body: must be a JSON object", param: "body" });
  }
  const request = { params, query, body };
  const problem = route.check?.(request);
  return problem === undefined ? request : failure("validation_failed", { message: problem });
}

/** The request with our `user` in the caller's place. */
function encode(
  route: PassedRoute,
  { query, body }: PassedRequest,
  owner: string,
): { search: string; encoded: EncodedRequest | undefined } {
  const kept = new URLSearchParams([...query].filter(([name]) => route.query?.includes(name)));
  if (route.method === "GET") kept.set("user", owner);
  const search = kept.size > 0 ? `?${kept.toString()}` : "";
  if (route.body === "form") return { search, encoded: encodeForm(body as Form, { user: owner, model: undefined }) };
  if (!route.body) return { search, encoded: undefined };
  const { model: _ours, ...rest } = body as Record<string, unknown>;
  return { search, encoded: { body: Buffer.from(JSON.stringify({ ...rest, user: owner })), contentType: "application/json" } };
}

function askDify(
  deps: RelayDeps,
  route: PassedRoute,
  { request, place, owner }: Asked,
  answer: Answer,
  signal: AbortSignal,
): Promise<Answered> {
  const { provider, upstreamModel } = place.candidate;
  const listsChecked = route.lists !== undefined && deps.guardrail?.withholds === true;
  const { search, encoded } = encode(route, request, owner);
  const path = route.path.replace(/:(\w+)/g, (_, name: string) => request.params[name]!);
  const key = deps.routing.keeperOf(place.candidate, owner, performance.now());
  const headers = upstreamHeaders({
    caller: {},
    speaks: "dify",
    auth: upstreamAuth(provider, key.value, upstreamModel),
    accept: "*/*",
    contentType: encoded?.contentType ?? "application/json",
    bytes: encoded?.body.length ?? 0,
    extra: provider.headers,
  });
  return ask(deps.upstream, {
    url: upstreamUrl(provider, path, upstreamModel) + search,
    method: route.method,
    headers,
    ...(encoded ? { body: encoded.body } : {}),
    connectMs: provider.timeouts.connectMs,
    totalMs: provider.timeouts.firstByteMs,
    limit: listsChecked ? LIST_LIMIT : BODY_LIMIT,
    signal,
    onward:
      route.effect || listsChecked
        ? undefined
        : onwardTo(answer, { idleMs: provider.timeouts.idleMs, clientIdleMs: deps.config.clientIdleMs }),
  });
}

/** A file is the caller's before he can name it; a conversation that is gone is nobody's. */
async function remember(
  deps: RelayDeps,
  route: PassedRoute,
  { request, place: { candidate, model }, owner }: Asked,
  { body }: Answered,
): Promise<void> {
  if (route.effect === "removes a conversation") return deps.owned.forget(owner, request.params["id"]!);
  if (route.effect !== "makes a file") return;
  const made = JSON.parse(body.toString("utf8")) as { id?: unknown } | null;
  if (typeof made?.id !== "string" || !ID.test(made.id)) return;
  const providerId = candidate.provider.id;
  return deps.owned.note([{ owner, id: made.id, kind: "file", providerId, model, inputTokens: null, outputTokens: null }]);
}
