//! Matching rules at work: small differences, discounts, rungs that were wrong
//! too often, and who may change the rules.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use chrono::NaiveDate;
use contracts::{
    Role,
    allocation::{ReceiptState, Rule},
    api::{
        allocation::{
            AllocateLine, AllocateReceipt, FindOpenItems, GetAllocationTotals, GetReceipt,
            ListReceipts, ReceiptDetail, ReceiptQueue, UndoAllocation, UndoCause,
        },
        controls::{ListRefunds, Person, RefundStep, StepRefund},
        reporting::GetAgedDebt,
        rules::{
            DraftRuleSet, GetRuleSet, ListDemotedRungs, PromoteRuleSet, ReplayRules, RestoreRung,
            RetireRuleSet, RuleSetDetail, ShadowDay, ValidateRuleSet,
        },
    },
    controls::RefundState,
    inbound::BankReceipt,
    rules::{
        Cap, DiscountBase, EarlySettlement, Limit, PrecisionBudget, Remainder, RemainderAction,
        RuleScope, RuleSet, RuleSetState, Rung, RungMode, ShadowOutcome, Tolerance, When,
    },
};
use kernel::{CommandId, Currency, Division, Money};
use messaging::Bus;
use serde_json::Value;
use testkit::{
    DEADLINE, Running, Suite, account, assert_conserved, document, eventually, eventually_some,
    receipt,
};

/// Dropped in this order: nobody works any more when the database goes.
struct Office {
    _services: Vec<Running>,
    gateway: Bus,
    suite: Suite,
}

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

impl Office {
    async fn open() -> Self {
        let suite = Suite::start().await;
        let services = vec![
            suite
                .run(Role::Ingestion, |bus| {
                    ingestion::run(bus, ingestion::Options::default())
                })
                .await,
            suite.run(Role::Allocation, allocation::run).await,
            suite.run(Role::Worklist, worklist::run).await,
            suite.run(Role::Reporting, reporting::run).await,
        ];
        let gateway = suite.bus(Role::Gateway).await;
        let office = Self {
            suite,
            gateway,
            _services: services,
        };
        eventually("the services answer", DEADLINE, async || {
            office.gateway.ask(&ListReceipts::default()).await.is_ok()
                && office.gateway.ask(&GetAgedDebt::default()).await.is_ok()
        })
        .await;
        office
            .suite
            .publish_account("acme", &account("ACME01"))
            .await;
        office
    }

    async fn bill(&self, document_ref: &str, gross: &str) {
        let document = document(document_ref, "ACME01", gross);
        self.bill_as(document_ref, &document).await;
    }

    async fn bill_as(&self, document_ref: &str, document: &contracts::inbound::BillingDocument) {
        self.suite.publish_document(document_ref, document).await;
        eventually(&format!("{document_ref} is there"), DEADLINE, async || {
            self.open_of(document_ref).await.is_some()
        })
        .await;
    }

    async fn pay_as(&self, receipt: &BankReceipt) {
        self.suite
            .publish_receipt(&receipt.bank_reference, receipt)
            .await;
    }

    async fn pay(&self, words: &str, amount: &str) {
        self.pay_as(&receipt(words, amount)).await;
    }

    /// The one receipt whose words are `words`, once it stands as `state`.
    async fn receipt(&self, words: &str, state: ReceiptState) -> ReceiptDetail {
        let view = eventually_some(
            &format!("{words} is {}", state.name()),
            DEADLINE,
            async || {
                let ask = ListReceipts {
                    queue: ReceiptQueue::All,
                    ..ListReceipts::default()
                };
                let all = self.gateway.ask(&ask).await.unwrap().items;
                all.into_iter()
                    .find(|r| r.narrative == words && r.state == state)
            },
        )
        .await;
        self.gateway
            .ask(&GetReceipt {
                receipt_id: view.receipt_id,
            })
            .await
            .unwrap()
    }

    async fn open_of(&self, document_ref: &str) -> Option<Money> {
        let ask = FindOpenItems {
            search: Some(document_ref.into()),
            ..FindOpenItems::default()
        };
        let page = self.gateway.ask(&ask).await.unwrap();
        page.items
            .into_iter()
            .find(|item| item.document_ref == document_ref)
            .map(|item| item.open)
    }

    async fn owed(&self, amount: &str) {
        let wanted = gbp(amount);
        eventually(&format!("{amount} is owed"), DEADLINE, async || {
            let aged = self.gateway.ask(&GetAgedDebt::default()).await.unwrap();
            aged.totals
                .iter()
                .map(|t| t.total)
                .next()
                .unwrap_or(gbp("0.00"))
                == wanted
        })
        .await;
    }

    async fn draft(&self, rules: RuleSet, actor: &str) -> RuleSetDetail {
        let command = DraftRuleSet {
            command_id: CommandId::generate(),
            rule_set: rules,
            actor: actor.into(),
            reason: "asked for by the controllers".into(),
        };
        self.gateway.ask(&command).await.unwrap()
    }

    async fn promote(
        &self,
        version: i64,
        actor: &str,
    ) -> Result<RuleSetDetail, contracts::api::Refusal> {
        let command = PromoteRuleSet {
            command_id: CommandId::generate(),
            version,
            actor: actor.into(),
            reason: "looked at what it would have done".into(),
        };
        self.gateway.ask(&command).await
    }

    async fn enact(&self, rules: RuleSet) -> i64 {
        testkit::rules::enact(&self.gateway, rules).await
    }

    async fn undo(&self, detail: &ReceiptDetail, actor: &str, cause: Option<UndoCause>) {
        let line = detail
            .allocations
            .iter()
            .find(|a| !a.undone && a.line.contra_of.is_none())
            .unwrap();
        let undo = UndoAllocation {
            command_id: CommandId::generate(),
            allocation_id: line.line.allocation_id,
            actor: actor.into(),
            reason: "not what they meant".into(),
            cause,
        };
        self.gateway.ask(&undo).await.unwrap();
    }

    /// Payloads of allocation's events of a kind, in the order of the outbox.
    async fn events(&self, name: &str) -> Vec<Value> {
        let rows: Vec<String> = sqlx::query_scalar(
            "select payload from allocation.outbox where event_type = $1 order by tx, seq",
        )
        .bind(format!("counterfoil.allocation.{name}.v1"))
        .fetch_all(self.suite.admin_pool())
        .await
        .unwrap();
        rows.iter()
            .map(|payload| serde_json::from_str(payload).unwrap())
            .collect()
    }
}

fn shipped() -> RuleSet {
    allocation::domain::rules::shipped().unwrap()
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

/// 1 % or £5; £10 of one customer in 90 days.
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
                amounts: vec![gbp("10.00")],
            },
        }),
        remainders: vec![
            row(When::Under, RemainderAction::WriteOff),
            row(When::Over, RemainderAction::WriteOff),
        ],
        ..shipped()
    }
}

fn day(month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, month, day).unwrap()
}

/// E8, E21: a customer who always pays a little less: small amounts are written
/// off until they add up, and then a person looks. Taking the payment back takes
/// back what was written off with it.
#[tokio::test(flavor = "multi_thread")]
async fn e8_a_customer_who_pays_a_little_less_every_month() {
    let office = Office::open().await;
    office.bill("INV-20001", "1000.00").await;
    office.pay("INV-20001", "996.00").await;
    let before = office.receipt("INV-20001", ReceiptState::Unallocated).await;
    assert!(before.allocations.is_empty(), "as shipped a person looks");

    office.enact(tolerant()).await;
    office.bill("INV-20002", "1000.00").await;
    office.pay("INV-20002", "996.00").await;
    let paid = office.receipt("INV-20002", ReceiptState::Allocated).await;
    assert_eq!(paid.decision.rule, Rule::DocumentNumber);
    assert_eq!(office.open_of("INV-20002").await, None);
    let evidence = format!("{:?}", paid.decision.evidence);
    assert!(evidence.contains("row 1: £4.00 less"), "{evidence}");
    office.owed("1000.00").await;
    assert_conserved(&office.suite).await;

    office.bill("INV-20003", "1000.00").await;
    office.pay("INV-20003", "996.00").await;
    office.receipt("INV-20003", ReceiptState::Allocated).await;
    office.bill("INV-20004", "1000.00").await;
    office.pay("INV-20004", "996.00").await;
    let third = office.receipt("INV-20004", ReceiptState::Unallocated).await;
    let evidence = format!("{:?}", third.decision.evidence);
    assert!(
        evidence.contains("with £8.00 in the last 90 days it is more than the cap of £10.00"),
        "{evidence}"
    );
    assert_eq!(third.suggestions.len(), 1, "a person finishes it");

    // E21: the payment is taken back, and so is the £4.00: the whole debt stands.
    office
        .undo(&paid, "user:jo", Some(UndoCause::PayerChangedMind))
        .await;
    assert_eq!(office.open_of("INV-20002").await, Some(gbp("1000.00")));
    office.owed("3000.00").await;
    assert_conserved(&office.suite).await;
    let totals = office.gateway.ask(&GetAllocationTotals {}).await.unwrap();
    assert_eq!(totals.violations, Vec::<String>::new());
    assert_eq!(totals.currencies[0].adjusted, gbp("4.00"));

    // What was taken back no longer counts: the next one fits again.
    office.bill("INV-20005", "1000.00").await;
    office.pay("INV-20005", "996.00").await;
    office.receipt("INV-20005", ReceiptState::Allocated).await;
}

/// E7: a few pence too many stay with us and the invoice is cleared.
#[tokio::test(flavor = "multi_thread")]
async fn e7_a_few_pence_too_many() {
    let office = Office::open().await;
    office.enact(tolerant()).await;
    office.bill("INV-21001", "100.00").await;
    office.pay("INV-21001", "100.50").await;
    let paid = office.receipt("INV-21001", ReceiptState::Allocated).await;
    assert_eq!(paid.allocations[0].line.amount, gbp("100.50"));
    assert_eq!(office.open_of("INV-21001").await, None);
    office.owed("0.00").await;
    assert_conserved(&office.suite).await;
    office.undo(&paid, "user:jo", None).await;
    assert_eq!(office.open_of("INV-21001").await, Some(gbp("100.00")));
    office.owed("100.00").await;
    assert_conserved(&office.suite).await;
}

/// E20: 2 % within 14 days; the term ends on Good Friday, so on Tuesday after
/// Easter, and one working day of grace makes it Wednesday. On Thursday it is
/// late.
#[tokio::test(flavor = "multi_thread")]
async fn e20_a_discount_in_grace_over_easter() {
    let office = Office::open().await;
    office
        .enact(RuleSet {
            discount: Some(EarlySettlement {
                percent: "2".parse().unwrap(),
                days: 14,
                grace_days: 1,
                base: DiscountBase::Net,
                calendar: Division::EnglandWales,
            }),
            remainders: vec![row(When::Under, RemainderAction::Discount)],
            ..shipped()
        })
        .await;
    for number in ["INV-22001", "INV-22002"] {
        let mut invoice = document(number, "ACME01", "120.00");
        invoice.issued_on = day(3, 20);
        invoice.due_on = day(4, 20);
        invoice.net = Some("100.00".into());
        invoice.vat = Some("20.00".into());
        office.bill_as(number, &invoice).await;
    }
    let mut in_grace = receipt("INV-22001", "118.00");
    in_grace.booked_on = day(4, 8);
    in_grace.value_on = day(4, 8);
    office.pay_as(&in_grace).await;
    let paid = office.receipt("INV-22001", ReceiptState::Allocated).await;
    let evidence = format!("{:?}", paid.decision.evidence);
    assert!(
        evidence.contains("discount for early settlement"),
        "{evidence}"
    );
    office.owed("120.00").await;

    let mut late = receipt("INV-22002", "118.00");
    late.booked_on = day(4, 9);
    late.value_on = day(4, 9);
    office.pay_as(&late).await;
    let left = office.receipt("INV-22002", ReceiptState::Unallocated).await;
    let evidence = format!("{:?}", left.decision.evidence);
    assert!(
        evidence.contains("had to be paid by 2026-04-08"),
        "{evidence}"
    );
    assert_conserved(&office.suite).await;
}

/// Nobody makes their own rules live, through whatever door; every step is a
/// fact with who and why.
#[tokio::test(flavor = "multi_thread")]
async fn rules_are_made_live_by_a_second_person() {
    let office = Office::open().await;
    let mut wrong = tolerant();
    wrong.tolerance.as_mut().unwrap().cap.amounts.clear();
    let check = office
        .gateway
        .ask(&ValidateRuleSet {
            rule_set: wrong.clone(),
        })
        .await
        .unwrap();
    assert!(!check.problems.is_empty());
    let refused = DraftRuleSet {
        command_id: CommandId::generate(),
        rule_set: wrong,
        actor: "user:anna".into(),
        reason: "try".into(),
    };
    let refused = office.gateway.ask(&refused).await.unwrap_err();
    assert_eq!(refused.code, "rules.invalid");
    assert_eq!(refused.fields[0].pointer, "/tolerance/cap/amounts");

    let draft = office.draft(tolerant(), "user:anna").await;
    let version = draft.view.version;
    assert_eq!(draft.view.state, RuleSetState::Draft);
    let shadow = office.promote(version, "user:anna").await.unwrap();
    assert_eq!(shadow.view.state, RuleSetState::Shadow);
    // Who did not write it does not ask for it; who agrees approves what she asks.
    let refused = office.promote(version, "user:ben").await.unwrap_err();
    assert_eq!(refused.code, "rules.author_asks");
    let asked = office.promote(version, "user:anna").await.unwrap().view;
    assert_eq!(asked.state, RuleSetState::Shadow);
    let refused = office.promote(version, "user:anna").await.unwrap_err();
    assert_eq!(refused.code, "rules.asked_already");
    // Neither draft nor shadow decides.
    office.bill("INV-23001", "100.00").await;
    office.pay("INV-23001", "99.50").await;
    office.receipt("INV-23001", ReceiptState::Unallocated).await;

    testkit::rules::approve(&office.gateway, asked.approval_id.unwrap()).await;
    let live = eventually_some("the rules are live", DEADLINE, async || {
        let now = office.gateway.ask(&GetRuleSet { version }).await.unwrap();
        (now.view.state == RuleSetState::Live).then_some(now)
    })
    .await;
    assert_eq!(live.view.approver.as_deref(), Some("user:ben"));
    let states: Vec<RuleSetState> = live.steps.iter().map(|s| s.state).collect();
    assert_eq!(
        states,
        [
            RuleSetState::Draft,
            RuleSetState::Shadow,
            RuleSetState::Live
        ]
    );
    // It begins on the same day as what was live, and takes its place.
    let before = office
        .gateway
        .ask(&GetRuleSet { version: 1 })
        .await
        .unwrap();
    assert_eq!(before.view.state, RuleSetState::Retired);
    let last = RetireRuleSet {
        command_id: CommandId::generate(),
        version,
        actor: "user:ben".into(),
        reason: "too generous".into(),
    };
    let refused = office.gateway.ask(&last).await.unwrap_err();
    assert_eq!(refused.code, "rules.last_of_ledger");
    assert_eq!(
        office.promote(version, "user:anna").await.unwrap_err().code,
        "rules.no_next_step"
    );
    let events = office.events("rules_changed").await;
    let told: Vec<String> = events
        .iter()
        .map(|e| {
            format!(
                "{} {} {}",
                e["version"],
                e["state"].as_str().unwrap(),
                e["actor"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            format!("{version} draft user:anna"),
            format!("{version} shadow user:anna"),
            format!("{version} live user:ben"),
            "1 retired user:ben".to_owned(),
        ]
    );
    assert!(
        events
            .iter()
            .all(|e| !e["reason"].as_str().unwrap().is_empty())
    );
}

/// A person takes automatic lines back as wrong; the budget is used up, the rung
/// only suggests, and only a second person lets it post again.
#[tokio::test(flavor = "multi_thread")]
async fn a_rung_that_was_wrong_too_often_only_suggests() {
    let office = Office::open().await;
    office
        .enact(RuleSet {
            budget: Some(PrecisionBudget {
                wrong: 1,
                lines: 100,
                days: 30,
            }),
            ..shipped()
        })
        .await;
    for number in ["INV-24001", "INV-24002", "INV-24003"] {
        office.bill(number, "100.00").await;
        office.pay(number, "100.00").await;
        let paid = office.receipt(number, ReceiptState::Allocated).await;
        // Another cause is no fault of the rung.
        let cause = if number == "INV-24001" {
            UndoCause::PayerChangedMind
        } else {
            UndoCause::WrongMatch
        };
        office.undo(&paid, "user:jo", Some(cause)).await;
    }
    let demoted = office.gateway.ask(&ListDemotedRungs {}).await.unwrap();
    assert_eq!(demoted.demoted.len(), 1, "{demoted:?}");
    assert_eq!(demoted.demoted[0].rule, Rule::DocumentNumber);
    assert_eq!((demoted.demoted[0].wrong, demoted.demoted[0].lines), (2, 3));
    let events = office.events("rule_demoted").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["actor"], "user:jo");

    office.bill("INV-24004", "100.00").await;
    office.pay("INV-24004", "100.00").await;
    let held = office.receipt("INV-24004", ReceiptState::Unallocated).await;
    assert_eq!(held.suggestions[0].confidence, "high");
    let evidence = format!("{:?}", held.decision.evidence);
    assert!(evidence.contains("wrong too often"), "{evidence}");

    let restore = |actor: &str| RestoreRung {
        command_id: CommandId::generate(),
        scope: RuleScope::Ledger,
        rule: Rule::DocumentNumber,
        actor: actor.into(),
        reason: "both were typing mistakes of ours".into(),
    };
    let refused = office.gateway.ask(&restore("user:jo")).await.unwrap_err();
    assert_eq!(refused.code, "rules.second_person_restores");
    let left = office.gateway.ask(&restore("user:ben")).await.unwrap();
    assert!(left.demoted.is_empty());
    assert_eq!(office.events("rule_restored").await.len(), 1);

    office.bill("INV-24005", "100.00").await;
    office.pay("INV-24005", "100.00").await;
    let paid = office.receipt("INV-24005", ReceiptState::Allocated).await;
    // The slate is clean: one wrong line is within the budget again.
    office
        .undo(&paid, "user:jo", Some(UndoCause::WrongMatch))
        .await;
    let demoted = office.gateway.ask(&ListDemotedRungs {}).await.unwrap();
    assert!(demoted.demoted.is_empty());
    assert_conserved(&office.suite).await;
}

/// Before a tolerance is made live it is run over what happened: it says what
/// would have been different, and changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_tells_what_would_have_been_and_changes_nothing() {
    let office = Office::open().await;
    // Paid in full; a little short, which a person settled as meant; and one of
    // which the person knew better.
    for (number, gross, paid) in [
        ("INV-25001", "100.00", "100.00"),
        ("INV-25002", "200.00", "199.00"),
        ("INV-25003", "300.00", "298.00"),
    ] {
        office.bill(number, gross).await;
        office.pay(number, paid).await;
    }
    office.bill("INV-25009", "900.00").await;
    office.receipt("INV-25001", ReceiptState::Allocated).await;
    for (number, to, amount) in [
        ("INV-25002", "INV-25002", "199.00"),
        ("INV-25003", "INV-25009", "298.00"),
    ] {
        let left = office.receipt(number, ReceiptState::Unallocated).await;
        let items = office
            .gateway
            .ask(&FindOpenItems {
                search: Some(to.into()),
                ..Default::default()
            })
            .await
            .unwrap();
        let command = AllocateReceipt {
            command_id: CommandId::generate(),
            receipt_id: left.receipt.receipt_id,
            expected_version: None,
            lines: vec![AllocateLine {
                document_id: items.items[0].document_id,
                amount: gbp(amount),
            }],
            actor: "user:jo".into(),
            reason: "asked them".into(),
        };
        office.gateway.ask(&command).await.unwrap();
    }
    let before = fingerprint(&office).await;
    let version = office.draft(tolerant(), "user:anna").await.view.version;
    let drafted = fingerprint(&office).await;
    assert_ne!(before, drafted, "a draft is a change, so this would tell");
    let ask = ReplayRules {
        version: Some(version),
        rule_set: None,
        from: None,
        to: None,
        receipts: None,
    };
    let report = office.gateway.ask(&ask).await.unwrap();
    assert_eq!(fingerprint(&office).await, drafted, "nothing has changed");

    assert_eq!((report.receipts, report.changed), (3, 2), "{report:#?}");
    let of = |score: &contracts::api::rules::ReplayScore| {
        (score.automatic, score.right, score.wrong, score.unjudged)
    };
    assert_eq!(of(&report.live), (1, 1, 0, 0));
    assert_eq!(of(&report.candidate), (3, 2, 1, 0));
    assert_eq!(report.candidate.written_off, [gbp("3.00")]);
    assert!(report.live.written_off.is_empty());
    let change = &report.changes[0];
    assert!(!change.from.automatic && change.to.automatic);
    assert_eq!(change.to.lines, ["INV-25002 £199.00"]);
    assert_eq!(change.to.adjustments, ["small_balance INV-25002 £1.00"]);
    // The same rules twice differ in nothing; the same question, the same answer.
    let same = office
        .gateway
        .ask(&ReplayRules {
            version: None,
            rule_set: Some(shipped()),
            ..ask.clone()
        })
        .await
        .unwrap();
    assert_eq!(same.changed, 0);
    assert_eq!(same.live, same.candidate);
    assert_eq!(office.gateway.ask(&ask).await.unwrap(), report);
    // Bounded: the latest only, and it says so.
    let latest = office
        .gateway
        .ask(&ReplayRules {
            receipts: Some(1),
            ..ask
        })
        .await
        .unwrap();
    assert_eq!(latest.receipts, 1);
    assert!(latest.cut_short.is_some());
}

/// Every row of allocation's tables, as text.
async fn fingerprint(office: &Office) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.tables where table_schema = 'allocation' order by 1",
    )
    .fetch_all(office.suite.admin_pool())
    .await
    .unwrap();
    let mut rows = Vec::new();
    for table in tables.iter().filter(|table| *table != "relay_cursor") {
        let sql = format!(
            "select count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' order by t::text)), '') from allocation.{table} t"
        );
        let row: String = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(office.suite.admin_pool())
            .await
            .unwrap();
        rows.push(format!("{table} {row}"));
    }
    rows
}

/// A shadow decides beside the live rules: what would be different is counted by
/// day and kind, with examples, and nothing else comes of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_is_counted_beside_the_live_rules_and_posts_nothing() {
    let office = Office::open().await;
    let cautious = RuleSet {
        name: "No numbers".into(),
        rungs: shipped()
            .rungs
            .into_iter()
            .map(|rung| Rung {
                mode: if rung.rule == Rule::DocumentNumber {
                    RungMode::Suggest
                } else {
                    rung.mode
                },
                ..rung
            })
            .collect(),
        ..shipped()
    };
    let shadow = |rules: RuleSet| async {
        let version = office.draft(rules, "user:anna").await.view.version;
        office.promote(version, "user:anna").await.unwrap();
        version
    };
    let cautious = shadow(cautious).await;
    let generous = shadow(tolerant()).await;
    let never = shadow(RuleSet {
        shadow_percent: Some(0),
        ..tolerant()
    })
    .await;
    office.bill("INV-8001", "100.00").await;
    office.bill("INV-8002", "200.00").await;
    office.pay("INV-8001", "100.00").await;
    office.receipt("INV-8001", ReceiptState::Allocated).await;
    office.pay("INV-8002", "199.00").await;
    let short = office.receipt("INV-8002", ReceiptState::Unallocated).await;
    assert!(short.allocations.is_empty() && short.adjustments.is_empty());
    office.pay("nothing that anybody knows", "7.00").await;
    office
        .receipt("nothing that anybody knows", ReceiptState::Unidentified)
        .await;
    let report = async |version| {
        let ask = GetRuleSet { version };
        office.gateway.ask(&ask).await.unwrap().shadow
    };
    let counted = async |version| {
        let days = report(version).await.unwrap().days;
        let sum = |of: fn(&ShadowDay) -> i64| days.iter().map(of).sum::<i64>();
        [
            sum(|d| d.same),
            sum(|d| d.live_only),
            sum(|d| d.shadow_only),
            sum(|d| d.different_lines),
        ]
    };
    assert_eq!(counted(cautious).await, [2, 1, 0, 0]);
    assert_eq!(counted(generous).await, [2, 0, 1, 0]);
    assert_eq!(report(never).await, None);
    let examples = report(generous).await.unwrap().examples;
    let [example] = examples.as_slice() else {
        panic!("{examples:?}");
    };
    assert_eq!(example.receipt_id, short.receipt.receipt_id);
    assert_eq!(example.outcome, ShadowOutcome::ShadowOnly);
    assert!(!example.live.automatic && example.shadow.automatic);
    assert!(example.shadow.adjustments[0].contains("small_balance"));
    assert_eq!(office.open_of("INV-8002").await, Some(gbp("200.00")));
    assert_conserved(&office.suite).await;
}

/// What a rule calls a refund is drafted, once, by nobody: a person completes it
/// or cancels it for good.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_paid_too_much_becomes_the_draft_of_a_refund_once() {
    let office = Office::open().await;
    office
        .enact(RuleSet {
            name: "Back it goes".into(),
            remainders: vec![row(When::Over, RemainderAction::SuggestRefund)],
            ..shipped()
        })
        .await;
    office.bill("INV-8101", "100.00").await;
    let mut paid = receipt("INV-8101 INV-8102", "150.00");
    paid.payer.account.sort_code = Some("20-00-00".into());
    paid.payer.account.account_number = Some("55779911".into());
    office.pay_as(&paid).await;
    let words = "INV-8101 INV-8102";
    let detail = office.receipt(words, ReceiptState::PartAllocated).await;
    let refunds = async || {
        let ask = ListRefunds {
            receipt_id: Some(detail.receipt.receipt_id),
            ..ListRefunds::default()
        };
        office.gateway.ask(&ask).await.unwrap().items
    };
    let [draft] = refunds().await.try_into().unwrap();
    assert_eq!(
        (draft.state, draft.amount),
        (RefundState::Draft, gbp("50.00"))
    );
    assert!(draft.requester.starts_with("system:rule_set_"));
    assert!(draft.to_source && draft.reason.contains("INV-8101"));
    // Nothing is reserved, and nobody can submit what nobody asked for.
    assert_eq!(detail.receipt.unallocated, gbp("50.00"));
    let step = |step: RefundStep| StepRefund {
        command_id: CommandId::generate(),
        refund_id: draft.refund_id,
        step,
        person: Person {
            actor: "user:anna".into(),
            roles: vec!["controller".into()],
        },
    };
    let refused = office.gateway.ask(&step(RefundStep::Submit)).await;
    assert_eq!(refused.unwrap_err().code, "allocation.not_your_draft");
    let cancel = step(RefundStep::Cancel {
        reason: "they want it on account".into(),
    });
    office.gateway.ask(&cancel).await.unwrap();
    // Its other document comes: looked at again, and not drafted again.
    office.bill("INV-8102", "30.00").await;
    eventually("it was looked at again", DEADLINE, async || {
        let ask = GetReceipt {
            receipt_id: detail.receipt.receipt_id,
        };
        let now = office.gateway.ask(&ask).await.unwrap();
        now.receipt.version > detail.receipt.version
    })
    .await;
    let [over] = refunds().await.try_into().unwrap();
    assert_eq!(over.state, RefundState::Cancelled);
    assert_eq!(office.events("refund_changed").await.len(), 2);
    assert_conserved(&office.suite).await;
}
