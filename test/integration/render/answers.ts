/** What the routes of render tasks answer, as tests read it. */

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
