import type { Failure } from "../../pipeline/failure.ts";
import type { Voice } from "../../pipeline/format.ts";
import { failure } from "../../pipeline/failure.ts";
import { isObject, type Fields } from "../checks.ts";
import { openaiVoice, readVendorError } from "../openai-chat/errors.ts";

/** An error event has the error's fields beside its type and number, not inside an object of their own. */
function errorEvent(of: Failure, traceId: string, number: number): string {
  const { error } = JSON.parse(openaiVoice.errorBody(of, traceId)) as {
    error: { code: string | null; message: string; param: string | null };
  };
  const { code, message, param } = error;
  return `event: error\ndata: ${JSON.stringify({ type: "error", sequence_number: number, code, message, param, trace_id: traceId })}\n\n`;
}

/** As elsewhere at OpenAI, but for the last event of a stream. */
export const responsesVoice: Voice = { ...openaiVoice, errorEvent };

/** What the request itself caused: another provider would say the same. */
const CAUSED = /^(?:invalid_|image_|empty_image|unsupported_image|failed_to_download_image)/;

/** A response that ended as anything but complete or incomplete: the provider failed. */
export function failedResponse(response: Fields): Failure {
  const said = isObject(response["error"]) ? readVendorError(response) : undefined;
  const what = said?.message ?? `The response is ${typeof response["status"] === "string" ? response["status"].slice(0, 32) : "broken"}`;
  const caused = CAUSED.test(said?.code ?? "");
  return failure("upstream_error", {
    message: `The provider failed: ${what}`,
    record: "upstream_error_event",
    class: "server",
    elsewhere: !caused,
    ...(caused ? { shouldRetry: false as const } : {}),
  });
}
