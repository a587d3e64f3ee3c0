-- As in 0003, with whether a person keeps what is left of a receipt on account:
-- no figure tells that.
drop function reporting.receipts_at(date, timestamptz);
create function reporting.receipts_at(as_of date, known_at timestamptz)
returns table (
    receipt_id uuid, bank_reference text, booked_on date, amount numeric, paid_out numeric, unallocated numeric,
    currency text, payer_name text, narrative text, account_id uuid, account_ref text, on_account boolean
)
language sql stable as $$
    select r.receipt_id, r.bank_reference, r.booked_on, r.amount, coalesce(gone.amount, 0),
           r.amount - coalesce(paid.amount, 0) - coalesce(gone.amount, 0), r.currency,
           r.payer_name, r.narrative, owner.account_id, owner.account_ref,
           owner.state = 'on_account'
    from reporting.receipt r
    cross join lateral (
        select o.account_id, o.account_ref, o.state
        from (
            select m.version, m.account_id, m.account_ref, m.state
            from reporting.movement m
            where m.generation = r.generation and m.receipt_id = r.receipt_id and m.recorded_at <= known_at
            union all
            select r.version, r.account_id, r.account_ref, r.state
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
