/** A request of a case: what the driver of a language is given. Everything in it is JSON. */
export interface Task {
  id: string;
  /** Which of the official clients. */
  client: "openai" | "anthropic";
  /** What to do with it: a name that both languages' drivers know. */
  ask: string;
  /** Where the product is, without `/v1`. */
  url: string;
  key: string;
  /** The body, or what else the client is given, in the words of the API. */
  body: Record<string, unknown>;
  /** The client's own time-out; its default when left out. */
  timeoutMs?: number;
  /** How often the client repeats on its own; its default when left out. */
  retries?: number;
  /** Leaves after so many pieces of the answer. */
  leaveAfter?: number;
}

export interface SeenError {
  /** Name of the exception's class. */
  class: string;
  status: number | null;
  code: string | null;
  type: string | null;
  param: string | null;
  message: string;
  requestId: string | null;
  /** The header, as it came. */
  retryAfter: string | null;
}

/** What somebody saw who used an official client: the same words for every language. */
export interface Seen {
  text?: string;
  thinking?: string;
  tools?: { name: string; input: unknown }[];
  finish?: string | null;
  /** As the client shows it. */
  usage?: Record<string, unknown> | null;
  requestId?: string | null;
  /** How many pieces the text came in. */
  pieces?: number;
  /** Names of the events, each once. */
  events?: string[];
  /** What else this kind of answer has. */
  more?: Record<string, unknown>;
  error?: SeenError;
  /** Status of each answer that arrived; null for a request that got none. */
  sent: (number | null)[];
}

/** Does what a task says with the client of one language; answers by id. */
export type Driver = (tasks: Task[]) => Promise<Map<string, Seen>>;
