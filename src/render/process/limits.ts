/** What an untrusted program may use. */
export interface ProgramLimits {
  /** Time on the clock. */
  wallMs: number;
  /** Time on all processors together. */
  cpuSeconds: number;
  /** Memory in use by all its processes together, bytes. */
  memory: number;
  /** Bytes it may have written when it ends, in all files together; no file may be larger either. */
  output: number;
  /** Files and folders in its folder. */
  files: number;
  /** Processes at the same time. */
  processes: number;
  /** False for programs that reserve far more addresses than memory, as drivers of graphics cards do. */
  boundAddresses: boolean;
}

/** Which limit a program went over. */
export type Limit = "time" | "cpu" | "memory" | "output" | "files" | "processes";

const GIB = 2 ** 30;
const OPEN_FILES = 1_024;
/** Threads count as processes here; renderers have several for each processor. */
const TASKS = 1_024;

/**
 * Arguments of `prlimit` (util-linux) for what the kernel itself can refuse to one process. The sums over all processes are watched besides:
 * addresses are therefore wide, threads and allocators reserve more than they use.
 */
export const limitArguments = (limits: ProgramLimits): string[] => [
  // The first one is told of, the second one kills.
  `--cpu=${limits.cpuSeconds}:${limits.cpuSeconds + 5}`,
  `--fsize=${limits.output}`,
  `--nofile=${OPEN_FILES}`,
  `--nproc=${TASKS}`,
  "--core=0",
  ...(limits.boundAddresses ? [`--as=${2 * limits.memory + 4 * GIB}`] : []),
];

/** What went over the limit, in words for the owner of a scene. */
export function limitReason(limit: Limit, { wallMs, cpuSeconds, memory, output, files, processes }: ProgramLimits): string {
  const words: Record<Limit, string> = {
    time: `took longer than ${seconds(wallMs)}`,
    cpu: `took more than ${cpuSeconds} s of processor time`,
    memory: `needed more than ${mebibytes(memory)} of memory`,
    output: `wrote more than ${mebibytes(output)}`,
    files: `made more than ${files} files`,
    processes: `started more than ${processes} processes`,
  };
  return words[limit];
}

const seconds = (ms: number): string => `${Math.round(ms / 1_000)} s`;
const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
