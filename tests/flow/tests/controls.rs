//! Money that goes back, debts that are given up: nothing without a second
//! person.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;

use chrono::NaiveDate;
use contracts::{
    Role,
    allocation::{DebitState, ReceiptState},
    api::{
        Refusal,
        allocation::{
            AllocateLine, AllocateReceipt, FindOpenItems, GetReceipt, ListReceipts, OpenItemView,
            ReceiptQueue, ReceiptView,
        },
        controls::{
            ApprovalDetail, ApprovalQueue, ApprovalView, Attachment, ChangeLimit, ClaimVatRelief,
            DecideApproval, DraftRefund, FetchRefundFile, GetApproval, GetRefund, ListApprovals,
            ListLimits, ListPayable, ListRecoveries, ListRefundFiles, ListVatRelief,
            OrderRefundFile, Payee, Person, PreviewApproval, ProposeSmallBalances, RedraftRefund,
            RefundContent, RefundDetail, RefundFileStep, RefundStep, RequestWriteOff,
            ReverseWriteOff, RunStep, StepRefund, StepRefundFile, StepSmallBalances, Verdict,
            VoidRefunds, WriteOffAsk, WriteOffDetail,
        },
        direct_debits::GetBacsUser,
        outbox::{self, Republish, Republished},
        reporting::GetAgedDebt,
        returns::{ListDebits, MatchDebit},
        worklist::{GetWork, ListWork, WorkRow, WorkView},
    },
    catalogue,
    controls::{
        ApprovalId, ApprovalKind, ApprovalState, BacsUser, RefundFileFormat, RefundId, RefundState,
        RunState, WriteOffState,
    },
    inbound::{BankAccountRef, BankReceipt, Direction},
    ingestion::{ReturnAdvised, ReturnReport},
    worklist::WorkState,
};
use kernel::{
    BacsRecordId, Clock, CommandId, Currency, ImportId, ManualClock, Money, ReceiptId, SystemClock,
};
use messaging::Bus;
use testkit::{
    DEADLINE, Running, Suite, account, assert_conserved, document, eventually, eventually_some,
    receipt,
};

/// Dropped in this order: nobody works any more when the database goes.
struct Office {
    services: BTreeMap<Role, Running>,
    gateway: Bus,
    suite: Suite,
}

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

fn jo() -> Person {
    person("jo", &["payments_officer"])
}

fn manager() -> Person {
    person("max", &["manager"])
}

fn person(name: &str, roles: &[&str]) -> Person {
    Person {
        actor: format!("user:{name}"),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
    }
}

fn because(reason: &str) -> RefundContent {
    RefundContent {
        amount: None,
        reason: reason.into(),
        payee: None,
        evidence: vec![Attachment {
            label: "their e-mail".into(),
            reference: Some("MAIL-17".into()),
            sha256: None,
        }],
    }
}

impl Office {
    async fn open() -> Self {
        Self::open_at(SystemClock).await
    }

    async fn open_at(clock: impl Clock) -> Self {
        let suite = Suite::start_with(clock, |_| {}).await;
        let gateway = suite.bus(Role::Gateway).await;
        let mut office = Self {
            suite,
            gateway,
            services: BTreeMap::new(),
        };
        for role in [
            Role::Ingestion,
            Role::Allocation,
            Role::Worklist,
            Role::Reporting,
        ] {
            office.start(role).await;
        }
        eventually("the services answer", DEADLINE, async || {
            office.gateway.ask(&ListReceipts::default()).await.is_ok()
                && office.gateway.ask(&ListLimits {}).await.is_ok()
                && office.gateway.ask(&GetAgedDebt::default()).await.is_ok()
        })
        .await;
        office
            .suite
            .publish_account("acme", &account("ACME01"))
            .await;
        office
    }

    async fn start(&mut self, role: Role) {
        let suite = &self.suite;
        let running = match role {
            Role::Ingestion => {
                let run = |bus| ingestion::run(bus, ingestion::Options::default());
                suite.run(role, run).await
            }
            Role::Allocation => suite.run(role, allocation::run).await,
            Role::Worklist => suite.run(role, worklist::run).await,
            _ => suite.run(role, reporting::run).await,
        };
        self.services.insert(role, running);
    }

    async fn stop(&mut self, role: Role) {
        if let Some(running) = self.services.remove(&role) {
            running.stop().await;
        }
    }

    /// ACME pays `amount` from its own account and quotes `words`.
    async fn paid(&self, words: &str, amount: &str) -> ReceiptView {
        let mut line = receipt(words, amount);
        line.payer.name = Some("Acme Ltd".into());
        line.payer.account = BankAccountRef {
            sort_code: Some("10-79-99".into()),
            account_number: Some("88837491".into()),
            iban: None,
        };
        self.suite
            .publish_receipt(&line.bank_reference, &line)
            .await;
        eventually_some("the receipt is there", DEADLINE, async || {
            let ask = ListReceipts {
                queue: ReceiptQueue::All,
                ..ListReceipts::default()
            };
            let all = self.gateway.ask(&ask).await.unwrap().items;
            all.into_iter().find(|r| r.narrative == words)
        })
        .await
    }

    async fn billed(&self, document_ref: &str, gross: &str, vat: Option<&str>) -> OpenItemView {
        let mut bill = document(document_ref, "ACME01", gross);
        bill.vat = vat.map(str::to_owned);
        self.suite.publish_document(document_ref, &bill).await;
        self.item(document_ref).await
    }

    async fn find(&self, document_ref: &str) -> Option<OpenItemView> {
        let ask = FindOpenItems {
            search: Some(document_ref.into()),
            ..FindOpenItems::default()
        };
        let found = self.gateway.ask(&ask).await.unwrap().items;
        found.into_iter().find(|i| i.document_ref == document_ref)
    }

    async fn item(&self, document_ref: &str) -> OpenItemView {
        eventually_some("the document is open", DEADLINE, async || {
            self.find(document_ref).await
        })
        .await
    }

    async fn left(&self, receipt_id: ReceiptId) -> Money {
        let ask = GetReceipt { receipt_id };
        self.gateway.ask(&ask).await.unwrap().receipt.unallocated
    }

    async fn refund(&self, receipt_id: ReceiptId, content: RefundContent) -> RefundDetail {
        self.try_refund(receipt_id, content).await.unwrap()
    }

    async fn try_refund(
        &self,
        receipt_id: ReceiptId,
        content: RefundContent,
    ) -> Result<RefundDetail, Refusal> {
        let ask = DraftRefund {
            command_id: CommandId::generate(),
            receipt_id,
            content,
            submit: true,
            person: jo(),
        };
        self.gateway.ask(&ask).await
    }

    async fn step(
        &self,
        refund_id: RefundId,
        who: Person,
        step: RefundStep,
    ) -> Result<RefundState, String> {
        let ask = StepRefund {
            command_id: CommandId::generate(),
            refund_id,
            step,
            person: who,
        };
        let answer = self.gateway.ask(&ask).await;
        answer.map(|d| d.refund.state).map_err(|r| r.code)
    }

    async fn approval(&self, approval_id: ApprovalId) -> Option<ApprovalDetail> {
        let ask = GetApproval {
            approval_id,
            person: manager(),
        };
        self.gateway.ask(&ask).await.ok()
    }

    /// Decides, once worklist has heard of the request.
    async fn decide(
        &self,
        approval_id: ApprovalId,
        who: Person,
        verdict: Verdict,
    ) -> Result<ApprovalDetail, String> {
        eventually_some("worklist knows of the request", DEADLINE, async || {
            self.approval(approval_id).await
        })
        .await;
        let ask = DecideApproval {
            command_id: CommandId::generate(),
            approval_id,
            verdict,
            reason: "looked into it".into(),
            person: who,
        };
        self.gateway.ask(&ask).await.map_err(|refusal| refusal.code)
    }

    async fn approve(&self, approval_id: ApprovalId, who: Person) -> Result<ApprovalState, String> {
        let decided = self.decide(approval_id, who, Verdict::Approve).await;
        decided.map(|detail| detail.approval.state)
    }

    /// Waits until what was approved is carried out, or void.
    async fn became(&self, approval_id: ApprovalId) -> ApprovalView {
        eventually_some("it is carried out or void", DEADLINE, async || {
            let found = self.approval(approval_id).await?.approval;
            let over = found.carried_out_at.is_some() || found.state == ApprovalState::Voided;
            over.then_some(found)
        })
        .await
    }

    /// Approves, and waits until it is carried out.
    async fn carried_out(&self, approval_id: ApprovalId, who: Person) {
        let state = self.approve(approval_id, who).await;
        assert_eq!(state, Ok(ApprovalState::Approved));
        let became = self.became(approval_id).await;
        assert_eq!(became.ended_because, None);
        assert!(became.carried_out_at.is_some());
    }

    async fn refund_is(&self, refund_id: RefundId, state: RefundState) {
        eventually(&format!("the refund is {state:?}"), DEADLINE, async || {
            let found = self.gateway.ask(&GetRefund { refund_id }).await;
            found.is_ok_and(|found| found.refund.state == state)
        })
        .await;
    }

    /// Everything that `role` ever said, once more.
    async fn say_again(&self, role: Role) {
        let mut after = None;
        loop {
            let ask = Republish {
                from: chrono::DateTime::UNIX_EPOCH,
                to: None,
                after,
            };
            let subject = self
                .suite
                .prefix()
                .subject(format_args!("svc.{role}.{}.republish", outbox::NOUN));
            let said: Republished = messaging::ask(self.gateway.nats(), &subject, &ask, DEADLINE)
                .await
                .unwrap();
            after = said.next;
            if after.is_none() {
                break;
            }
        }
    }

    async fn write_off(&self, item: &OpenItemView) -> WriteOffDetail {
        let ask = RequestWriteOff {
            command_id: CommandId::generate(),
            reason_code: "insolvency".into(),
            reason: "the liquidator sees no dividend".into(),
            lines: vec![WriteOffAsk {
                document_id: item.document_id,
                amount: None,
                part: None,
            }],
            person: jo(),
        };
        self.gateway.ask(&ask).await.unwrap()
    }

    /// What all debtors owe now, as reporting shows it, once it is `amount`.
    async fn owed(&self, amount: &str) {
        let wanted = gbp(amount);
        eventually(&format!("{amount} is owed"), DEADLINE, async || {
            let aged = self.gateway.ask(&GetAgedDebt::default()).await.unwrap();
            let total = aged.totals.iter().map(|t| t.total).next();
            total.unwrap_or(gbp("0.00")) == wanted
        })
        .await;
    }
}

fn allocate(receipt: &ReceiptView, item: &OpenItemView, amount: &str) -> AllocateReceipt {
    AllocateReceipt {
        command_id: CommandId::generate(),
        receipt_id: receipt.receipt_id,
        expected_version: None,
        lines: vec![AllocateLine {
            document_id: item.document_id,
            amount: gbp(amount),
        }],
        actor: "user:al".into(),
        reason: "they told us".into(),
    }
}

/// ALL-7: ACME pays twice; the second payment goes back, with four eyes, from
/// the request to the bank's word.
#[tokio::test(flavor = "multi_thread")]
async fn an_overpayment_is_refunded_with_four_eyes() {
    let office = Office::open().await;
    let twice = office.paid("PAID TWICE", "250.00").await;
    let refund = office.refund(twice.receipt_id, because("paid twice")).await;
    let id = refund.refund.refund_id;
    let approval = refund.refund.approval_id.unwrap();
    assert_eq!(refund.refund.state, RefundState::Submitted);
    assert_eq!(refund.refund.payee_account.as_deref(), Some("****7491"));
    assert!(refund.refund.to_source);
    assert_eq!(office.left(twice.receipt_id).await, gbp("0.00"), "reserved");

    // Jo neither approves it nor verifies the bank details, whatever the role.
    let jo_as_manager = person("Jo", &["manager", "cfo"]);
    let refused = office.approve(approval, jo_as_manager.clone()).await;
    assert_eq!(refused.unwrap_err(), "worklist.own_request");
    let verify = || RefundStep::Verify {
        how: "called back".into(),
    };
    let early = office.step(id, manager(), verify()).await;
    assert_eq!(early.unwrap_err(), "allocation.refund_state");

    let seen = office.approval(approval).await.unwrap();
    assert_eq!(seen.approval.why_not, None);
    assert_eq!(seen.content["payee"]["account"], "****7491");
    // Who may approve how much, the lowest first.
    assert_eq!(seen.policy[0].role, "team_leader");
    assert_eq!(seen.policy[0].limit, gbp("500.00"));
    let now = office
        .gateway
        .ask(&PreviewApproval {
            kind: seen.approval.kind,
            subject_id: seen.approval.subject_id,
        })
        .await
        .unwrap();
    assert_eq!(now.content, seen.content);
    assert_eq!(
        (now.ledger[0].before, now.ledger[0].after),
        (gbp("250.00"), gbp("0.00"))
    );
    assert!(now.checks.iter().all(|check| check.passed), "{now:#?}");
    office.carried_out(approval, manager()).await;
    office.refund_is(id, RefundState::Approved).await;
    let own = office.step(id, jo_as_manager, verify()).await;
    assert_eq!(own.unwrap_err(), "allocation.own_verification");
    assert_eq!(
        office.step(id, manager(), verify()).await,
        Ok(RefundState::Verified)
    );
    let file = RefundStep::IntoPaymentFile {
        reference: "PF-1".into(),
    };
    assert_eq!(
        office.step(id, jo(), file).await,
        Ok(RefundState::InPaymentFile)
    );
    let sent = RefundStep::Sent {
        reference: "PF-1".into(),
    };
    assert_eq!(office.step(id, jo(), sent).await, Ok(RefundState::Sent));
    let paid_on = office.suite.clock().today();
    let paid = office.step(id, jo(), RefundStep::Paid { paid_on }).await;
    assert_eq!(paid, Ok(RefundState::Paid));
    assert_conserved(&office.suite).await;

    // The payee's bank sends it back (ARUCS): the money is unallocated again,
    // and goes out once more only after all four eyes looked again.
    let returned = RefundStep::Returned {
        code: "B".into(),
        returned_on: paid_on,
    };
    assert_eq!(
        office.step(id, jo(), returned).await,
        Ok(RefundState::Returned)
    );
    assert_eq!(office.left(twice.receipt_id).await, gbp("250.00"));
    let mut other = because("their account is closed");
    other.payee = Some(Payee {
        name: "Acme Holdings Ltd".into(),
        account: serde_json::from_value(serde_json::json!({
            "sort_code": "08-99-99", "account_number": "66374958"
        }))
        .unwrap(),
        reason: "the account that paid is closed".into(),
    });
    let again = office
        .gateway
        .ask(&RedraftRefund {
            command_id: CommandId::generate(),
            refund_id: id,
            content: other,
            submit: true,
            person: jo(),
        })
        .await
        .unwrap();
    // Another payee needs two approvers beside Jo.
    let approval = again.refund.approval_id.unwrap();
    assert_eq!(
        office.approve(approval, manager()).await,
        Ok(ApprovalState::Pending)
    );
    let max_by_cli = Person {
        actor: "cli:MAX".into(),
        roles: vec!["cfo".into()],
    };
    let same = office.approve(approval, max_by_cli).await;
    assert_eq!(same.unwrap_err(), "worklist.decided_already");
    office.carried_out(approval, person("fay", &["cfo"])).await;
    assert_conserved(&office.suite).await;
}

/// What waits for a second person is somebody's work until it is decided: by the
/// last of two approvals, or by a rejection.
#[tokio::test(flavor = "multi_thread")]
async fn a_decision_ends_the_work_that_waited_for_it() {
    let office = Office::open().await;
    let waiting = async |approval: ApprovalId| {
        eventually_some("the approval is work", DEADLINE, async || {
            let ask = ListWork {
                view: WorkView::Team,
                actor: "user:max".into(),
                kinds: vec!["approval_waiting".into()],
                ..ListWork::default()
            };
            let listed = office.gateway.ask(&ask).await.unwrap().items;
            listed
                .into_iter()
                .find(|row| row.subject_id == approval.as_uuid())
        })
        .await
    };
    let look = async |row: &WorkRow| {
        let ask = GetWork {
            work_item_id: row.work_item_id,
        };
        office.gateway.ask(&ask).await.unwrap()
    };
    let over = async |row: &WorkRow| {
        eventually_some("the work is over", DEADLINE, async || {
            Some(look(row).await).filter(|detail| detail.item.state == WorkState::Closed)
        })
        .await
    };
    let twice = office.paid("PAID TWICE", "250.00").await;
    let mut other = because("their account is closed");
    other.payee = Some(Payee {
        name: "Acme Holdings Ltd".into(),
        account: serde_json::from_value(serde_json::json!({
            "sort_code": "08-99-99", "account_number": "66374958"
        }))
        .unwrap(),
        reason: "the account that paid is closed".into(),
    });
    let refund = office.refund(twice.receipt_id, other).await;
    let approval = refund.refund.approval_id.unwrap();
    let work = waiting(approval).await;
    assert_eq!(work.amount, Some(gbp("250.00")));
    // The first of two leaves it waiting.
    let first = office.approve(approval, manager()).await;
    assert_eq!(first, Ok(ApprovalState::Pending));
    let rest = office.paid("PAID TOO MUCH", "80.00").await;
    let refused = office.refund(rest.receipt_id, because("paid twice")).await;
    let second = refused.refund.approval_id.unwrap();
    let other = waiting(second).await;
    let rejected = office.decide(second, manager(), Verdict::Reject).await;
    assert_eq!(rejected.unwrap().approval.state, ApprovalState::Rejected);
    let ended = over(&other).await;
    let last = &ended.history[0];
    assert_eq!(last.reason, "rejected: looked into it");
    assert_eq!(last.actor, manager().actor);
    assert_eq!(look(&work).await.item.state, WorkState::Open);
    office.carried_out(approval, person("fay", &["cfo"])).await;
    let ended = over(&work).await;
    assert_eq!(ended.history[0].reason, "approved: looked into it");
    assert!(look(&work).await.clocks[0].stopped_at.is_some());
}

/// E44: a refund and an allocation want the same pounds; whoever comes first
/// has them.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_and_an_allocation_race_for_the_same_pounds_e44() {
    let office = Office::open().await;
    let item = office.billed("INV-4401", "300.00", None).await;
    let money = office.paid("ON ACCOUNT", "100.00").await;
    let first = allocate(&money, &item, "60.00");
    let (allocated, refunded) = tokio::join!(
        office.gateway.ask(&first),
        office.try_refund(
            money.receipt_id,
            RefundContent {
                amount: Some(gbp("60.00")),
                ..because("not ours")
            }
        )
    );
    assert!(
        allocated.is_ok() != refunded.is_ok(),
        "{allocated:?} {refunded:?}"
    );
    let lost = allocated.err().or(refunded.err()).unwrap();
    assert_eq!(lost.code, "allocation.more_than_left");
    assert_eq!(office.left(money.receipt_id).await, gbp("40.00"));
    assert_conserved(&office.suite).await;
}

/// Rejected, the reserved money is free again for what it pays.
#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_refund_frees_its_money() {
    let office = Office::open().await;
    let item = office.billed("INV-4402", "100.00", None).await;
    let money = office.paid("ON ACCOUNT", "100.00").await;
    let refund = office.refund(money.receipt_id, because("not ours")).await;
    let take = allocate(&money, &item, "100.00");
    let refused = office.gateway.ask(&take).await.unwrap_err();
    assert_eq!(refused.code, "allocation.more_than_left");
    let approval = refund.refund.approval_id.unwrap();
    let decided = office
        .decide(approval, manager(), Verdict::Reject)
        .await
        .unwrap();
    assert_eq!(decided.approval.state, ApprovalState::Rejected);
    office
        .refund_is(refund.refund.refund_id, RefundState::Rejected)
        .await;
    let take = allocate(&money, &item, "100.00");
    let done = office.gateway.ask(&take).await.unwrap();
    assert_eq!(done.receipt.state, ReceiptState::Allocated);
    assert_conserved(&office.suite).await;
}

/// E43: approved, then the bank takes the payment back: the refund is void, and
/// can go into no payment file.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_bounces_voids_its_refund_e43() {
    let office = Office::open().await;
    let money = office.paid("BOUNCES SOON", "80.00").await;
    let refund = office.refund(money.receipt_id, because("paid twice")).await;
    let id = refund.refund.refund_id;
    let approval = refund.refund.approval_id.unwrap();
    office.carried_out(approval, manager()).await;

    // The bank takes it back: nothing is paid out twice, and nothing goes on.
    let mut taken = receipt("BOUNCES SOON", "80.00");
    taken.direction = Direction::Debit;
    taken.scheme = Some("cheque".into());
    taken.bank_reference = format!("RTN-{}", money.receipt_id);
    taken.payer.name = Some("Acme Ltd".into());
    taken.payer.account = BankAccountRef {
        sort_code: Some("10-79-99".into()),
        account_number: Some("88837491".into()),
        iban: None,
    };
    office
        .suite
        .publish_receipt(&taken.bank_reference, &taken)
        .await;
    let debit = eventually_some("the debit waits", DEADLINE, async || {
        let all = office.gateway.ask(&ListDebits::default()).await.unwrap();
        all.items.into_iter().next()
    })
    .await;
    assert_eq!(debit.state, DebitState::Unmatched, "{debit:#?}");
    assert_eq!(debit.candidates, [money.receipt_id]);
    let into_file = RefundStep::IntoPaymentFile {
        reference: "FILE-1".into(),
    };
    let refused = office.step(id, manager(), into_file).await;
    assert_eq!(refused.unwrap_err(), "allocation.payment_taken_back");
    let take_back = MatchDebit {
        command_id: CommandId::generate(),
        debit_id: debit.debit_id,
        receipt_id: money.receipt_id,
        actor: "user:jo".into(),
        reason: "the cheque came back".into(),
    };
    let refused = office.gateway.ask(&take_back).await.unwrap_err();
    assert_eq!(refused.code, "allocation.refund_under_way");
    let of_it = office
        .gateway
        .ask(&VoidRefunds {
            command_id: CommandId::generate(),
            receipt_id: money.receipt_id,
            reason: "returned unpaid".into(),
            actor: "service:allocation".into(),
        })
        .await
        .unwrap();
    assert_eq!(of_it.items[0].state, RefundState::Voided);
    assert_eq!(office.left(money.receipt_id).await, gbp("80.00"));
    let verify = RefundStep::Verify {
        how: "called back".into(),
    };
    let refused = office.step(id, manager(), verify).await;
    assert_eq!(refused.unwrap_err(), "allocation.refund_state");
    // Never more than the receipt has.
    let more = RefundContent {
        amount: Some(gbp("80.01")),
        ..because("too much")
    };
    let refused = office.try_refund(money.receipt_id, more).await;
    assert_eq!(refused.unwrap_err().code, "allocation.more_than_left");

    // Now it is the bank's.
    let take_back = MatchDebit {
        command_id: CommandId::generate(),
        ..take_back
    };
    let debit = office.gateway.ask(&take_back).await.unwrap();
    assert_eq!((debit.state, debit.shortfall), (DebitState::Returned, None));
    assert_eq!(office.left(money.receipt_id).await, gbp("0.00"));
    assert_conserved(&office.suite).await;
}

/// E102: a limit is lowered, by two people, while a request waits; and content
/// that changed is approved by nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_lowered_while_a_request_waits_counts_e102() {
    let office = Office::open().await;
    let item = office.billed("INV-1021", "400.00", None).await;
    let waiting = office.write_off(&item).await;
    let approval = waiting.write_off.approval_id.unwrap();
    let asked = office
        .gateway
        .ask(&ChangeLimit {
            command_id: CommandId::generate(),
            kind: ApprovalKind::WriteOff,
            role: "manager".into(),
            limit: gbp("399.99"),
            valid_from: None,
            reason: "after the audit".into(),
            person: manager(),
        })
        .await
        .unwrap();
    let cfo = || person("fay", &["cfo"]);
    let limit = asked.approval.approval_id;
    let own = office.approve(limit, manager()).await;
    assert_eq!(own.unwrap_err(), "worklist.own_request");
    office.carried_out(limit, cfo()).await;
    let refused = office.approve(approval, manager()).await;
    assert_eq!(refused.unwrap_err(), "worklist.above_limit");

    // A part is paid meanwhile: what was asked for is not what is there.
    let money = office.paid("A PART", "1.00").await;
    office
        .gateway
        .ask(&allocate(&money, &item, "1.00"))
        .await
        .unwrap();
    let seen = office.approval(approval).await.unwrap();
    let now = PreviewApproval {
        kind: seen.approval.kind,
        subject_id: seen.approval.subject_id,
    };
    let now = office.gateway.ask(&now).await.unwrap();
    let differences = contracts::controls::differences(&seen.content, &now.content);
    assert_eq!(differences[0].pointer, "/lines/0/open/amount");
    assert_eq!(
        office.approve(approval, cfo()).await,
        Ok(ApprovalState::Approved)
    );
    let became = office.became(approval).await;
    assert_eq!(became.state, ApprovalState::Voided);
    assert_eq!(
        became.ended_because.as_deref(),
        Some("what was asked for has changed since")
    );
    assert_eq!(office.item("INV-1021").await.open, gbp("399.00"));
    assert_conserved(&office.suite).await;
}

/// E45: written off with its VAT relief claimed, then paid in part after all:
/// the write-off is taken back so far, the payment allocated, and that part of
/// the VAT is to be repaid.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_after_a_write_off_reverses_it_e45() {
    let office = Office::open().await;
    let item = office.billed("INV-4501", "1200.00", Some("200.00")).await;
    office.owed("1200.00").await;
    let asked = office.write_off(&item).await;
    let id = asked.write_off.write_off_id;
    assert_eq!(asked.lines[0].vat, Some(gbp("200.00")));
    assert_eq!(office.item("INV-4501").await.open, gbp("1200.00"));
    let waiting = eventually_some("it waits", DEADLINE, async || {
        let ask = ListApprovals {
            queue: ApprovalQueue::Waiting,
            person: manager(),
            page: contracts::api::PageRequest::default(),
        };
        office.gateway.ask(&ask).await.unwrap().items.pop()
    })
    .await;
    let approval = waiting.approval_id;
    office.carried_out(approval, manager()).await;
    assert_eq!(office.find("INV-4501").await, None);
    office.owed("0.00").await;
    assert_conserved(&office.suite).await;

    let claim = |on: &str| ClaimVatRelief {
        command_id: CommandId::generate(),
        write_off_id: id,
        claimed_on: on.parse().unwrap(),
        person: jo(),
    };
    // Due on 31 January 2026: six months are over on 31 July.
    let early = office.gateway.ask(&claim("2026-07-30")).await.unwrap_err();
    assert_eq!(early.code, "allocation.outside_relief_window");
    office.gateway.ask(&claim("2026-07-31")).await.unwrap();

    let money = office.paid("INV-4501", "300.00").await;
    assert_eq!(office.left(money.receipt_id).await, gbp("300.00"));
    let found = office.gateway.ask(&ListRecoveries {}).await.unwrap().items;
    assert_eq!(found[0].write_off_id, id);
    assert_eq!(found[0].receipt_id, money.receipt_id);
    let back = office
        .gateway
        .ask(&ReverseWriteOff {
            command_id: CommandId::generate(),
            write_off_id: id,
            receipt_id: Some(money.receipt_id),
            reason: "a dividend came after all".into(),
            person: jo(),
        })
        .await
        .unwrap();
    assert_eq!(back.write_off.state, WriteOffState::PartReversed);
    assert_eq!(back.write_off.reversed, gbp("300.00"));
    assert_eq!(office.left(money.receipt_id).await, gbp("0.00"));
    assert_eq!(
        office.find("INV-4501").await,
        None,
        "the rest stays given up"
    );
    let relief = office
        .gateway
        .ask(&ListVatRelief::default())
        .await
        .unwrap()
        .items;
    assert_eq!(relief[0].claimed, Some(gbp("200.00")));
    assert_eq!(relief[0].repayable, Some(gbp("50.00")));
    assert_eq!(relief[0].vat, Some(gbp("150.00")));
    assert_conserved(&office.suite).await;
}

/// E7: small rests, owed and overpaid, are cleared in one approved run and come
/// back in one.
#[tokio::test(flavor = "multi_thread")]
async fn small_balances_are_cleared_together_and_come_back_together_e7() {
    let office = Office::open().await;
    let short = office.billed("INV-0701", "100.00", None).await;
    let exact = office.billed("INV-0702", "50.00", None).await;
    let under = office.paid("SHORT BY PENNIES", "99.40").await;
    let over = office.paid("OVER BY PENNIES", "50.25").await;
    let gateway = &office.gateway;
    gateway
        .ask(&allocate(&under, &short, "99.40"))
        .await
        .unwrap();
    gateway
        .ask(&allocate(&over, &exact, "50.00"))
        .await
        .unwrap();
    let run = gateway
        .ask(&ProposeSmallBalances {
            command_id: CommandId::generate(),
            currency: Currency::GBP,
            submit: true,
            reason: "month end".into(),
            person: jo(),
        })
        .await
        .unwrap();
    assert_eq!(run.lines.len(), 2, "{:#?}", run.lines);
    assert_eq!(run.run.amount, gbp("0.85"));
    assert_eq!(office.item("INV-0701").await.open, gbp("0.60"));
    let approval = run.run.approval_id.unwrap();
    office.carried_out(approval, manager()).await;
    assert_eq!(office.find("INV-0701").await, None);
    assert_eq!(office.left(over.receipt_id).await, gbp("0.00"));
    office.owed("0.00").await;
    assert_conserved(&office.suite).await;
    let undone = gateway
        .ask(&StepSmallBalances {
            command_id: CommandId::generate(),
            run_id: run.run.run_id,
            step: RunStep::Undo,
            reason: "one was in dispute".into(),
            person: jo(),
        })
        .await
        .unwrap();
    assert_eq!(undone.run.state, RunState::Undone);
    assert_eq!(office.item("INV-0701").await.open, gbp("0.60"));
    assert_eq!(office.left(over.receipt_id).await, gbp("0.25"));
    office.owed("0.60").await;
    assert_conserved(&office.suite).await;
}

/// A request that is changed or taken back is void for who is to decide it; what
/// was drafted anew is another request.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_drafted_anew_is_void_and_asked_again() {
    let office = Office::open().await;
    let money = office.paid("TOO MUCH", "90.00").await;
    let first = office.refund(money.receipt_id, because("paid twice")).await;
    let id = first.refund.refund_id;
    let before = first.refund.approval_id.unwrap();
    let again = RedraftRefund {
        command_id: CommandId::generate(),
        refund_id: id,
        content: RefundContent {
            amount: Some(gbp("60.00")),
            ..because("a part was theirs")
        },
        submit: true,
        person: jo(),
    };
    let again = office.gateway.ask(&again).await.unwrap();
    let after = again.refund.approval_id.unwrap();
    let became = office.became(before).await;
    assert_eq!(became.ended_because.as_deref(), Some("drafted anew"));
    let late = office.approve(before, manager()).await;
    assert_eq!(late.unwrap_err(), "worklist.approval_over");
    office.carried_out(after, manager()).await;
    office.refund_is(id, RefundState::Approved).await;
    assert_eq!(office.left(money.receipt_id).await, gbp("30.00"));
    assert_conserved(&office.suite).await;
}

/// E101: approved, and the broker loses the word of it: half done. Once the outbox
/// is told again the rest is done, once, however often everything is said again.
#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_the_broker_lost_is_carried_out_once_e101() {
    let mut office = Office::open().await;
    let item = office.billed("INV-1011", "70.00", None).await;
    let asked = office.write_off(&item).await;
    let approval = asked.write_off.approval_id.unwrap();
    let other = office.paid("OVERPAID", "20.00").await;
    let refund = office.refund(other.receipt_id, because("paid twice")).await;
    let second = refund.refund.approval_id.unwrap();
    eventually("worklist knows of both", DEADLINE, async || {
        office.approval(approval).await.is_some() && office.approval(second).await.is_some()
    })
    .await;

    office.stop(Role::Allocation).await;
    let approved = office.approve(approval, manager()).await;
    assert_eq!(approved, Ok(ApprovalState::Approved));
    let decided = office.decide(second, manager(), Verdict::Reject).await;
    assert_eq!(decided.unwrap().approval.state, ApprovalState::Rejected);
    let seen = office.approval(approval).await.unwrap().approval;
    assert_eq!(seen.carried_out_at, None, "half done");

    // Worklist falls over, and the broker loses what it was told (P25).
    if let Some(running) = office.services.remove(&Role::Worklist) {
        running.crash().await;
    }
    let stream = office.suite.prefix().stream(catalogue::WORKLIST);
    office
        .suite
        .jetstream()
        .delete_stream(&stream)
        .await
        .unwrap();
    runtime::service::apply_streams(office.suite.config())
        .await
        .unwrap();
    office.start(Role::Allocation).await;
    office.start(Role::Worklist).await;
    eventually("worklist is back", DEADLINE, async || {
        office.approval(approval).await.is_some()
    })
    .await;
    office.say_again(Role::Worklist).await;
    office.became(approval).await;
    assert_eq!(office.find("INV-1011").await, None);
    office
        .refund_is(refund.refund.refund_id, RefundState::Rejected)
        .await;
    assert_eq!(office.left(other.receipt_id).await, gbp("20.00"));

    let version = office.approval(approval).await.unwrap().approval.version;
    office.say_again(Role::Worklist).await;
    office.say_again(Role::Allocation).await;
    // What comes after is handled after.
    let probe = office.billed("INV-1012", "5.00", None).await;
    let probe = office
        .write_off(&probe)
        .await
        .write_off
        .approval_id
        .unwrap();
    office.carried_out(probe, manager()).await;
    let after = office.approval(approval).await.unwrap().approval;
    assert_eq!(after.version, version);
    let adjusted: i64 = sqlx::query_scalar("select count(*) from allocation.adjustment")
        .fetch_one(office.suite.admin_pool())
        .await
        .unwrap();
    assert_eq!(adjusted, 2, "each write-off once");
    assert_conserved(&office.suite).await;
}

/// Nobody decides in time: the request is over, and its money free again.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_decides_expires() {
    let clock = ManualClock::new("2026-03-02T10:00:00Z".parse().unwrap());
    let office = Office::open_at(clock.clone()).await;
    let money = office.paid("FORGOTTEN", "40.00").await;
    let refund = office.refund(money.receipt_id, because("paid twice")).await;
    let approval = refund.refund.approval_id.unwrap();
    eventually("worklist knows of it", DEADLINE, async || {
        office.approval(approval).await.is_some()
    })
    .await;
    assert_eq!(office.left(money.receipt_id).await, gbp("0.00"));
    clock.advance(chrono::TimeDelta::days(14));
    office
        .refund_is(refund.refund.refund_id, RefundState::Expired)
        .await;
    let found = office.approval(approval).await.unwrap().approval;
    assert_eq!(found.state, ApprovalState::Expired);
    assert_eq!(
        found.ended_because.as_deref(),
        Some("nobody decided in time")
    );
    assert_eq!(office.left(money.receipt_id).await, gbp("40.00"));
    assert_conserved(&office.suite).await;
}

/// A payment file for Bacs: refused until it is configured who we are, then Direct
/// Credits with the same bytes always.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_goes_to_bacs_as_standard_18() {
    let office = Office::open().await;
    let money = office.paid("PAID TWICE", "250.00").await;
    let refund = office.refund(money.receipt_id, because("paid twice")).await;
    let id = refund.refund.refund_id;
    office
        .carried_out(refund.refund.approval_id.unwrap(), manager())
        .await;
    let verify = RefundStep::Verify {
        how: "called back".into(),
    };
    office.step(id, manager(), verify).await.unwrap();
    let payable = office.gateway.ask(&ListPayable {}).await.unwrap().items;
    let unset = office.gateway.ask(&GetBacsUser {}).await.unwrap_err();
    assert_eq!(unset.code, "ingestion.bacs_not_set");
    assert!(
        unset.detail.contains("bacs.user_number"),
        "{}",
        unset.detail
    );
    let order = OrderRefundFile {
        command_id: CommandId::generate(),
        bank_account: payable[0].bank_account.clone(),
        currency: Currency::GBP,
        debtor_name: "Harbour Legal LLP".into(),
        execute_on: None,
        format: Some(RefundFileFormat::Std18),
        bacs: None,
        person: jo(),
    };
    let refused = office.gateway.ask(&order).await.unwrap_err();
    assert_eq!(refused.code, "allocation.bacs_not_set");
    let user = |account: &str| {
        Some(BacsUser {
            user_number: "123456".into(),
            user_name: "HARBOUR LEGAL LLP".into(),
            account: account.into(),
        })
    };
    let other = OrderRefundFile {
        command_id: CommandId::generate(),
        bacs: user("GB:200000-11111111"),
        ..order.clone()
    };
    let refused = office.gateway.ask(&other).await.unwrap_err();
    assert_eq!(refused.code, "allocation.bacs_other_account");
    let order = OrderRefundFile {
        command_id: CommandId::generate(),
        bacs: user(&payable[0].bank_account),
        ..order
    };
    let ordered = office.gateway.ask(&order).await.unwrap();
    assert_eq!(ordered.left_out, []);
    office.refund_is(id, RefundState::InPaymentFile).await;
    let fetch = FetchRefundFile {
        command_id: CommandId::generate(),
        file_id: ordered.file_id,
        person: jo(),
    };
    let file = eventually_some("the file is made", DEADLINE, async || {
        office.gateway.ask(&fetch).await.ok()
    })
    .await;
    assert!(file.text.starts_with("VOL1"));
    let credit = file
        .text
        .lines()
        .find(|line| line.get(15..17) == Some("99"));
    let credit = credit.unwrap();
    assert!(credit.contains("00000025000HARBOUR LEGAL LLP"), "{credit}");
    assert!(file.text.contains("CONTRA"));
    assert_eq!(office.gateway.ask(&fetch).await.unwrap(), file);
}

/// A refund of 250.00 in a payment file that was sent: its receipt, itself, and its
/// reference.
async fn sent_in_a_file(office: &Office) -> (ReceiptId, RefundId, String) {
    let money = office.paid("PAID TWICE", "250.00").await;
    let refund = office.refund(money.receipt_id, because("paid twice")).await;
    let id = refund.refund.refund_id;
    office
        .carried_out(refund.refund.approval_id.unwrap(), manager())
        .await;
    let order = OrderRefundFile {
        command_id: CommandId::generate(),
        bank_account: "GB:200000-55779911".into(),
        currency: Currency::GBP,
        debtor_name: "Harbour Legal LLP".into(),
        execute_on: None,
        format: None,
        bacs: None,
        person: jo(),
    };
    let early = office.gateway.ask(&order).await.unwrap_err();
    assert_eq!(early.code, "allocation.nothing_to_pay");
    let verify = RefundStep::Verify {
        how: "called back".into(),
    };
    office.step(id, manager(), verify).await.unwrap();
    let payable = office.gateway.ask(&ListPayable {}).await.unwrap().items;
    assert_eq!(payable[0].total, gbp("250.00"));
    let order = OrderRefundFile {
        command_id: CommandId::generate(),
        bank_account: payable[0].bank_account.clone(),
        ..order
    };
    let ordered = office.gateway.ask(&order).await.unwrap();
    let again = office.gateway.ask(&order).await.unwrap();
    assert_eq!(again.file_id, ordered.file_id, "the same command");
    office.refund_is(id, RefundState::InPaymentFile).await;

    let file = eventually_some("the file is made", DEADLINE, async || {
        let files = office.gateway.ask(&ListRefundFiles::default()).await;
        files.unwrap().items.pop()
    })
    .await;
    assert_eq!((file.payments, file.total), (1, gbp("250.00")));
    let fetch = FetchRefundFile {
        command_id: CommandId::generate(),
        file_id: file.file_id,
        person: jo(),
    };
    let bytes = office.gateway.ask(&fetch).await.unwrap();
    assert_eq!(office.gateway.ask(&fetch).await.unwrap(), bytes);
    assert_eq!(bytes.sha256, file.sha256);
    assert!(
        bytes.text.contains("<MmbId>107999</MmbId>"),
        "{}",
        bytes.text
    );
    let (_, rest) = bytes.text.split_once("<EndToEndId>").unwrap();
    let (reference, _) = rest.split_once('<').unwrap();
    let files = office.gateway.ask(&ListRefundFiles::default()).await;
    assert_eq!(files.unwrap().items[0].fetched.len(), 1, "noted once");

    let sent = StepRefundFile {
        command_id: CommandId::generate(),
        file_id: file.file_id,
        step: RefundFileStep::Sent,
        person: jo(),
    };
    let refunds = office.gateway.ask(&sent).await.unwrap().items;
    assert_eq!(refunds[0].state, RefundState::Sent);
    (money.receipt_id, id, reference.to_owned())
}

/// The bank's line of the payment `reference`.
fn outgoing(reference: &str) -> BankReceipt {
    let mut debit = receipt("OUTGOING", "250.00");
    debit.direction = Direction::Debit;
    debit.scheme = Some("faster_payment".into());
    debit.bank_reference = "OUT-1".into();
    debit.end_to_end_id = Some(reference.to_owned());
    debit
}

/// ALL-7: verified refunds go into a payment file, the bank's own lines say that
/// one is paid and that it came back; its money is unallocated again.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_file_is_made_and_the_banks_lines_say_what_became_of_it() {
    let office = Office::open().await;
    let (receipt_id, id, reference) = sent_in_a_file(&office).await;

    // The bank's line for it, with the reference in its text.
    let debit = outgoing(&reference);
    office.suite.publish_receipt("OUT-1", &debit).await;
    office.refund_is(id, RefundState::Paid).await;
    assert_conserved(&office.suite).await;

    // It comes back.
    let mut credit = receipt(&format!("RETURNED {reference}"), "250.00");
    credit.bank_reference = "BACK-1".into();
    office.suite.publish_receipt("BACK-1", &credit).await;
    office.refund_is(id, RefundState::Returned).await;
    assert_eq!(office.left(receipt_id).await, gbp("250.00"));
    let all = ListReceipts {
        queue: ReceiptQueue::All,
        ..ListReceipts::default()
    };
    let all = office.gateway.ask(&all).await.unwrap().items;
    let back = all.iter().find(|r| r.receipt_id != receipt_id).unwrap();
    assert_eq!(
        back.unallocated,
        gbp("0.00"),
        "it stands on the first receipt"
    );
    assert_conserved(&office.suite).await;
}

/// ARUCS says that a refund came back before the bank's lines of its payment and
/// its return: its money is unallocated again, and once.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_returned_credits_brings_a_refund_back_once() {
    let office = Office::open().await;
    let (receipt_id, id, reference) = sent_in_a_file(&office).await;
    let advised = |n| ReturnAdvised {
        record_id: BacsRecordId::generate(),
        report: ReturnReport::Arucs,
        import_id: ImportId::generate(),
        service_user_number: "246810".into(),
        bank_account: Some("GB:200000-55779911".into()),
        reference: reference.clone(),
        code: "5".into(),
        amount: gbp("250.00"),
        original_on: None,
        reported_on: NaiveDate::from_ymd_opt(2026, 1, n).unwrap(),
        payer_name: None,
        payer_account: None,
        transaction_code: Some("99".into()),
        claim: None,
        withdrawn: false,
        expected_on: None,
        items: 1,
        total: gbp("250.00"),
        recorded_at: "2026-01-23T07:30:00Z".parse().unwrap(),
        actor: "user:pat".into(),
    };
    office.suite.publish_event(&advised(22)).await;
    office.refund_is(id, RefundState::Returned).await;
    assert_eq!(office.left(receipt_id).await, gbp("250.00"));
    assert_conserved(&office.suite).await;

    office.suite.publish_event(&advised(23)).await;
    let debit = outgoing(&reference);
    office.suite.publish_receipt("OUT-1", &debit).await;
    let mut credit = receipt(&format!("RETURNED {reference}"), "250.00");
    credit.bank_reference = "BACK-1".into();
    office.suite.publish_receipt("BACK-1", &credit).await;
    eventually(
        "the bank's line of the return brings nothing",
        DEADLINE,
        async || {
            let all = ListReceipts {
                queue: ReceiptQueue::All,
                ..ListReceipts::default()
            };
            let all = office.gateway.ask(&all).await.unwrap().items;
            all.iter()
                .any(|r| r.receipt_id != receipt_id && r.state == ReceiptState::PaidOut)
        },
    )
    .await;
    assert_eq!(office.left(receipt_id).await, gbp("250.00"));
    office.refund_is(id, RefundState::Returned).await;
    assert_conserved(&office.suite).await;
}

/// E43: what is void by now is in the bytes of its file still: the file may not be
/// sent, and what is left of it goes into another.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_void_refund_is_not_sent_e43() {
    let office = Office::open().await;
    let mut refunds = Vec::new();
    for (words, amount) in [("FIRST", "10.00"), ("SECOND", "20.00")] {
        let money = office.paid(words, amount).await;
        let refund = office.refund(money.receipt_id, because("paid twice")).await;
        office
            .carried_out(refund.refund.approval_id.unwrap(), manager())
            .await;
        let verify = RefundStep::Verify {
            how: "called back".into(),
        };
        office
            .step(refund.refund.refund_id, manager(), verify)
            .await
            .unwrap();
        refunds.push(refund.refund);
    }
    let order = |bank_account: String| OrderRefundFile {
        command_id: CommandId::generate(),
        bank_account,
        currency: Currency::GBP,
        debtor_name: "Harbour Legal LLP".into(),
        execute_on: None,
        format: None,
        bacs: None,
        person: jo(),
    };
    let payable = office.gateway.ask(&ListPayable {}).await.unwrap().items;
    let account = payable[0].bank_account.clone();
    let file = office.gateway.ask(&order(account.clone())).await.unwrap();
    assert_eq!(file.total, gbp("30.00"));
    let void = VoidRefunds {
        command_id: CommandId::generate(),
        receipt_id: refunds[0].receipt_id,
        reason: "returned unpaid".into(),
        actor: "user:jo".into(),
    };
    office.gateway.ask(&void).await.unwrap();
    let step = |step| StepRefundFile {
        command_id: CommandId::generate(),
        file_id: file.file_id,
        step,
        person: jo(),
    };
    let refused = office.gateway.ask(&step(RefundFileStep::Sent)).await;
    assert_eq!(refused.unwrap_err().code, "allocation.file_has_void_refund");
    let discard = step(RefundFileStep::Discarded);
    office.gateway.ask(&discard).await.unwrap();
    office
        .refund_is(refunds[1].refund_id, RefundState::Verified)
        .await;
    let next = office.gateway.ask(&order(account)).await.unwrap();
    assert_eq!(next.total, gbp("20.00"));
    assert_conserved(&office.suite).await;
}
