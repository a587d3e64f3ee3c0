-- Debtors of whom it was told that they are supplied nothing on credit, or are again.
create table dunning.credit_stop (
    account_id uuid primary key,
    account_ref text not null,
    version bigint not null,
    stopped boolean not null,
    since date not null
);
