-- The workbench: receipts put aside, batches that can be found again, and the
-- newest booking first.

-- Put aside "to check": no money moves. It is over on the day `parked_until`,
-- when a person takes the receipt up, or when no money is left.
alter table allocation.receipt
    add column parked_at timestamptz,
    add column parked_by text,
    add column parked_reason text,
    add column parked_owner text,
    add column parked_until date,
    add constraint parked_with_reason check ((parked_at is null) = (parked_reason is null)
        and (parked_at is null) = (parked_by is null)
        and (parked_at is not null or (parked_owner is null and parked_until is null)));

-- Which lines one batch of a person made, to show and to undo them together.
create table allocation.batch_line (
    batch_id uuid not null,
    allocation_id uuid not null references allocation.allocation,
    primary key (batch_id, allocation_id)
);
create trigger batch_line_append_only before update or delete or truncate on allocation.batch_line
    for each statement execute function allocation.refuse_change();
revoke update, delete, truncate on allocation.batch_line from allocation;

create index receipt_by_booking on allocation.receipt (booked_on, receipt_id);
create index receipt_open_by_booking on allocation.receipt (booked_on, receipt_id) where unallocated > 0;
drop index allocation.receipt_to_review;

-- Lines are only ever added, so that a block's range tells their time: what was
-- allocated today, for next to nothing.
create index allocation_recorded on allocation.allocation using brin (recorded_at);
