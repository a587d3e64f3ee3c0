-- Official forms that a letter of claim must have with it: each version is an
-- edition, its file in the archive by its SHA-256.
alter table dunning.edition drop constraint edition_kind_check;
alter table dunning.edition add constraint edition_kind_check check (kind in ('template', 'policy', 'enclosure'));

-- An e-mail with its forms is larger than a letter alone.
alter table dunning.archive drop constraint archive_bytes_check;
alter table dunning.archive add constraint archive_bytes_check check (octet_length(bytes) <= 8000000);

-- What went with a contact, in the order in which it was enclosed: only added to.
create table dunning.contact_enclosure (
    contact_id uuid not null references dunning.contact,
    place smallint not null,
    name text not null,
    title text not null,
    -- Of the form; none of what was made for this contact.
    version integer,
    sha256 text not null references dunning.archive,
    primary key (contact_id, place)
);
create trigger contact_enclosure_append_only before update or delete or truncate on dunning.contact_enclosure
    for each statement execute function dunning.refuse_change();
revoke update, delete, truncate on dunning.contact_enclosure from dunning;
