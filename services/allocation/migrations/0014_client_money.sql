-- Whose money the bank account held when a receipt came: where the receipt was
-- booked, and what is taken back leaves again. True: a client account.
alter table allocation.receipt add column client_account boolean not null default false;
update allocation.receipt r set client_account = true
    from allocation.journal j where j.entry_id = r.receipt_id and j.debit like 'client\_bank:%';
create index receipt_on_client_account on allocation.receipt (receipt_id) where client_account;
