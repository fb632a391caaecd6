import { randomUUID } from "node:crypto";
import { countsOf, usageField } from "../content/counts.ts";
import { positive } from "../content/plan.ts";
import { hash } from "../content/text.ts";
import { tokensOf } from "../content/tokens.ts";
import { stripDirectives } from "../control/directives.ts";
import { refuse, type Endpoint } from "../endpoint.ts";
import { openai } from "../vendors.ts";

const PER_SEARCH_UNIT = 100;

const textOf = (document: unknown): string =>
  typeof document === "string" ? document : String((document as { text?: unknown } | null)?.text ?? "");

const wordsOf = (text: string): Set<string> => new Set(text.toLowerCase().match(/\p{L}+/gu) ?? []);

/** The share of the query's words that a document has, and a little to tell equals apart. */
function relevance(query: Set<string>, document: string): number {
  const words = wordsOf(document);
  const shared = [...query].filter((word) => words.has(word)).length;
  return (0.98 * shared) / Math.max(query.size, 1) + (hash(document) % 1_000) / 100_000;
}

/**
 * Documents by their relevance to a query, as Jina answers (https://api.jina.ai/redoc), or as Cohere does
 * (https://docs.cohere.com/reference/rerank) when the model has one of its names, such as rerank-v3.5.
 */
export const rerank: Endpoint = {
  method: "POST",
  path: /^\/v1\/rerank$/,
  vendor: openai,
  prompt: (body) => String(body["query"] ?? ""),
  answer({ body, directives }) {
    const { model, query, documents } = body;
    if (typeof model !== "string") refuse("you must provide a model parameter");
    if (typeof query !== "string") refuse("query: Field required", "query");
    if (!Array.isArray(documents) || documents.length === 0) refuse("documents: Field required", "documents");
    const cohere = model.startsWith("rerank-");
    const texts = documents.map(textOf);
    const asked = wordsOf(stripDirectives(query));
    const withText = body["return_documents"] ?? !cohere;
    const results = texts
      .map((text, index) => ({ index, relevance_score: relevance(asked, text), ...(withText ? { document: { text } } : {}) }))
      .toSorted((a, b) => b.relevance_score - a.relevance_score)
      .slice(0, positive(body["top_n"]) ?? texts.length);
    if (cohere) {
      const units = Math.ceil(texts.length / PER_SEARCH_UNIT);
      return {
        kind: "whole",
        body: { id: randomUUID(), results, meta: { api_version: { version: "2" }, billed_units: { search_units: units } } },
      };
    }
    const counts = countsOf(directives, () => ({
      prompt: texts.reduce((sum, text) => sum + tokensOf(stripDirectives(query)) + tokensOf(text), 0),
      completion: 0,
    }));
    const usage = usageField(counts, ({ prompt }) => ({ total_tokens: prompt, prompt_tokens: prompt }));
    return { kind: "whole", body: { model, object: "list", ...usage, results } };
  },
};
