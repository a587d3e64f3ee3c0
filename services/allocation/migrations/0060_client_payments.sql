-- The latest payments of client money of all matters.
create index client_payment_latest on allocation.client_payment (requested_at desc, payment_id desc);

-- A supplier is paid for a disbursement as others are: once a second person has
-- approved it, and asked for once at a time.
alter table allocation.client_payment
    drop constraint client_payment_kind_check,
    add constraint client_payment_kind_check check (kind in ('returned', 'paid_out', 'disbursement_paid')),
    add column disbursement_id uuid references allocation.disbursement,
    add constraint client_payment_of_disbursement check ((kind = 'disbursement_paid') = (disbursement_id is not null));
create unique index client_payment_disbursement_once on allocation.client_payment (disbursement_id)
    where state = 'requested';
