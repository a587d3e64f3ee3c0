-- Returns that reports of Bacs tell: rows beside the bank lines that take the
-- money, before or after them.
alter table allocation.debit drop constraint debit_state_check, drop constraint receipt_when_returned;
alter table allocation.debit
    -- The report; of a bank line nothing.
    add column report text check (report in ('arudd', 'ddica')),
    add column service_user text,
    -- The day on which Bacs processed the payment, or the payer was debited.
    add column original_on date,
    add column claim text,
    -- How many items the report had, and what they came to.
    add column batch_items integer,
    add column batch_total numeric(20, 4),
    add column challenge_by date,
    add column expected_on date,
    -- The bank line of the item, or the item of the bank line.
    add column pair uuid,
    add constraint debit_state_check check (
        state in ('unmatched', 'returned', 'reversed', 'ours', 'paired', 'expected', 'withdrawn')),
    add constraint receipt_when_returned check (
        case when state in ('returned', 'reversed') then receipt_id is not null
            else state = 'paired' or receipt_id is null end),
    add constraint whole_item check ((report is null) = (batch_total is null) and (report is null) = (service_user is null));
create index debit_item on allocation.debit (booked_on)
    where report is not null and state in ('unmatched', 'returned', 'expected');
-- Only what is not settled between a report and the bank.
create index debit_line on allocation.debit (amount)
    where report is null and pair is null and state in ('unmatched', 'returned');
-- Collections of a day, to find the one that an item is of.
create index receipt_collected on allocation.receipt (bank_account, booked_on) where scheme = 'dd_collection';

-- A refund that a report brought back is met by the bank's lines afterwards.
drop index allocation.refund_payment;
create index refund_payment on allocation.refund (payment_reference)
    where state in ('in_payment_file', 'sent', 'paid', 'returned');
