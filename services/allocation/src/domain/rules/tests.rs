//! What the rules make of the ladder's verdicts, and what must hold for any
//! amounts.

use std::collections::BTreeSet;

use chrono::{DateTime, Days, NaiveDate};
use contracts::{
    allocation::{AdjustmentKind, Decision, Rule},
    inbound::DocumentKind,
    rules::{
        Cap, Component, ComponentKind, DiscountBase, DisputedItems, EarlySettlement, Limit,
        Remainder, RemainderAction, RuleScope, RuleSet, Rung, RungMode, Tolerance, When,
    },
};
use kernel::{AccountId, Currency, Division, DocumentId, Money, ReceiptId};
use proptest::prelude::*;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{difference::deadline, *};
use crate::domain::{
    Advised, evidence,
    ladder::{self, Verdict},
    ledger::{Account, Books, Detail, Item, Receipt},
    reference_key,
};

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

fn pence(pence: i64) -> Money {
    Money::try_new(Decimal::new(pence, 2), Currency::GBP).unwrap()
}

fn day(month: u32, d: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, month, d).unwrap()
}

fn acme() -> AccountId {
    AccountId::from(Uuid::from_u128(1))
}

fn item(number: &str, open: &str) -> Item {
    let amount = gbp(open);
    Item {
        id: DocumentId::generate(),
        document_ref: number.into(),
        kind: if amount.is_negative() {
            DocumentKind::CreditNote
        } else {
            DocumentKind::Invoice
        },
        account_id: acme(),
        account_ref: "ACME01".into(),
        issued_on: day(11, 2),
        due_on: day(12, 2),
        amount,
        open: amount,
        ref_key: reference_key(number),
        payment_key: None,
        tail_key: evidence::tail_key(number),
        net: None,
        vat: None,
    }
}

fn paid(amount: &str, words: &str) -> Receipt {
    Receipt {
        id: ReceiptId::generate(),
        version: 1,
        bank_account: "GB:200000-55779911".into(),
        designation: contracts::ingestion::Designation::Business,
        bank_reference: None,
        booked_on: day(11, 20),
        value_on: day(11, 20),
        amount: gbp(amount),
        unallocated: gbp(amount),
        paid_out: gbp("0.00"),
        payer_name: None,
        payer_account: None,
        narrative: words.into(),
        tokens: evidence::keys([words]),
        advice: vec![],
        detail: Detail::default(),
        account: None,
        account_ref: None,
        decision: Decision::because(Rule::None, Vec::new()),
        suggestions: vec![],
        recorded_at: DateTime::UNIX_EPOCH,
    }
}

fn row(when: When, action: RemainderAction) -> Remainder {
    Remainder {
        when,
        percent: None,
        amounts: vec![],
        action,
        review: false,
    }
}

/// 1 % or £5, £12 in 90 days, both ways.
fn tolerant() -> RuleSet {
    let limit = Limit {
        percent: "1".parse().unwrap(),
        amounts: vec![gbp("5.00")],
    };
    RuleSet {
        name: "A little".into(),
        tolerance: Some(Tolerance {
            under: Some(limit.clone()),
            over: Some(limit),
            cap: Cap {
                days: 90,
                amounts: vec![gbp("12.00")],
            },
        }),
        remainders: vec![
            row(When::Under, RemainderAction::WriteOff),
            row(When::Over, RemainderAction::WriteOff),
        ],
        ..shipped().unwrap()
    }
}

fn books(rules: RuleSet, items: impl IntoIterator<Item = Item>) -> Books {
    assert_eq!(problems(&rules), vec![]);
    let mut books = Books::default();
    books.rules = Rulebook::new([Live { version: 7, rules }]);
    for item in items {
        books.add(item);
    }
    books
}

fn decide(receipt: &Receipt, books: &Books) -> Verdict {
    ladder::decide(receipt, books).unwrap()
}

/// A document number and an amount.
type Pair = (String, String);

/// The lines, and what is written off.
fn said(verdict: &Verdict, books: &Books) -> (Vec<Pair>, Vec<Pair>) {
    let name = |id: &DocumentId| books.items[id].document_ref.clone();
    let lines = verdict.lines.iter();
    let settled = verdict.settled.iter();
    (
        lines
            .map(|l| (name(&l.document), l.amount.amount().to_string()))
            .collect(),
        settled
            .map(|s| (name(&s.document), s.amount.amount().to_string()))
            .collect(),
    )
}

fn pair(number: &str, amount: &str) -> Pair {
    (number.into(), amount.into())
}

fn evidence_of(verdict: &Verdict) -> String {
    let details: Vec<&str> = verdict
        .decision
        .evidence
        .iter()
        .map(|e| e.detail.as_str())
        .collect();
    details.join(" | ")
}

#[test]
fn what_is_shipped_is_valid_and_lists_every_rung() {
    let rules = shipped().unwrap();
    assert_eq!(problems(&rules), vec![]);
    let rungs: Vec<Rule> = rules.rungs.iter().map(|rung| rung.rule).collect();
    assert_eq!(rungs, LADDER);
    assert!(rules.rungs.iter().all(|r| r.mode == RungMode::Automatic));
    assert!(rules.tolerance.is_none() && rules.remainders.is_empty());
}

/// The first row of the table is the file: change both.
#[test]
fn the_migration_inserts_what_is_shipped() {
    let migration = include_str!("../../../migrations/0004_rules.sql");
    let json = serde_json::to_string(&shipped().unwrap()).unwrap();
    assert!(migration.contains(&json), "the migration should say {json}");
}

#[test]
fn the_example_is_valid_and_has_everything() {
    let rules: RuleSet = toml::from_str(include_str!("example.toml")).unwrap();
    assert_eq!(problems(&rules), vec![]);
    assert!(rules.tolerance.is_some() && rules.discount.is_some());
    assert!(!rules.bank_charges.is_empty() && !rules.components.is_empty());
    let again: RuleSet = toml::from_str(&toml::to_string_pretty(&rules).unwrap()).unwrap();
    assert_eq!(again, rules, "what is shown can be drafted again");
}

/// Without rules of one's own a short payment is a person's.
#[test]
fn as_shipped_nothing_is_written_off() {
    let books = books(shipped().unwrap(), [item("INV-10001", "100.00")]);
    let verdict = decide(&paid("99.99", "INV-10001"), &books);
    assert!(verdict.lines.is_empty() && verdict.settled.is_empty());
    assert_eq!(verdict.suggestions.len(), 1);
}

#[test]
fn a_short_payment_within_tolerance_clears_the_invoice() {
    let books = books(tolerant(), [item("INV-10001", "100.00")]);
    let verdict = decide(&paid("99.20", "INV-10001"), &books);
    assert_eq!(
        said(&verdict, &books),
        (
            vec![pair("INV-10001", "99.20")],
            vec![pair("INV-10001", "0.80")]
        )
    );
    assert_eq!(verdict.decision.rule, Rule::DocumentNumber);
    assert_eq!(verdict.settled[0].kind, AdjustmentKind::SmallBalance);
    assert!(
        evidence_of(&verdict).contains("rule set 7 (A little), row 1: £0.80 less than is open"),
        "{}",
        evidence_of(&verdict)
    );
}

/// E9: 1 % of £10,000 is £100; the amount is smaller. And 1 % of £100 is £1,
/// which is smaller than £5.
#[test]
fn e9_the_smaller_of_percent_and_amount_holds() {
    let books = books(
        tolerant(),
        [item("INV-10001", "10000.00"), item("INV-10002", "100.00")],
    );
    let posts = |amount: &str, words: &str| !decide(&paid(amount, words), &books).lines.is_empty();
    assert!(posts("9995.00", "INV-10001"));
    assert!(!posts("9994.99", "INV-10001"));
    assert!(posts("99.00", "INV-10002"));
    assert!(!posts("98.99", "INV-10002"));
}

/// E7: a small overpayment stays, a large one does not; and small ones add up.
#[test]
fn e7_small_overpayments_are_kept_until_they_add_up() {
    let mut books = books(tolerant(), [item("INV-10001", "1000.00")]);
    let verdict = decide(&paid("1004.00", "INV-10001"), &books);
    assert_eq!(
        said(&verdict, &books),
        (
            vec![pair("INV-10001", "1004.00")],
            vec![pair("INV-10001", "-4.00")]
        )
    );
    assert!(
        decide(&paid("1005.01", "INV-10001"), &books)
            .lines
            .is_empty()
    );
    for _ in 0..3 {
        let verdict = decide(&paid("1004.00", "INV-10001"), &books);
        for settled in &verdict.settled {
            books.rules.use_up(acme(), day(11, 20), settled);
        }
    }
    let verdict = decide(&paid("1000.01", "INV-10001"), &books);
    assert!(verdict.lines.is_empty(), "£12.00 are used up");
    // Less than is open has a cap of its own.
    assert!(
        !decide(&paid("999.00", "INV-10001"), &books)
            .lines
            .is_empty()
    );
}

/// E8: a shortfall every month is a discount that nobody gave.
#[test]
fn e8_monthly_shortfalls_reach_the_cap_and_then_a_person() {
    let mut books = books(tolerant(), [item("INV-10001", "1000.00")]);
    for month in [8, 9, 10, 11] {
        let mut receipt = paid("995.50", "INV-10001");
        receipt.booked_on = day(month, 20);
        let verdict = decide(&receipt, &books);
        // £4.50 four times is more than £12 in 90 days: the third is too much.
        // The fourth is more than 90 days after the first, and fits again.
        assert_eq!(!verdict.lines.is_empty(), month != 10, "month {month}");
        if month == 10 {
            let why = evidence_of(&verdict);
            assert!(why.contains("more than the cap of £12.00"), "{why}");
        }
        for settled in &verdict.settled {
            books.rules.use_up(acme(), receipt.booked_on, settled);
        }
    }
}

/// E2: another document of just the cash, or a credit note of just the
/// difference, explains it better than any tolerance.
#[test]
fn e2_what_explains_the_difference_is_not_written_off() {
    let twin = books(
        tolerant(),
        [item("INV-10001", "100.00"), item("INV-20002", "99.50")],
    );
    assert!(decide(&paid("99.50", "INV-10001"), &twin).lines.is_empty());
    let credit = books(
        tolerant(),
        [item("INV-10001", "100.00"), item("CN-30003", "-0.50")],
    );
    assert!(
        decide(&paid("99.50", "INV-10001"), &credit)
            .lines
            .is_empty()
    );
}

/// A payer who is somebody else contradicts: a person looks.
#[test]
fn another_payer_forbids_a_tolerance() {
    let mut books = books(tolerant(), [item("INV-10001", "100.00")]);
    books.payers.insert(
        "SOMEBODY ELSE LTD".into(),
        vec![AccountId::from(Uuid::from_u128(2))],
    );
    books.payers.insert(
        "SOMEBODYELSELTD".into(),
        vec![AccountId::from(Uuid::from_u128(2))],
    );
    let mut receipt = paid("99.50", "INV-10001");
    receipt.payer_name = Some("Somebody Else Ltd".into());
    assert!(decide(&receipt, &books).lines.is_empty());
}

/// E10: a bank on the way kept something, up to a limit per currency.
#[test]
fn e10_bank_charges_up_to_the_limit_of_the_currency() {
    let rules = RuleSet {
        bank_charges: vec![gbp("15.00")],
        remainders: vec![row(When::Under, RemainderAction::BankCharge)],
        ..shipped().unwrap()
    };
    let mut dollars = item("INV-10002", "500.00");
    dollars.amount = Money::parse("500.00", Currency::parse("USD").unwrap()).unwrap();
    dollars.open = dollars.amount;
    let books = books(rules, [item("INV-10001", "500.00"), dollars.clone()]);
    let verdict = decide(&paid("485.00", "INV-10001"), &books);
    assert_eq!(verdict.settled[0].kind, AdjustmentKind::BankCharge);
    assert_eq!(verdict.settled[0].amount, gbp("15.00"));
    assert!(
        decide(&paid("484.99", "INV-10001"), &books)
            .lines
            .is_empty()
    );
    let mut receipt = paid("485.00", "INV-10002");
    receipt.amount = Money::parse("485.00", dollars.open.currency()).unwrap();
    receipt.unallocated = receipt.amount;
    assert!(decide(&receipt, &books).lines.is_empty(), "no limit in USD");
}

fn early(base: DiscountBase) -> RuleSet {
    RuleSet {
        discount: Some(EarlySettlement {
            percent: "2".parse().unwrap(),
            days: 14,
            grace_days: 2,
            base,
            calendar: Division::EnglandWales,
        }),
        remainders: vec![row(When::Under, RemainderAction::Discount)],
        ..shipped().unwrap()
    }
}

/// E20: the term ends on Good Friday 2026 (3 April), so on Tuesday after Easter;
/// two working days of grace make it Thursday.
#[test]
fn e20_a_discount_over_a_bank_holiday_and_in_grace() {
    let rules = early(DiscountBase::Gross);
    let issued = day(3, 20);
    assert_eq!(
        deadline(rules.discount.as_ref().unwrap(), issued),
        Some(day(4, 9))
    );
    let mut invoice = item("INV-10001", "120.00");
    invoice.issued_on = issued;
    let books = books(rules, [invoice]);
    let on = |booked_on| {
        let mut receipt = paid("117.60", "INV-10001");
        receipt.booked_on = booked_on;
        decide(&receipt, &books)
    };
    let verdict = on(day(4, 9));
    assert_eq!(verdict.settled[0].kind, AdjustmentKind::Discount);
    assert_eq!(verdict.settled[0].amount, gbp("2.40"));
    let late = on(day(4, 10));
    assert!(late.lines.is_empty());
    assert!(evidence_of(&late).contains("had to be paid by 2026-04-09"));
}

/// E20: of the amount without VAT; never of one that is part-paid.
#[test]
fn e20_a_discount_is_of_the_net_and_never_on_a_part_paid_invoice() {
    let mut with_net = item("INV-10001", "120.00");
    with_net.net = Some(gbp("100.00"));
    let mut part_paid = item("INV-10002", "120.00");
    part_paid.net = Some(gbp("100.00"));
    part_paid.open = gbp("60.00");
    let without = item("INV-10003", "120.00");
    let books = books(early(DiscountBase::Net), [with_net, part_paid, without]);
    let mut receipt = paid("118.00", "INV-10001");
    receipt.booked_on = day(11, 10);
    assert_eq!(decide(&receipt, &books).settled[0].amount, gbp("2.00"));
    receipt.unallocated = gbp("117.99");
    assert!(decide(&receipt, &books).lines.is_empty(), "more than 2 %");
    let mut rest = paid("58.80", "INV-10002");
    rest.booked_on = day(11, 10);
    assert!(decide(&rest, &books).lines.is_empty(), "part-paid");
    let mut unknown = paid("118.00", "INV-10003");
    unknown.booked_on = day(11, 10);
    assert!(decide(&unknown, &books).lines.is_empty(), "net not known");
}

/// The payer's list gives each document less its discount.
#[test]
fn a_list_of_net_amounts_takes_each_discount() {
    let books = books(
        early(DiscountBase::Gross),
        [item("INV-10001", "100.00"), item("INV-10002", "50.00")],
    );
    let mut receipt = paid("147.00", "INV-10001 INV-10002");
    receipt.booked_on = day(11, 10);
    receipt.advice = [("INV-10001", "98.00"), ("INV-10002", "49.00")]
        .map(|(number, amount)| Advised {
            key: reference_key(number),
            amount: gbp(amount),
        })
        .into();
    let verdict = decide(&receipt, &books);
    assert_eq!(verdict.decision.rule, Rule::Remittance);
    assert_eq!(
        said(&verdict, &books),
        (
            vec![pair("INV-10001", "98.00"), pair("INV-10002", "49.00")],
            vec![pair("INV-10001", "2.00"), pair("INV-10002", "1.00")]
        )
    );
}

/// E25: costs before principal when the payer does not say; what the payer says
/// wins.
#[test]
fn e25_components_come_in_order_and_the_payers_own_appropriation_wins() {
    let rules = RuleSet {
        components: vec![
            Component {
                component: ComponentKind::Costs,
                kinds: vec![DocumentKind::Disbursement],
            },
            Component {
                component: ComponentKind::Principal,
                kinds: vec![DocumentKind::Invoice],
            },
        ],
        ..shipped().unwrap()
    };
    let mut costs = item("DIS-30001", "40.00");
    costs.kind = DocumentKind::Disbursement;
    costs.due_on = day(12, 30);
    let mut books = books(rules, [item("INV-10001", "100.00"), costs.clone()]);
    books.payers.insert("ACMELTD".into(), vec![acme()]);
    let mut receipt = paid("60.00", "thank you");
    receipt.payer_name = Some("Acme Ltd".into());
    let verdict = decide(&receipt, &books);
    let first = &verdict.suggestions[0].lines;
    assert_eq!(first[0].document, costs.id, "costs first");
    assert_eq!(first[1].amount, gbp("20.00"));
    // Named, and only that: the payer's own appropriation.
    let mut named = item("INV-10009", "60.00");
    named.due_on = day(12, 31);
    books.add(named.clone());
    let verdict = decide(&paid("60.00", "INV-10009"), &books);
    assert_eq!(verdict.lines[0].document, named.id);
}

/// E13: of an amount alone, a disputed document is never taken; by its name it
/// is.
#[test]
fn e13_a_disputed_item_is_paid_only_when_the_payer_names_it() {
    let mut books = books(shipped().unwrap(), [item("INV-10001", "123.45")]);
    let id = *books.items.keys().next().unwrap();
    books.payers.insert("ACMELTD".into(), vec![acme()]);
    let mut receipt = paid("123.45", "thank you");
    receipt.payer_name = Some("Acme Ltd".into());
    receipt.payer_account = Some("GB:123".into());
    books.payers.insert("GB:123".into(), vec![acme()]);
    assert_eq!(decide(&receipt, &books).lines.len(), 1);
    books.disputed.insert(id, gbp("20.00"));
    let verdict = decide(&receipt, &books);
    assert!(verdict.lines.is_empty());
    assert_eq!(verdict.suggestions[0].lines.len(), 1);
    assert_eq!(decide(&paid("123.45", "INV-10001"), &books).lines.len(), 1);
    let rules = RuleSet {
        disputed: DisputedItems::TakeIn,
        ..shipped().unwrap()
    };
    books.rules = Rulebook::new([Live { version: 8, rules }]);
    assert_eq!(decide(&receipt, &books).lines.len(), 1);
}

/// E13: two sets add up; the one without the disputed document comes first, and
/// neither is posted.
#[test]
fn e13_of_two_sets_the_one_without_the_disputed_document_is_offered_first() {
    let mut disputed = item("INV-10001", "60.00");
    disputed.due_on = day(11, 10);
    let other = item("INV-10002", "60.00");
    let rest = item("INV-10003", "40.00");
    let mut books = books(
        shipped().unwrap(),
        [disputed.clone(), other.clone(), rest.clone()],
    );
    books.payers.insert("GB:123".into(), vec![acme()]);
    let mut receipt = paid("100.00", "thank you");
    receipt.payer_account = Some("GB:123".into());
    let has = |verdict: &Verdict, at: usize, id| {
        let lines = &verdict.suggestions[at].lines;
        lines.iter().any(|line| line.document == id)
    };
    let verdict = decide(&receipt, &books);
    assert!(verdict.lines.is_empty());
    assert!(has(&verdict, 0, disputed.id), "the older one comes first");
    books.disputed.insert(disputed.id, gbp("5.00"));
    let verdict = decide(&receipt, &books);
    assert!(verdict.lines.is_empty(), "two sets add up");
    assert!(has(&verdict, 0, other.id) && has(&verdict, 0, rest.id));
    assert!(has(&verdict, 1, disputed.id));
    assert!(
        verdict.suggestions[1]
            .evidence
            .iter()
            .any(|e| e.kind == "disputed" && !e.supports)
    );
    assert_eq!(verdict.decision.score, verdict.suggestions[0].score);
}

fn with_mode(rule: Rule, mode: RungMode) -> RuleSet {
    let mut rules = shipped().unwrap();
    for rung in &mut rules.rungs {
        if rung.rule == rule {
            *rung = Rung { rule, mode };
        }
    }
    rules
}

#[test]
fn a_rung_set_to_suggest_never_posts_and_off_not_even_suggests() {
    let receipt = paid("100.00", "INV-10001");
    let suggest = books(
        with_mode(Rule::DocumentNumber, RungMode::Suggest),
        [item("INV-10001", "100.00")],
    );
    let verdict = decide(&receipt, &suggest);
    assert!(verdict.lines.is_empty());
    assert_eq!(verdict.decision.rule, Rule::None);
    assert_eq!(verdict.suggestions[0].confidence, "high");
    let off = books(
        with_mode(Rule::DocumentNumber, RungMode::Off),
        [item("INV-10001", "100.00")],
    );
    let verdict = decide(&receipt, &off);
    assert!(verdict.lines.is_empty() && verdict.suggestions.is_empty());
    let mut forgotten = shipped().unwrap();
    forgotten.rungs.clear();
    let forgotten = books(forgotten, [item("INV-10001", "100.00")]);
    assert!(decide(&receipt, &forgotten).lines.is_empty());
}

fn in_order_of(rungs: &[(Rule, RungMode)]) -> RuleSet {
    RuleSet {
        rungs: rungs
            .iter()
            .map(|&(rule, mode)| Rung { rule, mode })
            .collect(),
        ..shipped().unwrap()
    }
}

#[test]
fn the_first_rung_in_the_order_of_the_rules_takes_what_several_come_to() {
    use RungMode::{Automatic, Off, Suggest};
    let known = |rungs: &[(Rule, RungMode)]| {
        let mut books = books(
            in_order_of(rungs),
            [item("INV-10001", "613.57"), item("INV-10002", "271.93")],
        );
        books.payers.insert("GB:123".into(), vec![acme()]);
        books
    };
    let named = Receipt {
        payer_account: Some("GB:123".into()),
        ..paid("613.57", "INV-10001")
    };
    let rule = |rungs: &[(Rule, RungMode)], receipt: &Receipt| {
        let verdict = decide(receipt, &known(rungs));
        (verdict.decision.rule, verdict.lines.len())
    };
    let (number, amount) = (Rule::DocumentNumber, Rule::PayerAmount);
    let usual = [(number, Automatic), (amount, Automatic)];
    assert_eq!(rule(&usual, &named), (number, 1));
    let other = [(amount, Automatic), (number, Automatic)];
    assert_eq!(rule(&other, &named), (amount, 1));
    let verdict = decide(&named, &known(&other));
    assert!(evidence_of(&verdict).contains("lets it go first"));
    // The mode of the one that takes it holds, and what is off takes nothing.
    assert_eq!(
        rule(&[(amount, Suggest), (number, Automatic)], &named),
        (Rule::None, 0)
    );
    assert_eq!(
        rule(&[(number, Off), (amount, Automatic)], &named),
        (amount, 1)
    );
    assert_eq!(
        rule(&[(number, Off), (amount, Off)], &named),
        (Rule::None, 0)
    );
    // No order lets an amount pass that the reference speaks against.
    let against = Receipt {
        payer_account: Some("GB:123".into()),
        ..paid("271.93", "INV-10001")
    };
    assert_eq!(rule(&other, &against), (Rule::None, 0));
    assert_eq!(rule(&[(amount, Automatic), (number, Off)], &against).1, 0);
    // Where the number is named, a dispute does not hold it.
    let mut disputed = known(&other);
    let id = decide(&named, &disputed).lines[0].document;
    disputed.disputed.insert(id, gbp("1.00"));
    assert_eq!(decide(&named, &disputed).lines.len(), 1);
}

/// A ledger of one payer, a few documents of another, and a payment that names
/// some, lists some, and pays some: not always the same ones.
#[derive(Debug, Clone)]
struct Muddle {
    opens: Vec<i64>,
    others: Vec<i64>,
    named: Vec<usize>,
    listed: Vec<usize>,
    paid: Vec<usize>,
    off_by: i64,
    known: bool,
    own_reference: bool,
    disputed: Option<usize>,
}

fn muddle() -> impl Strategy<Value = Muddle> {
    let amounts = || prop_oneof![Just(10_000_i64), 1_000_i64..90_000];
    let some = || prop::collection::vec(0_usize..7, 0..3);
    (
        prop::collection::vec(amounts(), 1..5),
        prop::collection::vec(amounts(), 0..3),
        (some(), some(), prop::collection::vec(0_usize..7, 1..4)),
        prop_oneof![4 => Just(0_i64), 1 => -500_i64..500],
        (any::<bool>(), any::<bool>(), any::<bool>()),
        prop::option::weighted(0.2, 0_usize..4),
        0_u8..4,
    )
        .prop_map(
            |(
                opens,
                others,
                (named, listed, paid),
                off_by,
                (known, own, lists),
                disputed,
                same,
            )| {
                Muddle {
                    // Often the payer means what it pays.
                    named: if same & 1 == 0 { paid.clone() } else { named },
                    listed: match (lists, same & 2 == 0) {
                        (false, _) => Vec::new(),
                        (true, true) => paid.clone(),
                        (true, false) => listed,
                    },
                    opens,
                    others,
                    paid,
                    off_by,
                    known,
                    own_reference: own,
                    disputed,
                }
            },
        )
}

impl Muddle {
    fn build(&self, rules: RuleSet) -> Option<(Receipt, Books, Vec<Item>)> {
        let mut items = Vec::new();
        for (n, open) in self.opens.iter().chain(&self.others).enumerate() {
            let number = format!("INV-{}", 10_001 + n * 137);
            let mut one = item(&number, "1.00");
            one.id = DocumentId::from(Uuid::from_u128(100 + n as u128));
            one.amount = pence(*open);
            one.open = pence(*open);
            if n >= self.opens.len() {
                one.account_id = AccountId::from(Uuid::from_u128(2));
            }
            if self.own_reference {
                one.payment_key = Some(reference_key(&format!("RF18REF{n}00")));
            }
            items.push(one);
        }
        let pick = |places: &[usize]| -> BTreeSet<usize> {
            places.iter().map(|at| at % items.len()).collect()
        };
        let cash: i64 = pick(&self.paid)
            .iter()
            .filter_map(|at| self.opens.iter().chain(&self.others).nth(*at))
            .sum::<i64>()
            + self.off_by;
        let words: Vec<&str> = pick(&self.named)
            .into_iter()
            .map(|at| items[at].document_ref.as_str())
            .collect();
        let mut receipt = paid("1.00", &words.join(" "));
        receipt.amount = pence(cash);
        receipt.unallocated = receipt.amount;
        receipt.payer_account = self.known.then(|| "GB:123".into());
        if !self.listed.is_empty() {
            receipt.advice = pick(&self.listed)
                .into_iter()
                .map(|at| Advised {
                    key: items[at].ref_key.clone(),
                    amount: items[at].open,
                })
                .collect();
        }
        let mut books = books(rules, items.clone());
        books.payers.insert("GB:123".into(), vec![acme()]);
        if let Some(at) = self.disputed {
            books
                .disputed
                .insert(items[at % items.len()].id, gbp("1.00"));
        }
        (cash > 0).then_some((receipt, books, items))
    }
}

fn sorted(lines: &[Line]) -> Vec<(DocumentId, Money)> {
    let mut lines: Vec<_> = lines.iter().map(|l| (l.document, l.amount)).collect();
    lines.sort_by_key(|(document, _)| *document);
    lines
}

#[test]
fn a_demoted_rung_suggests_and_says_why() {
    let mut books = books(shipped().unwrap(), [item("INV-10001", "100.00")]);
    books
        .rules
        .demoted
        .push((RuleScope::Ledger, Rule::DocumentNumber));
    let verdict = decide(&paid("100.00", "INV-10001"), &books);
    assert!(verdict.lines.is_empty());
    assert!(evidence_of(&verdict).contains("wrong too often"));
}

/// Account over segment over ledger, and each from its first day on.
#[test]
fn the_narrowest_rules_win_from_their_first_day_on() {
    let suggest = with_mode(Rule::DocumentNumber, RungMode::Suggest);
    let of = |version, scope: RuleScope, valid_from, rules: &RuleSet| Live {
        version,
        rules: RuleSet {
            scope,
            valid_from,
            ..rules.clone()
        },
    };
    let posts = |sets: Vec<Live>| {
        let mut books = books(shipped().unwrap(), [item("INV-10001", "100.00")]);
        books.rules = Rulebook::new(sets);
        books.accounts.insert(
            acme(),
            Account {
                id: acme(),
                reference: "ACME01".into(),
                version: 1,
                name: "Acme".into(),
                segment: Some("trade".into()),
            },
        );
        !decide(&paid("100.00", "INV-10001"), &books)
            .lines
            .is_empty()
    };
    let always = day(1, 1);
    let automatic = shipped().unwrap();
    let trade = || RuleScope::Segment("trade".into());
    let account = || RuleScope::Account("ACME01".into());
    assert!(posts(vec![of(1, RuleScope::Ledger, always, &automatic)]));
    assert!(!posts(vec![
        of(1, RuleScope::Ledger, always, &automatic),
        of(2, trade(), always, &suggest)
    ]));
    assert!(posts(vec![
        of(1, RuleScope::Ledger, always, &automatic),
        of(2, trade(), always, &suggest),
        of(3, account(), always, &automatic)
    ]));
    // Booked on 20 November: what begins on the 21st is not yet.
    assert!(posts(vec![
        of(1, RuleScope::Ledger, always, &automatic),
        of(2, RuleScope::Ledger, day(11, 21), &suggest)
    ]));
    assert!(!posts(vec![
        of(1, RuleScope::Ledger, always, &automatic),
        of(2, RuleScope::Ledger, day(11, 20), &suggest)
    ]));
}

/// E105: two rows fire; the first wins, and it says which it was.
#[test]
fn e105_the_first_row_that_fires_wins_and_says_so() {
    let mut rules = tolerant();
    rules.bank_charges = vec![gbp("10.00")];
    rules.remainders = vec![
        row(When::Under, RemainderAction::BankCharge),
        row(When::Under, RemainderAction::WriteOff),
    ];
    let kind = |rules: &RuleSet| {
        let books = books(rules.clone(), [item("INV-10001", "100.00")]);
        let verdict = decide(&paid("99.20", "INV-10001"), &books);
        (verdict.settled[0].kind, evidence_of(&verdict))
    };
    let (first, why) = kind(&rules);
    assert_eq!(first, AdjustmentKind::BankCharge);
    assert!(why.contains("row 1"), "{why}");
    rules.remainders.reverse();
    assert_eq!(kind(&rules).0, AdjustmentKind::SmallBalance);
}

#[test]
fn more_than_is_open_waits_on_account_or_for_a_person() {
    let mut rules = shipped().unwrap();
    rules.remainders = vec![Remainder {
        amounts: vec![gbp("50.00")],
        ..row(When::Over, RemainderAction::OnAccount)
    }];
    let paid_over = paid("150.00", "INV-10001");
    let with = |rules: &RuleSet| books(rules.clone(), [item("INV-10001", "100.00")]);
    let ledger = with(&rules);
    let verdict = decide(&paid_over, &ledger);
    assert_eq!(said(&verdict, &ledger).0, vec![pair("INV-10001", "100.00")]);
    assert!(verdict.settled.is_empty());
    assert!(
        decide(&paid("150.01", "INV-10001"), &ledger)
            .lines
            .is_empty()
    );
    rules.remainders[0].review = true;
    let verdict = decide(&paid_over, &with(&rules));
    assert!(verdict.lines.is_empty());
    assert_eq!(verdict.suggestions[0].lines[0].amount, gbp("100.00"));
}

#[test]
fn mistakes_are_named_where_they_stand() {
    let mut rules = tolerant();
    rules.tolerance.as_mut().unwrap().cap.amounts.clear();
    rules
        .tolerance
        .as_mut()
        .unwrap()
        .under
        .as_mut()
        .unwrap()
        .percent = "101".parse().unwrap();
    rules.rungs.swap(0, 1);
    let twice = rules.rungs[0];
    rules.rungs.push(twice);
    rules.rungs.push(Rung {
        rule: Rule::Manual,
        mode: RungMode::Automatic,
    });
    rules
        .remainders
        .push(row(When::Over, RemainderAction::Discount));
    rules
        .remainders
        .insert(0, row(When::Over, RemainderAction::Person));
    rules.name = " ".into();
    let pointers: Vec<String> = problems(&rules).into_iter().map(|p| p.pointer).collect();
    for pointer in [
        "/name",
        "/rungs/7/rule",
        "/rungs/8/rule",
        "/tolerance/under/percent",
        "/tolerance/cap/amounts",
        "/remainders/2",
        "/remainders/3/action",
    ] {
        assert!(
            pointers.iter().any(|p| p == pointer),
            "{pointer}: {pointers:?}"
        );
    }
    assert!(!pointers.contains(&"/rungs/0/rule".to_owned()), "any order");
    let details: Vec<String> = problems(&rules).into_iter().map(|p| p.detail).collect();
    assert!(
        details
            .iter()
            .any(|d| d.contains("`own_reference` stands there twice"))
    );
    assert!(details.iter().any(|d| d.contains("`manual` is no rung")));
    let unknown = SHIPPED.replace("\"balance\"", "\"ballance\"");
    let said = toml::from_str::<RuleSet>(&unknown).unwrap_err().to_string();
    assert!(said.contains("ballance"), "{said}");
    assert!(toml::from_str::<RuleSet>(&format!("tolerence = 1\n{SHIPPED}")).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Any order of the rungs posts just what the ladder's own order posts, and
    /// switches and modes only ever take away from that: nothing is posted against
    /// a number that the payer names or lists, or on several accounts.
    #[test]
    fn no_order_of_the_rungs_posts_what_the_ladder_would_not(
        muddle in muddle(),
        order in Just(LADDER.to_vec()).prop_shuffle(),
        modes in prop::collection::vec(
            prop_oneof![Just(RungMode::Automatic), Just(RungMode::Suggest), Just(RungMode::Off)], 7),
    ) {
        let automatic: Vec<_> = order.iter().map(|rule| (*rule, RungMode::Automatic)).collect();
        let mixed: Vec<_> = order.iter().copied().zip(modes).collect();
        let built = muddle.build(shipped().unwrap());
        prop_assume!(built.is_some());
        let (receipt, usual, items) = built.unwrap();
        let usual = decide(&receipt, &usual);
        let (_, shuffled, _) = muddle.build(in_order_of(&automatic)).unwrap();
        let shuffled = decide(&receipt, &shuffled);
        prop_assert_eq!(sorted(&usual.lines), sorted(&shuffled.lines));
        let (_, mixed, _) = muddle.build(in_order_of(&mixed)).unwrap();
        let mixed = decide(&receipt, &mixed);
        prop_assert!(mixed.lines.is_empty() || sorted(&mixed.lines) == sorted(&usual.lines));
        if !shuffled.lines.is_empty() {
            let paid: BTreeSet<DocumentId> = shuffled.lines.iter().map(|l| l.document).collect();
            let accounts: BTreeSet<AccountId> = items.iter()
                .filter(|item| paid.contains(&item.id))
                .map(|item| item.account_id)
                .collect();
            prop_assert_eq!(accounts.len(), 1);
            for item in &items {
                let listed = receipt.advice.iter().any(|line| line.key == item.ref_key);
                let named = receipt.narrative.contains(&item.document_ref);
                prop_assert!(
                    paid.contains(&item.id) || !(listed || named && receipt.advice.is_empty()),
                    "{} is meant", item.document_ref
                );
            }
        }
    }
}

proptest! {
    /// Whatever is paid and however often: to the penny, never above the smaller
    /// of percent and amount, never above the cap, and the same every time.
    #[test]
    fn tolerance_holds_to_the_penny(
        payments in prop::collection::vec((1_i64..200_000, -700_i64..700, 0_u32..200), 1..25),
    ) {
        let mut books = books(tolerant(), []);
        let mut written: Vec<(NaiveDate, i64)> = Vec::new();
        for (n, (open, over, after)) in payments.into_iter().enumerate() {
            prop_assume!(open + over > 0);
            let number = format!("INV-{}", 10_000 + n);
            let mut invoice = item(&number, "1.00");
            invoice.amount = pence(open);
            invoice.open = pence(open);
            books.add(invoice.clone());
            let mut receipt = paid("1.00", &number);
            receipt.amount = pence(open + over);
            receipt.unallocated = receipt.amount;
            receipt.booked_on = day(1, 1) + Days::new(after.into());
            let verdict = decide(&receipt, &books);
            let again = decide(&receipt, &books);
            prop_assert_eq!(&verdict.lines, &again.lines);
            prop_assert_eq!(&verdict.settled, &again.settled);
            prop_assert_eq!(&verdict.decision, &again.decision);
            let cash = Money::sum(verdict.lines.iter().map(|l| l.amount), Currency::GBP).unwrap();
            let off = Money::sum(verdict.settled.iter().map(|s| s.amount), Currency::GBP).unwrap();
            if verdict.lines.is_empty() {
                prop_assert!(verdict.settled.is_empty());
            } else {
                prop_assert_eq!(cash, receipt.unallocated);
                prop_assert_eq!(cash.checked_add(off).unwrap(), invoice.open);
                prop_assert!(over.abs() <= 500 && over.abs() * 100 <= open, "{open} {over}");
            }
            for settled in &verdict.settled {
                books.rules.use_up(acme(), receipt.booked_on, settled);
                written.push((receipt.booked_on, -over));
            }
            if let Some(item) = books.items.get_mut(&invoice.id) {
                // Out of the way of the next ones.
                item.open = gbp("0.00");
            }
            // In any 90 days that end with a receipt that was decided then; what
            // was booked later counts against an earlier one too.
            let since = receipt.booked_on - Days::new(90);
            if !verdict.settled.is_empty() {
                let sum: i64 = written.iter()
                    .filter(|(on, p)| *on > since && p.signum() == (-over).signum())
                    .map(|(_, p)| p.abs())
                    .sum();
                prop_assert!(sum <= 1_200, "{sum}");
            }
        }
    }

    /// Many documents: no fraction of a penny is lost or made.
    #[test]
    fn discounts_add_up_to_the_penny(
        opens in prop::collection::vec(100_i64..1_000_000, 1..8), short in 0_i64..30_000,
    ) {
        let mut books = books(early(DiscountBase::Gross), []);
        let mut words = String::new();
        for (n, open) in opens.iter().enumerate() {
            let number = format!("INV-{}", 10_000 + n);
            words.push_str(&number);
            words.push(' ');
            let mut invoice = item(&number, "1.00");
            invoice.amount = pence(*open);
            invoice.open = pence(*open);
            books.add(invoice);
        }
        let total: i64 = opens.iter().sum();
        prop_assume!(total > short);
        let mut receipt = paid("1.00", &words);
        receipt.booked_on = day(11, 10);
        receipt.amount = pence(total - short);
        receipt.unallocated = receipt.amount;
        let allowed: i64 = opens.iter().map(|open| (open * 2 + 50) / 100).sum();
        let verdict = decide(&receipt, &books);
        prop_assert_eq!(!verdict.lines.is_empty(), short <= allowed);
        if !verdict.lines.is_empty() {
            for id in books.items.keys() {
                let cash = verdict.lines.iter().filter(|l| l.document == *id).map(|l| l.amount);
                let off = verdict.settled.iter().filter(|s| s.document == *id).map(|s| s.amount);
                let both = Money::sum(cash.chain(off), Currency::GBP).unwrap();
                prop_assert_eq!(both, books.items[id].open);
            }
        }
    }
}
