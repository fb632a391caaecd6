import type { IncomingMessage } from "node:http";
import { claimsToBeAccessToken, type CallerKey } from "../../identity/index.ts";
import { multiplierFor } from "../../pricing/index.ts";
import type { Candidate } from "../providers/index.ts";
import type { Call } from "./call.ts";
import type { RelayDeps } from "./deps.ts";
import { failure, type Failure } from "./failure.ts";
import type { Speaks } from "./format.ts";
import { canCharge, isPriced } from "./meters.ts";

/** What a caller shows: `Authorization: Bearer …` or `x-api-key`. */
function proofOf(req: IncomingMessage): string | undefined {
  const header = req.headers.authorization;
  if (header !== undefined && /^bearer /i.test(header)) return header.slice(7).trim();
  const key = req.headers["x-api-key"];
  return typeof key === "string" ? key.trim() : undefined;
}

type Who = { caller: CallerKey } | { failure: Failure; caller?: CallerKey };

/** Who calls, by an API key, a token of one, or an access token; or why nobody may, then with whose key it was tried, if that is known. */
export async function authenticate(
  deps: Pick<RelayDeps, "identity" | "strangers" | "metrics">,
  req: IncomingMessage,
  ip: string,
): Promise<Who> {
  const who = await identify(deps, proofOf(req), ip);
  if ("failure" in who && who.failure.code === "rate_limited") deps.metrics.limited("ip", "keys");
  else if ("failure" in who) deps.strangers.refused(ip);
  else deps.identity.noteUse(who.caller, ip);
  return who;
}

async function identify(
  { identity, strangers }: Pick<RelayDeps, "identity" | "strangers">,
  proof: string | undefined,
  ip: string,
): Promise<Who> {
  if (proof === undefined || proof === "") return unauthenticated("Send an API key: Authorization: Bearer sk-tk-…");
  const session = claimsToBeAccessToken(proof);
  const waitMs = session ? 0 : strangers.waitMs(ip);
  const caller = session ? await identity.authenticateSession(proof) : await identity.authenticateKey(proof, { known: waitMs > 0 });
  if (!caller && waitMs > 0) return { failure: failure("rate_limited", { message: TOO_MANY, retryAfter: waitMs / 1_000 }) };
  if (!caller) return unauthenticated(session ? "The access token is not valid or has expired" : "The API key is not valid");
  if (caller.status === "closed") return { caller, failure: failure("account_suspended", { message: "This account is closed" }) };
  if (caller.status !== "active") return { caller, failure: failure("account_suspended") };
  if (!caller.principal.emailVerified) return { caller, failure: failure("email_not_verified") };
  if (caller.ipList && !caller.ipList.has(ip))
    return { caller, failure: failure("forbidden", { message: "This key may not be used from this address" }) };
  return { caller };
}

const TOO_MANY = "Too many requests with keys that are not valid from this address";
const unauthenticated = (message: string): Who => ({ failure: failure("unauthenticated", { message }) });

/** Finds the model, its price and its providers. The hold needs all three. */
export async function chooseModel(deps: Pick<RelayDeps, "pricing" | "catalog">, call: Call): Promise<Failure | undefined> {
  const name = call.request!.model;
  const model = await deps.pricing.model(name);
  const allowed = call.caller!.modelSet;
  if (allowed && !allowed.has(name.toLowerCase()) && !(model && allowed.has(model.name.toLowerCase()))) {
    return failure("model_not_allowed", { param: "model" });
  }
  if (!model) {
    // Served but never priced is the operator's omission, not the caller's mistake; one switched off is as unknown as any other.
    const omitted = (await deps.catalog.route(name)).length > 0 && !(await deps.pricing.switchedOff(name));
    return omitted ? notPriced() : failure("model_not_found", { message: "There is no such model", param: "model" });
  }
  if (!model.price) return notPriced();
  if (!canCharge(call.format.meters, model.price)) {
    return failure("model_not_priced", { message: "This model has no price for what this route does", param: "model", shouldRetry: false });
  }
  const { needs } = call.request!;
  if (needs && !isPriced(needs.meter, model.price)) return needs.refusal;
  call.model = model;
  call.price = model.price;
  const { tier, keyGroup } = call.caller!;
  call.priceMultiplier = multiplierFor(model.rules, { tier, keyGroup, model: model.name, at: call.startedAt });
  call.candidates = await deps.catalog.route(model.name);
  const { providerId } = call.request!;
  if (providerId !== undefined) {
    call.candidates = call.candidates.filter(({ provider }) => provider.id === providerId);
    if (call.candidates.length === 0) return failure("not_found");
  }
  return leaveOutUnfit(call) ?? (call.candidates.length > 0 ? undefined : failure("no_provider", { retryAfter: 5 }));
}

/** Leaves out providers that cannot be asked this in what they speak; when all are left out for the request's sake, that is the refusal. */
function leaveOutUnfit(call: Call): Failure | undefined {
  const { candidates, format } = call;
  // The first is the client's own format.
  const native = format.speaks[0];
  if (candidates.every(({ provider }) => provider.speaks === native)) return undefined;
  let refusal: Failure | undefined;
  const known = new Map<Speaks, boolean>();
  const fits = (speaks: Speaks): boolean => {
    if (!format.speaks.includes(speaks)) return false;
    const dialect = call.request!.dialect(speaks);
    if ("code" in dialect) refusal = dialect;
    return !("code" in dialect);
  };
  call.candidates = candidates.filter(({ provider: { speaks } }) => {
    if (!known.has(speaks)) known.set(speaks, fits(speaks));
    return known.get(speaks);
  });
  if (call.candidates.length > 0) return undefined;
  // A refusal that stays: 503 would be repeated for nothing.
  return refusal ?? failure("validation_failed", { message: `model: ${whyNot(candidates, native)}`, param: "model" });
}

function whyNot(candidates: readonly Candidate[], native: Speaks | undefined): string {
  if (native === "dify") return "is no Dify app";
  return candidates.every(({ provider }) => provider.speaks === "dify")
    ? "is a Dify app, which is called at /dify/v1"
    : "is not offered at this route";
}

const notPriced = (): Failure => failure("model_not_priced", { param: "model", shouldRetry: false });
