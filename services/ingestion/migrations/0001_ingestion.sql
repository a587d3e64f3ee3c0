-- What came in from outside, as it came in: accounts, documents, bank lines,
-- statements and the files that brought them. What is recorded here is never
-- changed; only accounts (billing changes them) and imports (they have states)
-- are.
--
-- No foreign keys on bank lines and documents: they would cost a lock and a
-- lookup per row on the way that must be quick, and nothing that they could
-- point to is ever deleted.

-- Our own bank accounts, as far as they were seen.
create table ingestion.bank_account (
    -- kernel::BankAccount::key
    bank_account text primary key,
    designation text not null default 'business' check (designation in ('business', 'client')),
    first_seen_at timestamptz not null
);

-- Debtor accounts. `version` 0 without content: a document named the account
-- before billing told of it.
create table ingestion.account (
    account_id uuid primary key,
    account_ref text not null constraint account_ref_once unique,
    version bigint not null check (version >= 0),
    -- BillingAccount.v1 as JSON, its fields in the order of the type.
    content text,
    awaited boolean not null generated always as (content is null) stored,
    first_seen_at timestamptz not null,
    recorded_at timestamptz not null
);

create table ingestion.document (
    document_id uuid primary key,
    document_ref text not null constraint document_ref_once unique,
    kind text not null check (kind in ('invoice', 'credit_note', 'disbursement')),
    account_id uuid not null,
    -- Positive for every kind.
    gross numeric(20, 4) not null check (gross > 0),
    currency text not null,
    -- Of everything that document_recorded tells on: tells a repetition from a
    -- contradiction.
    content_hash uuid not null,
    -- BillingDocument.v1 as JSON.
    content text not null,
    source text not null,
    import_id uuid,
    message_id uuid,
    recorded_at timestamptz not null
);
create index document_recorded_at on ingestion.document using brin (recorded_at);

-- One row per movement on a bank account: a line, or a part of a line that the
-- bank lists as several payments. The hot table: the two unique keys are all
-- that it can afford.
create table ingestion.bank_line (
    -- Of a credit also the receipt's id.
    line_id uuid primary key,
    -- The day in two bytes, then a hash of what identifies the line: narrow, and
    -- a day's lines stay together in the index.
    dedup_key uuid not null constraint bank_line_once unique,
    bank_account text not null,
    booked_on date not null,
    value_on date not null,
    amount numeric(20, 4) not null check (amount >= 0),
    currency text not null,
    direction text not null check (direction in ('credit', 'debit')),
    scheme text,
    bank_reference text,
    payer_name text,
    payer_account text,
    reference text,
    end_to_end_id text,
    mandate_reference text,
    -- The unstructured remittance, a line of it per line.
    narrative text not null,
    source text not null,
    statement_id uuid,
    -- The place in the statement, from 1.
    line integer,
    import_id uuid,
    message_id uuid,
    recorded_at timestamptz not null,
    -- What has no column here, as JSON: of a statement the line as it was read.
    raw text
);
create index bank_line_recorded_at on ingestion.bank_line using brin (recorded_at);

-- A file, from upload to recorded or refused.
create table ingestion.import (
    import_id uuid primary key,
    file_name text not null,
    -- As asked for, then as found.
    format text,
    dry_run boolean not null,
    state text not null check (
        state in ('uploading', 'queued', 'reading', 'recorded', 'refused', 'already_known')
    ),
    bytes bigint not null default 0,
    -- Lower-case hex.
    sha256 text,
    entries integer not null default 0,
    recorded integer not null default 0,
    duplicates integer not null default 0,
    problems jsonb not null default '[]',
    -- The statements of a dry run, which are recorded nowhere else.
    dry_run_statements jsonb not null default '[]',
    actor text not null,
    opened_at timestamptz not null,
    submitted_at timestamptz,
    finished_at timestamptz,
    -- A reader that dies lets go of the file when this time has passed.
    lease_until timestamptz,
    attempts integer not null default 0
);
create index import_waiting on ingestion.import (submitted_at) where state in ('queued', 'reading');
-- The same bytes are recorded once, whoever reads them at the same time.
create unique index import_recorded_once on ingestion.import (sha256)
    where state = 'recorded' and not dry_run;

-- The file itself, kept as it came.
create table ingestion.import_piece (
    import_id uuid not null references ingestion.import (import_id),
    piece integer not null check (piece >= 0),
    bytes bytea not null,
    primary key (import_id, piece)
);
-- Bank files are text; Postgres' own compression would cost more than it saves
-- on the way in.
alter table ingestion.import_piece alter column bytes set storage external;

-- A statement as one file told it. A later file may tell the same statement
-- again (with a line more): then that one is current.
create table ingestion.statement (
    statement_id uuid primary key,
    statement_key text not null,
    current boolean not null default true,
    version bigint not null default 1,
    import_id uuid not null references ingestion.import (import_id),
    bank_account text not null,
    bank_statement_id text not null,
    currency text,
    sequence bigint,
    page integer not null default 1,
    -- Where it stands among the account's statements.
    ordered_on date not null,
    first_day date,
    closes_on date,
    opening numeric(20, 4),
    closing numeric(20, 4),
    -- Opening plus lines equals closing.
    ties boolean,
    -- Opening equals the closing of the statement before.
    continues boolean,
    lines integer not null,
    duplicate_lines integer not null,
    -- What its own lines and balances showed, then what the one before did.
    problems jsonb not null default '[]',
    gaps jsonb not null default '[]',
    recorded_at timestamptz not null
);
create unique index statement_current on ingestion.statement (statement_key) where current;
create index statement_order on ingestion.statement (bank_account, ordered_on, sequence, page)
    where current;
create index statement_import on ingestion.statement (import_id);

revoke update, delete, truncate on ingestion.bank_line, ingestion.document from ingestion;
revoke delete, truncate on ingestion.account, ingestion.statement, ingestion.import from ingestion;
revoke update, truncate on ingestion.import_piece from ingestion;
