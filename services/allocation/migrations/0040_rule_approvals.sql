-- The request to a second person that a shadow waits for.
alter table allocation.rule_set add column approval uuid;
grant update (approval) on allocation.rule_set to allocation;
