-- Of whom no address is known, and it was told that nothing is owed any more.
alter table dunning.reach add idle boolean not null default false;
