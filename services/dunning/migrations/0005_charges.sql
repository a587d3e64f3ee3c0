create sequence dunning.charge_number;

-- Claims for late payment that were posted. What became of them is in the
-- outbox; amounts are never changed.
create table dunning.charge (
    charge_id uuid primary key,
    version bigint not null,
    charge_ref text not null unique,
    kind text not null check (kind in ('interest', 'compensation', 'fee')),
    state text not null check (state in ('posted', 'waived', 'reversed')),
    account_id uuid not null,
    account_ref text not null,
    document_id uuid not null,
    document_ref text not null,
    amount numeric not null check (amount > 0),
    currency text not null,
    charged_on date not null,
    working jsonb not null,
    actor text not null,
    reason text not null,
    changed_at timestamptz not null
);
create index charge_account on dunning.charge (account_id);
-- Compensation is due once for each invoice (E72).
create unique index charge_compensation_once on dunning.charge (document_id)
    where kind = 'compensation' and state = 'posted';
