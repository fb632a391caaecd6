import type { Metrics } from "../../platform/metrics.ts";
import type { Pool } from "../../platform/postgres.ts";
import { countNodes, NODE_STATES } from "./repository.ts";

/** Render nodes as Postgres knows them: the same on every copy. */
export function watchNodes(metrics: Metrics, pool: Pool): void {
  metrics.gauge({
    name: "tollkeeper_render_nodes",
    help: "Render nodes, by state.",
    async read() {
      const counted = await countNodes(pool);
      return NODE_STATES.map((state) => ({ labels: { state }, value: counted.find((one) => one.state === state)?.nodes ?? 0 }));
    },
  });
  metrics.gauge({
    name: "tollkeeper_render_slots",
    help: "Frames that active render nodes can render at once, and how many they do.",
    async read() {
      const active = (await countNodes(pool)).find(({ state }) => state === "active");
      return [
        { labels: { use: "all" }, value: active?.slots ?? 0 },
        { labels: { use: "taken" }, value: active?.frames ?? 0 },
      ];
    },
  });
}
