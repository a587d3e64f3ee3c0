//! The tables of `migrations/messaging.sql`, in the schema of one service. The
//! only SQL of this crate that is put together at run time, because the schema
//! differs; it is written once per service at start.

use contracts::Role;

/// The DDL for `role`'s schema; safe to run again.
pub fn migration_sql(role: Role) -> String {
    include_str!("../migrations/messaging.sql").replace("{schema}", role.name())
}

#[derive(Debug)]
pub(crate) struct Sql {
    pub(crate) claim: String,
    pub(crate) publish: String,
    pub(crate) unsent: String,
    pub(crate) cursor: String,
    pub(crate) advance: String,
    pub(crate) unpublished: String,
    pub(crate) bury: String,
    pub(crate) letters: String,
    pub(crate) letter: String,
    pub(crate) settle_letter: String,
    pub(crate) kept_letter: String,
    pub(crate) unclaim: String,
    pub(crate) purge_inbox: String,
    pub(crate) purge_outbox: String,
    pub(crate) sent: String,
}

impl Sql {
    pub(crate) fn of(role: Role) -> Self {
        let s = role.name();
        Self {
            claim: format!(
                "insert into {s}.inbox (message_id) select unnest($1::uuid[]) \
                 on conflict do nothing returning message_id"
            ),
            publish: format!(
                "insert into {s}.outbox (event_id, aggregate_id, aggregate_version, subject, event_type, \
                 partition_key, correlation_id, causation_id, traceparent, payload, recorded_at) \
                 select * from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], \
                 $6::text[], $7::uuid[], $8::uuid[], $9::text[], $10::text[], $11::timestamptz[])"
            ),
            unsent: format!(
                "select tx::text, seq, event_id, aggregate_id, aggregate_version, subject, event_type, \
                 partition_key, correlation_id, causation_id, traceparent, payload, recorded_at \
                 from {s}.relay_window($1::text::xid8, $2, $3)"
            ),
            cursor: format!("select tx::text, seq from {s}.relay_cursor"),
            advance: format!("update {s}.relay_cursor set tx = $1::text::xid8, seq = $2"),
            unpublished: format!(
                "select count(*), min(o.recorded_at) from {s}.outbox o, {s}.relay_cursor c \
                 where (o.tx, o.seq) > (c.tx, c.seq)"
            ),
            bury: format!(
                "insert into {s}.dead_letter (dead_letter_id, message_id, subject, message_type, headers, \
                 payload, stream, stream_sequence, code, class, detail, fields, line, attempts, money_impact, \
                 failed_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
            ),
            letters: format!(
                "select dead_letter_id, message_id, subject, message_type, code, class, detail, fields, line, \
                 attempts, state, failed_at, settled_at, money_impact, payload from {s}.dead_letter \
                 where ($1::text is null or code = $1) and ($2 or state = 'waiting') \
                 and ($3::uuid is null or dead_letter_id < $3) order by dead_letter_id desc limit $4"
            ),
            letter: format!(
                "select dead_letter_id, message_id, subject, message_type, code, class, detail, fields, line, \
                 attempts, state, failed_at, settled_at, money_impact, payload from {s}.dead_letter where dead_letter_id = $1"
            ),
            settle_letter: format!(
                "update {s}.dead_letter set state = $2, settled_at = $3, settled_by = $4, settled_reason = $5 \
                 where dead_letter_id = $1 and state = 'waiting' \
                 returning message_id, subject, message_type, code, class, failed_at, payload"
            ),
            kept_letter: format!(
                "select message_id, subject, headers, payload, stream, stream_sequence \
                 from {s}.dead_letter where dead_letter_id = $1 and state = 'waiting'"
            ),
            unclaim: format!("delete from {s}.inbox where message_id = $1"),
            purge_inbox: format!(
                "delete from {s}.inbox where message_id in \
                 (select message_id from {s}.inbox where claimed_at < $1 limit 10000)"
            ),
            purge_outbox: format!(
                "delete from {s}.outbox where (tx, seq) in (select o.tx, o.seq from {s}.outbox o, \
                 {s}.relay_cursor c where o.recorded_at < $1 and (o.tx, o.seq) <= (c.tx, c.seq) limit 10000)"
            ),
            sent: format!(
                "select o.tx::text, o.seq, event_id, aggregate_id, aggregate_version, subject, event_type, \
                 partition_key, correlation_id, causation_id, traceparent, payload, recorded_at \
                 from {s}.outbox o, {s}.relay_cursor c \
                 where (o.tx, o.seq) > ($1::text::xid8, $2) and (o.tx, o.seq) <= (c.tx, c.seq) \
                 and recorded_at >= $3 and ($4::timestamptz is null or recorded_at < $4) \
                 order by o.tx, o.seq limit $5"
            ),
        }
    }
}
