-- Matters and the money that is held for clients. Client money and the firm's
-- own never net: they are on different sides, accounts and bank accounts.

create table allocation.matter (
    matter_id uuid primary key,
    matter_ref text not null constraint matter_ref_once unique,
    -- Rises with every change, money among them.
    version bigint not null,
    -- Ingestion's version: what comes late and is older changes nothing.
    source_version bigint not null,
    account_id uuid not null,
    account_ref text not null,
    title text not null,
    fee_earner text,
    opened_on date not null,
    concluded_on date,
    closed_on date,
    status text not null check (status in ('opened', 'concluded', 'closed', 'reopened')),
    status_on date not null,
    -- Why client money is properly held, as a person said, and until when.
    hold_reason text,
    hold_until date,
    hold_ended_on date,
    ref_key text not null,
    recorded_at timestamptz not null,
    constraint hold_is_whole check ((hold_reason is null) = (hold_until is null))
);
create index matter_account on allocation.matter (account_id);

-- Every status that a matter was told to have: files are counted from these.
create table allocation.matter_status (
    seq bigint generated always as identity primary key,
    matter_id uuid not null references allocation.matter,
    status text not null,
    effective_on date not null,
    recorded_at timestamptz not null
);
create index matter_status_of on allocation.matter_status (matter_id, effective_on, seq);

-- Which matter a document of the ledger is of.
create table allocation.matter_document (
    document_id uuid primary key,
    matter_ref text not null
);
create index matter_document_of on allocation.matter_document (matter_ref);

-- Whose money our bank accounts hold; business when not told.
create table allocation.bank_account (
    bank_account text primary key,
    designation text not null check (designation in ('business', 'client')),
    version bigint not null
);

-- The ledger of a matter. What a receipt, allocation or adjustment brought has
-- that row's id; the business side is otherwise read from those.
create table allocation.matter_entry (
    entry_id uuid primary key,
    matter_id uuid not null references allocation.matter,
    side text not null check (side in ('client', 'business')),
    kind text not null check (kind in ('received', 'transferred', 'paid_out', 'returned', 'charity',
        'disbursement_paid', 'correction')),
    currency text not null,
    -- Positive: the side has more.
    amount numeric(20, 4) not null check (amount <> 0),
    component text check (component in ('damages', 'disbursement', 'costs', 'vat')),
    receipt_id uuid,
    document_id uuid,
    disbursement_id uuid,
    payee text,
    contra_of uuid,
    cause uuid not null,
    reason text not null,
    actor text not null,
    effective_on date not null,
    recorded_at timestamptz not null
);
create index matter_entry_of on allocation.matter_entry (matter_id, entry_id);
create index matter_entry_receipt on allocation.matter_entry (receipt_id) where receipt_id is not null;
create unique index matter_entry_undone_once on allocation.matter_entry (contra_of) where contra_of is not null;
create trigger matter_entry_append_only before update or delete or truncate on allocation.matter_entry
    for each statement execute function allocation.refuse_change();

-- What is held for a client (SRA 5.3: never less than nothing). Kept by a
-- trigger, so that no code can get past the constraint.
create table allocation.client_balance (
    matter_id uuid not null references allocation.matter,
    currency text not null,
    amount numeric(20, 4) not null,
    last_moved_on date not null,
    primary key (matter_id, currency),
    constraint client_balance_never_negative check (amount >= 0)
);
create index client_balance_held on allocation.client_balance (matter_id) where amount > 0;

create function allocation.keep_client_balance() returns trigger language plpgsql
    security definer set search_path = allocation, pg_temp as $$
begin
    -- A row to lock first: the insert of a negative amount alone would be
    -- refused before it could meet what is held.
    insert into allocation.client_balance (matter_id, currency, amount, last_moved_on)
        values (new.matter_id, new.currency, 0, new.effective_on) on conflict do nothing;
    update allocation.client_balance
        set amount = amount + new.amount, last_moved_on = greatest(last_moved_on, new.effective_on)
        where matter_id = new.matter_id and currency = new.currency;
    return null;
end
$$;
create trigger matter_entry_balance after insert on allocation.matter_entry
    for each row when (new.side = 'client') execute function allocation.keep_client_balance();

-- Money that the books have on one side and the bank on the other.
create table allocation.bank_move (
    move_id uuid primary key,
    matter_id uuid not null references allocation.matter,
    kind text not null check (kind in ('mixed_receipt', 'office_transfer', 'shortage')),
    to_side text not null check (to_side in ('client', 'business')),
    currency text not null,
    amount numeric(20, 4) not null check (amount > 0),
    from_account text,
    receipt_id uuid,
    arose_on date not null,
    due_by date not null,
    done_on date,
    reason text not null,
    actor text not null,
    recorded_at timestamptz not null
);
create index bank_move_open on allocation.bank_move (due_by, move_id) where done_on is null;
create index bank_move_matter on allocation.bank_move (matter_id);
create index bank_move_receipt on allocation.bank_move (receipt_id) where receipt_id is not null;

-- Client money without a reason to hold it.
create table allocation.residual (
    residual_id uuid primary key,
    version bigint not null,
    matter_id uuid not null references allocation.matter,
    currency text not null,
    state text not null check (state in ('open', 'proposed', 'closed')),
    -- The day on which the last proper reason ended.
    since date not null,
    level smallint not null,
    sra_applied_on date,
    sra_reference text,
    route text check (route in ('returned', 'charity', 'sra_authorised')),
    payee text,
    charity_number text,
    route_reason text,
    requested_by text,
    requested_at timestamptz,
    decided_by text,
    decided_at timestamptz,
    opened_at timestamptz not null,
    closed_at timestamptz,
    constraint closed_has_a_time check ((state = 'closed') = (closed_at is not null)),
    constraint second_person check (decided_by is null or decided_by <> requested_by)
);
create unique index residual_open_once on allocation.residual (matter_id, currency) where closed_at is null;
create index residual_by_age on allocation.residual (since, residual_id) where closed_at is null;

create table allocation.residual_tracing (
    seq bigint generated always as identity primary key,
    residual_id uuid not null references allocation.residual,
    happened_on date not null,
    channel text not null,
    outcome text not null,
    actor text not null,
    recorded_at timestamptz not null
);
create index residual_tracing_of on allocation.residual_tracing (residual_id, seq);

create table allocation.residual_event (
    seq bigint generated always as identity primary key,
    residual_id uuid not null references allocation.residual,
    step text not null,
    detail text not null,
    actor text not null,
    recorded_at timestamptz not null
);
create index residual_event_of on allocation.residual_event (residual_id, seq);

-- The central register of what went to charity: kept at least six years.
create table allocation.charity_register (
    residual_id uuid primary key references allocation.residual,
    matter_ref text not null,
    owner text not null,
    currency text not null,
    amount numeric(20, 4) not null check (amount > 0),
    charity text not null,
    charity_number text not null,
    paid_on date not null,
    route text not null,
    sra_reference text,
    requested_by text not null,
    approved_by text not null,
    recorded_at timestamptz not null,
    constraint two_people check (requested_by <> approved_by)
);

-- What was spent on a matter and shall come back.
create table allocation.disbursement (
    disbursement_id uuid primary key,
    version bigint not null,
    matter_id uuid not null references allocation.matter,
    kind text not null,
    supplier text not null,
    currency text not null,
    -- With VAT.
    amount numeric(20, 4) not null check (amount > 0),
    vat numeric(20, 4) not null check (vat >= 0),
    incurred_on date not null,
    paid_on date,
    funded_by text check (funded_by in ('client', 'business')),
    recoverable_from text,
    supplier_state text not null,
    recovery_state text not null,
    agreed numeric(20, 4),
    recovered numeric(20, 4) not null default 0 check (recovered >= 0),
    refunded numeric(20, 4) not null default 0 check (refunded between 0 and amount),
    write_off_requested_by text,
    recorded_at timestamptz not null
);
create index disbursement_matter on allocation.disbursement (matter_id);
create index disbursement_outstanding on allocation.disbursement (incurred_on, disbursement_id)
    where supplier_state <> 'paid' or recovery_state in ('not_claimed', 'claimed', 'agreed', 'shortfall');

create table allocation.disbursement_event (
    seq bigint generated always as identity primary key,
    disbursement_id uuid not null references allocation.disbursement,
    version bigint not null,
    step text not null,
    happened_on date not null,
    amount numeric(20, 4),
    reason text not null,
    actor text not null,
    recorded_at timestamptz not null
);
create index disbursement_event_of on allocation.disbursement_event (disbursement_id, seq);

-- Limits and times, each valid from a day on, with where it comes from.
create table allocation.legal_setting (
    name text not null,
    value numeric(20, 4) not null,
    valid_from date not null,
    source text not null,
    primary key (name, valid_from)
);
insert into allocation.legal_setting (name, value, valid_from, source) values
    ('charity_limit_gbp', 500, '2019-11-25', 'SRA statement on rule 5.1(c), prescribed circumstances: GBP 500 a client matter'),
    ('tracing_steps_needed', 2, '2019-11-25', 'house policy; the SRA asks for adequate steps'),
    ('inactive_days', 180, '2019-11-25', 'house policy; SRA rule 2.5 says promptly'),
    ('escalation_days_1', 7, '2019-11-25', 'house policy'),
    ('escalation_days_2', 14, '2019-11-25', 'house policy'),
    ('escalation_days_3', 28, '2019-11-25', 'house policy'),
    ('to_client_working_days', 1, '2019-11-25', 'SRA rules 2.3 and 4.2, promptly: the next working day'),
    ('to_business_working_days', 1, '2019-11-25', 'house policy; SRA rule 4.2 says promptly');

-- Age bands, each up to a number of days; the last has none.
create table allocation.age_band (
    up_to integer,
    name text not null,
    valid_from date not null,
    constraint age_band_once unique nulls not distinct (valid_from, up_to)
);
insert into allocation.age_band (up_to, name, valid_from) values
    (30, '0–30', '2019-11-25'), (60, '31–60', '2019-11-25'), (90, '61–90', '2019-11-25'),
    (180, '91–180', '2019-11-25'), (365, '181–365', '2019-11-25'), (null, 'over 365', '2019-11-25');

create trigger matter_status_append_only before update or delete or truncate on allocation.matter_status
    for each statement execute function allocation.refuse_change();
create trigger residual_tracing_append_only before update or delete or truncate on allocation.residual_tracing
    for each statement execute function allocation.refuse_change();
create trigger residual_event_append_only before update or delete or truncate on allocation.residual_event
    for each statement execute function allocation.refuse_change();
create trigger charity_register_append_only before update or delete or truncate on allocation.charity_register
    for each statement execute function allocation.refuse_change();
create trigger disbursement_event_append_only before update or delete or truncate on allocation.disbursement_event
    for each statement execute function allocation.refuse_change();
revoke update, delete, truncate on allocation.matter_entry, allocation.matter_status, allocation.residual_tracing,
    allocation.residual_event, allocation.charity_register, allocation.disbursement_event from allocation;
revoke insert, update, delete, truncate on allocation.client_balance from allocation;
revoke insert, update, delete, truncate on allocation.legal_setting, allocation.age_band from allocation;

-- Client money that paid a bill.
alter table allocation.adjustment drop constraint adjustment_kind_check;
alter table allocation.adjustment add constraint adjustment_kind_check check (
    kind in ('write_off', 'small_balance', 'discount', 'bank_charge', 'offset', 'client_transfer'));
