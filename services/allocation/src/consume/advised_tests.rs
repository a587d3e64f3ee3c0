//! One return, told by a report and by the bank: whatever comes first, in
//! whatever batches and however often, the books are the same.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    Prefix,
    allocation::{AllocationLine, Decision, OutflowLine, Rule},
    ingestion::{ReturnAdvised, ReturnReport},
};
use kernel::{
    AccountId, BacsRecordId, Currency, DebitId, DocumentId, EntryId, ImportId, Money, ReceiptId,
};
use messaging::{Consumer as _, Incoming, Meta};
use proptest::prelude::*;
use uuid::Uuid;

use super::{Ledger, Message, State, debits::Returns};
use crate::domain::{
    Books, Item, Receipt, evidence,
    ledger::{Detail, Entry},
    reference_key,
    returns::{Debit, Standing},
};

const BANK: &str = "GB:200000-55779911";

fn pence(amount: i64) -> Money {
    Money::try_new(rust_decimal::Decimal::new(amount, 2), Currency::GBP).unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn now() -> DateTime<Utc> {
    "2026-01-22T08:00:00Z".parse().unwrap()
}

/// What the tables hold.
#[derive(Default)]
struct Tables {
    items: BTreeMap<DocumentId, Item>,
    receipts: BTreeMap<ReceiptId, Receipt>,
    lines: Vec<(ReceiptId, AllocationLine)>,
    outflows: Vec<(ReceiptId, OutflowLine)>,
    debits: BTreeMap<DebitId, Debit>,
    entries: BTreeMap<EntryId, Entry>,
}

/// Collections of three payers, booked on Tuesday 20 January 2026.
fn payer(n: usize, amount: i64) -> (Item, Receipt) {
    let number = format!("INV-10{n}");
    let id = Uuid::from_u128(100 + n as u128);
    let item = Item {
        id: DocumentId::from(id),
        kind: contracts::inbound::DocumentKind::Invoice,
        account_id: AccountId::from(id),
        account_ref: format!("PAYER0{n}"),
        issued_on: day("2026-01-05"),
        due_on: day("2026-01-31"),
        amount: pence(amount),
        open: pence(amount),
        ref_key: reference_key(&number),
        payment_key: None,
        tail_key: evidence::tail_key(&number),
        net: None,
        vat: None,
        document_ref: number.clone(),
    };
    let receipt = Receipt {
        id: ReceiptId::from(id),
        version: 1,
        bank_account: BANK.into(),
        designation: contracts::ingestion::Designation::Business,
        bank_reference: Some(format!("BANKREF{n}")),
        booked_on: day("2026-01-20"),
        value_on: day("2026-01-20"),
        amount: pence(amount),
        unallocated: pence(amount),
        paid_out: pence(0),
        payer_name: None,
        payer_account: None,
        tokens: evidence::keys([number.as_str()]),
        narrative: number,
        advice: Vec::new(),
        detail: Detail {
            scheme: Some("dd_collection".into()),
            mandate_reference: Some(format!("PAYER0{n}-DD")),
            ..Detail::default()
        },
        account: None,
        account_ref: None,
        decision: Decision::because(Rule::None, Vec::new()),
        suggestions: Vec::new(),
        recorded_at: now(),
    };
    (item, receipt)
}

fn advised(n: usize, amount: i64, total: i64) -> Debit {
    let fact = ReturnAdvised {
        record_id: BacsRecordId::from(Uuid::from_u128(300 + n as u128)),
        report: ReturnReport::Arudd,
        import_id: ImportId::from(Uuid::from_u128(1)),
        service_user_number: "246810".into(),
        bank_account: Some(BANK.into()),
        reference: format!("PAYER0{n}-DD"),
        code: "0".into(),
        amount: pence(amount),
        original_on: Some(day("2026-01-19")),
        reported_on: day("2026-01-22"),
        payer_name: None,
        payer_account: None,
        transaction_code: None,
        claim: None,
        withdrawn: false,
        expected_on: None,
        items: 2,
        total: pence(total),
        recorded_at: now(),
        actor: "user:pat".into(),
    };
    Debit::of_item(&fact, now()).unwrap()
}

fn line(n: usize, amount: i64, mandate: Option<String>) -> Debit {
    Debit {
        id: DebitId::from(Uuid::from_u128(200 + n as u128)),
        item: None,
        code: None,
        bank_reference: Some(format!("DEBIT{n}")),
        narrative: "UNPAID DIRECT DEBITS".into(),
        mandate_reference: mandate,
        ..advised(n, amount, amount)
    }
}

impl Tables {
    /// What `Ledger::load` looks up: here rather more.
    fn load(&self, batch: &[Incoming<Message>]) -> State {
        let mut books = Books::default();
        for item in self.items.values() {
            books.add(item.clone());
        }
        let arriving: Vec<Money> = batch
            .iter()
            .filter_map(|incoming| match &incoming.message {
                Message::Receipt(receipt) => Some(receipt.amount),
                _ => None,
            })
            .collect();
        let unmatched = |debit: &&Debit| {
            debit.state == contracts::allocation::DebitState::Unmatched
                && arriving.contains(&debit.amount)
        };
        let returns = Returns {
            known: self.debits.keys().copied().collect(),
            receipts: self
                .receipts
                .values()
                .map(|receipt| (receipt.id, (receipt.clone(), self.standing(receipt.id))))
                .collect(),
            waiting: self.debits.values().filter(unmatched).cloned().collect(),
            open: self
                .debits
                .iter()
                .filter(|(_, debit)| {
                    use contracts::allocation::DebitState::{Expected, Returned, Unmatched};
                    (debit.pair.is_none() || debit.item.is_some())
                        && matches!(debit.state, Unmatched | Returned | Expected)
                })
                .map(|(id, debit)| (*id, debit.clone()))
                .collect(),
            ..Returns::default()
        };
        State {
            books,
            known_documents: HashSet::new(),
            known_receipts: self.receipts.keys().copied().collect(),
            known_remittances: HashSet::new(),
            waiting: Vec::new(),
            unadvised: Vec::new(),
            matters: HashMap::new(),
            returns,
            payments: Vec::new(),
            shadows: Vec::new(),
            refunded: HashSet::new(),
        }
    }

    fn standing(&self, receipt: ReceiptId) -> Standing {
        let lines = || self.lines.iter().filter(|(of, _)| *of == receipt);
        let undone: HashSet<_> = lines().filter_map(|(_, line)| line.contra_of).collect();
        let stands = |line: &&AllocationLine| {
            line.contra_of.is_none() && !undone.contains(&line.allocation_id)
        };
        let outflows = self.outflows.iter().filter(|(of, _)| *of == receipt);
        Standing {
            lines: lines()
                .map(|(_, line)| line)
                .filter(stands)
                .cloned()
                .collect(),
            adjustments: Vec::new(),
            outflows: outflows.map(|(_, line)| line.clone()).collect(),
        }
    }

    fn take(&mut self, messages: Vec<Message>) {
        let batch: Vec<Incoming<Message>> = messages
            .into_iter()
            .map(|message| Incoming {
                meta: Meta::of_command(Uuid::now_v7(), now(), None),
                message,
            })
            .collect();
        let state = self.load(&batch);
        let ledger = Ledger::new(Prefix::default());
        let changes = ledger.decide(state, &batch, now()).unwrap().changes.changes;
        for receipt in changes
            .new_receipts
            .into_iter()
            .chain(changes.moved_receipts)
        {
            self.receipts.insert(receipt.id, receipt);
        }
        let postings = changes.postings.into_iter();
        self.lines
            .extend(postings.map(|row| (row.receipt, row.line)));
        let outflows = changes.outflows.into_iter();
        self.outflows
            .extend(outflows.map(|row| (row.receipt, row.line)));
        for (id, open) in changes.open {
            self.items.get_mut(&id).unwrap().open = open;
        }
        for noted in changes.debits {
            let before = self.debits.insert(noted.debit.id, noted.debit.clone());
            let version = before.map_or(0, |debit| debit.version);
            assert!(
                noted.debit.version > version,
                "told with a version of its own"
            );
        }
        for entry in changes.entries {
            let before = self.entries.insert(entry.id, entry);
            assert!(before.is_none(), "an entry is made once");
        }
    }

    fn balance(&self, of: &str) -> Money {
        let mut sum = pence(0);
        for entry in self.entries.values() {
            if entry.debit.starts_with(of) {
                sum = sum.checked_add(entry.amount).unwrap();
            }
            if entry.credit.starts_with(of) {
                sum = sum.checked_sub(entry.amount).unwrap();
            }
        }
        sum
    }
}

/// A collection that the bank booked as one receipt gives up the lines that the
/// item's reference names, when they come to its amount; else a person decides.
#[test]
fn e32_a_receipt_for_many_gives_up_only_the_lines_that_are_named() {
    let tables = |amount: i64, reference: &str| {
        let mut tables = Tables::default();
        let (_, mut bulk) = payer(9, 6_000);
        bulk.detail.mandate_reference = None;
        for n in 1..4 {
            let (item, _) = payer(n, 2_000);
            let line = AllocationLine {
                allocation_id: kernel::AllocationId::generate(),
                document_id: item.id,
                document_ref: item.document_ref.clone(),
                account_id: item.account_id,
                amount: item.amount,
                effective_on: bulk.booked_on,
                contra_of: None,
            };
            tables.lines.push((bulk.id, line));
            let open = pence(0);
            tables.items.insert(item.id, Item { open, ..item });
        }
        bulk.unallocated = pence(0);
        tables.receipts.insert(bulk.id, bulk);
        let item = Debit {
            narrative: reference.into(),
            mandate_reference: Some(reference.into()),
            ..advised(2, amount, amount)
        };
        tables.take(vec![Message::Debit(Box::new(item))]);
        tables
    };
    let open =
        |tables: &Tables| -> Vec<Money> { tables.items.values().map(|item| item.open).collect() };
    let named = tables(2_000, "PAYER02");
    assert_eq!(open(&named), [pence(0), pence(2_000), pence(0)]);
    assert_eq!(named.balance("returns_in_transit:"), pence(-2_000));
    let by_document = tables(2_000, "INV-103");
    assert_eq!(open(&by_document), [pence(0), pence(0), pence(2_000)]);
    for (amount, reference) in [(2_000, "PAYER99"), (1_500, "PAYER02")] {
        let waits = tables(amount, reference);
        assert_eq!(open(&waits), [pence(0); 3], "{reference}");
        let item = waits.debits.values().next().unwrap();
        assert_eq!(item.state, contracts::allocation::DebitState::Unmatched);
        assert_eq!(item.candidates.len(), 1, "for a person");
    }
}

#[derive(Debug, Clone, Copy)]
enum Told {
    Receipt(usize),
    Item(usize),
    Line(usize),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    /// E31, E32, E100: two of three collections come back, as one bank line for
    /// both or one for each, with or without the instruction's reference.
    #[test]
    fn e32_any_order_of_payment_report_and_bank_line_gives_the_same_books(
        amounts in prop::array::uniform3(1..4_i64),
        bulk in any::<bool>(),
        marked in any::<[bool; 2]>(),
        order in Just(vec![
            Told::Receipt(1), Told::Receipt(2), Told::Receipt(3), Told::Item(1), Told::Item(2),
            Told::Line(1), Told::Line(2),
        ]).prop_shuffle(),
        again in prop::collection::vec(0..7_usize, 0..4),
        cuts in prop::array::uniform11(any::<bool>()),
    ) {
        let total = amounts[0] + amounts[1];
        let mut tables = Tables::default();
        let mut receipts = HashMap::new();
        for (n, amount) in (1..).zip(amounts) {
            let (item, receipt) = payer(n, amount * 1_000);
            tables.items.insert(item.id, item);
            receipts.insert(n, receipt);
        }
        let message = |told: Told| -> Option<Message> {
            Some(match told {
                Told::Receipt(n) => Message::Receipt(Box::new(receipts[&n].clone())),
                Told::Item(n) => Message::Debit(Box::new(advised(n, amounts[n - 1] * 1_000, total * 1_000))),
                Told::Line(1) if bulk => Message::Debit(Box::new(line(9, total * 1_000, None))),
                Told::Line(_) if bulk => return None,
                Told::Line(n) => {
                    let mandate = marked[n - 1].then(|| format!("PAYER0{n}-DD"));
                    Message::Debit(Box::new(line(n, amounts[n - 1] * 1_000, mandate)))
                }
            })
        };
        let repeated = again.iter().map(|at| order[*at]);
        let mut batch = Vec::new();
        for (told, cut) in order.iter().copied().chain(repeated).zip(cuts) {
            batch.extend(message(told));
            if cut {
                tables.take(std::mem::take(&mut batch));
            }
        }
        tables.take(batch);

        prop_assert_eq!(tables.balance("returns_in_transit:"), pence(0));
        prop_assert_eq!(tables.balance("bank:"), pence(amounts[2] * 1_000));
        prop_assert_eq!(tables.balance("unallocated_cash"), pence(0));
        for (n, amount) in (1..).zip(amounts) {
            let back = n < 3;
            let id = Uuid::from_u128(100 + n as u128);
            let item = &tables.items[&DocumentId::from(id)];
            prop_assert_eq!(item.open, pence(if back { amount * 1_000 } else { 0 }), "INV-10{}", n);
            let receipt = &tables.receipts[&ReceiptId::from(id)];
            prop_assert_eq!(receipt.paid_out, if back { receipt.amount } else { pence(0) });
        }
        for debit in tables.debits.values() {
            prop_assert_ne!(debit.state, contracts::allocation::DebitState::Unmatched);
        }
    }
}
