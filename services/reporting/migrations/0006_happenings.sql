-- What belongs to an account's story and moves no figure of a report: client
-- money, money on the wrong bank account, residual balances, disbursements,
-- refunds. Facts like the others: see 0001. `entry_id` is what it happened to.
create table reporting.happening (
    generation smallint not null,
    event_id uuid not null,
    entry_id uuid not null,
    kind text not null,
    account_ref text not null,
    receipt_id uuid,
    document_id uuid,
    subject text not null,
    detail text not null,
    amount numeric(20, 4) not null,
    currency text not null,
    effective_on date not null,
    due_on date,
    recorded_at timestamptz not null,
    actor text not null,
    reason text not null,
    primary key (generation, event_id, entry_id)
) partition by list (generation);
create table reporting.happening_0 partition of reporting.happening for values in (0);
create table reporting.happening_1 partition of reporting.happening for values in (1);
create index happening_by_account on reporting.happening (generation, account_ref);
create index happening_by_receipt on reporting.happening (generation, receipt_id) where receipt_id is not null;
revoke update, delete on reporting.happening, reporting.happening_0, reporting.happening_1 from reporting;
grant truncate on reporting.happening_0, reporting.happening_1 to reporting;
