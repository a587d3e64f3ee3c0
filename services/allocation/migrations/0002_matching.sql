-- What the ladder looks things up by.

-- References are folded further: O like 0 and I like 1.
update allocation.open_item set ref_key = translate(ref_key, 'OI', '01'),
    payment_key = translate(payment_key, 'OI', '01')
    where ref_key ~ '[OI]' or payment_key ~ '[OI]';
update allocation.receipt
    set tokens = (select coalesce(array_agg(distinct translate(token, 'OI', '01')), '{}') from unnest(tokens) token)
    where unallocated > 0;

-- The document number without its leading letters: see domain::evidence.
alter table allocation.open_item add column tail_key text;
update allocation.open_item set tail_key = tail
    from (select document_id as id, regexp_replace(regexp_replace(document_ref, '[^A-Za-z0-9]', '', 'g'),
              '^[A-Za-z]+', '') as tail,
              document_ref ~ '^[^A-Za-z0-9]*[A-Za-z]' as lettered from allocation.open_item) t
    where id = document_id and lettered and tail ~ '^[0-9]{5,}$';
create index open_item_tail on allocation.open_item (tail_key) where tail_key is not null;
-- A payer's items, the latest first.
create index open_item_account_due on allocation.open_item (account_id, due_on desc);
drop index allocation.open_item_account;

-- Payers quote our number of their account.
alter table allocation.account add column ref_key text;
update allocation.account
    set ref_key = translate(upper(regexp_replace(account_ref, '[^A-Za-z0-9]', '', 'g')), 'OI', '01');
create index account_ref_key on allocation.account (ref_key);

-- Banks cut names short: looked up by their beginning too.
drop index allocation.account_name;
create index account_name on allocation.account (name_key text_pattern_ops);

-- When nobody knows who paid: by what was billed, which never changes.
create index open_item_amount on allocation.open_item (amount);
