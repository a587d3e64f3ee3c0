-- Four eyes: requests that a second person decides, and what waits for them.

-- The VAT in a document, positive; null where billing did not say.
alter table allocation.open_item add column vat numeric(20, 4);

-- What a role may approve. Only ever added to: of rows for the same day the
-- one recorded last counts. Shipped defaults: data/approval-limits.csv.
create table allocation.approval_limit (
    kind text not null,
    role text not null,
    currency text not null,
    amount numeric(20, 4) not null check (amount >= 0),
    valid_from date not null,
    actor text not null,
    recorded_at timestamptz not null,
    primary key (kind, role, currency, valid_from, recorded_at)
);

create table allocation.approval (
    approval_id uuid primary key,
    version bigint not null,
    kind text not null check (kind in ('refund', 'write_off', 'small_balances', 'limit_change')),
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
    reason text not null,
    requested_at timestamptz not null,
    expires_at timestamptz not null,
    changed_at timestamptz not null
) with (fillfactor = 80);
create unique index approval_one_pending on allocation.approval (subject_id) where state = 'pending';
create index approval_expiring on allocation.approval (expires_at) where state = 'pending';

create table allocation.approval_decision (
    approval_id uuid not null references allocation.approval,
    actor text not null,
    -- At that moment: a limit lowered afterwards counts at the last decision.
    roles text[] not null,
    verdict text not null check (verdict in ('approve', 'reject')),
    reason text not null,
    limit_amount numeric(20, 4),
    decided_at timestamptz not null,
    -- One person decides once.
    primary key (approval_id, actor)
);

create table allocation.refund (
    refund_id uuid primary key,
    -- In the order of asking: ids come from commands and have none.
    number bigint generated always as identity unique,
    version bigint not null,
    state text not null check (state in ('draft', 'submitted', 'approved', 'verified', 'in_payment_file', 'sent',
        'paid', 'returned', 'rejected', 'expired', 'voided', 'cancelled')),
    receipt_id uuid not null references allocation.receipt,
    account_id uuid,
    account_ref text,
    currency text not null,
    amount numeric(20, 4) not null check (amount > 0),
    reason text not null,
    evidence jsonb not null,
    payee_name text,
    -- Kept only until the refund is over, and only when it is not the source.
    payee_account text,
    payee_masked text,
    payee_reason text,
    to_source boolean not null,
    -- Rises with every change of the payee: what was verified is not any more.
    payee_revision integer not null,
    requester text not null,
    -- The outflow that holds the money.
    reservation uuid,
    approval_id uuid references allocation.approval,
    reference text,
    changed_at timestamptz not null,
    constraint reserved_while_under_way check (
        (reservation is not null) = (state in ('submitted', 'approved', 'verified', 'in_payment_file', 'sent', 'paid')))
) with (fillfactor = 80);
create index refund_receipt on allocation.refund (receipt_id);
create index refund_state on allocation.refund (state, number);

create table allocation.refund_step (
    -- Also the id of the journal entry, where the step has one.
    step_id uuid primary key,
    refund_id uuid not null references allocation.refund,
    version bigint not null,
    state text not null,
    actor text not null,
    reason text not null,
    reference text,
    recorded_at timestamptz not null,
    constraint refund_step_once unique (refund_id, version)
);

create table allocation.write_off (
    write_off_id uuid primary key,
    -- In the order of asking: ids come from commands and have none.
    number bigint generated always as identity unique,
    version bigint not null,
    state text not null check (state in ('requested', 'posted', 'rejected', 'expired', 'voided', 'part_reversed',
        'reversed')),
    account_id uuid not null references allocation.account,
    account_ref text not null,
    reason_code text not null,
    reason text not null,
    currency text not null,
    amount numeric(20, 4) not null check (amount > 0),
    reversed numeric(20, 4) not null check (reversed between 0 and amount),
    requester text not null,
    approval_id uuid references allocation.approval,
    posted_on date,
    changed_at timestamptz not null
) with (fillfactor = 80);
create index write_off_account on allocation.write_off (account_id);

create table allocation.write_off_line (
    write_off_id uuid not null references allocation.write_off,
    line smallint not null,
    document_id uuid not null references allocation.open_item,
    document_ref text not null,
    ref_key text not null,
    part text not null check (part in ('principal', 'interest', 'costs')),
    amount numeric(20, 4) not null check (amount > 0),
    -- When it was asked for.
    open_then numeric(20, 4) not null,
    -- The adjustment in force; a part that is taken back is replaced.
    adjustment_id uuid,
    reversed numeric(20, 4) not null check (reversed between 0 and amount),
    vat numeric(20, 4),
    supplied_on date not null,
    due_on date not null,
    vat_relief boolean not null,
    earliest_claim_on date not null,
    latest_claim_on date not null,
    claimed_on date,
    claimed numeric(20, 4),
    repayable numeric(20, 4) not null,
    primary key (write_off_id, line)
) with (fillfactor = 80);
create index write_off_document on allocation.write_off_line (document_id);

create table allocation.small_balance_run (
    run_id uuid primary key,
    -- In the order of asking: ids come from commands and have none.
    number bigint generated always as identity unique,
    version bigint not null,
    state text not null check (state in ('proposed', 'requested', 'posted', 'rejected', 'expired', 'undone')),
    currency text not null,
    at_most numeric(20, 4) not null,
    lines integer not null,
    amount numeric(20, 4) not null,
    reason text not null,
    requester text not null,
    approval_id uuid references allocation.approval,
    changed_at timestamptz not null
);
create table allocation.small_balance_line (
    run_id uuid not null references allocation.small_balance_run,
    line smallint not null,
    document_id uuid references allocation.open_item,
    receipt_id uuid references allocation.receipt,
    reference text not null,
    amount numeric(20, 4) not null check (amount <> 0),
    -- The adjustment or outflow that cleared it.
    movement_id uuid,
    primary key (run_id, line),
    constraint one_of_both check ((document_id is null) <> (receipt_id is null))
);

create trigger approval_limit_append_only before update or delete or truncate on allocation.approval_limit
    for each statement execute function allocation.refuse_change();
create trigger approval_decision_append_only before update or delete or truncate on allocation.approval_decision
    for each statement execute function allocation.refuse_change();
create trigger refund_step_append_only before update or delete or truncate on allocation.refund_step
    for each statement execute function allocation.refuse_change();
revoke update, delete, truncate on allocation.approval_limit, allocation.approval_decision, allocation.refund_step
    from allocation;
