//! Matters: client money and what may happen to it. Every command locks the
//! matter first, so that no two see the same balance.

use contracts::{
    allocation::{
        AdjustmentLine, DebtAdjusted, OutflowKind, OutflowLine, ReceiptAllocated, ReceiptReduced,
    },
    api::{
        Page, Refusal,
        matters::{
            BankMoveView, CheckMatters, ClosureGate, CompleteBankMove, CountMatters,
            GetClosureGate, GetMatter, HoldClientMoney, ListBankMoves, ListMatters, MatterCheck,
            MatterCounts, MatterDetail, MatterView, PayClientMoney, SplitReceipt,
            TransferToBusiness, UndoMatterEntry,
        },
    },
    ingestion::Designation,
    matters::{BankMove, BankMoveKind, DisbursementStep, EntryKind, MatterEntry, Side},
};
use kernel::{DisbursementId, DocumentId, MatterId, Money, OutflowId, london_date};
use messaging::{Bus, Failure, Meta, Outgoing, Tx};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Desk, cursor, disbursements, lay_out, look_again, page, reason};
use crate::{
    consume::{
        client_money::{self, Teller},
        updated,
    },
    domain::{
        Books, Changes, evidence,
        ledger::{self, Because, Moves},
        legal::{
            LegalChanges, Refused, Settings,
            client::{self, Held, Payment},
            closure, disbursement, files, split,
        },
        manual,
    },
    store,
};

/// Matters in a list that is held against ours.
const THEIRS_MAX: usize = 10_000;
/// Differences told at once.
const DIFFERENCES_MAX: usize = 1_000;
/// Bank moves shown with a matter.
const MOVES_MAX: i64 = 200;

pub(crate) async fn list_matters(ask: ListMatters, bus: Bus) -> Result<Page<MatterView>, Refusal> {
    let mut tx = bus.begin().await?;
    let before = cursor(ask.page.cursor.as_deref())?;
    let search = ask
        .search
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let rows = ask.page.rows();
    let items =
        store::matters::views(tx.conn(), None, search, ask.status, before, rows + 1).await?;
    Ok(page(items, rows, |matter| matter.matter_id.as_uuid()))
}

pub(crate) async fn get_matter(ask: GetMatter, bus: Bus) -> Result<MatterDetail, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(detail(tx.conn(), ask.matter_id, &bus).await?)
}

async fn detail(conn: &mut PgConnection, id: MatterId, bus: &Bus) -> Result<MatterDetail, Failure> {
    let matter = store::matters::view(conn, id).await?;
    let today = london_date(bus.now());
    Ok(MatterDetail {
        entries: store::matters::entries(conn, &matter).await?,
        bills: store::matters::bills(conn, &matter.matter_ref).await?,
        bank_moves: store::matters::moves(conn, Some(id), None, today, MOVES_MAX)
            .await?
            .into_iter()
            .map(|view| view.bank_move)
            .collect(),
        matter,
    })
}

/// A command about a matter under way: the matter is locked.
pub(crate) struct Work<'c> {
    pub(crate) tx: Tx,
    pub(crate) held: Held,
    pub(crate) settings: Settings,
    pub(crate) because: Because<'c>,
    pub(crate) cause: Meta,
    pub(crate) legal: LegalChanges,
    events: Vec<Outgoing>,
}

/// Claims a command by its id and locks its matter; `None` when it was carried
/// out before.
pub(crate) async fn take_up<'c>(
    bus: &Bus,
    command_id: Uuid,
    matter: MatterId,
    actor: &'c str,
    reason: &'c str,
) -> Result<Option<Work<'c>>, Failure> {
    let now = bus.now();
    let mut tx = bus.begin().await?;
    if tx.claim(&[command_id]).await?.is_empty() {
        return Ok(None);
    }
    let held = store::matters::lock(tx.conn(), matter).await?;
    let today = london_date(now);
    let settings = store::matters::settings(tx.conn(), today).await?;
    Ok(Some(Work {
        tx,
        held,
        settings,
        because: Because {
            rule: contracts::allocation::Rule::Manual,
            reason,
            actor,
            now,
            not_before: today,
        },
        cause: Meta::of_command(command_id, now, None),
        legal: LegalChanges::default(),
        events: Vec::new(),
    }))
}

impl Work<'_> {
    pub(crate) fn tell<E: contracts::Event>(
        &mut self,
        bus: &Bus,
        fact: &E,
        about: Uuid,
        version: i64,
    ) -> Result<(), Failure> {
        self.events.push(Outgoing::new(
            fact,
            about,
            version,
            bus.prefix(),
            self.because.now,
            &self.cause,
        )?);
        Ok(())
    }

    /// Writes the lines with the facts about them, and commits.
    pub(crate) async fn finish(mut self, bus: &Bus) -> Result<(), Failure> {
        if !self.legal.entries.is_empty() {
            self.held.matter.version += 1;
        }
        let teller = Teller {
            prefix: bus.prefix(),
            now: self.because.now,
            cause: &self.cause,
        };
        let (conn, held) = (self.tx.conn(), &self.held);
        let told = client_money::write(conn, held, &self.legal, &self.because, &teller).await?;
        self.events.extend(told);
        self.tx.publish(&self.events).await?;
        self.tx.commit().await?;
        bus.notice(&["matters".to_owned(), "residuals".to_owned()])
            .await;
        Ok(())
    }

    fn tell_move(&mut self, bus: &Bus, done: &BankMove) -> Result<(), Failure> {
        let matter = &self.held.matter;
        let (reference, account) = (&matter.reference, &matter.account_ref);
        let fact = client_money::bank_move(matter.id, reference, account, done, &self.because);
        self.tell(bus, &fact, done.move_id.as_uuid(), 2)
    }
}

async fn answer(bus: &Bus, matter: MatterId) -> Result<MatterDetail, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(detail(tx.conn(), matter, bus).await?)
}

/// Tells pages that show cash and debt.
async fn money_moved(bus: &Bus) {
    bus.notice(&["receipts".to_owned(), "aged-debt".to_owned()])
        .await;
}

pub(crate) async fn split(ask: SplitReceipt, bus: Bus) -> Result<MatterDetail, Refusal> {
    let reason = reason(&ask.reason)?;
    let command = ask.command_id.as_uuid();
    let Some(mut work) = take_up(&bus, command, ask.matter_id, &ask.actor, reason).await? else {
        return answer(&bus, ask.matter_id).await;
    };
    let because = work.because;
    let mut bills = store::matters::open_bills(work.tx.conn(), &work.held.matter.reference).await?;
    let wanted: Vec<DisbursementId> = ask
        .parts
        .iter()
        .filter_map(|part| part.disbursement_id)
        .collect();
    let mut spent = store::disbursements::lock(work.tx.conn(), &wanted).await?;
    let mut parts = Vec::with_capacity(ask.parts.len());
    for part in &ask.parts {
        let item = match part.disbursement_id {
            Some(id) => Some(disbursements::of_matter(&spent, id, &work.held)?),
            None => None,
        };
        parts.push(split::Part {
            component: part.component,
            amount: part.amount,
            document: part.document_id,
            disbursement: part.disbursement_id,
            paid_by_firm: item.is_some_and(|item| item.funded_by == Some(Side::Business)),
        });
    }
    let mut desk = lay_out(work.tx.conn(), ask.receipt_id, &bills).await?;
    let before = store::movements::outflows_of_receipt(work.tx.conn(), ask.receipt_id).await?;
    if let Some(expected) = ask.expected_version
        && expected != desk.receipt.version
    {
        return Err(Failure::of(Refused::ReceiptMovedOn {
            expected,
            now: desk.receipt.version,
        })
        .into());
    }
    bills.retain(|id| desk.books.items.contains_key(id));
    let plan = split::plan(
        &work.held.matter.reference,
        &parts,
        &bills,
        &desk.books,
        desk.receipt.unallocated,
    )
    .map_err(Failure::of)?;
    let moves = split::apply(
        &plan,
        &mut work.held,
        &mut desk.receipt,
        &mut desk.books,
        &mut desk.changes,
        &mut work.legal,
        command,
        &because,
    )
    .map_err(Failure::of)?;
    desk.receipt.version += 1;
    desk.receipt.decision = manual::by_hand(&because);
    for (part, wanted) in ask.parts.iter().zip(&parts) {
        if let Some(id) = wanted.disbursement
            && let Some(item) = spent.iter_mut().find(|item| item.id == id)
        {
            disbursements::advance(
                &bus,
                &mut work,
                item,
                DisbursementStep::Recovered,
                desk.receipt.booked_on,
                Some(part.amount),
            )
            .await?;
        }
    }
    stand_right(&mut work, &desk, &before, &moves).await?;
    let reduced = !moves.outflows.is_empty();
    tell_receipt(&bus, &mut work, &mut desk, moves, reduced)?;
    super::record(
        &mut work.tx,
        desk.changes,
        &bus,
        work.because.now,
        &work.cause,
    )
    .await?;
    work.finish(&bus).await?;
    money_moved(&bus).await;
    answer(&bus, ask.matter_id).await
}

/// Notes what must be moved so that the client's part of the receipt stands on a
/// client account after `moves`.
async fn stand_right(
    work: &mut Work<'_>,
    desk: &Desk,
    before: &[OutflowLine],
    moves: &Moves,
) -> Result<(), Failure> {
    let receipt = &desk.receipt;
    // Those that stand, and what was just added or taken back.
    let client = before
        .iter()
        .chain(&moves.outflows)
        .filter(|line| line.kind == OutflowKind::ClientLedger)
        .map(|line| line.amount);
    let to_client = Money::sum(client, receipt.amount.currency()).map_err(Failure::of)?;
    let noted = store::matters::noted(work.tx.conn(), receipt.id, receipt.amount).await?;
    client::settle_bank(
        &work.held,
        &mut work.legal,
        receipt,
        to_client,
        noted,
        work.because.not_before,
        &work.settings,
    )
    .map_err(Failure::of)
}

fn tell_receipt(
    bus: &Bus,
    work: &mut Work<'_>,
    desk: &mut Desk,
    moves: Moves,
    reduced: bool,
) -> Result<(), Failure> {
    let because = work.because;
    let fact = look_again(desk, moves, &because)?;
    let (about, version) = (desk.receipt.id.as_uuid(), desk.receipt.version);
    if reduced {
        work.tell(bus, &ReceiptReduced(fact), about, version)
    } else {
        work.tell(bus, &ReceiptAllocated(fact), about, version)
    }
}

pub(crate) async fn transfer(ask: TransferToBusiness, bus: Bus) -> Result<MatterDetail, Refusal> {
    let reason = reason(&ask.reason)?;
    let command = ask.command_id.as_uuid();
    let Some(mut work) = take_up(&bus, command, ask.matter_id, &ask.actor, reason).await? else {
        return answer(&bus, ask.matter_id).await;
    };
    let because = work.because;
    let bills = store::matters::open_bills(work.tx.conn(), &work.held.matter.reference).await?;
    let mut books = books(work.tx.conn(), &[ask.document_id]).await?;
    let mut changes = Changes::default();
    let line = client::transfer(
        &mut work.held,
        &bills,
        ask.document_id,
        ask.amount,
        &mut books,
        &mut changes,
        &mut work.legal,
        command,
        &work.settings,
        &because,
    )
    .map_err(Failure::of)?;
    tell_debt(&bus, &mut work, &books, line)?;
    super::record(&mut work.tx, changes, &bus, work.because.now, &work.cause).await?;
    work.finish(&bus).await?;
    money_moved(&bus).await;
    answer(&bus, ask.matter_id).await
}

async fn books(conn: &mut PgConnection, documents: &[DocumentId]) -> Result<Books, Failure> {
    let mut books = Books::default();
    for item in store::items::lock(conn, documents).await? {
        books.add(item);
    }
    Ok(books)
}

fn tell_debt(
    bus: &Bus,
    work: &mut Work<'_>,
    books: &Books,
    line: AdjustmentLine,
) -> Result<(), Failure> {
    let because = work.because;
    let account_ref = books
        .items
        .get(&line.document_id)
        .map(|item| item.account_ref.clone())
        .unwrap_or_default();
    let about = line.adjustment_id.as_uuid();
    let fact = DebtAdjusted {
        account_id: line.account_id,
        account_ref,
        lines: vec![line],
        recorded_at: because.now,
        actor: because.actor.to_owned(),
        reason: because.reason.to_owned(),
    };
    work.tell(bus, &fact, about, 1)
}

/// The client account that money shall leave: the one that is named, or the only
/// one there is.
pub(crate) async fn client_account(
    conn: &mut PgConnection,
    named: Option<&str>,
) -> Result<String, Failure> {
    let accounts = store::matters::client_accounts(conn).await?;
    let chosen = match named {
        Some(named) if accounts.contains(named) => Ok(named.to_owned()),
        Some(named) => Err(Refused::NoClientAccount(named.to_owned())),
        None => {
            let mut all = accounts.into_iter();
            match (all.next(), all.next()) {
                (Some(only), None) => Ok(only),
                _ => Err(Refused::WhichClientAccount),
            }
        }
    };
    chosen.map_err(|refused| Failure::of(refused).at("/bank_account", "a client account of ours"))
}

pub(crate) async fn pay(ask: PayClientMoney, bus: Bus) -> Result<MatterDetail, Refusal> {
    let reason = reason(&ask.reason)?;
    let command = ask.command_id.as_uuid();
    let Some(mut work) = take_up(&bus, command, ask.matter_id, &ask.actor, reason).await? else {
        return answer(&bus, ask.matter_id).await;
    };
    let because = work.because;
    let bank_account = client_account(work.tx.conn(), ask.bank_account.as_deref()).await?;
    match ask.kind {
        EntryKind::PaidOut | EntryKind::Returned => {}
        EntryKind::DisbursementPaid => {
            let id = ask
                .disbursement_id
                .ok_or_else(|| Failure::of(Refused::Missing("which disbursement is paid")))?;
            let mut spent = store::disbursements::lock(work.tx.conn(), &[id]).await?;
            let item = disbursements::of_matter(&spent, id, &work.held)?;
            if item.amount != ask.amount {
                let refused = Refused::StepAmount(item.amount.display_uk());
                return Err(Failure::of(refused).into());
            }
            if let Some(item) = spent.first_mut() {
                let step = DisbursementStep::PaidByClient;
                let on = because.not_before;
                disbursements::advance(&bus, &mut work, item, step, on, None).await?;
            }
        }
        _ => return Err(Failure::of(Refused::NotPayable).into()),
    }
    let payment = Payment {
        kind: ask.kind,
        amount: ask.amount,
        payee: &ask.payee,
        disbursement: ask.disbursement_id,
        bank_account: &bank_account,
    };
    client::pay(&mut work.held, &mut work.legal, &payment, command, &because)
        .map_err(Failure::of)?;
    work.finish(&bus).await?;
    answer(&bus, ask.matter_id).await
}

pub(crate) async fn undo_entry(ask: UndoMatterEntry, bus: Bus) -> Result<MatterDetail, Refusal> {
    let reason = reason(&ask.reason)?;
    let command = ask.command_id.as_uuid();
    let no_entry = || {
        Failure::not_found(
            "matters.no_entry",
            format!(
                "there is no line {} on a matter's client ledger",
                ask.entry_id
            ),
        )
    };
    let matter = {
        let mut tx = bus.begin().await?;
        let found = store::matters::entry(tx.conn(), ask.entry_id).await?;
        found.ok_or_else(no_entry)?.0
    };
    let Some(mut work) = take_up(&bus, command, matter, &ask.actor, reason).await? else {
        return answer(&bus, matter).await;
    };
    let because = work.because;
    // Again under the lock: somebody may have undone it meanwhile.
    let (_, view) = store::matters::entry(work.tx.conn(), ask.entry_id)
        .await?
        .ok_or_else(no_entry)?;
    client::undoable(&view.entry, view.undone).map_err(Failure::of)?;
    let mut changes = Changes::default();
    match (view.entry.side, view.entry.kind) {
        (Side::Client, EntryKind::Received) => {
            changes = undo_received(&bus, &mut work, &view.entry).await?;
        }
        (Side::Client, EntryKind::Transferred) => {
            let line = store::matters::transfer_line(work.tx.conn(), ask.entry_id)
                .await?
                .ok_or_else(no_entry)?;
            let mut books = books(work.tx.conn(), &[line.document_id]).await?;
            let contra = ledger::undo_adjustment(&mut books, &mut changes, &line, None, &because)
                .map_err(Failure::of)?
                .ok_or_else(no_entry)?;
            let new = client::contra(&view.entry, contra.adjustment_id.as_uuid(), &because);
            client::enter(&mut work.held, &mut work.legal, new, command).map_err(Failure::of)?;
            client::must_move(
                &work.held,
                &mut work.legal,
                BankMoveKind::OfficeTransfer,
                Side::Client,
                line.amount,
                None,
                None,
                because.not_before,
                &work.settings,
            )
            .map_err(Failure::of)?;
            tell_debt(&bus, &mut work, &books, contra)?;
        }
        (Side::Client, EntryKind::PaidOut | EntryKind::Returned) => {
            let bank = store::matters::booked_against(work.tx.conn(), ask.entry_id)
                .await?
                .ok_or_else(no_entry)?;
            client::undo_payment(
                &mut work.held,
                &mut work.legal,
                &view.entry,
                view.undone,
                bank,
                command,
                &because,
            )
            .map_err(Failure::of)?;
        }
        (_, kind) => return Err(Failure::of(Refused::NotUndone(kind.name())).into()),
    }
    super::record(&mut work.tx, changes, &bus, work.because.now, &work.cause).await?;
    work.finish(&bus).await?;
    money_moved(&bus).await;
    answer(&bus, matter).await
}

/// Client money goes back to the receipt that brought it.
async fn undo_received(
    bus: &Bus,
    work: &mut Work<'_>,
    entry: &MatterEntry,
) -> Result<Changes, Failure> {
    let because = work.because;
    let gone = || Failure::of(Refused::AlreadyUndone);
    let receipt = entry.receipt_id.ok_or_else(gone)?;
    let mut desk = lay_out(work.tx.conn(), receipt, &[]).await?;
    let before = store::movements::outflows_of_receipt(work.tx.conn(), receipt).await?;
    let id = OutflowId::from(entry.entry_id.as_uuid());
    let line = before
        .iter()
        .find(|line| line.outflow_id == id)
        .cloned()
        .ok_or_else(gone)?;
    let contra = ledger::undo_outflow(&mut desk.receipt, &mut desk.changes, &line, &because)
        .map_err(Failure::of)?;
    let new = client::contra(entry, contra.outflow_id.as_uuid(), &because);
    client::enter(&mut work.held, &mut work.legal, new, work.cause.id).map_err(Failure::of)?;
    desk.receipt.version += 1;
    desk.receipt.decision = manual::by_hand(&because);
    if desk.receipt.tokens.is_empty() {
        desk.receipt.tokens = evidence::keys([desk.receipt.narrative.as_str()]);
    }
    if let Some(id) = entry.disbursement_id {
        let mut spent = store::disbursements::lock(work.tx.conn(), &[id]).await?;
        if let Some(item) = spent.first_mut() {
            disbursement::take_back(item, entry.amount).map_err(Failure::of)?;
            let (step, on) = (DisbursementStep::Recovered, because.not_before);
            disbursements::note(bus, work, item, step, on, Some(entry.amount.neg())).await?;
        }
    }
    let moves = Moves {
        outflows: vec![contra],
        ..Moves::default()
    };
    stand_right(work, &desk, &before, &moves).await?;
    tell_receipt(bus, work, &mut desk, moves, true)?;
    Ok(desk.changes)
}

pub(crate) async fn hold(ask: HoldClientMoney, bus: Bus) -> Result<MatterDetail, Refusal> {
    let command = ask.command_id.as_uuid();
    let why = match &ask.hold {
        Some(hold) => reason(&hold.reason)?,
        None => "no reason to hold client money any more",
    };
    let Some(mut work) = take_up(&bus, command, ask.matter_id, &ask.actor, why).await? else {
        return answer(&bus, ask.matter_id).await;
    };
    let (today, now) = (work.because.not_before, work.because.now);
    let matter = &mut work.held.matter;
    match &ask.hold {
        Some(hold) => matter.hold = Some((why.to_owned(), hold.until)),
        None => {
            if let Some((_, until)) = matter.hold.take() {
                matter.hold_ended_on = Some(until.min(today));
            }
        }
    }
    matter.version += 1;
    let matter = matter.clone();
    store::matters::put(work.tx.conn(), std::slice::from_ref(&matter), now).await?;
    let fact = updated(&matter, &ask.actor, now);
    work.tell(&bus, &fact, matter.id.as_uuid(), matter.version)?;
    work.finish(&bus).await?;
    answer(&bus, ask.matter_id).await
}

pub(crate) async fn list_moves(
    ask: ListBankMoves,
    bus: Bus,
) -> Result<Page<BankMoveView>, Refusal> {
    let mut tx = bus.begin().await?;
    let after = cursor(ask.page.cursor.as_deref())?;
    let rows = ask.page.rows();
    let today = london_date(bus.now());
    let items = store::matters::moves(tx.conn(), None, after, today, rows + 1).await?;
    Ok(page(items, rows, |view| view.bank_move.move_id.as_uuid()))
}

pub(crate) async fn complete_move(
    ask: CompleteBankMove,
    bus: Bus,
) -> Result<MatterDetail, Refusal> {
    let reason = reason(&ask.reason)?;
    let today = london_date(bus.now());
    let no_move = || {
        Failure::not_found(
            "matters.no_bank_move",
            format!("there is no bank move {}", ask.move_id),
        )
    };
    let view = {
        let mut tx = bus.begin().await?;
        store::matters::move_of(tx.conn(), ask.move_id, today)
            .await?
            .ok_or_else(no_move)?
    };
    let command = ask.command_id.as_uuid();
    let Some(mut work) = take_up(&bus, command, view.matter_id, &ask.actor, reason).await? else {
        return answer(&bus, view.matter_id).await;
    };
    if ask.done_on > today {
        return Err(Failure::of(Refused::Future(ask.done_on)).into());
    }
    let clients = store::matters::client_accounts(work.tx.conn()).await?;
    let (from_side, to_side) = match view.bank_move.to {
        Side::Client => (Designation::Business, Designation::Client),
        Side::Business => (Designation::Client, Designation::Business),
    };
    for (account, must) in [(&ask.from_account, from_side), (&ask.to_account, to_side)] {
        let is = store::matters::designation(&clients, account);
        if is != must {
            return Err(Failure::of(Refused::WrongSide {
                account: account.clone(),
                is: is.name(),
                must: must.name(),
            })
            .into());
        }
    }
    let done = store::matters::complete_move(work.tx.conn(), ask.move_id, ask.done_on).await?;
    if !done {
        return Err(
            Failure::conflict("matters.already_moved", "the money has been moved already").into(),
        );
    }
    let entry = client::moved(
        &view.bank_move,
        &ask.from_account,
        &ask.to_account,
        ask.done_on,
        &work.because,
    );
    work.legal.journal.push(entry);
    let done = BankMove {
        done_on: Some(ask.done_on),
        ..view.bank_move
    };
    work.tell_move(&bus, &done)?;
    work.finish(&bus).await?;
    answer(&bus, view.matter_id).await
}

pub(crate) async fn closure_gate(ask: GetClosureGate, bus: Bus) -> Result<ClosureGate, Refusal> {
    let mut tx = bus.begin().await?;
    let conn = tx.conn();
    let matter = store::matters::view(conn, ask.matter_id).await?;
    let today = london_date(bus.now());
    let moves = store::matters::moves(conn, Some(ask.matter_id), None, today, MOVES_MAX).await?;
    let bills = store::matters::bills(conn, &matter.matter_ref).await?;
    let facts = closure::Facts {
        client: matter.client_money.clone(),
        open: bills
            .into_iter()
            .filter(|bill| !bill.open.is_zero())
            .map(|bill| (bill.document_ref, bill.open))
            .collect(),
        disbursements: store::disbursements::of_matter(conn, ask.matter_id).await?,
        moves: moves
            .into_iter()
            .filter(|view| view.bank_move.done_on.is_none())
            .map(|view| view.bank_move.amount)
            .collect(),
        receipts: store::matters::receipts_naming(conn, &matter.matter_ref).await?,
    };
    let blockers = closure::blockers(&facts);
    Ok(ClosureGate {
        matter_id: matter.matter_id,
        matter_ref: matter.matter_ref,
        may_close: blockers.is_empty(),
        blockers,
        not_checked: closure::NOT_CHECKED.map(str::to_owned).to_vec(),
    })
}

pub(crate) async fn count(ask: CountMatters, bus: Bus) -> Result<MatterCounts, Refusal> {
    let mut tx = bus.begin().await?;
    let as_at = ask.as_at.unwrap_or_else(|| london_date(bus.now()));
    Ok(store::matters::counts(tx.conn(), as_at).await?)
}

pub(crate) async fn check(ask: CheckMatters, bus: Bus) -> Result<MatterCheck, Refusal> {
    if ask.theirs.len() > THEIRS_MAX {
        return Err(Failure::permanent(
            "matters.list_too_long",
            format!("a list has at most {THEIRS_MAX} matters"),
        )
        .at("/theirs", format!("at most {THEIRS_MAX}"))
        .into());
    }
    let mut tx = bus.begin().await?;
    let as_at = ask.as_at.unwrap_or_else(|| london_date(bus.now()));
    let ours = store::matters::not_closed(tx.conn(), as_at).await?;
    let count = ours.len();
    let mut differences = files::differences(ours, &ask.theirs);
    let all = differences.len();
    differences.truncate(DIFFERENCES_MAX);
    Ok(MatterCheck {
        as_at,
        agrees: all == 0,
        ours: count as i64,
        theirs: ask.theirs.len() as i64,
        more: (all - differences.len()) as i64,
        differences,
    })
}
