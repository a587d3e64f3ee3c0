-- What may be chased cites the facts that it follows from, and `explain` shows
-- them: both look for the facts about one receipt or document.
create index outbox_about on allocation.outbox (aggregate_id);
