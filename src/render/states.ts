/**
 * The states of a render task and what may be done in each: pure, the one place that decides. Numbers are what older clients filter by
 * (R-36, X-30).
 */
export const STATES = ["pending", "queued", "preparing", "rendering", "paused", "completed", "failed", "cancelled"] as const;
export type State = (typeof STATES)[number];

/** `pause`, `resume`, `cancel` and `remove` are asked by people; the others are steps of the work itself. */
export const ACTIONS = ["queue", "prepare", "render", "pause", "resume", "complete", "fail", "cancel", "remove"] as const;
export type Action = (typeof ACTIONS)[number];

export type Outcome =
  | { kind: "moved"; to: State }
  /** A step that is repeated after a crash: nothing changes. */
  | { kind: "same" }
  /** The task may go, with everything that belongs to it. */
  | { kind: "removable" }
  | { kind: "refused"; why: string };

/** Where each action leads from where. What is not here is refused, or the same once more. */
const MOVES: Record<Exclude<Action, "remove">, { to: State; from: readonly State[] }> = {
  queue: { to: "queued", from: ["pending"] },
  prepare: { to: "preparing", from: ["queued"] },
  render: { to: "rendering", from: ["preparing"] },
  pause: { to: "paused", from: ["queued", "preparing", "rendering"] },
  resume: { to: "queued", from: ["paused"] },
  // Frames that were under way when a task was paused are finished; they may be the last.
  complete: { to: "completed", from: ["rendering", "paused"] },
  fail: { to: "failed", from: ["pending", "queued", "preparing", "rendering", "paused"] },
  cancel: { to: "cancelled", from: ["pending", "queued", "preparing", "rendering", "paused"] },
};

/** Steps that a worker may take again because it does not know that they were taken. */
const REPEATABLE: readonly Action[] = ["queue", "prepare", "render", "complete", "fail"];

const OVER: readonly State[] = ["completed", "failed", "cancelled"];

/** True when nothing will happen to the task any more. */
export const isOver = (state: State): boolean => OVER.includes(state);

/** Decides an action in a state. A refusal says why, in words for the owner. */
export function decide(state: State, action: Action): Outcome {
  if (action === "remove") return isOver(state) ? { kind: "removable" } : { kind: "refused", why: `The task is ${state}: cancel it first` };
  const { to, from } = MOVES[action];
  if (from.includes(state)) return { kind: "moved", to };
  if (state === to && REPEATABLE.includes(action)) return { kind: "same" };
  return { kind: "refused", why: whyNot(state, action) };
}

function whyNot(state: State, action: Exclude<Action, "remove">): string {
  if (isOver(state)) return `The task is ${state} and cannot change any more`;
  if (action === "pause") return state === "paused" ? "The task is paused already" : "The task is not queued yet: try again in a moment";
  if (action === "resume") return `The task is ${state}: only a paused task can be resumed`;
  return `A task that is ${state} cannot be ${MOVES[action].to} next`;
}

/** The number of a state, for clients that know no words. */
export const numberOf = (state: State): number => STATES.indexOf(state);

/** The state of a word or a number; undefined for neither. */
export function stateOf(text: string): State | undefined {
  return /^[0-7]$/.test(text) ? STATES[Number(text)] : STATES.find((state) => state === text);
}
