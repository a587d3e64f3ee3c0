-- A report may come before its mandate: then it is about nobody, and is heard
-- when the mandate is told. So what it says is kept whole, and in its order.
alter table ingestion.mandate_advice
    add column arrival bigint generated always as identity,
    -- The service user's; empty from who still runs the version before.
    add column user_number text not null default '',
    add column payer_name text,
    -- kernel::BankAccount::key
    add column new_payer_account text,
    -- The file that told it.
    add column import_id uuid references ingestion.import;
update ingestion.mandate_advice set user_number = split_part(advice_key, '|', 2),
    new_payer_account = nullif(split_part(advice_key, '|', 7), '');
create index mandate_advice_unheard on ingestion.mandate_advice (reference collate "C") where mandate_id is null;

-- Of what was about nobody: whom it was about, and what came of it then. What
-- was noted when it came stays as it is.
create table ingestion.mandate_advice_later (
    advice_key text primary key references ingestion.mandate_advice,
    mandate_id uuid not null references ingestion.mandate,
    outcome text not null,
    -- The message or file that told the mandate.
    because_of uuid not null,
    recorded_at timestamptz not null
);
revoke update, delete, truncate on ingestion.mandate_advice_later from ingestion;
