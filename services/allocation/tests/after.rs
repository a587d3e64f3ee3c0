//! Whatever people and banks do with money after it was matched, in whatever
//! order: no penny is lost or made, nothing is below nothing, the journal agrees
//! with the ledger, and the rows alone give the same figures again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;

use allocation::domain::{
    Books, Changes, Item, Line, Receipt, after,
    ledger::{self, Adjust, Because, Detail, Held, Moves, PayOut, chart},
    manual, reference_key,
    returns::{self, Debit, Standing, TakeBack, Verdict},
};
use chrono::{DateTime, Days, NaiveDate, Utc};
use contracts::{
    allocation::{
        AdjustmentKind, AdjustmentLine, DebitState, Decision, OutflowKind, OutflowLine, Rule,
    },
    api::{allocation::AllocateLine, returns::OffsetLine},
    inbound::DocumentKind,
};
use kernel::{AccountId, Currency, DebitId, DocumentId, Money, ReceiptId};
use proptest::prelude::*;
use rust_decimal::Decimal;
use uuid::Uuid;

const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn pence(n: i64) -> Money {
    Money::try_new(Decimal::new(n, 2), Currency::GBP).unwrap()
}

fn least(amounts: &[Money]) -> Money {
    *amounts.iter().min_by_key(|money| money.amount()).unwrap()
}

fn sum(amounts: impl Iterator<Item = Money>) -> Money {
    Money::sum(amounts, Currency::GBP).unwrap()
}

fn day(n: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + Days::new(n)
}

fn account() -> AccountId {
    AccountId::from(Uuid::from_u128(1))
}

fn document(n: u128) -> DocumentId {
    DocumentId::from(Uuid::from_u128(100 + n))
}

fn item(n: u128, amount: i64) -> Item {
    let document_ref = format!("INV-{n}");
    Item {
        id: document(n),
        kind: if amount < 0 {
            DocumentKind::CreditNote
        } else {
            DocumentKind::Invoice
        },
        account_id: account(),
        account_ref: "ACME01".into(),
        issued_on: day(0),
        due_on: day(n as u64),
        amount: pence(amount),
        open: pence(amount),
        ref_key: reference_key(&document_ref),
        document_ref,
        payment_key: None,
        tail_key: None,
        net: None,
        vat: None,
    }
}

fn receipt(n: u128, amount: i64) -> Receipt {
    Receipt {
        id: ReceiptId::from(Uuid::from_u128(500 + n)),
        version: 1,
        bank_account: "GB:200000-55779911".into(),
        designation: contracts::ingestion::Designation::Business,
        bank_reference: Some(format!("BANKREF{n}")),
        booked_on: day(3),
        value_on: day(3),
        amount: pence(amount),
        unallocated: pence(amount),
        paid_out: pence(0),
        payer_name: Some("Acme Ltd".into()),
        payer_account: None,
        narrative: format!("PAYMENT {n}"),
        tokens: Vec::new(),
        advice: Vec::new(),
        detail: Detail {
            scheme: Some("dd_collection".into()),
            ..Detail::default()
        },
        account: None,
        account_ref: None,
        decision: Decision::because(Rule::None, Vec::new()),
        suggestions: Vec::new(),
        recorded_at: NOW,
    }
}

fn debit(n: u128, amount: i64, scheme: &str) -> Debit {
    Debit {
        item: None,
        pair: None,
        id: DebitId::from(Uuid::from_u128(900 + n)),
        version: 1,
        state: DebitState::Unmatched,
        bank_account: "GB:200000-55779911".into(),
        bank_reference: Some(format!("DEBIT{n}")),
        booked_on: day(6),
        amount: pence(amount),
        scheme: Some(scheme.into()),
        code: None,
        counterparty_name: None,
        counterparty_account: None,
        narrative: String::new(),
        end_to_end_id: None,
        mandate_reference: None,
        receipt: None,
        shortfall: None,
        candidates: Vec::new(),
        reopened: Vec::new(),
        evidence: Vec::new(),
        recorded_at: NOW,
    }
}

fn because(on: u64) -> Because<'static> {
    Because {
        rule: Rule::Manual,
        reason: "test",
        actor: "user:jo",
        now: NOW,
        not_before: day(on),
    }
}

/// A discount that came with a receipt.
fn discount(of: DocumentId, amount: Money, with: ReceiptId) -> Adjust {
    Adjust {
        document: of,
        amount,
        kind: AdjustmentKind::Discount,
        receipt: Some(with),
        cause: None,
        contra_of: None,
    }
}

/// A ledger with one account, and every row ever written.
struct World {
    books: Books,
    receipts: Vec<(Receipt, Standing)>,
    rows: Changes,
    taken: Vec<(usize, Debit)>,
    shortfalls: Money,
    debits: u128,
    /// Debts given up and small rests cleared that stand.
    given_up: Vec<AdjustmentLine>,
}

fn settle(standing: &mut Standing, moves: &Moves) {
    let undone: Vec<_> = moves.lines.iter().filter_map(|l| l.contra_of).collect();
    standing
        .lines
        .retain(|l| !undone.contains(&l.allocation_id));
    let made = moves.lines.iter().filter(|l| l.contra_of.is_none());
    standing.lines.extend(made.cloned());
    let undone: Vec<_> = moves
        .adjustments
        .iter()
        .filter_map(|l| l.contra_of)
        .collect();
    standing
        .adjustments
        .retain(|l| !undone.contains(&l.adjustment_id));
    let made = moves.adjustments.iter().filter(|l| l.contra_of.is_none());
    standing.adjustments.extend(made.cloned());
    let undone: Vec<_> = moves.outflows.iter().filter_map(|l| l.contra_of).collect();
    standing
        .outflows
        .retain(|l| !undone.contains(&l.outflow_id));
    let made = moves.outflows.iter().filter(|l| l.contra_of.is_none());
    standing.outflows.extend(made.cloned());
}

impl World {
    fn new(items: &[i64], receipts: &[i64]) -> Self {
        let mut books = Books::default();
        for (n, amount) in (0..).zip(items) {
            books.add(item(n, *amount));
        }
        let receipts: Vec<_> = (0..)
            .zip(receipts)
            .map(|(n, amount)| (receipt(n, *amount), Standing::default()))
            .collect();
        let mut rows = Changes::default();
        let billed = books.items.values().map(|item| ledger::billed(item, NOW));
        rows.entries.extend(billed);
        let banked = receipts.iter().map(|(receipt, _)| ledger::banked(receipt));
        rows.entries.extend(banked);
        Self {
            books,
            receipts,
            rows,
            taken: Vec::new(),
            shortfalls: pence(0),
            debits: 0,
            given_up: Vec::new(),
        }
    }

    /// What somebody does; refusals change nothing.
    fn act(&mut self, (what, a, b, amount): (u8, usize, usize, i64), on: u64) {
        let at = a % self.receipts.len();
        let to = document((b % self.books.items.len()) as u128);
        let because = because(on);
        let amount = pence(amount);
        let (receipt, standing) = &mut self.receipts[at];
        let (books, rows) = (&mut self.books, &mut self.rows);
        let moves = match what {
            0 | 1 => {
                let line = AllocateLine {
                    document_id: to,
                    amount: least(&[amount, books.items[&to].open, receipt.unallocated]),
                };
                manual::allocate(receipt, &[line], books, rows, &because)
                    .map(Moves::of)
                    .ok()
            }
            2 => {
                let adjust = discount(to, amount, receipt.id);
                let fits = amount.amount() <= books.items[&to].open.amount();
                fits.then(|| {
                    let made = ledger::adjust(books, rows, &adjust, &because).unwrap();
                    Moves {
                        adjustments: made.into_iter().collect(),
                        ..Moves::default()
                    }
                })
            }
            3 => standing.lines.first().cloned().map(|line| {
                Moves::of(manual::undo(receipt, &line, false, books, rows, &because).unwrap())
            }),
            4 => {
                let lines = standing.lines.iter().take(2).map(|line| (line, false));
                let lines: Vec<_> = lines.collect();
                let all = &standing.adjustments;
                let named: Vec<_> = all.iter().map(|l| l.adjustment_id).collect();
                // A refusal writes nothing.
                let mut kept = (receipt.clone(), Changes::default());
                let before: Vec<_> = lines.iter().map(|(line, _)| line.document_id).collect();
                let open = before.iter().map(|id| (*id, books.items[id].open));
                let open: Vec<_> = open.collect();
                let (money, made) = (&mut kept.0, &mut kept.1);
                let undone =
                    manual::undo_together(money, &lines, &named, all, books, made, &because);
                if undone.is_ok() {
                    *receipt = kept.0;
                    rows.postings.extend(kept.1.postings);
                    rows.adjustments.extend(kept.1.adjustments);
                    rows.entries.extend(kept.1.entries);
                } else {
                    for (id, was) in open {
                        books.items.get_mut(&id).unwrap().open = was;
                    }
                }
                undone.ok()
            }
            5 => {
                let line = standing.lines.last().map(|l| (l.allocation_id, l.amount));
                line.and_then(|(id, most)| {
                    let part = Some(least(&[amount, most]));
                    after::move_allocation(receipt, standing, id, to, part, books, rows, &because)
                        .ok()
                })
            }
            6 | 7 => {
                self.debits += 1;
                let mut debit = debit(self.debits, 1, "card");
                debit.amount = if what == 6 { receipt.amount } else { amount };
                let returned = standing.outflows.iter();
                let returned = returned.filter(|o| o.kind == OutflowKind::Returned);
                let before = sum(returned.map(|o| o.amount));
                let total = before.checked_add(debit.amount).unwrap();
                (total.amount() <= receipt.amount.amount()).then(|| {
                    let what = TakeBack::by(&debit);
                    let (moves, returned) =
                        returns::take_back(receipt, standing, &what, books, rows, &because)
                            .unwrap();
                    debit.shortfall = returned.shortfall;
                    debit.state = DebitState::Returned;
                    debit.reopened = returns::lines_of(&returned);
                    if let Some(shortfall) = returned.shortfall {
                        self.shortfalls = self.shortfalls.checked_add(shortfall).unwrap();
                    }
                    self.taken.push((at, debit));
                    moves
                })
            }
            8 => {
                let found = self.taken.iter().position(|(of, _)| *of == at);
                found.map(|found| {
                    let (_, debit) = self.taken.remove(found);
                    if let Some(shortfall) = debit.shortfall {
                        self.shortfalls = self.shortfalls.checked_sub(shortfall).unwrap();
                    }
                    let moves =
                        returns::give_back(receipt, standing, &debit, rows, &because).unwrap();
                    if let Some(offer) = returns::once_paid(receipt, &debit, books).unwrap() {
                        let cash = sum(offer.lines.iter().map(|line| line.amount));
                        assert!(cash.amount() <= receipt.unallocated.amount());
                    }
                    moves
                })
            }
            9 => {
                let amount = least(&[amount, receipt.unallocated]);
                amount.is_positive().then(|| {
                    let out = PayOut {
                        amount,
                        kind: OutflowKind::Refunded,
                        cause: None,
                        contra_of: None,
                        in_transit: false,
                    };
                    Moves {
                        outflows: vec![ledger::pay_out(receipt, rows, &out, &because).unwrap()],
                        ..Moves::default()
                    }
                })
            }
            10 => {
                let note = books.items.values().find(|item| item.open.is_negative());
                if let Some(note) = note.map(|item| item.id) {
                    let lines =
                        [(to, amount), (note, amount.neg())].map(|(document_id, amount)| {
                            OffsetLine {
                                document_id,
                                amount,
                            }
                        });
                    // A refusal is fine too.
                    after::offset(account(), &lines, Uuid::nil(), books, rows, &because).ok();
                }
                None
            }
            // A debt is given up, or a small rest of it; and owed again.
            12 | 13 => {
                let open = books.items[&to].open;
                let rest = least(&[amount, open]);
                let adjust = Adjust {
                    document: to,
                    amount: if what == 12 { rest } else { open },
                    kind: if what == 12 {
                        AdjustmentKind::WriteOff
                    } else {
                        AdjustmentKind::SmallBalance
                    },
                    receipt: None,
                    cause: Some(Uuid::nil()),
                    contra_of: None,
                };
                if !adjust.amount.is_zero() && (what == 13 || adjust.amount.is_positive()) {
                    let made = ledger::adjust(books, rows, &adjust, &because).unwrap();
                    self.given_up.extend(made);
                }
                None
            }
            14 => {
                if !self.given_up.is_empty() {
                    let line = self.given_up.remove(b % self.given_up.len());
                    ledger::undo_adjustment(books, rows, &line, None, &because).unwrap();
                }
                None
            }
            // A small rest goes to income; a refund or that comes back.
            15 => receipt.unallocated.is_positive().then(|| {
                let out = PayOut {
                    amount: receipt.unallocated,
                    kind: OutflowKind::WrittenBack,
                    cause: Some(Uuid::nil()),
                    contra_of: None,
                    in_transit: false,
                };
                Moves {
                    outflows: vec![ledger::pay_out(receipt, rows, &out, &because).unwrap()],
                    ..Moves::default()
                }
            }),
            16 => {
                let ours = |line: &&OutflowLine| line.kind != OutflowKind::Returned;
                let line = standing.outflows.iter().find(ours).cloned();
                line.map(|line| Moves {
                    outflows: vec![ledger::undo_outflow(receipt, rows, &line, &because).unwrap()],
                    ..Moves::default()
                })
            }
            _ => {
                let whose = Some((account(), "ACME01".to_owned()));
                after::transfer(receipt, whose, b % 2 == 0, &because).ok()
            }
        };
        if let Some(moves) = moves {
            settle(standing, &moves);
            // Nothing that a person or the bank did is left to a rule (E48).
            let spoken = matches!(what, 2 | 16) || receipt.is_spoken_for();
            assert!(spoken, "step {what}");
        }
    }

    fn check(&self) {
        for item in self.books.items.values() {
            let lines = self.rows.postings.iter().map(|row| &row.line);
            let paid = lines.filter(|line| line.document_id == item.id);
            let lines = self.rows.adjustments.iter().map(|row| &row.line);
            let adjusted = lines.filter(|line| line.document_id == item.id);
            // Replaying the rows gives the same ledger.
            let gone = sum(paid.map(|l| l.amount).chain(adjusted.map(|l| l.amount)));
            assert_eq!(item.open, item.amount.checked_sub(gone).unwrap());
            let within = item.open.abs().amount() <= item.amount.abs().amount();
            let same_side =
                item.open.is_zero() || item.open.is_negative() == item.amount.is_negative();
            assert!(within && same_side, "{} of {}", item.open, item.amount);
        }
        for (receipt, standing) in &self.receipts {
            let rows = self.rows.postings.iter();
            let paid = sum(rows
                .filter(|r| r.receipt == receipt.id)
                .map(|r| r.line.amount));
            let rows = self.rows.outflows.iter();
            let out = sum(rows
                .filter(|r| r.receipt == receipt.id)
                .map(|r| r.line.amount));
            assert_eq!(out, receipt.paid_out);
            let left = receipt.amount.checked_sub(paid).unwrap();
            assert_eq!(receipt.unallocated, left.checked_sub(out).unwrap());
            assert!(!receipt.unallocated.is_negative() && !receipt.paid_out.is_negative());
            assert_eq!(paid, sum(standing.lines.iter().map(|line| line.amount)));
            assert_eq!(out, sum(standing.outflows.iter().map(|line| line.amount)));
        }
        let mut accounts: BTreeMap<&str, Decimal> = BTreeMap::new();
        for entry in &self.rows.entries {
            assert!(entry.amount.is_positive());
            *accounts.entry(&entry.debit).or_default() += entry.amount.amount();
            *accounts.entry(&entry.credit).or_default() -= entry.amount.amount();
        }
        let of = |name: &str| accounts.get(name).copied().unwrap_or_default();
        let open = sum(self.books.items.values().map(|item| item.open));
        assert_eq!(of(chart::DEBTORS), open.amount());
        let cash = sum(self.receipts.iter().map(|(receipt, _)| receipt.unallocated));
        assert_eq!(of(chart::UNALLOCATED), -cash.amount());
        assert_eq!(of(chart::RETURN_SHORTFALLS), self.shortfalls.amount());
    }

    fn open(&self, n: u128) -> Money {
        self.books.items[&document(n)].open
    }
}

proptest! {
    #[test]
    fn no_sequence_of_moves_and_returns_loses_or_makes_a_penny(
        items in prop::collection::vec(prop_oneof![4 => 1_i64..5_000, 1 => -3_000_i64..-1], 1..6),
        receipts in prop::collection::vec(1_i64..8_000, 1..4),
        steps in prop::collection::vec((0_u8..18, 0_usize..4, 0_usize..6, 1_i64..6_000), 0..50),
    ) {
        let mut world = World::new(&items, &receipts);
        world.check();
        for (on, step) in (5..).zip(steps) {
            world.act(step, on);
            world.check();
        }
    }

    /// The payment that a return names is found among others, whatever order
    /// they are looked at in.
    #[test]
    fn whose_return_it_is_does_not_depend_on_the_order(
        order in Just((0_u128..6).collect::<Vec<_>>()).prop_shuffle(),
        which in 0_u128..6,
    ) {
        let mut debit = debit(1, 700, "dd_return");
        debit.narrative = format!("unpaid bankref{which}");
        let receipts: Vec<Receipt> = order.iter().map(|n| receipt(*n, 700)).collect();
        let nothing = Standing::default();
        let candidates = receipts.iter().map(|receipt| (receipt, &nothing));
        let verdict = returns::judge(&debit, candidates, true).unwrap();
        let wanted = ReceiptId::from(Uuid::from_u128(500 + which));
        prop_assert!(matches!(verdict, Verdict::Return(id, _) if id == wanted));
    }
}

fn judged(debit: &Debit, receipts: &[Receipt]) -> Verdict {
    let nothing = Standing::default();
    returns::judge(debit, receipts.iter().map(|r| (r, &nothing)), false).unwrap()
}

fn is_open_with(verdict: &Verdict, candidates: usize) -> bool {
    matches!(verdict, Verdict::Open(found, _) if found.len() == candidates)
}

#[test]
fn two_payments_that_fit_are_left_to_a_person_and_one_is_taken() {
    let mut debit = debit(1, 700, "dd_return");
    debit.counterparty_name = Some("ACME LTD".into());
    let two = [receipt(1, 700), receipt(2, 700)];
    assert!(is_open_with(&judged(&debit, &two), 2));
    assert!(matches!(judged(&debit, &two[..1]), Verdict::Return(..)));
    // Another amount, another bank account, too late: none of them.
    assert!(is_open_with(&judged(&debit, &[receipt(1, 701)]), 0));
    let mut elsewhere = receipt(1, 700);
    elsewhere.bank_account = "GB:200000-00000000".into();
    assert!(is_open_with(&judged(&debit, &[elsewhere]), 0));
    debit.booked_on = day(40);
    assert!(is_open_with(&judged(&debit, &two[..1]), 0));
    // E35: an indemnity claim has no limit of time.
    debit.scheme = Some("ddic".into());
    debit.booked_on = day(400);
    assert!(matches!(judged(&debit, &two[..1]), Verdict::Return(..)));
}

#[test]
fn an_end_to_end_id_decides_and_another_one_excludes() {
    let mut debit = debit(1, 700, "dd_return");
    debit.end_to_end_id = Some("E2E-2".into());
    debit.counterparty_name = Some("Acme Ltd".into());
    let mut two = [receipt(1, 700), receipt(2, 700)];
    two[0].detail.end_to_end_id = Some("E2E-1".into());
    two[1].detail.end_to_end_id = Some("E2E-2".into());
    let wanted = two[1].id;
    assert!(matches!(judged(&debit, &two), Verdict::Return(id, _) if id == wanted));
    assert!(is_open_with(&judged(&debit, &two[..1]), 0));
}

#[test]
fn a_payment_of_our_own_is_no_return_just_because_the_amount_is_the_same() {
    let mut debit = debit(1, 700, "fps");
    debit.counterparty_name = Some("Acme Ltd".into());
    let one = [receipt(1, 700)];
    assert!(is_open_with(&judged(&debit, &one), 1));
    // With a bank's reason it is one.
    debit.code = Some("AC04".into());
    assert!(matches!(judged(&debit, &one), Verdict::Return(..)));
    debit.code = None;
    debit.scheme = Some("charge".into());
    assert!(matches!(judged(&debit, &[]), Verdict::Ours(_)));
}

/// E21, E33: twelve invoices, one with a discount, two part-credited since.
#[test]
fn a_return_over_twelve_invoices_reopens_them_as_they_stand_now() {
    let mut world = World::new(&[100; 12], &[1190]);
    let (mut paid, mut standing) = world.receipts.remove(0);
    let (books, rows) = (&mut world.books, &mut world.rows);
    let what = discount(document(0), pence(10), paid.id);
    let made = ledger::adjust(books, rows, &what, &because(4)).unwrap();
    standing.adjustments.extend(made);
    let lines = (0..12).map(|n| Line {
        document: document(n),
        amount: pence(if n == 0 { 90 } else { 100 }),
    });
    let lines: Vec<Line> = lines.collect();
    standing.lines = ledger::post(&mut paid, &lines, books, rows, &because(4)).unwrap();
    assert!(paid.unallocated.is_zero());
    // What was credited of two of them stays so.
    for (n, credit) in [(10, 30), (11, 31)] {
        let line = standing.lines.remove(10);
        assert_eq!(line.document_id, document(n));
        ledger::undo(&mut paid, &line, books, rows, &because(5)).unwrap();
        let offset = Adjust {
            kind: AdjustmentKind::Offset,
            receipt: None,
            ..discount(document(n), pence(credit), paid.id)
        };
        ledger::adjust(books, rows, &offset, &because(5)).unwrap();
        let rest = Line {
            document: document(n),
            amount: pence(100 - credit),
        };
        let posted = ledger::post(&mut paid, &[rest], books, rows, &because(5)).unwrap();
        standing.lines.extend(posted);
    }
    let what = TakeBack {
        code: Some("0".into()),
        ..TakeBack::by(&debit(1, 1190, "dd_return"))
    };
    let (moves, returned) =
        returns::take_back(&mut paid, &standing, &what, books, rows, &because(6)).unwrap();
    assert_eq!(moves.lines.len(), 12);
    assert_eq!(moves.adjustments.len(), 1, "the discount is revoked");
    assert_eq!(paid.paid_out, pence(1190));
    assert_eq!(world.open(0), pence(100));
    assert_eq!((world.open(10), world.open(11)), (pence(70), pence(69)));
    assert_eq!(returned.reopened.len(), 12);
    assert_eq!(returned.reopened[0].amount, pence(100));
    assert!(returned.may_present_again);
    // E36: within a month of the payment.
    let until = day(3).checked_add_months(chrono::Months::new(1));
    assert_eq!(returned.present_again_until, until);
    assert_eq!(returned.paid_on, day(3));
}

/// E34: it was refunded before it came back: what is missing is owed to us.
#[test]
fn what_was_refunded_before_it_came_back_is_a_shortfall() {
    let mut world = World::new(&[100], &[100]);
    world.act((9, 0, 0, 30), 5);
    world.act((0, 0, 0, 70), 5);
    world.act((6, 0, 0, 0), 6);
    world.check();
    assert_eq!(world.shortfalls, pence(30));
    assert_eq!(world.receipts[0].0.paid_out, pence(100));
    world.act((8, 0, 0, 0), 7);
    world.check();
    assert_eq!(world.shortfalls, pence(0));
    assert_eq!(world.receipts[0].0.unallocated, pence(70));
}

/// E41: a part takes what pays nothing first, then only as much as needed of
/// the newest line.
#[test]
fn a_part_that_comes_back_takes_the_least_from_the_newest_line() {
    let mut world = World::new(&[100, 100], &[230]);
    world.act((0, 0, 0, 100), 4);
    world.act((0, 0, 1, 100), 5);
    world.act((7, 0, 0, 50), 6);
    world.check();
    assert_eq!((world.open(0), world.open(1)), (pence(0), pence(20)));
    assert_eq!(world.receipts[0].0.unallocated, pence(0));
    assert_eq!(world.receipts[0].0.paid_out, pence(50));
}

/// E47: every row of a return counts from one day, and none before the line that
/// it undoes.
#[test]
fn a_return_counts_from_one_day() {
    let mut world = World::new(&[100], &[100]);
    world.act((0, 0, 0, 100), 9);
    let (mut paid, standing) = world.receipts.remove(0);
    let what = TakeBack::by(&debit(1, 100, "dd_return"));
    let (books, rows) = (&mut world.books, &mut world.rows);
    let (moves, returned) =
        returns::take_back(&mut paid, &standing, &what, books, rows, &because(6)).unwrap();
    assert_eq!(moves.lines[0].effective_on, day(9));
    assert_eq!(moves.outflows[0].effective_on, day(9));
    assert_eq!(returned.returned_on, day(9));
}

#[test]
fn money_that_is_held_is_spoken_for() {
    let mut held = receipt(1, 100);
    assert!(!held.is_spoken_for());
    held.detail.held = Some(Held::PossibleDuplicate(held.id));
    assert!(held.is_spoken_for());
}

/// E96: the tenant paid two months of three; an award of housing benefit pays 60 of
/// the first one afterwards. The months open again and are paid anew, the tenant's
/// own money moves on to what is still owed, and the account owes less by the award.
#[test]
fn e96_an_award_for_months_that_were_paid_frees_the_tenants_own_money() {
    let mut world = World::new(&[100, 100, 100], &[200, 60]);
    let (mut award, _) = world.receipts.pop().unwrap();
    let (mut rent, _) = world.receipts.pop().unwrap();
    let (books, rows) = (&mut world.books, &mut world.rows);
    let lines = |amounts: [i64; 3]| -> Vec<Line> {
        (0..)
            .zip(amounts)
            .filter(|(_, amount)| *amount > 0)
            .map(|(n, amount)| Line {
                document: document(n),
                amount: pence(amount),
            })
            .collect()
    };
    let paid = ledger::post(&mut rent, &lines([100, 100, 0]), books, rows, &because(4)).unwrap();
    ledger::undo(&mut rent, &paid[0], books, rows, &because(6)).unwrap();
    assert_eq!(books.items[&document(0)].open, pence(100));
    ledger::post(&mut award, &lines([60, 0, 0]), books, rows, &because(6)).unwrap();
    ledger::post(&mut rent, &lines([40, 0, 60]), books, rows, &because(6)).unwrap();
    assert!(award.unallocated.is_zero() && rent.unallocated.is_zero());
    let open = [0, 1, 2].map(|n| books.items[&document(n)].open);
    assert_eq!(open, [pence(0), pence(0), pence(40)]);
}

/// E98: what one department owes is not set off against what is owed to another;
/// one payment may pay both.
#[test]
fn e98_departments_do_not_set_off_and_one_payment_pays_two_services() {
    let mut world = World::new(&[100], &[150]);
    let elsewhere = AccountId::from(Uuid::from_u128(77));
    for (n, amount) in [(1, -40), (2, 50)] {
        world.books.add(Item {
            account_id: elsewhere,
            account_ref: "RENTS01".into(),
            ..item(n, amount)
        });
    }
    let (books, rows) = (&mut world.books, &mut world.rows);
    let line = |n, amount| OffsetLine {
        document_id: document(n),
        amount: pence(amount),
    };
    let across = [line(0, 40), line(1, -40)];
    for of in [account(), elsewhere] {
        let refused = after::offset(of, &across, Uuid::nil(), books, rows, &because(4));
        assert_eq!(
            kernel::Classified::code(&refused.unwrap_err()),
            "allocation.other_account"
        );
    }
    assert_eq!(books.items[&document(0)].open, pence(100));
    assert_eq!(books.items[&document(1)].open, pence(-40));
    let (paid, _) = &mut world.receipts[0];
    let both = [(0, 100), (2, 50)].map(|(n, amount)| AllocateLine {
        document_id: document(n),
        amount: pence(amount),
    });
    manual::allocate(paid, &both, books, rows, &because(4)).unwrap();
    assert!(paid.unallocated.is_zero());
    assert!(books.items[&document(2)].open.is_zero());
}
