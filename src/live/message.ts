/** What can be told to people; see docs/live.md. `gap` tells that something could not be. */
export const LIVE_TYPES = ["task.progress", "task.status", "task.log", "notice", "balance", "topup", "gap"] as const;
export type LiveType = (typeof LIVE_TYPES)[number];

/** What is told to one person, or with null to everybody who is connected or comes back. */
export interface LiveMessage {
  userId: string | null;
  type: LiveType;
  data: Record<string, unknown>;
  /** Told only when its data is not what was told of this type last: for what is, and not what happens. */
  onChange?: boolean;
}

/** Tells whoever listens. Never throws, and is never waited for. */
export type Publish = (message: LiveMessage) => void;

/** One event as it lies in a stream and goes over its channel. */
export interface LiveEvent {
  id: string;
  type: string;
  topic: string;
  /** The rest of its JSON: `"time":…,"data":…}`. */
  rest: string;
}

/** The topic by which a message is subscribed to. */
export function topicOf({ type, data }: Pick<LiveMessage, "type" | "data">): string {
  switch (type) {
    case "balance":
      return "balance";
    case "topup":
      return "topups";
    case "notice":
      return "notices";
    case "gap":
      return "gap";
    default:
      return `task:${String(data["task_id"])}`;
  }
}

/** What stands before the rest of an event in a stream: its type and its topic. */
export const headOf = (message: LiveMessage): string => `${message.type} ${topicOf(message)}`;

/** Reads what a channel brings: id, type, topic and the rest, between spaces. */
export function readEvent(text: string): LiveEvent {
  const [id = "", type = "", topic = ""] = text.split(" ", 3);
  return { id, type, topic, rest: text.slice(id.length + type.length + topic.length + 3) };
}

/** An event as a client gets it. */
export const textOf = ({ id, type, rest }: LiveEvent): string => `{"type":"${type}","id":"${id}",${rest}`;

/** What the hub itself says: with an id only where a client may go on from it. */
export function saying(type: string, data: Record<string, unknown>, id: string | null = null): string {
  return JSON.stringify({ type, id, time: new Date().toISOString(), data });
}
