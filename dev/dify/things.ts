import { FORMATS, secondsOf } from "../upstream/audio/sound.ts";
import { answerPieces } from "../upstream/content/text.ts";
import { refuse, type Answer, type Asked, type Endpoint } from "../upstream/endpoint.ts";
import { holderOf, newId, notFound, now, type Conversation, type Message, type Store } from "./store.ts";
import { dify } from "./vendor.ts";

const PAGE = 20;
const whole = (body: object, status = 200): Answer => ({ kind: "whole", body, status });

function endpoint(method: Endpoint["method"], path: RegExp, answer: (asked: Asked) => Answer): Endpoint {
  return { method, path, vendor: dify, answer };
}

/** Rows after the one that is named, as many as are wanted. */
function page<T extends { id: string }>(
  rows: T[],
  after: string | null,
  limit: string | null,
): { data: T[]; has_more: boolean; limit: number } {
  const most = Number(limit ?? PAGE);
  const from = after ? rows.findIndex(({ id }) => id === after) + 1 : 0;
  const data = rows.slice(from, from + most);
  return { data, has_more: rows.length > from + data.length, limit: most };
}

const shownConversation = ({ id, name, inputs, at }: Conversation) => ({
  id,
  name,
  inputs,
  status: "normal",
  introduction: "",
  created_at: at,
  updated_at: at,
});

const shownMessage = ({ id, conversation, inputs, query, answer, at, rating }: Message) => ({
  id,
  conversation_id: conversation,
  parent_message_id: null,
  inputs,
  query,
  answer,
  message_files: [],
  feedback: rating ? { rating } : null,
  retriever_resources: [],
  created_at: at,
  status: "normal",
  error: null,
});

function conversations(store: Store): Endpoint[] {
  const own = (asked: Asked): Conversation => store.conversations.find(holderOf(asked), asked.param) ?? notFound("Conversation");
  return [
    endpoint("GET", /^\/v1\/conversations$/, (asked) => {
      const rows = store.conversations.of(holderOf(asked)).toReversed().map(shownConversation);
      return whole(page(rows, asked.query.get("last_id"), asked.query.get("limit")));
    }),
    endpoint("DELETE", /^\/v1\/conversations\/([^/]+)$/, (asked) => {
      store.conversations.remove(own(asked).id);
      return whole({}, 204);
    }),
    endpoint("POST", /^\/v1\/conversations\/([^/]+)\/name$/, (asked) => {
      const conversation = own(asked);
      const { name, auto_generate: auto } = asked.body;
      conversation.name = auto === true ? "The toll of the bridge" : String(name ?? "");
      return whole(shownConversation(conversation));
    }),
    endpoint("GET", /^\/v1\/conversations\/([^/]+)\/variables$/, (asked) => {
      own(asked);
      return whole({
        limit: PAGE,
        has_more: false,
        data: [{ id: newId(), name: "toll", value_type: "string", value: "3", description: "" }],
      });
    }),
    endpoint("PUT", /^\/v1\/conversations\/([^/]+)\/variables\/[^/]+$/, (asked) => {
      own(asked);
      return whole({ id: newId(), name: "toll", value_type: "string", value: asked.body["value"] });
    }),
  ];
}

function messages(store: Store): Endpoint[] {
  const own = (asked: Asked): Message => store.messages.find(holderOf(asked), asked.param) ?? notFound("Message");
  return [
    endpoint("GET", /^\/v1\/messages$/, (asked) => {
      const holder = holderOf(asked);
      const id = asked.query.get("conversation_id") ?? "";
      if (!store.conversations.find(holder, id)) notFound("Conversation");
      const rows = store.messages.of(holder).filter((message) => message.conversation === id);
      return whole(page(rows.toReversed().map(shownMessage), asked.query.get("first_id"), asked.query.get("limit")));
    }),
    endpoint("POST", /^\/v1\/messages\/([^/]+)\/feedbacks$/, (asked) => {
      own(asked).rating = (asked.body["rating"] as string | null | undefined) ?? null;
      return whole({ result: "success" });
    }),
    endpoint("GET", /^\/v1\/messages\/([^/]+)\/suggested$/, (asked) => {
      own(asked);
      return whole({ result: "success", data: ["What is the toll?", "Who built the bridge?", "When does it open?"] });
    }),
  ];
}

function files(store: Store): Endpoint[] {
  return [
    endpoint("POST", /^\/v1\/files\/upload$/, (asked) => {
      const holder = holderOf(asked);
      const given = asked.files.find(({ field }) => field === "file") ?? refuse("Please upload your file.", "file", "no_file_uploaded");
      const file = store.files.add({ ...holder, id: newId(), name: given.name, type: given.type, bytes: given.bytes });
      const extension = file.name.split(".").at(-1) ?? "";
      const about = { id: file.id, name: file.name, size: file.bytes.length, extension, mime_type: file.type };
      return whole({ ...about, created_by: newId(), created_at: now() }, 201);
    }),
    endpoint("GET", /^\/v1\/files\/([^/]+)\/preview$/, (asked) => {
      const file = store.files.find(holderOf(asked), asked.param) ?? notFound("File");
      return { kind: "whole", body: file.bytes, contentType: file.type };
    }),
  ];
}

const SECONDS_A_CHARACTER = 1 / 15;

function sound(store: Store): Endpoint[] {
  return [
    {
      ...endpoint("POST", /^\/v1\/text-to-audio$/, (asked) => {
        const holder = holderOf(asked);
        const id = asked.body["message_id"];
        const message = typeof id === "string" && id ? (store.messages.find(holder, id) ?? notFound("Message")) : undefined;
        const text = message?.answer ?? String(asked.body["text"] ?? "");
        if (text === "") refuse("text is required");
        const bytes = FORMATS["mp3"]!.make(text.length * SECONDS_A_CHARACTER);
        const size = Math.ceil(bytes.length / Math.max(asked.directives.chunks ?? 4, 1));
        const parts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
        return { kind: "bytes", contentType: "audio/mpeg", parts };
      }),
      prompt: (body) => String(body["text"] ?? ""),
    },
    endpoint("POST", /^\/v1\/audio-to-text$/, (asked) => {
      holderOf(asked);
      const file = asked.files.find(({ field }) => field === "file") ?? refuse("Please upload your audio.", "file", "no_audio_uploaded");
      const words = answerPieces(file.name, { count: Math.max(1, asked.directives.chunks ?? Math.round(secondsOf(file.bytes) * 2)) });
      return { kind: "whole", body: { text: words.join("") }, steps: words.length };
    }),
  ];
}

/** About the app, the same for all its users. */
const about = [
  endpoint("GET", /^\/v1\/parameters$/, () =>
    whole({
      opening_statement: "Where to?",
      suggested_questions: [],
      suggested_questions_after_answer: { enabled: true },
      speech_to_text: { enabled: true },
      text_to_speech: { enabled: true },
      user_input_form: [{ paragraph: { label: "Query", variable: "query", required: true, default: "" } }],
      file_upload: { image: { enabled: true, number_limits: 3, transfer_methods: ["remote_url", "local_file"] } },
      system_parameters: { file_size_limit: 15, image_file_size_limit: 10, audio_file_size_limit: 50 },
    }),
  ),
  endpoint("GET", /^\/v1\/info$/, () =>
    whole({ name: "Demo app", description: "Answers", tags: ["demo"], mode: "chat", author_name: "demo" }),
  ),
  endpoint("GET", /^\/v1\/meta$/, () => whole({ tool_icons: {} })),
  endpoint("GET", /^\/v1\/site$/, () =>
    whole({ title: "Demo app", chat_color_theme: "#3b82f6", icon_type: "emoji", default_language: "en-US" }),
  ),
];

/** Conversations, messages, files, sound, and what is told of an app. */
export const thingEndpoints = (store: Store): Endpoint[] => [
  ...conversations(store),
  ...messages(store),
  ...files(store),
  ...sound(store),
  ...about,
];
