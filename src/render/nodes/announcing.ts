import os from "node:os";
import { uuidv7 } from "../../platform/ids.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Pool } from "../../platform/postgres.ts";
import type { Capacity } from "./capacity.ts";
import { announceNode, LOST_S, noteStopped, type NodeFacts } from "./repository.ts";

/** A node that tells of itself, and hears whether it is to take no new frames. */
export interface Announcing {
  /** Resolves once operators can see it and it knows what they want; until then it takes nothing. */
  readonly known: Promise<void>;
  stop(): Promise<void>;
}

const BEAT_MS = 2_000;
/** Whoever had the name before is lost by then. */
const NAME_PATIENCE_MS = (LOST_S + 2) * 1_000;

/**
 * Announces a node and beats until it is stopped, also while Postgres is away for a while. A name that another living process has is given
 * up for one of its own.
 */
export function startAnnouncing(deps: {
  pool: Pool;
  log: Logger;
  node: Omit<NodeFacts, "instance">;
  capacity: Capacity;
  beatMs?: number;
}): Announcing {
  const { pool, log, capacity, beatMs = BEAT_MS } = deps;
  const began = Date.now();
  let node: NodeFacts = { ...deps.node, instance: uuidv7() };
  let stopped = false;
  let failing = false;
  let timer: NodeJS.Timeout | undefined;
  let beating = Promise.resolve();
  let greet: () => void = () => undefined;
  const known = new Promise<void>((resolve) => (greet = resolve));

  async function beat(): Promise<void> {
    const use = { frames: capacity.frames, memoryUsedMb: capacity.memoryUsedMb, load: os.loadavg()[0]! / node.cores };
    try {
      const answer = await announceNode(pool, node, use);
      if (answer) {
        capacity.draining = answer.draining;
        greet();
      } else if (Date.now() - began > NAME_PATIENCE_MS) {
        const name = `${deps.node.name.slice(0, 80)}-${process.pid}`;
        log.warn({ node: node.name, name }, "another render node has this name: this one takes another");
        node = { ...node, name };
      }
      failing = false;
    } catch (error) {
      if (!failing) log.warn({ node: node.name, err: error }, "a render node could not tell of itself");
      failing = true;
    }
    if (!stopped) timer = setTimeout(run, beatMs);
  }
  function run(): void {
    beating = beat();
  }

  run();
  return {
    known,
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await beating;
      await noteStopped(pool, node).catch(() => undefined);
    },
  };
}
