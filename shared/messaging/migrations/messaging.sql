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
create index if not exists dead_letter_waiting on {schema}.dead_letter (failed_at) where state = 'waiting';
