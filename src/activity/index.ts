export { createBus, type Bus, type Emit, type Sink } from "./bus.ts";
export { EVENT_KINDS } from "./event.ts";
export type {
  ActivityEvent,
  CallEnded,
  CallRefused,
  EventKind,
  EventOf,
  EventTokens,
  KeyEvent,
  NewEvent,
  RefusedBy,
  TopUpChanged,
} from "./event.ts";
export { createLinesSink } from "./lines/index.ts";
export { readDay } from "./lines/read.ts";
export { createActivityMetrics } from "./metrics.ts";
export { createKafkaSink } from "./sinks/kafka.ts";
export { createRedisStreamSink } from "./sinks/redisStream.ts";
export { activityRoutes } from "./routes.ts";
export { createHistory } from "./store/history.ts";
export { keepPartitions } from "./store/repository.ts";
export { createStoreSink } from "./store/index.ts";
