-- A question that we send by e-mail. It is claimed before it is handed over, so
-- that it goes out at most once; the secret of its link is kept nowhere.
alter table disputes.nudge
    add email text,
    -- Nothing: the link was shown to who asked, and no e-mail was wanted.
    add mail_state text check (mail_state in ('sending', 'sent', 'refused', 'unknown')),
    add constraint mail_has_address check ((mail_state is null) = (email is null));
create index nudge_sending on disputes.nudge (asked_at) where mail_state = 'sending';
