import http from "node:http";

/** A server-sent event as a client reads it. */
export interface Message {
  event: string;
  data: unknown;
  id: string | undefined;
}

/** An open stream, read as it comes unless told to wait. */
export interface Stream {
  status: number;
  messages: Message[];
  comments: string[];
  /** As a browser keeps it: of the last message with an id. */
  lastEventId: string | undefined;
  ended: boolean;
  /** Takes nothing more from its connection. */
  pause(): void;
  resume(): void;
  close(): void;
  body(): string;
}

function read(block: string, stream: Stream): void {
  let event = "message";
  let id: string | undefined;
  const data: string[] = [];
  for (const line of block.split("\n")) {
    if (line.startsWith(":")) stream.comments.push(line);
    else if (line.startsWith("id: ")) id = line.slice(4);
    else if (line.startsWith("event: ")) event = line.slice(7);
    else if (line.startsWith("data: ")) data.push(line.slice(6));
  }
  if (id !== undefined) stream.lastEventId = id;
  if (data.length > 0) stream.messages.push({ event, id, data: JSON.parse(data.join("\n")) });
}

/** Opens a stream; resolves when its status is known. */
export function openStream(
  url: string,
  options: { token?: string; lastEventId?: string | undefined; agent?: http.Agent; onText?: (text: string) => void } = {},
): Promise<Stream> {
  const { token, lastEventId, agent = new http.Agent(), onText } = options;
  return new Promise((resolve, reject) => {
    const headers = {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }),
    };
    const req = http.get(url, { headers, agent }, (res) => {
      let rest = "";
      let all = "";
      const stream: Stream = {
        status: res.statusCode!,
        messages: [],
        comments: [],
        lastEventId,
        ended: false,
        pause: () => void res.pause(),
        resume: () => void res.resume(),
        close: () => void req.destroy(),
        body: () => all,
      };
      res.setEncoding("utf8");
      res.on("data", (text: string) => {
        if (onText) return onText(text);
        if (stream.status !== 200) all += text;
        rest += text;
        for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
          read(rest.slice(0, end), stream);
          rest = rest.slice(end + 2);
        }
      });
      res.on("close", () => (stream.ended = true));
      res.on("error", () => undefined);
      resolve(stream);
    });
    req.on("error", reject);
  });
}

interface Told {
  id: string;
  kind: string;
  request_id: string | null;
}

/** The events of a stream so far, in the order they came. */
export const eventsOf = ({ messages }: Pick<Stream, "messages">): Told[] =>
  messages.filter(({ event }) => event === "events").flatMap(({ data }) => (data as { events: Told[] }).events);
