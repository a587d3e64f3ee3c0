-- What people say in a case, apart from its history, so that it can be erased
-- while the history stays as it was (E103). The history and the events have a
-- hash of it; with the salt goes the way to guess what was hashed.
create table disputes.words (
    case_id uuid not null references disputes.dispute,
    -- The line of the history.
    version bigint not null,
    -- Whose link it came by, or to whom it was said.
    nudge_id uuid references disputes.nudge,
    -- The paper that it is about.
    evidence_id uuid references disputes.evidence,
    sha256 bytea not null,
    salt bytea,
    text text,
    erase_asked_at timestamptz,
    erased_at timestamptz,
    primary key (case_id, version),
    constraint erased_is_gone check ((erased_at is null) = (text is not null) and (text is null) = (salt is null))
);
create index words_nudge on disputes.words (nudge_id) where nudge_id is not null;
create index words_to_erase on disputes.words (case_id) where erase_asked_at is not null and erased_at is null;

alter table disputes.nudge add erase_asked_at timestamptz, add erased_at timestamptz;
create index nudge_stakeholder on disputes.nudge (lower(stakeholder));
create index nudge_to_erase on disputes.nudge (case_id) where erase_asked_at is not null and erased_at is null;

-- Suspicions are looked through in the order of their ids.
create index dispute_suspected on disputes.dispute (case_id) where state = 'suspected';
