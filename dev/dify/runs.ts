import { countsOf } from "../upstream/content/counts.ts";
import { refuse, type Asked, type Endpoint } from "../upstream/endpoint.ts";
import { holderOf, notFound, type Run, type Store } from "./store.ts";
import { totalOf } from "./usage.ts";
import { dify } from "./vendor.ts";

/** What a run that goes on uses, beside what it had used when it paused, when nobody says. */
const REST = { prompt: 20, completion: 20 };

/** How a run is that was let go on, as a call is told: over, unless it is `running`, or `paused` once more. */
function stateOf(run: Run, { directives }: Asked): { status: string; total_tokens?: unknown; finished_at?: number } {
  if (run.waits) return { status: "paused", ...run.waits };
  const { outcome: status = "succeeded" } = directives;
  const total = totalOf({ counts: countsOf(directives, () => ({ ...REST, prompt: REST.prompt + run.used })) });
  if (status === "paused") run.waits = total;
  if (status === "paused" || status === "running") return { status, ...total };
  run.endedAt ??= Math.floor(Date.now() / 1_000);
  return { status, ...total, finished_at: run.endedAt };
}

/** How runs went, and the forms that they wait for. */
export const runEndpoints = (store: Store): Endpoint[] => [
  {
    method: "GET",
    path: /^\/v1\/workflows\/run\/([^/]+)$/,
    vendor: dify,
    answer(asked) {
      const run = store.runs.any(asked.param);
      const state = run ? stateOf(run, asked) : { status: "succeeded", total_tokens: 0 };
      const body = { id: asked.param, workflow_id: "workflow-1", inputs: "{}", outputs: {}, error: null, ...state };
      return { kind: "whole", body };
    },
  },
  {
    method: "GET",
    path: /^\/v1\/form\/human_input\/([^/]+)$/,
    vendor: dify,
    answer: () => ({ kind: "whole", body: { form_content: "Go on?", inputs: [], user_actions: [{ id: "approve" }] } }),
  },
  {
    method: "POST",
    path: /^\/v1\/form\/human_input\/([^/]+)$/,
    vendor: dify,
    calm: true,
    answer(asked) {
      const run = store.runs.find(holderOf(asked), asked.param.replace(/^form-/, "")) ?? notFound("Form");
      if (!run.waits) refuse("This form has been submitted");
      run.used = Number(run.waits.total_tokens) || 0;
      run.waits = undefined;
      run.endedAt = undefined;
      return { kind: "whole", body: {} };
    },
  },
];
