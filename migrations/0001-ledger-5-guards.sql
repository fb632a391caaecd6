-- Guards. What follows from transfers is checked against them, no matter who writes it: whether a statement runs inside a trigger
-- says nothing, for anybody can make a trigger on a table of his own.

-- A balance is what the account's newest transfer says. Whoever changes it otherwise, by whatever way, is refused here.
CREATE FUNCTION ledger_check_balance() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF NEW.last_seq > OLD.last_seq AND EXISTS (
    SELECT FROM ledger_transfers t WHERE t.seq = NEW.last_seq
      AND (t.debit_account, t.debit_balance_after) IS NOT DISTINCT FROM (NEW.id, NEW.balance)
    UNION ALL
    SELECT FROM ledger_transfers t WHERE t.seq = NEW.last_seq
      AND (t.credit_account, t.credit_balance_after) IS NOT DISTINCT FROM (NEW.id, NEW.balance)
  ) THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'UPDATE of ledger_accounts is refused: balances change only through ledger_transfers' USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER ledger_accounts_open BEFORE INSERT ON ledger_accounts FOR EACH ROW
  WHEN (NEW.balance <> 0 OR NEW.held <> 0 OR NEW.last_seq <> 0 OR NEW.next_expiry IS NOT NULL)
  EXECUTE FUNCTION ledger_refuse('an account begins empty');
CREATE TRIGGER ledger_accounts_fixed BEFORE UPDATE ON ledger_accounts FOR EACH ROW
  WHEN ((OLD.id, OLD.code, OLD.asset, OLD.kind, OLD.created_at) IS DISTINCT FROM (NEW.id, NEW.code, NEW.asset, NEW.kind, NEW.created_at))
  EXECUTE FUNCTION ledger_refuse('an account keeps its name');
CREATE TRIGGER ledger_accounts_balance AFTER UPDATE ON ledger_accounts FOR EACH ROW
  WHEN ((OLD.balance, OLD.last_seq) IS DISTINCT FROM (NEW.balance, NEW.last_seq))
  EXECUTE FUNCTION ledger_check_balance();
CREATE TRIGGER ledger_accounts_keep BEFORE DELETE OR TRUNCATE ON ledger_accounts FOR EACH STATEMENT
  EXECUTE FUNCTION ledger_refuse('accounts are never deleted');

CREATE TRIGGER ledger_transfers_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transfers FOR EACH STATEMENT
  EXECUTE FUNCTION ledger_refuse('transfers are append-only');
CREATE TRIGGER ledger_grants_fixed BEFORE UPDATE ON ledger_grants FOR EACH ROW
  WHEN ((OLD.id, OLD.wallet_id, OLD.source, OLD.priority, OLD.amount, OLD.expires_at, OLD.created_at, OLD.transfer_id)
    IS DISTINCT FROM (NEW.id, NEW.wallet_id, NEW.source, NEW.priority, NEW.amount, NEW.expires_at, NEW.created_at, NEW.transfer_id)
    OR NEW.remaining > OLD.remaining)
  EXECUTE FUNCTION ledger_refuse('a grant is only ever burned');
CREATE TRIGGER ledger_grants_keep BEFORE DELETE OR TRUNCATE ON ledger_grants FOR EACH STATEMENT
  EXECUTE FUNCTION ledger_refuse('grants are never deleted');
CREATE TRIGGER ledger_burns_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_burns FOR EACH STATEMENT
  EXECUTE FUNCTION ledger_refuse('burns are append-only');
CREATE TRIGGER ledger_settlements_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_settlements FOR EACH STATEMENT
  EXECUTE FUNCTION ledger_refuse('settlements are append-only');
CREATE TRIGGER ledger_incidents_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_incidents FOR EACH STATEMENT
  EXECUTE FUNCTION ledger_refuse('incidents are append-only');

-- The next expiry is that of the wallet's unspent grants.
CREATE FUNCTION ledger_check_next_expiry() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF NEW.next_expiry IS NOT DISTINCT FROM (SELECT min(expires_at) FROM ledger_grants WHERE wallet_id = NEW.id AND remaining > 0) THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'UPDATE of ledger_accounts is refused: next_expiry follows from the grants' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER ledger_accounts_expiry AFTER UPDATE ON ledger_accounts FOR EACH ROW
  WHEN (OLD.next_expiry IS DISTINCT FROM NEW.next_expiry) EXECUTE FUNCTION ledger_check_next_expiry();

-- A grant is what its transfer says, whole at first. Its transfer_id is unique, and every credit of a wallet makes its grant.
CREATE FUNCTION ledger_check_grant() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF NEW.remaining = NEW.amount AND EXISTS (
    SELECT FROM ledger_transfers t WHERE t.id = NEW.transfer_id
      AND (t.credit_account, t.amount, t.source, t.priority, t.expires_at, t.created_at)
        IS NOT DISTINCT FROM (NEW.wallet_id, NEW.amount, NEW.source, NEW.priority, NEW.expires_at, NEW.created_at)
  ) THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'INSERT of ledger_grants is refused: grants follow from ledger_transfers' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER ledger_grants_made AFTER INSERT ON ledger_grants FOR EACH ROW EXECUTE FUNCTION ledger_check_grant();

-- What is left of a wallet's grants is its balance. As a grant never grows (ledger_grants_fixed), none can shrink but by a debit.
-- At the end of the transaction, for a transfer burns grants before it moves the balance.
CREATE FUNCTION ledger_check_remaining() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF (SELECT balance FROM ledger_accounts WHERE id = NEW.wallet_id)
    = (SELECT coalesce(sum(remaining), 0) FROM ledger_grants WHERE wallet_id = NEW.wallet_id AND remaining > 0) THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'UPDATE of ledger_grants is refused: grants burn only through ledger_transfers' USING ERRCODE = 'restrict_violation';
END $$;
CREATE CONSTRAINT TRIGGER ledger_grants_remaining AFTER UPDATE ON ledger_grants DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION ledger_check_remaining();

-- The burns of a transfer are of its wallet's grants and together its amount: nothing can be added to those that are there.
CREATE FUNCTION ledger_check_burns() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp
  -- By index always: a plan made while the tables were small is kept when they have grown.
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  IF EXISTS (
    SELECT FROM (
      SELECT all_of.transfer_id, sum(all_of.amount) AS amount, min(g.wallet_id) AS lowest, max(g.wallet_id) AS highest,
        count(*) = count(g.id) AS known
      FROM ledger_burns all_of LEFT JOIN ledger_grants g ON g.id = all_of.grant_id
      WHERE all_of.transfer_id IN (SELECT transfer_id FROM burned)
      GROUP BY all_of.transfer_id
    ) b
    LEFT JOIN ledger_transfers t ON t.id = b.transfer_id
    WHERE NOT b.known OR (t.amount, t.debit_account, t.debit_account) IS DISTINCT FROM (b.amount, b.lowest, b.highest)
  ) THEN
    RAISE EXCEPTION 'INSERT of ledger_burns is refused: burns follow from ledger_transfers' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER ledger_burns_made AFTER INSERT ON ledger_burns REFERENCING NEW TABLE AS burned
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_burns();

-- From here on nothing bypasses the guards, not even session_replication_role = replica.
DO $$
DECLARE
  guard record;
BEGIN
  FOR guard IN SELECT tgname, tgrelid::regclass AS of FROM pg_trigger WHERE tgname LIKE 'ledger\_%' AND NOT tgisinternal LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', guard.of, guard.tgname);
  END LOOP;
END $$;
