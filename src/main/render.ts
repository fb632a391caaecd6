import type { Files } from "../files/index.ts";
import {
  createCallbackDelivery,
  createEngines,
  createFilms,
  createRenderMetrics,
  createRenderSteps,
  createRenderWorkflows,
  createTasks,
  describeEngines,
  forgetNodes,
  forgetSceneChecks,
  noteWaiting,
  RENDER_QUEUE,
  renderLimits,
  renewHolds,
  type CallbackDelivery,
  type RenderEngine,
  type RenderSteps,
  type Tasks,
} from "../render/index.ts";
import type { Budget } from "../ledger/index.ts";
import type { WebhookSender } from "../notify/index.ts";
import { budgetsAt } from "../quotas/index.ts";
import { BILLING_QUEUE } from "../usage/index.ts";
import type { Platform } from "./platform.ts";
import { renderFolder, renderPrograms } from "./render-programs.ts";
import type { CoreServices } from "./services.ts";

type Core = Pick<CoreServices, "ledger" | "notify" | "identity">;
interface Storing {
  files: Files;
  /** Whether there is a place for files. */
  stores: boolean;
}

/** Spend limits, and quotas of credits, of an account; quotas of requests and tokens count calls alone. */
const budgetsOf =
  ({ spendOf }: CoreServices["identity"]) =>
  async (userId: string): Promise<readonly Budget[]> => {
    const spend = await spendOf({ userId });
    return spend ? budgetsAt(spend, Date.now()).filter(({ unit = "credits" }) => unit === "credits") : [];
  };

const enginesOf = ({ config, log }: Platform) =>
  createEngines({ simulate: config.RENDER_SIMULATE_MODE, programs: { ...renderPrograms(config), log } });

/** Render tasks as both the api and the worker's housekeeping use them. */
export function createRenderTasks(platform: Platform, { ledger, identity }: Core, { files, stores }: Storing): Tasks {
  const { config, pool, log, secretBox, temporal, events } = platform;
  return createTasks({
    pool,
    log,
    ledger,
    files,
    stores,
    secretBox,
    publish: platform.live.publish,
    emit: events.emit,
    workflows: createRenderWorkflows({ client: temporal.client, taskQueue: BILLING_QUEUE, renderQueue: RENDER_QUEUE }),
    engines: enginesOf(platform),
    renderQueue: RENDER_QUEUE,
    budgetsOf: budgetsOf(identity),
    limitsOf: async (userId) => renderLimits(await identity.limitsOf(userId)),
    allowPrivate: config.WEBHOOK_PRIVATE_ADDRESSES,
  });
}

/**
 * What the worker does for render tasks: steps of workflows, callbacks, and chores for the regular housekeeping. `begin` answers whether it
 * has an engine to render with.
 */
export function createRenderWork(
  platform: Platform,
  core: Core,
  { sender, ...storing }: Storing & { sender: WebhookSender },
): { steps: RenderSteps; callbacks: CallbackDelivery; begin: () => Promise<readonly RenderEngine[]>; chores: (() => Promise<unknown>)[] } {
  const { config, pool, log, secretBox } = platform;
  const { ledger, notify } = core;
  const tasks = createRenderTasks(platform, core, storing);
  const engines = enginesOf(platform);
  const video = createFilms({ ...renderPrograms(config), log });
  const callbacks = createCallbackDelivery({ pool, secretBox, sender, notify });
  return {
    steps: createRenderSteps({
      pool,
      log,
      ledger,
      notify,
      publish: platform.live.publish,
      emit: platform.events.emit,
      metrics: createRenderMetrics(platform.metrics, platform.events),
      budgetsOf: budgetsOf(core.identity),
      files: storing.files,
      engines,
      video,
      folder: renderFolder(config),
    }),
    callbacks,
    async begin() {
      const [{ ready, said }, films] = await Promise.all([describeEngines(engines), video.state()]);
      log.info(
        { engines: said, ffmpeg: films.kind === "ready" ? films.version : `missing: ${films.why}` },
        ready.length > 0 ? "this worker is a render node" : "this worker is no render node: it has no engine",
      );
      return ready;
    },
    chores: [
      () => renewHolds({ pool, ledger }),
      () => tasks.startLost(),
      () => noteWaiting({ pool, publish: platform.live.publish }),
      () => callbacks.sweep(),
      () => forgetSceneChecks(pool),
      () => forgetNodes(pool),
    ],
  };
}
