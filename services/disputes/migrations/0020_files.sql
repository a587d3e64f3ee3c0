-- Papers of cases, byte for byte, by their SHA-256: never changed, and there for
-- as long as a case names them. Erasure takes the name away first (E103).
create table disputes.file (
    sha256 text primary key check (sha256 ~ '^[0-9a-f]{64}$'),
    media_type text not null,
    bytes bytea not null check (octet_length(bytes) between 1 and 2000000),
    recorded_at timestamptz not null
);
create trigger file_append_only before update or truncate on disputes.file
    for each statement execute function disputes.refuse_change();
revoke update, truncate on disputes.file from disputes;

alter table disputes.evidence
    add file_name text,
    -- The file that is kept; a hash without one is of a paper that lies elsewhere.
    add file_sha256 text references disputes.file;
create index evidence_file on disputes.evidence (file_sha256) where file_sha256 is not null;
