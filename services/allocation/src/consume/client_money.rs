//! What a decision does to client money beside the open-item ledger: written in
//! its transaction, wherever the decision was made.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::{
    Prefix,
    allocation::Rule,
    ingestion::Designation,
    matters::{
        BankMove, BankMoveChanged, ClientMoneyMoved, DisbursementStep, EntryKind, MatterEntry,
    },
};
use kernel::{DisbursementId, Money, ReceiptId, london_date};
use messaging::{Failure, Meta, Outgoing, Tx};
use sqlx::PgConnection;

use crate::{
    domain::{
        Changes,
        ledger::Because,
        legal::{
            LegalChanges, MoveRow,
            bounce::Bounced,
            client::{self, Held},
            disbursement,
        },
    },
    serve::disbursements,
    store::{self, clients::Share},
};

/// Why money must be moved that has paid a bill by itself.
const ALLOCATED: &str = "allocated to a delivered bill";

/// Who tells, of what, and when.
pub(crate) struct Teller<'t> {
    pub(crate) prefix: &'t Prefix,
    pub(crate) now: DateTime<Utc>,
    pub(crate) cause: &'t Meta,
}

impl Teller<'_> {
    pub(crate) fn tell<E: contracts::Event>(
        &self,
        fact: &E,
        about: uuid::Uuid,
        version: i64,
    ) -> Result<Outgoing, Failure> {
        Outgoing::new(fact, about, version, self.prefix, self.now, self.cause)
    }
}

/// Writes the client money that bounced payments took with them, and what must
/// be moved because a receipt on a client account paid bills or does no longer.
pub(crate) async fn record(
    tx: &mut Tx,
    changes: &Changes,
    prefix: &Prefix,
    now: DateTime<Utc>,
    cause: &Meta,
) -> Result<(), Failure> {
    let teller = Teller { prefix, now, cause };
    let mut events = Vec::new();
    for bounced in &changes.bounced {
        events.extend(bounce(tx.conn(), bounced, &teller).await?);
    }
    events.extend(stand_right(tx.conn(), changes, &teller).await?);
    if !events.is_empty() {
        tx.publish(&events).await?;
    }
    Ok(())
}

async fn bounce(
    conn: &mut PgConnection,
    bounced: &Bounced,
    teller: &Teller<'_>,
) -> Result<Vec<Outgoing>, Failure> {
    let because = Because {
        rule: Rule::Returned,
        reason: &bounced.reason,
        actor: &bounced.actor,
        now: bounced.now,
        not_before: bounced.on,
    };
    let mut events = write(conn, &bounced.held, &bounced.legal, &because, teller).await?;
    // What was recovered of a disbursement with it is not recovered any more.
    let mut lost: BTreeMap<DisbursementId, Money> = BTreeMap::new();
    for row in &bounced.legal.entries {
        let (EntryKind::Received, Some(id)) = (row.entry.kind, row.entry.disbursement_id) else {
            continue;
        };
        let less = row.entry.amount.neg();
        let sum = match lost.get(&id) {
            Some(before) => before.checked_add(less).map_err(Failure::of)?,
            None => less,
        };
        lost.insert(id, sum);
    }
    let ids: Vec<DisbursementId> = lost.keys().copied().collect();
    for mut item in store::disbursements::lock(conn, &ids).await? {
        let Some(amount) = lost.get(&item.id).copied().filter(|sum| sum.is_positive()) else {
            continue;
        };
        disbursement::take_back(&mut item, amount).map_err(Failure::of)?;
        let (step, on) = (DisbursementStep::Recovered, bounced.on);
        let amount = Some(amount.neg());
        disbursements::put(conn, &item, step, on, amount, &because).await?;
        let matter = &bounced.held.matter;
        let fact = disbursements::changed(&item, matter, step, on, amount, &because);
        events.push(teller.tell(&fact, item.id.as_uuid(), item.version)?);
    }
    Ok(events)
}

/// Writes the lines of one matter, whose version has risen already, and says
/// what is to be told of it.
pub(crate) async fn write(
    conn: &mut PgConnection,
    held: &Held,
    legal: &LegalChanges,
    because: &Because<'_>,
    teller: &Teller<'_>,
) -> Result<Vec<Outgoing>, Failure> {
    let mut events = Vec::new();
    store::matters::record(conn, legal, because).await?;
    let lines: Vec<MatterEntry> = legal.entries.iter().map(|row| row.entry.clone()).collect();
    let matter = &held.matter;
    // A decision moves one currency.
    if let Some(currency) = lines.first().map(|line| line.amount.currency()) {
        store::matters::put(conn, std::slice::from_ref(matter), because.now).await?;
        let fact = ClientMoneyMoved {
            matter_id: matter.id,
            matter_ref: matter.reference.clone(),
            version: matter.version,
            account_id: matter.account_id,
            account_ref: matter.account_ref.clone(),
            lines,
            client_balance: held.balance(currency),
            recorded_at: because.now,
            actor: because.actor.to_owned(),
            reason: because.reason.to_owned(),
        };
        events.push(teller.tell(&fact, matter.id.as_uuid(), matter.version)?);
    }
    for row in &legal.moves {
        let due = bank_move(
            row.matter,
            &matter.reference,
            &matter.account_ref,
            &row.bank_move,
            because,
        );
        events.push(teller.tell(&due, row.bank_move.move_id.as_uuid(), 1)?);
    }
    Ok(events)
}

/// What is told of a bank move.
pub(crate) fn bank_move(
    matter: kernel::MatterId,
    matter_ref: &str,
    account_ref: &str,
    bank_move: &BankMove,
    because: &Because<'_>,
) -> BankMoveChanged {
    BankMoveChanged {
        matter_id: matter,
        matter_ref: matter_ref.to_owned(),
        account_ref: account_ref.to_owned(),
        bank_move: bank_move.clone(),
        recorded_at: because.now,
        actor: because.actor.to_owned(),
        reason: because.reason.to_owned(),
    }
}

/// Receipts on client accounts whose allocations have changed, with who did it
/// and why.
fn touched(changes: &Changes) -> BTreeMap<ReceiptId, (&str, &str, bool)> {
    let on_client_account =
        |receipt: &&crate::domain::Receipt| receipt.designation == Designation::Client;
    let receipts: BTreeMap<ReceiptId, bool> = changes
        .new_receipts
        .iter()
        .chain(&changes.moved_receipts)
        .filter(on_client_account)
        .map(|receipt| (receipt.id, receipt.decision.rule == Rule::Returned))
        .collect();
    if receipts.is_empty() {
        return BTreeMap::new();
    }
    let mut touched = BTreeMap::new();
    for posting in &changes.postings {
        if let Some(returned) = receipts.get(&posting.receipt) {
            let why = match posting.reason.as_str() {
                "" => ALLOCATED,
                said => said,
            };
            touched.insert(posting.receipt, (posting.actor.as_str(), why, *returned));
        }
    }
    touched
}

/// Notes what must be moved between a client account and a business account
/// after `changes`, so that the firm's part of every receipt stands on its own
/// side (SRA 4.1, 4.3).
async fn stand_right(
    conn: &mut PgConnection,
    changes: &Changes,
    teller: &Teller<'_>,
) -> Result<Vec<Outgoing>, Failure> {
    let touched = touched(changes);
    let ids: Vec<ReceiptId> = touched.keys().copied().collect();
    let shares = store::clients::shares(conn, &ids).await?;
    if shares.is_empty() {
        return Ok(Vec::new());
    }
    let today = london_date(teller.now);
    let settings = store::matters::settings(conn, today).await?;
    let mut events = Vec::with_capacity(shares.len());
    for share in shares {
        let Share {
            receipt,
            bank_account,
            matter,
            matter_ref,
            account_ref,
            missing,
        } = share;
        let Some((actor, reason, returned)) = touched.get(&receipt).copied() else {
            continue;
        };
        let because = Because {
            rule: Rule::Manual,
            reason,
            actor,
            now: teller.now,
            not_before: today,
        };
        let due = client::office_share(missing, &bank_account, receipt, returned, today, &settings)
            .map_err(Failure::of)?;
        let fact = bank_move(matter, &matter_ref, &account_ref, &due, &because);
        events.push(teller.tell(&fact, due.move_id.as_uuid(), 1)?);
        let legal = LegalChanges {
            moves: vec![MoveRow {
                matter,
                bank_move: due,
            }],
            ..LegalChanges::default()
        };
        store::matters::record(conn, &legal, &because).await?;
    }
    Ok(events)
}
