-- Who may come in, who is in, and which commands were already given. No
-- business data: every table here forgets.

-- Local users: people and scripts that sign in with a name and a password.
create table gateway.local_user (
    user_id uuid primary key,
    name text not null constraint local_user_name_key unique
        check (name = lower(name) and name ~ '^[a-z0-9][a-z0-9._@-]{0,63}$'),
    -- A PHC string, argon2id.
    password_hash text not null,
    roles text[] not null check (cardinality(roles) between 1 and 16),
    -- Made by `--demo`; disabled when the service starts without it.
    demo boolean not null default false,
    disabled_at timestamptz,
    created_at timestamptz not null
);

-- Open sessions. The cookie holds the secret, this only its SHA-256.
create table gateway.session (
    token_sha256 bytea primary key check (octet_length(token_sha256) = 32),
    user_id uuid not null references gateway.local_user on delete cascade,
    created_at timestamptz not null,
    last_seen_at timestamptz not null,
    expires_at timestamptz not null
);
create index session_expires_at on gateway.session (expires_at);
create index session_user_id on gateway.session (user_id);

-- Failed sign-ins, per user name and per address: each more delays the next.
create table gateway.sign_in_failure (
    subject text primary key check (length(subject) <= 128),
    failures integer not null check (failures > 0),
    last_at timestamptz not null
);
create index sign_in_failure_last_at on gateway.sign_in_failure (last_at);

-- One command per caller, route and key, with the answer that it got.
create table gateway.idempotency (
    caller uuid not null,
    route text not null check (length(route) <= 200),
    key text not null check (length(key) between 1 and 200),
    request_sha256 bytea not null check (octet_length(request_sha256) = 32),
    started_at timestamptz not null,
    -- It ended without an answer that can be kept: the same request may be sent
    -- again at once.
    released boolean not null default false,
    -- Both absent while the command is under way.
    status smallint check (status between 200 and 299),
    body bytea,
    primary key (caller, route, key),
    check ((status is null) = (body is null))
);
create index idempotency_started_at on gateway.idempotency (started_at);
