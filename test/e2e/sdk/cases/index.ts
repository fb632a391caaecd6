import type { Case } from "./case.ts";
import { chatCases } from "./chat.ts";
import { crossedCases } from "./crossed.ts";
import { failureCases } from "./failures.ts";
import { mediaCases } from "./media.ts";
import { messageCases } from "./messages.ts";
import { refusalCases } from "./refusals.ts";
import { responseCases } from "./responses.ts";

export type { Case } from "./case.ts";

/** What is asked with the official clients, area by area; the same for every language. */
export const AREAS: Record<string, Case[]> = {
  "chat and completions": chatCases,
  responses: responseCases,
  "embeddings, models, moderation, pictures and sound": mediaCases,
  messages: messageCases,
  "the other vendor's format": crossedCases,
  refusals: refusalCases,
  "failures, time-outs, repeats and leaving": failureCases,
};
