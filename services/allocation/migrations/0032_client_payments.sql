-- Client money that shall leave once a second person has approved it.

create table allocation.client_payment (
    payment_id uuid primary key,
    matter_id uuid not null references allocation.matter,
    state text not null check (state in ('requested', 'paid', 'rejected', 'expired', 'voided', 'taken_back')),
    kind text not null check (kind in ('returned', 'paid_out')),
    currency text not null,
    amount numeric(20, 4) not null check (amount > 0),
    payee text not null,
    bank_account text not null,
    reason text not null,
    requester text not null,
    approval_id uuid not null,
    requested_at timestamptz not null,
    changed_at timestamptz not null
);
create index client_payment_matter on allocation.client_payment (matter_id, requested_at);

-- What was asked for never changes; where it stands does.
revoke update, delete, truncate on allocation.client_payment from allocation;
grant update (state, changed_at) on allocation.client_payment to allocation;
