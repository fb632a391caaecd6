import { randomBytes } from "node:crypto";
import { countsOf, type Counts } from "../content/counts.ts";
import { planContent, positive, wordsOf, type Content } from "../content/plan.ts";
import { tokensOf } from "../content/tokens.ts";
import { refuse, type Asked } from "../endpoint.ts";

/** One answer to one prompt. */
export interface Choice {
  index: number;
  /** The prompt itself, if it is to be said again. */
  echo: string[];
  content: Content;
  finish: string;
}

export interface CompletionPlan {
  base: object;
  choices: Choice[];
  counts: Counts | "none" | "shape";
  includeUsage: boolean;
}

type Prompt = string | number[];

const USUAL_CAP = 16;
const MOST_CHOICES = 16;

/** The prompts of a request: a text, texts, the tokens of one, or of several. */
function promptsOf(prompt: unknown): Prompt[] {
  if (prompt === undefined || prompt === null) return ["<|endoftext|>"];
  if (typeof prompt === "string") return [prompt];
  if (!Array.isArray(prompt) || prompt.length === 0) return refuse("'$.prompt' is invalid.", "prompt");
  return prompt.every((one) => typeof one === "number") ? [prompt as number[]] : (prompt as Prompt[]);
}

/** The words of a prompt; tokens stay unread, since their vocabulary is the model's. */
const textOf = (prompt: Prompt): string => (typeof prompt === "string" ? prompt : `tokens ${prompt.join(" ")}`);
const sizeOf = (prompt: Prompt): number => (typeof prompt === "string" ? tokensOf(prompt) : prompt.length);

function choicesOf({ body, directives }: Asked, prompts: Prompt[]): Choice[] {
  const times = Math.min(positive(body["n"]) ?? 1, MOST_CHOICES);
  return prompts.flatMap((prompt, i) => {
    const cap = positive(body["max_tokens"]) ?? USUAL_CAP;
    const content = planContent({ text: textOf(prompt), directives, cap, stop: wordsOf(body["stop"]) });
    const echo = body["echo"] === true && typeof prompt === "string" ? [prompt] : [];
    const finish = directives.finish ?? (content.end === "length" ? "length" : "stop");
    return Array.from({ length: times }, (_, j) => ({ index: i * times + j, echo, content, finish }));
  });
}

/** Decides the whole answer to a request before its first byte. */
export function planCompletion(asked: Asked): CompletionPlan {
  const { body, directives } = asked;
  if (typeof body["model"] !== "string") refuse("you must provide a model parameter");
  const prompts = promptsOf(body["prompt"]);
  const choices = choicesOf(asked, prompts);
  const id = `cmpl-${randomBytes(12).toString("hex")}`;
  return {
    base: { id, object: "text_completion", created: Math.floor(Date.now() / 1_000), model: body["model"] },
    choices,
    counts: countsOf(directives, () => ({
      prompt: prompts.reduce((sum, prompt) => sum + sizeOf(prompt), 0),
      completion: choices.reduce((sum, { content }) => sum + content.tokens.completion, 0),
    })),
    includeUsage: (body["stream_options"] as { include_usage?: unknown } | null | undefined)?.include_usage === true,
  };
}
