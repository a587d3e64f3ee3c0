//! Accounts and who pays from which bank account.

use std::collections::HashSet;

use kernel::{AccountId, ReceiptId};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{Account, Books, ledger::NAME_BEGINNING_MIN, name_key, reference_key};

pub(crate) async fn lock(
    conn: &mut PgConnection,
    ids: &[AccountId],
) -> Result<Vec<Account>, Failure> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query!(
        "select account_id, account_ref, version, name from allocation.account
         where account_id = any($1) order by account_id for update",
        &ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Account {
            id: row.account_id.into(),
            reference: row.account_ref,
            version: row.version,
            name: row.name,
        })
        .collect())
}

/// By what payers are looked for.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    pub(crate) banks: Vec<String>,
    /// Folded.
    pub(crate) names: Vec<String>,
    /// Numbers that may be ours of an account, folded.
    pub(crate) quoted: Vec<String>,
}

/// Adds to `books` accounts by folded name (or one that begins so), by quoted
/// number, and by a bank account that people have shown to pay for them; and
/// tells which of the `arriving` receipts are on the ledger already, and which of
/// our own bank accounts hold client money. All that is recognised by a key, in
/// one look.
pub(crate) async fn recognise(
    conn: &mut PgConnection,
    arriving: &[ReceiptId],
    signs: &Signs,
    books: &mut Books,
) -> Result<HashSet<ReceiptId>, Failure> {
    let mut known = HashSet::new();
    let nobody = signs.banks.is_empty() && signs.names.is_empty() && signs.quoted.is_empty();
    if arriving.is_empty() && nobody {
        return Ok(known);
    }
    let arriving: Vec<Uuid> = arriving.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query!(
        r#"select 'known' as "by!", '' as "key!", receipt_id as "id!" from allocation.receipt
               where receipt_id = any($5)
           union all
           select 'client', bank_account, '00000000-0000-0000-0000-000000000000'::uuid
               from allocation.bank_account where designation = 'client'
           union all
           select 'learned', bank_account, account_id from allocation.payer_account where bank_account = any($1)
           union all
           (select 'name', a.name_key, a.account_id from unnest($2::text[]) as said(name)
               join allocation.account a on a.name_key ~>=~ said.name and a.name_key ~<~ (said.name || E'\uFFFF')
               where a.name_key = said.name or length(said.name) >= $4
            union
            select 'number', '#' || ref_key, account_id from allocation.account where ref_key = any($3))
           order by 2, 3"#,
        &signs.banks,
        &signs.names,
        &signs.quoted,
        NAME_BEGINNING_MIN as i32,
        &arriving
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let accounts = match row.by.as_str() {
            "known" => {
                known.insert(row.id.into());
                continue;
            }
            "client" => {
                books.client_accounts.insert(row.key);
                continue;
            }
            "learned" => books.learned.entry(row.key).or_default(),
            _ => books.payers.entry(row.key).or_default(),
        };
        accounts.push(row.id.into());
    }
    Ok(known)
}

pub(crate) async fn put(conn: &mut PgConnection, accounts: &[Account]) -> Result<(), Failure> {
    if accounts.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = accounts.iter().map(|a| a.id.as_uuid()).collect();
    let refs: Vec<String> = accounts.iter().map(|a| a.reference.clone()).collect();
    let versions: Vec<i64> = accounts.iter().map(|a| a.version).collect();
    let names: Vec<String> = accounts.iter().map(|a| a.name.clone()).collect();
    let keys: Vec<String> = accounts.iter().map(|a| name_key(&a.name)).collect();
    let numbers: Vec<String> = accounts
        .iter()
        .map(|a| reference_key(&a.reference))
        .collect();
    sqlx::query!(
        "insert into allocation.account (account_id, account_ref, version, name, name_key, ref_key, recorded_at)
         select t.*, now() from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[]) as t
         on conflict (account_id) do update set version = excluded.version, name = excluded.name,
             name_key = excluded.name_key, recorded_at = excluded.recorded_at
         where account.version < excluded.version",
        &ids,
        &refs,
        &versions,
        &names,
        &keys,
        &numbers
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Remembers which bank account a debtor pays from.
pub(crate) async fn learn(
    conn: &mut PgConnection,
    learned: &[(String, AccountId, String)],
) -> Result<(), Failure> {
    if learned.is_empty() {
        return Ok(());
    }
    let banks: Vec<String> = learned.iter().map(|(bank, _, _)| bank.clone()).collect();
    let accounts: Vec<Uuid> = learned
        .iter()
        .map(|(_, account, _)| account.as_uuid())
        .collect();
    let actors: Vec<String> = learned.iter().map(|(_, _, actor)| actor.clone()).collect();
    sqlx::query!(
        "insert into allocation.payer_account (bank_account, account_id, learned_from, learned_at)
         select t.*, now() from unnest($1::text[], $2::uuid[], $3::text[]) as t on conflict do nothing",
        &banks,
        &accounts,
        &actors
    )
    .execute(conn)
    .await?;
    Ok(())
}
