import type { Directives } from "./control/directives.ts";
import type { Vendor } from "./vendors.ts";

/** One server-sent event of an answer. */
export interface OutEvent {
  /** Its name, in formats that name their events. */
  event?: string;
  /** Without it the event is its name alone. */
  data?: string;
  /** It carries a piece of the answer. */
  content?: boolean;
  /** Nothing is to come after it. */
  terminal?: boolean;
}

/** A whole healthy answer, decided before its first byte. What goes wrong on the way is acted out in wire/. */
export type Answer =
  | {
      kind: "events";
      events: Iterable<OutEvent>;
      /** The format's error event after so many others. */
      error(sent: number): OutEvent;
      /** How the format says that the answer failed, when it has an event for that. */
      failure?(sent: number): OutEvent;
      /** Asked before each event: what ends the answer now, once somebody has stopped it. */
      stopped?(): OutEvent[] | undefined;
      /** Awaited before the last event. */
      before?(): Promise<void>;
      /** The answer is complete. */
      after?(): void;
    }
  | {
      kind: "whole";
      /** 200 unless said. */
      status?: number;
      before?(): Promise<void>;
      after?(): void;
      body: object | string | Buffer;
      /** JSON unless said. */
      contentType?: string;
      /** So many content events would have been streamed; it takes as long. */
      steps?: number;
      /** The same answer when it failed, in formats that say so in a body with status 200. */
      failure?: object;
    }
  | { kind: "bytes"; contentType: string; parts: Buffer[] };

/** A file of a multipart body. */
export interface Upload {
  field: string;
  name: string;
  type: string;
  bytes: Buffer;
}

/** What an endpoint is asked. */
export interface Asked {
  headers: Record<string, string | undefined>;
  /** The JSON body, or the fields of a multipart one; {} without a body. */
  body: Record<string, unknown>;
  files: Upload[];
  /** What the pattern of the path captured, decoded. */
  param: string;
  query: URLSearchParams;
  directives: Directives;
}

/** One route of one vendor's API. */
export interface Endpoint {
  method: "GET" | "POST" | "DELETE" | "PUT";
  path: RegExp;
  vendor: Vendor;
  /** For routes that several vendors have: whose words the caller understands. */
  vendorOf?(headers: Asked["headers"]): Vendor;
  /** What calls are told to do is not meant for it. */
  calm?: true;
  /** Where directives are looked for besides the model's name: usually the last thing the user says. */
  prompt?(body: Record<string, unknown>): string;
  /** Throws {@link Refused} for what the vendor would not accept. */
  answer(asked: Asked): Answer;
}

/** The vendor's refusal of a request. */
export class Refused extends Error {
  readonly status: number;
  readonly param: string | null;
  readonly code: string | null;

  constructor(status: number, message: string, more: { param?: string; code?: string } = {}) {
    super(message);
    this.status = status;
    this.param = more.param ?? null;
    this.code = more.code ?? null;
  }
}

/** Throws a 400 about one parameter. */
export function refuse(message: string, param?: string, code?: string): never {
  throw new Refused(400, message, { ...(param ? { param } : {}), ...(code ? { code } : {}) });
}
