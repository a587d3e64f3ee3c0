-- Worklist keeps requests for a second person and decides them; what is
-- approved comes back as an event with the hash of what was approved.

alter table allocation.refund drop constraint refund_approval_id_fkey;
alter table allocation.write_off drop constraint write_off_approval_id_fkey;
alter table allocation.small_balance_run drop constraint small_balance_run_approval_id_fkey;

-- Of the content that was approved: nothing else may be paid.
alter table allocation.refund add column approved_sha256 text;
update allocation.refund r set approved_sha256 = a.content_sha256
    from allocation.approval a where a.approval_id = r.approval_id and a.state = 'approved';

comment on table allocation.approval is 'of before worklist decided: kept for auditors, neither read nor written';
comment on table allocation.approval_decision is 'of before worklist decided: kept for auditors, neither read nor written';
comment on table allocation.approval_limit is 'of before worklist decided: kept for auditors, neither read nor written';
