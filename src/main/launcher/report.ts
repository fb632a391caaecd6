/** Tells a person what is going on, one line per event. */
export interface Reporter {
  line(part: string, text: string): void;
}

export const silent: Reporter = { line: () => undefined };

/** Lines such as `  postgres   ready in 1.2 s: 127.0.0.1:5432`. */
export function printer(write: (text: string) => void): Reporter {
  return { line: (part, text) => write(`  ${part.padEnd(10)} ${text}\n`) };
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

const FIRST_WORD_MS = 2_000;
const NEXT_WORD_MS = 10_000;

/** Runs `work`; when it takes longer than two seconds, says what is waited for, and again every ten seconds. */
export async function whileSaying<T>(report: Reporter, part: string, what: () => string, work: () => Promise<T>): Promise<T> {
  const began = performance.now();
  let timer: NodeJS.Timeout;
  const say = () => {
    report.line(part, `${seconds(performance.now() - began)}: ${what()}`);
    timer = setTimeout(say, NEXT_WORD_MS);
  };
  timer = setTimeout(say, FIRST_WORD_MS);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
  }
}
