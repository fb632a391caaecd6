import { FAULTS, isFault, type FaultName } from "./faults.ts";

/** Token counts to report instead of the true ones. `prompt` counts all of it, also what came from a cache or went into one. */
export interface ToldUsage {
  prompt: number;
  completion: number;
  cached: number;
  cacheWrite: number;
  /** The part of `cacheWrite` that is kept for an hour (Anthropic). */
  cacheWriteHour: number;
  /** The part of `completion` that was thought, not said. */
  reasoning: number;
}

/** What a call is told to do beyond answering. */
export interface Directives {
  faults: Partial<Record<FaultName, Record<string, string>>>;
  usage?: ToldUsage;
  /** Between content events. */
  paceMs?: number;
  /** Before the headers. */
  delayMs?: number;
  /** Exact number of content events. */
  chunks?: number;
  /** Answers with calls of these tools; with `chunks` some text comes first. */
  tools?: string[];
  /** Thinks first, in so many pieces. */
  reasoning?: number;
  /** Declines to answer, and says so in the format's way. */
  refusal?: boolean;
  /** The reason to give for the end, in the format's own word. */
  finish?: string;
  /** Pings before the first content (Anthropic). */
  pings?: number;
  /** Length of an uploaded sound. */
  seconds?: number;
  /** What kind of app answers (Dify): chat, agent, chatflow. */
  app?: string;
  /** How a run ends (Dify): succeeded, failed, stopped, partial-succeeded, paused. */
  outcome?: string;
  /** Moderation puts other words in the answer's place (Dify). */
  replace?: boolean;
  /** Refused with this code (Dify). */
  error?: string;
  /** When the webhook of the message is sent (Dify): once, twice, late, early, never. */
  webhook?: string;
  /** One of these faults in so many per cent of the calls, drawn from a seed. */
  random?: { percent: number; seed: number; faults: FaultName[] };
}

/** Thrown for a directive that cannot be meant, so that a test with a typing error does not pass. */
export class DirectiveError extends Error {}

const DIRECTIVE = /\[\[([a-z_]+)(?::([^\]]*))?\]\]/g;
const TRANSIENT: FaultName[] = ["status", "dead", "die_after_headers", "die_mid_stream", "error_in_band", "no_terminal"];

export function stripDirectives(text: string): string {
  return text.replace(DIRECTIVE, "").trim();
}

/** "20ms", "2s" or "20" → milliseconds. */
export function milliseconds(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s)?$/.exec(text);
  if (!match) throw new DirectiveError(`not a duration: ${text}`);
  return Number(match[1]) * (match[2] === "s" ? 1_000 : 1);
}

function wholeNumber(text: string | undefined): number {
  if (!text || !/^\d{1,15}$/.test(text)) throw new DirectiveError(`not a whole number: ${text}`);
  return Number(text);
}

function faultName(name: string): FaultName {
  if (!isFault(name)) throw new DirectiveError(`no such fault: ${name}; there are ${Object.keys(FAULTS).join(", ")}`);
  return name;
}

type Options = Record<string, string>;

const READERS: Record<string, (found: Directives, value: string, options: Options) => void> = {
  fault(found, value, options) {
    found.faults[faultName(value)] = options;
  },
  usage(found, value, options) {
    const [prompt, completion] = value.split(",");
    found.usage = {
      prompt: wholeNumber(prompt),
      completion: wholeNumber(completion),
      cached: wholeNumber(options["cached"] ?? "0"),
      cacheWrite: wholeNumber(options["cache_write"] ?? "0"),
      cacheWriteHour: wholeNumber(options["cache_write_1h"] ?? "0"),
      reasoning: wholeNumber(options["reasoning"] ?? "0"),
    };
  },
  pace: (found, value) => void (found.paceMs = milliseconds(value)),
  delay: (found, value) => void (found.delayMs = milliseconds(value)),
  chunks: (found, value) => void (found.chunks = wholeNumber(value)),
  tool: (found, value) => void (found.tools = value.split(",")),
  reasoning: (found, value) => void (found.reasoning = wholeNumber(value)),
  refusal: (found) => void (found.refusal = true),
  finish: (found, value) => void (found.finish = value),
  pings: (found, value) => void (found.pings = wholeNumber(value)),
  app: (found, value) => void (found.app = value),
  outcome: (found, value) => void (found.outcome = value),
  error: (found, value) => void (found.error = value),
  replace: (found) => void (found.replace = true),
  webhook: (found, value) => void (found.webhook = value),
  seconds: (found, value) => void (found.seconds = wholeNumber(value)),
  random(found, value, options) {
    const faults = options["faults"]?.split(",").map(faultName) ?? TRANSIENT;
    found.random = { percent: wholeNumber(value), seed: wholeNumber(options["seed"] ?? "1"), faults };
  },
};

/**
 * Reads `[[name:value key=value]]` anywhere in a text, for example
 * `[[fault:die_mid_stream after=3]] [[usage:1500,800 cached=100]] [[pace:20ms]] [[chunks:50]] [[tool:get_weather,get_time]]`.
 */
export function readDirectives(text: string): Directives {
  const found: Directives = { faults: {} };
  for (const [, name = "", rest = ""] of text.matchAll(DIRECTIVE)) {
    const [value = "", ...pairs] = rest.trim().split(/\s+/);
    const options = Object.fromEntries(pairs.map((pair) => [pair.split("=")[0] ?? "", pair.slice(pair.indexOf("=") + 1)]));
    const read = Object.hasOwn(READERS, name) ? READERS[name] : undefined;
    if (!read) throw new DirectiveError(`no such directive: ${name}; there are ${Object.keys(READERS).join(", ")}`);
    read(found, value, options);
  }
  return found;
}

/** The later ones win. */
export function mergeDirectives(...all: Directives[]): Directives {
  return all.reduce((merged, next) => ({ ...merged, ...next, faults: { ...merged.faults, ...next.faults } }), { faults: {} });
}
