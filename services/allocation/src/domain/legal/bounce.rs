//! Payments that the bank took back although a part of them had gone to a client
//! ledger (E94). The client's money goes back first; what has been spent of it
//! meanwhile is a shortage, and the firm's own money makes it good the same day,
//! so that no other client pays for it (SRA 5.3, 6.1).

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    allocation::{OutflowKind, OutflowLine},
    ingestion::Designation,
    matters::{BankMoveKind, Component, EntryKind, MatterEntry, Side},
};
use kernel::{MatterId, Money, ReceiptId, london_date};
use uuid::Uuid;

use super::{
    LegalChanges, Refused, Settings,
    client::{self, Held, NewEntry, accounts, contra, enter, must_move, undoable},
};
use crate::domain::{
    ledger::{self, Because, Books, Changes, PayOut, Receipt, chart},
    returns::Standing,
};

/// What receipts have brought to client ledgers, as far as it stands, and what
/// is held on those matters: all under lock.
#[derive(Debug, Default)]
pub struct Clients {
    pub held: BTreeMap<MatterId, Held>,
    /// The lines of a receipt, oldest first.
    pub lines: HashMap<ReceiptId, Vec<(MatterId, MatterEntry)>>,
    /// There whenever there are lines.
    pub settings: Option<Settings>,
}

/// What a return did to the client ledger of one matter, to be written.
#[derive(Debug)]
pub struct Bounced {
    /// As it is afterwards.
    pub held: Held,
    pub legal: LegalChanges,
    pub actor: String,
    pub reason: String,
    pub now: DateTime<Utc>,
    pub on: NaiveDate,
}

/// What came back from client ledgers.
#[derive(Debug, Default)]
pub struct Back {
    /// Outflows that were taken back, and what stays of the last one.
    pub outflows: Vec<OutflowLine>,
    /// What had been spent of it.
    pub shortage: Option<Money>,
}

/// Brings client money of a receipt back to it, the latest first, until
/// `missing` is there: the bank takes it. Does nothing for a receipt that
/// brought none.
///
/// # Errors
/// When amounts cannot be added, or what is looked up has moved meanwhile.
pub fn bring_back(
    receipt: &mut Receipt,
    standing: &Standing,
    missing: Money,
    books: &mut Books,
    changes: &mut Changes,
    cause: Uuid,
    because: &Because<'_>,
) -> Result<Back, Refused> {
    let mut back = Back::default();
    let mut left = missing;
    let client = |line: &&OutflowLine| line.kind == OutflowKind::ClientLedger;
    for line in standing.outflows.iter().filter(client).rev() {
        if !left.is_positive() {
            break;
        }
        let clients = &mut books.clients;
        let id = line.outflow_id.as_uuid();
        let found = clients.lines.get(&receipt.id).and_then(|lines| {
            let mut lines = lines.iter();
            lines.find(|(_, entry)| entry.entry_id.as_uuid() == id)
        });
        let (matter, entry) = found.cloned().ok_or(Refused::Unsettled)?;
        let held = clients.held.get_mut(&matter).ok_or(Refused::Unsettled)?;
        let settings = clients.settings.as_ref().ok_or(Refused::Unsettled)?;

        let taken = if left.checked_cmp(line.amount)?.is_lt() {
            left
        } else {
            line.amount
        };
        left = left.checked_sub(taken)?;
        let contra = ledger::undo_outflow(receipt, changes, line, because)?;
        let mut legal = LegalChanges::default();
        let rest = line.amount.checked_sub(taken)?;
        let again = if rest.is_positive() {
            let what = PayOut {
                amount: rest,
                kind: OutflowKind::ClientLedger,
                cause: Some(cause),
                contra_of: None,
                in_transit: false,
            };
            let on = Because {
                not_before: contra.effective_on,
                ..*because
            };
            let again = ledger::pay_out(receipt, changes, &what, &on)?;
            client::receive(
                held,
                &mut legal,
                receipt.id,
                &again,
                entry.component.unwrap_or(Component::Damages),
                entry.disbursement_id,
                cause,
            )?;
            Some(again)
        } else {
            None
        };
        let contras = [(entry, contra.outflow_id.as_uuid())];
        let short = bounce(
            held, &mut legal, receipt, &contras, taken, cause, settings, because,
        )?;
        if let Some(short) = short {
            back.shortage = Some(match back.shortage {
                Some(before) => before.checked_add(short)?,
                None => short,
            });
        }
        held.matter.version += 1;
        changes.bounced.push(Bounced {
            held: held.clone(),
            legal,
            actor: because.actor.to_owned(),
            reason: because.reason.to_owned(),
            now: because.now,
            on: because.not_before,
        });
        if let Some(lines) = clients.lines.get_mut(&receipt.id) {
            lines.retain(|(_, entry)| entry.entry_id.as_uuid() != id);
            let again = again.as_ref().and_then(|line| {
                let rows = changes.bounced.last().map(|row| &row.legal.entries)?;
                let id = line.outflow_id.as_uuid();
                rows.iter().find(|row| row.entry.entry_id.as_uuid() == id)
            });
            lines.extend(again.map(|row| (matter, row.entry.clone())));
        }
        back.outflows.push(contra);
        back.outflows.extend(again);
    }
    Ok(back)
}

/// Takes back what a receipt brought to one client ledger. What is not held any
/// more is a shortage: the firm's money goes in before. `contras` are the
/// client's lines of the receipt, each with the id of the outflow's contra;
/// `taken` is what the bank has of them. Gives the shortage.
///
/// Money that had come into a business account was taken from there, and what
/// was or shall be moved to a client account for it goes back. The two are not
/// netted: the shortage is due first.
///
/// # Errors
/// When amounts cannot be added.
#[expect(clippy::too_many_arguments, reason = "both ledgers and their rules")]
pub fn bounce(
    held: &mut Held,
    changes: &mut LegalChanges,
    receipt: &Receipt,
    contras: &[(MatterEntry, Uuid)],
    taken: Money,
    cause: Uuid,
    settings: &Settings,
    because: &Because<'_>,
) -> Result<Option<Money>, Refused> {
    let currency = taken.currency();
    let today = london_date(because.now);
    let back = Money::sum(contras.iter().map(|(entry, _)| entry.amount), currency)?;
    let short = back.checked_sub(held.balance(currency))?;
    let short = short.is_positive().then_some(short);
    if let Some(short) = short {
        let new = NewEntry {
            receipt: Some(receipt.id),
            ..NewEntry::new(EntryKind::Correction, short, because.not_before)
        };
        let entry = enter(held, changes, new, cause)?;
        client::book(
            changes,
            &entry,
            accounts::SHORTAGES.to_owned(),
            chart::CLIENT_MONEY.to_owned(),
            because,
        );
    }
    if let Some(short) = short {
        let kind = BankMoveKind::Shortage;
        must_move(
            held,
            changes,
            kind,
            Side::Client,
            short,
            None,
            None,
            today,
            settings,
        )?;
    }
    if receipt.designation == Designation::Business {
        let (kind, of) = (BankMoveKind::MixedReceipt, Some(receipt.id));
        must_move(
            held,
            changes,
            kind,
            Side::Business,
            taken,
            None,
            of,
            today,
            settings,
        )?;
    }
    for (entry, outflow) in contras {
        undoable(entry, false)?;
        enter(held, changes, contra(entry, *outflow, because), cause)?;
    }
    Ok(short)
}
