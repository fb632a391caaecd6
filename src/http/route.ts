import type { Request, RequestHandler, Response } from "express";
import type { z } from "zod";
import type { ErrorCode } from "../platform/errors.ts";
import type { Principal } from "./principal.ts";

/**
 * Who may call a route: `none` anybody; `user` a signed-in person (access token or API key); `session` an access token only;
 * `verified` a session whose e-mail is verified; `operator` operator or admin; `admin` admin only.
 */
export type Access = "none" | "user" | "session" | "verified" | "operator" | "admin";

type Schema = z.ZodType;
type Output<S> = S extends z.ZodType ? z.output<S> : undefined;

export interface RouteInput<B, Q, P, A extends Access> {
  body: B;
  query: Q;
  params: P;
  /** The caller; undefined only on routes with access `none` called without credentials. */
  principal: A extends "none" ? Principal | undefined : Principal;
  /** Trace id of this request, also the X-Request-ID of the answer. */
  traceId: string;
  /** Address of the caller, after TRUST_PROXY. */
  ip: string;
  /** The caller's Idempotency-Key, if it sent one. */
  idempotencyKey: string | undefined;
  /** For the rare handler that needs headers. */
  req: Request;
}

/** What a handler answers: data for the envelope, with an optional status and message. */
export interface Reply {
  status?: number;
  message?: string;
  data: unknown;
  headers?: Record<string, string>;
  /** Sent as it comes in place of the envelope; `headers` says what it is. */
  stream?: AsyncIterable<string>;
}

interface Documentation {
  method: "get" | "post" | "put" | "patch" | "delete";
  /** Express path, e.g. `/api/topup/orders/:order_no`. */
  path: string;
  summary: string;
  description?: string;
  tag: string;
  /** Marks a path kept for older clients. */
  alias?: boolean;
  /** Schemas of `data` by status; `undefined` for no body. */
  responses: Record<number, Schema | undefined>;
  /** Error codes beyond the usual ones, for the document. */
  errors?: ErrorCode[];
}

/** One REST route: its schemas check the input, type the handler and write the OpenAPI document. */
export interface JsonRoute<
  B extends Schema | undefined,
  Q extends Schema | undefined,
  P extends Schema | undefined,
  A extends Access,
> extends Documentation {
  kind: "json";
  access: A;
  body?: B;
  query?: Q;
  params?: P;
  /** True for a route that also takes its body as `text/csv`; the handler then gets the text. */
  csv?: boolean;
  /** Content type of an answer that is a stream and no envelope. */
  produces?: string;
  /** True for a POST that moves money: the same Idempotency-Key and body give the same answer. */
  idempotent?: boolean;
  handler(input: RouteInput<Output<B>, Output<Q>, Output<P>, A>): Promise<Reply>;
}

/** A route that reads and answers in its own way (relay, provider callbacks, pages). Only its documentation is shared. */
export interface RawRoute extends Documentation {
  kind: "raw";
  access: Access | "api_key";
  body?: Schema;
  query?: Schema;
  params?: Schema;
  /** Content types of request and answer in the document. */
  consumes?: string;
  produces?: string;
  /** Middleware that reads the body, if any. */
  before?: RequestHandler[];
  handler(req: Request, res: Response): Promise<void> | void;
}

// biome-like erasure: a list of routes holds routes of every input type.
export type Route = JsonRoute<Schema | undefined, Schema | undefined, Schema | undefined, Access> | RawRoute;

/** Declares a REST route with inferred input types. */
export function route<
  A extends Access,
  B extends Schema | undefined = undefined,
  Q extends Schema | undefined = undefined,
  P extends Schema | undefined = undefined,
>(definition: Omit<JsonRoute<B, Q, P, A>, "kind">): Route {
  return { kind: "json", ...definition } as unknown as Route;
}

/** Declares a route that handles request and response itself. */
export function rawRoute(definition: Omit<RawRoute, "kind">): Route {
  return { kind: "raw", ...definition };
}

/** 200 with data. */
export function ok(data: unknown, message = "OK"): Reply {
  return { status: 200, message, data };
}

/** 200 with a stream; the route says `produces`. */
export function streamed(stream: AsyncIterable<string>, headers: Record<string, string>): Reply {
  return { status: 200, data: undefined, headers, stream };
}

/** 201 with data. */
export function created(data: unknown, message = "Created"): Reply {
  return { status: 201, message, data };
}

/** 202 with data: accepted, the rest happens later. */
export function accepted(data: unknown, message = "Accepted"): Reply {
  return { status: 202, message, data };
}
