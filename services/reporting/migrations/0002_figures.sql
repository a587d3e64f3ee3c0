-- What the figures mean, in one place: every report reads these, so that they
-- tie. Plain SQL functions, which the planner takes apart and plans as part of
-- the asking statement: conditions on an account reach the indexes.

-- For writers of the live projection: waits while a rebuild compares or swaps
-- generations, then tells which one is live. PL/pgSQL because its second
-- statement sees what was committed while the first one waited.
create function reporting.hold_live(lock_key bigint) returns smallint
language plpgsql volatile as $$
begin
    perform pg_advisory_xact_lock_shared(lock_key);
    return (select l.generation from reporting.live l);
end
$$;

-- Documents and what was open of them as at the end of a day, as known at a
-- moment: the signed amount less the allocation lines effective by then.
create function reporting.documents_at(as_of date, known_at timestamptz)
returns table (
    document_id uuid, document_ref text, kind text, account_id uuid, account_ref text, matter_ref text,
    issued_on date, due_on date, amount numeric, open_amount numeric, currency text
)
language sql stable as $$
    select d.document_id, d.document_ref, d.kind, d.account_id, d.account_ref, d.matter_ref,
           d.issued_on, d.due_on, d.amount, d.amount - coalesce(sum(l.amount), 0), d.currency
    from reporting.document d
    left join reporting.allocation l
        on l.generation = d.generation and l.document_id = d.document_id
        and l.effective_on <= as_of and l.recorded_at <= known_at
    where d.generation = (select v.generation from reporting.live v)
        and d.issued_on <= as_of and d.recorded_at <= known_at
    group by d.generation, d.document_id
$$;

-- Receipts, what was unallocated of them, and whose they were thought to be. A
-- line counts from the same day here and at its document, which is never before
-- either is there: so every penny is in exactly one place on every day.
create function reporting.receipts_at(as_of date, known_at timestamptz)
returns table (
    receipt_id uuid, bank_reference text, booked_on date, amount numeric, unallocated numeric, currency text,
    payer_name text, narrative text, account_id uuid, account_ref text
)
language sql stable as $$
    select r.receipt_id, r.bank_reference, r.booked_on, r.amount, r.amount - coalesce(paid.amount, 0), r.currency,
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
    where r.generation = (select v.generation from reporting.live v)
        and r.booked_on <= as_of and r.recorded_at <= known_at
$$;

-- The only receipts that can have anything unallocated at that day: left over
-- when posted, moved later, or allocated from a later day on (to a document that
-- was not issued yet). Everything else was allocated whole as it was posted, and
-- is most of them.
create function reporting.receipts_maybe_unallocated(as_of date)
returns table (receipt_id uuid)
language sql stable as $$
    select r.receipt_id
    from reporting.receipt r
    where r.generation = (select v.generation from reporting.live v) and r.unallocated <> 0 and r.booked_on <= as_of
    union
    select m.receipt_id
    from reporting.movement m
    where m.generation = (select v.generation from reporting.live v)
    union
    select l.receipt_id
    from reporting.allocation l
    where l.generation = (select v.generation from reporting.live v) and l.effective_on > as_of
$$;

-- Accounts as they were known at a moment.
create function reporting.accounts_at(known_at timestamptz)
returns table (
    account_id uuid, account_ref text, name text, kind text, parent_ref text, terms_days integer, email text,
    phone text, segment text, department text, principal text
)
language sql stable as $$
    select distinct on (a.account_ref)
           a.account_id, a.account_ref, a.name, a.kind, a.parent_ref, a.terms_days, a.email,
           a.phone, a.segment, a.department, a.principal
    from reporting.account a
    where a.generation = (select v.generation from reporting.live v) and a.recorded_at <= known_at
    order by a.account_ref, a.version desc
$$;

-- Every step of a receipt: its posting and its movements, with who and why.
create view reporting.step as
    select generation, receipt_id, version, 'posted' as kind, state, unallocated, account_id, rule,
           recorded_at, actor, null::text as reason, event_id
    from reporting.receipt
    union all
    select generation, receipt_id, version, case when undone then 'undone' else 'allocated' end, state, unallocated,
           account_id, rule, recorded_at, actor, reason, event_id
    from reporting.movement;
