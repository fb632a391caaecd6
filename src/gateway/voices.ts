import type { IncomingMessage } from "node:http";
import { anthropicVoice } from "./formats/anthropic-messages/errors.ts";
import { openaiVoice } from "./formats/openai-chat/errors.ts";
import type { Voice } from "./pipeline/format.ts";

/** Anthropic's clients always name their version. */
export const isAnthropic = (req: IncomingMessage): boolean => req.headers["anthropic-version"] !== undefined;

/** How to speak to a caller of a route that is no format's own. */
export const voiceOf = (req: IncomingMessage): Voice => (isAnthropic(req) ? anthropicVoice : openaiVoice);
