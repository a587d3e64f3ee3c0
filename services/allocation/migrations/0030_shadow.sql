-- What shadow rules would have done, beside the live ones. Rows of a batch are
-- only added, so that no row is hot; no foreign key, because a version never goes.

create table allocation.shadow_tally (
    version bigint not null,
    decided_on date not null,
    outcome text not null check (outcome in ('same', 'live_only', 'shadow_only', 'different_lines')),
    receipts integer not null check (receipts > 0),
    recorded_at timestamptz not null
);
create index shadow_tally_version on allocation.shadow_tally (version, decided_on);

-- A few of each day and outcome.
create table allocation.shadow_example (
    version bigint not null,
    decided_on date not null,
    outcome text not null check (outcome in ('live_only', 'shadow_only', 'different_lines')),
    receipt_id uuid not null,
    -- contracts::api::rules::ReplayDecision
    live jsonb not null,
    shadow jsonb not null,
    recorded_at timestamptz not null
);
create index shadow_example_version on allocation.shadow_example (version, decided_on, outcome);

create trigger shadow_tally_append_only before update or delete or truncate on allocation.shadow_tally
    for each statement execute function allocation.refuse_change();
create trigger shadow_example_append_only before update or delete or truncate on allocation.shadow_example
    for each statement execute function allocation.refuse_change();
revoke update, delete, truncate on allocation.shadow_tally, allocation.shadow_example from allocation;
