import type { Format } from "../../pipeline/format.ts";
import { difyVoice } from "./errors.ts";
import { readNaming, SuggestedRequest } from "./asides.ts";
import { readCall, type AppRoute } from "./read.ts";
import { readForm, ResumeRequest } from "./resume.ts";
import { readSpeech, readTranscript } from "./sound.ts";

const CHAT: AppRoute = { path: "/chat-messages", kind: "message", stopUnder: "/chat-messages", asks: true };
const COMPLETION: AppRoute = { path: "/completion-messages", kind: "message", stopUnder: "/completion-messages", asks: false };
const WORKFLOW: AppRoute = { path: "/workflows/run", kind: "workflow", stopUnder: "/workflows/tasks", asks: false };

const calls = (route: string, app: AppRoute): Format => ({
  route,
  speaks: ["dify"],
  body: "json",
  meters: ["tokens", "requests"],
  voice: difyVoice,
  read: readCall(app),
});

/** Chat, agent and chatflow apps (https://docs.dify.ai/api-reference/chat/send-chat-message). */
export const difyChat = calls("/dify/v1/chat-messages", CHAT);

/** Text generation apps. */
export const difyCompletion = calls("/dify/v1/completion-messages", COMPLETION);

/** Workflow apps, in the version that is published. */
export const difyWorkflow = calls("/dify/v1/workflows/run", WORKFLOW);

/** Words spoken. */
export const difySpeech: Format = {
  ...difyCompletion,
  route: "/dify/v1/text-to-audio",
  meters: ["characters", "requests"],
  read: readSpeech,
};

/** What was said, written down. */
export const difyTranscript: Format = {
  ...difyCompletion,
  route: "/dify/v1/audio-to-text",
  body: "multipart",
  files: { files: 1, fileSize: 32 * 1024 * 1024 },
  meters: ["seconds", "requests"],
  read: readTranscript,
};

/** Questions that might follow a message. */
export const difySuggested = (id: string): Format => ({
  ...difyChat,
  route: "/dify/v1/messages/:id/suggested",
  body: "none",
  read: () => ({ ok: true, request: new SuggestedRequest(id) }),
});

/** A name for a conversation. */
export const difyNaming = (id: string): Format => ({ ...difyChat, route: "/dify/v1/conversations/:id/name", read: readNaming(id) });

/** The events of a run that goes on. */
export const difyResume = (id: string, search: string): Format => ({
  ...difyWorkflow,
  route: "/dify/v1/workflow/:id/events",
  body: "none",
  read: () => ({ ok: true, request: new ResumeRequest(id, search) }),
});

/** An answer to what a paused run asks: it goes on, and is charged for what it uses. */
export const difyForm = (token: string): Format => ({ ...difyWorkflow, route: "/dify/v1/form/human_input/:token", read: readForm(token) });

/** The same in a version that its path names. */
export const difyWorkflowVersion = (id: string): Format =>
  calls("/dify/v1/workflows/:id/run", { ...WORKFLOW, path: `/workflows/${id}/run` });
