-- Debtors, as allocation tells of them.
create table dunning.account (
    account_id uuid primary key,
    account_ref text not null unique,
    version bigint not null,
    name text not null,
    kind text,
    parent_ref text,
    email text,
    phone text,
    address text,
    segment text,
    department text,
    principal text
);

-- A document as far as chasing needs it. Facts may come in any order: the
-- document itself may be unknown yet.
create table dunning.item (
    document_id uuid primary key,
    document_ref text,
    kind text,
    account_id uuid,
    account_ref text,
    matter_ref text,
    issued_on date,
    due_on date,
    currency text not null,
    gross numeric,
    settled numeric not null default 0,
    -- Nothing while the document is unknown; negative for a credit note.
    open numeric generated always as (gross - settled) stored,
    -- Since when nothing is owed of it.
    settled_on date,
    -- It was settled and came back: since when, and how many days it was settled
    -- in all (E32).
    resumed_on date,
    settled_days integer not null default 0,
    -- What allocation says takes off what may be chased, of three kinds: the
    -- others are dunning's own, or those of cases.
    in_direct_debit numeric not null default 0,
    likely_theirs numeric not null default 0,
    unapplied_credit numeric not null default 0
);
create index item_open on dunning.item (account_id, due_on) where open > 0;
create index item_terms on dunning.item (account_id)
    where in_direct_debit > 0 or likely_theirs > 0 or unapplied_credit > 0;

-- The version of what allocation said last of an account's terms.
create table dunning.terms_version (
    account_id uuid primary key,
    version bigint not null
);

-- What moved on documents: only added to. Interest is worked out from it.
create table dunning.movement (
    document_id uuid not null,
    -- The line of allocation that moved it.
    line_id uuid not null,
    -- Positive lowers the debt.
    amount numeric not null,
    kind text not null check (kind in ('cash', 'credit', 'cleared', 'written_off')),
    effective_on date not null,
    receipt_id uuid,
    recorded_at timestamptz not null,
    primary key (document_id, line_id)
);
create function dunning.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'this is only added to';
end
$$;
create trigger movement_append_only before update or delete or truncate on dunning.movement
    for each statement execute function dunning.refuse_change();
revoke update, delete, truncate on dunning.movement from dunning;

-- When each bank account was last heard of.
create table dunning.feed (
    bank_account text primary key,
    heard_at timestamptz not null
);

-- Everything that stops chasing for a time, or did: one row for each hold,
-- promise, plan and case.
create table dunning.stop (
    subject_id uuid primary key,
    version bigint not null,
    kind text not null check (kind in ('hold', 'promise', 'plan', 'query', 'suspected')),
    hold_kind text,
    account_id uuid not null,
    -- The whole account when empty; amounts in the order of documents, nothing
    -- for the whole of one.
    documents uuid[] not null default '{}',
    amounts numeric[] not null default '{}',
    currency text,
    starts_on date not null,
    ends_on date,
    ended_on date
);
create index stop_account on dunning.stop (account_id);

-- Policies, every version for ever.
create table dunning.policy (
    policy text not null,
    version integer not null,
    valid_from date not null,
    -- draft, requested, published, retired
    state text not null,
    body jsonb not null,
    sha256 text not null,
    actor text not null,
    recorded_at timestamptz not null,
    primary key (policy, version)
);

-- One debtor reached, by any channel and in either direction.
create table dunning.contact (
    contact_id uuid primary key,
    version bigint not null,
    direction text not null,
    channel text not null,
    state text not null,
    account_id uuid not null,
    account_ref text not null,
    run_id uuid,
    stage text,
    rank smallint,
    policy text,
    policy_version integer,
    template text,
    template_version integer,
    -- One sum for each currency, as money on the wire.
    amounts jsonb not null default '[]',
    -- To whom: an e-mail address, a postal address, a number.
    address text,
    content_sha256 text,
    provider_reference text,
    outcome text,
    next_step text,
    next_on date,
    at timestamptz not null,
    -- The London day that counts against the contact budget.
    counted_on date,
    actor text not null,
    reason text not null,
    recorded_at timestamptz not null
);
create index contact_account on dunning.contact (account_id, at);
create index contact_run on dunning.contact (run_id, contact_id);
create index contact_claimed on dunning.contact (at) where state = 'claimed';

-- What a contact was about: the send ledger. At most one that counts for each
-- document and stage, whatever crashes or is pressed twice (E56).
create table dunning.contact_item (
    contact_id uuid not null references dunning.contact,
    document_id uuid not null,
    account_id uuid not null,
    document_ref text not null,
    stage text,
    rank smallint,
    amount numeric not null,
    currency text not null,
    -- Bounced, recalled, failed: does not count as a stage any more (E65, E66).
    void boolean not null default false,
    primary key (contact_id, document_id)
);
create unique index contact_item_once on dunning.contact_item (document_id, rank) where not void and rank is not null;

-- The stages that an account's items have come to: a fold of the send ledger,
-- one row for each account, so that a run reads no history.
create table dunning.reached (
    account_id uuid primary key,
    documents uuid[] not null,
    ranks smallint[] not null,
    days date[] not null,
    policies text[] not null,
    policy_versions integer[] not null,
    -- Days on which they were contacted, the last few.
    contacts date[] not null default '{}'
);
