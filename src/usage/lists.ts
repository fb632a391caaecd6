import { Op, QueryTypes, type Sequelize, type WhereOptions } from "sequelize";
import { formatCredits } from "../platform/credits.ts";
import { defineUsageModel, type UsageRow } from "./models.ts";
import type { UsageFilter } from "./schema.ts";

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
  /** Totals and UTC days of one key; the caller has checked whose key it is. */
  ofKey(keyId: string, range: { from?: Date | undefined; to?: Date | undefined }): Promise<object>;
}

const credits = (micro: string | null) => (micro === null ? null : formatCredits(BigInt(micro)));
const sum = (...counts: string[]) => counts.reduce((total, next) => total + Number(next), 0);

/** An event as its user sees it: classes of tokens are kept apart inside and added up in `input_tokens` and `output_tokens`. */
function userView(row: UsageRow) {
  return {
    id: row.id,
    request_id: row.request_id,
    key_id: row.key_id,
    model: row.model,
    provider: row.provider_name,
    route: row.route,
    stream: row.stream,
    input_tokens: sum(row.input_tokens, row.cached_input_tokens, row.cache_write_tokens),
    cached_input_tokens: Number(row.cached_input_tokens),
    cache_write_tokens: Number(row.cache_write_tokens),
    output_tokens: sum(row.output_tokens, row.reasoning_tokens),
    reasoning_tokens: Number(row.reasoning_tokens),
    cost: credits(row.cost),
    status: row.status,
    http_status: row.http_status,
    error_code: row.error_code,
    error_class: row.error_class,
    estimated: row.estimated,
    retry_count: row.retry_count,
    first_chunk_ms: row.first_chunk_ms,
    duration_ms: row.duration_ms,
    client_ip: row.client_ip,
    created_at: row.created_at,
    settled_at: row.settled_at,
  };
}

function operatorView(row: UsageRow) {
  return {
    ...userView(row),
    user_id: row.user_id,
    team_id: row.team_id,
    provider_id: row.provider_id,
    price_version_id: row.price_version_id,
    upstream_request_id: row.upstream_request_id,
    uncharged: credits(row.uncharged),
    set_aside_at: row.set_aside_at,
  };
}

function where(filter: UsageFilter): WhereOptions<UsageRow> {
  const range = { ...(filter.from ? { [Op.gte]: filter.from } : {}), ...(filter.to ? { [Op.lt]: filter.to } : {}) };
  return {
    ...(filter.user ? { user_id: filter.user } : {}),
    ...(filter.model ? { model: filter.model } : {}),
    ...(filter.key ? { key_id: filter.key } : {}),
    ...(filter.status ? { status: filter.status } : {}),
    ...(filter.provider ? { provider_id: filter.provider } : {}),
    ...(filter.request_id ? { request_id: filter.request_id } : {}),
    ...(filter.settled ? { settled_at: filter.settled === "true" ? { [Op.ne]: null } : null } : {}),
    ...(filter.from || filter.to ? { created_at: range } : {}),
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
    sum(input_tokens + cached_input_tokens + cache_write_tokens)::text AS input_tokens,
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
    async ofKey(keyId, { from, to }) {
      const rows = await sequelize.query<DayRow>(KEY_DAYS, {
        type: QueryTypes.SELECT,
        replacements: { keyId, from: from?.toISOString() ?? "-infinity", to: to?.toISOString() ?? "infinity" },
      });
      return { totals: dayView(rows), days: rows.map((row) => ({ date: row.date, ...dayView([row]) })) };
    },
  };
}
