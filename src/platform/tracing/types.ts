/** Facts about a span, by the names of OpenTelemetry's semantic conventions where there is one. Undefined ones are left out. */
export type Facts = Readonly<Record<string, string | number | boolean | undefined>>;

/** A served request, a request to somebody else, a message taken from a queue, or a step of our own. */
export type SpanKind = "server" | "client" | "consumer" | "internal";

export interface SpanOptions {
  kind?: SpanKind;
  /** `performance.now()`; now unless told. */
  startMs?: number;
  facts?: Facts;
}

/** A step of a traced request. */
export interface Span {
  /** 32 hex digits. */
  readonly traceId: string;
  /** The span as a W3C `traceparent`, for whoever goes on elsewhere. */
  readonly traceparent: string;
  child(name: string, options?: SpanOptions): Span;
  rename(name: string): void;
  set(facts: Facts): void;
  /** Marks it as failed; `why` is a code or a short sentence of ours, never what somebody sent. */
  fail(why: string): void;
  /** `atMs` is `performance.now()`; now unless told. */
  end(atMs?: number): void;
}

/** Traces of sampled requests. Where there is no tracing there is no such object: callers write `tracing?.`. */
export interface Tracing {
  /**
   * The first span of a request here, or undefined when it is not sampled: then nothing more is done for it. `parent` is what the caller
   * sent as `traceparent`. Without one the trace's id is `id`, a UUID of ours, without its dashes: what is in the logs finds the trace.
   */
  begin(name: string, options: SpanOptions & { id: string; parent?: string | undefined }): Span | undefined;
  /** Goes on below a span of which only its `traceparent` is known; undefined when that was not sampled or cannot be read. */
  resume(name: string, traceparent: string, options?: SpanOptions): Span | undefined;
  /** Sends what is waiting. */
  close(): Promise<void>;
}

/** Which requests are traced; names and meaning as in OpenTelemetry's specification of environment variables. */
export type SamplerName =
  | "always_on"
  | "always_off"
  | "traceidratio"
  | "parentbased_always_on"
  | "parentbased_always_off"
  | "parentbased_traceidratio";

export interface TracingOptions {
  /** Base URL of an OTLP/HTTP receiver. */
  endpoint: string;
  /** `name=value,name=value`, sent with every export. */
  headers?: string | undefined;
  service: string;
  release: string;
  sampler: SamplerName;
  /** For the samplers by ratio, from 0 to 1. */
  ratio: number;
  /** Told, at most once a minute, that spans could not be sent. */
  onProblem?(error: Error): void;
}
