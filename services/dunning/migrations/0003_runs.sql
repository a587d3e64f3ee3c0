-- Dunning runs: scope, frozen proposal, approval, sending, outcome.
create table dunning.run (
    run_id uuid primary key,
    version bigint not null,
    state text not null,
    as_of date not null,
    title text not null,
    -- Policies, segments, accounts and channels that it is limited to.
    scope jsonb not null,
    contacts bigint not null default 0,
    -- One sum for each currency, as money on the wire.
    amounts jsonb not null default '[]',
    -- Of the frozen proposal; absent while it is worked out.
    content_sha256 text,
    approval_id uuid,
    requester text not null,
    approver text,
    reason text not null,
    -- How far the proposal has come: accounts up to this one are in it.
    proposed_to uuid,
    created_at timestamptz not null,
    changed_at timestamptz not null
);
create index run_open on dunning.run (state) where state not in ('sent', 'rejected', 'cancelled');

-- What a run has for an account: who is contacted, and who is not and why.
create table dunning.run_account (
    run_id uuid not null references dunning.run,
    account_id uuid not null,
    account_ref text not null,
    -- excluded (nothing of it is chased), proposed, removed (by a person), queued
    -- (approved), claimed, sent, recalled, failed
    state text not null,
    policy text,
    policy_version integer,
    stage text,
    rank smallint,
    template text,
    channel text,
    -- One sum for each currency of what is claimed, as money on the wire.
    amounts jsonb not null default '[]',
    -- Its overdue items, each with its reason, its stages and what may be chased.
    documents uuid[] not null,
    reasons text[] not null,
    ranks_from smallint[] not null,
    ranks_to smallint[] not null,
    chaseable numeric[] not null,
    currencies text[] not null,
    -- What a person changed, or why it was recalled.
    note text,
    -- A sentence that a person added to the letter.
    sentence text,
    contact_id uuid,
    primary key (run_id, account_id)
);
create index run_account_queue on dunning.run_account (run_id, account_id) where state = 'queued';
-- An item is in one open run only: looked up by its account.
create index run_account_open on dunning.run_account (account_id) where state in ('proposed', 'queued', 'claimed');

create table dunning.run_tally (
    run_id uuid not null references dunning.run,
    reason text not null,
    currency text not null,
    items bigint not null,
    accounts bigint not null,
    amount numeric not null,
    primary key (run_id, reason, currency)
);
