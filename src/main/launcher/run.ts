import { spawn, type SpawnOptions } from "node:child_process";

export interface RunResult {
  ok: boolean;
  /** The end of what it printed, both streams. */
  output: string;
}

const KEPT = 8_000;

/** Runs a program to its end. Never rejects. `onLine` hears the last line printed so far. */
export function runProgram(
  file: string,
  args: string[],
  options: Pick<SpawnOptions, "cwd" | "env" | "uid" | "gid" | "timeout"> & { onLine?: (line: string) => void } = {},
): Promise<RunResult> {
  const { onLine, ...rest } = options;
  return new Promise((resolve) => {
    let output = "";
    const child = spawn(file, args, { ...rest, stdio: ["ignore", "pipe", "pipe"] });
    // Whatever it was doing is of no use once this process ends.
    const end = () => child.kill("SIGTERM");
    process.once("exit", end);
    const read = (data: Buffer) => {
      output = (output + data.toString()).slice(-KEPT);
      onLine?.(
        output
          .trimEnd()
          .split(/[\r\n]/)
          .at(-1)
          ?.trim() ?? "",
      );
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("error", (error) => resolve({ ok: false, output: error.message }));
    child.on("close", (code) => {
      process.removeListener("exit", end);
      resolve({ ok: code === 0, output: output.trimEnd() });
    });
  });
}

export function lastLines(text: string, count: number): string {
  return text.trimEnd().split("\n").slice(-count).join("\n");
}
