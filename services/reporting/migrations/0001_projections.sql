-- The projections: five tables of facts, each row as an allocation event said
-- it. Rows are only ever inserted, and the same fact twice is one row, so the
-- order in which events arrive changes nothing and what was known yesterday can
-- be asked for tomorrow. What stands open is always summed from the facts.
--
-- `generation` is 0 or 1: one is live, the other is empty or being rebuilt
-- beside it (E104). A partition for each, so that a dropped generation leaves
-- no dead rows behind and reports read the live one only.

create table reporting.live (
    only_row boolean primary key default true check (only_row),
    generation smallint not null check (generation in (0, 1))
);
insert into reporting.live (generation) values (0);

-- Every rebuild that was asked for, and what came of it.
create table reporting.rebuild (
    rebuild_id uuid primary key,
    verify boolean not null,
    actor text not null,
    state text not null check (state in ('running', 'same', 'different', 'replaced', 'failed')),
    events bigint not null,
    events_total bigint not null,
    started_at timestamptz not null,
    finished_at timestamptz,
    differences text[] not null default '{}'
);

-- Every version of an account; the highest that was known is the one to show.
create table reporting.account (
    generation smallint not null,
    account_id uuid not null,
    version bigint not null,
    account_ref text not null,
    name text not null,
    kind text,
    parent_ref text,
    terms_days integer,
    currency text,
    email text,
    phone text,
    segment text,
    department text,
    principal text,
    recorded_at timestamptz not null,
    actor text not null,
    event_id uuid not null,
    primary key (generation, account_id, version)
) partition by list (generation);
create table reporting.account_0 partition of reporting.account for values in (0);
create table reporting.account_1 partition of reporting.account for values in (1);
-- Lists run in the order of the reference.
create index account_by_ref on reporting.account (generation, account_ref, version desc);

-- Documents. `amount` is signed: negative for a credit note.
create table reporting.document (
    generation smallint not null,
    document_id uuid not null,
    document_ref text not null,
    kind text not null,
    account_id uuid not null,
    account_ref text not null,
    matter_ref text,
    issued_on date not null,
    due_on date not null,
    amount numeric(20, 4) not null,
    currency text not null,
    recorded_at timestamptz not null,
    actor text not null,
    event_id uuid not null,
    primary key (generation, document_id)
) partition by list (generation);
create table reporting.document_0 partition of reporting.document for values in (0);
create table reporting.document_1 partition of reporting.document for values in (1);
create index document_by_account on reporting.document (generation, account_id);

-- Receipts as they were posted, with what was decided at once: `unallocated` is
-- what was left then. Later moves are rows of `movement`.
create table reporting.receipt (
    generation smallint not null,
    receipt_id uuid not null,
    version bigint not null,
    bank_reference text,
    booked_on date not null,
    amount numeric(20, 4) not null,
    unallocated numeric(20, 4) not null,
    currency text not null,
    payer_name text,
    narrative text not null,
    state text not null,
    account_id uuid,
    account_ref text,
    rule text not null,
    recorded_at timestamptz not null,
    actor text not null,
    event_id uuid not null,
    primary key (generation, receipt_id)
) partition by list (generation);
create table reporting.receipt_0 partition of reporting.receipt for values in (0);
create table reporting.receipt_1 partition of reporting.receipt for values in (1);
create index receipt_by_account on reporting.receipt (generation, account_id);
-- Small: most receipts are allocated as they are posted.
create index receipt_left_over on reporting.receipt (generation, booked_on) where unallocated <> 0;

-- Every later move of a receipt: allocated, or undone by contra lines.
create table reporting.movement (
    generation smallint not null,
    receipt_id uuid not null,
    version bigint not null,
    undone boolean not null,
    unallocated numeric(20, 4) not null,
    state text not null,
    account_id uuid,
    account_ref text,
    rule text not null,
    reason text not null,
    recorded_at timestamptz not null,
    actor text not null,
    event_id uuid not null,
    primary key (generation, receipt_id, version)
) partition by list (generation);
create table reporting.movement_0 partition of reporting.movement for values in (0);
create table reporting.movement_1 partition of reporting.movement for values in (1);
create index movement_by_account on reporting.movement (generation, account_id);

-- Allocation lines, contras among them. `version` is that of the receipt's
-- posting or movement that the line came with, which holds who and why.
create table reporting.allocation (
    generation smallint not null,
    receipt_id uuid not null,
    allocation_id uuid not null,
    version bigint not null,
    document_id uuid not null,
    account_id uuid not null,
    amount numeric(20, 4) not null,
    currency text not null,
    effective_on date not null,
    recorded_at timestamptz not null,
    contra_of uuid,
    primary key (generation, receipt_id, allocation_id)
) partition by list (generation);
create table reporting.allocation_0 partition of reporting.allocation for values in (0);
create table reporting.allocation_1 partition of reporting.allocation for values in (1);
create index allocation_by_document on reporting.allocation (generation, document_id);

-- Facts are never changed: the service may add them, and empty a generation as
-- a whole.
revoke update, delete on
    reporting.account, reporting.account_0, reporting.account_1,
    reporting.document, reporting.document_0, reporting.document_1,
    reporting.receipt, reporting.receipt_0, reporting.receipt_1,
    reporting.movement, reporting.movement_0, reporting.movement_1,
    reporting.allocation, reporting.allocation_0, reporting.allocation_1
from reporting;
grant truncate on
    reporting.account_0, reporting.account_1,
    reporting.document_0, reporting.document_1,
    reporting.receipt_0, reporting.receipt_1,
    reporting.movement_0, reporting.movement_1,
    reporting.allocation_0, reporting.allocation_1
to reporting;
