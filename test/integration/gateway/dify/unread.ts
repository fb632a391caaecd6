import { createRunChase } from "../../../../src/gateway/dify/chase/index.ts";
import { keptForRuns } from "../../../../src/gateway/dify/runs/index.ts";
import { WEBHOOK_MS } from "../../../../src/gateway/dify/runs/pace.ts";
import { createUpstream, type Upstream } from "../../../../src/gateway/upstream/exchange.ts";
import { createLogger } from "../../../../src/platform/logger.ts";
import { createHousekeeping, reportIncidents, type Settlement } from "../../../../src/usage/index.ts";
import type { Customer, CustomerOptions } from "../harness.ts";
import { useDify, type DifyEvent, type Rig } from "./rig.ts";

/** What the worker does for runs that no call reads to their end, done by hand. */
export interface UnreadRig extends Rig {
  /** Asks Dify for every run, whenever it is due; `lost` before its charge is committed, or beside a webhook. */
  chase(how?: "lost" | "webhook"): Promise<void>;
  /** Releases holds of lost calls; answers how many. */
  sweep(): Promise<number>;
  /** Begins a workflow run that pauses when it has used 500 tokens, and makes Dify count 2300 from then on. */
  begin(model?: string, options?: CustomerOptions): Promise<Waiting>;
  /** Answers a run's form, here or at Dify itself. */
  answer(waiting: Waiting): Promise<Response>;
  answerAtDify(waiting: Waiting): Promise<void>;
  /** How the run is kept; undefined when it is not any more. */
  kept(waiting: Pick<Waiting, "run">): Promise<{ state: string; call_id: string | null; tries: number } | undefined>;
  held(who: Customer): Promise<bigint>;
}

export interface Waiting {
  ada: Customer;
  key: string;
  model: string;
  run: string;
  form: string;
}

/** 500 and 2300 tokens of a run, half of them priced as input. */
export const FIRST = 22_500_000n;
export const ALL = 103_500_000n;
export const REST = "[[usage:1500,800]] [[chunks:2]]";

/** A relay before a Dify, with what the worker does. Call it inside `describe`. */
export function useUnread(env: Record<string, string> = {}): UnreadRig {
  const rig = useDify(env) as UnreadRig;
  let upstream: Upstream;
  before(() => (upstream = createUpstream({ allowPrivate: true })));
  after(() => upstream?.close());

  rig.chase = async (how) => {
    const { pool, ledger, catalog, pricing } = rig.relay;
    const prepare: Settlement["prepare"] = async (...args) => {
      const prepared = await rig.relay.settlement.prepare(...args);
      const settle = async (): Promise<void> => {
        await prepared.settle();
        throw new Error("the worker is lost");
      };
      return how === "lost" ? { ...prepared, settle } : prepared;
    };
    const log = createLogger({ level: "silent", name: "test" });
    const incident = (noted: Parameters<typeof reportIncidents>[1][number]) => void reportIncidents(pool, [noted]);
    await pool.query("UPDATE dify_runs SET next_at = now()");
    await createRunChase({
      pool,
      log,
      ledger,
      settlement: { prepare },
      shards: 1,
      catalog,
      pricing,
      upstream,
      incident,
      webhookMs: how === "webhook" ? WEBHOOK_MS : 0,
    })();
  };
  rig.sweep = async () => {
    const { pool, ledger } = rig.relay;
    const log = createLogger({ level: "silent", name: "test" });
    return (await createHousekeeping({ pool, ledger, shards: 1, keeps: keptForRuns, log }).sweepHolds()).released;
  };
  rig.begin = async (named, options) => {
    const { model, key } = named === undefined ? await rig.app("workflow") : { model: named, key: "" };
    const ada = await rig.customer(model, options);
    await rig.dify.tell("[[usage:300,200]] [[chunks:2]]");
    const events = await rig.stream(ada, "/workflows/run", { inputs: { query: "[[outcome:paused]] Which way?" } });
    await rig.bill(ada);
    await rig.dify.tell(REST);
    return { ada, key, model, run: String(events.at(-1)!["workflow_run_id"]), form: formOf(events) };
  };
  rig.answer = ({ ada, form }) => rig.send(ada, `/form/human_input/${form}`, { inputs: { ok: true }, action: "approve" });
  rig.answerAtDify = async ({ ada, key, form }) => {
    const answer = await fetch(`${rig.dify.url}/v1/form/human_input/${form}`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ inputs: {}, action: "approve", user: `tk_${ada.userId}` }),
    });
    if (!answer.ok) throw new Error(await answer.text());
  };
  rig.kept = async ({ run }) => {
    const { rows } = await rig.relay.pool.query<{ state: string; call_id: string | null; tries: number }>(
      "SELECT state, call_id, tries FROM dify_runs WHERE run = $1",
      [run],
    );
    return rows[0];
  };
  rig.held = async (who) => BigInt((await rig.relay.balance(who)).held);
  return rig;
}

export const formOf = (events: readonly DifyEvent[]): string =>
  String((events.find(({ event }) => event === "human_input_required")!["data"] as Record<string, unknown>)["form_token"]);
