import { countsOf, sum, usageField } from "../content/counts.ts";
import { openaiImageTokens, sizeOfSource } from "../content/pictures.ts";
import { hash } from "../content/text.ts";
import { tokensOf } from "../content/tokens.ts";
import { stripDirectives } from "../control/directives.ts";
import { refuse, type Asked } from "../endpoint.ts";
import { png } from "./png.ts";

/** Everything an answer about pictures consists of. */
export interface ImagePlan {
  /** Models before gpt-image answer addresses, and count nothing. */
  old: boolean;
  count: number;
  size: string;
  quality: string;
  format: string;
  background: string;
  partial: number;
  prompt: string;
  /** The picture of this number, in base64. */
  picture(number: number): string;
  usage: { usage?: unknown };
}

const OUTPUT_TOKENS: Record<string, number> = { low: 272, medium: 1_056, high: 4_160 };
const SQUARE = 1_024 * 1_024;

/** A number that a form has as text. */
const numberOf = (value: unknown): number | undefined => (value === undefined || value === null ? undefined : Number(value));
const textOf = (value: unknown, usual: string): string => (typeof value === "string" && value !== "auto" ? value : usual);

/** Decides the whole answer before its first byte. */
export function planImages({ body, files, directives }: Asked): ImagePlan {
  const model = typeof body["model"] === "string" ? body["model"] : "dall-e-2";
  const old = model.startsWith("dall-e");
  const prompt = typeof body["prompt"] === "string" ? body["prompt"] : refuse("Missing required parameter: 'prompt'.", "prompt");
  const count = numberOf(body["n"]) ?? 1;
  if (!Number.isInteger(count) || count < 1 || count > 10) refuse("Invalid 'n': expected a value between 1 and 10.", "n");
  const partial = numberOf(body["partial_images"]) ?? 0;
  if (partial < 0 || partial > 3) refuse("Invalid 'partial_images': expected a value between 0 and 3.", "partial_images");
  const size = textOf(body["size"], "1024x1024");
  const [width = 0, height = 0] = size.split("x").map(Number);
  if (!(width > 0 && height > 0 && width <= 4_096 && height <= 4_096)) refuse(`Invalid value: '${size}'.`, "size", "invalid_value");
  const quality = textOf(body["quality"], "medium");
  const words = stripDirectives(prompt);
  return {
    old,
    count,
    size,
    quality,
    format: textOf(body["output_format"], "png"),
    background: textOf(body["background"], "opaque"),
    partial,
    prompt: words,
    picture: (number) => png(width, height, hash(words) + number).toString("base64"),
    usage: old ? {} : usageOf(),
  };

  function usageOf(): { usage?: unknown } {
    const text = tokensOf(words);
    const pictures = files.reduce((total, file) => total + openaiImageTokens(sizeOfSource(file.bytes.toString("base64")), "high"), 0);
    const each = Math.round(((OUTPUT_TOKENS[quality] ?? OUTPUT_TOKENS["medium"]!) * width * height) / SQUARE);
    // A partial picture costs 100 tokens more (the vendor's guide).
    const counts = countsOf(directives, () => ({ prompt: text + pictures, completion: count * each + partial * 100 }));
    return usageField(counts, (shown) => ({
      input_tokens: shown.prompt,
      input_tokens_details: {
        text_tokens: directives.usage ? directives.usage.prompt : text,
        image_tokens: directives.usage ? 0 : pictures,
      },
      output_tokens: shown.completion,
      total_tokens: sum(shown.prompt, shown.completion),
    }));
  }
}
