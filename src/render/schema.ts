import { z } from "zod";
import { creditsText, isoTime, line, pageOf, pageQuery, uuid } from "../http/schemas.ts";
import { MOST_MEMORY_MB } from "./nodes/queues.ts";
import { PRIORITIES } from "./prices/price.ts";
import { STATES, stateOf } from "./states.ts";

/** Inputs and answers of render tasks. */

const FRAME_LEAST = -1_000_000;
const FRAME_MOST = 10_000_000;
const SIZE_MOST = 65_536;
const frameNumber = z.number().int().min(FRAME_LEAST).max(FRAME_MOST);
const size = z.number().int().min(1).max(SIZE_MOST);

/** Settings are the engine's own; what it does not know it refuses. */
const settings = z
  .record(z.string().max(64), z.unknown())
  .refine((value) => JSON.stringify(value).length <= 16_384, "must be at most 16 KiB")
  .meta({ description: "Settings of the engine" });

export const taskBody = z
  .strictObject({
    name: line(200),
    engine: z.string().min(1).max(32),
    scene_file_id: uuid.optional().meta({ description: "A file of kind scene, for engines that need one" }),
    settings: settings.optional(),
    frame_start: frameNumber,
    frame_end: frameNumber,
    frame_step: z.number().int().min(1).max(FRAME_MOST).default(1),
    width: size,
    height: size,
    samples: z.number().int().min(1).max(65_536).default(1),
    output_format: z.string().min(1).max(16).optional().meta({ description: "A format of the engine; its first unless told" }),
    priority: z.enum(PRIORITIES).default("normal"),
    memory_mb: z
      .number()
      .int()
      .min(1)
      .max(MOST_MEMORY_MB)
      .optional()
      .meta({ description: "MiB that a frame needs, where that is more than its engine and its scene say" }),
    callback_url: z.string().max(2_000).optional().meta({ description: "Told, signed, when the task has ended" }),
  })
  .meta({
    examples: [{ name: "Kettle, turntable", engine: "simulate", frame_start: 1, frame_end: 24, width: 640, height: 360, samples: 16 }],
  });

export const taskParams = z.object({ id: uuid });
export const noBody = z.strictObject({}).optional();

const stateFilter = z
  .string()
  .max(16)
  .refine((text) => stateOf(text) !== undefined, `must be one of ${STATES.join(", ")} or a number from 0 to ${STATES.length - 1}`)
  .transform((text) => stateOf(text)!)
  .optional()
  .meta({ description: "A state, or its number from 0 (pending) to 7 (cancelled)" });
export const taskQuery = z.strictObject({ ...pageQuery, status: stateFilter, state: stateFilter });

const FRAME_STATES = ["rendering", "rendered", "completed", "failed"] as const;
export const frameQuery = z.strictObject({ ...pageQuery, status: z.enum(FRAME_STATES).optional() });

const LEVELS = ["debug", "info", "warn", "error"] as const;
export const logQuery = z.strictObject({
  ...pageQuery,
  after: z
    .string()
    .regex(/^\d{1,18}$/, "must be the id of a line")
    .transform(BigInt)
    .optional()
    .meta({ description: "Only lines after the one with this id" }),
  level: z.enum(LEVELS).optional(),
  frame: z.coerce.number().int().optional(),
});

export const taskView = z
  .object({
    id: uuid,
    name: z.string(),
    engine: z.string(),
    scene_file_id: uuid.nullable(),
    settings: z.looseObject({}),
    frame_start: z.number().int(),
    frame_end: z.number().int(),
    frame_step: z.number().int(),
    width: z.number().int(),
    height: z.number().int(),
    samples: z.number().int(),
    output_format: z.string(),
    memory_mb: z.number().int().meta({ description: "MiB that a frame may use" }),
    priority: z.enum(PRIORITIES),
    callback_url: z.string().nullable(),
    callback_secret: z.string().nullable().meta({ description: "Signs the callback; see docs/render.md" }),
    status: z.enum(STATES),
    status_number: z.number().int(),
    reason: z
      .string()
      .nullable()
      .meta({ description: "Why it is so, where that is not plain: asked, insufficient_balance, no_node, frame_failed" }),
    message: z.string().nullable(),
    progress: z.number().meta({ description: "Percent of the frames that are finished" }),
    current_frame: z.number().int().nullable(),
    total_frames: z.number().int(),
    done_frames: z.number().int(),
    parallel: z.number().int(),
    estimated_cost: creditsText,
    cost: creditsText,
    held: creditsText,
    workflow_id: z.string(),
    workflow_url: z.string(),
    created_at: isoTime,
    updated_at: isoTime,
    started_at: isoTime.nullable(),
    ended_at: isoTime.nullable(),
  })
  .meta({ id: "RenderTask" });
export const taskPage = pageOf(taskView);
/** One task alone, with what became of its callback. */
export const taskDetail = taskView
  .extend({
    callback: z
      .object({
        status: z.enum(["pending", "delivered", "failed"]),
        attempts: z.number().int(),
        last_status: z.number().int().nullable(),
        last_error: z.string().nullable(),
      })
      .nullable()
      .meta({ description: "Null before the task has ended, and without a callback URL" }),
  })
  .meta({ id: "RenderTaskDetail" });

const frameParts = z
  .object({ frame: creditsText, samples: creditsText, time: creditsText, percent: z.number().int() })
  .meta({ description: "What a frame's cost is made of, before the factor of the priority in percent" });

export const estimateView = z.object({
  estimated_cost: creditsText,
  per_frame: creditsText,
  seconds: z.number().meta({ description: "Rendering time of all frames together" }),
  frames: z.number().int(),
  price_version: z.number().int(),
  parts: frameParts,
  notes: z.array(z.string()),
});

const frameView = z.object({
  frame: z.number().int(),
  status: z.enum(FRAME_STATES),
  cost: creditsText.nullable(),
  parts: frameParts.nullable(),
  file_id: uuid.nullable(),
  attempts: z.number().int(),
  failures: z.number().int(),
  seconds: z.number().nullable(),
  error: z.string().nullable(),
  updated_at: isoTime,
});
export const framePage = pageOf(frameView);

const logView = z.object({
  id: z.string(),
  level: z.enum(LEVELS),
  message: z.string(),
  frame: z.number().int().nullable(),
  time: isoTime,
});
export const logPage = pageOf(logView);

export const billView = z.object({
  task_id: uuid,
  status: z.enum(STATES),
  estimated_cost: creditsText,
  cost: creditsText,
  frames: z.number().int().meta({ description: "Frames that were charged" }),
  seconds: z.number(),
  price: z.object({
    engine: z.string(),
    version: z.number().int(),
    per_frame: creditsText,
    per_megasample: creditsText,
    per_second: creditsText,
    percent: z.number().int(),
  }),
  charges: z.string().meta({ description: "Where each frame is listed with what it was charged" }),
});
