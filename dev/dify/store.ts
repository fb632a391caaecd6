import { randomUUID } from "node:crypto";
import { Refused, type Asked } from "../upstream/endpoint.ts";

/** Whose something is: Dify tells its users apart by app and by the name that came with the call. */
export interface Holder {
  app: string;
  user: string;
}

export interface Message extends Holder {
  id: string;
  conversation: string;
  query: string;
  answer: string;
  inputs: unknown;
  at: number;
  rating: string | null;
}

export interface Conversation extends Holder {
  id: string;
  name: string;
  inputs: unknown;
  at: number;
}

export interface File extends Holder {
  id: string;
  name: string;
  type: string;
  bytes: Buffer;
}

/** An answer on its way; one that is over stays, as Dify answers success to stopping it too. */
export interface Task extends Holder {
  id: string;
  stopped: boolean;
}

/** A run that waits for a person, or goes on after that. */
export interface Run extends Holder {
  id: string;
  /** It waits; what it has used until then. */
  waits: { total_tokens?: unknown } | undefined;
  /** The tokens it had when it last waited. */
  used: number;
  /** Since when it has been over, in unix seconds: since somebody asked. */
  endedAt?: number | undefined;
  message: string;
  conversation: Conversation | undefined;
}

const KEPT = 10_000;

/** A table in memory that forgets its oldest rows. */
function table<T extends Holder & { id: string }>() {
  const rows = new Map<string, T>();
  return {
    add(row: T): T {
      rows.set(row.id, row);
      if (rows.size > KEPT) rows.delete(rows.keys().next().value!);
      return row;
    },
    /** Only for whom it was made. */
    find({ app, user }: Holder, id: string): T | undefined {
      const row = rows.get(id);
      return row?.app === app && row.user === user ? row : undefined;
    },
    any: (id: string): T | undefined => rows.get(id),
    of: ({ app, user }: Holder): T[] => [...rows.values()].filter((row) => row.app === app && row.user === user),
    remove: (id: string): boolean => rows.delete(id),
  };
}

/** Everything that Dify remembers. */
export function createStore() {
  return {
    conversations: table<Conversation>(),
    messages: table<Message>(),
    files: table<File>(),
    tasks: table<Task>(),
    runs: table<Run>(),
  };
}

export type Store = ReturnType<typeof createStore>;

export const newId = (): string => randomUUID();
export const now = (): number => Math.floor(Date.now() / 1_000);

/** Who asks: the key says which app, `user` says who. */
export function holderOf({ headers, body, query }: Asked): Holder {
  const app = (headers["authorization"] ?? "").replace(/^Bearer\s+/i, "");
  const user = body["user"] ?? query.get("user");
  if (typeof user !== "string" || user === "") throw new Refused(400, "Arg user must be provided.", { code: "invalid_param" });
  return { app, user };
}

/** Throws Dify's 404. */
export function notFound(what: string): never {
  throw new Refused(404, `${what} Not Exists.`, { code: "not_found" });
}
