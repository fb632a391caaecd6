import express, { type Express } from "express";
import { inboxPage, PAGE_POLICY } from "./page.ts";
import type { MessageStore } from "./store.ts";

const SHOWN = 100;

/** The inbox for programs (`/messages`, JSON) and for people (`/`). */
export function createInboxApp(store: MessageStore): Express {
  const app = express();
  app.disable("x-powered-by");
  app.get("/healthz", (_request, response) => void response.json({ status: "ok" }));
  app.get("/messages", (request, response) => void response.json(store.list(receiver(request.query["to"]))));
  app.get("/messages/:id", (request, response) => {
    const message = store.get(request.params.id);
    if (message) response.json(message);
    else response.status(404).json({ message: "There is no such message" });
  });
  app.delete("/messages", (_request, response) => {
    store.clear();
    response.status(204).end();
  });
  app.get("/", (request, response) => {
    const to = receiver(request.query["to"]);
    response.set({ "content-security-policy": PAGE_POLICY, "x-content-type-options": "nosniff", "cache-control": "no-store" });
    response.type("html").send(inboxPage(store.list(to).slice(0, SHOWN), to));
  });
  return app;
}

function receiver(value: unknown): string | undefined {
  return typeof value === "string" && value ? value : undefined;
}
