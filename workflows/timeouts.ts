import type { ActivityOptions } from "@temporalio/common";

/**
 * Every timeout and retry policy of every workflow, by the step it belongs to. A step that only needs our own parts (Postgres, Redis)
 * is tried for ever with short pauses: it is idempotent, and the part comes back.
 */

const PATIENT = { initialInterval: "500ms", backoffCoefficient: 2, maximumInterval: "5s" } as const;

/** Settling a shard: ends by itself after some seconds; a worker that dies is noticed by its missing heartbeat. */
export const DRAIN_SHARD: ActivityOptions = { startToCloseTimeout: "60s", heartbeatTimeout: "5s", retry: PATIENT };

/** Sweeps and other housekeeping in Postgres. The next scheduled run does what this one could not. */
export const HOUSEKEEPING: ActivityOptions = {
  startToCloseTimeout: "60s",
  heartbeatTimeout: "10s",
  retry: { ...PATIENT, maximumAttempts: 10 },
};

/**
 * A step of a reset: batches of one transaction for half a minute. A worker that dies is noticed by its missing heartbeat, and another goes
 * on with what is not done. Tried for ever: the next scheduled run waits for this one.
 */
export const QUOTA_STEP: ActivityOptions = { startToCloseTimeout: "3m", heartbeatTimeout: "5s", retry: PATIENT };

/** Queueing a mail with a code or link: pointless once nobody waits for it any more. */
export const QUEUE_PROOF_MAIL: ActivityOptions = { startToCloseTimeout: "10s", scheduleToCloseTimeout: "10m", retry: PATIENT };

/** Making or proving an account: tried until it is done, because the code or link it follows has been used up. */
export const ACTIVATE_ACCOUNT: ActivityOptions = { startToCloseTimeout: "10s", retry: { ...PATIENT, initialInterval: "200ms" } };

/** The welcome grant, idempotent by its transfer id. */
export const WELCOME_GRANT: ActivityOptions = { startToCloseTimeout: "10s", retry: { ...PATIENT, initialInterval: "200ms" } };

/** Making a payment at the provider: one call with a short time limit of its own, then a way without a call; the order waits for it. */
export const CREATE_PAYMENT: ActivityOptions = {
  startToCloseTimeout: "15s",
  retry: { ...PATIENT, initialInterval: "200ms", nonRetryableErrorTypes: ["OrderMissing"] },
};

/** Asking the provider once. When it does not answer, the workflow's own backoff asks again. */
export const QUERY_PAYMENT: ActivityOptions = { startToCloseTimeout: "10s", scheduleToCloseTimeout: "30s", retry: { maximumAttempts: 1 } };

/** Crediting a payment, after asking the provider where that is wanted: tried until it is done, once by its transfer id. */
export const CREDIT_TOPUP: ActivityOptions = { startToCloseTimeout: "20s", retry: { ...PATIENT, initialInterval: "200ms" } };

/** Closing an order in Postgres. */
export const CLOSE_TOPUP: ActivityOptions = { startToCloseTimeout: "10s", retry: PATIENT };

/** Queueing the receipt: Redis may be away for a while. */
export const SEND_RECEIPT: ActivityOptions = {
  startToCloseTimeout: "10s",
  scheduleToCloseTimeout: "1d",
  retry: { ...PATIENT, maximumInterval: "60s" },
};

/** Queueing mails and webhooks: Redis may be away; the next scheduled run does what this one could not. */
export const TELL_NOTICES: ActivityOptions = {
  startToCloseTimeout: "60s",
  heartbeatTimeout: "10s",
  retry: { ...PATIENT, maximumAttempts: 5 },
};

/** Delivering what was left; the next scheduled run does what this one could not. */
export const DELIVER_CALLBACKS: ActivityOptions = { startToCloseTimeout: "60s", retry: { ...PATIENT, maximumAttempts: 5 } };

/** Removing files at S3; the next scheduled run does what this one could not. */
export const SWEEP_FILES: ActivityOptions = {
  startToCloseTimeout: "10m",
  heartbeatTimeout: "10s",
  retry: { ...PATIENT, maximumAttempts: 3 },
};

/** Reading a whole file, which may wait its turn: tried until it was read or the file is gone, because its owner waits. */
export const CHECK_FILE: ActivityOptions = {
  startToCloseTimeout: "12h",
  heartbeatTimeout: "15s",
  retry: { ...PATIENT, maximumInterval: "60s" },
};

/** Bringing a scene to a render node: gigabytes may come. How long it waits for a node is the workflow's input. */
export const PREPARE_TASK: ActivityOptions = {
  startToCloseTimeout: "2h",
  heartbeatTimeout: "10s",
  cancellationType: "TRY_CANCEL",
  retry: { ...PATIENT, maximumInterval: "30s" },
};

/**
 * Rendering frames: hours are possible. A node that dies is noticed by its missing heartbeat and its frames go elsewhere. How often a frame
 * may fail is counted in the database; what our own parts lack (storage, Postgres) is waited for.
 */
export const RENDER_FRAMES: ActivityOptions = {
  startToCloseTimeout: "24h",
  heartbeatTimeout: "10s",
  cancellationType: "TRY_CANCEL",
  retry: { ...PATIENT, maximumInterval: "30s" },
};

/** Making a film of frames that may be thousands. A node that dies, or has no ffmpeg, is not the last one that is asked. */
export const ASSEMBLE_VIDEO: ActivityOptions = {
  startToCloseTimeout: "24h",
  scheduleToCloseTimeout: "2d",
  heartbeatTimeout: "10s",
  retry: { ...PATIENT, maximumInterval: "30s", maximumAttempts: 5 },
};

/** Charging finished frames: some transactions in Postgres. */
export const SETTLE_FRAMES: ActivityOptions = { startToCloseTimeout: "30s", retry: { ...PATIENT, initialInterval: "200ms" } };

/** Pausing and resuming: somebody waits for the answer. */
export const CHANGE_TASK: ActivityOptions = { startToCloseTimeout: "10s", retry: { ...PATIENT, initialInterval: "200ms" } };

/** Ending a task in Postgres; tried until it is done, for its hold is released by it. */
export const CLOSE_TASK: ActivityOptions = { startToCloseTimeout: "30s", retry: { ...PATIENT, initialInterval: "200ms" } };

/** Looking at a scene on a render node: somebody waits, and asks again when it takes long. A scene that no node lives through is given up. */
export const CHECK_SCENE: ActivityOptions = {
  startToCloseTimeout: "10m",
  scheduleToCloseTimeout: "30m",
  heartbeatTimeout: "10s",
  retry: { ...PATIENT, maximumAttempts: 3 },
};
