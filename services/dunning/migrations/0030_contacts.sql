-- What people write down of contacts.
alter table dunning.contact
    add none_because text,
    -- What a message that came in seems to mean, until a person says what it means.
    add proposal text,
    -- The contact whose next step it was.
    add follows uuid;

-- What was said, apart from the contact, so that it can be erased while the
-- contact stays as it was (E103).
create table dunning.contact_note (
    contact_id uuid primary key references dunning.contact,
    account_id uuid not null,
    note text check (char_length(note) <= 2000),
    erased_at timestamptz,
    constraint erased_is_gone check ((erased_at is null) = (note is not null))
);
create index contact_note_account on dunning.contact_note (account_id) where note is not null;

-- Ways that are shut: an address that turned out to be wrong, or a way that the
-- debtor does not want. Visits go to the address of letters.
create table dunning.way (
    account_id uuid not null,
    channel text not null,
    state text not null check (state in ('unusable', 'opted_out')),
    -- Of what is unusable: another address is usable again.
    address text,
    since date not null,
    because text not null,
    contact_id uuid not null,
    primary key (account_id, channel, state),
    constraint wrong_address_is_named check ((state = 'unusable') = (address is not null))
);

-- Those that still shut something: of an address, while it is the one that is known.
create view dunning.shut as
    select w.account_id, w.channel, w.state, w.since, w.because
    from dunning.way w join dunning.account a using (account_id)
    where w.state = 'opted_out'
       or lower(regexp_replace(w.address, '\s', '', 'g')) = lower(regexp_replace(
            case w.channel when 'email' then a.email when 'phone' then a.phone else a.address end, '\s', '', 'g'));

-- What was told last of the ways to a debtor.
create table dunning.reach (
    account_id uuid primary key,
    version bigint not null,
    told jsonb not null
);

-- Accounts of one debtor: a parent and what names it. One contact budget (E61).
create index account_parent on dunning.account (parent_ref) where parent_ref is not null;
