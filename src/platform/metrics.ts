import { collectDefaultMetrics, Registry, type Metric } from "prom-client";
import { Count, SeriesSet, type SeriesOf } from "./series.ts";

/** Something that is counted; adding to it is one addition, so every call may do it. */
export interface Counter {
  add(by?: number): void;
}

/** Something that is measured; seconds unless the name says otherwise. Finding its bucket is all that it costs. */
export interface Histogram {
  observe(value: number): void;
}

/**
 * Series of one name by the values of at most three labels. `of` makes a series at first use and finds it without allocating after that.
 * Values come from code or from the catalogue, never from a caller; past a limit of series they are counted as "other".
 */
export type Family<T> = SeriesOf<T>;

/** What a gauge shows when it is asked: one number, or one for each set of label values. */
export type Reading = number | readonly { labels: Readonly<Record<string, string>>; value: number }[];

interface Named {
  name: string;
  help: string;
}

/** The metrics of a process. A domain declares its own in its `metrics.ts`; nothing here knows what they mean. */
export interface Metrics {
  counter(options: Named): Counter;
  counters(options: Named & { labels: readonly string[]; limit?: number }): Family<Counter>;
  histogram(options: Named & { buckets: readonly number[] }): Histogram;
  histograms(options: Named & { labels: readonly string[]; buckets: readonly number[]; limit?: number }): Family<Histogram>;
  /** Read whenever somebody looks. When `read` rejects, the metric has no value that time: nothing is known. */
  gauge(options: Named & { read: () => Reading | Promise<Reading> }): void;
  /** Text in another program's words (Temporal's own metrics), appended as it is. */
  append(text: () => Promise<string>): void;
  /** Everything in Prometheus' text format. */
  text(): Promise<string>;
  readonly contentType: string;
}

/** Bounds for how long something takes, in seconds: from a fraction of a millisecond to the longest stream. */
export const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300] as const;
/** Bounds for what should take milliseconds at most. */
export const SHORT_SECONDS = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3] as const;

const LIMIT = 1_000;

/** Creates the metrics of one process. `standard` adds those of the process itself: CPU, memory, event loop lag, garbage collection. */
export function createMetrics(options: { standard?: boolean } = {}): Metrics {
  const registry = new Registry();
  const appended: (() => Promise<string>)[] = [];
  if (options.standard) collectDefaultMetrics({ register: registry });

  /** What prom-client writes is anything with a name and a `get`. */
  function register(type: "counter" | "gauge" | "histogram", { name, help }: Named, values: () => unknown[] | Promise<unknown[]>): void {
    const metric = { name, help, type, get: async () => ({ name, help, type, aggregator: "sum", values: await values() }) };
    if (registry.getSingleMetric(name)) throw new Error(`the metric ${name} is declared twice`);
    registry.registerMetric(metric as unknown as Metric<string>);
  }

  function counters(named: Named & { labels: readonly string[]; limit?: number }): Family<Counter> {
    const family = new SeriesSet(named.labels, named.limit ?? LIMIT, () => new Count());
    register("counter", named, () => family.all.map(({ labels, series }) => ({ labels, value: series.value })));
    return family;
  }

  function histograms(named: Named & { labels: readonly string[]; buckets: readonly number[]; limit?: number }): Family<Histogram> {
    const family = new SeriesSet(named.labels, named.limit ?? LIMIT, () => new Buckets(named.buckets));
    register("histogram", named, () => family.all.flatMap(({ labels, series }) => series.values(named.name, labels)));
    return family;
  }

  return {
    counters,
    histograms,
    counter: (named) => counters({ ...named, labels: [] }).of(),
    histogram: (named) => histograms({ ...named, labels: [] }).of(),
    gauge({ read, ...named }) {
      register("gauge", named, async () => {
        const reading = await Promise.resolve()
          .then(read)
          .catch(() => []);
        return typeof reading === "number" ? [{ labels: {}, value: reading }] : [...reading];
      });
    },
    append: (text) => void appended.push(text),
    async text() {
      const [own, ...others] = await Promise.all([registry.metrics(), ...appended.map((text) => text().catch(() => ""))]);
      return [own, ...others].join("");
    },
    contentType: registry.contentType,
  };
}

/** How often a value fell below each bound. */
class Buckets implements Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let i = 0;
    while (i < bounds.length && value > bounds[i]!) i += 1;
    this.#counts[i]! += 1;
    this.#sum += value;
  }

  values(name: string, labels: Readonly<Record<string, string>>): object[] {
    let count = 0;
    const buckets = this.#counts.map((own, i) => {
      count += own;
      return { metricName: `${name}_bucket`, labels: { ...labels, le: i < this.#bounds.length ? this.#bounds[i] : "+Inf" }, value: count };
    });
    return [...buckets, { metricName: `${name}_sum`, labels, value: this.#sum }, { metricName: `${name}_count`, labels, value: count }];
  }
}
