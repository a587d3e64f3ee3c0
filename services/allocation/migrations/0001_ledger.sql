-- The open-item ledger. Money that moved is never edited: allocations and
-- journal entries are only added, and an undo is a contra row.

create table allocation.account (
    account_id uuid primary key,
    account_ref text not null,
    -- 0 while billing has only mentioned it.
    version bigint not null,
    name text not null,
    -- The name folded for comparing payers: see domain::name_key.
    name_key text not null,
    recorded_at timestamptz not null,
    constraint account_ref_once unique (account_ref)
);
create index account_name on allocation.account (name_key);

-- Bank accounts that people have shown to belong to a debtor.
create table allocation.payer_account (
    bank_account text not null,
    account_id uuid not null references allocation.account,
    learned_at timestamptz not null,
    learned_from text not null,
    primary key (bank_account, account_id)
);

create table allocation.open_item (
    document_id uuid primary key,
    document_ref text not null,
    kind text not null check (kind in ('invoice', 'credit_note', 'disbursement')),
    account_id uuid not null references allocation.account,
    issued_on date not null,
    due_on date not null,
    currency text not null,
    -- Signed: what it adds to the debt.
    amount numeric(20, 4) not null check (amount <> 0),
    -- Signed; between zero and the amount. Not in any index, so that paying an
    -- item rewrites no index.
    open numeric(20, 4) not null,
    -- References folded for look-up: see domain::evidence.
    ref_key text not null,
    payment_key text,
    recorded_at timestamptz not null,
    constraint open_within_amount check (open * sign(amount) between 0 and abs(amount))
) with (fillfactor = 80);
create index open_item_ref on allocation.open_item (ref_key);
create index open_item_payment on allocation.open_item (payment_key) where payment_key is not null;
create index open_item_account on allocation.open_item (account_id);

create table allocation.receipt (
    receipt_id uuid primary key,
    version bigint not null,
    bank_account text not null,
    bank_reference text,
    booked_on date not null,
    value_on date not null,
    currency text not null,
    amount numeric(20, 4) not null check (amount > 0),
    unallocated numeric(20, 4) not null,
    payer_name text,
    payer_account text,
    narrative text not null,
    -- Possible references in the payer's words, kept only while money is left,
    -- to find the receipt when its document arrives later.
    tokens text[] not null,
    state text not null check (state in ('unidentified', 'unallocated', 'part_allocated', 'allocated')),
    account_id uuid references allocation.account,
    decision text not null,
    suggestions smallint not null,
    recorded_at timestamptz not null,
    constraint unallocated_within_amount check (unallocated between 0 and amount),
    constraint state_tells_the_money check ((state = 'allocated') = (unallocated = 0))
) with (fillfactor = 90);
create index receipt_to_review on allocation.receipt (receipt_id) where unallocated > 0;
create index receipt_waiting_for on allocation.receipt using gin (tokens) where unallocated > 0;

create table allocation.allocation (
    allocation_id uuid primary key,
    receipt_id uuid not null,
    document_id uuid not null,
    account_id uuid not null,
    currency text not null,
    -- Positive lowers the debt; negative uses a credit note, or undoes.
    amount numeric(20, 4) not null check (amount <> 0),
    contra_of uuid,
    rule text not null,
    reason text not null,
    actor text not null,
    effective_on date not null,
    recorded_at timestamptz not null
);
create index allocation_receipt on allocation.allocation (receipt_id);
create unique index allocation_undone_once on allocation.allocation (contra_of) where contra_of is not null;

-- Double entry, one row an entry: one account debited and one credited with the
-- same amount, so that no entry can be out of balance. The entry has the id of
-- what it books: a document, a receipt or an allocation.
create table allocation.journal (
    entry_id uuid primary key,
    debit text not null,
    credit text not null,
    currency text not null,
    amount numeric(20, 4) not null check (amount > 0),
    effective_on date not null,
    recorded_at timestamptz not null,
    constraint two_sides check (debit <> credit)
);

create table allocation.suggestion (
    receipt_id uuid not null references allocation.receipt,
    rank smallint not null,
    rule text not null,
    confidence text not null,
    account_id uuid not null,
    lines jsonb not null,
    evidence jsonb not null,
    primary key (receipt_id, rank)
);

create function allocation.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end
$$;
create trigger allocation_append_only before update or delete or truncate on allocation.allocation
    for each statement execute function allocation.refuse_change();
create trigger journal_append_only before update or delete or truncate on allocation.journal
    for each statement execute function allocation.refuse_change();
revoke update, delete, truncate on allocation.allocation, allocation.journal from allocation;
