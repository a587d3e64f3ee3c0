-- Money after matching: debts that change without cash, and money of a receipt
-- that pays no document. Both are only added to, like allocations.
-- An item's amount = open + allocations + adjustments; a receipt's amount =
-- unallocated + allocations + outflows.

create table allocation.adjustment (
    adjustment_id uuid primary key,
    kind text not null check (kind in ('write_off', 'small_balance', 'discount', 'bank_charge', 'offset')),
    document_id uuid not null,
    account_id uuid not null,
    currency text not null,
    -- Positive lowers the debt; negative uses a credit note, or undoes.
    amount numeric(20, 4) not null check (amount <> 0),
    contra_of uuid,
    -- The receipt that it came with, where one did.
    receipt_id uuid,
    -- The request that it carries out.
    cause uuid,
    reason text not null,
    actor text not null,
    effective_on date not null,
    recorded_at timestamptz not null
);
create index adjustment_document on allocation.adjustment (document_id);
create index adjustment_receipt on allocation.adjustment (receipt_id) where receipt_id is not null;
create index adjustment_account on allocation.adjustment (account_id, kind, effective_on);
create unique index adjustment_undone_once on allocation.adjustment (contra_of) where contra_of is not null;

create table allocation.outflow (
    outflow_id uuid primary key,
    kind text not null check (kind in ('returned', 'refunded', 'client_ledger', 'written_back')),
    receipt_id uuid not null,
    currency text not null,
    -- Positive takes from the receipt; negative brings back.
    amount numeric(20, 4) not null check (amount <> 0),
    contra_of uuid,
    cause uuid,
    reason text not null,
    actor text not null,
    effective_on date not null,
    recorded_at timestamptz not null
);
create index outflow_receipt on allocation.outflow (receipt_id);
create index outflow_cause on allocation.outflow (cause) where cause is not null;
create unique index outflow_undone_once on allocation.outflow (contra_of) where contra_of is not null;

create trigger adjustment_append_only before update or delete or truncate on allocation.adjustment
    for each statement execute function allocation.refuse_change();
create trigger outflow_append_only before update or delete or truncate on allocation.outflow
    for each statement execute function allocation.refuse_change();
revoke update, delete, truncate on allocation.adjustment, allocation.outflow from allocation;

-- What of a receipt has left it other than onto a document; a receipt that has
-- gone back whole pays nothing and is not called allocated.
alter table allocation.receipt add column paid_out numeric(20, 4) not null default 0;
alter table allocation.receipt drop constraint unallocated_within_amount,
    drop constraint state_tells_the_money, drop constraint receipt_state_check;
alter table allocation.receipt
    add constraint unallocated_within_amount check (
        unallocated >= 0 and paid_out >= 0 and unallocated + paid_out <= amount),
    add constraint receipt_state_check check (
        state in ('unidentified', 'unallocated', 'part_allocated', 'allocated', 'paid_out')),
    add constraint state_tells_the_money check (
        (state in ('allocated', 'paid_out')) = (unallocated = 0) and (state = 'paid_out') = (paid_out = amount));
