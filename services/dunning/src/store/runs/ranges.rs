//! The ranges of accounts that a run is worked out by.

use contracts::dunning::{RunId, RunTally};
use kernel::AccountId;
use messaging::Failure;
use sqlx::PgConnection;

/// A range of accounts, with both its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) number: i32,
    pub(crate) from: AccountId,
    pub(crate) to: AccountId,
}

/// Divides all accounts, or those named, into ranges of at most `size`.
pub(crate) async fn plan(
    conn: &mut PgConnection,
    run: RunId,
    accounts: &[String],
    size: i32,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into dunning.run_range (run_id, range, from_account, to_account)
         select $1, range, min(account_id::text)::uuid, max(account_id::text)::uuid
         from (select account_id, ((row_number() over (order by account_id) - 1) / $3)::integer as range
           from dunning.account where cardinality($2::text[]) = 0 or account_ref = any($2)) numbered
         group by range",
        run.as_uuid(),
        accounts,
        i64::from(size)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A range that nobody works at and that is not proposed yet; locked.
pub(crate) async fn claim(conn: &mut PgConnection, run: RunId) -> Result<Option<Range>, Failure> {
    let row = sqlx::query!(
        "select range, from_account, to_account from dunning.run_range where run_id = $1 and not proposed
         order by range limit 1 for update skip locked",
        run.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Range {
        number: row.range,
        from: row.from_account.into(),
        to: row.to_account.into(),
    }))
}

/// A range whose contacts are to be queued; locked.
pub(crate) async fn unqueued(
    conn: &mut PgConnection,
    run: RunId,
) -> Result<Option<Range>, Failure> {
    let row = sqlx::query!(
        "select range, from_account, to_account from dunning.run_range where run_id = $1 and not queued
         order by range limit 1 for update skip locked",
        run.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Range {
        number: row.range,
        from: row.from_account.into(),
        to: row.to_account.into(),
    }))
}

/// The range that an account is in; locked.
pub(crate) async fn range_of(
    conn: &mut PgConnection,
    run: RunId,
    account: AccountId,
) -> Result<Option<Range>, Failure> {
    let row = sqlx::query!(
        "select range, from_account, to_account from dunning.run_range
         where run_id = $1 and $2 between from_account and to_account for update",
        run.as_uuid(),
        account.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Range {
        number: row.range,
        from: row.from_account.into(),
        to: row.to_account.into(),
    }))
}

/// What came of a range.
#[derive(Debug, Clone)]
pub(crate) struct Proposed {
    pub(crate) contacts: i64,
    pub(crate) digest: Vec<u8>,
    pub(crate) tally: Vec<RunTally>,
    pub(crate) overdue: i64,
}

pub(crate) async fn proposed(
    conn: &mut PgConnection,
    run: RunId,
    range: Range,
    what: &Proposed,
) -> Result<(), Failure> {
    sqlx::query!(
        "update dunning.run_range set proposed = true, contacts = $3, digest = $4, tally = $5, overdue = $6
         where run_id = $1 and range = $2",
        run.as_uuid(),
        range.number,
        what.contacts,
        what.digest,
        serde_json::to_value(&what.tally)?,
        what.overdue
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A range is frozen anew after an edit.
pub(crate) async fn freeze_range(
    conn: &mut PgConnection,
    run: RunId,
    range: Range,
    contacts: i64,
    digest: &[u8],
) -> Result<(), Failure> {
    sqlx::query!(
        "update dunning.run_range set contacts = $3, digest = $4 where run_id = $1 and range = $2",
        run.as_uuid(),
        range.number,
        contacts,
        digest
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many ranges there are, and how many of them are proposed.
pub(crate) async fn progress(conn: &mut PgConnection, run: RunId) -> Result<(i64, i64), Failure> {
    let row = sqlx::query!(
        r#"select count(*) as "all!", count(*) filter (where proposed) as "proposed!"
           from dunning.run_range where run_id = $1"#,
        run.as_uuid()
    )
    .fetch_one(conn)
    .await?;
    Ok((row.all, row.proposed))
}

/// What the ranges come to, in their order.
pub(crate) async fn digests(conn: &mut PgConnection, run: RunId) -> Result<Vec<Proposed>, Failure> {
    let rows = sqlx::query!(
        "select contacts, digest, tally, overdue from dunning.run_range where run_id = $1 order by range",
        run.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Proposed {
                contacts: row.contacts,
                digest: row.digest.unwrap_or_default(),
                tally: serde_json::from_value(row.tally)?,
                overdue: row.overdue,
            })
        })
        .collect()
}

/// Whether every range is queued.
pub(crate) async fn all_queued(conn: &mut PgConnection, run: RunId) -> Result<bool, Failure> {
    let left = sqlx::query_scalar!(
        r#"select exists (select from dunning.run_range where run_id = $1 and not queued) as "left!""#,
        run.as_uuid()
    )
    .fetch_one(conn)
    .await?;
    Ok(!left)
}
