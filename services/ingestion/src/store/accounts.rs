use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use kernel::AccountId;
use messaging::{Failure, Tx};
use sqlx::query;

use super::{column, or_lost_race};
use crate::domain::record::{AccountRow, Known, KnownAccount};

/// Loads accounts: those that may change (`changing`) locked in the order of
/// their references, those that documents only name (`named`) without a lock,
/// since an id never changes.
pub(crate) async fn load_accounts(
    tx: &mut Tx,
    changing: BTreeSet<&str>,
    named: BTreeSet<&str>,
    known: &mut Known,
) -> Result<(), Failure> {
    let named: Vec<String> = named
        .difference(&changing)
        .map(|&account_ref| account_ref.to_owned())
        .collect();
    let changing: Vec<String> = changing.into_iter().map(str::to_owned).collect();
    if !changing.is_empty() {
        let rows = query!(
            "select account_ref, account_id, version, content from ingestion.account
             where account_ref = any($1) order by account_ref for update",
            &changing
        )
        .fetch_all(tx.conn())
        .await?;
        for row in rows {
            known.know_account(
                row.account_ref,
                KnownAccount {
                    account_id: AccountId::from(row.account_id),
                    version: row.version,
                    content: row.content,
                    stored: true,
                },
            );
        }
    }
    if !named.is_empty() {
        let rows = query!(
            "select account_ref, account_id, version from ingestion.account
             where account_ref = any($1)",
            &named
        )
        .fetch_all(tx.conn())
        .await?;
        for row in rows {
            known.know_account(
                row.account_ref,
                KnownAccount {
                    account_id: AccountId::from(row.account_id),
                    version: row.version,
                    content: None,
                    stored: true,
                },
            );
        }
    }
    Ok(())
}

/// Writes accounts that are new or changed; `rows` are in the order of their
/// references.
pub(crate) async fn record_accounts(
    tx: &mut Tx,
    rows: &[AccountRow],
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let (changed, new): (Vec<&AccountRow>, Vec<&AccountRow>) =
        rows.iter().partition(|row| row.account.stored);
    if !changed.is_empty() {
        query!(
            "update ingestion.account a
             set version = n.version, content = n.content, recorded_at = $4
             from unnest($1::uuid[], $2::bigint[], $3::text[]) n (account_id, version, content)
             where a.account_id = n.account_id",
            &column(&changed, |r| r.account.account_id.as_uuid()),
            &column(&changed, |r| r.account.version),
            &column(&changed, |r| r.account.content.as_deref()) as _,
            now
        )
        .execute(tx.conn())
        .await?;
    }
    if !new.is_empty() {
        query!(
            "insert into ingestion.account
                 (account_id, account_ref, version, content, first_seen_at, recorded_at)
             select n.*, $5, $5 from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[]) n",
            &column(&new, |r| r.account.account_id.as_uuid()),
            &column(&new, |r| r.account_ref.as_str()) as _,
            &column(&new, |r| r.account.version),
            &column(&new, |r| r.account.content.as_deref()) as _,
            now
        )
        .execute(tx.conn())
        .await
        .map_err(or_lost_race)?;
    }
    Ok(())
}
