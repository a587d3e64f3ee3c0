-- Matters (files) as the case system tells them. `content` is BillingMatter.v1
-- as JSON, its fields in the order of the type.
create table ingestion.matter (
    matter_id uuid primary key,
    matter_ref text not null constraint matter_ref_once unique,
    version bigint not null check (version > 0),
    content text not null,
    first_seen_at timestamptz not null,
    recorded_at timestamptz not null
);
revoke delete, truncate on ingestion.matter from ingestion;

-- Rises with every change of the designation; 0 while nobody has said anything.
alter table ingestion.bank_account add column version bigint not null default 0;
