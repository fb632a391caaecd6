import http from "node:http";
import type { AddressInfo } from "node:net";

/** A span as it came, with its ids as hex and its attributes as a plain object. */
export interface SeenSpan {
  service: string;
  name: string;
  kind: number;
  traceId: string;
  spanId: string;
  parentId: string;
  startMs: number;
  endMs: number;
  failed: boolean;
  facts: Record<string, string | number | boolean>;
}

export interface Collector {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  url: string;
  spans: SeenSpan[];
  /** Headers of the exports. */
  headers: http.IncomingHttpHeaders[];
  /** What the next exports are answered. */
  status: number;
  close(): Promise<void>;
}

interface Value {
  stringValue?: string;
  intValue?: string | number;
  doubleValue?: number;
  boolValue?: boolean;
}

interface Fact {
  key: string;
  value: Value;
}

interface Export {
  resourceSpans?: {
    resource: { attributes: Fact[] };
    scopeSpans: {
      spans: {
        name: string;
        kind: number;
        traceId: string;
        spanId: string;
        parentSpanId?: string;
        startTimeUnixNano: string;
        endTimeUnixNano: string;
        status?: { code?: number };
        attributes?: Fact[];
      }[];
    }[];
  }[];
}

const plain = ({ stringValue, intValue, doubleValue, boolValue }: Value): string | number | boolean =>
  stringValue ?? (intValue === undefined ? (doubleValue ?? boolValue ?? "") : Number(intValue));
const factsOf = (facts: Fact[] = []) => Object.fromEntries(facts.map(({ key, value }) => [key, plain(value)]));
const msOf = (nano: string): number => Number(BigInt(nano) / 1_000n) / 1_000;

function spansOf(body: Export): SeenSpan[] {
  return (body.resourceSpans ?? []).flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        service: String(factsOf(resource.attributes)["service.name"]),
        name: span.name,
        kind: span.kind,
        traceId: span.traceId,
        spanId: span.spanId,
        parentId: span.parentSpanId ?? "",
        startMs: msOf(span.startTimeUnixNano),
        endMs: msOf(span.endTimeUnixNano),
        failed: span.status?.code === 2,
        facts: factsOf(span.attributes),
      })),
    ),
  );
}

/** A receiver of traces as a collector is one: OTLP over HTTP, JSON. */
export async function startCollector(): Promise<Collector> {
  const state: Pick<Collector, "spans" | "headers" | "status"> = { spans: [], headers: [], status: 200 };
  const server = http.createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on("data", (chunk: Buffer) => chunks.push(chunk));
    req.on("end", () => {
      state.headers.push(req.headers);
      if (state.status === 200 && req.url === "/v1/traces") {
        state.spans.push(...spansOf(JSON.parse(Buffer.concat(chunks).toString()) as Export));
      }
      res.writeHead(state.status, { "content-type": "application/json" }).end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(state, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}
