import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { readBody, readBytes } from "./body.ts";
import { createCallLog, follow } from "./control/calls.ts";
import { createControl } from "./control/control.ts";
import { DirectiveError, mergeDirectives, readDirectives } from "./control/directives.ts";
import { Refused, type Asked, type Endpoint } from "./endpoint.ts";
import { createEndpoints } from "./endpoints.ts";
import { answerFast, fastChunks } from "./openai-chat/fast.ts";
import { anthropic, openai, type Vendor } from "./vendors.ts";
import { send, sendError } from "./wire/send.ts";

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(status, { "content-type": "application/json", "content-length": body.length });
  response.end(body);
}

const keyOf = ({ headers }: IncomingMessage): string | undefined =>
  /^Bearer\s+(\S+)$/i.exec(headers.authorization ?? "")?.[1] ?? (headers["x-api-key"] as string | undefined);

function find(endpoints: Endpoint[], method: string | undefined, path: string): { endpoint: Endpoint; param: string } | undefined {
  for (const endpoint of endpoints) {
    const match = endpoint.method === method ? endpoint.path.exec(path) : null;
    if (match) return { endpoint, param: decodeURIComponent(match[1] ?? "") };
  }
  return undefined;
}

/**
 * An upstream for development, tests and benchmarks that speaks the formats of OpenAI and Anthropic. It answers believable text at a
 * settable pace with true token counts, and fails in every way it is told to, on every route: see control/faults.ts and
 * control/directives.ts. Directives come from the key, `POST /control`, the model's name and the prompt; the later ones win.
 */
export function createUpstream(options: {
  key?: string | undefined;
  paceMs: number;
  /** Those of OpenAI and Anthropic unless told. */
  endpoints?: Endpoint[];
  /** Whose words a caller of no route understands. */
  vendor?: Vendor;
}): Server {
  const calls = createCallLog();
  const control = createControl();
  const { endpoints = createEndpoints() } = options;
  const callersVendor = (request: IncomingMessage): Vendor => options.vendor ?? vendorOfCaller(request);

  async function relayed(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    query: URLSearchParams,
    id: string,
  ): Promise<void> {
    const headers = request.headers as Asked["headers"];
    const match = find(endpoints, request.method, path);
    const vendor = match?.endpoint.vendorOf?.(headers) ?? match?.endpoint.vendor ?? callersVendor(request);
    const refused = (status: number, error: { message: string; param?: string | null; code?: string | null }): void =>
      sendError(response, vendor, id, status, error);

    const key = keyOf(request);
    if (key === undefined || (options.key !== undefined && key !== options.key))
      return refused(401, { message: vendor === anthropic ? "invalid x-api-key" : "Incorrect API key provided." });
    if (!match) return refused(404, { message: `Unknown request URL: ${request.method} ${path}` });
    const { endpoint, param } = match;
    try {
      const { fields: body, files, told } = await readBody(request);
      if (path === "/v1/chat/completions" && fast(response, body)) return;
      const record = calls.add({ method: request.method ?? "", path, headers: request.headers, body: told });
      follow(response, record);
      const model = typeof body["model"] === "string" ? body["model"] : "";
      const given = endpoint.calm ? [] : [control.take(key), readDirectives(model), readDirectives(endpoint.prompt?.(body) ?? "")];
      const directives = control.draw(mergeDirectives(...given));
      const answer = endpoint.answer({ headers, body, files, param, query, directives });
      await send(response, answer, { id, vendor, directives, record, paceMs: options.paceMs });
    } catch (error) {
      if (error instanceof Refused) return refused(error.status, error);
      if (error instanceof DirectiveError) return refused(400, { message: error.message, code: "bad_directive" });
      throw error;
    }
  }

  async function controlled(request: IncomingMessage, response: ServerResponse, path: string, query: URLSearchParams): Promise<void> {
    if (path === "/control/calls") {
      if (request.method === "DELETE") calls.clear();
      return sendJson(response, 200, { calls: calls.list({ q: query.get("q"), after: Number(query.get("after") ?? 0) }) });
    }
    try {
      if (request.method === "POST") control.set(JSON.parse((await readBytes(request)).toString("utf8") || "{}"));
      else if (request.method === "DELETE") control.set({});
      sendJson(response, 200, control.state);
    } catch (error) {
      sendJson(response, 400, { message: (error as Error).message });
    }
  }

  async function handle(request: IncomingMessage, response: ServerResponse, id: string): Promise<void> {
    const [path = "/", search] = (request.url ?? "/").split("?", 2);
    if (path === "/healthz") return sendJson(response, 200, { status: "ok" });
    const query = new URLSearchParams(search);
    if (path === "/" || path === "/control" || path === "/control/calls") return controlled(request, response, path, query);
    return relayed(request, response, path, query, id);
  }

  return createServer({ keepAliveTimeout: 120_000 }, (request, response) => {
    const id = `req_${randomBytes(12).toString("hex")}`;
    handle(request, response, id).catch((error: unknown) => {
      if (response.destroyed) return;
      if (response.headersSent) response.destroy();
      else sendError(response, callersVendor(request), id, 500, { message: (error as Error).message });
    });
  });
}

const vendorOfCaller = ({ headers }: IncomingMessage): Vendor => (headers["anthropic-version"] === undefined ? openai : anthropic);

/** Answers the models that are there for benchmarks; false for any other. */
function fast(response: ServerResponse, { model, stream, stream_options: options }: Record<string, unknown>): boolean {
  const chunks = typeof model === "string" ? fastChunks(model) : undefined;
  if (chunks === undefined) return false;
  const includeUsage = (options as { include_usage?: unknown } | null | undefined)?.include_usage === true;
  answerFast(response, { model: model as string, stream: stream === true, includeUsage }, chunks);
  return true;
}
