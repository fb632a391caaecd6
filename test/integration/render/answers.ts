import type { Ledger } from "../../../src/ledger/index.ts";

/** What the routes of render tasks are asked and answer, as tests read it. */

export interface Answer<T> {
  status: number;
  data: T;
  error: { code: string; details: unknown };
  message: string;
  text: string;
}

export interface Task {
  id: string;
  status: string;
  reason: string | null;
  message: string | null;
  progress: number;
  current_frame: number | null;
  total_frames: number;
  done_frames: number;
  estimated_cost: string;
  cost: string;
  held: string;
  workflow_id: string;
  callback_secret: string | null;
}

export interface Frame {
  frame: number;
  status: string;
  cost: string | null;
  file_id: string | null;
  attempts: number;
  failures: number;
  error: string | null;
}

export interface Page<T> {
  items: T[];
  total: number;
}

/** The body of a task that is quick to render. */
export const request = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  name: "A kettle",
  engine: "simulate",
  frame_start: 1,
  frame_end: 3,
  width: 64,
  height: 36,
  ...more,
});

/** Fails with the differences when the ledger is not proven. */
export async function prove(rig: { ledger: Pick<Ledger, "verify"> }): Promise<void> {
  const proof = await rig.ledger.verify();
  if (!proof.balanced) throw new Error(`the ledger is not balanced: ${JSON.stringify(proof.differences)}`);
}
