comment on schema disputes is 'query, dispute and complaint cases';

-- Names, as allocation tells them.
create table disputes.account (
    account_id uuid primary key,
    account_ref text not null,
    name text not null,
    version bigint not null
);

-- A document as far as cases need it: what it came to, and what was settled of
-- it by how. Facts may come in any order: the document itself may be unknown.
create table disputes.item (
    document_id uuid primary key,
    document_ref text,
    kind text,
    account_id uuid,
    account_ref text,
    due_on date,
    currency text not null,
    gross numeric,
    payment_reference text,
    paid numeric not null default 0,
    credited numeric not null default 0,
    cleared numeric not null default 0,
    written_off numeric not null default 0,
    -- Credit notes that answered a request and do not meet the document yet.
    noted numeric not null default 0,
    -- Nothing while the document is unknown; negative for a credit note.
    open numeric generated always as (gross - paid - credited - cleared - written_off) stored
);
create index item_overdue on disputes.item (due_on, document_id) where open > 0;
create index item_account on disputes.item (account_id) where open > 0;

-- What explains that an item is not paid, as allocation told last.
create table disputes.explained (
    document_id uuid primary key,
    account_id uuid not null,
    -- All terms but what is disputed.
    amount numeric not null,
    words text not null
);
create index explained_account on disputes.explained (account_id);
create table disputes.explained_version (
    account_id uuid primary key,
    version bigint not null
);

create sequence disputes.case_number;

create table disputes.dispute (
    case_id uuid primary key,
    case_ref text not null unique,
    version bigint not null,
    kind text not null,
    state text not null,
    since timestamptz not null,
    raised_at timestamptz not null,
    account_id uuid not null,
    account_ref text not null,
    currency text not null,
    reason_code text,
    root_cause text,
    preventable boolean,
    department text,
    coordinator text,
    processor text,
    responsible text,
    awaiting text,
    resolution text,
    under_protest boolean not null default false,
    related uuid,
    origin text not null,
    cause uuid not null,
    proposal jsonb,
    closed_at timestamptz
);
-- Pages are read newest first, mostly of what is not closed.
create index dispute_open on disputes.dispute (case_id) where state <> 'closed';
create index dispute_account on disputes.dispute (account_id);
create index dispute_raised on disputes.dispute (raised_at);
create index dispute_resolved on disputes.dispute (since) where state = 'resolved';

create table disputes.part (
    case_id uuid not null references disputes.dispute,
    document_id uuid not null,
    document_ref text not null,
    due_on date not null,
    lines text[] not null default '{}',
    original numeric not null,
    disputed numeric not null check (disputed >= 0),
    paid numeric not null check (paid >= 0),
    credited numeric not null check (credited >= 0),
    cleared numeric not null check (cleared >= 0),
    written_off numeric not null check (written_off >= 0),
    released numeric not null check (released >= 0),
    credit_due numeric not null check (credit_due between 0 and disputed),
    primary key (case_id, document_id),
    -- Every penny that was disputed is in one place.
    constraint part_adds_up check (original = disputed + paid + credited + cleared + written_off + released)
);
create index part_document on disputes.part (document_id);

-- What happened to a case: only added to.
create table disputes.step (
    case_id uuid not null references disputes.dispute,
    version bigint not null,
    step text not null,
    from_state text,
    to_state text not null,
    detail text not null,
    actor text not null,
    cause uuid not null,
    recorded_at timestamptz not null,
    primary key (case_id, version)
);
create function disputes.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the history of a case is only added to';
end
$$;
create trigger step_append_only before update or delete or truncate on disputes.step
    for each statement execute function disputes.refuse_change();
revoke update, delete, truncate on disputes.step from disputes;

create table disputes.credit_request (
    credit_request_id uuid primary key,
    case_id uuid not null references disputes.dispute,
    account_id uuid not null,
    document_id uuid not null,
    document_ref text not null,
    currency text not null,
    amount numeric not null check (amount > 0),
    -- What credit notes have given of it so far.
    given numeric not null default 0,
    state text not null default 'open',
    requested_at timestamptz not null,
    answered_at timestamptz,
    answered_by text
);
create index credit_request_case on disputes.credit_request (case_id);
create index credit_request_open on disputes.credit_request (account_id) where state = 'open';

create table disputes.nudge (
    nudge_id uuid primary key,
    case_id uuid not null references disputes.dispute,
    stakeholder text not null,
    question text not null,
    -- Of the link's secret; the link itself is kept nowhere.
    secret_sha256 bytea not null,
    asked_by text not null,
    asked_at timestamptz not null,
    expires_at timestamptz not null,
    comments integer not null default 0,
    commented_at timestamptz
);
create index nudge_case on disputes.nudge (case_id, asked_at);

create table disputes.nudge_comment (
    nudge_id uuid not null references disputes.nudge,
    at timestamptz not null,
    text text not null,
    primary key (nudge_id, at)
);

create table disputes.evidence (
    evidence_id uuid primary key,
    case_id uuid not null references disputes.dispute,
    label text not null,
    reference text,
    sha256 text,
    added_by text not null,
    added_at timestamptz not null
);
create index evidence_case on disputes.evidence (case_id);

-- A complaint and the dispute beside it: both ways.
create table disputes.link (
    case_id uuid not null references disputes.dispute,
    other_id uuid not null references disputes.dispute,
    primary key (case_id, other_id)
);
