import type { Candidate } from "../providers/index.ts";
import type { Failure } from "./failure.ts";

/** Shorter ones may be words of the language. */
const TELLING = 4;
/** What is kept of an error answer, in characters. */
const TOLD = 500;

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
/** As a word of its own: a name may begin like another. */
const word = (text: string): RegExp => new RegExp(`(?<![\\w-])${escaped(text)}(?![\\w-]|\\.\\w)`, "gi");

function hostOf(baseUrl: string): string[] {
  const { host, hostname } = new URL(baseUrl);
  return [host, hostname];
}

function withoutKeys(text: string, { provider }: Candidate): string {
  let out = text;
  for (const secret of [...provider.keys.map(({ value }) => value), ...Object.values(provider.headers)]) {
    if (secret.length >= TELLING) out = out.replaceAll(secret, "[key]");
  }
  return out;
}

/** The beginning of an error answer for operators to read, without the provider's keys. */
export function forOperators(body: Buffer, candidate: Candidate): string | null {
  const text = body
    .toString("utf8", 0, 16 * TOLD)
    .replace(/\p{Cc}+/gu, " ")
    .trim();
  // By characters: half of one could not be kept.
  return Array.from(withoutKeys(text, candidate)).slice(0, TOLD).join("") || null;
}

/** A text without what this provider is called and known by: its keys, its host, its name of the model. */
function withoutProvider(text: string, candidate: Candidate, model: string): string {
  const { provider, upstreamModel } = candidate;
  let out = withoutKeys(text, candidate);
  for (const host of hostOf(provider.baseUrl)) if (host.length >= TELLING) out = out.replace(word(host), "[address]");
  if (upstreamModel.length >= TELLING && upstreamModel.toLowerCase() !== model.toLowerCase()) {
    out = out.replace(word(upstreamModel), () => model);
  }
  return out;
}

/** A provider's failure as it may be told to a stranger, who calls the model `model`. */
export function discreet(why: Failure, candidate: Candidate, model: string): Failure {
  const message = withoutProvider(why.message, candidate, model);
  const verbatim = why.verbatim && Buffer.from(withoutProvider(why.verbatim.toString("utf8"), candidate, model));
  return { ...why, message, ...(verbatim && { verbatim }) };
}
