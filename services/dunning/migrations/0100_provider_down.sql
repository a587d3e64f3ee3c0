-- Whether the provider of a way takes what is handed over, as it was found last: one
-- row for each way.
create table dunning.provider (
    channel text primary key,
    down_since timestamptz not null,
    -- What it answered last.
    answer text not null,
    tried_at timestamptz not null,
    -- Nothing where none is configured.
    next_try_at timestamptz
);
-- A run that is being sent waits for its provider.
alter table dunning.run add waits boolean not null default false;
