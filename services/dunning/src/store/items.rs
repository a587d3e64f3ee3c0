//! Documents, what moved on them, and what allocation says takes off what may be
//! chased.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::allocation::{ChaseableChanged, DocumentPosted, TermKind};
use kernel::AccountId;
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::movements::Move;

/// Documents that came: one statement.
pub(crate) async fn put(
    conn: &mut PgConnection,
    documents: &[DocumentPosted],
    today: NaiveDate,
) -> Result<(), Failure> {
    if documents.is_empty() {
        return Ok(());
    }
    let mut sorted: Vec<&DocumentPosted> = documents.iter().collect();
    sorted.sort_by_key(|document| document.document_id);
    sorted.dedup_by_key(|document| document.document_id);
    fn of<'d, T>(all: &[&'d DocumentPosted], get: impl Fn(&'d DocumentPosted) -> T) -> Vec<T> {
        all.iter().copied().map(get).collect()
    }
    sqlx::query!(
        "insert into dunning.item as i (document_id, document_ref, kind, account_id, account_ref, matter_ref, issued_on,
           due_on, currency, gross)
         select * from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::date[],
           $8::date[], $9::text[], $10::numeric[])
         on conflict (document_id) do update set document_ref = excluded.document_ref, kind = excluded.kind,
           account_id = excluded.account_id, account_ref = excluded.account_ref, matter_ref = excluded.matter_ref,
           issued_on = excluded.issued_on, due_on = excluded.due_on, gross = excluded.gross,
           settled_on = case when excluded.gross <= i.settled then $11::date end",
        &of(&sorted, |d| d.document_id.as_uuid()),
        &of(&sorted, |d| d.document_ref.clone()),
        &of(&sorted, |d| d.kind.name().to_owned()),
        &of(&sorted, |d| d.account_id.as_uuid()),
        &of(&sorted, |d| d.account_ref.clone()),
        &of(&sorted, |d| d.matter_ref.clone()) as &[Option<String>],
        &of(&sorted, |d| d.issued_on),
        &of(&sorted, |d| d.due_on),
        &of(&sorted, |d| d.amount.currency().code().to_owned()),
        &of(&sorted, |d| d.amount.amount()),
        today
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What moved: the movements themselves, and what they come to for each
/// document. Whose documents they were, as far as that is known.
pub(crate) async fn moved(
    conn: &mut PgConnection,
    moves: &[Move],
    now: DateTime<Utc>,
    today: NaiveDate,
) -> Result<Vec<AccountId>, Failure> {
    if moves.is_empty() {
        return Ok(Vec::new());
    }
    fn of<T>(all: &[Move], get: impl Fn(&Move) -> T) -> Vec<T> {
        all.iter().map(get).collect()
    }
    // A line counts once, in however many messages it comes.
    let new = sqlx::query!(
        "insert into dunning.movement (document_id, line_id, amount, kind, effective_on, receipt_id, recorded_at)
         select *, $7::timestamptz from unnest($1::uuid[], $2::uuid[], $3::numeric[], $4::text[], $5::date[], $6::uuid[])
         on conflict do nothing returning document_id, amount",
        &of(moves, |m| m.document.as_uuid()),
        &of(moves, |m| m.line),
        &of(moves, |m| m.amount.amount()),
        &of(moves, |m| m.by.name().to_owned()),
        &of(moves, |m| m.effective_on),
        &of(moves, |m| m.receipt.map(kernel::ReceiptId::as_uuid)) as &[Option<Uuid>],
        now
    )
    .fetch_all(&mut *conn)
    .await?;
    let code: BTreeMap<Uuid, &'static str> = moves
        .iter()
        .map(|m| (m.document.as_uuid(), m.amount.currency().code()))
        .collect();
    let mut sums: BTreeMap<Uuid, (Decimal, &'static str)> = BTreeMap::new();
    for line in new {
        let currency = code.get(&line.document_id).copied().unwrap_or_default();
        let sum = sums
            .entry(line.document_id)
            .or_insert((Decimal::ZERO, currency));
        sum.0 += line.amount;
    }
    let ids: Vec<Uuid> = sums.keys().copied().collect();
    let amounts: Vec<Decimal> = sums.values().map(|(amount, _)| *amount).collect();
    let currencies: Vec<String> = sums.values().map(|(_, code)| (*code).to_owned()).collect();
    // Days that it was settled do not count against the debtor's clocks.
    let accounts = sqlx::query_scalar!(
        "insert into dunning.item as i (document_id, currency, settled)
         select * from unnest($1::uuid[], $2::text[], $3::numeric[])
         on conflict (document_id) do update set settled = i.settled + excluded.settled,
           settled_on = case when i.gross > 0 and i.gross <= i.settled + excluded.settled
             then coalesce(i.settled_on, $4::date) end,
           resumed_on = case when i.settled_on is not null and i.gross > i.settled + excluded.settled then $4::date
             else i.resumed_on end,
           settled_days = i.settled_days + case when i.settled_on is not null
             and i.gross > i.settled + excluded.settled then $4::date - i.settled_on else 0 end
         returning account_id",
        &ids,
        &currencies,
        &amounts,
        today
    )
    .fetch_all(conn)
    .await?;
    let mut accounts: Vec<AccountId> = accounts.into_iter().flatten().map(Into::into).collect();
    accounts.sort_unstable();
    accounts.dedup();
    Ok(accounts)
}

/// What allocation says may not be chased: the newest word of each account
/// replaces what was said before.
pub(crate) async fn put_terms(
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
        "insert into dunning.terms_version as v (account_id, version)
         select * from unnest($1::uuid[], $2::bigint[])
         on conflict (account_id) do update set version = excluded.version where v.version < excluded.version
         returning account_id",
        &ids,
        &versions
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query!(
        "update dunning.item set in_direct_debit = 0, likely_theirs = 0, unapplied_credit = 0
         where account_id = any($1) and (in_direct_debit > 0 or likely_theirs > 0 or unapplied_credit > 0)",
        &fresh
    )
    .execute(&mut *conn)
    .await?;
    let (mut documents, mut accounts, mut currencies) = (Vec::new(), Vec::new(), Vec::new());
    let (mut debits, mut likely, mut credit) = (Vec::new(), Vec::new(), Vec::new());
    for change in newest.values() {
        if !fresh.contains(&change.account_id.as_uuid()) {
            continue;
        }
        for item in &change.items {
            let of = |kind: TermKind| -> Decimal {
                item.terms
                    .iter()
                    .filter(|term| term.kind == kind)
                    .map(|term| term.amount.amount())
                    .sum()
            };
            documents.push(item.document_id.as_uuid());
            accounts.push(change.account_id.as_uuid());
            currencies.push(item.open.currency().code().to_owned());
            debits.push(of(TermKind::InDirectDebit));
            likely.push(of(TermKind::LikelyTheirs));
            credit.push(of(TermKind::UnappliedCredit));
        }
    }
    if documents.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into dunning.item as i (document_id, account_id, currency, in_direct_debit, likely_theirs,
           unapplied_credit)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::numeric[], $5::numeric[], $6::numeric[])
         on conflict (document_id) do update set in_direct_debit = excluded.in_direct_debit,
           likely_theirs = excluded.likely_theirs, unapplied_credit = excluded.unapplied_credit",
        &documents,
        &accounts,
        &currencies,
        &debits,
        &likely,
        &credit
    )
    .execute(conn)
    .await?;
    Ok(())
}
