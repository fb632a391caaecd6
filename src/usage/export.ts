import { literal, Op, type Sequelize } from "sequelize";
import { columnsOf } from "../http/csv.ts";
import { where } from "./lists.ts";
import { defineUsageModel, type UsageRow } from "./models.ts";
import type { UsageFilter } from "./schema.ts";
import type { operatorView, userView } from "./views.ts";

/** Calls for files of any length: page by page in the order in which they began, each read when the one before it has been taken. */

const PAGE = 2_000;

/** Text that a client, a provider or a person made. */
const TEXTS = ["request_id", "model", "provider", "error_code", "error_class"] as const;
const NAMES = [
  "id",
  "request_id",
  "created_at",
  "settled_at",
  "model",
  "provider",
  "key_id",
  "token_id",
  "route",
  "stream",
  "status",
  "http_status",
  "error_code",
  "error_class",
  "input_tokens",
  "cached_input_tokens",
  "cache_write_tokens",
  "cache_write_1h_tokens",
  "output_tokens",
  "reasoning_tokens",
  "units",
  "price_multiplier",
  "cost",
  "cache",
  "estimated",
  "retry_count",
  "first_chunk_ms",
  "duration_ms",
  "client_ip",
] as const;

export const USER_COLUMNS = columnsOf<ReturnType<typeof userView>>(NAMES, TEXTS);
export const OPERATOR_COLUMNS = columnsOf<ReturnType<typeof operatorView>>(
  [
    ...NAMES,
    "user_id",
    "team_id",
    "provider_id",
    "price_version_id",
    "upstream_request_id",
    "uncharged",
    "estimated_input_tokens",
    "upstream_cost",
    "upstream_currency",
    "set_aside_at",
  ],
  [...TEXTS, "upstream_request_id"],
);

type Row = UsageRow & { position: string };

/** The rows after one; its values come from Postgres. Days before it are left out by the first condition. */
const beyond = ({ position, id }: Row) =>
  `created_at >= '${position}'::timestamptz AND (created_at, id) > ('${position}'::timestamptz, '${id}'::uuid)`;

/** Creates the reader of pages. No connection is kept between two pages, so a slow reader holds up nobody. */
export function createUsagePages(sequelize: Sequelize) {
  const events = defineUsageModel(sequelize);
  // A call's attempts are the largest part of its row and in no column.
  const attributes = Object.keys(events.getAttributes()).filter((name) => name !== "attempts");

  /** All calls of a filter that began before `filter.to`, or before now. */
  return async function* pages<View>(filter: UsageFilter, view: (row: UsageRow) => View): AsyncGenerator<View[]> {
    const upTo = filter.to ?? new Date();
    let after: Row | undefined;
    for (;;) {
      const rows = (await events.findAll({
        attributes: [...attributes, [literal("created_at::text"), "position"]],
        where: {
          [Op.and]: [where({ ...filter, to: upTo }), ...(after ? [literal(beyond(after))] : [])],
        },
        order: [
          ["created_at", "ASC"],
          ["id", "ASC"],
        ],
        limit: PAGE,
        raw: true,
      })) as unknown as Row[];
      if (rows.length > 0) yield rows.map((row) => view(row));
      if (rows.length < PAGE) return;
      after = rows.at(-1);
    }
  };
}
