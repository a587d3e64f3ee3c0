-- The last word of each case, promise or plan: a fact that comes late changes nothing.
create table allocation.chase_word (
    subject uuid not null,
    kind text not null,
    version bigint not null,
    primary key (subject, kind)
);
create index chase_term_subject on allocation.chase_term (subject, kind);
