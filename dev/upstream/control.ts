import { DirectiveError, readDirectives, type Directives } from "./directives.ts";
import { FAULTS } from "./faults.ts";

/** What calls are told from outside, for everything after. */
export interface Control {
  /** The directives for the next call. */
  take(): Directives;
  /** `{directives: "[[fault:hang]]", times?: 3}`; without `directives` everything is as usual again. Throws {@link DirectiveError}. */
  set(body: unknown): void;
  readonly state: object;
}

export function createControl(): Control {
  let text = "";
  let directives: Directives = { faults: {} };
  let left = Infinity;
  return {
    take() {
      if (left <= 0) return { faults: {} };
      left -= 1;
      return directives;
    },
    set(body) {
      if (typeof body !== "object" || body === null || Array.isArray(body)) throw new DirectiveError("send an object");
      const { directives: given = "", times = Infinity, ...unknown } = body as Record<string, unknown>;
      if (Object.keys(unknown).length > 0)
        throw new DirectiveError(`no such field: ${Object.keys(unknown).join(", ")}; there are directives, times`);
      if (typeof given !== "string") throw new DirectiveError("directives must be a text such as [[fault:hang]]");
      if (typeof times !== "number" || times < 0) throw new DirectiveError("times must be a number");
      directives = readDirectives(given);
      text = given;
      left = given === "" ? Infinity : times;
    },
    get state() {
      return { directives: text, times: Number.isFinite(left) ? left : null, faults: FAULTS };
    },
  };
}
