import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { answer, sendError } from "./answer.ts";
import { createCallLog, type CallRecord } from "./calls.ts";
import { createControl } from "./control.ts";
import { DirectiveError, mergeDirectives, readDirectives } from "./directives.ts";
import { answerFast, fastChunks } from "./fast.ts";
import { planAnswer, type ChatRequest } from "./plan.ts";
import { textOf } from "./tokens.ts";

const MODELS = ["demo-chat", "demo-fast"];
const MAX_BODY = 64 * 1_048_576;

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(status, { "content-type": "application/json", "content-length": body.length });
  response.end(body);
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_BODY) throw new Error("the body is too large");
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function isChatRequest(body: unknown): body is ChatRequest {
  const { model, messages } = (body ?? {}) as Record<string, unknown>;
  return (
    typeof model === "string" &&
    Array.isArray(messages) &&
    messages.length > 0 &&
    messages.every((message) => typeof message === "object" && message !== null)
  );
}

/**
 * An upstream in OpenAI's format for development, tests and benchmarks. It answers believable text at a settable pace with true
 * token counts, and fails in every way it is told to: see faults.ts and directives.ts. Directives are read from `POST /control`,
 * from the model's name and from the last user message; the later ones win.
 */
export function createUpstream(options: { key?: string | undefined; paceMs: number }): Server {
  const calls = createCallLog();
  const control = createControl();

  function authorized(request: IncomingMessage): boolean {
    const given = /^Bearer\s+(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
    return given !== undefined && (options.key === undefined || given === options.key);
  }

  async function chat(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const text = await readBody(request);
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      return sendError(response, 400, { message: "We could not parse the JSON body of your request." });
    }
    if (!isChatRequest(body)) return sendError(response, 400, { message: "model and messages are required", param: "messages" });
    const stream = body.stream === true;
    const fast = fastChunks(body.model);
    if (fast !== undefined) {
      return answerFast(response, { model: body.model, stream, includeUsage: body.stream_options?.include_usage === true }, fast);
    }
    const record = calls.add({ method: request.method ?? "", path, headers: request.headers, body });
    follow(response, record);
    try {
      const lastUser = body.messages.findLast((message) => message.role === "user");
      const directives = mergeDirectives(control.take(), readDirectives(body.model), readDirectives(textOf(lastUser)));
      await answer(response, planAnswer(body, directives, options.paceMs), record, stream);
    } catch (error) {
      if (!(error instanceof DirectiveError)) throw error;
      sendError(response, 400, { message: error.message, code: "bad_directive" });
    }
  }

  async function controlled(request: IncomingMessage, response: ServerResponse, path: string, query: URLSearchParams): Promise<void> {
    if (path === "/control/calls") {
      if (request.method === "DELETE") calls.clear();
      return sendJson(response, 200, { calls: calls.list({ q: query.get("q"), after: Number(query.get("after") ?? 0) }) });
    }
    try {
      if (request.method === "POST") control.set(JSON.parse((await readBody(request)) || "{}"));
      else if (request.method === "DELETE") control.set({});
      sendJson(response, 200, control.state);
    } catch (error) {
      sendJson(response, 400, { message: (error as Error).message });
    }
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = "/", query] = (request.url ?? "/").split("?", 2);
    if (path === "/healthz") return sendJson(response, 200, { status: "ok" });
    if (path === "/" || path === "/control" || path === "/control/calls")
      return controlled(request, response, path, new URLSearchParams(query));
    if (!authorized(request)) {
      return sendError(response, 401, { message: "Incorrect API key provided.", code: "invalid_api_key" });
    }
    if (path === "/v1/chat/completions" && request.method === "POST") return chat(request, response, path);
    if (path === "/v1/models" && request.method === "GET") {
      return sendJson(response, 200, {
        object: "list",
        data: MODELS.map((id) => ({ id, object: "model", created: 1_767_225_600, owned_by: "demo" })),
      });
    }
    sendError(response, 404, { message: `Unknown request URL: ${request.method} ${path}` });
  }

  return createServer({ keepAliveTimeout: 120_000 }, (request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (response.destroyed) return;
      if (response.headersSent) response.destroy();
      else sendError(response, 500, { message: (error as Error).message, type: "server_error" });
    });
  });
}

/** Notes how a call ended. */
function follow(response: ServerResponse, record: CallRecord): void {
  let broken = false;
  const destroy = response.destroy.bind(response);
  // Broken off here, not by the caller.
  response.destroy = (error?: Error) => {
    broken = true;
    return destroy(error);
  };
  response.once("close", () => {
    record.status = response.headersSent ? response.statusCode : undefined;
    record.aborted = !response.writableFinished && !broken;
    record.ended = true;
  });
}
