import { Op, type WhereOptions } from "sequelize";
import type { Emit } from "../activity/index.ts";
import { recordAudit } from "../admin/audit.ts";
import type { Principal, Role } from "../http/principal.ts";
import type { CreditResult, Debit, Ledger } from "../ledger/index.ts";
import { formatCredits } from "../platform/credits.ts";
import { appError, fieldError } from "../platform/errors.ts";
import { uuidv7 } from "../platform/ids.ts";
import { announce } from "../platform/invalidation.ts";
import { inTransaction, type Pool, type Queryable } from "../platform/postgres.ts";
import { sha256 } from "../platform/secrets.ts";
import type { Limits, Tiers } from "../quotas/index.ts";
import { createUser, type NewUser } from "./accounts.ts";
import type { Changes } from "./changes.ts";
import type { IdentityModels } from "./models.ts";
import { checkPassword, hashPassword } from "./password.ts";
import type { UserStatus } from "./status.ts";
import { findUser, lockUser, presentUser, type UserRow, type UserView } from "./users.ts";

/** Who acts, for the rules and the audit log. */
export interface Actor {
  principal: Principal;
  traceId: string;
}

export interface UserChanges {
  status?: UserStatus | undefined;
  suspended_until?: Date | null | undefined;
  roles?: Role[] | undefined;
  tier?: string | undefined;
  /** Replaces; null clears. */
  limits?: Limits | null | undefined;
}

export interface UserFilter {
  /** Part of an e-mail address, username, phone number or display name, or the beginning of an id. */
  search?: string | undefined;
  status?: UserStatus | undefined;
  role?: Role | undefined;
  tier?: string | undefined;
}

export interface UserAdmin {
  list(filter: UserFilter, page: { page: number; page_size: number }): Promise<{ items: UserView[]; total: number }>;
  get(id: string): Promise<UserView>;
  /** Makes a verified user. Throws `conflict` naming the field that is taken. */
  create(actor: Actor, user: Omit<NewUser, "emailVerified" | "passwordHash"> & { password?: string | undefined }): Promise<UserView>;
  /** Changes what is given, in one transaction with its audit entry; it counts on every copy at once. */
  update(actor: Actor, id: string, changes: UserChanges): Promise<UserView>;
  /**
   * Adds credit, or takes it when `amount` (micro-credits) is negative; never below zero (`insufficient_balance`).
   * With a key, the same call again gives the same transfer.
   */
  credit(
    actor: Actor,
    id: string,
    request: { amount: bigint; reason: string; idempotencyKey: string | undefined },
  ): Promise<{ transferId: string; balance: bigint }>;
}

/** Any number: changes of roles and admins' status go one after the other, so that two cannot remove the last two admins at once. */
const ADMINS_LOCK = 7_266_005;

/** Rules of who may change whom. Throws `forbidden` or `conflict`. */
function checkRules(actor: Principal, target: UserRow, changes: UserChanges, otherAdmins: number): void {
  const isAdmin = actor.roles.includes("admin");
  const self = actor.userId === target.id;
  const targetIsAdmin = target.roles.includes("admin");
  if (changes.roles && !isAdmin) throw appError("forbidden", { message: "Only an admin may change roles" });
  if (targetIsAdmin && !isAdmin) throw appError("forbidden", { message: "Only an admin may change an admin" });
  if (self && changes.status !== undefined && changes.status !== "active")
    throw appError("conflict", { message: "status: you cannot suspend or close your own account" });
  const losesAdmin = targetIsAdmin && changes.roles !== undefined && !changes.roles.includes("admin");
  const losesAccess = targetIsAdmin && changes.status !== undefined && changes.status !== "active";
  if ((losesAdmin || losesAccess) && otherAdmins === 0)
    throw appError("conflict", { message: `${losesAdmin ? "roles" : "status"}: this is the last admin` });
}

export function createUserAdmin(deps: {
  pool: Pool;
  models: IdentityModels;
  ledger: Pick<Ledger, "ensureWallet" | "credit" | "debit">;
  tiers: Tiers;
  changes: Changes;
  emit: Emit;
}): UserAdmin {
  const { pool, models, ledger, tiers } = deps;

  async function checkTier(tier: string | undefined): Promise<void> {
    if (tier !== undefined && !(await tiers.exists(tier))) throw fieldError("tier", "is not a tier");
  }

  async function take(tx: Queryable, transfer: Omit<Debit, "to">): Promise<CreditResult> {
    const posted = await ledger.debit(tx, { ...transfer, to: "adjustments" });
    if (posted.kind === "ok") return posted;
    throw appError("insufficient_balance", {
      details: { available: formatCredits(posted.available), shortfall: formatCredits(posted.shortfall) },
    });
  }

  return {
    async list(filter, { page, page_size }) {
      const { rows, count } = await models.users.findAndCountAll({
        where: whereOf(filter),
        order: [
          ["created_at", "DESC"],
          ["id", "DESC"],
        ],
        limit: page_size,
        offset: (page - 1) * page_size,
      });
      return { items: rows.map((row) => presentUser(row.get({ plain: true }))), total: count };
    },

    async get(id) {
      const user = await findUser(pool, id);
      if (!user) throw appError("not_found");
      return presentUser(user);
    },

    async create(actor, { password, ...wanted }) {
      const plain = (wanted.roles ?? ["user"]).every((role) => role === "user");
      if (!plain && !actor.principal.roles.includes("admin")) throw appError("forbidden", { message: "Only an admin may give roles" });
      await checkTier(wanted.tier);
      if (password !== undefined) checkPassword(password, { email: wanted.email, names: [wanted.username, wanted.displayName] });
      const passwordHash = password === undefined ? null : await hashPassword(password);
      const user = await inTransaction(pool, async (tx) => {
        const made = await createUser(tx, ledger, { ...wanted, emailVerified: true, passwordHash });
        const { roles, tier, limits } = made;
        await recordAudit(tx, {
          ...entry(actor, "user.create", made.id),
          details: { email: made.email, username: made.username, roles, tier, limits },
        });
        return made;
      });
      deps.emit({ kind: "user.registered", user_id: user.id, method: "operator" });
      return presentUser(user);
    },

    async update(actor, id, changes) {
      await checkTier(changes.tier);
      const view = await inTransaction(pool, async (tx) => {
        if (changes.roles || changes.status) await tx.query("SELECT pg_advisory_xact_lock($1)", [ADMINS_LOCK]);
        const user = await lockUser(tx, id);
        if (!user) throw appError("not_found");
        const others = await tx.query<{ count: number }>(
          "SELECT count(*)::int AS count FROM users WHERE roles @> '{admin}' AND status = 'active' AND id <> $1",
          [id],
        );
        checkRules(actor.principal, user, changes, others.rows[0]!.count);
        const status = changes.status ?? presentUser(user).status;
        const until =
          changes.suspended_until === undefined && changes.status === undefined ? user.suspended_until : (changes.suspended_until ?? null);
        if (until !== null && status !== "suspended" && changes.suspended_until !== undefined)
          throw fieldError("suspended_until", "goes with status suspended");
        await tx.query(
          "UPDATE users SET status = $2, suspended_until = $3, roles = $4, tier = $5, limits = $6, updated_at = now() WHERE id = $1",
          [
            id,
            status,
            status === "suspended" ? until : null,
            changes.roles ?? user.roles,
            changes.tier ?? user.tier,
            JSON.stringify(changes.limits === undefined ? user.limits : (changes.limits ?? {})),
          ],
        );
        if (status === "closed") await tx.query("UPDATE sessions SET revoked_at = now() WHERE user_id = $1 AND revoked_at IS NULL", [id]);
        await recordAudit(tx, { ...entry(actor, "user.update", id), details: { ...changes } });
        await announce(tx, "user", id);
        return presentUser((await findUser(tx, id))!);
      });
      deps.changes.made("user", id);
      return view;
    },

    async credit(actor, id, { amount, reason, idempotencyKey }) {
      const transferId = `admin:${idempotencyKey === undefined ? uuidv7() : sha256(`${actor.principal.userId} ${id} ${idempotencyKey}`)}`;
      return inTransaction(pool, async (tx) => {
        const user = await findUser(tx, id);
        if (!user) throw appError("not_found");
        const transfer = {
          id: transferId,
          walletId: user.wallet_id,
          type: "ADMIN" as const,
          description: reason,
          reference: `user:${actor.principal.userId}`,
        };
        const posted =
          amount > 0n
            ? await ledger.credit(tx, { ...transfer, amount, from: "adjustments", source: "admin" })
            : await take(tx, { ...transfer, amount: -amount });
        if (!posted.replayed) {
          const details = { amount: formatCredits(amount), reason, transfer_id: transferId };
          await recordAudit(tx, { ...entry(actor, amount > 0n ? "user.credit" : "user.debit", id), details });
          await announce(tx, "user", id);
        }
        return { transferId: posted.transferId, balance: posted.balance };
      });
    },
  };
}

function entry(actor: Actor, action: string, userId: string) {
  return { actorId: actor.principal.userId, action, target: `user:${userId}`, traceId: actor.traceId };
}

function whereOf({ search, status, role, tier }: UserFilter): WhereOptions {
  const conditions: WhereOptions[] = [];
  if (search !== undefined) {
    const part = { [Op.iLike]: `%${search.replace(/[\\%_]/g, "\\$&")}%` };
    conditions.push({ [Op.or]: [{ email: part }, { username: part }, { phone: part }, { display_name: part }, ...idRange(search)] });
  }
  // A suspension that has ended counts as active, as everywhere.
  const over = { status: "suspended", suspended_until: { [Op.lte]: new Date() } };
  if (status === "active") conditions.push({ [Op.or]: [{ status: "active" }, over] });
  else if (status === "suspended") conditions.push({ status, suspended_until: { [Op.or]: [{ [Op.is]: null }, { [Op.gt]: new Date() }] } });
  else if (status !== undefined) conditions.push({ status });
  if (role !== undefined) conditions.push({ roles: { [Op.contains]: [role] } });
  if (tier !== undefined) conditions.push({ tier });
  return { [Op.and]: conditions };
}

/** Ids that begin with these hex digits, as a range the primary key can serve. */
function idRange(search: string): WhereOptions[] {
  const hex = search.toLowerCase().replaceAll("-", "");
  if (!/^[0-9a-f]{8,32}$/.test(hex)) return [];
  const uuid = (text: string) => text.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  return [{ id: { [Op.between]: [uuid(hex.padEnd(32, "0")), uuid(hex.padEnd(32, "f"))] } }];
}
