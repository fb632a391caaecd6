import { appError, fieldError } from "../../platform/errors.ts";
import type { SecretBox } from "../../platform/secrets.ts";
import { fingerprintOf, readKeys } from "./key.ts";
import * as repository from "./repository.ts";
import type { ProviderRow } from "./repository.ts";
import { noProvider, type Actor, type Write } from "./write.ts";

const MOST_KEYS = 100;

/** Changes of a provider's keys; they are sealed and never shown again. All throw `not_found`. */
export interface KeyAdmin {
  /** Throws `conflict` for a key that is there already. */
  addKey(providerId: string, key: string, actor: Actor): Promise<ProviderRow>;
  /** `which` is a fingerprint, or the place in the list from 0. Throws `invalid_state` for the last one. */
  removeKey(providerId: string, which: string, actor: Actor): Promise<ProviderRow>;
}

/** See {@link KeyAdmin}. */
export function createKeyAdmin(write: Write, secretBox: SecretBox): KeyAdmin {
  /** Replaces the list of sealed keys of a provider whose row is locked. */
  const change = (actor: Actor, id: string, action: string, work: (row: ProviderRow) => { keys: string[]; fingerprint: string | null }) =>
    write(actor, async (tx) => {
      const row = await repository.findProvider(tx, id, { lock: true });
      if (!row) throw noProvider();
      const { keys, fingerprint } = work(row);
      const result = await repository.updateProvider(tx, id, { ...row, api_keys: keys });
      return { result, action, id, details: { key: fingerprint, key_count: keys.length } };
    });

  return {
    addKey: (id, key, actor) =>
      change(actor, id, "provider.key.add", (row) => {
        const fingerprint = fingerprintOf(key);
        if (readKeys(row, secretBox).some((present) => present?.fingerprint === fingerprint))
          throw appError("conflict", { message: "This key is there already" });
        if (row.api_keys.length >= MOST_KEYS) throw fieldError("api_key", `a provider has at most ${MOST_KEYS} keys`);
        return { keys: [...row.api_keys, secretBox.seal(key)], fingerprint };
      }),
    removeKey: (id, which, actor) =>
      change(actor, id, "provider.key.remove", (row) => {
        const keys = readKeys(row, secretBox);
        const at = /^\d{1,3}$/.test(which) ? Number(which) : keys.findIndex((key) => key?.fingerprint === which);
        if (at < 0 || at >= keys.length) throw appError("not_found", { message: "This provider has no such key" });
        if (keys.length === 1) throw appError("invalid_state", { message: "A provider needs a key: add another one first" });
        return { keys: row.api_keys.filter((_, i) => i !== at), fingerprint: keys[at]?.fingerprint ?? null };
      }),
  };
}
