import type { Dialect, EncodedRequest, Usage, WholeResult } from "../../pipeline/format.ts";
import { countOf, disjointClasses } from "../../tokens/classes.ts";
import { isObject, type Fields } from "../checks.ts";
import { malformed } from "../events.ts";
import { noStream } from "../noStream.ts";
import { readError } from "../openai-chat/errors.ts";
import { isUnreadable, readObject } from "../whole.ts";
import type { RerankRequest } from "./read.ts";

/** A request to order documents, to a provider that speaks the same: Jina's, Cohere's and those like them. */
export class NativeRerank implements Dialect {
  readonly path = "/rerank";
  readonly openStream = noStream;
  readonly readError = readError;
  readonly #request: RerankRequest;

  constructor(request: RerankRequest) {
    this.#request = request;
  }

  encode(upstreamModel: string): EncodedRequest {
    return { body: Buffer.from(JSON.stringify({ ...this.#request.body, model: upstreamModel })), contentType: "application/json" };
  }

  readWhole(body: Buffer): WholeResult {
    const read = readObject(body, "a list of results");
    if (!read.ok) return read;
    const { fields } = read;
    if (!Array.isArray(fields["results"] ?? fields["data"])) {
      return { ok: false, failure: malformed("The provider's answer is not a list of results") };
    }
    const searchUnits = searchUnitsOf(fields);
    // What is priced by the request is priced by the search unit where a vendor counts those. Documents were ranked: that is not for nothing.
    const units = { requests: searchUnits === undefined ? 1 : searchUnits || this.#request.leastUnits };
    const said = usageOf(fields);
    const usage = readTokens(said);
    return {
      ok: true,
      usage: usage && { ...usage, units },
      unreadableUsage: isUnreadable(said, usage),
      ...(searchUnits === 0 ? { notes: [`search_units would be 0 for ${this.#request.documents} documents`] } : {}),
      count: () => ({ content: true, tokens: 0, units }),
    };
  }
}

const billedOf = ({ meta }: Fields): unknown => (isObject(meta) ? meta["billed_units"] : undefined);

/** Whole and not negative, or it is not believed. */
function searchUnitsOf(fields: Fields): number | undefined {
  const units = countOf(billedOf(fields), "search_units");
  return units !== undefined && units >= 0 ? units : undefined;
}

/** Where vendors tell tokens: `usage` of Jina and Voyage, `meta.tokens` of SiliconFlow, `meta.billed_units` of Cohere. */
function usageOf(fields: Fields): unknown {
  if (fields["usage"] !== undefined && fields["usage"] !== null) return fields["usage"];
  const { meta } = fields;
  const tokens = isObject(meta) ? (meta["tokens"] ?? meta["billed_units"]) : undefined;
  return countOf(tokens, "input_tokens") === undefined ? undefined : tokens;
}

function readTokens(said: unknown): Usage | undefined {
  return disjointClasses({
    input: countOf(said, "total_tokens") ?? countOf(said, "prompt_tokens") ?? countOf(said, "input_tokens"),
    output: 0,
    total: undefined,
    cached: undefined,
    written: undefined,
    reasoning: undefined,
  });
}
