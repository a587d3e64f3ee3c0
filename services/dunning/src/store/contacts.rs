//! Contacts: the send ledger, and the fold of it.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::dunning::{ContactChanged, ContactItem};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{known, money};

/// The name of a vocabulary as it is written.
fn name(value: impl serde::Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_value(value)?
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

/// A contact that is new, with what only the ledger keeps.
pub(crate) struct New<'a> {
    pub(crate) event: &'a ContactChanged,
    /// In the order of the event's items.
    pub(crate) ranks: &'a [Option<i16>],
    pub(crate) policy: Option<&'a str>,
    pub(crate) policy_version: Option<i32>,
    pub(crate) template: &'a str,
    pub(crate) template_version: i32,
    pub(crate) address: Option<&'a str>,
    /// The day that counts in the contact budget, if it does.
    pub(crate) counted_on: Option<NaiveDate>,
}

/// Which of these documents the account, or one of its joint debtors, was contacted
/// about at which rank already.
pub(crate) async fn sent_already(
    conn: &mut PgConnection,
    documents: &[Uuid],
    debtor: Option<&str>,
) -> Result<Vec<(Uuid, i16)>, Failure> {
    let rows = sqlx::query!(
        r#"select document_id, rank as "rank!" from dunning.contact_item
           where document_id = any($1) and not void and rank is not null and debtor_ref in ('', $2)"#,
        documents,
        debtor.unwrap_or_default()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.document_id, row.rank))
        .collect())
}

/// Writes it with its items: the claim. A second one for a document and stage
/// is refused by the database, whatever was looked at before (E56).
pub(crate) async fn insert(conn: &mut PgConnection, new: &New<'_>) -> Result<(), Failure> {
    let event = new.event;
    sqlx::query!(
        "insert into dunning.contact (contact_id, version, direction, channel, state, account_id, account_ref, run_id,
           stage, rank, policy, policy_version, template, template_version, amounts, address, content_sha256, at,
           counted_on, actor, reason, recorded_at, debtor_ref)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $18, $22)",
        event.contact_id.as_uuid(),
        event.version,
        name(event.direction)?,
        name(event.channel)?,
        name(event.state)?,
        event.account_id.as_uuid(),
        event.account_ref,
        event.run_id.map(contracts::dunning::RunId::as_uuid),
        event.stage,
        new.ranks.iter().copied().max().flatten(),
        new.policy,
        new.policy_version,
        new.template,
        new.template_version,
        serde_json::to_value(&event.amounts)?,
        new.address,
        event.content_sha256,
        event.at,
        new.counted_on,
        event.actor,
        event.reason,
        event.debtor_ref
    )
    .execute(&mut *conn)
    .await?;
    for (item, rank) in event.items.iter().zip(new.ranks) {
        sqlx::query!(
            "insert into dunning.contact_item (contact_id, document_id, account_id, document_ref, stage, rank, amount,
               currency, debtor_ref)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            event.contact_id.as_uuid(),
            item.document_id.as_uuid(),
            event.account_id.as_uuid(),
            item.document_ref,
            item.stage,
            *rank,
            item.amount.amount(),
            item.amount.currency().code(),
            event.debtor_ref.as_deref().unwrap_or_default()
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Folds the ledger of these accounts anew. What nobody knows the fate of is
/// in the ledger, so that it is not sent again, and counts as no stage (E65).
pub(crate) async fn fold(conn: &mut PgConnection, accounts: &[Uuid]) -> Result<(), Failure> {
    sqlx::query!(
        "insert into dunning.reached as r (account_id, documents, ranks, days, policies, policy_versions, contacts)
         select a.id, coalesce(i.documents, '{}'), coalesce(i.ranks, '{}'), coalesce(i.days, '{}'),
           coalesce(i.policies, '{}'), coalesce(i.versions, '{}'), coalesce(c.days, '{}')
         from unnest($1::uuid[]) a (id)
         left join lateral (
           select array_agg(x.document_id order by x.document_id) documents, array_agg(x.rank order by x.document_id) ranks,
             array_agg(x.day order by x.document_id) days, array_agg(x.policy order by x.document_id) policies,
             array_agg(x.policy_version order by x.document_id) versions
           from (select distinct on (ci.document_id) ci.document_id, ci.rank, coalesce(co.counted_on, co.at::date) as day,
                   coalesce(co.policy, '') as policy, coalesce(co.policy_version, 0) as policy_version
                 from dunning.contact_item ci join dunning.contact co using (contact_id)
                 where ci.account_id = a.id and not ci.void and ci.rank is not null and co.state <> 'unknown'
                 order by ci.document_id, ci.rank desc) x
         ) i on true
         left join lateral (
           select array_agg(y.counted_on order by y.counted_on) days
           from (select counted_on from dunning.contact where account_id = a.id and counted_on is not null
                   and state not in ('recalled', 'failed', 'bounced', 'gone_away')
                 order by counted_on desc limit 30) y
         ) c on true
         on conflict (account_id) do update set documents = excluded.documents, ranks = excluded.ranks,
           days = excluded.days, policies = excluded.policies, policy_versions = excluded.policy_versions,
           contacts = excluded.contacts",
        accounts
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Days on which an account was contacted, the last few.
pub(crate) async fn days(
    conn: &mut PgConnection,
    account: Uuid,
) -> Result<Vec<NaiveDate>, Failure> {
    let days = sqlx::query_scalar!(
        "select contacts from dunning.reached where account_id = $1",
        account
    )
    .fetch_optional(conn)
    .await?;
    Ok(days.unwrap_or_default())
}

/// An e-mail that is claimed and was not handed over as far as anybody knows.
pub(crate) struct Claimed {
    pub(crate) contact_id: Uuid,
    pub(crate) address: String,
    pub(crate) bytes: Vec<u8>,
}

/// Claimed e-mails whose claim is older than `before`: who claimed them is gone.
/// Claimed anew, so that no second dispatcher has them too.
pub(crate) async fn left_over(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Claimed>, Failure> {
    Ok(sqlx::query_as!(
        Claimed,
        r#"with mine as (
             select contact_id from dunning.contact where state = 'claimed' and recorded_at < $1
             order by at limit $3 for update skip locked),
           again as (
             update dunning.contact c set recorded_at = $2 from mine where c.contact_id = mine.contact_id
             returning c.contact_id, c.address, c.content_sha256)
           select again.contact_id, again.address as "address!", a.bytes
           from again join dunning.archive a on a.sha256 = again.content_sha256 order by again.contact_id"#,
        before,
        now,
        limit
    )
    .fetch_all(conn)
    .await?)
}

/// Says what became of a claimed contact; the event of it, unless somebody else
/// said it before. What failed gives its stages back.
pub(crate) async fn mark(
    conn: &mut PgConnection,
    contact: Uuid,
    state: contracts::dunning::ContactState,
    provider: Option<&str>,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<Option<ContactChanged>, Failure> {
    let row = sqlx::query!(
        "update dunning.contact set state = $2, version = version + 1, provider_reference = $3, reason = $4,
           recorded_at = $5
         where contact_id = $1 and state = 'claimed'
         returning version, direction, channel, account_id, account_ref, run_id, stage, amounts, content_sha256, at,
           debtor_ref",
        contact,
        name(state)?,
        provider,
        reason,
        now
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let void = state == contracts::dunning::ContactState::Failed;
    if void {
        super::statements::void(&mut *conn, contact).await?;
    }
    let items = sqlx::query!(
        "update dunning.contact_item set void = $2 where contact_id = $1
         returning document_id, document_ref, stage, amount, currency",
        contact,
        void
    )
    .fetch_all(&mut *conn)
    .await?;
    let items: Result<Vec<ContactItem>, Failure> = items
        .into_iter()
        .map(|item| {
            Ok(ContactItem {
                document_id: item.document_id.into(),
                document_ref: item.document_ref,
                stage: item.stage,
                amount: money(item.amount, &item.currency)?,
            })
        })
        .collect();
    let direction = serde_json::from_value(row.direction.clone().into()).ok();
    let channel = serde_json::from_value(row.channel.clone().into()).ok();
    Ok(Some(ContactChanged {
        contact_id: contact.into(),
        version: row.version,
        direction: known(direction, &row.direction)?,
        channel: known(channel, &row.channel)?,
        state,
        account_id: row.account_id.into(),
        account_ref: row.account_ref,
        debtor_ref: row.debtor_ref,
        run_id: row.run_id.map(Into::into),
        stage: row.stage,
        items: items?,
        amounts: serde_json::from_value(row.amounts)?,
        content_sha256: row.content_sha256,
        outcome: None,
        next_step: None,
        next_on: None,
        at: row.at,
        cause: None,
        recorded_at: now,
        actor: "system:dunning".to_owned(),
        reason: reason.to_owned(),
    }))
}
