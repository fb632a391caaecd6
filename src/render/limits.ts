import type { Limits } from "../quotas/index.ts";
import { PRIORITIES, type Priority } from "./prices/price.ts";

/** What somebody's membership allows in rendering. */
export interface RenderLimits {
  /** Tasks that are not over, at once. */
  tasks: number;
  /** Frames of one task. */
  frames: number;
  /** Pixels of one frame. */
  pixels: number;
  /** Frames of one task that are rendered at the same time. */
  parallel: number;
  /** The highest priority. */
  priority: Priority;
}

const DEFAULTS: RenderLimits = { tasks: 20, frames: 1_000, pixels: 3_840 * 2_160, parallel: 2, priority: "normal" };

/** The limits of a tier; what it does not say is the default. */
export const renderLimits = (tier: Limits): RenderLimits => ({
  tasks: tier.render_tasks ?? DEFAULTS.tasks,
  frames: tier.render_frames ?? DEFAULTS.frames,
  pixels: tier.render_pixels ?? DEFAULTS.pixels,
  parallel: tier.render_parallel ?? DEFAULTS.parallel,
  priority: tier.render_priority ?? DEFAULTS.priority,
});

/** True when a priority is one that the limits allow. */
export const mayUse = (limits: RenderLimits, priority: Priority): boolean =>
  PRIORITIES.indexOf(priority) <= PRIORITIES.indexOf(limits.priority);
