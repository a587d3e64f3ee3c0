-- A run reads what is open of thousands of accounts at once, and accounts lie
-- scattered over the table: everything that it needs stands in the index, in the
-- order in which it is read. Changes of what is open or takes off touched an index
-- before, too, so that they cost no more.
create index item_owed on dunning.item (account_id, due_on, document_id)
    include (document_ref, currency, open, in_direct_debit, likely_theirs, unapplied_credit, resumed_on, settled_days)
    where open > 0;
drop index dunning.item_open;
