-- People, whose accounts are whose, work items and their clocks.

-- What worklist knows of debtor accounts, to find whose they are.
create table worklist.account (
    account_id uuid primary key,
    account_ref text not null unique,
    version bigint not null,
    name text not null,
    segment text,
    department text,
    last_contact_on date,
    broken_promise_on date
);

-- Who works here. `body` is contracts' Person, without absences.
create table worklist.person (
    actor text primary key,
    version bigint not null,
    body jsonb not null
);

create table worklist.absence (
    absence_id uuid primary key,
    actor text not null references worklist.person,
    from_on date not null,
    to_on date not null,
    reason text not null,
    cancelled boolean not null default false,
    check (from_on <= to_on)
);
create index absence_of on worklist.absence (actor, to_on) where not cancelled;

-- One person doing another's work for a time. It is active from its first day
-- to its last, which is done once each by whoever looks first.
create table worklist.cover (
    cover_id uuid primary key,
    version bigint not null,
    owner text not null,
    covered_by text not null,
    absence_id uuid references worklist.absence,
    from_on date not null,
    to_on date not null,
    state text not null check (state in ('planned', 'active', 'ended', 'cancelled')),
    reason text not null,
    begun_at timestamptz,
    ended_at timestamptz,
    moved bigint not null default 0,
    digest jsonb,
    check (from_on <= to_on and owner <> covered_by)
);
create index cover_due on worklist.cover (from_on) where state in ('planned', 'active');

-- Whose accounts are whose. `body` is contracts' PortfolioRule.
create table worklist.portfolio_rule (
    rule_id uuid primary key,
    made bigint generated always as identity,
    owner text not null,
    body jsonb not null,
    ended boolean not null default false
);

-- One for each kind and subject, for good. Columns are those of domain::item.
create table worklist.work_item (
    work_item_id uuid primary key,
    version bigint not null,
    kind text not null,
    subject_id uuid not null,
    subject_ref text not null,
    subject_version bigint not null,
    related_id uuid,
    detail text not null,
    account_id uuid,
    account_ref text,
    amount numeric,
    currency text,
    state text not null check (state in ('open', 'in_progress', 'waiting', 'done', 'closed')),
    owner text not null check (owner <> ''),
    owner_source text not null,
    holder text not null check (holder <> ''),
    cover_id uuid,
    skill text not null,
    minutes integer not null,
    score integer not null,
    parts jsonb not null,
    by_hand integer not null,
    by_hand_reason text,
    back_on date,
    back_reason text,
    business_at timestamptz not null,
    sla text not null,
    due_at timestamptz,
    escalated smallint not null,
    outcome text,
    outcome_note text,
    no_next_reason text,
    ended_at timestamptz,
    ended_by text,
    changed_at timestamptz not null,
    constraint one_per_kind_and_subject unique (subject_id, kind),
    constraint waits_for_a_day check (state <> 'waiting' or back_on is not null)
);
create index work_item_ranked on worklist.work_item (score desc, work_item_id)
    where state in ('open', 'in_progress', 'waiting');
create index work_item_held on worklist.work_item (holder, score desc, work_item_id)
    where state in ('open', 'in_progress', 'waiting');
create index work_item_owned on worklist.work_item (owner) where state in ('open', 'in_progress', 'waiting');
create index work_item_of_account on worklist.work_item (account_id)
    where state in ('open', 'in_progress', 'waiting');
create index work_item_related on worklist.work_item (related_id) where related_id is not null;
create index work_item_ended on worklist.work_item (ended_at desc) where ended_at is not null;

-- A row as the program reads it: money as text, so that no float comes near it.
create view worklist.work_item_row as
    select i.*, to_jsonb(i) || jsonb_build_object('amount', i.amount::text) as body from worklist.work_item i;

-- What happened to an item: lines are only added.
create table worklist.work_step (
    work_item_id uuid not null,
    version bigint not null,
    step text not null,
    actor text not null,
    reason text not null,
    recorded_at timestamptz not null,
    primary key (work_item_id, version)
);
create function worklist.refuse_step_change() returns trigger language plpgsql as $$
begin
    raise exception 'worklist.% is append-only', tg_table_name;
end
$$;
create trigger work_step_append_only before update or delete or truncate on worklist.work_step
    for each statement execute function worklist.refuse_step_change();
revoke update, delete, truncate on worklist.work_step from worklist;
create index work_step_recorded on worklist.work_step using brin (recorded_at);

-- Runs of clocks. `next_due_at` is when a clock has something to say next: the
-- timer reads nothing but this index.
create table worklist.sla_clock (
    work_item_id uuid not null references worklist.work_item,
    cycle integer not null,
    policy text not null,
    policy_version integer not null,
    started_at timestamptz not null,
    spent bigint not null,
    running_since timestamptz,
    pause_reason text,
    fired integer not null,
    next_due_at timestamptz,
    due_at timestamptz,
    stopped_at timestamptz,
    state text not null,
    primary key (work_item_id, cycle)
);
create index sla_clock_due on worklist.sla_clock (next_due_at, work_item_id) where next_due_at is not null;

-- Versions of policies beside those that the program comes with. `body` is
-- contracts' SlaPolicy.
create table worklist.sla_policy (
    policy text not null,
    version integer not null,
    body jsonb not null,
    changed_by text not null,
    reason text not null,
    changed_at timestamptz not null,
    primary key (policy, version)
);

-- What is done once a day, and on which day it was done last.
create table worklist.daily (
    what text primary key,
    done_on date not null
);
