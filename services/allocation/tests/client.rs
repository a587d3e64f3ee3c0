//! Client money whatever banks and people do: a client ledger is never below
//! nothing, client and business money never net, and what the client bank
//! accounts hold by the journal is what the rows say (E91, E94).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;

use allocation::domain::{
    Books, Changes, Item, Receipt, after,
    ledger::{self, Because, Detail, Moves, chart},
    legal::{
        LegalChanges, Matter, MoveRow, Settings,
        client::{self, Held, Payment},
        split::{self, Part},
    },
    manual,
    returns::{Standing, TakeBack, Told},
};
use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    allocation::{Decision, OutflowKind, Rule},
    api::allocation::AllocateLine,
    inbound::{DocumentKind, MatterStatus},
    ingestion::Designation,
    matters::{BankMoveKind, Component, EntryKind, Side},
};
use kernel::{AccountId, Currency, DocumentId, MatterId, Money, ReceiptId};
use proptest::prelude::*;
use rust_decimal::Decimal;
use uuid::Uuid;

const BANK: &str = "GB:200000-55779912";

fn pence(n: i64) -> Money {
    Money::try_new(Decimal::new(n, 2), Currency::GBP).unwrap()
}

fn sum(amounts: impl Iterator<Item = Money>) -> Money {
    Money::sum(amounts, Currency::GBP).unwrap()
}

fn least(amounts: &[Money]) -> Money {
    *amounts.iter().min_by_key(|money| money.amount()).unwrap()
}

fn day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 3, 10).unwrap()
}

fn now() -> DateTime<Utc> {
    "2026-03-10T09:00:00Z".parse().unwrap()
}

fn because() -> Because<'static> {
    Because {
        rule: Rule::Manual,
        reason: "test",
        actor: "user:jo",
        now: now(),
        not_before: day(),
    }
}

fn settings() -> Settings {
    Settings {
        charity_limit: pence(50_000),
        tracing_needed: 2,
        inactive_days: 180,
        escalation_days: [7, 14, 28],
        to_client_days: 1,
        to_business_days: 1,
    }
}

fn matter() -> Matter {
    Matter {
        id: MatterId::from(Uuid::from_u128(1)),
        reference: "OIC-26-01000".into(),
        version: 1,
        source_version: 1,
        account_id: AccountId::from(Uuid::from_u128(2)),
        account_ref: "C-1".into(),
        title: "RTA 1 Feb 2026".into(),
        fee_earner: None,
        opened_on: day(),
        concluded_on: None,
        closed_on: None,
        status: MatterStatus::Opened,
        status_on: day(),
        hold: None,
        hold_ended_on: None,
    }
}

fn bill(n: u128, amount: i64) -> Item {
    Item {
        id: DocumentId::from(Uuid::from_u128(100 + n)),
        document_ref: format!("LB-{n}"),
        kind: DocumentKind::Invoice,
        account_id: matter().account_id,
        account_ref: "C-1".into(),
        issued_on: day(),
        due_on: day(),
        amount: pence(amount),
        open: pence(amount),
        ref_key: format!("LB{n}"),
        payment_key: None,
        tail_key: None,
        net: None,
        vat: None,
    }
}

fn receipt(n: u128, amount: i64, designation: Designation) -> Receipt {
    Receipt {
        id: ReceiptId::from(Uuid::from_u128(500 + n)),
        version: 1,
        bank_account: BANK.into(),
        designation,
        bank_reference: None,
        booked_on: day(),
        value_on: day(),
        amount: pence(amount),
        unallocated: pence(amount),
        paid_out: pence(0),
        payer_name: None,
        payer_account: None,
        narrative: String::new(),
        tokens: Vec::new(),
        advice: Vec::new(),
        detail: Detail::default(),
        account: None,
        account_ref: None,
        decision: Decision::because(Rule::None, Vec::new()),
        suggestions: Vec::new(),
        recorded_at: now(),
    }
}

/// A matter with its bills, receipts of both kinds of bank account, and every
/// row ever written.
struct World {
    books: Books,
    receipts: Vec<(Receipt, Standing)>,
    rows: Changes,
    legal: LegalChanges,
    bills: Vec<DocumentId>,
    taken: Vec<Money>,
}

impl World {
    fn new(bills: &[i64], receipts: &[(i64, bool)]) -> Self {
        let mut books = Books::default();
        for (n, amount) in (0..).zip(bills) {
            books.add(bill(n, *amount));
        }
        books
            .clients
            .held
            .insert(matter().id, Held::new(matter(), []));
        books.clients.settings = Some(settings());
        let receipts: Vec<_> = (0..)
            .zip(receipts)
            .map(|(n, (amount, client))| {
                let designation = if *client {
                    Designation::Client
                } else {
                    Designation::Business
                };
                (receipt(n, *amount, designation), Standing::default())
            })
            .collect();
        let mut rows = Changes::default();
        rows.entries
            .extend(receipts.iter().map(|(r, _)| ledger::banked(r)));
        Self {
            bills: (0..bills.len() as u128).map(|n| bill(n, 1).id).collect(),
            books,
            taken: vec![pence(0); receipts.len()],
            receipts,
            rows,
            legal: LegalChanges::default(),
        }
    }

    fn held(&self) -> &Held {
        &self.books.clients.held[&matter().id]
    }

    fn balance(&self) -> Money {
        self.held().balance(Currency::GBP)
    }

    /// Refusals change nothing.
    fn act(&mut self, (what, a, b, amount): (u8, usize, usize, i64)) {
        let at = a % self.receipts.len();
        let document = self.bills[b % self.bills.len()];
        let amount = pence(amount);
        let mut held = self.held().clone();
        let mut split = None;
        let (receipt, standing) = &mut self.receipts[at];
        let moves = match what {
            // Damages and costs of what is left.
            0..=2 => {
                let amount = least(&[amount, receipt.unallocated]);
                let component = if what == 2 {
                    Component::Costs
                } else {
                    Component::Damages
                };
                let part = Part {
                    component,
                    amount,
                    document: None,
                    disbursement: None,
                    paid_by_firm: false,
                };
                let left = receipt.unallocated;
                let plan = split::plan("M", &[part], &self.bills, &self.books, left).ok();
                plan.map(|plan| {
                    let mut legal = LegalChanges::default();
                    let (books, rows) = (&mut self.books, &mut self.rows);
                    let cause = Uuid::now_v7();
                    let moves = split::apply(
                        &plan,
                        &mut held,
                        receipt,
                        books,
                        rows,
                        &mut legal,
                        cause,
                        &because(),
                    )
                    .unwrap();
                    let lines = standing.outflows.iter().chain(&moves.outflows);
                    let client = lines.filter(|line| line.kind == OutflowKind::ClientLedger);
                    let client = sum(client.map(|line| line.amount));
                    let of = |row: &&MoveRow| row.bank_move.receipt_id == Some(receipt.id);
                    let noted = sum(self.legal.moves.iter().filter(of).map(towards_business));
                    let settings = settings();
                    client::settle_bank(
                        &held,
                        &mut legal,
                        receipt,
                        client,
                        noted,
                        day(),
                        &settings,
                    )
                    .unwrap();
                    let lines = legal.entries.iter();
                    let lines = lines.map(|row| (matter().id, row.entry.clone()));
                    let of = self.books.clients.lines.entry(receipt.id).or_default();
                    of.extend(lines);
                    split = Some((held, legal));
                    moves
                })
            }
            3 => {
                let line = AllocateLine {
                    document_id: document,
                    amount: least(&[
                        amount,
                        self.books.items[&document].open,
                        receipt.unallocated,
                    ]),
                };
                let (books, rows) = (&mut self.books, &mut self.rows);
                manual::allocate(receipt, &[line], books, rows, &because())
                    .map(Moves::of)
                    .ok()
            }
            4 => standing.lines.first().cloned().map(|line| {
                let (books, rows) = (&mut self.books, &mut self.rows);
                Moves::of(manual::undo(receipt, &line, false, books, rows, &because()).unwrap())
            }),
            5 => {
                let (mut legal, mut rows) = (LegalChanges::default(), Changes::default());
                let ok = client::transfer(
                    &mut held,
                    &self.bills,
                    document,
                    amount,
                    &mut self.books,
                    &mut rows,
                    &mut legal,
                    Uuid::now_v7(),
                    &settings(),
                    &because(),
                );
                if ok.is_ok() {
                    self.rows.entries.extend(rows.entries);
                    self.rows.adjustments.extend(rows.adjustments);
                    self.keep(held, legal);
                }
                None
            }
            6 => {
                let mut legal = LegalChanges::default();
                let payment = Payment {
                    kind: EntryKind::Returned,
                    amount,
                    payee: "the client",
                    disbursement: None,
                    bank_account: BANK,
                };
                if client::pay(&mut held, &mut legal, &payment, Uuid::now_v7(), &because()).is_ok()
                {
                    self.keep(held, legal);
                }
                None
            }
            // The bank takes all or a part of it back.
            _ => {
                let left = receipt.amount.checked_sub(self.taken[at]).unwrap();
                let amount = if what == 7 {
                    left
                } else {
                    least(&[amount, left])
                };
                amount.is_positive().then(|| {
                    self.taken[at] = self.taken[at].checked_add(amount).unwrap();
                    let what = |amount| TakeBack {
                        amount,
                        told: Told::default(),
                        debit: None,
                        scheme: None,
                        code: None,
                        cause: Uuid::now_v7(),
                    };
                    let (books, rows) = (&mut self.books, &mut self.rows);
                    let (moves, returned) = after::take_back(
                        receipt,
                        standing,
                        Some(amount),
                        what,
                        books,
                        rows,
                        &because(),
                    )
                    .unwrap();
                    assert_eq!(returned.shortfall, None, "all of it is found somewhere");
                    moves
                })
            }
        };
        if let Some((held, legal)) = split {
            self.keep(held, legal);
        }
        for bounced in std::mem::take(&mut self.rows.bounced) {
            self.legal.entries.extend(bounced.legal.entries);
            self.legal.moves.extend(bounced.legal.moves);
            self.legal.journal.extend(bounced.legal.journal);
        }
        if let Some(moves) = moves {
            settle(&mut self.receipts[at].1, &moves);
        }
    }

    fn keep(&mut self, held: Held, legal: LegalChanges) {
        self.books.clients.held.insert(matter().id, held);
        self.legal.entries.extend(legal.entries);
        self.legal.moves.extend(legal.moves);
        self.legal.journal.extend(legal.journal);
    }

    fn check(&self) {
        assert!(!self.balance().is_negative());
        let lines = self.legal.entries.iter().map(|row| &row.entry);
        let lines = lines.filter(|entry| entry.side == Side::Client);
        assert_eq!(sum(lines.map(|entry| entry.amount)), self.balance());

        let mut accounts: BTreeMap<String, Decimal> = BTreeMap::new();
        for entry in self.rows.entries.iter().chain(&self.legal.journal) {
            assert!(entry.amount.is_positive());
            *accounts.entry(entry.debit.clone()).or_default() += entry.amount.amount();
            *accounts.entry(entry.credit.clone()).or_default() -= entry.amount.amount();
        }
        let of = |name: &str| accounts.get(name).copied().unwrap_or_default();
        assert_eq!(of(chart::CLIENT_MONEY), -self.balance().amount());

        let (mut cash, mut office) = (Decimal::ZERO, Decimal::ZERO);
        for (receipt, _) in &self.receipts {
            let rows = self.rows.postings.iter();
            let paid = sum(rows
                .filter(|r| r.receipt == receipt.id)
                .map(|r| r.line.amount));
            let placed = paid
                .checked_add(receipt.unallocated)
                .unwrap()
                .checked_add(receipt.paid_out)
                .unwrap();
            assert_eq!(placed, receipt.amount);
            assert!(!receipt.unallocated.is_negative());
            if receipt.designation == Designation::Client {
                cash += receipt.unallocated.amount();
                office += paid.amount();
            }
        }
        let due = sum(self.legal.moves.iter().map(towards_business)).amount();
        assert_eq!(
            of(&chart::bank(BANK, Designation::Client)),
            self.balance().amount() + cash + office + due,
            "the client bank account holds the client money"
        );
    }
}

fn towards_business(row: &MoveRow) -> Money {
    match row.bank_move.to {
        Side::Business => row.bank_move.amount,
        Side::Client => row.bank_move.amount.neg(),
    }
}

fn settle(standing: &mut Standing, moves: &Moves) {
    let undone: Vec<_> = moves.lines.iter().filter_map(|l| l.contra_of).collect();
    standing
        .lines
        .retain(|l| !undone.contains(&l.allocation_id));
    let made = moves.lines.iter().filter(|l| l.contra_of.is_none());
    standing
        .lines
        .extend(made.filter(|l| !undone.contains(&l.allocation_id)).cloned());
    let undone: Vec<_> = moves.outflows.iter().filter_map(|l| l.contra_of).collect();
    standing
        .outflows
        .retain(|l| !undone.contains(&l.outflow_id));
    let made = moves.outflows.iter().filter(|l| l.contra_of.is_none());
    standing
        .outflows
        .extend(made.filter(|l| !undone.contains(&l.outflow_id)).cloned());
}

proptest! {
    #[test]
    fn no_sequence_makes_a_client_short_nets_or_loses_a_penny(
        bills in prop::collection::vec(1_i64..5_000, 1..3),
        receipts in prop::collection::vec((1_i64..8_000, any::<bool>()), 1..4),
        steps in prop::collection::vec((0_u8..9, 0_usize..4, 0_usize..3, 1_i64..6_000), 0..40),
    ) {
        let mut world = World::new(&bills, &receipts);
        world.check();
        for step in steps {
            world.act(step);
            world.check();
        }
    }
}

/// E94: of 100.00 of damages on the client account 70.00 were paid to the client
/// when the payment bounced. The firm puts in 70.00 the same day, before the
/// money goes.
#[test]
fn e94_what_was_spent_of_a_bounced_receipt_is_made_good_the_same_day() {
    let mut world = World::new(&[10], &[(10_000, true)]);
    world.act((0, 0, 0, 10_000));
    world.act((6, 0, 0, 7_000));
    world.act((7, 0, 0, 0));
    world.check();
    assert!(world.balance().is_zero());
    let [due] = world.legal.moves.as_slice() else {
        panic!("{:?}", world.legal.moves);
    };
    let due = &due.bank_move;
    assert_eq!((due.kind, due.to), (BankMoveKind::Shortage, Side::Client));
    assert_eq!((due.amount, due.due_by), (pence(7_000), day()));
    let said = &world.receipts[0].0.decision.evidence;
    assert!(
        said.iter().any(|e| e.kind == "client_money"),
        "the breach is shown: {said:?}"
    );
}

/// E41, E94: the bank takes a part; the firm's part of the receipt goes first,
/// and what the client keeps stays on the client ledger.
#[test]
fn e94_a_part_that_bounces_takes_from_the_client_last_and_only_as_much_as_needed() {
    let mut world = World::new(&[4_000], &[(10_000, true)]);
    world.act((0, 0, 0, 6_000));
    world.act((3, 0, 0, 4_000));
    world.act((8, 0, 0, 5_000));
    world.check();
    assert_eq!(world.balance(), pence(5_000));
    assert_eq!(world.books.items[&world.bills[0]].open, pence(4_000));
    assert!(world.legal.moves.is_empty(), "nothing was spent");
}
