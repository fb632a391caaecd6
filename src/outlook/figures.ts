/** What a figure is at now, of each subject that it has. */
export interface Reading {
  /** Which of several, such as a provider; "" when there is one. */
  subject: string;
  value: number;
  /** From which on it is trouble; null when that is not known: then only its growth is told. */
  limit: number | null;
}

/** What is known of a figure beside its samples. */
export interface Figure {
  what: string;
  /** Whether trouble lies above or below the limit. */
  rising: boolean;
  /** Its trend is taken from so much of the past. */
  windowMs: number;
  advice: string;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Every figure that is watched. */
export const FIGURES = {
  settlement_backlog: {
    what: "Calls that wait for their charge",
    rising: true,
    windowMs: HOUR_MS,
    advice: "More workers, or shards (SETTLEMENT_SHARDS); is Temporal there?",
  },
  provider_failures: {
    what: "Failed calls of a provider, percent of the last ten minutes",
    rising: true,
    windowMs: 3 * HOUR_MS,
    advice: "Its status page; lower its weight or add another provider before its circuit opens",
  },
  postgres_connections: {
    what: "Connections to Postgres",
    rising: true,
    windowMs: DAY_MS,
    advice: "Lower DATABASE_POOL of the copies, raise max_connections, or put a pooler in front",
  },
  postgres_transaction_age: {
    what: "Transactions since rows were last frozen",
    rising: true,
    windowMs: 14 * DAY_MS,
    advice: "Autovacuum does not keep up: look for old transactions and replication slots, then VACUUM",
  },
  database_bytes: {
    what: "Size of the database",
    rising: true,
    windowMs: 7 * DAY_MS,
    advice: "Compare its growth with the disk of the database server",
  },
  disk_free_bytes: {
    what: "Free space where the worker runs",
    rising: false,
    windowMs: 7 * DAY_MS,
    advice: "Shorten ACTIVITY_KEEP or ACTIVITY_MAX_MB, move logs away, or grow the disk",
  },
  redis_memory_bytes: {
    what: "Memory of Redis",
    rising: true,
    windowMs: DAY_MS,
    advice: "Raise maxmemory; are queues of mails and webhooks worked off?",
  },
  campaign_budget: {
    what: "Credits left of a running campaign's budget",
    rising: false,
    windowMs: 7 * DAY_MS,
    advice: "Raise its budget, or end it before people come for nothing",
  },
} as const satisfies Record<string, Figure>;

export type FigureName = keyof typeof FIGURES;
export const isFigure = (name: string): name is FigureName => Object.hasOwn(FIGURES, name);

/** Who reads the figures. One that cannot be read now is left out. */
export type Readers = Record<FigureName, () => Promise<Reading[]>>;

/** A figure without subjects. */
export const single = (value: number, limit: number | null): Reading[] => [{ subject: "", value, limit }];
