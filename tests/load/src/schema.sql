-- The floor's tables. Made anew for every run.
drop schema if exists ingest, allocate, project cascade;

create schema ingest;
create table ingest.inbox (
    message_id uuid primary key,
    claimed_at timestamptz not null default now()
);
create table ingest.receipt (
    receipt_id uuid primary key,
    bank_reference text not null,
    booked_on date not null,
    amount numeric(20, 4) not null,
    currency text not null,
    payer_name text not null,
    narrative text not null,
    recorded_at timestamptz not null default now()
);
create table ingest.outbox (
    seq bigint generated always as identity primary key,
    event_id uuid not null,
    payload text not null
);
create table ingest.relay_cursor (seq bigint not null);
insert into ingest.relay_cursor values (0);

create schema allocate;
create table allocate.inbox (like ingest.inbox including all);
create table allocate.outbox (like ingest.outbox including all);
create table allocate.relay_cursor (seq bigint not null);
insert into allocate.relay_cursor values (0);
create table allocate.open_item (
    document_id uuid primary key,
    reference text not null unique,
    account_id uuid not null,
    amount numeric(20, 4) not null,
    open numeric(20, 4) not null
) with (fillfactor = 80);
create table allocate.allocation (
    allocation_id uuid primary key,
    receipt_id uuid not null,
    document_id uuid not null,
    amount numeric(20, 4) not null,
    recorded_at timestamptz not null default now()
);
-- Two rows an allocation, which add up to nothing.
create table allocate.journal (
    entry_id uuid primary key,
    account text not null,
    amount numeric(20, 4) not null,
    allocation_id uuid not null,
    recorded_at timestamptz not null default now()
);
create index journal_account on allocate.journal (account);
create table allocate.audit (
    audit_id uuid primary key,
    about uuid not null,
    actor text not null,
    what text not null,
    recorded_at timestamptz not null default now()
);

create schema project;
create table project.inbox (like ingest.inbox including all);
create table project.balance (
    account_id uuid primary key,
    receipts bigint not null,
    allocated numeric(20, 4) not null
) with (fillfactor = 80);
