import {
  ROOT_CONTEXT,
  SpanKind as Kind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Context,
  type Span as OtelSpan,
  type Tracer,
} from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOnSampler,
  BasicTracerProvider,
  BatchSpanProcessor,
  RandomIdGenerator,
  type IdGenerator,
  type SpanExporter,
} from "@opentelemetry/sdk-trace-base";
import { createSampler } from "./sampler.ts";
import { parseTraceparent, traceparentOf } from "./traceparent.ts";
import type { Facts, Span, SpanKind, SpanOptions, Tracing, TracingOptions } from "./types.ts";

/** Spans that wait for their export; beyond that they are lost, and the product goes on. */
const MAX_QUEUE = 8_192;
const EXPORT_EVERY_MS = 1_000;
const EXPORT_TIMEOUT_MS = 10_000;
const COMPLAIN_EVERY_MS = 60_000;

const KINDS: Record<SpanKind, Kind> = {
  server: Kind.SERVER,
  client: Kind.CLIENT,
  consumer: Kind.CONSUMER,
  internal: Kind.INTERNAL,
};

/** Lets a trace begin with an id that is known already. */
class Ids implements IdGenerator {
  next: string | undefined;
  readonly #random = new RandomIdGenerator();

  generateTraceId(): string {
    const { next } = this;
    this.next = undefined;
    return next ?? this.#random.generateTraceId();
  }

  generateSpanId(): string {
    return this.#random.generateSpanId();
  }
}

class RealSpan implements Span {
  readonly #tracer: Tracer;
  readonly #span: OtelSpan;
  #below: Context | undefined;

  constructor(tracer: Tracer, span: OtelSpan) {
    this.#tracer = tracer;
    this.#span = span;
  }

  get traceId(): string {
    return this.#span.spanContext().traceId;
  }

  get traceparent(): string {
    const { traceId, spanId } = this.#span.spanContext();
    return traceparentOf(traceId, spanId);
  }

  child(name: string, options: SpanOptions = {}): Span {
    this.#below ??= trace.setSpan(ROOT_CONTEXT, this.#span);
    return new RealSpan(this.#tracer, start(this.#tracer, name, options, this.#below));
  }

  rename(name: string): void {
    this.#span.updateName(name);
  }

  set(facts: Facts): void {
    this.#span.setAttributes(facts);
  }

  fail(why: string): void {
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message: why });
  }

  end(atMs?: number): void {
    this.#span.end(atMs);
  }
}

/** Times of `performance.now()` are understood by OpenTelemetry as such. */
function start(tracer: Tracer, name: string, { kind = "internal", startMs, facts }: SpanOptions, below: Context): OtelSpan {
  return tracer.startSpan(
    name,
    { kind: KINDS[kind], ...(startMs === undefined ? {} : { startTime: startMs }), ...(facts ? { attributes: facts } : {}) },
    below,
  );
}

/** Tracing through OpenTelemetry's SDK. Nothing is registered globally and nothing is patched: who wants a span asks for it. */
export function createOtelTracing(options: TracingOptions): Tracing {
  const ids = new Ids();
  const decide = createSampler(options.sampler, options.ratio);
  const exporter = new OTLPTraceExporter({
    url: `${options.endpoint.replace(/\/+$/, "")}/v1/traces`,
    headers: headersOf(options.headers),
    timeoutMillis: EXPORT_TIMEOUT_MS,
  });
  const provider = new BasicTracerProvider({
    idGenerator: ids,
    // What is not sampled never comes here.
    sampler: new AlwaysOnSampler(),
    resource: resourceFromAttributes({ "service.name": options.service, "service.version": options.release, "process.pid": process.pid }),
    spanProcessors: [
      new BatchSpanProcessor(complaining(exporter, options.onProblem), { maxQueueSize: MAX_QUEUE, scheduledDelayMillis: EXPORT_EVERY_MS }),
    ],
  });
  const tracer = provider.getTracer("tollkeeper", options.release);

  const remote = (traceId: string, spanId: string): Context =>
    trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true });

  return {
    begin(name, { id, parent: header, ...rest }) {
      const parent = header === undefined ? undefined : parseTraceparent(header);
      if (!decide(parent, id)) return undefined;
      if (parent) return new RealSpan(tracer, start(tracer, name, rest, remote(parent.traceId, parent.spanId)));
      ids.next = id.replaceAll("-", "");
      return new RealSpan(tracer, start(tracer, name, rest, ROOT_CONTEXT));
    },
    resume(name, traceparent, rest = {}) {
      const parent = parseTraceparent(traceparent);
      if (!parent?.sampled) return undefined;
      return new RealSpan(tracer, start(tracer, name, rest, remote(parent.traceId, parent.spanId)));
    },
    close: () => provider.shutdown(),
  };
}

function headersOf(list = ""): Record<string, string> {
  const pairs = list.split(",").map((pair) => {
    const cut = pair.indexOf("=");
    return [pair.slice(0, cut).trim(), decodeURIComponent(pair.slice(cut + 1).trim())] as const;
  });
  return Object.fromEntries(pairs.filter(([name]) => name !== ""));
}

/** The exporter, whose failures are told: the SDK keeps them to itself. */
function complaining(exporter: SpanExporter, onProblem: ((error: Error) => void) | undefined): SpanExporter {
  let toldAt = -Infinity;
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        if (result.error && performance.now() - toldAt > COMPLAIN_EVERY_MS) {
          toldAt = performance.now();
          onProblem?.(result.error);
        }
        done(result);
      });
    },
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
    shutdown: () => exporter.shutdown(),
  };
}
