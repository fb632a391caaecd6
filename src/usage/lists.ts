import { literal, Op, QueryTypes, type Sequelize, type WhereOptions } from "sequelize";
import { formatCredits } from "../platform/credits.ts";
import { detailView } from "./detail.ts";
import { defineUsageModel, type UsageRow } from "./models.ts";
import type { Rates } from "./rates.ts";
import type { UsageFilter } from "./schema.ts";
import { COUNTS } from "./second.ts";
import { operatorView, sum, userView } from "./views.ts";

interface Page {
  page: number;
  page_size: number;
}

interface Paged<T> extends Page {
  items: T[];
  total: number;
}

/** Reading what was used. */
export interface UsageLists {
  ofUser(userId: string, filter: UsageFilter, page: Page): Promise<Paged<object>>;
  ofEverybody(filter: UsageFilter, page: Page): Promise<Paged<object>>;
  /** One call with its attempts, cost and margin; undefined when there is none. */
  one(id: string, rates: Rates): Promise<object | undefined>;
  /** Totals and UTC days of one key; the caller has checked whose key it is. */
  ofKey(keyId: string, range: { from?: Date | undefined; to?: Date | undefined }): Promise<object>;
}

/** The condition of a filter. A call whose message was charged before is listed only to who asks for that very request. */
export function where(filter: UsageFilter): WhereOptions<UsageRow> {
  const range = { ...(filter.from ? { [Op.gte]: filter.from } : {}), ...(filter.to ? { [Op.lt]: filter.to } : {}) };
  return {
    ...(filter.user ? { user_id: filter.user } : {}),
    ...(filter.model ? { model: filter.model } : {}),
    ...(filter.key ? { key_id: filter.key } : {}),
    ...(filter.token ? { token_id: filter.token } : {}),
    ...(filter.status ? { status: filter.status } : {}),
    ...(filter.provider ? { provider_id: filter.provider } : {}),
    ...(filter.request_id ? { request_id: filter.request_id } : {}),
    ...(filter.settled ? { settled_at: filter.settled === "true" ? { [Op.ne]: null } : null } : {}),
    ...(filter.from || filter.to ? { created_at: range } : {}),
    ...(filter.request_id ? {} : { [Op.and]: [literal(COUNTS)] }),
  };
}

interface DayRow {
  date: string;
  requests: string;
  failed: string;
  input_tokens: string;
  output_tokens: string;
  cost: string;
}

const KEY_DAYS = `
  SELECT to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS date, sum(requests)::text AS requests, sum(failed)::text AS failed,
    sum(input_tokens + cached_input_tokens + cache_write_tokens + cache_write_long_tokens)::text AS input_tokens,
    sum(output_tokens + reasoning_tokens)::text AS output_tokens, sum(cost)::text AS cost
  FROM usage_hourly WHERE key_id = :keyId AND hour >= :from AND hour < :to GROUP BY 1 ORDER BY 1`;

function dayView(rows: DayRow[]) {
  return {
    requests: sum(...rows.map((row) => row.requests)),
    failed: sum(...rows.map((row) => row.failed)),
    input_tokens: sum(...rows.map((row) => row.input_tokens)),
    output_tokens: sum(...rows.map((row) => row.output_tokens)),
    cost: formatCredits(rows.reduce((total, row) => total + BigInt(row.cost), 0n)),
  };
}

/** Creates the lists. */
export function createUsageLists(sequelize: Sequelize): UsageLists {
  const events = defineUsageModel(sequelize);

  async function list<T>(filter: UsageFilter, { page, page_size }: Page, view: (row: UsageRow) => T): Promise<Paged<T>> {
    const { rows, count } = await events.findAndCountAll({
      where: where(filter),
      order: [
        ["created_at", "DESC"],
        ["id", "DESC"],
      ],
      limit: page_size,
      offset: (page - 1) * page_size,
    });
    return { items: rows.map((row) => view(row.get({ plain: true }))), total: count, page, page_size };
  }

  return {
    ofUser: (userId, filter, page) => list({ ...filter, user: userId }, page, userView),
    ofEverybody: (filter, page) => list(filter, page, operatorView),
    async one(id, rates) {
      const row = await events.findOne({ where: { id } });
      return row ? detailView(row.get({ plain: true }), rates) : undefined;
    },
    async ofKey(keyId, { from, to }) {
      const rows = await sequelize.query<DayRow>(KEY_DAYS, {
        type: QueryTypes.SELECT,
        replacements: { keyId, from: from?.toISOString() ?? "-infinity", to: to?.toISOString() ?? "infinity" },
      });
      return { totals: dayView(rows), days: rows.map((row) => ({ date: row.date, ...dayView([row]) })) };
    },
  };
}
