import type { Client } from "@temporalio/client";
import { z } from "zod";
import { recordAudit } from "../../admin/audit.ts";
import { accepted, ok, route, type Route } from "../../http/route.ts";
import { creditsText, isoTime } from "../../http/schemas.ts";
import { formatCredits } from "../../platform/credits.ts";
import { appError } from "../../platform/errors.ts";
import type { Pool } from "../../platform/postgres.ts";
import { readBook } from "../plans/book.ts";
import { periodsOf } from "./open.ts";
import { lookAtDue } from "./repository.ts";

/** The run by hand: one at a time, beside the scheduled ones. */
const WORKFLOW_ID = "quota-reset-by-hand";
const START_WITHIN_MS = 5_000;
const SHOWN = 100;

const dryRunView = z.object({
  dry_run: z.literal(true),
  subscriptions: z.number().int(),
  periods: z.array(z.object({ user_id: z.string(), starts_at: isoTime, ends_at: isoTime, plan: z.string(), allowance: creditsText })),
});
const startedView = z.object({ dry_run: z.literal(false), workflow_id: z.string() });

/** Operators' route for a reset by hand. */
export function resetRoutes(deps: { pool: Pool; temporal: Client; taskQueue: string }): Route[] {
  const { pool, temporal, taskQueue } = deps;
  return [
    route({
      method: "post",
      path: "/api/admin/quotas/run",
      summary: "Open what is due now, or show it",
      description:
        "With `dry_run` the periods that would be opened (of the first hundred subscriptions), nothing else. Else a run is started, or the one " +
        "that runs already is named; it does nothing twice, whatever runs beside it.",
      tag: "Plans and quotas",
      access: "operator",
      body: z.strictObject({ dry_run: z.boolean().default(false) }),
      responses: { 200: dryRunView, 202: startedView },
      errors: ["unavailable"],
      handler: async ({ body, principal, traceId }) => {
        if (body.dry_run) {
          const now = new Date();
          const [book, due] = await Promise.all([readBook(pool), lookAtDue(pool, now, SHOWN)]);
          const periods = due.rows.flatMap((row) => periodsOf(book, row, now));
          return ok({
            dry_run: true,
            subscriptions: due.total,
            periods: periods.map(({ userId, fromMs, untilMs, plan, granted }) => ({
              user_id: userId,
              starts_at: new Date(fromMs).toISOString(),
              ends_at: new Date(untilMs).toISOString(),
              plan,
              allowance: formatCredits(granted),
            })),
          });
        }
        await recordAudit(pool, { actorId: principal.userId, action: "quotas.run", target: "quotas", details: {}, traceId });
        try {
          await temporal.withDeadline(Date.now() + START_WITHIN_MS, () =>
            temporal.workflow.start("quotaReset", {
              workflowId: WORKFLOW_ID,
              taskQueue,
              args: [],
              workflowIdConflictPolicy: "USE_EXISTING",
              staticSummary: "A reset by hand",
            }),
          );
        } catch (error) {
          throw appError("unavailable", { message: "Temporal is not reachable right now", retryAfter: 5, cause: error });
        }
        return accepted({ dry_run: false, workflow_id: WORKFLOW_ID });
      },
    }),
  ];
}
