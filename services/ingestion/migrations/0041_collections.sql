-- Files for Bacs, as they were made: kept whole, never changed, only voided.
create table ingestion.bacs_file (
    file_id uuid primary key,
    number bigint generated always as identity unique,
    kind text not null check (kind in ('collections', 'instructions')),
    serial text not null,
    processing_on date not null,
    records integer not null check (records > 0),
    total numeric(20, 4) not null,
    -- It has bank details: it is in no list and no log.
    content text not null,
    sha256 text not null,
    made_by text not null,
    made_at timestamptz not null,
    -- Why it must not be sent.
    void text
);
create index bacs_file_serial on ingestion.bacs_file (serial);

-- Who has the bytes.
create table ingestion.bacs_file_fetch (
    command_id uuid primary key,
    file_id uuid not null references ingestion.bacs_file,
    actor text not null,
    fetched_at timestamptz not null
);
create index bacs_file_fetched on ingestion.bacs_file_fetch (file_id, fetched_at);

-- Which instruction of which mandate a file has.
create table ingestion.bacs_file_instruction (
    file_id uuid not null references ingestion.bacs_file,
    mandate_id uuid not null references ingestion.mandate,
    code text not null,
    primary key (file_id, mandate_id)
);

-- That payers were told what will be collected, and when.
create table ingestion.advance_notice (
    command_id uuid not null,
    line integer not null,
    mandate_id uuid not null references ingestion.mandate,
    channel text not null,
    sent_on date not null,
    entry_on date not null,
    amount numeric(20, 4) not null check (amount > 0),
    reference text not null,
    actor text not null,
    recorded_at timestamptz not null,
    primary key (command_id, line)
);
create index advance_notice_mandate on ingestion.advance_notice (mandate_id, entry_on);

create table ingestion.collection_run (
    run_id uuid primary key,
    number bigint generated always as identity unique,
    entry_on date not null,
    processing_on date not null,
    state text not null,
    approval_id uuid,
    -- What the second person is asked for, frozen.
    content text not null,
    file_id uuid references ingestion.bacs_file,
    requested_by text not null,
    requested_at timestamptz not null
);
create index collection_run_entry on ingestion.collection_run (entry_on desc, number desc);

create table ingestion.collection (
    collection_id uuid primary key,
    version bigint not null check (version > 0),
    run_id uuid not null references ingestion.collection_run,
    mandate_id uuid not null references ingestion.mandate,
    mandate_reference text not null,
    account_id uuid not null,
    account_ref text not null,
    code text not null check (code in ('01', '17', '18', '19')),
    entry_on date not null,
    processing_on date not null,
    amount numeric(20, 4) not null check (amount > 0),
    state text not null,
    reason text not null,
    file_id uuid references ingestion.bacs_file,
    first_id uuid references ingestion.collection,
    first_on date not null,
    again integer not null check (again >= 0),
    may_again boolean not null,
    changed_at timestamptz not null,
    constraint collection_again_is_18 check ((code = '18') = (first_id is not null))
);
create index collection_of_run on ingestion.collection (run_id);
create index collection_of_mandate on ingestion.collection (mandate_id, processing_on);
create index collection_sent on ingestion.collection (entry_on) where state in ('sent', 'at_risk');
-- Each unpaid collection is presented again at most once at a time (E36).
create unique index collection_again_once on ingestion.collection (first_id, again)
    where first_id is not null and state <> 'cancelled';

-- What of which document; a document is in one live collection at most.
create table ingestion.collection_part (
    collection_id uuid not null references ingestion.collection,
    document_id uuid not null,
    document_ref text not null,
    amount numeric(20, 4) not null check (amount > 0),
    live boolean not null,
    primary key (collection_id, document_id)
);
create unique index collection_part_once on ingestion.collection_part (document_id) where live;

create table ingestion.collection_step (
    collection_id uuid not null references ingestion.collection,
    version bigint not null,
    state text not null,
    reason text not null,
    actor text not null,
    because_of uuid not null,
    recorded_at timestamptz not null,
    primary key (collection_id, version)
);

revoke delete, truncate on ingestion.bacs_file, ingestion.collection_run, ingestion.collection,
    ingestion.collection_part from ingestion;
revoke update, delete, truncate on ingestion.bacs_file_fetch, ingestion.bacs_file_instruction,
    ingestion.advance_notice, ingestion.collection_step from ingestion;
