//! Contacts as people see them and write them down.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contracts::dunning::{
    Channel, ContactId, ContactItem, ContactOutcome, ContactState, Direction,
};
use kernel::{AccountId, DocumentId};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{known, money};
use crate::domain::contact::Contact;

/// Contacts by id, or a page of an account's, the latest first; with the note
/// that was written of each.
pub(crate) async fn list(
    conn: &mut PgConnection,
    account: AccountId,
    one: Option<ContactId>,
    after: Option<(DateTime<Utc>, Uuid)>,
    rows: i64,
) -> Result<Vec<(Contact, Option<String>)>, Failure> {
    let (after_at, after_id) = after.unzip();
    let rows = sqlx::query!(
        r#"select c.contact_id, n.note as "note?" from dunning.contact c left join dunning.contact_note n using (contact_id)
           where c.account_id = $1 and ($2::uuid is null or c.contact_id = $2)
             and ($3::timestamptz is null or (c.at, c.contact_id) < ($3, $4::uuid))
           order by c.at desc, c.contact_id desc limit $5"#,
        account.as_uuid(),
        one.map(ContactId::as_uuid),
        after_at,
        after_id,
        rows
    )
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.contact_id).collect();
    let mut contacts: HashMap<Uuid, Contact> = by_id(conn, &ids)
        .await?
        .into_iter()
        .map(|contact| (contact.id.as_uuid(), contact))
        .collect();
    Ok(rows
        .into_iter()
        .filter_map(|row| Some((contacts.remove(&row.contact_id)?, row.note)))
        .collect())
}

/// One, locked.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    id: ContactId,
) -> Result<Option<Contact>, Failure> {
    sqlx::query!(
        "select contact_id from dunning.contact where contact_id = $1 for update",
        id.as_uuid()
    )
    .fetch_optional(&mut *conn)
    .await?;
    Ok(by_id(conn, &[id.as_uuid()]).await?.pop())
}

/// Whose it is.
pub(crate) async fn account_of(
    conn: &mut PgConnection,
    id: ContactId,
) -> Result<Option<AccountId>, Failure> {
    let found = sqlx::query_scalar!(
        "select account_id from dunning.contact where contact_id = $1",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.map(Into::into))
}

async fn by_id(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Contact>, Failure> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        "select contact_id, version, direction, channel, state, account_id, account_ref, run_id, stage, amounts, address,
           content_sha256, outcome, proposal, next_step, next_on, none_because, follows, hold_id, promise_id, at, counted_on,
           actor, reason, recorded_at, debtor_ref
         from dunning.contact where contact_id = any($1) order by contact_id",
        ids
    )
    .fetch_all(&mut *conn)
    .await?;
    let items = sqlx::query!(
        "select contact_id, document_id, document_ref, stage, amount, currency from dunning.contact_item
         where contact_id = any($1) order by contact_id, document_ref",
        ids
    )
    .fetch_all(conn)
    .await?;
    let mut of: HashMap<Uuid, Vec<ContactItem>> = HashMap::new();
    for item in items {
        of.entry(item.contact_id).or_default().push(ContactItem {
            document_id: item.document_id.into(),
            document_ref: item.document_ref,
            stage: item.stage,
            amount: money(item.amount, &item.currency)?,
        });
    }
    rows.into_iter()
        .map(|row| {
            let outcome = |name: Option<String>| {
                name.map(|name| known(ContactOutcome::named(&name), &name))
                    .transpose()
            };
            Ok(Contact {
                id: row.contact_id.into(),
                version: row.version,
                direction: known(Direction::named(&row.direction), &row.direction)?,
                channel: known(Channel::named(&row.channel), &row.channel)?,
                state: known(ContactState::named(&row.state), &row.state)?,
                account: row.account_id.into(),
                account_ref: row.account_ref,
                debtor: row.debtor_ref,
                run: row.run_id.map(Into::into),
                stage: row.stage,
                items: of.remove(&row.contact_id).unwrap_or_default(),
                amounts: serde_json::from_value(row.amounts)?,
                address: row.address,
                content_sha256: row.content_sha256,
                outcome: outcome(row.outcome)?,
                proposal: outcome(row.proposal)?,
                next_step: row.next_step,
                next_on: row.next_on,
                none_because: row.none_because,
                follows: row.follows,
                hold: row.hold_id.map(Into::into),
                promise: row.promise_id.map(Into::into),
                at: row.at,
                counted_on: row.counted_on,
                actor: row.actor,
                reason: row.reason,
                recorded_at: row.recorded_at,
            })
        })
        .collect()
}

/// Writes it as it is now; what it was about stays. With `void` its stages do
/// not count any more.
pub(crate) async fn put(
    conn: &mut PgConnection,
    contact: &Contact,
    void: bool,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into dunning.contact (contact_id, version, direction, channel, state, account_id, account_ref, run_id,
           stage, amounts, address, content_sha256, outcome, proposal, next_step, next_on, none_because, follows, at,
           counted_on, actor, reason, recorded_at, hold_id, promise_id, debtor_ref)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
           $23, $24, $25, $26)
         on conflict (contact_id) do update set version = excluded.version, state = excluded.state,
           outcome = excluded.outcome, proposal = excluded.proposal, next_step = excluded.next_step,
           next_on = excluded.next_on, none_because = excluded.none_because, at = excluded.at,
           counted_on = excluded.counted_on, actor = excluded.actor, reason = excluded.reason,
           recorded_at = excluded.recorded_at, hold_id = excluded.hold_id, promise_id = excluded.promise_id",
        contact.id.as_uuid(),
        contact.version,
        contact.direction.name(),
        contact.channel.name(),
        contact.state.name(),
        contact.account.as_uuid(),
        contact.account_ref,
        contact.run.map(contracts::dunning::RunId::as_uuid),
        contact.stage,
        serde_json::to_value(&contact.amounts)?,
        contact.address,
        contact.content_sha256,
        contact.outcome.map(ContactOutcome::name),
        contact.proposal.map(ContactOutcome::name),
        contact.next_step,
        contact.next_on,
        contact.none_because,
        contact.follows,
        contact.at,
        contact.counted_on,
        contact.actor,
        contact.reason,
        contact.recorded_at,
        contact.hold.map(contracts::dunning::HoldId::as_uuid),
        contact.promise.map(contracts::dunning::PromiseId::as_uuid),
        contact.debtor
    )
    .execute(&mut *conn)
    .await?;
    if void {
        sqlx::query!(
            "update dunning.contact_item set void = true where contact_id = $1",
            contact.id.as_uuid()
        )
        .execute(&mut *conn)
        .await?;
        super::statements::void(conn, &[contact.id.as_uuid()]).await?;
    }
    Ok(())
}

/// What a contact that is new was about. It is in the ledger for no stage.
pub(crate) async fn put_items(conn: &mut PgConnection, contact: &Contact) -> Result<(), Failure> {
    for item in &contact.items {
        sqlx::query!(
            "insert into dunning.contact_item (contact_id, document_id, account_id, document_ref, amount, currency)
             values ($1, $2, $3, $4, $5, $6)",
            contact.id.as_uuid(),
            item.document_id.as_uuid(),
            contact.account.as_uuid(),
            item.document_ref,
            item.amount.amount(),
            item.amount.currency().code()
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Documents of an account with what is open of them.
pub(crate) async fn items(
    conn: &mut PgConnection,
    account: AccountId,
    documents: &[DocumentId],
) -> Result<Vec<ContactItem>, Failure> {
    let ids: Vec<Uuid> = documents.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query!(
        r#"select document_id, document_ref as "document_ref!", open as "open!", currency from dunning.item
           where account_id = $1 and document_id = any($2) and document_ref is not null and open is not null
           order by document_ref"#,
        account.as_uuid(),
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(ContactItem {
                document_id: row.document_id.into(),
                document_ref: row.document_ref,
                stage: None,
                amount: money(row.open, &row.currency)?,
            })
        })
        .collect()
}

pub(crate) async fn put_note(
    conn: &mut PgConnection,
    contact: &Contact,
    note: &str,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into dunning.contact_note (contact_id, account_id, note) values ($1, $2, $3)
         on conflict (contact_id) do nothing",
        contact.id.as_uuid(),
        contact.account.as_uuid(),
        note
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Erases what was said to and by a debtor: how many notes there were.
pub(crate) async fn erase_notes(
    conn: &mut PgConnection,
    account: AccountId,
    now: DateTime<Utc>,
) -> Result<u64, Failure> {
    let done = sqlx::query!(
        "update dunning.contact_note set note = null, erased_at = $2 where account_id = $1 and note is not null",
        account.as_uuid(),
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// The version of a contact goes up: its next step is done.
pub(crate) async fn next_is_done(conn: &mut PgConnection, id: ContactId) -> Result<i64, Failure> {
    Ok(sqlx::query_scalar!(
        "update dunning.contact set version = version + 1 where contact_id = $1 returning version",
        id.as_uuid()
    )
    .fetch_one(conn)
    .await?)
}
