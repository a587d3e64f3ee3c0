//! What reports of returns and bank lines have to do with each other.

use chrono::{Days, NaiveDate};
use kernel::{DebitId, ReceiptId};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::returns::{self, Row};
use crate::domain::returns::Debit;

/// Days before a bank line of which reports are looked at: a claim is taken three
/// weeks after its report.
const DAYS_BEFORE: u64 = 60;
/// And after it.
const DAYS_AFTER: u64 = 14;
/// Rows that are looked at, at most: the latest.
const OPEN_MAX: i64 = 20_000;
/// Payments of one amount and day among which that of an item is looked for, at
/// most; those with its reference come first.
const COLLECTED_MAX: i64 = 20;
/// Receipts for many collections of one day, at most.
const BULK_MAX: i64 = 5;

/// What the debits of a batch may meet.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// Items and bank lines that are not settled between them.
    pub(crate) open: Vec<DebitId>,
    /// Receipts that one of them took or may take.
    pub(crate) receipts: Vec<ReceiptId>,
}

/// Looks up, without locks, what the bank lines and items of a batch may meet.
pub(crate) async fn reach(conn: &mut PgConnection, debits: &[Debit]) -> Result<Reach, Failure> {
    if debits.is_empty() {
        return Ok(Reach::default());
    }
    let open = around(conn, debits).await?;
    // Of what is open only that which this batch may settle: a service user may
    // have thousands of items whose bank line nobody has brought.
    let may_meet = |debit: &&Debit| {
        let Some(item) = &debit.item else {
            return true;
        };
        let lines = debits.iter().filter(|line| line.item.is_none());
        let mut amounts = lines.map(|line| line.amount);
        amounts.any(|amount| amount == debit.amount || amount == item.total)
            || (item.claim.is_some() && debits.iter().any(|line| line.item.is_none()))
    };
    let near: Vec<&Debit> = open.iter().filter(may_meet).collect();
    let mut receipts: Vec<ReceiptId> = near.iter().filter_map(|debit| debit.receipt).collect();
    // A claim does not say into which account the payment came: a line will.
    let banks: Vec<&str> = debits
        .iter()
        .chain(near.iter().copied())
        .map(|debit| debit.bank_account.as_str())
        .filter(|bank| !bank.is_empty())
        .collect();
    let mut items = Vec::new();
    for debit in debits.iter().chain(near.iter().copied()) {
        if debit.item.is_none() || debit.receipt.is_some() {
            continue;
        }
        if debit.bank_account.is_empty() {
            let mut on: Vec<&str> = banks.clone();
            on.sort_unstable();
            on.dedup();
            items.extend(on.into_iter().map(|bank| Debit {
                bank_account: bank.to_owned(),
                ..debit.clone()
            }));
        } else {
            items.push(debit.clone());
        }
    }
    receipts.extend(collected(conn, &items).await?);
    Ok(Reach {
        open: open.iter().map(|debit| debit.id).collect(),
        receipts,
    })
}

async fn around(conn: &mut PgConnection, debits: &[Debit]) -> Result<Vec<Debit>, Failure> {
    let day = |debit: &Debit, by: i64| {
        let days = Days::new(by.unsigned_abs());
        let moved = if by < 0 {
            debit.booked_on.checked_sub_days(days)
        } else {
            debit.booked_on.checked_add_days(days)
        };
        moved.unwrap_or(debit.booked_on)
    };
    let from = debits.iter().map(|d| day(d, -(DAYS_BEFORE as i64))).min();
    let until = debits.iter().map(|d| day(d, DAYS_AFTER as i64)).max();
    let banks: Vec<&str> = debits.iter().map(|d| d.bank_account.as_str()).collect();
    let anywhere = banks.iter().any(|bank| bank.is_empty());
    let mut amounts: Vec<Decimal> = Vec::new();
    for debit in debits {
        if let Some(item) = &debit.item {
            amounts.extend([debit.amount.amount(), item.total.amount()]);
            let claim = debits.iter().filter(|other| {
                let of = other.item.as_ref();
                of.is_some_and(|of| of.claim.is_some() && of.claim == item.claim)
            });
            amounts.push(claim.map(|other| other.amount.amount()).sum());
        }
    }
    let rows = sqlx::query_as!(
        Row,
        "select debit_id, version, state, bank_account, bank_reference, booked_on, currency, amount, scheme, code,
             counterparty_name, counterparty_account, narrative, end_to_end_id, mandate_reference, receipt_id,
             shortfall, candidates, reopened, evidence, report, service_user, original_on, claim, batch_items,
             batch_total, challenge_by, expected_on, pair, actor, reason, recorded_at
         from allocation.debit
         where debit_id = any(array(
             select debit_id from allocation.debit
             where report is not null and state in ('unmatched', 'returned', 'expected')
                 and (pair is null or amount = any($8)) and booked_on between $1 and $2 and ($3 or bank_account = any($4) or bank_account = '')
             union
             select debit_id from allocation.debit
             where report is null and pair is null and state in ('unmatched', 'returned') and amount = any($5)
                 and booked_on between $1 and $6 and ($3 or bank_account = any($4))))
         order by debit_id desc limit $7",
        from,
        until,
        anywhere,
        &banks as &[&str],
        &amounts,
        // A line of a claim comes weeks after its report.
        until.and_then(|day| day.checked_add_days(Days::new(DAYS_BEFORE))),
        OPEN_MAX,
        &debits.iter().map(|d| d.amount.amount()).collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Debit::try_from).collect()
}

/// Receipts that items may be of: collections of their amount and day, and those
/// that are many collections.
async fn collected(conn: &mut PgConnection, items: &[Debit]) -> Result<Vec<ReceiptId>, Failure> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let banks: Vec<&str> = items.iter().map(|d| d.bank_account.as_str()).collect();
    let amounts: Vec<Decimal> = items.iter().map(|d| d.amount.amount()).collect();
    let days: Vec<(NaiveDate, NaiveDate)> = items.iter().map(Debit::collected).collect();
    // A payment may be booked some days beside its value.
    let from: Vec<NaiveDate> = days
        .iter()
        .zip(items)
        .map(|((from, _), item)| {
            let early = from.checked_sub_days(Days::new(4));
            early.unwrap_or_else(|| item.booked_on - Days::new(400))
        })
        .collect();
    let until: Vec<NaiveDate> = days
        .iter()
        .map(|(_, until)| until.checked_add_days(Days::new(4)).unwrap_or(*until))
        .collect();
    let references: Vec<Option<&str>> = items
        .iter()
        .map(|d| d.mandate_reference.as_deref())
        .collect();
    let accounts: Vec<Option<&str>> = items
        .iter()
        .map(|d| d.counterparty_account.as_deref())
        .collect();
    let ids = sqlx::query_scalar!(
        r#"with items as (
               select * from unnest($1::text[], $2::numeric[], $3::date[], $4::date[], $5::text[], $6::text[])
                   as i(bank, amount, since, until, reference, account))
           select c.receipt_id as "id!" from items i
             cross join lateral (select r.receipt_id from allocation.receipt r
                 where r.amount = i.amount and r.booked_on between i.since and i.until and r.bank_account = i.bank
                 order by coalesce(r.mandate_reference = i.reference, false) desc,
                     coalesce(r.payer_account = i.account, false) desc, r.booked_on desc limit $7) c
           union
           select c.receipt_id from items i
             cross join lateral (select r.receipt_id from allocation.receipt r
                 where r.scheme = 'dd_collection' and r.bank_account = i.bank
                     and r.booked_on between i.since and i.until and r.amount > i.amount
                     and r.mandate_reference is null and r.payer_account is null
                 order by r.amount desc limit $8) c"#,
        &banks as &[&str],
        &amounts,
        &from,
        &until,
        &references as &[Option<&str>],
        &accounts as &[Option<&str>],
        COLLECTED_MAX,
        BULK_MAX
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(ReceiptId::from).collect())
}

/// The rows with these ids, locked in key order.
pub(crate) async fn lock(conn: &mut PgConnection, ids: &[DebitId]) -> Result<Vec<Debit>, Failure> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    returns::lock_rows(conn, &ids).await
}
