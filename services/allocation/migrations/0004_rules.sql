-- Matching rules as versioned data. What a version says never changes; where it
-- stands does, and every step is kept.

create table allocation.rule_set (
    version bigint generated always as identity primary key,
    scope_kind text not null check (scope_kind in ('ledger', 'segment', 'account')),
    scope_key text not null,
    name text not null,
    -- For receipts booked from this day on.
    valid_from date not null,
    state text not null check (state in ('draft', 'shadow', 'live', 'retired')),
    -- contracts::rules::RuleSet
    rules jsonb not null,
    author text not null,
    -- Who made it live: never the author.
    approver text,
    recorded_at timestamptz not null,
    changed_at timestamptz not null,
    constraint scope_names_something check ((scope_kind = 'ledger') = (scope_key = '')),
    constraint two_people check (state <> 'live' or approver is distinct from author and approver is not null)
);
create index rule_set_live on allocation.rule_set (scope_kind, scope_key) where state = 'live';

create table allocation.rule_step (
    version bigint not null references allocation.rule_set,
    step integer not null,
    state text not null,
    actor text not null,
    reason text not null,
    recorded_at timestamptz not null,
    primary key (version, step)
);

-- Automatic lines that people took back as wrong.
create table allocation.wrong_match (
    allocation_id uuid primary key,
    scope_kind text not null,
    scope_key text not null,
    rule text not null,
    actor text not null,
    recorded_at timestamptz not null
);
create index wrong_match_rule on allocation.wrong_match (rule, scope_kind, scope_key, recorded_at);

-- Rungs that were wrong too often, and second people who let them post again.
create table allocation.rule_demotion (
    demotion_id uuid primary key,
    scope_kind text not null,
    scope_key text not null,
    rule text not null,
    wrong bigint not null,
    lines bigint not null,
    actor text not null,
    reason text not null,
    recorded_at timestamptz not null
);
create table allocation.rule_restoration (
    demotion_id uuid primary key references allocation.rule_demotion,
    actor text not null,
    reason text not null,
    recorded_at timestamptz not null
);

create trigger rule_step_append_only before update or delete or truncate on allocation.rule_step
    for each statement execute function allocation.refuse_change();
create trigger wrong_match_append_only before update or delete or truncate on allocation.wrong_match
    for each statement execute function allocation.refuse_change();
create trigger rule_demotion_append_only before update or delete or truncate on allocation.rule_demotion
    for each statement execute function allocation.refuse_change();
create trigger rule_restoration_append_only before update or delete or truncate on allocation.rule_restoration
    for each statement execute function allocation.refuse_change();
revoke update, delete, truncate on allocation.rule_step, allocation.wrong_match, allocation.rule_demotion,
    allocation.rule_restoration from allocation;
revoke update, delete, truncate on allocation.rule_set from allocation;
grant update (state, approver, changed_at) on allocation.rule_set to allocation;

-- Whose rules an account has; the amount that a discount may be of.
alter table allocation.account add column segment text;
alter table allocation.open_item add column net numeric(20, 4);

-- src/domain/rules/shipped.toml; a test compares the two.
insert into allocation.rule_set (scope_kind, scope_key, name, valid_from, state, rules, author, approver, recorded_at,
    changed_at)
values ('ledger', '', 'As shipped', '2000-01-01', 'live',
    '{"name":"As shipped","scope":"ledger","valid_from":"2000-01-01","rungs":[{"rule":"remittance","mode":"automatic"},{"rule":"own_reference","mode":"automatic"},{"rule":"document_number","mode":"automatic"},{"rule":"near_number","mode":"automatic"},{"rule":"payer_amount","mode":"automatic"},{"rule":"balance","mode":"automatic"},{"rule":"subset_sum","mode":"automatic"}],"disputed":"leave_out","budget":{"wrong":10,"lines":10000,"days":90}}',
    'system:shipped', 'system:migrate', now(), now());
insert into allocation.rule_step (version, step, state, actor, reason, recorded_at)
    select version, 1, state, author, 'shipped with the program', recorded_at from allocation.rule_set;
