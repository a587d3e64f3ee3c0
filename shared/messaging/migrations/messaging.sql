-- What every service needs to take part in the way of a message. `{schema}` is
-- the service's own schema. Run again and again: every statement is a no-op the
-- second time.

-- Claimed message ids: an id that is here has had its effect.
create table if not exists {schema}.inbox (
    message_id uuid primary key,
    claimed_at timestamptz not null default now()
);
create index if not exists inbox_claimed_at on {schema}.inbox using brin (claimed_at);

-- Facts on their way out. The relay reads in commit order: `tx` below the
-- oldest transaction still running, then `seq`. Rows stay after publishing,
-- because the broker's acknowledgement is no fsync.
create table if not exists {schema}.outbox (
    tx xid8 not null default pg_current_xact_id(),
    seq bigint generated always as identity,
    event_id uuid not null,
    aggregate_id uuid not null,
    aggregate_version bigint not null,
    subject text not null,
    event_type text not null,
    partition_key text not null,
    correlation_id uuid not null,
    causation_id uuid not null,
    traceparent text not null,
    payload text not null,
    recorded_at timestamptz not null,
    primary key (tx, seq)
);
create index if not exists outbox_recorded_at on {schema}.outbox using brin (recorded_at);

-- The next facts to publish, in commit order. Two statements with a snapshot
-- each: first the horizon, which is the oldest transaction of this service that
-- still runs, or the one that comes next; then the rows below it. A transaction
-- of ours that ends in between is seen by the second. What other services in
-- the same database do is not waited for: a transaction is this service's if
-- its role runs it, and nobody else may write here. The plan is made once, not
-- with each look, and whatever the statistics say it walks the primary key.
create or replace function {schema}.relay_window(after_tx xid8, after_seq bigint, most integer)
returns setof {schema}.outbox language plpgsql volatile
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off as $$
declare
    horizon xid8 := coalesce(
        (select running from pg_snapshot_xip(pg_current_snapshot()) running
         join pg_stat_activity a on a.backend_xid = running::xid
         where a.usename = current_user order by running limit 1),
        pg_snapshot_xmax(pg_current_snapshot()));
begin
    return query select o.* from {schema}.outbox o
        where (o.tx, o.seq) > (after_tx, after_seq) and o.tx < horizon order by o.tx, o.seq limit most;
end
$$;

create table if not exists {schema}.relay_cursor (
    single boolean primary key default true check (single),
    tx xid8 not null default '0',
    seq bigint not null default 0
);
insert into {schema}.relay_cursor default values on conflict do nothing;

-- Messages that could not be handled, whole, until a person decides.
create table if not exists {schema}.dead_letter (
    dead_letter_id uuid primary key,
    message_id uuid not null,
    subject text not null,
    message_type text,
    headers jsonb not null,
    payload bytea not null,
    stream text not null,
    stream_sequence bigint not null,
    code text not null,
    detail text not null,
    attempts integer not null,
    money_impact text,
    state text not null default 'waiting' check (state in ('waiting', 'replayed', 'discarded')),
    failed_at timestamptz not null,
    settled_at timestamptz,
    settled_by text,
    settled_reason text
);
-- What failed, for programs: the class of the failure, which fields of the
-- payload, and the line at which reading it ended.
alter table {schema}.dead_letter add column if not exists class text;
alter table {schema}.dead_letter add column if not exists fields jsonb not null default '[]';
alter table {schema}.dead_letter add column if not exists line integer;
create index if not exists dead_letter_waiting on {schema}.dead_letter (failed_at) where state = 'waiting';
