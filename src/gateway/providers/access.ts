import { appError, fieldError } from "../../platform/errors.ts";
import type { Pool } from "../../platform/postgres.ts";
import type { SecretBox } from "../../platform/secrets.ts";
import type { Routing } from "../routing/index.ts";
import type { ProviderAdmin } from "./admin.ts";
import { openProvider, type UpstreamProvider, type UpstreamTimeouts } from "./catalog.ts";
import type { ProviderKey } from "./key.ts";
import { presentWhole } from "./present.ts";
import { findProvider, type ProviderRow } from "./repository.ts";
import { noProvider } from "./write.ts";

/** What the operators' routes of providers share. */
export interface ProviderAccess {
  pool: Pool;
  admin: ProviderAdmin;
  routing: Pick<Routing, "health" | "reset">;
  allowPrivate: boolean;
  /** Throws `not_found`. */
  find(id: string): Promise<ProviderRow>;
  /** With its secrets in clear, and the key with this fingerprint, else the first. Throws `invalid_state` and `validation_failed`. */
  open(row: ProviderRow, fingerprint: string | undefined): { provider: UpstreamProvider; key: ProviderKey };
  /** As operators see it. */
  present(row: ProviderRow): ReturnType<typeof presentWhole>;
}

export const COMMON = { tag: "Providers", access: "operator" } as const;
export const offsetOf = (query: { page: number; page_size: number }) => ({
  limit: query.page_size,
  offset: (query.page - 1) * query.page_size,
});
export const actorOf = (input: { principal: { userId: string }; traceId: string }) => ({
  userId: input.principal.userId,
  traceId: input.traceId,
});

/** See {@link ProviderAccess}. */
export function createAccess(deps: {
  pool: Pool;
  secretBox: SecretBox;
  admin: ProviderAdmin;
  routing: Pick<Routing, "health" | "reset">;
  allowPrivate: boolean;
  timeouts: UpstreamTimeouts;
}): ProviderAccess {
  const { pool, secretBox, admin, routing, allowPrivate } = deps;
  return {
    pool,
    admin,
    routing,
    allowPrivate,
    async find(id) {
      const row = await findProvider(pool, id);
      if (!row) throw noProvider();
      return row;
    },
    open(row, fingerprint) {
      let provider: UpstreamProvider;
      try {
        provider = openProvider(row, deps);
      } catch (error) {
        throw appError("invalid_state", {
          message: "The key was encrypted with a secret that is not configured any more; set it again",
          cause: error,
        });
      }
      const key = provider.keys.find((one) => fingerprint === undefined || one.fingerprint === fingerprint);
      if (!key) throw fieldError("key", "this provider has no such key");
      return { provider, key };
    },
    present: (row) => presentWhole(row, secretBox, routing.health(row.id)),
  };
}
