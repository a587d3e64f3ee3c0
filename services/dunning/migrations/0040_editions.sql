-- Versions of templates and policies on their way: drafted by a person, asked
-- for, published by another. What is published is copied to dunning.template or
-- dunning.policy, which is all that work looks at.
create table dunning.edition (
    edition_id uuid primary key,
    kind text not null check (kind in ('template', 'policy')),
    name text not null,
    version integer not null,
    -- draft, requested, published, rejected, superseded
    state text not null,
    title text not null,
    valid_from date not null,
    body jsonb not null,
    -- As a person wrote it; empty where that is the body.
    source text not null default '',
    sha256 text not null,
    drafted_by text not null,
    drafted_at timestamptz not null,
    reason text not null,
    approval_id uuid,
    decided_by text,
    decided_at timestamptz,
    decision text,
    unique (kind, name, version)
);

-- Its words never change: another draft is another version.
create function dunning.edition_keeps_words() returns trigger language plpgsql as $$
begin
    if (new.kind, new.name, new.version, new.body, new.source, new.sha256, new.drafted_by, new.reason)
       is distinct from (old.kind, old.name, old.version, old.body, old.source, old.sha256, old.drafted_by, old.reason)
    then
        raise exception 'the words of an edition never change';
    end if;
    return new;
end
$$;
create trigger edition_words before update on dunning.edition
    for each row execute function dunning.edition_keeps_words();
revoke delete, truncate on dunning.edition from dunning;

alter table dunning.template add column valid_from date not null default '2026-01-01';
-- Of each template the version that the run takes: another that is published
-- meanwhile is for later runs.
alter table dunning.run add column templates jsonb not null default '{}';

-- Which policy an account has, or the accounts of a parent: only added to.
create table dunning.policy_assignment (
    assignment_id uuid primary key,
    to_kind text not null check (to_kind in ('account', 'parent')),
    reference text not null,
    -- What its segment and kind say again when null.
    policy text,
    valid_from date not null,
    recorded_at timestamptz not null,
    actor text not null,
    reason text not null
);
create trigger policy_assignment_append_only before update or delete or truncate on dunning.policy_assignment
    for each statement execute function dunning.refuse_change();
revoke update, delete, truncate on dunning.policy_assignment from dunning;

-- Contacts after which their policy posts claims, or charges for the reminder:
-- until they are sent or fail.
create table dunning.charge_due (
    contact_id uuid primary key references dunning.contact
);
