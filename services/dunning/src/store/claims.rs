//! Late documents with what moved on them, and the claims that were posted.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::dunning::ChargeView,
    dunning::{ChargeId, ChargeKind, ChargeState},
};
use kernel::{AccountId, Currency, DocumentId, Money};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{known, money};
use crate::domain::{
    claim::{self, Late},
    joint,
};

/// Late debts of one page.
const LATE_MAX: i64 = 500;

/// Debts of an account that were due before a day, the oldest first; claims for
/// late payment are none. Locked when they are to be charged.
pub(crate) async fn late(
    conn: &mut PgConnection,
    account: AccountId,
    document: Option<DocumentId>,
    due_before: NaiveDate,
) -> Result<Vec<Late>, Failure> {
    let mut found = late_of(conn, &[account.as_uuid()], document, due_before).await?;
    Ok(found.remove(&account.as_uuid()).unwrap_or_default())
}

/// The same of accounts.
pub(crate) async fn late_of(
    conn: &mut PgConnection,
    accounts: &[Uuid],
    document: Option<DocumentId>,
    due_before: NaiveDate,
) -> Result<BTreeMap<Uuid, Vec<Late>>, Failure> {
    let rows = sqlx::query!(
        r#"select a.id as "account_id!", i.document_id, i.document_ref as "document_ref!", i.due_on as "due_on!",
             i.currency, i.gross as "gross!", i.open as "open!"
           from unnest($1::uuid[]) a (id)
           cross join lateral (
             select i.document_id, i.document_ref, i.due_on, i.currency, i.gross, i.open from dunning.item i
             where i.account_id = a.id and i.gross > 0 and i.due_on < $2 and ($3::uuid is null or i.document_id = $3)
               and not exists (select from dunning.charge c where c.charge_ref = i.document_ref)
             order by i.due_on, i.document_id limit $4) i
           order by a.id, i.due_on, i.document_id"#,
        accounts,
        due_before,
        document.map(DocumentId::as_uuid),
        LATE_MAX
    )
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.document_id).collect();
    let moved = sqlx::query!(
        "select document_id, effective_on, receipt_id, amount from dunning.movement where document_id = any($1)
         order by document_id, effective_on, line_id",
        &ids
    )
    .fetch_all(conn)
    .await?;
    let mut movements: BTreeMap<Uuid, Vec<_>> = BTreeMap::new();
    for row in moved {
        let moved = (row.effective_on, row.receipt_id, row.amount);
        movements.entry(row.document_id).or_default().push(moved);
    }
    let mut all: BTreeMap<Uuid, Vec<Late>> = BTreeMap::new();
    for row in rows {
        let gross = money(row.gross, &row.currency)?;
        let moved = movements.remove(&row.document_id).unwrap_or_default();
        let moved = moved.into_iter().map(|(on, receipt, amount)| {
            let amount = Money::try_new(amount, gross.currency()).map_err(Failure::of)?;
            Ok((on, receipt, amount))
        });
        let late = Late {
            document: row.document_id.into(),
            document_ref: row.document_ref,
            due_on: row.due_on,
            open: money(row.open, &row.currency)?,
            movements: moved.collect::<Result<_, Failure>>()?,
            gross,
        };
        all.entry(row.account_id).or_default().push(late);
    }
    Ok(all)
}

/// A charge, and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct Charge {
    pub(crate) account: AccountId,
    pub(crate) account_ref: String,
    pub(crate) view: ChargeView,
}

struct Row {
    charge_id: Uuid,
    version: i64,
    charge_ref: String,
    kind: String,
    state: String,
    account_id: Uuid,
    account_ref: String,
    document_id: Uuid,
    document_ref: String,
    amount: Decimal,
    currency: String,
    charged_on: NaiveDate,
    working: serde_json::Value,
    actor: String,
    reason: String,
    changed_at: DateTime<Utc>,
}

fn charge(row: Row) -> Result<Charge, Failure> {
    Ok(Charge {
        account: row.account_id.into(),
        account_ref: row.account_ref,
        view: ChargeView {
            charge_id: row.charge_id.into(),
            version: row.version,
            charge_ref: row.charge_ref,
            kind: known(ChargeKind::named(&row.kind), &row.kind)?,
            state: known(ChargeState::named(&row.state), &row.state)?,
            document_id: row.document_id.into(),
            document_ref: row.document_ref,
            amount: money(row.amount, &row.currency)?,
            charged_on: row.charged_on,
            working: serde_json::from_value(row.working)?,
            actor: row.actor,
            reason: row.reason,
            changed_at: row.changed_at,
        },
    })
}

/// The charges of an account, the newest first.
pub(crate) async fn charges(
    conn: &mut PgConnection,
    account: AccountId,
) -> Result<Vec<Charge>, Failure> {
    let rows = sqlx::query_as!(
        Row,
        "select charge_id, version, charge_ref, kind, state, account_id, account_ref, document_id, document_ref, amount,
           currency, charged_on, working, actor, reason, changed_at
         from dunning.charge where account_id = $1 order by charge_id desc limit 500",
        account.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(charge).collect()
}

/// A charge; locked.
pub(crate) async fn lock_charge(
    conn: &mut PgConnection,
    id: ChargeId,
) -> Result<Option<Charge>, Failure> {
    let row = sqlx::query_as!(
        Row,
        "select charge_id, version, charge_ref, kind, state, account_id, account_ref, document_id, document_ref, amount,
           currency, charged_on, working, actor, reason, changed_at
         from dunning.charge where charge_id = $1 for update",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(charge).transpose()
}

/// Charges of a document that count: nobody else posts one meanwhile.
pub(crate) async fn posted(
    conn: &mut PgConnection,
    document: DocumentId,
) -> Result<Vec<(ChargeKind, Decimal)>, Failure> {
    sqlx::query!(
        "select document_id from dunning.item where document_id = $1 for update",
        document.as_uuid()
    )
    .fetch_optional(&mut *conn)
    .await?;
    // What was given up is not asked for again; what was wrong may be.
    let rows = sqlx::query!(
        "select kind, amount from dunning.charge where document_id = $1 and state <> 'reversed'",
        document.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok((known(ChargeKind::named(&row.kind), &row.kind)?, row.amount)))
        .collect()
}

/// Charges on documents that somebody was right not to pay, each with the amount
/// of it that was upheld; locked. Only where that is the whole document, and of
/// what a contact cost only where it was about nothing else (E68).
pub(crate) async fn upheld(
    conn: &mut PgConnection,
    documents: &[Uuid],
    amounts: &[Decimal],
) -> Result<Vec<Charge>, Failure> {
    let rows = sqlx::query_as!(
        Row,
        "select c.charge_id, c.version, c.charge_ref, c.kind, c.state, c.account_id, c.account_ref, c.document_id,
           c.document_ref, c.amount, c.currency, c.charged_on, c.working, c.actor, c.reason, c.changed_at
         from unnest($1::uuid[], $2::numeric[]) u (document_id, amount)
           join dunning.item i on i.document_id = u.document_id and i.gross <= u.amount
           join dunning.charge c on c.document_id = u.document_id and c.state = 'posted'
         order by c.charge_id for update of c",
        documents,
        amounts
    )
    .fetch_all(&mut *conn)
    .await?;
    let shared = sqlx::query!(
        r#"select a.contact_id, a.document_id, c.run_id, c.account_id
           from dunning.contact_item a join dunning.contact c using (contact_id)
           where a.document_id = any($1) and not a.void and exists (select from dunning.contact_item b
             where b.contact_id = a.contact_id and not b.void and b.document_id <> all($1))"#,
        documents
    )
    .fetch_all(conn)
    .await?;
    let mut charges = Vec::with_capacity(rows.len());
    for row in rows {
        let found = charge(row)?;
        let id = found.view.charge_id;
        let mut others = shared.iter().map(|row| {
            let once = row.run_id.map_or(row.contact_id, |run| {
                joint::contact_id(run, row.account_id, None)
            });
            claim::charge_id(once, row.document_id.into(), ChargeKind::Fee)
        });
        if !others.any(|other| other == id) {
            charges.push(found);
        }
    }
    Ok(charges)
}

/// A contact after which its policy may post claims, or charges for it.
pub(crate) struct Due {
    pub(crate) contact_id: Uuid,
    pub(crate) run_id: Option<Uuid>,
    /// It was sent; else it failed.
    pub(crate) reached: bool,
    pub(crate) account_id: Uuid,
    pub(crate) account_ref: String,
    pub(crate) stage: Option<String>,
    pub(crate) policy: String,
    pub(crate) policy_version: i32,
    /// What it was about.
    pub(crate) documents: Vec<(Uuid, String)>,
    /// Of each currency the first document: of several debtors who were written to at
    /// once the same, whatever each was written to about (E97).
    pub(crate) first: Vec<(Uuid, String, Currency)>,
}

/// Something will be due after each of these contacts.
pub(crate) async fn expect(conn: &mut PgConnection, contacts: &[Uuid]) -> Result<(), Failure> {
    if contacts.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into dunning.charge_due (contact_id) select unnest($1::uuid[]) on conflict do nothing",
        contacts
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Contacts of which it is known whether they were sent; locked. Others skip them.
pub(crate) async fn due(conn: &mut PgConnection, limit: i64) -> Result<Vec<Due>, Failure> {
    let rows = sqlx::query!(
        r#"select d.contact_id, c.state not in ('failed', 'bounced', 'gone_away', 'recalled') as "reached!", c.account_id,
             c.account_ref, c.run_id, c.stage, c.policy, c.policy_version
           from dunning.charge_due d join dunning.contact c using (contact_id)
           where c.state not in ('claimed', 'unknown', 'todo')
           order by d.contact_id limit $1 for update of d skip locked"#,
        limit
    )
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.contact_id).collect();
    let items = sqlx::query!(
        "select contact_id, document_id, document_ref, currency from dunning.contact_item
         where contact_id = any($1) and not void order by contact_id, document_ref, document_id",
        &ids
    )
    .fetch_all(&mut *conn)
    .await?;
    let beside = sqlx::query!(
        "select c.contact_id, i.document_id, i.document_ref, i.currency
         from dunning.contact c
           join dunning.contact s on s.run_id = c.run_id and s.account_id = c.account_id
           join dunning.contact_item i on i.contact_id = s.contact_id
         where c.contact_id = any($1) order by i.document_ref, i.document_id",
        &ids
    )
    .fetch_all(conn)
    .await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let mut due = Due {
            contact_id: row.contact_id,
            run_id: row.run_id,
            reached: row.reached,
            account_id: row.account_id,
            account_ref: row.account_ref,
            stage: row.stage,
            policy: row.policy.unwrap_or_default(),
            policy_version: row.policy_version.unwrap_or_default(),
            documents: Vec::new(),
            first: Vec::new(),
        };
        for item in items
            .iter()
            .filter(|item| item.contact_id == row.contact_id)
        {
            due.documents
                .push((item.document_id, item.document_ref.clone()));
        }
        for item in beside
            .iter()
            .filter(|item| item.contact_id == row.contact_id)
            .filter(|item| !claim::is_charge(&item.document_ref))
        {
            let currency = Currency::parse(&item.currency).map_err(Failure::of)?;
            if due.first.iter().all(|(.., known)| *known != currency) {
                let first = (item.document_id, item.document_ref.clone(), currency);
                due.first.push(first);
            }
        }
        all.push(due);
    }
    Ok(all)
}

/// Nothing more is due after these.
pub(crate) async fn settled(conn: &mut PgConnection, contacts: &[Uuid]) -> Result<(), Failure> {
    sqlx::query!(
        "delete from dunning.charge_due where contact_id = any($1)",
        contacts
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The next number of a charge.
pub(crate) async fn next_ref(conn: &mut PgConnection) -> Result<String, Failure> {
    let number = sqlx::query_scalar!(r#"select nextval('dunning.charge_number') as "number!""#)
        .fetch_one(conn)
        .await?;
    Ok(format!("{}{number:06}", claim::PREFIX))
}

pub(crate) async fn put(conn: &mut PgConnection, charge: &Charge) -> Result<(), Failure> {
    let view = &charge.view;
    sqlx::query!(
        "insert into dunning.charge (charge_id, version, charge_ref, kind, state, account_id, account_ref, document_id,
           document_ref, amount, currency, charged_on, working, actor, reason, changed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
         on conflict (charge_id) do update set version = excluded.version, state = excluded.state,
           actor = excluded.actor, reason = excluded.reason, changed_at = excluded.changed_at",
        view.charge_id.as_uuid(),
        view.version,
        view.charge_ref,
        view.kind.name(),
        view.state.name(),
        charge.account.as_uuid(),
        charge.account_ref,
        view.document_id.as_uuid(),
        view.document_ref,
        view.amount.amount(),
        view.amount.currency().code(),
        view.charged_on,
        serde_json::to_value(&view.working)?,
        view.actor,
        view.reason,
        view.changed_at
    )
    .execute(conn)
    .await?;
    Ok(())
}
