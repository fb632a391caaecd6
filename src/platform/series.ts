/** A number that only grows. */
export class Count {
  value = 0;

  add(by = 1): void {
    this.value += by;
  }
}

/** Finds what is counted by label values. */
export interface SeriesOf<T> {
  /** The series with these values, in the order of the labels. */
  of(first?: string, second?: string, third?: string): T;
}

type Tree<T> = Map<string, Map<string, Map<string, T>>>;

const OTHER = "other";

/** All series of one name. */
export class SeriesSet<T> implements SeriesOf<T> {
  /** Every series with its labels. */
  readonly all: { labels: Record<string, string>; series: T }[] = [];
  readonly #labels: readonly string[];
  readonly #limit: number;
  readonly #make: () => T;
  readonly #tree: Tree<T> = new Map();
  #other: T | undefined;

  constructor(labels: readonly string[], limit: number, make: () => T) {
    this.#labels = labels;
    this.#limit = limit;
    this.#make = make;
    if (labels.length === 0) this.of();
  }

  of(first = "", second = "", third = ""): T {
    return this.#tree.get(first)?.get(second)?.get(third) ?? this.#add(first, second, third);
  }

  #add(first: string, second: string, third: string): T {
    if (this.all.length >= this.#limit) return (this.#other ??= this.#keep(this.#labels.map(() => OTHER)));
    const series = this.#keep([first, second, third]);
    const seconds = this.#tree.get(first) ?? new Map<string, Map<string, T>>();
    const thirds = seconds.get(second) ?? new Map<string, T>();
    this.#tree.set(first, seconds.set(second, thirds.set(third, series)));
    return series;
  }

  #keep(values: string[]): T {
    const series = this.#make();
    this.all.push({ labels: Object.fromEntries(this.#labels.map((label, i) => [label, values[i] ?? ""])), series });
    return series;
  }
}
