import { randomInt } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../platform/clock.ts";
import { uuidv7 } from "../platform/ids.ts";
import type { Logger } from "../platform/logger.ts";
import type { Pool } from "../platform/postgres.ts";
import type { Notify } from "../notify/index.ts";
import { codeHash } from "./codeHash.ts";
import { findUserByEmail, type Locale } from "./users.ts";

/** What a code is for, besides registration, whose codes belong to a workflow. */
export type CodePurpose = "login" | "reset" | "change_email";

export const CODE_TRIES = 5;
const MAIL_ATTEMPTS = 6;

export interface EmailCodes {
  /** Makes a code that replaces the earlier one. It is mailed only where it is of use; the caller sees no difference, in time neither. */
  send(request: { email: string; purpose: CodePurpose; locale: Locale }): Promise<void>;
  /** True, once, for the newest code of this address and purpose; a wrong one counts as a try. */
  use(attempt: { email: string; purpose: CodePurpose; code: string }): Promise<boolean>;
  /** Resolves when no mail is on its way to the queue. */
  idle(): Promise<void>;
}

export function createEmailCodes(deps: {
  pool: Pool;
  notify: Pick<Notify, "email">;
  clock: Clock;
  log: Logger;
  hashSecret: string;
  ttlMs: number;
}): EmailCodes {
  const { pool, notify, clock, log } = deps;
  const mailing = new Set<Promise<void>>();

  /** Queues the mail without the caller waiting: an unknown address, which gets none, must answer just as fast. */
  async function mail(message: Parameters<Notify["email"]>[0]): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await notify.email(message);
        return;
      } catch (error) {
        if (attempt === MAIL_ATTEMPTS) {
          log.error({ err: error, mail: message.id }, "a code could not be mailed");
          return;
        }
        await delay(250 * 2 ** attempt, undefined, { ref: false });
      }
    }
  }

  return {
    async send({ email, purpose, locale }) {
      const id = uuidv7();
      const now = clock.now();
      const code = String(randomInt(1_000_000)).padStart(6, "0");
      const user = await findUserByEmail(pool, email);
      await pool.query(
        "DELETE FROM email_codes WHERE (email = $1 AND purpose = $2) OR id IN (SELECT id FROM email_codes WHERE expires_at < $3 LIMIT 10)",
        [email, purpose, now],
      );
      await pool.query("INSERT INTO email_codes (id, email, purpose, code_hash, expires_at, created_at) VALUES ($1, $2, $3, $4, $5, $6)", [
        id,
        email,
        purpose,
        codeHash(deps.hashSecret, purpose, email, code),
        new Date(now.getTime() + deps.ttlMs),
        now,
      ]);
      const wanted = purpose === "change_email" ? !user : user?.email_verified === true && user.status !== "closed";
      if (!wanted) return;
      const data = { code, minutes: String(Math.max(1, Math.round(deps.ttlMs / 60_000))), purpose };
      const sent = mail({ id: `code-${id}`, to: email, locale: user?.locale ?? locale, template: "email_code", data });
      mailing.add(sent);
      void sent.finally(() => mailing.delete(sent));
    },

    async use({ email, purpose, code }) {
      const { rows } = await pool.query<{ matched: boolean }>(
        `UPDATE email_codes SET tries = tries + 1, used_at = CASE WHEN code_hash = $3 THEN $4::timestamptz END
         WHERE id = (SELECT id FROM email_codes WHERE email = $1 AND purpose = $2 ORDER BY created_at DESC LIMIT 1)
           AND used_at IS NULL AND tries < $5 AND expires_at > $4::timestamptz
         RETURNING used_at IS NOT NULL AS matched`,
        [email, purpose, codeHash(deps.hashSecret, purpose, email, code), clock.now(), CODE_TRIES],
      );
      return rows[0]?.matched === true;
    },

    async idle() {
      await Promise.all(mailing);
    },
  };
}
