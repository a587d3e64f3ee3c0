//! The client's part of receipts, and the firm's part of what stands on client
//! accounts.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use contracts::matters::{Component, MatterEntry};
use kernel::{DisbursementId, DocumentId, MatterEntryId, MatterId, Money, ReceiptId};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{matters, money, named, returns};
use crate::domain::{legal::bounce::Clients, returns::Debit};

/// Lines that receipts brought to client ledgers and that stand, the oldest
/// first.
async fn lines(
    conn: &mut PgConnection,
    receipts: &[Uuid],
) -> Result<Vec<(ReceiptId, MatterId, MatterEntry)>, Failure> {
    let rows = sqlx::query!(
        r#"select e.receipt_id as "receipt_id!", e.matter_id, e.entry_id, e.side, e.kind, e.currency, e.amount,
               e.component, e.document_id, e.disbursement_id, e.payee, e.effective_on
           from allocation.matter_entry e
           where e.receipt_id = any($1) and e.side = 'client' and e.kind = 'received' and e.contra_of is null
             and not exists (select 1 from allocation.matter_entry c where c.contra_of = e.entry_id)
           order by e.entry_id"#,
        receipts
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let entry = MatterEntry {
                entry_id: MatterEntryId::from(row.entry_id),
                side: named(row.side)?,
                kind: named(row.kind)?,
                amount: money(row.amount, &row.currency)?,
                effective_on: row.effective_on,
                component: row.component.map(named::<Component>).transpose()?,
                receipt_id: Some(row.receipt_id.into()),
                document_id: row.document_id.map(DocumentId::from),
                disbursement_id: row.disbursement_id.map(DisbursementId::from),
                payee: row.payee,
                contra_of: None,
            };
            Ok((row.receipt_id.into(), row.matter_id.into(), entry))
        })
        .collect()
}

/// Locks the matters that `receipts` brought client money to, and says what
/// stands of it. Before the receipts are locked, as commands about matters do;
/// hardly ever any.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    receipts: &[ReceiptId],
    today: NaiveDate,
) -> Result<Clients, Failure> {
    let mut clients = Clients::default();
    if receipts.is_empty() {
        return Ok(clients);
    }
    let ids: Vec<Uuid> = receipts.iter().map(|id| id.as_uuid()).collect();
    let matters: BTreeSet<MatterId> = lines(conn, &ids)
        .await?
        .into_iter()
        .map(|(_, matter, _)| matter)
        .collect();
    if matters.is_empty() {
        return Ok(clients);
    }
    let matters: Vec<MatterId> = matters.into_iter().collect();
    for held in matters::lock_held(conn, &matters).await? {
        clients.held.insert(held.matter.id, held);
    }
    // Again under the lock: somebody may have moved it meanwhile.
    for (receipt, matter, entry) in lines(conn, &ids).await? {
        let of = clients.lines.entry(receipt).or_default();
        of.push((matter, entry));
    }
    clients.settings = Some(matters::settings(conn, today).await?);
    Ok(clients)
}

/// What of a receipt on a client account is the firm's by now, and not noted to
/// be moved.
pub(crate) struct Share {
    pub(crate) receipt: ReceiptId,
    pub(crate) bank_account: String,
    pub(crate) matter: MatterId,
    pub(crate) matter_ref: String,
    pub(crate) account_ref: String,
    /// Below nothing: more was noted than is the firm's.
    pub(crate) missing: Money,
}

/// The firm's part of receipts on client accounts, a row for each matter whose
/// bills they pay: what was allocated to those less what was noted. A bill whose
/// matter is not known has no part.
pub(crate) async fn shares(
    conn: &mut PgConnection,
    receipts: &[ReceiptId],
) -> Result<Vec<Share>, Failure> {
    if receipts.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = receipts.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query!(
        r#"select s.receipt_id as "receipt_id!", s.matter_id as "matter_id!", r.bank_account, r.currency,
               m.matter_ref, m.account_ref, sum(s.amount) as "missing!"
           from (
               select l.receipt_id, m.matter_id, l.amount
               from allocation.allocation l join allocation.matter_document d using (document_id)
                   join allocation.matter m using (matter_ref)
               where l.receipt_id = any($1)
               union all
               select b.receipt_id, b.matter_id, case b.to_side when 'business' then -b.amount else b.amount end
               from allocation.bank_move b where b.receipt_id = any($1)) s
               join allocation.receipt r on r.receipt_id = s.receipt_id
               join allocation.matter m on m.matter_id = s.matter_id
           group by s.receipt_id, s.matter_id, r.bank_account, r.currency, m.matter_ref, m.account_ref
           having sum(s.amount) <> 0 order by 1, 2"#,
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Share {
                receipt: row.receipt_id.into(),
                bank_account: row.bank_account,
                matter: row.matter_id.into(),
                matter_ref: row.matter_ref,
                account_ref: row.account_ref,
                missing: money(row.missing, &row.currency)?,
            })
        })
        .collect()
}

/// Matters that the receipts which `debits` may have taken back brought client
/// money to: looked up before anything is locked.
pub(crate) async fn lock_for(
    conn: &mut PgConnection,
    debits: &[Debit],
    reached: &[ReceiptId],
) -> Result<Clients, Failure> {
    let Some(today) = debits.iter().map(|debit| debit.booked_on).max() else {
        return Ok(Clients::default());
    };
    let mut candidates = returns::candidates(conn, debits).await?;
    candidates.extend(reached);
    lock(conn, &candidates, today).await
}
