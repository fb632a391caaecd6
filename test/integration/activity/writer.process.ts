import { createActivityMetrics, createBus, createLinesSink } from "../../../src/activity/index.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { createMetrics } from "../../../src/platform/metrics.ts";

/** A process that tells events until it is ended, and its parent how many: `writer.process.js DIR USER`. */

const [, , dir = "", userId = ""] = process.argv;
const PER_TICK = 20;

const metrics = createActivityMetrics(createMetrics());
const log = createLogger({ level: "silent", name: "writer" });
const events = createBus({ log });
events.addSink(
  createLinesSink({
    dir,
    name: "writer",
    limit: 10_000,
    everyMs: 100,
    maxFileBytes: 200_000,
    maxOpen: 8,
    keepMs: 86_400_000,
    maxBytes: 1_000_000_000,
    metrics,
    log,
  }),
);

let told = 0;
const timer = setInterval(() => {
  for (let i = 0; i < PER_TICK; i++) {
    told += 1;
    events.emit({
      kind: "sign_in",
      user_id: userId,
      request_id: `${process.pid}-${told}`,
      result: "success",
      method: "password",
      reason: null,
    });
  }
  process.send?.({ told, at: Date.now() });
}, 5);

process.on("SIGTERM", () => {
  clearInterval(timer);
  void events.stop(3_000).then(() => process.send?.({ told, at: Date.now() }, () => process.exit(0)));
});
