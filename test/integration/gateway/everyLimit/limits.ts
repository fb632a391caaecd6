import { setShared, type Caller, type LimitRig } from "./rig.ts";
import type { Way } from "./ways.ts";

/** How a limit comes to be used up: it is from the beginning, by one call, by calls that come together, or by a call that runs. */
type UsedUp = "from the beginning" | "by a call" | "by calls that come together" | "by a call that runs";

/** One limit of one scope, so narrow that nothing passes it any more. */
export interface Narrow {
  title: string;
  status: number;
  /** What the refusal says. */
  says: RegExp;
  usedUp: UsedUp;
  /** Sets it, for this caller alone where it is not all callers'. */
  set(rig: LimitRig, caller: Caller): Promise<void>;
  /** Whether it holds for this way at all. */
  holds(way: Way): boolean;
  /** Whether a call that used no tokens may pass. */
  ofTokens?: true;
}

const own = {
  user: { table: "users", whose: "this account", topic: "user", id: ({ userId }: Caller) => userId },
  key: { table: "api_keys", whose: "this key", topic: "api_key", id: ({ keyId }: Caller) => keyId },
  token: { table: "end_user_tokens", whose: "this token", topic: "api_key", id: ({ tokenId }: Caller) => tokenId },
} as const;
const shared = { ip: "this address", model: "this model", global: "this service" } as const;
type Own = keyof typeof own;

/** Writes one column of what the caller is or has. */
function write(rig: LimitRig, scope: Own, caller: Caller, column: string, value: unknown): Promise<void> {
  const { table, topic, id } = own[scope];
  return rig.change(topic, id(caller), `UPDATE ${table} SET ${column} = $2 WHERE id = $1`, [id(caller), value]);
}

/** A call is counted as it comes; of the rates it is tokens that a call without any passes. */
const RATES: { limits: object; what: string; usedUp: UsedUp; holds: (way: Way) => boolean; ofTokens?: true }[] = [
  { limits: { requests_per_minute: 1 }, what: "requests a minute", usedUp: "by a call", holds: () => true },
  { limits: { requests_per_second: 1 }, what: "requests a second", usedUp: "by calls that come together", holds: () => true },
  { limits: { tokens_per_minute: 2_300 }, what: "tokens a minute", usedUp: "by a call", holds: ({ costs }) => costs, ofTokens: true },
  { limits: { max_parallel: 1 }, what: "parallel calls", usedUp: "by a call that runs", holds: ({ runs }) => runs },
];

function rates(): Narrow[] {
  // A prompt that is larger than all that a minute has is refused for good.
  const saidOf = (what: string, whose: string): RegExp =>
    new RegExp(`^Too many ${what} for ${whose}${what.startsWith("tokens") ? "|^The prompt alone counts" : ""}`);
  return RATES.flatMap(({ limits, what, ...rest }) => {
    const common = { status: 429, ...rest };
    const owned = Object.entries(own).map(([scope, { whose }]): Narrow => {
      const set: Narrow["set"] = (rig, caller) => write(rig, scope as Own, caller, "limits", limits);
      return { ...common, title: `${what} of ${whose}`, says: saidOf(what, whose), set };
    });
    const all = Object.entries(shared).map(([scope, whose]): Narrow => {
      const set: Narrow["set"] = (rig, { model }) => setShared(rig, scope as keyof typeof shared, limits, scope === "model" ? model : null);
      const holds = (way: Way): boolean => rest.holds(way) && (scope !== "model" || way.runs);
      return { ...common, title: `${what} of ${whose}`, says: saidOf(what, whose), set, holds };
    });
    return [...owned, ...all];
  });
}

const costs = ({ costs: some }: Way): boolean => some;
const SPEND = { spend_total: "total", spend_daily: "daily", spend_monthly: "monthly" };
const QUOTAS = { quota_requests: 1, quota_tokens: 1, quota_credits: "0.0001" };

function spends(): Narrow[] {
  const accounts = (["user", "key"] as const).flatMap((scope) => {
    const { whose } = own[scope];
    const common = { status: 429, usedUp: "by a call" as const, holds: costs };
    return [
      ...Object.entries(SPEND).map(([name, span]): Narrow => ({
        ...common,
        title: `what may be spent, ${span}, of ${whose}`,
        says: new RegExp(`^The ${span} spend limit of ${whose}`),
        set: (rig, caller) => write(rig, scope, caller, "limits", { [name]: "0.0001" }),
      })),
      ...Object.entries(QUOTAS).map(([name, limit]): Narrow => ({
        ...common,
        title: `${name} of ${whose}`,
        says: new RegExp(`^The quota of .+ of ${whose}`),
        set: (rig, caller) => write(rig, scope, caller, "limits", { [name]: limit }),
        ...(name === "quota_tokens" ? { ofTokens: true as const } : {}),
      })),
    ];
  });
  const budget: Narrow = {
    title: "the budget of this token",
    status: 429,
    says: /^The budget of this token/,
    usedUp: "from the beginning",
    set: (rig, caller) => write(rig, "token", caller, "budget", 100n),
    holds: costs,
  };
  return [...accounts, budget];
}

function places(): Narrow[] {
  return (["key", "token"] as const).flatMap((scope): Narrow[] => [
    {
      title: `the models of ${own[scope].whose}`,
      status: 403,
      says: /model/,
      usedUp: "from the beginning",
      set: (rig, caller) => write(rig, scope, caller, "models", ["another"]),
      holds: ({ ofModel }) => ofModel,
    },
    {
      title: `the addresses of ${own[scope].whose}`,
      status: 403,
      says: /from this address/,
      usedUp: "from the beginning",
      set: (rig, caller) => write(rig, scope, caller, "allowed_ips", ["203.0.113.1"]),
      holds: () => true,
    },
  ]);
}

/** Every kind of limit, of every scope that may have it. */
export const everyLimit = (): Narrow[] => [...rates(), ...spends(), ...places()];
