import { availableParallelism } from "node:os";
import type { ProgramLimits } from "../process/index.ts";

/** What a render node grants to one run of a program. */
export interface NodeSettings {
  frameMs: number;
  checkMs: number;
  /** Bytes. */
  memory: number;
  /** Bytes. */
  output: number;
  /** 0: as many as there are processors. */
  threads: number;
}

const FILES = 10_000;
const PROCESSES = 64;

export const threadsOf = ({ threads }: Pick<NodeSettings, "threads">): number => threads || availableParallelism();

/** Limits of one run that may take so long. */
export const limitsOf = (node: NodeSettings, wallMs: number, boundAddresses = true): ProgramLimits => ({
  wallMs,
  cpuSeconds: Math.ceil((wallMs / 1_000) * threadsOf(node)) + 10,
  memory: node.memory,
  output: node.output,
  files: FILES,
  processes: PROCESSES,
  boundAddresses,
});
