import type { Fields } from "../checks.ts";

/** Output tokens of a square picture of 1024 pixels a side by quality (https://platform.openai.com/docs/guides/image-generation). */
const SQUARE: Record<string, number> = { low: 272, medium: 1_056, high: 4_160 };
const SQUARE_PIXELS = 1_024 * 1_024;
/** The largest that "auto" may become. */
const AUTO_PIXELS = 1_024 * 1_536;
/** A preview while the picture is made. */
const PARTIAL = 100;
/** A picture to work from, and what looking at it closely adds. */
const SOURCE = 1_600;
const SOURCE_CLOSELY = 6_240;

/** The most output tokens one picture of this request may have. Larger pictures have as many more as they have pixels. */
export function tokensOfPicture({ size, quality, partial_images: partial }: Fields): number {
  const [width, height] = typeof size === "string" && size !== "auto" ? size.split("x").map(Number) : [];
  const pixels = width && height ? width * height : AUTO_PIXELS;
  const square = SQUARE[typeof quality === "string" ? quality : "high"] ?? SQUARE["high"]!;
  return Math.ceil((square * pixels) / SQUARE_PIXELS) + PARTIAL * (typeof partial === "number" ? partial : 0);
}

/** Input tokens of so many pictures to work from. */
export const tokensOfSources = (count: number, fidelity: unknown): number => count * (SOURCE + (fidelity === "high" ? SOURCE_CLOSELY : 0));
