import { z } from "zod";
import { route, type Reply, type Route } from "../route.ts";
import { validate } from "../validate.ts";
import { OLD_PREFIX } from "./prefix.ts";

type Json = Extract<Route, { kind: "json" }>;
type Input = Parameters<Json["handler"]>[0];

/** The product's own routes, by what they are called. */
export interface Own {
  /** The route declared as, for example, `post /api/tasks`. Throws for one that is not there: an alias leads somewhere or nothing starts. */
  of(name: string): Json;
}

/** Looks the product's routes up by method and path. */
export function ownRoutes(routes: readonly Route[]): Own {
  const byName = new Map(routes.map((one) => [`${one.method} ${one.path}`, one]));
  return {
    of(name) {
      const found = byName.get(name);
      if (found?.kind !== "json") throw new Error(`there is no route ${name} for an older client to be led to`);
      return found;
    },
  };
}

/** How an old route differs from the one that does its work. */
export interface Difference {
  /** Behind {@link OLD_PREFIX}, e.g. `tasks/:id`; a whole one begins with a slash. */
  path: string;
  method?: Route["method"];
  summary?: string;
  description?: string;
  /** What the old client sends, where that is something else; unknown fields are left out, as it may send more than it needs. */
  body?: z.ZodType;
  /** From what the old client sends to the body of the product's route, whose schema checks it again. */
  toBody?(body: never): unknown;
  /** What happens besides, or instead; `go` does the work. */
  run?(input: Input, go: () => Promise<Reply>): Promise<Reply>;
  /** From the product's data to what the old client reads. */
  toData?(data: unknown, input: Input): unknown;
  /** The schema of that, when there is a `toData`. */
  data?: z.ZodType;
}

/** What may have more than is needed: what an old client sends beside it is nobody's mistake. */
function lenient(schema: z.ZodType | undefined): z.ZodType | undefined {
  return schema instanceof z.ZodObject ? schema.strip() : schema;
}

/** A path of the old client that does what one of the product's routes does. Nothing is decided here but names and shapes. */
export function aliasOf(own: Json, difference: Difference): Route {
  const { path, method = own.method, run, toBody, toData } = difference;
  const body = difference.body ?? lenient(own.body);

  async function handler(input: Input): Promise<Reply> {
    const go = (): Promise<Reply> => {
      const body = own.body && toBody ? validate(own.body, toBody(input.body as never), "body") : input.body;
      return own.handler({ ...input, body });
    };
    const reply = run ? await run(input, go) : await go();
    return toData ? { ...reply, data: await toData(reply.data, input) } : reply;
  }

  const success = Object.entries(own.responses).map(([code, schema]) => [code, difference.data ?? schema] as const);
  return route({
    ...own,
    ...(difference.summary === undefined ? {} : { summary: difference.summary }),
    description: difference.description ?? `As \`${own.method.toUpperCase()} ${own.path}\`, with the plain object as the answer.`,
    path: path.startsWith("/") ? path : `${OLD_PREFIX}${path}`,
    method,
    alias: true,
    body,
    query: lenient(own.query),
    responses: Object.fromEntries(success),
    handler: handler as never,
  });
}
