-- Refunds in payment files of ours, and how the bank's lines name them.
create table allocation.refund_file (
    file_id uuid primary key,
    reference text not null,
    payments integer not null check (payments > 0),
    actor text not null,
    recorded_at timestamptz not null
);
alter table allocation.refund
    add column payment_file uuid references allocation.refund_file deferrable initially deferred,
    -- domain/refunds.rs, payment_reference
    add column payment_reference text;
update allocation.refund
    set payment_reference = 'RF' || upper(right(replace(refund_id::text, '-', ''), 16));
alter table allocation.refund alter column payment_reference set not null;
create index refund_payment on allocation.refund (payment_reference)
    where state in ('in_payment_file', 'sent', 'paid');
create index refund_of_file on allocation.refund (payment_file) where payment_file is not null;
