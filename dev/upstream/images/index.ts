import { refuse, type Answer, type Asked, type Endpoint, type OutEvent } from "../endpoint.ts";
import { OVERLOADED } from "../overloaded.ts";
import { openai } from "../vendors.ts";
import { planImages, type ImagePlan } from "./plan.ts";

const created = (): number => Math.floor(Date.now() / 1_000);

function whole(plan: ImagePlan, body: Record<string, unknown>): Answer {
  const { old, count, size, quality, format, background } = plan;
  const asUrl = old && body["response_format"] !== "b64_json";
  const data = Array.from({ length: count }, (_, i) => ({
    ...(asUrl ? { url: `https://images.invalid/demo/${i}.png` } : { b64_json: plan.picture(i) }),
    ...(old ? { revised_prompt: plan.prompt } : {}),
  }));
  const about = old ? {} : { background, output_format: format, quality, size, ...plan.usage };
  return { kind: "whole", body: { created: created(), data, ...about } };
}

function streamed(plan: ImagePlan, family: string): Answer {
  const { size, quality, format, background } = plan;
  const about = { created_at: created(), size, quality, background, output_format: format };
  function* events(): Generator<OutEvent> {
    for (let i = 0; i < plan.partial; i++) {
      const type = `${family}.partial_image`;
      yield {
        event: type,
        data: JSON.stringify({ type, b64_json: plan.picture(100 + i), partial_image_index: i, ...about }),
        content: true,
      };
    }
    for (let i = 0; i < plan.count; i++) {
      const type = `${family}.completed`;
      const usage = i === plan.count - 1 ? plan.usage : {};
      const data = JSON.stringify({ type, b64_json: plan.picture(i), ...about, ...usage });
      yield { event: type, data, content: true, terminal: i === plan.count - 1 };
    }
  }
  const error = { type: "image_generation_server_error", code: "server_error", message: OVERLOADED, param: null };
  return { kind: "events", events: events(), error: () => ({ event: "error", data: JSON.stringify({ type: "error", error }) }) };
}

function answer(asked: Asked, family: string): Answer {
  const plan = planImages(asked);
  const stream = asked.body["stream"] === true || asked.body["stream"] === "true";
  if (stream && plan.old) refuse("Streaming is not supported for this model.", "stream");
  return stream ? streamed(plan, family) : whole(plan, asked.body);
}

const prompt = (body: Record<string, unknown>): string => String(body["prompt"] ?? "");

/** OpenAI's pictures from words: https://platform.openai.com/docs/api-reference/images */
export const imageGenerations: Endpoint = {
  method: "POST",
  path: /^\/v1\/images\/generations$/,
  vendor: openai,
  prompt,
  answer: (asked) => answer(asked, "image_generation"),
};

/** Pictures from pictures and words; a multipart body. */
export const imageEdits: Endpoint = {
  method: "POST",
  path: /^\/v1\/images\/edits$/,
  vendor: openai,
  prompt,
  answer(asked) {
    if (!asked.files.some((file) => file.field === "image")) refuse("Missing required parameter: 'image'.", "image");
    return answer(asked, "image_edit");
  },
};
