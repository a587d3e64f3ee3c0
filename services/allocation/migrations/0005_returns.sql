-- What comes back, and what is kept for a reason.

-- What the bank told of a payment beside its words: by this its return is known.
-- `held`: money that a person or a doubt keeps from being allocated by itself;
-- `twin`: the payment that this one seems to repeat.
alter table allocation.receipt
    add column scheme text,
    add column end_to_end_id text,
    add column mandate_reference text,
    add column held text check (held in ('on_account', 'possible_duplicate', 'duplicate')),
    add column twin uuid,
    add constraint twin_of_duplicates check (
        (twin is not null) = coalesce(held in ('possible_duplicate', 'duplicate'), false));
alter table allocation.receipt drop constraint receipt_state_check;
alter table allocation.receipt
    add constraint receipt_state_check check (state in (
        'unidentified', 'unallocated', 'on_account', 'part_allocated', 'allocated', 'paid_out'));
create index receipt_amount on allocation.receipt (amount, booked_on);
-- Only payments of schemes that come back: the others need not be found so.
create index receipt_end_to_end on allocation.receipt (end_to_end_id)
    where scheme in ('dd_collection', 'card', 'cheque') and end_to_end_id is not null;
create index receipt_account on allocation.receipt (account_id) where unallocated > 0;

-- Bank lines that took money from us.
create table allocation.debit (
    debit_id uuid primary key,
    version bigint not null,
    state text not null check (state in ('unmatched', 'returned', 'reversed', 'ours')),
    bank_account text not null,
    bank_reference text,
    booked_on date not null,
    currency text not null,
    amount numeric(20, 4) not null check (amount > 0),
    scheme text,
    -- Why a payment came back, as the bank codes it.
    code text,
    counterparty_name text,
    counterparty_account text,
    narrative text not null,
    end_to_end_id text,
    mandate_reference text,
    -- The receipt whose money it took.
    receipt_id uuid,
    -- What that receipt had no more, because it had been refunded.
    shortfall numeric(20, 4) check (shortfall > 0),
    candidates uuid[] not null default '{}',
    -- What it re-opened: lines of document and amount.
    reopened jsonb not null default '[]',
    evidence jsonb not null default '[]',
    actor text not null,
    reason text not null,
    recorded_at timestamptz not null,
    constraint receipt_when_returned check ((state in ('returned', 'reversed')) = (receipt_id is not null))
);
create index debit_unmatched on allocation.debit (amount) where state = 'unmatched';
create index debit_returned on allocation.debit (end_to_end_id) where state = 'returned' and end_to_end_id is not null;
create index debit_receipt on allocation.debit (receipt_id) where receipt_id is not null;

-- What other services say of a part of a debt: disputed, promised, on a plan, in
-- a Direct Debit run. One row as long as it holds.
create table allocation.chase_term (
    subject uuid not null,
    document_id uuid not null,
    kind text not null check (kind in ('disputed', 'promised', 'on_plan', 'in_direct_debit')),
    currency text not null,
    amount numeric(20, 4) not null check (amount > 0),
    event_id uuid not null,
    recorded_at timestamptz not null,
    primary key (document_id, kind, subject)
);

-- Accounts of which less than everything may be chased, as it was last told. Of
-- all others, what is open may be chased.
create table allocation.chaseable (
    account_id uuid primary key,
    version bigint not null,
    -- What was told, without its event ids: told again only when it differs.
    told text not null,
    trivial boolean not null,
    recorded_at timestamptz not null
);
create index adjustment_cause on allocation.adjustment (cause) where cause is not null;
create index suggestion_account on allocation.suggestion (account_id);
