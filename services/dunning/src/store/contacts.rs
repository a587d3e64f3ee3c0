//! Contacts: the send ledger, and the fold of it.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use contracts::dunning::{ContactChanged, ContactItem, ContactState, RunId};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{enclosures::Enclosed, known, money, templates::File};

/// The name of a vocabulary as it is written.
fn name(value: impl serde::Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_value(value)?
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

/// A contact that is new, with what only the ledger keeps, and its bytes.
pub(crate) struct Written {
    pub(crate) event: ContactChanged,
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// Of the bytes.
    pub(crate) sha256: String,
    /// In the order of the event's items.
    pub(crate) ranks: Vec<Option<i16>>,
    pub(crate) policy: Option<String>,
    pub(crate) policy_version: Option<i32>,
    pub(crate) template: String,
    pub(crate) template_version: i32,
    pub(crate) address: Option<String>,
    /// What goes with it.
    pub(crate) enclosed: Vec<Enclosed>,
    /// The day that counts in the contact budget, if it does.
    pub(crate) counted_on: Option<NaiveDate>,
}

impl Written {
    pub(crate) fn file(&self) -> File<'_> {
        File {
            sha256: &self.sha256,
            media_type: self.media_type,
            bytes: &self.bytes,
        }
    }
}

/// Documents that were contacted about, each with the rank of the stage and the joint
/// debtor; nobody where it was the account as a whole.
pub(crate) struct Already(HashSet<(Uuid, i16, String)>);

impl Already {
    /// Whether the account, or one of its joint debtors, had it.
    pub(crate) fn has(&self, document: Uuid, rank: i16, debtor: Option<&str>) -> bool {
        let had = |debtor: &str| self.0.contains(&(document, rank, debtor.to_owned()));
        had("") || debtor.is_some_and(had)
    }

    /// Whether anybody who owes it had it.
    pub(crate) fn went(&self, document: Uuid, rank: i16) -> bool {
        self.0
            .iter()
            .any(|(known, at, _)| (*known, *at) == (document, rank))
    }
}

/// Which of these documents were contacted about already.
pub(crate) async fn sent_already(
    conn: &mut PgConnection,
    documents: &[Uuid],
) -> Result<Already, Failure> {
    let rows = sqlx::query!(
        r#"select document_id, rank as "rank!", debtor_ref from dunning.contact_item
           where document_id = any($1) and not void and rank is not null"#,
        documents
    )
    .fetch_all(conn)
    .await?;
    Ok(Already(
        rows.into_iter()
            .map(|row| (row.document_id, row.rank, row.debtor_ref))
            .collect(),
    ))
}

/// Writes them with their items: the claim. A second one for a document and stage
/// is refused by the database, whatever was looked at before (E56).
pub(crate) async fn insert(conn: &mut PgConnection, all: &[Written]) -> Result<(), Failure> {
    fn of<T>(all: &[Written], get: impl Fn(&Written) -> T) -> Vec<T> {
        all.iter().map(get).collect()
    }
    fn names<T: serde::Serialize>(
        all: &[Written],
        get: impl Fn(&Written) -> T,
    ) -> Result<Vec<String>, Failure> {
        all.iter().map(|one| name(get(one))).collect()
    }
    let amounts: Result<Vec<serde_json::Value>, _> = all
        .iter()
        .map(|one| serde_json::to_value(&one.event.amounts))
        .collect();
    sqlx::query!(
        "insert into dunning.contact (contact_id, version, direction, channel, state, account_id, account_ref, run_id,
           stage, rank, policy, policy_version, template, template_version, amounts, address, content_sha256, at,
           counted_on, actor, reason, debtor_ref, recorded_at)
         select c.*, c.at from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[],
           $8::uuid[], $9::text[], $10::smallint[], $11::text[], $12::integer[], $13::text[], $14::integer[], $15::jsonb[],
           $16::text[], $17::text[], $18::timestamptz[], $19::date[], $20::text[], $21::text[],
           $22::text[])
           c (contact_id, version, direction, channel, state, account_id, account_ref, run_id, stage, rank, policy,
             policy_version, template, template_version, amounts, address, content_sha256, at, counted_on, actor, reason,
             debtor_ref)",
        &of(all, |one| one.event.contact_id.as_uuid()),
        &of(all, |one| one.event.version),
        &names(all, |one| one.event.direction)?,
        &names(all, |one| one.event.channel)?,
        &names(all, |one| one.event.state)?,
        &of(all, |one| one.event.account_id.as_uuid()),
        &of(all, |one| one.event.account_ref.clone()),
        &of(all, |one| one.event.run_id.map(RunId::as_uuid)) as &[Option<Uuid>],
        &of(all, |one| one.event.stage.clone()) as &[Option<String>],
        &of(all, |one| one.ranks.iter().copied().max().flatten()) as &[Option<i16>],
        &of(all, |one| one.policy.clone()) as &[Option<String>],
        &of(all, |one| one.policy_version) as &[Option<i32>],
        &of(all, |one| one.template.clone()),
        &of(all, |one| one.template_version),
        &amounts?,
        &of(all, |one| one.address.clone()) as &[Option<String>],
        &of(all, |one| one.sha256.clone()),
        &of(all, |one| one.event.at),
        &of(all, |one| one.counted_on) as &[Option<NaiveDate>],
        &of(all, |one| one.event.actor.clone()),
        &of(all, |one| one.event.reason.clone()),
        &of(all, |one| one.event.debtor_ref.clone()) as &[Option<String>]
    )
    .execute(&mut *conn)
    .await?;
    fn each<T>(
        all: &[Written],
        get: impl Fn(&ContactChanged, &ContactItem, Option<i16>) -> T,
    ) -> Vec<T> {
        all.iter()
            .flat_map(|one| {
                let items = one.event.items.iter().zip(&one.ranks);
                items.map(|(item, rank)| get(&one.event, item, *rank))
            })
            .collect()
    }
    sqlx::query!(
        "insert into dunning.contact_item (contact_id, document_id, account_id, document_ref, stage, rank, amount,
           currency, debtor_ref)
         select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::smallint[], $7::numeric[],
           $8::text[], $9::text[])",
        &each(all, |event, _, _| event.contact_id.as_uuid()),
        &each(all, |_, item, _| item.document_id.as_uuid()),
        &each(all, |event, _, _| event.account_id.as_uuid()),
        &each(all, |_, item, _| item.document_ref.clone()),
        &each(all, |_, item, _| item.stage.clone()) as &[Option<String>],
        &each(all, |_, _, rank| rank) as &[Option<i16>],
        &each(all, |_, item, _| item.amount.amount()),
        &each(all, |_, item, _| item.amount.currency().code().to_owned()),
        &each(all, |event, _, _| event.debtor_ref.clone().unwrap_or_default())
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Folds the ledger of these accounts anew. What nobody knows the fate of is
/// in the ledger, so that it is not sent again, and counts as no stage (E65).
pub(crate) async fn fold(conn: &mut PgConnection, accounts: &[Uuid]) -> Result<(), Failure> {
    sqlx::query!(
        "insert into dunning.reached as r (account_id, documents, ranks, days, policies, policy_versions, contacts)
         select a.id, coalesce(i.documents, '{}'), coalesce(i.ranks, '{}'), coalesce(i.days, '{}'),
           coalesce(i.policies, '{}'), coalesce(i.versions, '{}'), coalesce(c.days, '{}')
         from (select distinct unnest($1::uuid[]) id) a
         left join (
           select x.account_id, array_agg(x.document_id order by x.document_id) documents,
             array_agg(x.rank order by x.document_id) ranks, array_agg(x.day order by x.document_id) days,
             array_agg(x.policy order by x.document_id) policies,
             array_agg(x.policy_version order by x.document_id) versions
           from (select distinct on (co.account_id, ci.document_id) co.account_id, ci.document_id, ci.rank,
                   coalesce(co.counted_on, co.at::date) as day, coalesce(co.policy, '') as policy,
                   coalesce(co.policy_version, 0) as policy_version
                 from dunning.contact co join dunning.contact_item ci using (contact_id)
                 where co.account_id = any($1) and not ci.void and ci.rank is not null and co.state <> 'unknown'
                 order by co.account_id, ci.document_id, ci.rank desc, coalesce(co.counted_on, co.at::date)) x
           group by x.account_id
         ) i on i.account_id = a.id
         left join (
           select y.account_id, array_agg(y.counted_on order by y.counted_on) days
           from (select account_id, counted_on, row_number() over (partition by account_id order by counted_on desc) n
                 from dunning.contact where account_id = any($1) and counted_on is not null
                   and state not in ('recalled', 'failed', 'bounced', 'gone_away')) y
           where y.n <= 30 group by y.account_id
         ) c on c.account_id = a.id
         order by a.id
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

/// What became of a contact that was claimed.
pub(crate) struct Marked {
    pub(crate) contact: Uuid,
    pub(crate) state: ContactState,
    pub(crate) provider: Option<String>,
    pub(crate) reason: String,
}

/// Says what became of claimed contacts; the events of it, except where somebody
/// else said it before. What failed gives its stages back.
pub(crate) async fn mark(
    conn: &mut PgConnection,
    all: &[Marked],
    now: DateTime<Utc>,
) -> Result<Vec<ContactChanged>, Failure> {
    let states: Result<Vec<String>, Failure> = all.iter().map(|one| name(one.state)).collect();
    let contacts: Vec<Uuid> = all.iter().map(|one| one.contact).collect();
    let providers: Vec<Option<String>> = all.iter().map(|one| one.provider.clone()).collect();
    let reasons: Vec<String> = all.iter().map(|one| one.reason.clone()).collect();
    let rows = sqlx::query!(
        r#"update dunning.contact c set state = m.state, version = c.version + 1, provider_reference = m.provider,
             reason = m.reason, recorded_at = $5
           from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) m (contact_id, state, provider, reason)
           where c.contact_id = m.contact_id and c.state = 'claimed'
           returning c.contact_id, c.version, c.direction, c.channel, c.state, c.account_id, c.account_ref, c.run_id, c.stage,
             c.amounts, c.content_sha256, c.at, c.reason, c.debtor_ref"#,
        &contacts,
        &states?,
        &providers as &[Option<String>],
        &reasons,
        now
    )
    .fetch_all(&mut *conn)
    .await?;
    let marked: Vec<Uuid> = rows.iter().map(|row| row.contact_id).collect();
    let failed = name(ContactState::Failed)?;
    let void: Vec<Uuid> = rows
        .iter()
        .filter(|row| row.state == failed)
        .map(|row| row.contact_id)
        .collect();
    if !void.is_empty() {
        super::statements::void(&mut *conn, &void).await?;
        sqlx::query!(
            "update dunning.contact_item set void = true where contact_id = any($1)",
            &void
        )
        .execute(&mut *conn)
        .await?;
    }
    let mut items: HashMap<Uuid, Vec<ContactItem>> = HashMap::new();
    let found = sqlx::query!(
        "select contact_id, document_id, document_ref, stage, amount, currency from dunning.contact_item
         where contact_id = any($1) order by contact_id, document_id",
        &marked
    )
    .fetch_all(conn)
    .await?;
    for item in found {
        items.entry(item.contact_id).or_default().push(ContactItem {
            document_id: item.document_id.into(),
            document_ref: item.document_ref,
            stage: item.stage,
            amount: money(item.amount, &item.currency)?,
        });
    }
    rows.into_iter()
        .map(|row| {
            let direction = serde_json::from_value(row.direction.clone().into()).ok();
            let channel = serde_json::from_value(row.channel.clone().into()).ok();
            let state = serde_json::from_value(row.state.clone().into()).ok();
            Ok(ContactChanged {
                contact_id: row.contact_id.into(),
                version: row.version,
                direction: known(direction, &row.direction)?,
                channel: known(channel, &row.channel)?,
                state: known(state, &row.state)?,
                account_id: row.account_id.into(),
                account_ref: row.account_ref,
                debtor_ref: row.debtor_ref,
                run_id: row.run_id.map(Into::into),
                stage: row.stage,
                items: items.remove(&row.contact_id).unwrap_or_default(),
                amounts: serde_json::from_value(row.amounts)?,
                content_sha256: row.content_sha256,
                outcome: None,
                next_step: None,
                next_on: None,
                at: row.at,
                cause: None,
                recorded_at: now,
                actor: "system:dunning".to_owned(),
                reason: row.reason,
            })
        })
        .collect()
}
