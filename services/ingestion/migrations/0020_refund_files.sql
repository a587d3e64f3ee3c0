-- Payment files of refunds, as they were made: kept whole, never changed.
create table ingestion.refund_file (
    file_id uuid primary key,
    number bigint generated always as identity unique,
    reference text not null constraint refund_file_reference_once unique,
    format text not null,
    bank_account text not null,
    execute_on date not null,
    payments integer not null check (payments > 0),
    currency text not null,
    total numeric(20, 4) not null check (total > 0),
    -- The file itself has bank details: it is in no list and no log.
    content text not null,
    sha256 text not null,
    ordered_by text not null,
    made_at timestamptz not null
);

-- Who has the bytes.
create table ingestion.refund_file_fetch (
    command_id uuid primary key,
    file_id uuid not null references ingestion.refund_file,
    actor text not null,
    fetched_at timestamptz not null
);
create index refund_file_fetched on ingestion.refund_file_fetch (file_id, fetched_at);

revoke update, delete, truncate on ingestion.refund_file, ingestion.refund_file_fetch from ingestion;
