-- What a contact led to by itself: the hold that was told of in it, the promise
-- that was made in it.
alter table dunning.contact
    add hold_id uuid,
    add promise_id uuid;
