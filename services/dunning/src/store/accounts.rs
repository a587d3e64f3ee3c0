//! Debtors.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::{allocation::AccountUpdated, inbound::AccountKind};
use kernel::AccountId;
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

/// Which accounts a statement is about: those from one id to another, both with,
/// and of these only some where they are named.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Among<'a> {
    pub(crate) from: Uuid,
    pub(crate) to: Uuid,
    /// Empty: all of them.
    pub(crate) only: &'a [Uuid],
}

impl<'a> Among<'a> {
    pub(crate) fn range(from: AccountId, to: AccountId) -> Self {
        Self {
            from: from.as_uuid(),
            to: to.as_uuid(),
            only: &[],
        }
    }

    pub(crate) fn one(account: AccountId) -> Self {
        Self::range(account, account)
    }

    /// Nothing where none is named.
    pub(crate) fn these(accounts: &'a [Uuid]) -> Option<Self> {
        Some(Self {
            from: *accounts.iter().min()?,
            to: *accounts.iter().max()?,
            only: accounts,
        })
    }
}

/// The name of a kind as it is written.
pub(crate) const fn kind_name(kind: AccountKind) -> &'static str {
    match kind {
        AccountKind::Company => "company",
        AccountKind::SoleTrader => "sole_trader",
        AccountKind::Individual => "individual",
        AccountKind::PublicBody => "public_body",
    }
}

pub(crate) fn kind_named(name: &str) -> Option<AccountKind> {
    [
        AccountKind::Company,
        AccountKind::SoleTrader,
        AccountKind::Individual,
        AccountKind::PublicBody,
    ]
    .into_iter()
    .find(|kind| kind_name(*kind) == name)
}

/// The newest word of each account; an older one than is known is nothing new.
pub(crate) async fn put(
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
    fn of<T>(
        all: &BTreeMap<AccountId, &AccountUpdated>,
        get: impl Fn(&AccountUpdated) -> T,
    ) -> Vec<T> {
        all.values().map(|account| get(account)).collect()
    }
    sqlx::query!(
        "insert into dunning.account as a (account_id, account_ref, version, name, kind, parent_ref, email, phone,
           address, segment, department, principal)
         select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
           $8::text[], $9::text[], $10::text[], $11::text[], $12::text[])
         on conflict (account_id) do update set account_ref = excluded.account_ref, version = excluded.version,
           name = excluded.name, kind = excluded.kind, parent_ref = excluded.parent_ref, email = excluded.email,
           phone = excluded.phone, address = excluded.address, segment = excluded.segment,
           department = excluded.department, principal = excluded.principal
         where a.version < excluded.version",
        &of(&newest, |a| a.account_id.as_uuid()),
        &of(&newest, |a| a.account_ref.clone()),
        &of(&newest, |a| a.version),
        &of(&newest, |a| a.name.clone()),
        &of(&newest, |a| a.kind.map(|kind| kind_name(kind).to_owned())) as &[Option<String>],
        &of(&newest, |a| a.parent_ref.clone()) as &[Option<String>],
        &of(&newest, |a| a.email.clone()) as &[Option<String>],
        &of(&newest, |a| a.phone.clone()) as &[Option<String>],
        &of(&newest, |a| a.address.clone()) as &[Option<String>],
        &of(&newest, |a| a.segment.clone()) as &[Option<String>],
        &of(&newest, |a| a.department.clone()) as &[Option<String>],
        &of(&newest, |a| a.principal.clone()) as &[Option<String>],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// When bank accounts were heard of.
pub(crate) async fn heard(
    conn: &mut PgConnection,
    feeds: &BTreeMap<String, DateTime<Utc>>,
) -> Result<(), Failure> {
    if feeds.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = feeds.keys().cloned().collect();
    let times: Vec<DateTime<Utc>> = feeds.values().copied().collect();
    sqlx::query!(
        "insert into dunning.feed as f (bank_account, heard_at) select * from unnest($1::text[], $2::timestamptz[])
         on conflict (bank_account) do update set heard_at = greatest(f.heard_at, excluded.heard_at)
         where f.heard_at < excluded.heard_at",
        &names,
        &times
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How people call an account, when it is known.
pub(crate) async fn reference(
    conn: &mut PgConnection,
    account: AccountId,
) -> Result<Option<String>, Failure> {
    Ok(sqlx::query_scalar!(
        "select account_ref from dunning.account where account_id = $1",
        account.as_uuid()
    )
    .fetch_optional(conn)
    .await?)
}

/// When the feed that is longest silent was heard of.
pub(crate) async fn oldest_feed(conn: &mut PgConnection) -> Result<Option<DateTime<Utc>>, Failure> {
    Ok(
        sqlx::query_scalar!("select min(heard_at) from dunning.feed")
            .fetch_one(conn)
            .await?,
    )
}
