import type { Priority } from "@temporalio/common";
import { decide, isOver, type State } from "../src/render/states.ts";

/** Pure state and rules of a render task's workflow: which frames are taken, what is due next. Frames are places in the task, from 0. */

export interface RenderInput {
  taskId: string;
  userId: string;
  /** Where nodes take work that its frames fit. */
  renderQueue: string;
  /** A task whose frames wait longer for a node has failed. */
  longestWaitMs?: number;
  /** What a frame may use, in MiB. */
  memoryMb?: number;
  /** Whose turn it is among what waits for nodes. */
  turn?: Priority;
  totalFrames: number;
  /** Activities at the same time. */
  parallel: number;
  /** Frames of one activity. */
  chunk: number;
  /** Its frames become a film when it is completed. */
  video?: boolean;
  /** Frames of one run, after which the history begins anew. */
  framesPerRun: number;
  /** Handed from run to run: the next place, and those that were given back. */
  next?: number;
  again?: number[];
}

export interface RenderView {
  state: State | "gone" | "unknown";
  done: number;
  total: number;
  /** Frames that are being rendered. */
  underWay: number;
}

/** What happens next. */
export type Step = "prepare" | "start" | "settle" | "complete" | "scan" | "fail" | "cancel" | "continue" | "wait" | "end";

/** How often the whole range is gone over again when frames are missing at its end: it never should be. */
const MOST_SCANS = 3;

export class RenderWork {
  readonly input: RenderInput;
  state: State | "gone" | undefined;
  done = 0;
  cancelAsked = false;
  failure: { code: string; message: string } | undefined;
  toSettle = false;
  /** The node that prepares is waited for. */
  preparing = false;
  private next: number;
  private again: number[];
  private lanes = 0;
  private underWay = 0;
  private taken = 0;
  private scans = 0;
  private revision = -1;

  constructor(input: RenderInput) {
    this.input = input;
    this.next = input.next ?? 0;
    this.again = [...(input.again ?? [])];
    // A run before this one may have left frames to settle; its state is not known here either.
    this.toSettle = input.next !== undefined;
  }

  get over(): boolean {
    return this.state === "gone" || (this.state !== undefined && isOver(this.state));
  }

  /** Why an action is refused without a look at the row. While the task is not over, the row may be ahead of what is known here. */
  refuses(action: "pause" | "resume" | "cancel"): string | undefined {
    if (this.state === "gone") return "There is no such task";
    if (this.cancelAsked && action !== "cancel") return "The task is being cancelled";
    if (this.state === undefined || !isOver(this.state)) return undefined;
    const outcome = decide(this.state, action);
    return outcome.kind === "refused" ? outcome.why : undefined;
  }

  private get untaken(): boolean {
    return this.again.length > 0 || this.next < this.input.totalFrames;
  }

  private get idle(): boolean {
    return this.lanes === 0;
  }

  step(now: { handlersFinished: boolean; historyLong: boolean }): Step {
    const longEnough = this.taken >= this.input.framesPerRun || now.historyLong;
    if (this.over) return "end";
    if (this.cancelAsked) return "cancel";
    if (this.failure !== undefined) return "fail";
    // The last frames are settled with the end of the task.
    if (this.toSettle && (this.untaken || !this.idle || this.state !== "rendering")) return "settle";
    if (this.state === undefined || this.state === "pending" || this.state === "queued" || this.state === "preparing")
      return this.preparing ? "wait" : "prepare";
    if (this.state === "rendering" && this.untaken && !longEnough && this.lanes < this.input.parallel) return "start";
    if (!this.idle) return "wait";
    if (this.toSettle || this.done >= this.input.totalFrames) return "complete";
    if (longEnough && now.handlersFinished) return "continue";
    if (this.state === "rendering" && !this.untaken) return "scan";
    return "wait";
  }

  /** All places were taken and some are not done: what was lost with another run is looked for from the beginning. */
  scan(): void {
    this.scans += 1;
    this.next = 0;
    if (this.scans > MOST_SCANS) this.failure = { code: "frame_failed", message: "frames are missing" };
  }

  /** The next places to render. */
  take(): number[] {
    const { chunk, totalFrames } = this.input;
    const places = this.again.splice(0, chunk);
    while (places.length < chunk && this.next < totalFrames) places.push(this.next++);
    this.taken += places.length;
    this.underWay += places.length;
    this.lanes += 1;
    return places;
  }

  /** An activity has ended; what it gave back is taken again. */
  rendered(places: readonly number[], left: readonly number[]): void {
    this.lanes -= 1;
    this.underWay -= places.length;
    this.again.push(...left);
    this.toSettle = true;
  }

  /** Takes an answer, unless a newer one came before it. */
  enter({ state, done, revision }: { state: State | "gone"; done: number; revision: number }): void {
    this.done = Math.max(this.done, done);
    if (revision < this.revision) return;
    this.state = state;
    this.revision = revision;
  }

  nextRun(): RenderInput {
    return { ...this.input, next: this.next, again: this.again };
  }

  view(): RenderView {
    return { state: this.state ?? "unknown", done: this.done, total: this.input.totalFrames, underWay: this.underWay };
  }

  /** For the Temporal UI. */
  describe(): string {
    const { state, done, total, underWay } = this.view();
    return `**${state}** · ${done} of ${total} frames finished, ${underWay} under way${this.failure ? ` · ${this.failure.message}` : ""}`;
  }
}
