-- Direct Debit mandates, as billing told of them and as reports changed them.
create table ingestion.mandate (
    mandate_id uuid primary key,
    version bigint not null check (version > 0),
    reference text not null constraint mandate_reference_once unique,
    account_id uuid not null,
    account_ref text not null,
    payer_name text not null,
    -- kernel::BankAccount::key: whole, because the files need it.
    payer_account text not null,
    signed_on date not null,
    paperless boolean not null,
    state text not null,
    reason text not null,
    to_do text,
    -- The instruction that goes into the next file.
    due text check (due in ('0N', '0C')),
    lodged_for date,
    first_sent boolean not null,
    last_used_on date,
    reinstated_on date,
    -- BillingMandate.v1 as JSON, its fields in the order of the type.
    content text not null,
    changed_at timestamptz not null
);
create index mandate_account on ingestion.mandate (account_id);
create index mandate_payer on ingestion.mandate (payer_account);
create index mandate_due on ingestion.mandate (reference) where due is not null;
create index mandate_ages on ingestion.mandate (state) where state in ('lodged', 'active');

-- All that a mandate has been, appended only.
create table ingestion.mandate_step (
    mandate_id uuid not null references ingestion.mandate,
    version bigint not null,
    state text not null,
    reason text not null,
    to_do text,
    payer_account text not null,
    actor text not null,
    -- The message or command.
    because_of uuid not null,
    recorded_at timestamptz not null,
    primary key (mandate_id, version)
);

-- What reports said of mandates, each once, whether it changed anything or not.
create table ingestion.mandate_advice (
    advice_key text primary key,
    kind text not null,
    code text not null,
    reference text not null,
    mandate_id uuid references ingestion.mandate,
    effective_on date,
    reported_on date not null,
    -- What came of it.
    outcome text not null,
    recorded_at timestamptz not null
);

revoke delete, truncate on ingestion.mandate from ingestion;
revoke update, delete, truncate on ingestion.mandate_step, ingestion.mandate_advice from ingestion;
