-- A way out for a residual balance is decided in worklist: which request it waits
-- for, and the client account that the money shall leave, frozen with it. What
-- was proposed before has neither: it is taken back and proposed anew.

alter table allocation.residual add column approval_id uuid, add column bank_account text;
