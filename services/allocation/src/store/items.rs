//! Open items.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use contracts::api::{PageRequest, allocation::OpenItemView};
use kernel::{AccountId, DocumentId, Money};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{money, named};
use crate::domain::{
    Books, Item,
    evidence::{is_tail, longer},
    reference_key,
};

/// Open items of one payer that are looked at, at most.
const OF_PAYER_MAX: i64 = 200;
/// Open items of one amount: more than are ever suggested, so that they can be
/// weighed.
const OF_AMOUNT_MAX: i64 = 20;

/// Which of these are on the ledger already.
pub(crate) async fn known(
    conn: &mut PgConnection,
    ids: &[DocumentId],
) -> Result<HashSet<DocumentId>, Failure> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_scalar!(
        "select document_id from allocation.open_item where document_id = any($1)",
        &ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(DocumentId::from).collect())
}

struct Row {
    document_id: Uuid,
    document_ref: String,
    kind: String,
    account_id: Uuid,
    account_ref: String,
    /// Only where nobody knows who paid.
    account_name: Option<String>,
    issued_on: chrono::NaiveDate,
    due_on: chrono::NaiveDate,
    currency: String,
    amount: Decimal,
    open: Decimal,
    ref_key: String,
    payment_key: Option<String>,
    tail_key: Option<String>,
    net: Option<Decimal>,
    /// What open cases hold of it; only where the ladder is to see it.
    disputed: Option<Decimal>,
}

impl Row {
    /// Adds it to what a decision sees.
    fn add_to(self, books: &mut Books) -> Result<(), Failure> {
        let disputed = self
            .disputed
            .map(|amount| money(amount, &self.currency))
            .transpose()?;
        let item = Item::try_from(self)?;
        if let Some(disputed) = disputed {
            books.disputed.insert(item.id, disputed);
        }
        books.add(item);
        Ok(())
    }
}

impl TryFrom<Row> for Item {
    type Error = Failure;

    fn try_from(row: Row) -> Result<Self, Failure> {
        Ok(Self {
            id: row.document_id.into(),
            document_ref: row.document_ref,
            kind: named(row.kind)?,
            account_id: row.account_id.into(),
            account_ref: row.account_ref,
            issued_on: row.issued_on,
            due_on: row.due_on,
            amount: money(row.amount, &row.currency)?,
            open: money(row.open, &row.currency)?,
            ref_key: row.ref_key,
            payment_key: row.payment_key,
            tail_key: row.tail_key,
            net: row.net.map(|net| money(net, &row.currency)).transpose()?,
            vat: None,
        })
    }
}

/// Items that the keys of one of `texts` name, by document number or payment
/// reference: locked in key order, with what is disputed of them. Then those that
/// are named by their number without its letters, where it is not the end of one
/// that was found.
pub(crate) async fn load_named(
    conn: &mut PgConnection,
    texts: &[&[String]],
    books: &mut Books,
) -> Result<(), Failure> {
    let mut keys: Vec<String> = texts.iter().copied().flatten().cloned().collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        return Ok(());
    }
    // Each by its index alone, rather than by an `or`, which would tempt the
    // planner into a scan; and each row looked at once, for what makes a large
    // ledger slower than a small one is pages that are far from one another.
    let rows = sqlx::query_as!(
        Row,
        r#"with numbered as materialized (
             select i.* from allocation.open_item i where i.ref_key = any($1)
             order by i.document_id for update of i
         ), referred as materialized (
             select i.* from allocation.open_item i where i.payment_key = any($1)
             order by i.document_id for update of i
         )
         select i.document_id as "document_id!", i.document_ref as "document_ref!", i.kind as "kind!",
             i.account_id as "account_id!",
             coalesce(i.account_ref, (select a.account_ref from allocation.account a
                 where a.account_id = i.account_id)) as "account_ref!",
             null::text as account_name, i.issued_on as "issued_on!", i.due_on as "due_on!",
             i.currency as "currency!", i.amount as "amount!", i.open as "open!", i.ref_key as "ref_key!",
             i.payment_key, i.tail_key, i.net,
             (select sum(d.amount) from allocation.chase_term d
              where d.document_id = i.document_id and d.kind = 'disputed') as disputed
         from (select * from numbered union all select * from referred) i"#,
        &keys
    )
    .fetch_all(&mut *conn)
    .await?;
    rows.into_iter().try_for_each(|row| row.add_to(books))?;
    let mut tails: Vec<String> = Vec::new();
    for text in texts {
        let mut found = |key: &String| books.named(key).next().is_some();
        let unsaid = text
            .iter()
            .filter(|key| is_tail(key) && !longer(key, text).any(&mut found));
        tails.extend(unsaid.cloned());
    }
    if tails.is_empty() {
        return Ok(());
    }
    tails.sort_unstable();
    tails.dedup();
    let rows = sqlx::query_as!(
        Row,
        r#"select i.document_id, i.document_ref, i.kind, i.account_id,
             coalesce(i.account_ref, (select a.account_ref from allocation.account a
                 where a.account_id = i.account_id)) as "account_ref!",
             null::text as account_name, i.issued_on, i.due_on, i.currency, i.amount, i.open, i.ref_key,
             i.payment_key, i.tail_key, i.net,
             (select sum(d.amount) from allocation.chase_term d
              where d.document_id = i.document_id and d.kind = 'disputed') as disputed
         from allocation.open_item i where i.tail_key = any($1)
         order by i.document_id for update of i"#,
        &tails
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().try_for_each(|row| row.add_to(books))
}

/// What identified payers owe, the latest first and so many of each at most,
/// and what they have paid of one of these amounts: locked in key order, as some
/// of it may be posted. With it open items of just the amounts of `unknown`,
/// whoever's: a few of each, only ever to be suggested, and so not locked.
pub(crate) async fn load_owed(
    conn: &mut PgConnection,
    payers: &[AccountId],
    amounts: &[Decimal],
    unknown: &[Decimal],
    books: &mut Books,
) -> Result<(), Failure> {
    if payers.is_empty() && unknown.is_empty() {
        return Ok(());
    }
    let mut payers: Vec<Uuid> = payers.iter().map(|id| id.as_uuid()).collect();
    payers.sort_unstable();
    payers.dedup();
    // What is locked comes first: it is as it was when its lock was there.
    let rows = sqlx::query_as!(
        Row,
        r#"with owed as materialized (
             select i.* from allocation.open_item i
             where i.document_id = any(array(
                 select o.document_id from unnest($1::uuid[]) as payer(id)
                     cross join lateral (select document_id from allocation.open_item
                         where account_id = payer.id and open <> 0 order by due_on desc limit $3) o
                 union
                 select p.document_id from unnest($1::uuid[]) as payer(id)
                     cross join lateral (select document_id from allocation.open_item
                         where account_id = payer.id and open = 0 and amount = any($2)
                         order by due_on desc limit $3) p))
             order by i.document_id for update of i
         ), found as (
             select true as locked, owed.* from owed
             union all
             select false, i.* from (select distinct unnest($4::numeric[]) as amount) said
                 cross join lateral (select * from allocation.open_item
                     where amount = said.amount and open = said.amount limit $5) i
         )
         select i.document_id as "document_id!", i.document_ref as "document_ref!", i.kind as "kind!",
             i.account_id as "account_id!",
             coalesce(i.account_ref, (select a.account_ref from allocation.account a
                 where a.account_id = i.account_id)) as "account_ref!",
             case when not i.locked then (select a.name from allocation.account a where a.account_id = i.account_id)
                 end as account_name,
             i.issued_on as "issued_on!", i.due_on as "due_on!",
             i.currency as "currency!", i.amount as "amount!", i.open as "open!", i.ref_key as "ref_key!",
             i.payment_key, i.tail_key, i.net,
             (select sum(d.amount) from allocation.chase_term d
              where d.document_id = i.document_id and d.kind = 'disputed') as disputed
         from found i
         order by i.locked desc, i.document_id"#,
        &payers,
        amounts,
        OF_PAYER_MAX + 1,
        unknown,
        OF_AMOUNT_MAX
    )
    .fetch_all(conn)
    .await?;
    for mut row in rows {
        if let Some(name) = row.account_name.take() {
            books.names.insert(row.account_id.into(), name);
        }
        row.add_to(books)?;
    }
    for payer in payers.into_iter().map(AccountId::from) {
        let open = books.of_account(payer).filter(|item| !item.open.is_zero());
        if open.count() as i64 > OF_PAYER_MAX {
            books.truncated.insert(payer);
        }
    }
    Ok(())
}

/// These items, locked in key order.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    ids: &[DocumentId],
) -> Result<Vec<Item>, Failure> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        "select i.document_id, i.document_ref, i.kind, i.account_id, a.account_ref, null::text as account_name,
                i.issued_on, i.due_on, i.currency, i.amount, i.open, i.ref_key, i.payment_key, i.tail_key,
                i.net, null::numeric as disputed
         from allocation.open_item i join allocation.account a using (account_id)
         where i.document_id = any($1) order by i.document_id for update of i",
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Item::try_from).collect()
}

pub(crate) async fn insert(conn: &mut PgConnection, items: &[Item]) -> Result<(), Failure> {
    if items.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = items.iter().map(|i| i.id.as_uuid()).collect();
    let refs: Vec<String> = items.iter().map(|i| i.document_ref.clone()).collect();
    let kinds: Vec<String> = items.iter().map(|i| i.kind.name().to_owned()).collect();
    let accounts: Vec<Uuid> = items.iter().map(|i| i.account_id.as_uuid()).collect();
    let account_refs: Vec<String> = items.iter().map(|i| i.account_ref.clone()).collect();
    let issued: Vec<_> = items.iter().map(|i| i.issued_on).collect();
    let due: Vec<_> = items.iter().map(|i| i.due_on).collect();
    let currencies: Vec<String> = items
        .iter()
        .map(|i| i.amount.currency().code().to_owned())
        .collect();
    let amounts: Vec<Decimal> = items.iter().map(|i| i.amount.amount()).collect();
    let keys: Vec<String> = items.iter().map(|i| i.ref_key.clone()).collect();
    let payment: Vec<Option<String>> = items.iter().map(|i| i.payment_key.clone()).collect();
    let tails: Vec<Option<String>> = items.iter().map(|i| i.tail_key.clone()).collect();
    let nets: Vec<Option<Decimal>> = items.iter().map(|i| i.net.map(Money::amount)).collect();
    // What is open begins as the amount; what this very batch has already paid
    // is set when that is posted.
    let vat: Vec<Option<Decimal>> = items.iter().map(|i| i.vat.map(Money::amount)).collect();
    sqlx::query!(
        "insert into allocation.open_item (document_id, document_ref, kind, account_id, issued_on, due_on, currency,
             amount, open, ref_key, payment_key, tail_key, net, vat, account_ref, recorded_at)
         select t.id, t.ref, t.kind, t.account, t.issued, t.due, t.currency, t.amount, t.amount, t.key, t.payment,
             t.tail, t.net, t.vat, t.account_ref, now()
         from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::date[], $6::date[], $7::text[],
             $8::numeric[], $9::text[], $10::text[], $11::text[], $12::numeric[], $13::numeric[], $14::text[])
             as t(id, ref, kind, account, issued, due, currency, amount, key, payment, tail, net, vat, account_ref)",
        &ids,
        &refs,
        &kinds,
        &accounts,
        &issued,
        &due,
        &currencies,
        &amounts,
        &keys,
        &payment as &[Option<String>],
        &tails as &[Option<String>],
        &nets as &[Option<Decimal>],
        &vat as &[Option<Decimal>],
        &account_refs
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Open items for a person to choose from, by due date.
pub(crate) async fn find(
    conn: &mut PgConnection,
    search: Option<&str>,
    account: Option<AccountId>,
    currency: Option<&str>,
    after: Option<Uuid>,
    page: &PageRequest,
) -> Result<Vec<OpenItemView>, Failure> {
    let pattern = search.map(super::pattern);
    let key = search.map(reference_key).filter(|key| !key.is_empty());
    let rows = sqlx::query!(
        "select i.document_id, i.document_ref, i.kind, i.account_id, a.account_ref, a.name as account_name,
                i.issued_on, i.due_on, i.currency, i.amount, i.open
         from allocation.open_item i join allocation.account a using (account_id)
         where i.open <> 0
           and ($1::uuid is null or i.account_id = $1)
           and ($2::text is null or i.currency = $2)
           and ($3::text is null or i.ref_key like $4 || '%' or i.payment_key = $4
                or a.account_ref ilike $3 or a.name ilike $3)
           and ($5::uuid is null or i.document_id > $5)
         order by i.document_id limit $6",
        account.map(AccountId::as_uuid),
        currency,
        pattern,
        key,
        after,
        page.rows() + 1
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(OpenItemView {
                document_id: row.document_id.into(),
                document_ref: row.document_ref,
                kind: named(row.kind)?,
                account_id: row.account_id.into(),
                account_ref: row.account_ref,
                account_name: row.account_name,
                issued_on: row.issued_on,
                due_on: row.due_on,
                amount: money(row.amount, &row.currency)?,
                open: money(row.open, &row.currency)?,
            })
        })
        .collect()
}

/// Documents that a key names or that belong to one of `accounts`, the latest of
/// each account first and so many at most; as they came, all of it open, and
/// when they came. Not locked.
pub(crate) async fn ever(
    conn: &mut PgConnection,
    keys: &[String],
    accounts: &[Uuid],
    most: i64,
) -> Result<Vec<(DateTime<Utc>, Item)>, Failure> {
    let tails: Vec<String> = keys.iter().filter(|key| is_tail(key)).cloned().collect();
    let rows = sqlx::query!(
        "select i.document_id, i.document_ref, i.kind, i.account_id, a.account_ref, i.issued_on, i.due_on,
                i.currency, i.amount, i.ref_key, i.payment_key, i.tail_key, i.net, i.recorded_at
         from allocation.open_item i join allocation.account a using (account_id)
         where i.document_id = any(array(
             select n.document_id from allocation.open_item n where n.ref_key = any($1)
             union
             select p.document_id from allocation.open_item p where p.payment_key = any($1)
             union
             select t.document_id from allocation.open_item t where t.tail_key = any($2)
             union
             select o.document_id from unnest($3::uuid[]) as payer(id)
                 cross join lateral (select document_id from allocation.open_item
                     where account_id = payer.id order by due_on desc limit $4) o))",
        keys,
        &tails,
        accounts,
        most
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let at = row.recorded_at;
            let item = Item::try_from(Row {
                document_id: row.document_id,
                document_ref: row.document_ref,
                kind: row.kind,
                account_id: row.account_id,
                account_ref: row.account_ref,
                account_name: None,
                issued_on: row.issued_on,
                due_on: row.due_on,
                currency: row.currency,
                amount: row.amount,
                open: row.amount,
                ref_key: row.ref_key,
                payment_key: row.payment_key,
                tail_key: row.tail_key,
                net: row.net,
                disputed: None,
            })?;
            Ok((at, item))
        })
        .collect()
}
