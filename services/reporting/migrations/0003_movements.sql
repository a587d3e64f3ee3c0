-- Money after matching: debts that changed without cash, and money that left a
-- receipt other than onto a document. Facts like the others: see 0001.

-- `version` is that of the receipt's step that the line came with, where it came
-- with one; who and why stand here, because not every line has a receipt.
create table reporting.adjustment (
    generation smallint not null,
    adjustment_id uuid not null,
    kind text not null,
    document_id uuid not null,
    account_id uuid not null,
    amount numeric(20, 4) not null,
    currency text not null,
    effective_on date not null,
    recorded_at timestamptz not null,
    contra_of uuid,
    receipt_id uuid,
    version bigint,
    cause uuid,
    actor text not null,
    reason text not null,
    event_id uuid not null,
    primary key (generation, adjustment_id)
) partition by list (generation);
create table reporting.adjustment_0 partition of reporting.adjustment for values in (0);
create table reporting.adjustment_1 partition of reporting.adjustment for values in (1);
create index adjustment_by_document on reporting.adjustment (generation, document_id);
create index adjustment_by_account on reporting.adjustment (generation, account_id);

create table reporting.outflow (
    generation smallint not null,
    receipt_id uuid not null,
    outflow_id uuid not null,
    version bigint not null,
    kind text not null,
    amount numeric(20, 4) not null,
    currency text not null,
    effective_on date not null,
    recorded_at timestamptz not null,
    contra_of uuid,
    cause uuid,
    primary key (generation, receipt_id, outflow_id)
) partition by list (generation);
create table reporting.outflow_0 partition of reporting.outflow for values in (0);
create table reporting.outflow_1 partition of reporting.outflow for values in (1);

revoke update, delete on
    reporting.adjustment, reporting.adjustment_0, reporting.adjustment_1,
    reporting.outflow, reporting.outflow_0, reporting.outflow_1
from reporting;
grant truncate on
    reporting.adjustment_0, reporting.adjustment_1, reporting.outflow_0, reporting.outflow_1
to reporting;

-- As in 0002, with what was settled without cash.
create or replace function reporting.documents_at(as_of date, known_at timestamptz)
returns table (
    document_id uuid, document_ref text, kind text, account_id uuid, account_ref text, matter_ref text,
    issued_on date, due_on date, amount numeric, open_amount numeric, currency text
)
language sql stable as $$
    select d.document_id, d.document_ref, d.kind, d.account_id, d.account_ref, d.matter_ref,
           d.issued_on, d.due_on, d.amount, d.amount - coalesce(sum(l.amount), 0), d.currency
    from reporting.document d
    left join (
        select a.generation, a.document_id, a.amount, a.effective_on, a.recorded_at from reporting.allocation a
        union all
        select j.generation, j.document_id, j.amount, j.effective_on, j.recorded_at from reporting.adjustment j
    ) l
        on l.generation = d.generation and l.document_id = d.document_id
        and l.effective_on <= as_of and l.recorded_at <= known_at
    where d.generation = (select v.generation from reporting.live v)
        and d.issued_on <= as_of and d.recorded_at <= known_at
    group by d.generation, d.document_id
$$;

-- As in 0002, with what had left a receipt.
drop function reporting.receipts_at(date, timestamptz);
create function reporting.receipts_at(as_of date, known_at timestamptz)
returns table (
    receipt_id uuid, bank_reference text, booked_on date, amount numeric, paid_out numeric, unallocated numeric,
    currency text, payer_name text, narrative text, account_id uuid, account_ref text
)
language sql stable as $$
    select r.receipt_id, r.bank_reference, r.booked_on, r.amount, coalesce(gone.amount, 0),
           r.amount - coalesce(paid.amount, 0) - coalesce(gone.amount, 0), r.currency,
           r.payer_name, r.narrative, owner.account_id, owner.account_ref
    from reporting.receipt r
    cross join lateral (
        select o.account_id, o.account_ref
        from (
            select m.version, m.account_id, m.account_ref
            from reporting.movement m
            where m.generation = r.generation and m.receipt_id = r.receipt_id and m.recorded_at <= known_at
            union all
            select r.version, r.account_id, r.account_ref
        ) o
        order by o.version desc
        limit 1
    ) owner
    left join lateral (
        select sum(l.amount) as amount
        from reporting.allocation l
        where l.generation = r.generation and l.receipt_id = r.receipt_id
            and l.effective_on <= as_of and l.recorded_at <= known_at
    ) paid on true
    left join lateral (
        select sum(o.amount) as amount
        from reporting.outflow o
        where o.generation = r.generation and o.receipt_id = r.receipt_id
            and o.effective_on <= as_of and o.recorded_at <= known_at
    ) gone on true
    where r.generation = (select v.generation from reporting.live v)
        and r.booked_on <= as_of and r.recorded_at <= known_at
$$;
