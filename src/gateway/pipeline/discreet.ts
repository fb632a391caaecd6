import type { Candidate } from "../providers/index.ts";
import type { Failure } from "./failure.ts";

/** Shorter ones may be words of the language. */
const TELLING = 4;

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
/** As a word of its own: a name may begin like another. */
const word = (text: string): RegExp => new RegExp(`(?<![\\w-])${escaped(text)}(?![\\w-]|\\.\\w)`, "gi");

function hostOf(baseUrl: string): string[] {
  const { host, hostname } = new URL(baseUrl);
  return [host, hostname];
}

/** A text without what this provider is called and known by: its keys, its host, its name of the model. */
export function withoutProvider(text: string, { provider, upstreamModel }: Candidate, model: string): string {
  const secrets = [...provider.keys.map(({ value }) => value), ...Object.values(provider.headers)];
  let out = text;
  for (const secret of secrets) if (secret.length >= TELLING) out = out.replaceAll(secret, "[key]");
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
