-- The reference of the account stands beside the document, so that a match has
-- not to look at the account: it never changes. Null on what was there before,
-- where it is still read from the account; that is paid by and by.
alter table allocation.open_item add column account_ref text;
