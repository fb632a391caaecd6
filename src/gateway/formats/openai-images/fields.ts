import {
  boolean,
  isObject,
  NO_CHOICE_OF_OTHERS,
  notOffered,
  oneOf,
  text,
  whole,
  type Check,
  type Fields,
  type Problem,
} from "../checks.ts";
import type { FormRules } from "../forms.ts";

/** The vendor's limit for its newest models; older ones take less and say so. */
const PROMPT_LENGTH = 32_000;
const MOST_IMAGES = 10;
/** Pictures a new one may be made from. */
const MOST_SOURCES = 16;

/** Fields with a known meaning (https://platform.openai.com/docs/api-reference/images). */
const FIELDS: Record<string, Check> = {
  n: whole(1, MOST_IMAGES),
  size: (value) =>
    typeof value === "string" && /^(?:auto|[1-9]\d{0,4}x[1-9]\d{0,4})$/.test(value) ? undefined : 'must be "auto" or like "1024x1024"',
  quality: text(32),
  response_format: oneOf("url", "b64_json"),
  stream: boolean,
  partial_images: whole(0, 3),
  background: text(32),
  output_format: oneOf("png", "jpeg", "webp"),
  output_compression: whole(0, 100),
  input_fidelity: oneOf("high", "low"),
  style: text(32),
  moderation: text(32),
  user: text(512),
  // Other vendors' names for how many: `n` alone is held for.
  batch_size: notOffered,
  num_images: notOffered,
  num_outputs: notOffered,
  max_images: notOffered,
  sequential_image_generation: (value) => (value === "disabled" ? undefined : "is not offered here; use n"),
  sequential_image_generation_options: notOffered,
  ...NO_CHOICE_OF_OTHERS,
};

/** Of a form with pictures to change. */
export const EDIT_FORM: FormRules = {
  numbers: ["n", "partial_images", "output_compression"],
  booleans: ["stream"],
  files: ["image", "mask"],
  checks: FIELDS,
};

export const EDIT_FILES = { files: MOST_SOURCES + 1, fileSize: 50 * 1024 * 1024 };

export function checkPrompt(prompt: unknown): Problem | undefined {
  if (prompt === undefined || prompt === null) return { param: "prompt", message: "is required" };
  return typeof prompt === "string" && prompt !== "" && prompt.length <= PROMPT_LENGTH
    ? undefined
    : { param: "prompt", message: `must be text of 1 to ${PROMPT_LENGTH} characters` };
}

function checkSource(source: unknown, param: string): Problem | undefined {
  if (!isObject(source)) return { param, message: "must be an object" };
  // What was uploaded at a provider lies in one account there, whoever of our customers it belongs to.
  if (typeof source["file_id"] === "string") return { param: `${param}.file_id`, message: "is not offered here; send image_url" };
  return typeof source["image_url"] === "string" ? undefined : { param: `${param}.image_url`, message: "must be text" };
}

/** Of a JSON body that names the pictures to change. */
export function checkSources({ images, mask }: Fields): Problem | undefined {
  if (!Array.isArray(images) || images.length === 0) return { param: "images", message: "is required" };
  if (images.length > MOST_SOURCES) return { param: "images", message: `must be a list of at most ${MOST_SOURCES}` };
  for (const [i, source] of (images as unknown[]).entries()) {
    const problem = checkSource(source, `images[${i}]`);
    if (problem) return problem;
  }
  return mask === undefined || mask === null ? undefined : checkSource(mask, "mask");
}

export { FIELDS as IMAGE_FIELDS };
