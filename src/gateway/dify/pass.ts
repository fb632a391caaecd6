import type { IncomingMessage } from "node:http";
import { addressOf } from "../../http/address.ts";
import { isObject } from "../formats/checks.ts";
import { namedApp } from "../formats/dify/apps.ts";
import { difyVoice, readError } from "../formats/dify/errors.ts";
import { ID } from "../formats/dify/made.ts";
import { notFound, ownerOf } from "../formats/dify/owner.ts";
import { encodeForm } from "../formats/forms.ts";
import { authenticate } from "../pipeline/admit.ts";
import { sendFailure, type Answer } from "../pipeline/answer.ts";
import { readBody } from "../pipeline/body.ts";
import type { RelayDeps } from "../pipeline/deps.ts";
import { failure, type Failure } from "../pipeline/failure.ts";
import type { Form } from "../pipeline/form.ts";
import type { EncodedRequest } from "../pipeline/format.ts";
import { passRequest } from "../pipeline/pass.ts";
import { discreet } from "../pipeline/discreet.ts";
import { failureOf } from "../pipeline/thrown.ts";
import { upstreamAuth, upstreamUrl } from "../providers/index.ts";
import { ask, NoAnswer, type WholeAnswer } from "../upstream/ask.ts";
import { retryAfterSeconds, upstreamHeaders } from "../upstream/headers.ts";
import { findApp, type AppPlace } from "./apps.ts";
import type { PassedRequest, PassedRoute } from "./table.ts";

const BODY_LIMIT = 64 * 1024 * 1024;
const FILES = { files: 1, fileSize: BODY_LIMIT };

/** Serves a route that costs nothing: it counts as a request, and what it names must be the caller's. Never rejects. */
export async function servePassed(
  deps: RelayDeps,
  route: PassedRoute,
  params: Record<string, string>,
  req: IncomingMessage,
  answer: Answer,
): Promise<void> {
  const refuse = (why: Failure): void => {
    if (!answer.res.destroyed) sendFailure(answer, difyVoice, why);
  };
  try {
    const ip = addressOf(req, deps.config.proxyHops);
    const who = await authenticate(deps, req, ip);
    if ("failure" in who) return refuse(who.failure);
    const limited = await passRequest(deps, who.caller, ip, answer.headers, difyVoice.vendor);
    if (limited) return refuse(limited);
    const read = await readRequest(deps, route, params, req);
    if (!read) return;
    if ("code" in read) return refuse(read);
    const owner = ownerOf(who.caller);
    const named = bodyName(read.body) ?? namedApp(req);
    const place = await findApp(deps, who.caller, owner, { named, things: route.things?.(read) ?? [] });
    if ("code" in place) return refuse(place);
    const got = await askDify(deps, route, read, place, owner);
    if (got.status < 200 || got.status > 299) {
      return refuse(discreet(readError(got.status, got.body, retryAfterSeconds(got.headers)), place.candidate, place.model));
    }
    await remember(deps, route, read, place, owner, got);
    pass(answer, got);
  } catch (error) {
    refuse(error instanceof NoAnswer ? noAnswer(error) : failureOf(error));
  }
}

const noAnswer = ({ reason }: NoAnswer): Failure =>
  reason === "time-out" ? failure("upstream_timeout") : failure("upstream_error", { message: "The app could not be reached" });

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

function askDify(deps: RelayDeps, route: PassedRoute, request: PassedRequest, place: AppPlace, owner: string): Promise<WholeAnswer> {
  const { provider, upstreamModel } = place.candidate;
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
    limit: BODY_LIMIT,
  });
}

/** A file is the caller's before he can name it; a conversation that is gone is nobody's. */
async function remember(
  deps: RelayDeps,
  route: PassedRoute,
  { params }: PassedRequest,
  { candidate, model }: AppPlace,
  owner: string,
  { body }: WholeAnswer,
): Promise<void> {
  if (route.effect === "removes a conversation") return deps.owned.forget(owner, params["id"]!);
  if (route.effect !== "makes a file") return;
  const made = JSON.parse(body.toString("utf8")) as { id?: unknown } | null;
  if (typeof made?.id !== "string" || !ID.test(made.id)) return;
  const providerId = candidate.provider.id;
  return deps.owned.note([{ owner, id: made.id, kind: "file", providerId, model, inputTokens: null, outputTokens: null }]);
}

function pass({ res, headers }: Answer, { status, headers: said, body }: WholeAnswer): void {
  if (res.destroyed) return;
  const type = said["content-type"];
  if (status !== 204)
    headers.push("content-type", typeof type === "string" ? type : "application/json", "content-length", String(body.length));
  res.writeHead(status, headers);
  res.end(status === 204 ? undefined : body);
}
