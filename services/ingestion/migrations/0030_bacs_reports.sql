-- Reports of Bacs, as they came in. What is recorded is never changed.

-- A report as one file told it: the same report may come again, perhaps longer.
create table ingestion.bacs_report (
    report_id uuid primary key,
    -- arudd, arucs, ddica, addacs, auddis, awacs, input, withdrawal
    kind text not null,
    service_user_number text not null,
    number text,
    -- The processing day; of a report that does not say, the day it came.
    reported_on date not null,
    import_id uuid not null references ingestion.import (import_id),
    items integer not null,
    new_items integer not null,
    -- What its items of money come to.
    total numeric(20, 4),
    recorded_at timestamptz not null
);
create index bacs_report_days on ingestion.bacs_report (kind, service_user_number, reported_on);
create index bacs_report_import on ingestion.bacs_report (import_id);

-- A record of a report, once, however many reports have it.
create table ingestion.bacs_record (
    record_id uuid primary key,
    -- See domain::bacs::record_key.
    record_key uuid not null constraint bacs_record_once unique,
    report_id uuid not null references ingestion.bacs_report,
    kind text not null,
    service_user_number text not null,
    -- Our account, where the report names it.
    bank_account text,
    -- The whole record as JSON.
    content text not null,
    recorded_at timestamptz not null
);
create index bacs_record_account on ingestion.bacs_record (service_user_number, bank_account)
    where bank_account is not null;

revoke update, delete, truncate on ingestion.bacs_report, ingestion.bacs_record from ingestion;
