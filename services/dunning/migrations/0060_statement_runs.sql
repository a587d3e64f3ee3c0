-- A statement is what a run makes too: worked out by ranges, frozen, approved and
-- sent by the same tables. It moves no stage: its lines have no ranks.
alter table dunning.run
    -- reminders, statement, red_statement
    add kind text not null default 'reminders';
alter table dunning.run_account
    -- Of a statement what is open of each document, beside what is due now of it;
    -- negative for a credit note.
    add opens numeric[] not null default '{}',
    -- Why there is no statement for it.
    add excluded text,
    -- The principal in whose name it is written; the firm's own when null.
    add in_name_of text;

-- One statement of a kind for an account and a period, whatever crashes or is
-- pressed twice: written with the claim of its contact, in one transaction.
create table dunning.statement_sent (
    contact_id uuid primary key references dunning.contact,
    account_id uuid not null,
    kind text not null check (kind in ('statement', 'red_statement')),
    -- The first day of the month or week that it is for.
    period date not null,
    as_at date not null,
    -- Whether it had something overdue that was asked for.
    overdue boolean not null,
    -- The provider refused it, or it came back: there may be another.
    void boolean not null default false
);
create unique index statement_sent_once on dunning.statement_sent (account_id, kind, period) where not void;
