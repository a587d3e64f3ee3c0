-- That an account or the accounts of a parent have a policy, as it was asked of a second
-- person; what was approved is in dunning.policy_assignment too.
create table dunning.assignment_request (
    assignment_id uuid primary key,
    to_kind text not null check (to_kind in ('account', 'parent')),
    reference text not null,
    policy text,
    valid_from date not null,
    state text not null check (state in ('requested', 'assigned', 'rejected')),
    approval_id uuid not null,
    requested_at timestamptz not null,
    actor text not null,
    reason text not null,
    decided_by text,
    decided_at timestamptz
);
create unique index assignment_waits on dunning.assignment_request (to_kind, reference) where state = 'requested';
