//! Queries and disputes, from what opens them to what is chased again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use chrono::{Days, TimeDelta};
use contracts::{
    Role,
    allocation::{Rule, TermKind},
    api::{
        Refusal,
        allocation::{
            FindOpenItems, GetReceipt, ListReceipts, OpenItemView, ReceiptDetail, ReceiptQueue,
            UndoAllocation,
        },
        controls::Person,
        disputes::{
            CaseDetail, CaseKey, CaseLine, CaseQueue, CaseStep, CaseView, CommentByLink,
            CountCases, CreditLine, CreditState, ErasePerson, GetCase, GetFeedback, GetTaxonomy,
            HistoryLine, ListCases, NudgeStakeholder, OpenCase, ReadNudge, StepCase,
        },
        returns::{GetChaseable, OffsetDocuments, OffsetLine},
    },
    disputes::{CaseId, CaseKind, CaseState, Resolution},
    inbound::{BankReceipt, Direction, DocumentKind},
    rules::{DisputedItems, Remainder, RemainderAction, RuleSet, When},
};
use kernel::{Clock as _, CommandId, Currency, ManualClock, Money};
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
    clock: ManualClock,
}

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

fn person(name: &str, role: &str) -> Person {
    Person {
        actor: format!("user:{name}"),
        roles: vec![role.to_owned()],
    }
}

fn jo() -> Person {
    person("jo", "controller")
}

fn manager() -> Person {
    person("max", "manager")
}

impl Office {
    /// On 1 February 2026, the day after everything was due.
    async fn open() -> Self {
        let clock = ManualClock::new("2026-02-01T09:00:00Z".parse().unwrap());
        let suite = Suite::start_with(clock.clone(), |_| {}).await;
        let services = vec![
            suite
                .run(Role::Ingestion, |bus| {
                    ingestion::run(bus, ingestion::Options::default())
                })
                .await,
            suite.run(Role::Allocation, allocation::run).await,
            suite.run(Role::Disputes, disputes::run).await,
            suite.run(Role::Worklist, worklist::run).await,
            suite.run(Role::Reporting, reporting::run).await,
        ];
        let gateway = suite.bus(Role::Gateway).await;
        let office = Self {
            suite,
            gateway,
            clock,
            _services: services,
        };
        eventually("the services answer", DEADLINE, async || {
            office.gateway.ask(&ListReceipts::default()).await.is_ok()
                && office.gateway.ask(&ListCases::default()).await.is_ok()
        })
        .await;
        office
            .suite
            .publish_account("acme", &account("ACME01"))
            .await;
        office
    }

    async fn bill(&self, document_ref: &str, gross: &str) -> OpenItemView {
        self.suite
            .publish_document(document_ref, &document(document_ref, "ACME01", gross))
            .await;
        self.item(document_ref).await
    }

    async fn credit_note(&self, document_ref: &str, gross: &str, reference: Option<&str>) {
        let mut note = document(document_ref, "ACME01", gross);
        note.kind = DocumentKind::CreditNote;
        note.payment_reference = reference.map(str::to_owned);
        self.suite.publish_document(document_ref, &note).await;
        self.item(document_ref).await;
    }

    async fn item(&self, document_ref: &str) -> OpenItemView {
        eventually_some(&format!("{document_ref} is open"), DEADLINE, async || {
            let ask = FindOpenItems {
                search: Some(document_ref.into()),
                ..FindOpenItems::default()
            };
            let found = self.gateway.ask(&ask).await.unwrap().items;
            found.into_iter().find(|i| i.document_ref == document_ref)
        })
        .await
    }

    async fn pay(&self, words: &str, amount: &str) -> BankReceipt {
        let line = receipt(words, amount);
        self.suite
            .publish_receipt(&line.bank_reference, &line)
            .await;
        line
    }

    /// Money of the account's customer, as the bank names the payer.
    async fn pay_as_acme(&self, words: &str, amount: &str) {
        let mut line = receipt(words, amount);
        line.payer.name = Some("ACME01 Ltd".into());
        self.suite
            .publish_receipt(&line.bank_reference, &line)
            .await;
    }

    /// The receipt with these words, once it is posted.
    async fn received(&self, words: &str) -> ReceiptDetail {
        let found = eventually_some(&format!("{words} is posted"), DEADLINE, async || {
            let ask = ListReceipts {
                queue: ReceiptQueue::All,
                ..ListReceipts::default()
            };
            let all = self.gateway.ask(&ask).await.unwrap().items;
            all.into_iter().find(|receipt| receipt.narrative == words)
        })
        .await;
        let ask = GetReceipt {
            receipt_id: found.receipt_id,
        };
        self.gateway.ask(&ask).await.unwrap()
    }

    async fn enact(&self, rules: RuleSet) {
        testkit::rules::enact(&self.gateway, rules).await;
    }

    /// What of a document may be chased comes to be `amount`.
    async fn chased(&self, item: &OpenItemView, amount: &str) {
        let wanted = gbp(amount);
        let what = format!("{amount} of {} may be chased", item.document_ref);
        eventually(&what, DEADLINE, async || {
            let ask = GetChaseable {
                account_id: item.account_id,
                items: vec![item.document_id],
            };
            let now = self.gateway.ask(&ask).await.unwrap();
            now.items.iter().any(|i| i.chaseable == wanted)
        })
        .await;
    }

    /// What of an account's debts may be chased comes to be `amount`.
    async fn chased_in_all(&self, of: &OpenItemView, amount: &str) {
        let wanted = gbp(amount);
        let what = format!("{amount} of the account may be chased");
        eventually(&what, DEADLINE, async || {
            let ask = GetChaseable {
                account_id: of.account_id,
                items: Vec::new(),
            };
            let now = self.gateway.ask(&ask).await.unwrap();
            now.totals.iter().any(|total| total.chaseable == wanted)
        })
        .await;
    }

    async fn cases(&self, queue: CaseQueue) -> Vec<CaseView> {
        let ask = ListCases {
            queue: Some(queue),
            ..ListCases::default()
        };
        self.gateway.ask(&ask).await.unwrap().items
    }

    /// The one case about a document that is in one of the queue's states.
    async fn case_of(&self, item: &OpenItemView, queue: CaseQueue) -> CaseDetail {
        let what = format!("a case about {} in {}", item.document_ref, queue.name());
        let view = eventually_some(&what, DEADLINE, async || {
            let ask = ListCases {
                queue: Some(queue),
                document_id: Some(item.document_id),
                ..ListCases::default()
            };
            self.gateway.ask(&ask).await.unwrap().items.pop()
        })
        .await;
        self.get(view.case_id).await
    }

    async fn get(&self, case_id: CaseId) -> CaseDetail {
        let ask = GetCase {
            case: CaseKey::Id(case_id),
        };
        self.gateway.ask(&ask).await.unwrap()
    }

    /// Opens a dispute about `amount` of a document, once disputes knows it.
    async fn dispute(&self, item: &OpenItemView, amount: &str) -> CaseDetail {
        let ask = OpenCase {
            command_id: CommandId::generate(),
            kind: CaseKind::Dispute,
            account_id: None,
            lines: vec![CaseLine {
                document_id: item.document_id,
                amount: Some(gbp(amount)),
                lines: vec!["line 2".into()],
            }],
            reason_code: "quality".into(),
            reason: "half of it is broken".into(),
            raised_at: None,
            processor: Some("jo".into()),
            linked: None,
            person: jo(),
        };
        let what = format!("{} is disputed", item.document_ref);
        let opened = eventually_some(&what, DEADLINE, async || self.gateway.ask(&ask).await.ok());
        let opened = opened.await;
        // Sent again it is the same case.
        assert_eq!(
            self.gateway.ask(&ask).await.unwrap().case.case_id,
            opened.case.case_id
        );
        opened
    }

    async fn step(
        &self,
        case_id: CaseId,
        step: CaseStep,
        person: Person,
    ) -> Result<CaseDetail, Refusal> {
        let ask = StepCase {
            command_id: CommandId::generate(),
            case_id,
            version: None,
            step,
            reason: "looked into it".into(),
            person,
        };
        self.gateway.ask(&ask).await
    }

    async fn stands(&self, case_id: CaseId, state: CaseState) -> CaseDetail {
        let what = format!("the case is {}", state.name());
        eventually_some(&what, DEADLINE, async || {
            let detail = self.get(case_id).await;
            (detail.case.state == state).then_some(detail)
        })
        .await
    }

    /// Payloads of disputes' events of a kind, in the order of the outbox.
    async fn events(&self, name: &str) -> Vec<Value> {
        let rows: Vec<String> = sqlx::query_scalar(
            "select payload from disputes.outbox where event_type = $1 order by tx, seq",
        )
        .bind(format!("counterfoil.disputes.{name}.v1"))
        .fetch_all(self.suite.admin_pool())
        .await
        .unwrap();
        rows.iter()
            .map(|payload| serde_json::from_str(payload).unwrap())
            .collect()
    }
}

fn credit(item: &OpenItemView, amount: &str) -> Vec<CreditLine> {
    vec![CreditLine {
        document_id: item.document_id,
        amount: gbp(amount),
    }]
}

/// E24, E53, E55: a short payment that the rules call a dispute opens a case of
/// just what is missing; it is upheld in part, billing credits that, and what is
/// chased in the end is the rest. The other invoice is chased all the time.
#[tokio::test(flavor = "multi_thread")]
async fn e53_e55_a_short_payment_becomes_a_dispute_a_credit_note_and_a_chased_rest() {
    let office = Office::open().await;
    office
        .enact(RuleSet {
            name: "Short is disputed".into(),
            remainders: vec![Remainder {
                when: When::Under,
                percent: None,
                amounts: vec![],
                action: RemainderAction::Dispute,
                review: false,
            }],
            ..allocation::domain::rules::shipped().unwrap()
        })
        .await;
    let other = office.bill("INV-7002", "500.00").await;
    let short = office.bill("INV-7001", "1000.00").await;
    office.chased(&short, "1000.00").await;
    office.pay("INV-7001", "800.00").await;
    let case = office.case_of(&short, CaseQueue::New).await;
    let id = case.case.case_id;
    assert_eq!(case.case.kind, CaseKind::Dispute);
    assert_eq!(case.case.reason_code.as_deref(), Some("short_payment"));
    assert_eq!(case.case.disputed, gbp("200.00"));
    assert_eq!(case.origin, "short_payment");
    office.chased(&short, "0.00").await;
    office.chased(&other, "500.00").await;

    let assign = CaseStep::Assign {
        coordinator: Some("max".into()),
        processor: Some("jo".into()),
        responsible: None,
    };
    office.step(id, assign, jo()).await.unwrap();
    let propose = CaseStep::Propose {
        credits: credit(&short, "50.00"),
    };
    office.step(id, propose, jo()).await.unwrap();
    // Whoever may work on it may not therefore give money away.
    let refused = office.step(id, CaseStep::Agree, jo()).await.unwrap_err();
    assert_eq!(refused.code, "disputes.not_yours");
    let settled = office.step(id, CaseStep::Agree, manager()).await.unwrap();
    assert_eq!(settled.case.state, CaseState::Resolved);
    assert_eq!(settled.case.resolution, Some(Resolution::Part));
    assert_eq!(settled.items[0].credit_due, gbp("50.00"));
    assert_eq!(settled.items[0].released, gbp("150.00"));
    // What is owed is chased at once, what is credited is not.
    office.chased(&short, "150.00").await;
    let asked = office.events("credit_requested").await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["amount"]["amount"], "50.00");
    assert_eq!(asked[0]["document_ref"], "INV-7001");

    office
        .credit_note("CN-1", "50.00", Some(&case.case.case_ref))
        .await;
    let closed = office.stands(id, CaseState::Closed).await;
    assert_eq!(closed.credits[0].state, CreditState::Answered);
    assert_eq!(closed.credits[0].answered_by.as_deref(), Some("CN-1"));
    assert_eq!(closed.items[0].item.credited, gbp("50.00"));
    assert_eq!(closed.case.resolution, Some(Resolution::Part));
    // Until the note meets its invoice it counts against the oldest debt.
    office.chased_in_all(&short, "650.00").await;

    // The credit note meets the invoice: nothing counts twice.
    let note = office.item("CN-1").await;
    let offset = OffsetDocuments {
        command_id: CommandId::generate(),
        account_id: short.account_id,
        lines: vec![
            OffsetLine {
                document_id: short.document_id,
                amount: gbp("50.00"),
            },
            OffsetLine {
                document_id: note.document_id,
                amount: gbp("-50.00"),
            },
        ],
        actor: "user:jo".into(),
        reason: "the credit of the dispute".into(),
    };
    office.gateway.ask(&offset).await.unwrap();
    eventually("disputes has seen it", DEADLINE, async || {
        office.get(id).await.items[0].open == gbp("150.00")
    })
    .await;
    let after = office.get(id).await;
    assert_eq!(after.items[0].item.credited, gbp("50.00"));
    assert_eq!(after.case.version, closed.case.version);
    office.chased(&short, "150.00").await;
    office.chased(&other, "500.00").await;
    assert_conserved(&office.suite).await;
}

/// E13: what a case holds reaches the ladder: cash that only fits a disputed
/// invoice by its amount is not posted, unless the payer names it or the rules
/// take disputed items in.
#[tokio::test(flavor = "multi_thread")]
async fn e13_a_disputed_invoice_is_left_out_until_it_is_named_or_taken_in() {
    let office = Office::open().await;
    // Odd amounts: of an undisputed one, each would be posted.
    let free = office.bill("INV-1300", "197.41").await;
    let disputed = office.bill("INV-1301", "613.57").await;
    let named = office.bill("INV-1302", "271.93").await;
    let taken_in = office.bill("INV-1303", "845.21").await;
    for item in [&disputed, &named, &taken_in] {
        let case = office.dispute(item, "100.00").await;
        assert_eq!(case.case.disputed, gbp("100.00"));
        office
            .chased(
                item,
                &item
                    .open
                    .checked_sub(gbp("100.00"))
                    .unwrap()
                    .amount()
                    .to_string(),
            )
            .await;
    }
    office.pay_as_acme("as agreed", "197.41").await;
    let paid = office.received("as agreed").await;
    assert_eq!(paid.decision.rule, Rule::PayerAmount);
    assert_eq!(paid.allocations[0].line.document_id, free.document_id);
    office.pay_as_acme("thank you kindly", "613.57").await;
    let left = office.received("thank you kindly").await;
    assert_eq!(left.decision.rule, Rule::None);
    assert!(
        left.decision
            .evidence
            .iter()
            .any(|e| e.kind == "disputed" && e.detail.contains("INV-1301"))
    );
    let first = &left.suggestions[0];
    assert_eq!(first.lines[0].document_id, disputed.document_id);
    assert_eq!(office.item("INV-1301").await.open, gbp("613.57"));
    // Named, it is what the payer wants to pay.
    office.pay_as_acme("INV-1302", "271.93").await;
    let paid = office.received("INV-1302").await;
    assert_eq!(paid.decision.rule, Rule::DocumentNumber);
    office
        .enact(RuleSet {
            name: "Disputed or not".into(),
            disputed: DisputedItems::TakeIn,
            ..allocation::domain::rules::shipped().unwrap()
        })
        .await;
    office.pay_as_acme("with regards", "845.21").await;
    let paid = office.received("with regards").await;
    assert_eq!(paid.decision.rule, Rule::PayerAmount);
    assert_eq!(paid.allocations[0].line.document_id, taken_in.document_id);
}

/// E23, E54: rejected, it is chased again; opened again, it is held again; paid,
/// the case ends itself; and when the payment is undone it is back.
#[tokio::test(flavor = "multi_thread")]
async fn e23_e54_rejected_reopened_paid_and_the_payment_undone() {
    let office = Office::open().await;
    let item = office.bill("INV-7003", "300.00").await;
    let case = office.dispute(&item, "100.00").await;
    let id = case.case.case_id;
    assert_eq!(case.case.state, CaseState::Assigned);
    assert_eq!(case.items[0].lines, ["line 2"]);
    office.chased(&item, "200.00").await;
    let reject = || CaseStep::Resolve {
        credits: Vec::new(),
    };
    let rejected = office.step(id, reject(), jo()).await.unwrap();
    assert_eq!(rejected.case.resolution, Some(Resolution::Rejected));
    office.chased(&item, "300.00").await;
    office.step(id, CaseStep::Reopen, jo()).await.unwrap();
    office.chased(&item, "200.00").await;

    // Somebody who saw an older version is told so.
    let stale = StepCase {
        command_id: CommandId::generate(),
        case_id: id,
        version: Some(1),
        step: CaseStep::Withdraw,
        reason: "they rang".into(),
        person: jo(),
    };
    let refused = office.gateway.ask(&stale).await.unwrap_err();
    assert_eq!(refused.code, "disputes.changed");

    office.pay("INV-7003", "300.00").await;
    let settled = office.stands(id, CaseState::Closed).await;
    assert_eq!(settled.case.resolution, Some(Resolution::Settled));
    assert_eq!(settled.items[0].item.paid, gbp("100.00"));
    let all = ListReceipts {
        queue: ReceiptQueue::All,
        ..ListReceipts::default()
    };
    let paid = office.gateway.ask(&all).await.unwrap().items.remove(0);
    let receipt_id = paid.receipt_id;
    let detail = office
        .gateway
        .ask(&GetReceipt { receipt_id })
        .await
        .unwrap();
    let undo = UndoAllocation {
        command_id: CommandId::generate(),
        allocation_id: detail.allocations[0].line.allocation_id,
        actor: "user:jo".into(),
        reason: "not theirs".into(),
        cause: None,
    };
    office.gateway.ask(&undo).await.unwrap();
    let back = office.stands(id, CaseState::Assigned).await;
    assert_eq!(back.case.disputed, gbp("100.00"));
    assert_eq!(back.items[0].item.paid, gbp("0.00"));
    // Every step is in the history, with who and why.
    let steps: Vec<&str> = back.history.iter().map(|s| s.step.as_str()).collect();
    assert_eq!(
        steps,
        ["opened", "rejected", "reopened", "settled", "reopened"]
    );
    let events = office.events("case_changed").await;
    assert_eq!(events.len(), 5);
    assert_eq!(events[4]["version"], 5);
    assert_eq!(events[4]["from"], "closed");
}

/// A Direct Debit that comes back because the payer disputes the notice is a
/// dispute; one that comes back for lack of money is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_returned_direct_debit_that_disputes_the_notice_opens_a_case() {
    let office = Office::open().await;
    let disputed = office.bill("INV-7101", "120.00").await;
    let poor = office.bill("INV-7102", "130.00").await;
    for (item, amount, scheme, code) in [
        (&poor, "130.00", "dd_return", "0"),
        (&disputed, "120.00", "ddic", "1"),
    ] {
        let paid = office.pay(&item.document_ref, amount).await;
        eventually("it is paid", DEADLINE, async || {
            let all = ListReceipts {
                queue: ReceiptQueue::Allocated,
                ..ListReceipts::default()
            };
            let found = office.gateway.ask(&all).await.unwrap().items;
            found
                .iter()
                .any(|r| r.bank_reference.as_deref() == Some(&paid.bank_reference))
        })
        .await;
        let day = paid.booked_on + Days::new(3);
        let back = BankReceipt {
            direction: Direction::Debit,
            scheme: Some(scheme.into()),
            return_reason: Some(code.into()),
            bank_reference: format!("RTN-{}", paid.bank_reference),
            booked_on: day,
            value_on: day,
            ..paid
        };
        office
            .suite
            .publish_receipt(&back.bank_reference, &back)
            .await;
        office.item(&item.document_ref).await;
    }
    let case = office.case_of(&disputed, CaseQueue::New).await;
    assert_eq!(
        case.case.reason_code.as_deref(),
        Some("direct_debit_notice")
    );
    assert_eq!(case.case.disputed, gbp("120.00"));
    assert_eq!(case.case.department.as_deref(), Some("Billing"));
    assert_eq!(case.origin, "return");
    office.chased(&disputed, "0.00").await;
    office.chased(&poor, "130.00").await;
    assert_eq!(office.cases(CaseQueue::All).await.len(), 1);
}

/// DIS-2: what is overdue and not explained is a suspected query that holds
/// nothing; the first contact confirms a part of it, a credit note explains the
/// rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_suspected_query_is_found_confirmed_in_part_and_cleared() {
    let office = Office::open().await;
    let one = office.bill("INV-7201", "80.00").await;
    let two = office.bill("INV-7202", "90.00").await;
    let small = office.bill("INV-7203", "10.00").await;
    // A day after it was due is too early.
    office.chased(&small, "10.00").await;
    assert_eq!(office.cases(CaseQueue::All).await.len(), 0);
    office.clock.advance(TimeDelta::days(5));
    let case = office.case_of(&one, CaseQueue::Suspected).await;
    let id = case.case.case_id;
    let both = eventually_some("both are suspected", DEADLINE, async || {
        let detail = office.get(id).await;
        (detail.items.len() == 2).then_some(detail)
    })
    .await;
    assert_eq!(both.case.in_question, gbp("170.00"));
    assert_eq!(both.case.disputed, gbp("0.00"));
    office.chased(&one, "80.00").await;

    // They question one of them: the other leaves the case, and is suspected
    // anew in one of its own.
    let confirm = CaseStep::Confirm {
        reason_code: "proof_needed".into(),
        lines: vec![CaseLine {
            document_id: one.document_id,
            amount: None,
            lines: Vec::new(),
        }],
    };
    let confirmed = office.step(id, confirm, jo()).await.unwrap();
    assert_eq!(confirmed.case.state, CaseState::Confirmed);
    assert_eq!(confirmed.case.disputed, gbp("80.00"));
    office.chased(&one, "0.00").await;
    let rest = office.case_of(&two, CaseQueue::Suspected).await;
    assert_ne!(rest.case.case_id, id);

    // An unused credit note explains it: the suspicion ends itself.
    office.credit_note("CN-2", "200.00", None).await;
    let cleared = office.stands(rest.case.case_id, CaseState::Closed).await;
    assert_eq!(cleared.case.resolution, Some(Resolution::Cleared));
    assert!(
        cleared.history.last().unwrap().detail.contains("credit"),
        "{:?}",
        cleared.history
    );
    let counts = office.gateway.ask(&CountCases::default()).await.unwrap();
    let of = |queue| counts.queues.iter().find(|q| q.queue == queue).unwrap();
    assert_eq!(of(CaseQueue::Suspected).cases, 0);
    assert_eq!(of(CaseQueue::New).in_question, [gbp("80.00")]);
}

/// Somebody without an account answers by a link: for this case alone, for a
/// time, and not as often as they like.
#[tokio::test(flavor = "multi_thread")]
async fn a_stakeholder_comments_by_a_link_that_ends() {
    let office = Office::open().await;
    let item = office.bill("INV-7301", "60.00").await;
    let case = office.dispute(&item, "60.00").await;
    let nudge = NudgeStakeholder {
        command_id: CommandId::generate(),
        case_id: case.case.case_id,
        stakeholder: "Sam of Operations".into(),
        email: None,
        question: "Was line 2 delivered whole?".into(),
        person: jo(),
    };
    let nudged = office.gateway.ask(&nudge).await.unwrap();
    let token = nudged.token.unwrap();
    assert_eq!(office.gateway.ask(&nudge).await.unwrap().token, None);
    let kept: String =
        sqlx::query_scalar("select encode(secret_sha256, 'hex') from disputes.nudge")
            .fetch_one(office.suite.admin_pool())
            .await
            .unwrap();
    assert!(!token.contains(&kept));

    let read = |token: &str| ReadNudge {
        token: token.to_owned(),
    };
    let seen = office.gateway.ask(&read(&token)).await.unwrap();
    assert_eq!(seen.question, "Was line 2 delivered whole?");
    assert_eq!(seen.documents, ["INV-7301"]);
    let mut wrong = token.clone();
    wrong.replace_range(
        40..41,
        if token.as_bytes()[40] == b'0' {
            "1"
        } else {
            "0"
        },
    );
    for guess in [wrong.as_str(), "x"] {
        let refused = office.gateway.ask(&read(guess)).await.unwrap_err();
        assert_eq!(refused.code, "disputes.no_link");
    }
    let comment = |text: &str| CommentByLink {
        command_id: CommandId::generate(),
        token: token.clone(),
        text: text.to_owned(),
    };
    let said = comment("Three of ten were broken.");
    let answer = office.gateway.ask(&said).await.unwrap();
    assert_eq!(answer.comments.len(), 1);
    office.gateway.ask(&said).await.unwrap();
    let soon = office.gateway.ask(&comment("And")).await.unwrap_err();
    assert_eq!(soon.code, "disputes.too_many_comments");
    let long = office
        .gateway
        .ask(&comment(&"x".repeat(2001)))
        .await
        .unwrap_err();
    assert_eq!(long.code, "disputes.bad_comment");
    let detail = office.get(case.case.case_id).await;
    let last = detail.history.last().unwrap();
    assert_eq!(last.detail, "Three of ten were broken.");
    assert_eq!(last.actor, "link:Sam of Operations");
    assert_eq!(
        detail.nudges[0].comments, 1,
        "once, however often it is sent"
    );
    office.clock.advance(TimeDelta::days(8));
    let over = office.gateway.ask(&read(&token)).await.unwrap_err();
    assert_eq!(over.code, "disputes.no_link");
}

/// E103: a person wants to be forgotten. While the case is open what was said is
/// kept, but the link ends; when it closes, name and words are gone, and amounts,
/// history, hashes and counts are what they were. No event ever had the words.
#[tokio::test(flavor = "multi_thread")]
async fn e103_a_person_is_erased_when_the_case_closes_and_the_ledger_stays() {
    let office = Office::open().await;
    let item = office.bill("INV-7501", "60.00").await;
    let case = office.dispute(&item, "60.00").await;
    let id = case.case.case_id;
    let nudge = NudgeStakeholder {
        command_id: CommandId::generate(),
        case_id: id,
        stakeholder: "Samantha Smith".into(),
        email: None,
        question: "Samantha, was line 2 delivered whole?".into(),
        person: jo(),
    };
    let token = office.gateway.ask(&nudge).await.unwrap().token.unwrap();
    let comment = CommentByLink {
        command_id: CommandId::generate(),
        token: token.clone(),
        text: "I, Samantha, was ill that day.".into(),
    };
    office.gateway.ask(&comment).await.unwrap();
    let attach = CaseStep::Attach {
        label: "photograph by Samantha".into(),
        reference: Some("DMS-78/samantha.jpg".into()),
        sha256: Some("cd".repeat(32)),
    };
    office.step(id, attach, jo()).await.unwrap();
    let said = StepCase {
        command_id: CommandId::generate(),
        case_id: id,
        version: None,
        step: CaseStep::Comment,
        reason: "Samantha rang: it was whole".into(),
        person: jo(),
    };
    let before = office.gateway.ask(&said).await.unwrap();
    let line = |step: &str| HistoryLine {
        case_id: id,
        version: before
            .history
            .iter()
            .find(|s| s.step == step)
            .unwrap()
            .version,
    };
    let lines = vec![line("commented"), line("attached")];
    let named = async || {
        let tables = [
            "step",
            "words",
            "nudge",
            "nudge_comment",
            "evidence",
            "outbox",
            "dispute",
        ];
        let mut named = Vec::new();
        for table in tables {
            let found: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
                "select count(*) from disputes.{table} t where t::text ilike '%samantha%'"
            )))
            .fetch_one(office.suite.admin_pool())
            .await
            .unwrap();
            if found > 0 {
                named.push(table);
            }
        }
        named
    };
    assert_eq!(
        named().await,
        ["words", "nudge", "nudge_comment", "evidence"]
    );

    let erase = |person: Person| ErasePerson {
        command_id: CommandId::generate(),
        stakeholder: Some("samantha smith".into()),
        lines: lines.clone(),
        reason: "a request by letter of 3 February".into(),
        person,
    };
    let refused = office.gateway.ask(&erase(jo())).await.unwrap_err();
    assert_eq!(refused.code, "disputes.not_yours");
    let asked = office.gateway.ask(&erase(manager())).await.unwrap();
    assert_eq!(asked.waits_for, std::slice::from_ref(&case.case.case_ref));
    assert!(asked.erased_in.is_empty());
    let over = office.gateway.ask(&ReadNudge { token }).await.unwrap_err();
    assert_eq!(over.code, "disputes.no_link");
    let kept = office.get(id).await;
    let words = |detail: &CaseDetail, step: &str| {
        let found = detail.history.iter().find(|s| s.step == step).unwrap();
        (found.actor.clone(), found.detail.clone())
    };
    assert_eq!(
        words(&kept, "stakeholder_commented"),
        (
            "link:Samantha Smith".to_owned(),
            "I, Samantha, was ill that day.".to_owned()
        )
    );

    let reject = CaseStep::Resolve {
        credits: Vec::new(),
    };
    office.step(id, reject, jo()).await.unwrap();
    office.step(id, CaseStep::Close, jo()).await.unwrap();
    let gone = eventually_some("it is erased", DEADLINE, async || {
        let detail = office.get(id).await;
        let erased = detail.history.iter().any(|s| s.step == "words_erased");
        erased.then_some(detail)
    })
    .await;
    assert_eq!(named().await, Vec::<&str>::new());
    for step in ["commented", "attached", "nudged"] {
        assert_eq!(
            words(&gone, step),
            ("user:jo".to_owned(), "erased".to_owned())
        );
    }
    assert_eq!(
        words(&gone, "stakeholder_commented"),
        ("link:erased".to_owned(), "erased".to_owned())
    );
    // What counts and what proves is as it was.
    assert_eq!(gone.evidence[0].sha256, Some("cd".repeat(32)));
    assert_eq!(gone.nudges[0].comments, 1);
    assert_eq!(gone.items[0].item.original, gbp("60.00"));
    assert_eq!(gone.items[0].released, gbp("60.00"));
    let versions: Vec<i64> = gone.history.iter().map(|s| s.version).collect();
    assert_eq!(versions, (1..=gone.case.version).collect::<Vec<_>>());
    let sealed: i64 = sqlx::query_scalar(
        "select count(*) from disputes.step s join disputes.words w using (case_id, version)
         where s.detail = 'kept in the case, sha256 ' || encode(w.sha256, 'hex') and w.salt is null",
    )
    .fetch_one(office.suite.admin_pool())
    .await
    .unwrap();
    assert_eq!(sealed, 4);
    office.chased(&item, "60.00").await;
}

/// Split, merge, a complaint beside a dispute, evidence, and the report for the
/// department that caused it.
#[tokio::test(flavor = "multi_thread")]
async fn cases_are_split_merged_linked_and_reported_to_their_department() {
    let office = Office::open().await;
    let item = office.bill("INV-7401", "1000.00").await;
    let case = office.dispute(&item, "400.00").await;
    let id = case.case.case_id;
    let split = CaseStep::Split {
        lines: vec![CaseLine {
            document_id: item.document_id,
            amount: Some(gbp("150.00")),
            lines: vec!["line 3".into()],
        }],
    };
    let after = office.step(id, split, jo()).await.unwrap();
    assert_eq!(after.case.disputed, gbp("250.00"));
    office.chased(&item, "600.00").await;
    let both = office.cases(CaseQueue::Open).await;
    let other = both.iter().find(|c| c.case_id != id).unwrap();
    assert_eq!(other.disputed, gbp("150.00"));
    // No more than is free can be disputed.
    let too_much = OpenCase {
        command_id: CommandId::generate(),
        kind: CaseKind::Dispute,
        account_id: None,
        lines: vec![CaseLine {
            document_id: item.document_id,
            amount: Some(gbp("600.01")),
            lines: Vec::new(),
        }],
        reason_code: "price".into(),
        reason: "all of it".into(),
        raised_at: None,
        processor: None,
        linked: None,
        person: jo(),
    };
    let refused = office.gateway.ask(&too_much).await.unwrap_err();
    assert_eq!(refused.code, "disputes.more_than_open");
    let merge = CaseStep::Merge {
        other: other.case_id,
    };
    let merged = office.step(id, merge, jo()).await.unwrap();
    assert_eq!(merged.case.disputed, gbp("400.00"));
    office.chased(&item, "600.00").await;
    assert_eq!(
        office.get(other.case_id).await.case.state,
        CaseState::Closed
    );

    let complaint = OpenCase {
        kind: CaseKind::Complaint,
        command_id: CommandId::generate(),
        lines: Vec::new(),
        account_id: Some(item.account_id),
        reason_code: "service_complaint".into(),
        linked: Some(id),
        ..too_much
    };
    let complaint = office.gateway.ask(&complaint).await.unwrap();
    assert_eq!(complaint.links[0].case_id, id);
    office.chased(&item, "600.00").await;
    let attach = CaseStep::Attach {
        label: "photograph".into(),
        reference: Some("DMS-77".into()),
        sha256: Some("ab".repeat(32)),
    };
    let detail = office.step(id, attach, jo()).await.unwrap();
    assert_eq!(detail.evidence[0].label, "photograph");
    let classify = CaseStep::Classify {
        reason_code: None,
        root_cause: Some("delivery_failed".into()),
        preventable: None,
        department: None,
    };
    office.step(id, classify, jo()).await.unwrap();
    office.clock.advance(TimeDelta::days(3));
    let report = office.gateway.ask(&GetFeedback::default()).await.unwrap();
    let row = report
        .rows
        .iter()
        .find(|row| row.department.as_deref() == Some("Operations"))
        .unwrap();
    assert_eq!((row.cases, row.preventable, row.days), (1, 1, 3));
    assert_eq!(row.original, gbp("400.00"));
    let words = office.gateway.ask(&GetTaxonomy {}).await.unwrap();
    assert!(words.departments.contains(&"Operations".to_owned()));
    // What is disputed is held by the case, as its term says.
    let ask = GetChaseable {
        account_id: item.account_id,
        items: vec![item.document_id],
    };
    let now = office.gateway.ask(&ask).await.unwrap();
    let term = &now.items[0].terms[0];
    assert_eq!(
        (term.kind, term.amount),
        (TermKind::Disputed, gbp("400.00"))
    );
    assert_eq!(term.subject, id.as_uuid());
    assert_eq!(office.clock.now(), office.suite.clock().now());
}
