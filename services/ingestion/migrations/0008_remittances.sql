-- Remittance advices that came apart from the cash, as they came in. What is
-- recorded is never changed.
create table ingestion.remittance (
    remittance_id uuid primary key,
    -- Together they identify an advice for ever.
    source text not null,
    remittance_ref text not null,
    -- The day on which the payer says that it pays.
    paid_on date not null,
    total numeric(20, 4) not null check (total > 0),
    currency text not null,
    -- Of everything that remittance_recorded tells on.
    content_hash uuid not null,
    -- Remittance.v1 as JSON.
    content text not null,
    message_id uuid,
    recorded_at timestamptz not null,
    constraint remittance_once unique (source, remittance_ref)
);
create index remittance_recorded_at on ingestion.remittance using brin (recorded_at);
revoke update, delete, truncate on ingestion.remittance from ingestion;
