/** The parts of a stack, in the order in which they are stopped. */
export const PART_NAMES = ["api", "worker", "upstream", "dify", "sandbox", "inbox", "s3", "temporal", "redis", "postgres"] as const;
export type PartName = (typeof PART_NAMES)[number];

/** One running part. Every call may be repeated; `start` after `stop` or `kill` brings it back on the same port and data. */
export interface Part {
  readonly name: PartName;
  /** The process id while it runs. */
  readonly pid: number | undefined;
  /** False for a part that the environment names (DATABASE_URL, …): nothing is started, and `stop` and `kill` refuse. */
  readonly own: boolean;
  /** Resolves when the part answers; throws with the end of its log when it cannot be started. */
  start(): Promise<void>;
  /** Asks it to end, insists after a grace time, resolves when it is gone. */
  stop(): Promise<void>;
  /** Sends a signal (SIGKILL unless told) and resolves when it is gone. It stays down until `start`. */
  kill(signal?: NodeJS.Signals): Promise<void>;
}

/** How a part's process is started. */
export interface Command {
  file: string;
  args: string[];
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  uid?: number;
  gid?: number;
}

/** A part that must be had from somewhere else; the message says what to install or which variable to set. */
export class PartMissing extends Error {
  constructor(message: string) {
    super(message);
    this.name = "PartMissing";
  }
}

/** A part that the environment already names. */
export function givenPart(name: PartName, variable: string, check: () => Promise<void>): Part {
  const refuse = () => Promise.reject(new Error(`${name} is not ours: ${variable} names it`));
  return { name, pid: undefined, own: false, start: check, stop: () => Promise.resolve(), kill: refuse };
}
