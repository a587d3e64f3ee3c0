//! Debits and returns: what a person says about money that left again.

use std::sync::{Mutex, PoisonError};

use contracts::{
    allocation::{DebitState, ReceiptReduced, Returned, Rule},
    api::{
        Page, Refusal,
        allocation::ReceiptDetail,
        returns::{
            DebitView, GetDebit, ListDebits, MarkDebitOurs, MatchDebit, ReturnReceipt, ReverseDebit,
        },
    },
};
use kernel::{DebitId, ReceiptId, london_date};
use messaging::{Bus, Failure, Meta, Outgoing};
use sqlx::PgConnection;

use super::{Command, act, cursor, finish, lay_out, page, reason, record};
use crate::{
    consume::debits::{self, Desk},
    domain::{
        Books, Changes, after,
        evidence::say,
        ledger::Because,
        manual,
        returns::{Debit, Standing, TakeBack, Told},
    },
    store,
};

impl super::Desk {
    /// What stands of the receipt.
    pub(super) fn standing(&self) -> Standing {
        Standing {
            lines: self
                .lines
                .iter()
                .filter(|(line, undone)| !undone && line.contra_of.is_none())
                .map(|(line, _)| line.clone())
                .collect(),
            adjustments: self.adjustments.clone(),
            outflows: self.outflows.clone(),
        }
    }
}

/// A payment that did not stay: taken back because a person says so.
pub(crate) async fn return_receipt(ask: ReturnReceipt, bus: Bus) -> Result<ReceiptDetail, Refusal> {
    let command = Command {
        id: ask.command_id.as_uuid(),
        receipt: ask.receipt_id,
        actor: &ask.actor,
        reason: &ask.reason,
    };
    let told: Mutex<Option<Returned>> = Mutex::new(None);
    act(
        &bus,
        &command,
        &[],
        |desk, because| {
            manual::still(&desk.receipt, ask.expected_version).map_err(Failure::of)?;
            if desk.refunding {
                return Err(refund_under_way());
            }
            let standing = desk.standing();
            let because = Because {
                rule: Rule::Returned,
                ..*because
            };
            let (moves, returned) = after::take_back(
                &mut desk.receipt,
                &standing,
                ask.amount,
                |amount| TakeBack {
                    amount,
                    told: Told::default(),
                    debit: None,
                    scheme: ask.scheme.clone(),
                    code: ask.code.clone(),
                    cause: ask.command_id.as_uuid(),
                },
                &mut desk.books,
                &mut desk.changes,
                &because,
            )
            .map_err(Failure::of)?;
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(returned);
            Ok::<_, Failure>(moves)
        },
        |mut moved| {
            moved.returned = told.lock().unwrap_or_else(PoisonError::into_inner).take();
            ReceiptReduced(moved)
        },
    )
    .await
}

pub(crate) async fn list_debits(ask: ListDebits, bus: Bus) -> Result<Page<DebitView>, Refusal> {
    let mut tx = bus.begin().await?;
    let before = cursor(ask.page.cursor.as_deref())?;
    let rows = ask.page.rows();
    let items = store::returns::list(tx.conn(), ask.state, ask.shortfall, before, rows).await?;
    Ok(page(items, rows, |debit| debit.debit_id.as_uuid()))
}

pub(crate) async fn get_debit(ask: GetDebit, bus: Bus) -> Result<DebitView, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(view(tx.conn(), ask.debit_id).await?)
}

async fn view(conn: &mut PgConnection, id: DebitId) -> Result<DebitView, Failure> {
    store::returns::view(conn, id)
        .await?
        .ok_or_else(|| no_debit(id))
}

/// E43: what is promised back to the payer is not paid back twice.
fn refund_under_way() -> Failure {
    Failure::conflict(
        "allocation.refund_under_way",
        "a refund of this payment is under way: void it first",
    )
}

fn no_debit(id: DebitId) -> Failure {
    Failure::not_found("allocation.no_debit", format!("there is no debit {id}"))
}

pub(crate) async fn match_debit(ask: MatchDebit, bus: Bus) -> Result<DebitView, Refusal> {
    let about = About {
        command: ask.command_id.as_uuid(),
        debit: ask.debit_id,
        actor: &ask.actor,
        reason: &ask.reason,
    };
    settle(&bus, &about, &[ask.receipt_id], |debit, papers, desk| {
        let Some((receipt, standing)) = papers.first_mut() else {
            return Ok(());
        };
        is(debit, DebitState::Unmatched)?;
        let fits = receipt.bank_account == debit.bank_account
            && receipt.amount.currency() == debit.amount.currency()
            && debits::covers_whole(receipt, debit.amount)?;
        if !fits {
            return Err(Failure::permanent(
                "allocation.no_return",
                "the debit is on another bank account, in another currency, or more than the payment was",
            ));
        }
        desk.because.not_before = debit.booked_on;
        let evidence = vec![say("person", true, format!("{}: {}", ask.actor, ask.reason.trim()))];
        debits::take(debit, receipt, standing, evidence, desk)
    })
    .await
}

pub(crate) async fn mark_debit_ours(ask: MarkDebitOurs, bus: Bus) -> Result<DebitView, Refusal> {
    let about = About {
        command: ask.command_id.as_uuid(),
        debit: ask.debit_id,
        actor: &ask.actor,
        reason: &ask.reason,
    };
    settle(&bus, &about, &[], |debit, _, desk| {
        is(debit, DebitState::Unmatched)?;
        debit.state = DebitState::Ours;
        debit.candidates.clear();
        let evidence = vec![say(
            "person",
            true,
            format!("{}: {}", ask.actor, ask.reason.trim()),
        )];
        debits::note(debit, None, evidence, desk)
    })
    .await
}

pub(crate) async fn reverse_debit(ask: ReverseDebit, bus: Bus) -> Result<DebitView, Refusal> {
    let about = About {
        command: ask.command_id.as_uuid(),
        debit: ask.debit_id,
        actor: &ask.actor,
        reason: &ask.reason,
    };
    let mut tx = bus.begin().await?;
    let returned = view(tx.conn(), ask.debit_id).await?.receipt_id;
    drop(tx);
    let Some(returned) = returned else {
        return Err(Failure::permanent(
            "allocation.debit_not_returned",
            "the debit took no payment back",
        )
        .into());
    };
    let receipts: Vec<ReceiptId> = [Some(returned), ask.credit].into_iter().flatten().collect();
    settle(&bus, &about, &receipts, |debit, papers, desk| {
        is(debit, DebitState::Returned)?;
        let evidence = vec![say(
            "person",
            true,
            format!("{}: {}", ask.actor, ask.reason.trim()),
        )];
        if let [_, (credit, _)] = papers.as_mut_slice() {
            if credit.bank_account != debit.bank_account || !debits::covers(credit, debit.amount)? {
                return Err(Failure::permanent(
                    "allocation.no_such_credit",
                    "the credit is on another bank account, or has less left than the debit took",
                ));
            }
            debits::pass_on(credit, debit, desk)?;
        }
        let Some((receipt, standing)) = papers.first_mut() else {
            return Ok(());
        };
        debits::give(debit, receipt, standing, evidence, desk)
    })
    .await
}

fn is(debit: &Debit, state: DebitState) -> Result<(), Failure> {
    if debit.state == state {
        return Ok(());
    }
    Err(Failure::conflict(
        "allocation.debit_settled",
        format!("the debit is {} already", debit.state.name()),
    ))
}

/// What a command about a debit is about.
struct About<'c> {
    command: uuid::Uuid,
    debit: DebitId,
    actor: &'c str,
    reason: &'c str,
}

type Papers = Vec<(crate::domain::Receipt, Standing)>;

/// The six steps of a command about a debit and the receipts that it concerns.
async fn settle(
    bus: &Bus,
    about: &About<'_>,
    receipts: &[ReceiptId],
    decide: impl FnOnce(&mut Debit, &mut Papers, &mut Desk<'_>) -> Result<(), Failure>,
) -> Result<DebitView, Refusal> {
    let said = reason(about.reason)?;
    let now = bus.now();
    let mut tx = bus.begin().await?;
    if tx.claim(&[about.command]).await?.is_empty() {
        return Ok(view(tx.conn(), about.debit).await?);
    }
    // Matters before receipts, and those before debits, as when bank lines come in.
    let mut books = Books::default();
    books.clients = store::clients::lock(tx.conn(), receipts, london_date(now)).await?;
    let mut papers: Papers = Vec::new();
    for id in receipts {
        let laid = lay_out(tx.conn(), *id, &[]).await?;
        if laid.refunding {
            return Err(refund_under_way().into());
        }
        let standing = laid.standing();
        for item in laid.books.items.into_values() {
            books.add(item);
        }
        papers.push((laid.receipt, standing));
    }
    let mut debit = store::returns::lock(tx.conn(), about.debit)
        .await?
        .ok_or_else(|| no_debit(about.debit))?;
    debit.version += 1;
    let mut changes = Changes::default();
    let mut events: Vec<Outgoing> = Vec::new();
    let cause = Meta::of_command(about.command, now, None);
    let mut desk = Desk {
        books: &mut books,
        changes: &mut changes,
        events: &mut events,
        prefix: bus.prefix(),
        cause: &cause,
        because: Because {
            rule: Rule::Returned,
            reason: said,
            actor: about.actor,
            now,
            not_before: london_date(now),
        },
    };
    decide(&mut debit, &mut papers, &mut desk)?;
    record(&mut tx, changes, bus, now, &cause).await?;
    tx.publish(&events).await?;
    let answer = view(tx.conn(), about.debit).await?;
    finish(tx, bus).await?;
    Ok(answer)
}
