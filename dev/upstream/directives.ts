import { FAULTS, type FaultName } from "./faults.ts";

/** What a call is told to do beyond answering. */
export interface Directives {
  faults: Partial<Record<FaultName, Record<string, string>>>;
  /** Token counts to report instead of the true ones. */
  usage?: { prompt: number; completion: number; cached: number; cacheWrite: number; reasoning: number };
  /** Between chunks. */
  paceMs?: number;
  /** Before the headers. */
  delayMs?: number;
  /** Exact number of content chunks. */
  chunks?: number;
  /** Answers with a call of this tool. */
  tool?: string;
}

/** Thrown for a directive that cannot be meant, so that a test with a typing error does not pass. */
export class DirectiveError extends Error {}

const DIRECTIVE = /\[\[([a-z_]+)(?::([^\]]*))?\]\]/g;

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

function isFault(name: string): name is FaultName {
  return Object.hasOwn(FAULTS, name);
}

/**
 * Reads `[[name:value key=value]]` anywhere in a text, for example
 * `[[fault:die_mid_stream after=3]] [[usage:1500,800 cached=100]] [[pace:20ms]] [[chunks:50]]`.
 */
export function readDirectives(text: string): Directives {
  const found: Directives = { faults: {} };
  for (const [, name = "", rest = ""] of text.matchAll(DIRECTIVE)) {
    const [value = "", ...pairs] = rest.trim().split(/\s+/);
    const options = Object.fromEntries(pairs.map((pair) => [pair.split("=")[0] ?? "", pair.slice(pair.indexOf("=") + 1)]));
    switch (name) {
      case "fault":
        if (!isFault(value)) throw new DirectiveError(`no such fault: ${value}; there are ${Object.keys(FAULTS).join(", ")}`);
        found.faults[value] = options;
        break;
      case "usage": {
        const [prompt, completion] = value.split(",");
        found.usage = {
          prompt: wholeNumber(prompt),
          completion: wholeNumber(completion),
          cached: wholeNumber(options["cached"] ?? "0"),
          cacheWrite: wholeNumber(options["cache_write"] ?? "0"),
          reasoning: wholeNumber(options["reasoning"] ?? "0"),
        };
        break;
      }
      case "pace":
        found.paceMs = milliseconds(value);
        break;
      case "delay":
        found.delayMs = milliseconds(value);
        break;
      case "chunks":
        found.chunks = wholeNumber(value);
        break;
      case "tool":
        found.tool = value;
        break;
      default:
        throw new DirectiveError(`no such directive: ${name}; there are fault, usage, pace, delay, chunks, tool`);
    }
  }
  return found;
}

/** The later ones win. */
export function mergeDirectives(...all: Directives[]): Directives {
  return all.reduce((merged, next) => ({ ...merged, ...next, faults: { ...merged.faults, ...next.faults } }), { faults: {} });
}
