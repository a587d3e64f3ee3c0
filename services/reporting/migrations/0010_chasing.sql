-- What dunning did with accounts, as a line of their story: one row for each event.
-- It moves no figure, so it belongs to no generation and is not rebuilt.
create table reporting.chasing (
    event_id uuid primary key,
    account_id uuid not null,
    kind text not null check (kind in ('contact', 'hold', 'promise', 'plan')),
    summary text not null,
    amount numeric(20, 4),
    currency text,
    effective_on date not null,
    recorded_at timestamptz not null,
    actor text not null,
    reason text not null
);
create index chasing_by_account on reporting.chasing (account_id, recorded_at);
revoke update, delete, truncate on reporting.chasing from reporting;
