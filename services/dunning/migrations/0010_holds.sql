-- Holds, promises and plans: each whole in its body, with the columns that are
-- looked for. What they stop is in dunning.stop.
create table dunning.hold (
    hold_id uuid primary key,
    state text not null,
    account_id uuid not null,
    kind text not null,
    starts_on date not null,
    -- The last day that it stops.
    ends_on date,
    -- The review that nobody has been told of yet.
    review_due date,
    body jsonb not null
);
create index hold_account on dunning.hold (account_id);
create index hold_active on dunning.hold (hold_id) where state = 'active';

create table dunning.promise (
    promise_id uuid primary key,
    state text not null,
    account_id uuid not null,
    -- The last day of the grace of the next payment that is to come: after it the
    -- promise is judged by the clock.
    next_on date,
    -- The day that the next payment is due.
    due_on date not null,
    body jsonb not null
);
create index promise_account on dunning.promise (account_id);
create index promise_next on dunning.promise (next_on) where next_on is not null;

create table dunning.plan (
    plan_id uuid primary key,
    state text not null,
    account_id uuid not null,
    next_on date,
    body jsonb not null
);
create index plan_account on dunning.plan (account_id);
create index plan_next on dunning.plan (next_on) where next_on is not null;
