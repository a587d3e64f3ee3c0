-- The words of letters, e-mails and calls: every version for ever.
create table dunning.template (
    template text not null,
    version integer not null,
    -- Of whom it speaks: '' is the firm itself, else a principal (E80).
    principal text not null default '',
    language text not null default 'en-GB',
    -- draft, requested, published, retired
    state text not null,
    body jsonb not null,
    sha256 text not null,
    actor text not null,
    recorded_at timestamptz not null,
    primary key (template, version)
);

-- What was sent, byte for byte, by its SHA-256: only added to.
create table dunning.archive (
    sha256 text primary key,
    media_type text not null,
    bytes bytea not null check (octet_length(bytes) <= 2000000),
    recorded_at timestamptz not null
);
create trigger archive_append_only before update or delete or truncate on dunning.archive
    for each statement execute function dunning.refuse_change();
revoke update, delete, truncate on dunning.archive from dunning;
