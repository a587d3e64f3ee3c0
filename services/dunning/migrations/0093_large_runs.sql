-- What a run over a large ledger reads and writes.

-- It reads what is open of thousands of accounts at once, which lie scattered over
-- the table: everything that it needs stands in the index, in the order in which it
-- is read. Changes of what is open or takes off touched an index before, too.
create index item_owed on dunning.item (account_id, due_on, document_id)
    include (document_ref, currency, open, in_direct_debit, likely_theirs, unapplied_credit, resumed_on, settled_days)
    where open > 0;
drop index dunning.item_open;

-- What it writes of an account goes over as one row: arrays of arrays do not go
-- through `unnest`, and as text each would be read again (half of what writing an
-- account cost). A further column wants a further type: who still runs the version
-- before goes on with this one.
create type dunning.run_line as (
    account_id uuid,
    account_ref text,
    state text,
    policy text,
    policy_version integer,
    stage text,
    rank smallint,
    template text,
    channel text,
    amounts jsonb,
    documents uuid[],
    reasons text[],
    ranks_from smallint[],
    ranks_to smallint[],
    chaseable numeric[],
    currencies text[],
    opens numeric[],
    excluded text,
    in_name_of text
);

-- Lines are written only in the transaction that holds the range of their run,
-- which refers to the run itself, and no run is ever deleted: asking for the run
-- again for each account was a quarter of what writing it cost.
alter table dunning.run_account drop constraint run_account_run_id_fkey;
