//! Accounts and who pays from which bank account.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, ReceiptId};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use super::rules;
use crate::domain::{
    Account, Books, Edge, Learned, edges, ledger::NAME_BEGINNING_MIN, name_key, reference_key,
};

pub(crate) async fn lock(
    conn: &mut PgConnection,
    ids: &[AccountId],
) -> Result<Vec<Account>, Failure> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query!(
        "select account_id, account_ref, version, name, segment from allocation.account
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
            segment: row.segment,
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
/// one look, and with it the matching rules in force.
pub(crate) async fn recognise(
    conn: &mut PgConnection,
    arriving: &[ReceiptId],
    signs: &Signs,
    books: &mut Books,
) -> Result<HashSet<ReceiptId>, Failure> {
    let mut known = HashSet::new();
    let mut live = Vec::new();
    let mut shadows = Vec::new();
    let mut demoted = Vec::new();
    let arriving: Vec<Uuid> = arriving.iter().map(|id| id.as_uuid()).collect();
    let mut banks = signs.banks.clone();
    banks.sort_unstable();
    banks.dedup();
    let rows = sqlx::query!(
        r#"select 'known' as "by!", '' as "key!", receipt_id as "id?", null::jsonb as "rules?",
               null::integer as "evidence?", null::date as "seen?"
               from allocation.receipt
               where receipt_id = any($5)
           union all
           select 'client', bank_account, null, null, null, null
               from allocation.bank_account where designation = 'client'
           union all
           select 'learned', e.bank_account, e.account_id, null, e.evidence, e.last_seen
               from unnest($1::text[]) as said(bank) cross join lateral (
                   select * from allocation.payer_account where bank_account = said.bank
                   order by last_seen desc limit $6) e
           union all
           (select 'name', a.name_key, a.account_id, null::jsonb, null::integer, null::date
               from unnest($2::text[]) as said(name)
               join allocation.account a on a.name_key ~>=~ said.name and a.name_key ~<~ (said.name || E'\uFFFF')
               where a.name_key = said.name or length(said.name) >= $4
            union
            select 'number', '#' || ref_key, account_id, null, null, null
               from allocation.account where ref_key = any($3))
           union all
           select state, version::text, null, rules, null, null from allocation.rule_set
               where state in ('live', 'shadow')
           union all
           select 'demoted', d.rule, null, jsonb_build_array(d.scope_kind, d.scope_key), null, null
           from allocation.rule_demotion d
           where not exists (select 1 from allocation.rule_restoration r where r.demotion_id = d.demotion_id)
           order by 2, 3"#,
        &banks,
        &signs.names,
        &signs.quoted,
        NAME_BEGINNING_MIN as i32,
        &arriving,
        edges::looked_at()
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        match (row.by.as_str(), row.id, row.rules) {
            ("known", Some(id), _) => {
                known.insert(id.into());
            }
            ("learned", Some(id), _) => {
                if let (Some(evidence), Some(last_seen)) = (row.evidence, row.seen) {
                    books.learned.entry(row.key).or_default().push(Edge {
                        account: id.into(),
                        evidence,
                        last_seen,
                    });
                }
            }
            (_, Some(id), _) => books.payers.entry(row.key).or_default().push(id.into()),
            ("live", None, Some(rules)) => live.push((row.key, rules)),
            ("shadow", None, Some(rules)) => shadows.push((row.key, rules)),
            (_, None, Some(scope)) => demoted.push((row.key, scope)),
            ("client", None, None) => {
                books.client_accounts.insert(row.key);
            }
            (_, None, None) => {}
        }
    }
    books.rules = rules::rulebook(live, shadows, demoted)?;
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
    let segments: Vec<Option<String>> = accounts.iter().map(|a| a.segment.clone()).collect();
    let numbers: Vec<String> = accounts
        .iter()
        .map(|a| reference_key(&a.reference))
        .collect();
    sqlx::query!(
        "insert into allocation.account (account_id, account_ref, version, name, name_key, ref_key, segment, recorded_at)
         select t.*, now() from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[],
             $7::text[]) as t
         on conflict (account_id) do update set version = excluded.version, name = excluded.name,
             name_key = excluded.name_key, segment = excluded.segment, recorded_at = excluded.recorded_at
         where account.version < excluded.version",
        &ids,
        &refs,
        &versions,
        &names,
        &keys,
        &numbers,
        &segments as &[Option<String>]
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Remembers which bank accounts pay for which debtors; what was seen lately is
/// not written again.
pub(crate) async fn learn(conn: &mut PgConnection, learned: &[Learned]) -> Result<(), Failure> {
    if learned.is_empty() {
        return Ok(());
    }
    // Each edge once, in key order.
    let mut rows: BTreeMap<(&str, Uuid), &Learned> = BTreeMap::new();
    for new in learned {
        let edge = rows
            .entry((new.bank.as_str(), new.account.as_uuid()))
            .or_insert(new);
        if edge.seen_on < new.seen_on {
            *edge = new;
        }
    }
    let banks: Vec<&str> = rows.keys().map(|(bank, _)| *bank).collect();
    let accounts: Vec<Uuid> = rows.keys().map(|(_, account)| *account).collect();
    let actors: Vec<&str> = rows.values().map(|new| new.by.as_str()).collect();
    let seen: Vec<NaiveDate> = rows.values().map(|new| new.seen_on).collect();
    let again: Vec<i32> = rows
        .values()
        .map(|new| edges::terms(new.seen_on).map_or(0, |terms| terms.again_days))
        .collect();
    sqlx::query!(
        "insert into allocation.payer_account (bank_account, account_id, learned_from, learned_at, evidence, last_seen)
         select t.bank, t.account, t.actor, now(), 1, t.seen
         from unnest($1::text[], $2::uuid[], $3::text[], $4::date[], $5::integer[])
             as t(bank, account, actor, seen, again)
         where not exists (select 1 from allocation.payer_account p
             where p.bank_account = t.bank and p.account_id = t.account and p.last_seen + t.again >= t.seen)
         on conflict (bank_account, account_id) do update
             set evidence = payer_account.evidence + 1,
                 last_seen = greatest(payer_account.last_seen, excluded.last_seen)",
        &banks as &[&str],
        &accounts,
        &actors as &[&str],
        &seen,
        &again
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Since when which bank accounts are known to pay for an account.
pub(crate) async fn learned(
    conn: &mut PgConnection,
    banks: &[String],
) -> Result<Vec<(DateTime<Utc>, String, AccountId)>, Failure> {
    let rows = sqlx::query!(
        "select bank_account, account_id, learned_at from allocation.payer_account
         where bank_account = any($1) order by learned_at, account_id",
        banks
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.learned_at, row.bank_account, row.account_id.into()))
        .collect())
}
