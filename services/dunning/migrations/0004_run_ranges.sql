-- A run is worked out by ranges of accounts, one transaction each: it can be
-- resumed, shared among replicas, and holds no lock for long.
create table dunning.run_range (
    run_id uuid not null references dunning.run,
    range integer not null,
    from_account uuid not null,
    to_account uuid not null,
    proposed boolean not null default false,
    queued boolean not null default false,
    contacts bigint not null default 0,
    -- SHA-256 of what is proposed in it; the run's own is made of these.
    digest bytea,
    -- Items, accounts and amounts by reason and currency.
    tally jsonb not null default '[]',
    -- Overdue items that were looked at: each must have a reason.
    overdue bigint not null default 0,
    primary key (run_id, range)
);
alter table dunning.run drop column proposed_to;
alter table dunning.run add column tally jsonb not null default '[]';
drop table dunning.run_tally;
