-- Referrals to solicitors and agencies, each whole in its body with the columns
-- that are looked for. What one stops in the house is in dunning.stop.
create table dunning.referral (
    referral_id uuid primary key,
    state text not null,
    account_id uuid not null,
    -- The day on which a clock of it may be over.
    next_on date,
    body jsonb not null
);
create index referral_account on dunning.referral (account_id);
create index referral_next on dunning.referral (next_on) where next_on is not null;

-- What happened to each: only added to.
create table dunning.referral_note (
    referral_id uuid not null references dunning.referral,
    version bigint not null,
    state text not null,
    at timestamptz not null,
    actor text not null,
    reason text not null,
    primary key (referral_id, version)
);
create trigger referral_note_append_only before update or delete or truncate on dunning.referral_note
    for each statement execute function dunning.refuse_change();
revoke update, delete, truncate on dunning.referral_note from dunning;

-- What was handed over, byte for byte: only added to.
create table dunning.referral_pack (
    referral_id uuid not null references dunning.referral,
    sha256 text not null,
    bytes bytea not null check (octet_length(bytes) <= 25000000),
    files jsonb not null,
    made_at timestamptz not null,
    primary key (referral_id, sha256)
);
create trigger referral_pack_append_only before update or delete or truncate on dunning.referral_pack
    for each statement execute function dunning.refuse_change();
revoke update, delete, truncate on dunning.referral_pack from dunning;

-- Written and signed acknowledgments of debts: only added to.
create table dunning.acknowledgment (
    command_id uuid not null,
    document_id uuid not null,
    account_id uuid not null,
    signed_on date not null,
    signed_by text not null,
    reference text,
    actor text not null,
    reason text not null,
    recorded_at timestamptz not null,
    primary key (document_id, command_id)
);
create trigger acknowledgment_append_only before update or delete or truncate on dunning.acknowledgment
    for each statement execute function dunning.refuse_change();
revoke update, delete, truncate on dunning.acknowledgment from dunning;

-- Debts of which somebody was told that their last day for a claim comes near.
create table dunning.limitation (
    document_id uuid primary key,
    version bigint not null,
    state text not null check (state in ('warned', 'barred', 'lifted')),
    account_id uuid not null,
    last_on date not null
);
create index limitation_account on dunning.limitation (account_id) where state <> 'lifted';
create index limitation_last on dunning.limitation (last_on) where state = 'warned';

-- How far the look at old debts has come today.
create table dunning.limitation_watch (
    one boolean primary key default true check (one),
    day date not null,
    due_on date,
    document_id uuid
);
insert into dunning.limitation_watch (day) values ('2000-01-01');
create index item_oldest on dunning.item (due_on, document_id) where open > 0;
-- The items that charges became, by their numbers.
create index item_charge on dunning.item (document_ref) where document_ref like 'LPI-%';

alter table dunning.charge drop constraint charge_kind_check;
alter table dunning.charge add constraint charge_kind_check
    check (kind in ('interest', 'compensation', 'fee', 'costs'));
