import { startScale } from "../test/integration/live/scale.ts";

export interface LiveResult {
  sockets: number;
  /** Of the copy that has them, for each. */
  memory: { bytes: number; heapBytes: number };
  subscribers: number;
  /** Milliseconds from being told in one process to being read in another, by whose the sockets are. */
  reach: { whose: "everybody" | "one"; p50: number; p99: number; most: number }[];
  /** Clients that lost their connection while 200 events a second came, and how many of all have each event once and in order. */
  cut: { clients: number; cut: number; whole: number };
}

const SOCKETS = 5_000;
const SUBSCRIBERS = 1_000;

/** Memory of a WebSocket, the way of an event to a thousand of them, and what those miss who lose their connection. */
export async function benchLive(redisUrl: string): Promise<LiveResult> {
  const scale = await startScale(redisUrl);
  try {
    const memory = await scale.memory(SOCKETS);
    const reach = [];
    for (const whose of ["everybody", "one"] as const) {
      const { p50, p99, most, whole } = await scale.fanOut(SUBSCRIBERS, whose);
      if (whole < SUBSCRIBERS) throw new Error(`${SUBSCRIBERS - whole} subscribers missed something`);
      reach.push({ whose, p50, p99, most });
    }
    const { clients, cut, whole } = await scale.cut(SUBSCRIBERS);
    return { sockets: SOCKETS, memory, subscribers: SUBSCRIBERS, reach, cut: { clients, cut, whole } };
  } finally {
    scale.stop();
  }
}
