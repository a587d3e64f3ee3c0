-- Four eyes: requests that a second person decides. Services ask by events and
-- carry out what is approved; here stands what was asked for and who decided.

-- What a role may approve. Only ever added to: of rows for the same day the
-- one recorded last counts. Shipped defaults: data/approval-limits.csv.
create table worklist.approval_limit (
    kind text not null,
    role text not null,
    currency text not null,
    amount numeric(20, 4) not null check (amount >= 0),
    valid_from date not null,
    actor text not null,
    recorded_at timestamptz not null,
    primary key (kind, role, currency, valid_from, recorded_at)
);

create table worklist.approval (
    approval_id uuid primary key,
    version bigint not null,
    kind text not null,
    subject_id uuid not null,
    state text not null check (state in ('pending', 'approved', 'rejected', 'expired', 'voided')),
    title text not null,
    currency text not null,
    amount numeric(20, 4) not null check (amount >= 0),
    account_id uuid,
    account_ref text,
    -- Frozen, as canonical JSON.
    content text not null,
    content_sha256 text not null,
    needed smallint not null check (needed between 1 and 2),
    requester text not null,
    -- Without the way in, in lower case: people are told apart by it.
    requester_name text not null,
    reason text not null,
    requested_at timestamptz not null,
    expires_at timestamptz not null,
    changed_at timestamptz not null,
    carried_out_at timestamptz,
    ended_because text,
    constraint only_approved_is_carried_out check (carried_out_at is null or state = 'approved')
) with (fillfactor = 80);
create index approval_expiring on worklist.approval (expires_at) where state = 'pending';
create index approval_of_requester on worklist.approval (requester_name, approval_id);

create table worklist.approval_decision (
    approval_id uuid not null references worklist.approval,
    actor text not null,
    name text not null,
    -- At that moment: a limit lowered afterwards counts at the last decision.
    roles text[] not null,
    verdict text not null check (verdict in ('approve', 'reject')),
    reason text not null,
    limit_amount numeric(20, 4),
    decided_at timestamptz not null,
    -- One person decides once.
    primary key (approval_id, name)
);

-- Requests that were taken back before they came: facts may overtake each other.
create table worklist.approval_withdrawn_early (
    approval_id uuid primary key,
    actor text not null,
    reason text not null,
    recorded_at timestamptz not null
);

create function worklist.refuse_change_of_decisions() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end
$$;
create trigger approval_limit_append_only before update or delete or truncate on worklist.approval_limit
    for each statement execute function worklist.refuse_change_of_decisions();
create trigger approval_decision_append_only before update or delete or truncate on worklist.approval_decision
    for each statement execute function worklist.refuse_change_of_decisions();
revoke update, delete, truncate on worklist.approval_limit, worklist.approval_decision from worklist;
