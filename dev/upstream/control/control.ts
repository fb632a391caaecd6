import { seeded } from "../content/text.ts";
import { DirectiveError, mergeDirectives, readDirectives, type Directives } from "./directives.ts";
import { FAULTS } from "./faults.ts";

/** What calls are told from outside, for everything after. */
export interface Control {
  /** The directives for the next call, which came with this key. */
  take(key: string): Directives;
  /** Decides by the next draw whether one of the directives' random faults strikes. */
  draw(directives: Directives): Directives;
  /**
   * `{directives: "[[fault:hang]]", times?: 3, keys?: {"k-1": "[[fault:status code=429]]"}}`; what is not given is as usual again.
   * Throws {@link DirectiveError}.
   */
  set(body: unknown): void;
  readonly state: object;
}

const NOTHING: Directives = { faults: {} };

/** A key such as `k-401` answers with that status. */
function ofKeyName(key: string): Directives {
  const code = /^k-(\d{3})$/.exec(key)?.[1];
  return code ? { faults: { status: { code } } } : NOTHING;
}

function readKeys(keys: unknown): Map<string, Directives> {
  if (typeof keys !== "object" || keys === null || Array.isArray(keys)) throw new DirectiveError("keys must be an object");
  return new Map(Object.entries(keys).map(([key, text]) => [key, readDirectives(String(text))]));
}

export function createControl(): Control {
  let text = "";
  let directives = NOTHING;
  let keys = new Map<string, Directives>();
  let left = Infinity;
  let draws = new Map<number, () => number>();

  function takeOne(): Directives {
    if (left <= 0) return NOTHING;
    left -= 1;
    return directives;
  }

  return {
    take: (key) => mergeDirectives(ofKeyName(key), takeOne(), keys.get(key) ?? NOTHING),
    draw(told) {
      const { random } = told;
      if (!random) return told;
      let next = draws.get(random.seed);
      if (!next) draws.set(random.seed, (next = seeded(random.seed)));
      if (next() * 100 >= random.percent) return told;
      const fault = random.faults[Math.floor(next() * random.faults.length)];
      return fault ? mergeDirectives(told, { faults: { [fault]: {} } }) : told;
    },
    set(body) {
      if (typeof body !== "object" || body === null || Array.isArray(body)) throw new DirectiveError("send an object");
      const { directives: given = "", times = Infinity, keys: ofKeys = {}, ...unknown } = body as Record<string, unknown>;
      if (Object.keys(unknown).length > 0)
        throw new DirectiveError(`no such field: ${Object.keys(unknown).join(", ")}; there are directives, times, keys`);
      if (typeof given !== "string") throw new DirectiveError("directives must be a text such as [[fault:hang]]");
      if (typeof times !== "number" || times < 0) throw new DirectiveError("times must be a number");
      directives = readDirectives(given);
      keys = readKeys(ofKeys);
      text = given;
      left = given === "" ? Infinity : times;
      draws = new Map();
    },
    get state() {
      return { directives: text, times: Number.isFinite(left) ? left : null, keys: keys.size, faults: FAULTS };
    },
  };
}
