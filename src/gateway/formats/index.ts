import type { Route } from "../../http/route.ts";
import type { Format } from "../pipeline/format.ts";
import { messagesDocs } from "./anthropic-messages/docs.ts";
import { anthropicMessages } from "./anthropic-messages/index.ts";
import { chatDocs } from "./openai-chat/docs.ts";
import { chatAlias, openaiChat } from "./openai-chat/index.ts";

/** Every format the relay serves; a new one is a folder beside this file and an entry here. */
export const FORMATS: readonly Format[] = [openaiChat, chatAlias, anthropicMessages];

/** The same for the API document. */
export const FORMAT_DOCS: readonly Route[] = [...chatDocs, ...messagesDocs];
