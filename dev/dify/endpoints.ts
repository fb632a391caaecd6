import type { Endpoint } from "../upstream/endpoint.ts";
import { appEndpoints } from "./answers.ts";
import { runEndpoints } from "./runs.ts";
import { createStore } from "./store.ts";
import { thingEndpoints } from "./things.ts";
import { createWebhooks, type WebhookSettings } from "./webhooks.ts";

/** Every route of Dify's API for apps, with what it remembers. Each key is an app of its own. */
export function createDifyEndpoints(settings?: WebhookSettings): Endpoint[] {
  const store = createStore();
  const webhooks = createWebhooks(settings);
  return [...appEndpoints({ store, webhooks }), ...runEndpoints(store), ...thingEndpoints(store), ...webhooks.endpoints];
}
