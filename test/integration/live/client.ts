import { once } from "node:events";
import { WebSocket, type ClientOptions } from "ws";

/** A message as clients get it. */
export interface Message {
  type: string;
  id: string | null;
  time: string;
  data: Record<string, unknown>;
}

/** A connection as a client keeps it. */
export interface Client {
  ws: WebSocket;
  messages: Message[];
  /** Those of events, in the order they came. */
  readonly events: Message[];
  /** What it goes on from: of the last message with an id. */
  readonly lastEventId: string | undefined;
  closed: { code: number; reason: string } | undefined;
  say(message: unknown): void;
  /** Breaks the connection as a lost network does. */
  break(): void;
}

const OF_THE_CONNECTION = new Set(["hello", "ready", "heartbeat", "pong", "subscribed", "error"]);

/** Opens a connection; rejects with the answer's status and body when it is refused. */
export async function connect(url: string, options: ClientOptions & { lastEventId?: string | undefined } = {}): Promise<Client> {
  const { lastEventId, ...rest } = options;
  const target = new URL(url.replace(/^http/, "ws"));
  if (lastEventId !== undefined) target.searchParams.set("last_event_id", lastEventId);
  const ws = new WebSocket(target, { perMessageDeflate: false, ...rest });
  let last = lastEventId;
  const client: Client = {
    ws,
    messages: [],
    get events() {
      return client.messages.filter(({ type }) => !OF_THE_CONNECTION.has(type));
    },
    get lastEventId() {
      return last;
    },
    closed: undefined,
    say: (message) => ws.send(typeof message === "string" ? message : JSON.stringify(message)),
    break: () => ws.terminate(),
  };
  ws.on("message", (data) => {
    const message = JSON.parse(String(data)) as Message;
    if (message.id !== null) last = message.id;
    client.messages.push(message);
  });
  ws.on("close", (code, reason) => (client.closed = { code, reason: String(reason) }));
  ws.on("unexpected-response", (_request, response) => {
    let text = "";
    response.on("data", (piece) => (text += String(piece)));
    response.on("end", () => ws.emit("error", new Error(`${response.statusCode} ${text}`)));
  });
  await once(ws, "open");
  ws.on("error", () => undefined);
  return client;
}

/** Why a connection was refused: its status and its error code. */
export async function refusal(url: string, options: Parameters<typeof connect>[1] = {}): Promise<{ status: number; code: string }> {
  try {
    const client = await connect(url, options);
    client.break();
  } catch (error) {
    const [status = "", ...body] = (error as Error).message.split(" ");
    return { status: Number(status), code: (JSON.parse(body.join(" ")) as { error: { code: string } }).error.code };
  }
  throw new Error("the connection was opened");
}
