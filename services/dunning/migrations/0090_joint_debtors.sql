-- Those who owe an account together: each owes the whole, the ledger is one (E97).
create table dunning.debtor (
    account_id uuid not null,
    -- How billing calls them, on all their accounts.
    debtor_ref text not null check (debtor_ref <> ''),
    -- As billing orders them.
    place smallint not null,
    name text not null,
    kind text,
    email text,
    phone text,
    -- Without one of their own they are written to at the account's.
    address text,
    -- What is known of them here is erased, whatever billing says again.
    erased_at timestamptz,
    primary key (account_id, debtor_ref)
);
-- The version of the account that said last who owes it.
alter table dunning.account add debtors_version bigint not null default -1;
create index debtor_accounts on dunning.debtor (debtor_ref);

-- Whose a stop is; everybody's when null. Only holds are one person's.
alter table dunning.stop add debtor_ref text;

-- With whom it was; the account as a whole when null.
alter table dunning.contact add debtor_ref text;
create index contact_debtor on dunning.contact (account_id, counted_on) where debtor_ref is not null;

-- At most one that counts for each document, stage and debtor (E56, E97).
alter table dunning.contact_item add debtor_ref text not null default '';
drop index dunning.contact_item_once;
create unique index contact_item_once on dunning.contact_item (document_id, rank, debtor_ref)
    where not void and rank is not null;

-- One statement of a kind for each debtor and period.
alter table dunning.statement_sent add debtor_ref text not null default '';
drop index dunning.statement_sent_once;
create unique index statement_sent_once on dunning.statement_sent (account_id, kind, period, debtor_ref) where not void;

-- A way is shut to one of them.
alter table dunning.way add debtor_ref text not null default '';
alter table dunning.way drop constraint way_pkey;
alter table dunning.way add primary key (account_id, debtor_ref, channel, state);
drop view dunning.shut;
create view dunning.shut as
    select w.account_id, w.debtor_ref, w.channel, w.state, w.since, w.because
    from dunning.way w join dunning.account a using (account_id)
      left join dunning.debtor d on d.account_id = w.account_id and d.debtor_ref = w.debtor_ref
    where w.state = 'opted_out'
       or lower(regexp_replace(w.address, '\s', '', 'g')) = lower(regexp_replace(
            case when w.debtor_ref = ''
              then case w.channel when 'email' then a.email when 'phone' then a.phone else a.address end
              else case w.channel when 'email' then d.email when 'phone' then d.phone else coalesce(d.address, a.address) end
            end, '\s', '', 'g'));
