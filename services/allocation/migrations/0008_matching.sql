-- Remittance advice that came apart from the cash, and waits for it or has met
-- it.
create table allocation.remittance (
    remittance_id uuid primary key,
    -- Its number at its source, for people.
    number text not null,
    payer_name text,
    payer_account text,
    -- The payment reference, folded: see domain::evidence.
    payment_key text,
    -- The day on which the payer says that it pays.
    paid_on date not null,
    currency text not null,
    total numeric(20, 4) not null check (total > 0),
    -- [{document_number, amount, …}]
    lines jsonb not null,
    -- What they name, folded: a document that comes later finds the receipt.
    document_keys text[] not null,
    -- The receipt that it is about, once that is certain: one at most, and each
    -- receipt has one at most.
    used_by uuid constraint remittance_used_once unique,
    recorded_at timestamptz not null
);
create index remittance_waiting on allocation.remittance (total) where used_by is null;
create index remittance_lists on allocation.remittance using gin (document_keys) where used_by is not null;
-- A receipt that waits for its advice is found by what is left on it.
create index receipt_left on allocation.receipt (unallocated) where unallocated > 0;

-- What was decided about a receipt before it was decided anew: with the present
-- decision on the receipt, every allocation keeps its explanation for ever.
create table allocation.past_decision (
    receipt_id uuid not null,
    -- The version of the receipt that the decision made.
    version bigint not null,
    decision text not null,
    -- When the receipt's allocations of then were last changed: the first
    -- decision of such a time is the one that changed them.
    allocated_at timestamptz,
    primary key (receipt_id, version)
);
create trigger past_decision_append_only before update or delete or truncate on allocation.past_decision
    for each statement execute function allocation.refuse_change();
revoke update, delete, truncate on allocation.past_decision from allocation;

-- Component scores (contracts::allocation::MatchScore), and the one change that
-- would have made it automatic.
alter table allocation.suggestion add column score jsonb, add column would text;

-- Who pays for whom, with how much evidence and since when it was not seen any
-- more: see domain::edges.
alter table allocation.payer_account add column evidence integer not null default 1,
    add column last_seen date not null default current_date;
update allocation.payer_account set last_seen = learned_at::date;
create index payer_account_seen on allocation.payer_account (bank_account, last_seen desc);
