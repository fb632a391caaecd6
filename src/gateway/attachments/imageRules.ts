import type { Size } from "./imageSize.ts";

/** How a family of models counts a picture. */
export interface ImageRule {
  /** Tokens of one of this size. */
  of(size: Size): number;
  /** Of one of any size. */
  most: number;
  /** Of one at low detail, where the family has that. */
  low?: number;
  /** Tokens that are billed for each one that is read: more than 1 where they may go beyond the model's window. */
  billed?: number;
}

/** The larger of two sides, and the smaller. */
const long = ({ width, height }: Size): number => Math.max(width, height);
const short = ({ width, height }: Size): number => Math.min(width, height);
const pieces = ({ width, height }: Size, side: number): number => Math.ceil(width / side) * Math.ceil(height / side);

/** Into a square of 2048, then to 768 on the shorter side, then tiles of 512 (https://platform.openai.com/docs/guides/images-vision). */
const tiles = (base: number, tile: number, billed = 1): ImageRule => ({
  most: base + 8 * tile,
  low: base,
  billed,
  of(size) {
    const fit = Math.min(1, 2_048 / long(size));
    const scale = fit * Math.min(1, 768 / (short(size) * fit));
    return base + tile * pieces({ width: Math.round(size.width * scale), height: Math.round(size.height * scale) }, 512);
  },
});

/** Patches of 32 pixels, at most 1536 of them, times a factor (the same guide). */
const patches = (factor: number): ImageRule => ({
  most: Math.ceil(1_536 * factor),
  // A picture of 512 a side.
  low: Math.ceil(256 * factor),
  of: (size) => Math.ceil(Math.min(1_536, pieces(size, 32)) * factor),
});

/** A token for 750 pixels, or for a patch of 28 a side; larger pictures are made smaller (https://docs.claude.com/en/docs/build-with-claude/vision). */
const claude = (most: number): ImageRule => ({
  most,
  of: (size) => Math.min(most, Math.max(Math.ceil((size.width * size.height) / 750), pieces(size, 28))),
});

/** 258 tokens for small ones and for each tile of larger ones, 16 tiles at most (https://ai.google.dev/gemini-api/docs/image-understanding). */
const gemini: ImageRule = {
  most: 16 * 258,
  of(size) {
    if (long(size) <= 384) return 258;
    const tile = Math.min(768, Math.max(256, Math.floor(short(size) / 1.5)));
    return Math.min(16, pieces(size, tile)) * 258;
  },
};

const FAMILIES: readonly (readonly [RegExp, ImageRule])[] = [
  // Its tokens are 33 times those of its larger sister, so that a picture costs the same with both; its window counts the sister's.
  [/gpt-4o-mini/, tiles(2_833, 5_667, 5_667 / 170)],
  [/gpt-4\.1-mini|gpt-5-mini/, patches(1.62)],
  [/gpt-4\.1-nano|gpt-5-nano/, patches(2.46)],
  [/\bo4-mini/, patches(1.72)],
  [/gpt-5(?!\.)/, tiles(70, 140)],
  [/gpt-4o|gpt-4\.1|gpt-4\.5|gpt-4-turbo|gpt-4-vision/, tiles(85, 170)],
  [/\bo[13]\b/, tiles(75, 150)],
  [/claude-(?:instant|[23]|(?:opus-|sonnet-|haiku-)?4(?![-.@]?[7-9]))/, claude(1_600)],
  [/claude/, claude(4_800)],
  [/gemini/, gemini],
];

/** The most that is common, where nobody has said anything. */
const COMMON_MOST = 5_000;
const COMMON = [tiles(85, 170), claude(COMMON_MOST), gemini];

/** For models of no known family: whatever of the common rules counts most. */
export const commonRule: ImageRule = { most: COMMON_MOST, of: (size) => Math.max(...COMMON.map((rule) => rule.of(size))) };

/** The rule of a model's family by its name; undefined when it is not known. */
export function ruleOfModel(name: string): ImageRule | undefined {
  const lower = name.toLowerCase();
  return FAMILIES.find(([pattern]) => pattern.test(lower))?.[1];
}
