import type { IncomingHttpHeaders } from "node:http";
import type { Call } from "./call.ts";
import { failure, type Failure } from "./failure.ts";

/** What is passed on as bytes. A page or an object in its place is no answer. */
const PASSED_TYPES = /^(?:audio|image|video)\/|^application\/octet-stream/i;
const JSON_TYPE = /[/+]json\b/i;

export const malformed = (message: string): Failure =>
  failure("upstream_error", { message, record: "upstream_malformed", class: "malformed", elsewhere: true });

/** How the answer of a provider that said 200 is read, by its head; a failure when it cannot be. Some answer whole where a stream was asked for. */
export function answerMode(call: Call, headers: IncomingHttpHeaders): "stream" | "whole" | Failure {
  const encoding = headers["content-encoding"];
  const type = headers["content-type"];
  if (encoding !== undefined && encoding !== "identity") return malformed("The provider's answer is compressed");
  const request = call.request!;
  if (typeof type === "string") call.contentType = type;
  if (!call.reader) return "whole";
  if (request.answer === "bytes") {
    return type === undefined || !PASSED_TYPES.test(type) ? malformed("The provider did not answer with what was asked for") : "stream";
  }
  if (JSON_TYPE.test(type ?? "") && !call.res.headersSent) {
    if (request.answer === "whole") {
      call.reader = undefined;
      return "whole";
    }
    if (call.dialect!.mayAnswerWhole) {
      [request.answer, call.cameWhole, call.reader] = ["whole", true, undefined];
      return "whole";
    }
  }
  if (typeof type === "string" && !type.includes("event-stream")) return malformed("The provider did not answer with a stream");
  // What is made of it is JSON, as every whole answer is unless it says otherwise.
  if (request.answer === "whole") call.contentType = undefined;
  return "stream";
}
