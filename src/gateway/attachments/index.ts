import type { PromptCount, PromptModel } from "../pipeline/format.ts";
import { videoSeconds } from "../sound/video.ts";
import { commonRule, ruleOfModel, type ImageRule } from "./imageRules.ts";
import { imageSize } from "./imageSize.ts";
import { pdfPages } from "./pdfPages.ts";

/** A model's window when nobody has said how large it is. */
export const UNKNOWN_CONTEXT = 1_000_000;

/** A picture nobody here has seen is taken for one of ordinary size where no provider says what it was. */
const IMAGE = 1_600;
/** A page of a PDF: its text, and its picture where the vendor looks at that too (https://docs.claude.com/en/docs/build-with-claude/pdf-support). */
const PAGE = 3_000;
const PAGE_MOST = 4_800;
/** A file behind a link: about ten pages of text; a hundred pages when the model's setting does not say. */
const FILE = 10_000;
const FILE_MOST = 200_000;
/** Gemini has 300 tokens for a second, Qwen up to 768. */
const VIDEO_SECOND = 800;
/** A video behind a link. */
const VIDEO_SECONDS = 60;
const VIDEO_SECONDS_MOST = 3_600;

/** Readers look for a PDF's first line within its first kilobyte. */
const HEAD = 1_024;

/** A count with so many tokens more. */
export const plusTokens = (count: number | PromptCount, more: number): number | PromptCount =>
  typeof count === "number" ? count + more : { ...count, tokens: count.tokens + more };

/** Base64 is four characters for three bytes; a token covers at least three bytes of most documents. */
const CHARACTERS_A_TOKEN = 4;
const LINK = /https?:\/\//i;

/** Tokens of something of which only its size is known. */
export const bySize = (value: unknown): number =>
  Math.ceil((typeof value === "string" ? value.length : (JSON.stringify(value)?.length ?? 0)) / CHARACTERS_A_TOKEN);

/** Tokens of the fields of a request that are not in `known`: text and what has parts. A number or a switch is none. */
export function sizeOfOthers(body: Readonly<Record<string, unknown>>, known: ReadonlySet<string>): number {
  let tokens = 0;
  for (const name in body) {
    if (known.has(name)) continue;
    const value = body[name];
    if (typeof value === "string" || (typeof value === "object" && value !== null)) tokens += bySize(value);
  }
  return tokens;
}

/** What is attached to a prompt: base64, or nothing where it lies behind a link. */
export type Inline = string | undefined;

/**
 * Adds up the attachments of one prompt: how many tokens they are likely to have, for answers whose provider does not say, and how many
 * at most, for the hold. By the model's own rule where size, pages or seconds can be seen; else by the model's settings.
 */
export class Attachments {
  readonly #model: PromptModel;
  #rule: ImageRule | undefined;
  #likely = 0;
  #most = 0;
  #billed = 1;

  constructor(model: PromptModel) {
    this.#model = model;
  }

  image(data: Inline, detail: unknown): void {
    const known = (this.#rule ??= ruleOfModel(this.#model.name));
    const set = this.#model.maxImageTokens;
    const rule = known ?? commonRule;
    this.#billed = Math.max(this.#billed, rule.billed ?? 1);
    const most = set ?? rule.most;
    if (detail === "low" && rule.low !== undefined) return this.#add(rule.low, rule.low);
    const size = data === undefined ? undefined : imageSize(data);
    const likely = Math.min(most, size ? rule.of(size) : IMAGE);
    // What an operator says of a model whose rule is not known goes for a picture of any size.
    this.#add(likely, size && (known || set === null) ? likely : most);
  }

  file(data: Inline): void {
    const most = this.#model.maxFileTokens ?? FILE_MOST;
    if (data === undefined) return this.#add(Math.min(FILE, most), most);
    // Base64 is four characters for three bytes; a token covers at least three bytes of most documents.
    const bySize = Math.ceil(data.length / 4);
    const head = Buffer.from(data.slice(0, Math.ceil(HEAD / 3) * 4), "base64");
    if (head.includes("%PDF-")) {
      const pages = pdfPages(Buffer.from(data, "base64"));
      if (pages !== undefined) return this.#add(Math.min(pages * PAGE, most), Math.min(pages * PAGE_MOST, most));
      return this.#add(Math.min(Math.max(PAGE, bySize), most), most);
    }
    // What is no text is packed, as the documents of offices are.
    this.#add(Math.min(bySize, most), Math.min(head.includes(0) ? 3 * bySize : bySize, most));
  }

  /** A part of no known kind: what it holds, or a file where that lies behind a link. Returns the tokens of the part itself. */
  unknown(part: unknown): number {
    const written = JSON.stringify(part) ?? "";
    if (LINK.test(written)) this.file(undefined);
    return bySize(written);
  }

  video(data: Inline): void {
    const second = this.#model.videoSecondTokens ?? VIDEO_SECOND;
    if (data === undefined) return this.#add(VIDEO_SECONDS * second, VIDEO_SECONDS_MOST * second);
    const tokens = Math.max(1, Math.ceil(videoSeconds(Buffer.from(data, "base64")))) * second;
    this.#add(tokens, tokens);
  }

  #add(likely: number, most: number): void {
    this.#likely += likely;
    this.#most += Math.max(likely, most);
  }

  /** With the tokens of the prompt's text. Attachments are never more than the model can read. */
  withText(text: number): PromptCount {
    const window = Math.ceil((this.#model.contextLength ?? UNKNOWN_CONTEXT) * this.#billed);
    const likely = Math.min(this.#likely, window);
    return { tokens: text + likely, unseen: Math.min(this.#most, window) - likely };
  }
}
