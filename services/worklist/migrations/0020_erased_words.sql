-- What people wrote about somebody can be erased (E103): of a line of the history
-- only its words may go, and what is gone stays gone.
drop trigger work_step_append_only on worklist.work_step;
create trigger work_step_append_only before delete or truncate on worklist.work_step
    for each statement execute function worklist.refuse_step_change();
create function worklist.only_erased() returns trigger language plpgsql as $$
begin
    if new.reason = 'erased' and (new.work_item_id, new.version, new.step, new.actor, new.recorded_at)
        is not distinct from (old.work_item_id, old.version, old.step, old.actor, old.recorded_at) then
        return new;
    end if;
    raise exception 'of a line of worklist.% only the words may be erased', tg_table_name;
end
$$;
create trigger work_step_only_erased before update on worklist.work_step
    for each row execute function worklist.only_erased();
grant update (reason) on worklist.work_step to worklist;
