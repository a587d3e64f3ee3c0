//! Documents, their standing, and what explains that they are not paid.

use std::collections::{BTreeMap, HashMap};

use contracts::allocation::{AccountUpdated, ChaseableChanged, DocumentPosted, TermKind};
use kernel::{AccountId, DocumentId, Money};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::money;
use crate::domain::{
    amounts::{Settled, Standing},
    movements::Moves,
};

/// A document that is known.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) document: DocumentId,
    pub(crate) document_ref: String,
    pub(crate) is_credit: bool,
    pub(crate) account: AccountId,
    pub(crate) account_ref: String,
    pub(crate) due_on: chrono::NaiveDate,
    pub(crate) standing: Standing,
}

struct Row {
    document_id: Uuid,
    document_ref: Option<String>,
    kind: Option<String>,
    account_id: Option<Uuid>,
    account_ref: Option<String>,
    due_on: Option<chrono::NaiveDate>,
    currency: String,
    gross: Option<Decimal>,
    paid: Decimal,
    credited: Decimal,
    cleared: Decimal,
    written_off: Decimal,
    noted: Decimal,
}

fn known(row: Row) -> Result<Option<Known>, Failure> {
    let (
        Some(document_ref),
        Some(kind),
        Some(account),
        Some(account_ref),
        Some(due_on),
        Some(gross),
    ) = (
        row.document_ref,
        row.kind,
        row.account_id,
        row.account_ref,
        row.due_on,
        row.gross,
    )
    else {
        return Ok(None);
    };
    let amount = |amount| money(amount, &row.currency);
    Ok(Some(Known {
        document: row.document_id.into(),
        document_ref,
        is_credit: kind == "credit_note",
        account: account.into(),
        account_ref,
        due_on,
        standing: Standing {
            gross: amount(gross)?,
            settled: Settled {
                paid: amount(row.paid)?,
                credited: amount(row.credited)?,
                cleared: amount(row.cleared)?,
                written_off: amount(row.written_off)?,
            },
            noted: amount(row.noted)?,
        },
    }))
}

/// Locks those of these documents that are known.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    documents: &[DocumentId],
) -> Result<HashMap<DocumentId, Known>, Failure> {
    let ids: Vec<Uuid> = documents.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        "select document_id, document_ref, kind, account_id, account_ref, due_on, currency, gross, paid, credited,
           cleared, written_off, noted
         from disputes.item where document_id = any($1) order by document_id for update",
        &ids
    )
    .fetch_all(conn)
    .await?;
    collect(rows)
}

/// Those of these documents that are known, as they are.
pub(crate) async fn look_at(
    conn: &mut PgConnection,
    documents: &[DocumentId],
) -> Result<HashMap<DocumentId, Known>, Failure> {
    let ids: Vec<Uuid> = documents.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        "select document_id, document_ref, kind, account_id, account_ref, due_on, currency, gross, paid, credited,
           cleared, written_off, noted
         from disputes.item where document_id = any($1)",
        &ids
    )
    .fetch_all(conn)
    .await?;
    collect(rows)
}

fn collect(rows: Vec<Row>) -> Result<HashMap<DocumentId, Known>, Failure> {
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        if let Some(known) = known(row)? {
            found.insert(known.document, known);
        }
    }
    Ok(found)
}

/// Documents that came, and what moved on any: one statement each.
pub(crate) async fn put(
    conn: &mut PgConnection,
    documents: &[DocumentPosted],
    moves: &Moves,
) -> Result<(), Failure> {
    if !documents.is_empty() {
        let mut sorted: Vec<&DocumentPosted> = documents.iter().collect();
        sorted.sort_by_key(|document| document.document_id);
        sorted.dedup_by_key(|document| document.document_id);
        fn of<'d, T>(all: &[&'d DocumentPosted], get: impl Fn(&'d DocumentPosted) -> T) -> Vec<T> {
            all.iter().copied().map(get).collect()
        }
        sqlx::query!(
            "insert into disputes.item (document_id, document_ref, kind, account_id, account_ref, due_on, currency,
               gross, payment_reference)
             select * from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::date[], $7::text[],
               $8::numeric[], $9::text[])
             on conflict (document_id) do update set document_ref = excluded.document_ref, kind = excluded.kind,
               account_id = excluded.account_id, account_ref = excluded.account_ref, due_on = excluded.due_on,
               gross = excluded.gross, payment_reference = excluded.payment_reference",
            &of(&sorted, |d| d.document_id.as_uuid()),
            &of(&sorted, |d| d.document_ref.clone()),
            &of(&sorted, |d| d.kind.name().to_owned()),
            &of(&sorted, |d| d.account_id.as_uuid()),
            &of(&sorted, |d| d.account_ref.clone()),
            &of(&sorted, |d| d.due_on),
            &of(&sorted, |d| d.amount.currency().code().to_owned()),
            &of(&sorted, |d| d.amount.amount()),
            &of(&sorted, |d| d.payment_reference.clone()) as &[Option<String>],
        )
        .execute(&mut *conn)
        .await?;
    }
    if !moves.is_empty() {
        fn of<T>(moves: &Moves, get: impl Fn(&Settled) -> T) -> Vec<T> {
            moves.values().map(get).collect()
        }
        let ids: Vec<Uuid> = moves.keys().map(|id| id.as_uuid()).collect();
        sqlx::query!(
            "insert into disputes.item as i (document_id, currency, paid, credited, cleared, written_off)
             select * from unnest($1::uuid[], $2::text[], $3::numeric[], $4::numeric[], $5::numeric[], $6::numeric[])
             on conflict (document_id) do update set paid = i.paid + excluded.paid,
               credited = i.credited + excluded.credited, cleared = i.cleared + excluded.cleared,
               written_off = i.written_off + excluded.written_off,
               noted = i.noted - least(i.noted, greatest(excluded.credited, 0))",
            &ids,
            &of(moves, |m| m.paid.currency().code().to_owned()),
            &of(moves, |m| m.paid.amount()),
            &of(moves, |m| m.credited.amount()),
            &of(moves, |m| m.cleared.amount()),
            &of(moves, |m| m.written_off.amount()),
        )
        .execute(conn)
        .await?;
    }
    Ok(())
}

/// Credit that answers requests and does not meet the documents yet.
pub(crate) async fn note(
    conn: &mut PgConnection,
    noted: &BTreeMap<DocumentId, Money>,
) -> Result<(), Failure> {
    if noted.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = noted.keys().map(|id| id.as_uuid()).collect();
    let amounts: Vec<Decimal> = noted.values().map(|amount| amount.amount()).collect();
    sqlx::query!(
        "update disputes.item i set noted = i.noted + n.amount
         from unnest($1::uuid[], $2::numeric[]) n(document_id, amount) where i.document_id = n.document_id",
        &ids,
        &amounts
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Names of accounts; an older version than the one that is known is nothing new.
pub(crate) async fn put_accounts(
    conn: &mut PgConnection,
    accounts: &[AccountUpdated],
) -> Result<(), Failure> {
    let mut newest: BTreeMap<AccountId, &AccountUpdated> = BTreeMap::new();
    for account in accounts {
        let known = newest.entry(account.account_id).or_insert(account);
        if known.version < account.version {
            *known = account;
        }
    }
    if newest.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = newest.keys().map(|id| id.as_uuid()).collect();
    let refs: Vec<String> = newest.values().map(|a| a.account_ref.clone()).collect();
    let names: Vec<String> = newest.values().map(|a| a.name.clone()).collect();
    let versions: Vec<i64> = newest.values().map(|a| a.version).collect();
    sqlx::query!(
        "insert into disputes.account as a (account_id, account_ref, name, version)
         select * from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[])
         on conflict (account_id) do update set account_ref = excluded.account_ref, name = excluded.name,
           version = excluded.version where a.version < excluded.version",
        &ids,
        &refs,
        &names,
        &versions
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What allocation says that explains unpaid items: the newest word of each
/// account replaces what was said before.
pub(crate) async fn put_explained(
    conn: &mut PgConnection,
    told: &[ChaseableChanged],
) -> Result<(), Failure> {
    let mut newest: BTreeMap<AccountId, &ChaseableChanged> = BTreeMap::new();
    for change in told {
        let known = newest.entry(change.account_id).or_insert(change);
        if known.version < change.version {
            *known = change;
        }
    }
    if newest.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = newest.keys().map(|id| id.as_uuid()).collect();
    let versions: Vec<i64> = newest.values().map(|change| change.version).collect();
    let fresh = sqlx::query_scalar!(
        "insert into disputes.explained_version as v (account_id, version)
         select * from unnest($1::uuid[], $2::bigint[])
         on conflict (account_id) do update set version = excluded.version where v.version < excluded.version
         returning account_id",
        &ids,
        &versions
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query!(
        "delete from disputes.explained where account_id = any($1)",
        &fresh
    )
    .execute(&mut *conn)
    .await?;
    let (mut documents, mut accounts, mut amounts, mut words) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for change in newest.values() {
        if !fresh.contains(&change.account_id.as_uuid()) {
            continue;
        }
        for item in &change.items {
            let terms = || item.terms.iter().filter(|t| t.kind != TermKind::Disputed);
            let amount = Money::sum(terms().map(|term| term.amount), item.open.currency())
                .map_err(Failure::of)?;
            if amount.is_positive() {
                documents.push(item.document_id.as_uuid());
                accounts.push(change.account_id.as_uuid());
                amounts.push(amount.amount());
                let mut kinds: Vec<&str> = terms().map(|term| term.kind.name()).collect();
                kinds.dedup();
                words.push(kinds.join(", ").replace('_', " "));
            }
        }
    }
    if !documents.is_empty() {
        sqlx::query!(
            "insert into disputes.explained (document_id, account_id, amount, words)
             select * from unnest($1::uuid[], $2::uuid[], $3::numeric[], $4::text[])
             on conflict (document_id) do update set account_id = excluded.account_id, amount = excluded.amount,
               words = excluded.words",
            &documents,
            &accounts,
            &amounts,
            &words
        )
        .execute(conn)
        .await?;
    }
    Ok(())
}
