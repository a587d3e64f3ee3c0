//! Money that a law firm holds for its clients, from a mixed receipt to twelve
//! pence that go to charity.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;

use chrono::{NaiveDate, TimeDelta};
use contracts::{
    Role,
    allocation::ReceiptState,
    api::{
        PageRequest, Refusal,
        allocation::{GetReceipt, ListReceipts, ReceiptQueue, ReceiptView},
        controls::{DecideApproval, GetApproval, Person, Verdict},
        ingestion::{DesignateBankAccount, ListBankAccounts},
        matters::{
            CheckMatters, ClientPaymentView, CompleteBankMove, CountMatters, GetClosureGate,
            GetMatter, GetResidual, Hold, HoldClientMoney, ListBankMoves, ListCharityRegister,
            ListClientPayments, ListDisbursements, ListMatters, ListResiduals, MatterDetail,
            MatterView, MoveDisbursement, PayClientMoney, ProposeRoute, RecordDisbursement,
            RecordSraApplication, ResidualView, SplitPart, SplitReceipt, TakeBackClientPayment,
            TakeBackRoute, TheirMatter, TraceOwner, TransferToBusiness, UndoMatterEntry,
        },
        reporting::{CheckInvariants, GetAgedDebt, GetRebuild, GetTimeline, RebuildProjections},
        returns::ReturnReceipt,
    },
    controls::{ApprovalState, ClientPaymentState},
    inbound::{BankAccountRef, BankReceipt, BillingMatter, Direction, MatterStatus},
    ingestion::Designation,
    matters::{
        BankMove, BankMoveKind, Component, DisbursementKind, DisbursementStep, EntryKind,
        RecoveryState, ResidualRoute, ResidualState, Side, SupplierState,
    },
};
use kernel::{CommandId, Currency, ManualClock, MatterId, Money};
use messaging::Bus;
use testkit::{
    DEADLINE, Running, Suite, account, assert_conserved, document, eventually, eventually_some,
    receipt,
};

const BUSINESS: &str = "GB:200000-55779911";
const CLIENT: &str = "GB:200000-55779912";

struct Firm {
    _services: Vec<Running>,
    gateway: Bus,
    suite: Suite,
    clock: ManualClock,
}

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn client_bank() -> BankAccountRef {
    BankAccountRef {
        sort_code: Some("20-00-00".into()),
        account_number: Some("55779912".into()),
        iban: None,
    }
}

fn matter(reference: &str, status: MatterStatus) -> BillingMatter {
    BillingMatter {
        matter_ref: reference.into(),
        account_ref: "CLIENT1".into(),
        title: "RTA 1 December 2025".into(),
        fee_earner: Some("J. Patel".into()),
        opened_on: day("2025-12-05"),
        concluded_on: None,
        closed_on: None,
        status,
    }
}

fn part(component: Component, amount: &str) -> SplitPart {
    SplitPart {
        component,
        amount: gbp(amount),
        document_id: None,
        disbursement_id: None,
    }
}

fn code<T>(answer: Result<T, Refusal>) -> String {
    answer.err().expect("a refusal").code
}

impl Firm {
    async fn open() -> Self {
        // A Wednesday.
        let clock = ManualClock::new("2026-01-21T09:00:00Z".parse().unwrap());
        let suite = Suite::start_with(clock.clone(), |_| {}).await;
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
        let firm = Self {
            _services: services,
            gateway,
            suite,
            clock,
        };
        eventually("the services answer", DEADLINE, async || {
            firm.gateway.ask(&ListReceipts::default()).await.is_ok()
                && firm.gateway.ask(&ListBankAccounts {}).await.is_ok()
                && firm.gateway.ask(&GetAgedDebt::default()).await.is_ok()
        })
        .await;
        firm.designate_client_account().await;
        firm.suite
            .publish_account("client", &account("CLIENT1"))
            .await;
        firm
    }

    async fn designate_client_account(&self) {
        let told = self
            .gateway
            .ask(&DesignateBankAccount {
                command_id: CommandId::generate(),
                bank_account: client_bank(),
                designation: Designation::Client,
                reason: "our client account".into(),
                actor: "user:manager".into(),
            })
            .await
            .unwrap();
        assert_eq!(
            (told.bank_account.as_str(), told.designation),
            (CLIENT, Designation::Client)
        );
        // Allocation must know before money comes.
        eventually(
            "allocation knows the client account",
            DEADLINE,
            async || {
                let known: i64 = sqlx::query_scalar(
                    "select count(*) from allocation.bank_account where designation = 'client'",
                )
                .fetch_one(self.suite.admin_pool())
                .await
                .unwrap();
                known == 1
            },
        )
        .await;
    }

    async fn tell(&self, id: &str, matter: &BillingMatter) -> MatterView {
        self.suite.publish_matter(id, matter).await;
        let wanted = (matter.matter_ref.clone(), matter.status);
        eventually_some("the matter is known", DEADLINE, async || {
            let ask = ListMatters {
                search: Some(wanted.0.clone()),
                ..ListMatters::default()
            };
            let page = self.gateway.ask(&ask).await.ok()?;
            page.items
                .into_iter()
                .find(|m| m.matter_ref == wanted.0 && m.status == wanted.1)
        })
        .await
    }

    async fn pay_in(&self, receipt: &BankReceipt) -> ReceiptView {
        self.suite
            .publish_receipt(&receipt.bank_reference, receipt)
            .await;
        eventually_some("the receipt is posted", DEADLINE, async || {
            let ask = ListReceipts {
                queue: ReceiptQueue::All,
                ..ListReceipts::default()
            };
            let page = self.gateway.ask(&ask).await.ok()?;
            page.items
                .into_iter()
                .find(|r| r.bank_reference.as_ref() == Some(&receipt.bank_reference))
        })
        .await
    }

    /// A bill of a matter, once it is delivered.
    async fn bill(&self, number: &str, matter_ref: &str, gross: &str, id: MatterId) {
        let mut bill = document(number, "CLIENT1", gross);
        bill.matter_ref = Some(matter_ref.into());
        self.suite.publish_document(number, &bill).await;
        eventually("the bill is delivered", DEADLINE, async || {
            let detail = self.detail(id).await;
            detail.bills.iter().any(|b| b.document_ref == number)
        })
        .await;
    }

    async fn detail(&self, matter_id: MatterId) -> MatterDetail {
        self.gateway.ask(&GetMatter { matter_id }).await.unwrap()
    }

    async fn held(&self, matter_id: MatterId) -> Vec<Money> {
        self.detail(matter_id).await.matter.client_money
    }

    async fn split(
        &self,
        receipt: &ReceiptView,
        matter_id: MatterId,
        parts: Vec<SplitPart>,
    ) -> Result<MatterDetail, Refusal> {
        self.gateway
            .ask(&SplitReceipt {
                command_id: CommandId::generate(),
                receipt_id: receipt.receipt_id,
                expected_version: Some(receipt.version),
                matter_id,
                parts,
                actor: "user:payments".into(),
                reason: "OIC settlement".into(),
            })
            .await
    }

    async fn transfer(
        &self,
        detail: &MatterDetail,
        number: &str,
        amount: &str,
    ) -> Result<MatterDetail, Refusal> {
        let bill = detail
            .bills
            .iter()
            .find(|bill| bill.document_ref == number)
            .unwrap();
        self.gateway
            .ask(&TransferToBusiness {
                command_id: CommandId::generate(),
                matter_id: detail.matter.matter_id,
                document_id: bill.document_id,
                amount: gbp(amount),
                actor: "user:payments".into(),
                reason: "costs as billed".into(),
            })
            .await
    }

    /// Asks for money to be paid to the client; nothing leaves yet.
    async fn ask_back(
        &self,
        matter_id: MatterId,
        amount: &str,
    ) -> Result<ClientPaymentView, Refusal> {
        let ask = PayClientMoney {
            command_id: CommandId::generate(),
            matter_id,
            kind: EntryKind::Returned,
            amount: gbp(amount),
            payee: "CLIENT1 Ltd".into(),
            disbursement_id: None,
            bank_account: None,
            actor: "user:payments".into(),
            reason: "damages".into(),
        };
        let detail = self.gateway.ask(&ask).await?;
        let of = |view: &ClientPaymentView| view.payment_id.as_uuid() == ask.command_id.as_uuid();
        Ok(detail.payments.into_iter().find(of).expect("asked for"))
    }

    /// The manager approves it, once worklist has it; how it then stands.
    async fn approve_payment(
        &self,
        matter_id: MatterId,
        of: &ClientPaymentView,
    ) -> ClientPaymentState {
        let decide = DecideApproval {
            command_id: CommandId::generate(),
            approval_id: of.approval_id,
            verdict: Verdict::Approve,
            reason: "as agreed".into(),
            person: Person {
                actor: "user:manager".into(),
                roles: vec!["manager".into()],
            },
        };
        eventually("the payment is approved", DEADLINE, async || {
            self.gateway.ask(&decide).await.is_ok()
        })
        .await;
        eventually_some("the payment is decided", DEADLINE, async || {
            let payments = self.detail(matter_id).await.payments;
            let mut payments = payments.into_iter();
            let now = payments
                .find(|view| view.payment_id == of.payment_id)?
                .state;
            (now != ClientPaymentState::Requested).then_some(now)
        })
        .await
    }

    async fn give_back(&self, matter_id: MatterId, amount: &str) -> Result<(), Refusal> {
        let asked = self.ask_back(matter_id, amount).await?;
        let state = self.approve_payment(matter_id, &asked).await;
        assert_eq!(state, ClientPaymentState::Paid);
        Ok(())
    }

    async fn residual(&self, matter_ref: &str) -> ResidualView {
        eventually_some("the radar has found it", DEADLINE, async || {
            let page = self.gateway.ask(&ListResiduals::default()).await.ok()?;
            page.items.into_iter().find(|r| r.matter_ref == matter_ref)
        })
        .await
    }

    /// The balance of a ledger account in the journal, debits positive.
    async fn journal(&self, account: &str) -> String {
        let sum: rust_decimal::Decimal = sqlx::query_scalar(
            "select coalesce(sum(case when debit = $1 then amount else -amount end), 0) from allocation.journal
             where debit = $1 or credit = $1",
        )
        .bind(account)
        .fetch_one(self.suite.admin_pool())
        .await
        .unwrap();
        format!("{sum:.2}")
    }
}

/// E91, E93, SRA 2.3 to 5.3: damages and costs in one receipt; a bill; an office
/// transfer; the damages paid out; twelve pence that stay.
#[tokio::test(flavor = "multi_thread")]
async fn e91_e93_a_mixed_receipt_a_bill_a_transfer_and_twelve_pence_for_charity() {
    let firm = Firm::open().await;
    let case = firm
        .tell("m1", &matter("OIC-25-01000", MatterStatus::Opened))
        .await;
    let id = case.matter_id;

    // The compensator pays everything at once, into the business account.
    let money = firm.pay_in(&receipt("AVIVA CLAIM 77", "2050.12")).await;
    let after = firm
        .split(
            &money,
            id,
            vec![
                part(Component::Damages, "1450.12"),
                part(Component::Costs, "500.00"),
                part(Component::Vat, "100.00"),
            ],
        )
        .await
        .unwrap();
    // No bill yet: all of it is the client's, and stands on the wrong account.
    assert_eq!(after.matter.client_money, [gbp("2050.12")]);
    let due = &after.bank_moves[0];
    assert_eq!(
        (due.kind, due.to, due.amount),
        (BankMoveKind::MixedReceipt, Side::Client, gbp("2050.12"))
    );
    assert_eq!(
        due.due_by,
        day("2026-01-22"),
        "the next working day (SRA 2.3)"
    );
    let detail = firm
        .gateway
        .ask(&GetReceipt {
            receipt_id: money.receipt_id,
        })
        .await
        .unwrap();
    assert_eq!(detail.receipt.state, ReceiptState::PaidOut);
    let done = CompleteBankMove {
        command_id: CommandId::generate(),
        move_id: due.move_id,
        done_on: day("2026-01-21"),
        from_account: BUSINESS.into(),
        to_account: CLIENT.into(),
        actor: "user:payments".into(),
        reason: "moved".into(),
    };
    let wrong = CompleteBankMove {
        command_id: CommandId::generate(),
        to_account: BUSINESS.into(),
        ..done.clone()
    };
    assert_eq!(code(firm.gateway.ask(&wrong).await), "matters.wrong_side");
    firm.gateway.ask(&done).await.unwrap();
    assert_eq!(
        firm.journal(&format!("client_bank:{CLIENT}")).await,
        "2050.12"
    );
    assert_eq!(firm.journal("client_money").await, "-2050.12");

    // A bill of another matter pays nothing here, and one of this no more than
    // it says.
    let other = firm
        .tell("m2", &matter("OIC-25-01001", MatterStatus::Opened))
        .await;
    firm.bill("LB-900", "OIC-25-01001", "600.00", other.matter_id)
        .await;
    firm.bill("LB-100", "OIC-25-01000", "600.00", id).await;
    let strange = firm.detail(other.matter_id).await.bills[0].document_id;
    let theirs = TransferToBusiness {
        command_id: CommandId::generate(),
        matter_id: id,
        document_id: strange,
        amount: gbp("600"),
        actor: "user:payments".into(),
        reason: "costs".into(),
    };
    assert_eq!(
        code(firm.gateway.ask(&theirs).await),
        "matters.no_delivered_bill"
    );
    let detail = firm.detail(id).await;
    assert_eq!(
        code(firm.transfer(&detail, "LB-100", "600.01").await),
        "matters.more_than_billed"
    );
    let after = firm.transfer(&detail, "LB-100", "600.00").await.unwrap();
    assert_eq!(after.matter.client_money, [gbp("1450.12")]);
    assert!(after.bills[0].open.is_zero(), "the bill is paid");
    let due = after
        .bank_moves
        .iter()
        .find(|due| due.kind == BankMoveKind::OfficeTransfer)
        .unwrap();
    firm.gateway
        .ask(&CompleteBankMove {
            command_id: CommandId::generate(),
            move_id: due.move_id,
            from_account: CLIENT.into(),
            to_account: BUSINESS.into(),
            ..done.clone()
        })
        .await
        .unwrap();
    assert_eq!(
        firm.journal(&format!("client_bank:{CLIENT}")).await,
        "1450.12"
    );

    // The client gets the damages, but for twelve pence.
    assert_eq!(
        code(firm.give_back(id, "1450.13").await),
        "matters.more_than_held"
    );
    // Nothing leaves before another person has said so, and what is taken back
    // waits for nobody.
    let asked = firm.ask_back(id, "1450.00").await.unwrap();
    assert_eq!(firm.held(id).await, [gbp("1450.12")]);
    let back = TakeBackClientPayment {
        command_id: CommandId::generate(),
        payment_id: asked.payment_id,
        actor: "user:payments".into(),
        reason: "the account has changed".into(),
    };
    let after = firm.gateway.ask(&back).await.unwrap();
    assert_eq!(after.payments[0].state, ClientPaymentState::TakenBack);
    let twice = TakeBackClientPayment {
        command_id: CommandId::generate(),
        ..back
    };
    assert_eq!(
        code(firm.gateway.ask(&twice).await),
        "matters.payment_state"
    );
    firm.give_back(id, "1450.00").await.unwrap();
    assert_eq!(firm.held(id).await, [gbp("0.12")]);
    let gate = firm
        .gateway
        .ask(&GetClosureGate { matter_id: id })
        .await
        .unwrap();
    assert!(!gate.may_close);
    assert_eq!(gate.blockers[0].code, "client_money_held");

    // Concluded, and a month later: the radar says so.
    firm.tell(
        "m1-concluded",
        &BillingMatter {
            concluded_on: Some(day("2026-01-21")),
            ..matter("OIC-25-01000", MatterStatus::Concluded)
        },
    )
    .await;
    firm.clock.advance(TimeDelta::days(30));
    let found = firm.residual("OIC-25-01000").await;
    assert_eq!(
        (found.balance, found.since, found.level),
        (gbp("0.12"), day("2026-01-21"), 3)
    );

    let propose = || ProposeRoute {
        command_id: CommandId::generate(),
        residual_id: found.residual_id,
        route: ResidualRoute::Charity,
        payee: "Access to Justice Foundation".into(),
        charity_number: Some("1126147".into()),
        bank_account: None,
        actor: "user:payments".into(),
        reason: "the owner cannot be found".into(),
    };
    assert_eq!(
        code(firm.gateway.ask(&propose()).await),
        "matters.not_traced"
    );
    for (channel, outcome) in [
        ("letter", "returned, gone away"),
        ("telephone", "disconnected"),
    ] {
        firm.gateway
            .ask(&TraceOwner {
                command_id: CommandId::generate(),
                residual_id: found.residual_id,
                on: day("2026-02-10"),
                channel: channel.into(),
                outcome: outcome.into(),
                actor: "user:payments".into(),
            })
            .await
            .unwrap();
    }
    let asked = firm.gateway.ask(&propose()).await.unwrap();
    assert_eq!(asked.residual.state, ResidualState::Proposed);
    // Taken back, nobody need decide it; asked for anew, it is another request.
    let first = asked.proposal.unwrap().approval_id.unwrap();
    let back = TakeBackRoute {
        command_id: CommandId::generate(),
        residual_id: found.residual_id,
        actor: "user:payments".into(),
        reason: "the charity first".into(),
    };
    let back = firm.gateway.ask(&back).await.unwrap();
    assert_eq!(back.residual.state, ResidualState::Open);
    let asked = firm.gateway.ask(&propose()).await.unwrap();
    let approval_id = asked.proposal.unwrap().approval_id.unwrap();
    let decide = |approval_id, name: &str, role: &str| DecideApproval {
        command_id: CommandId::generate(),
        approval_id,
        verdict: Verdict::Approve,
        reason: "steps are adequate".into(),
        person: Person {
            actor: format!("user:{name}"),
            roles: vec![role.into()],
        },
    };
    eventually("worklist has the request", DEADLINE, async || {
        firm.gateway
            .ask(&GetApproval {
                approval_id,
                person: decide(approval_id, "manager", "manager").person,
            })
            .await
            .is_ok()
    })
    .await;
    for (approval, name, role) in [
        (approval_id, "payments", "manager"),
        (approval_id, "clerk", "controller"),
        (first, "manager", "manager"),
    ] {
        let refused = firm.gateway.ask(&decide(approval, name, role)).await;
        assert!(refused.is_err(), "{name}");
    }
    assert_eq!(firm.held(id).await, [gbp("0.12")]);
    let approval = decide(approval_id, "manager", "manager");
    firm.gateway.ask(&approval).await.unwrap();
    let detail = async || {
        let ask = GetResidual {
            residual_id: found.residual_id,
        };
        firm.gateway.ask(&ask).await.unwrap()
    };
    eventually("the money has left", DEADLINE, async || {
        detail().await.residual.state == ResidualState::Closed
    })
    .await;
    // The same command again pays nothing twice.
    firm.gateway.ask(&approval).await.unwrap();
    assert_eq!(firm.held(id).await, []);
    let register = firm
        .gateway
        .ask(&ListCharityRegister::default())
        .await
        .unwrap();
    assert_eq!(register.items.len(), 1);
    let entry = &register.items[0];
    assert_eq!(
        (
            entry.owner.as_str(),
            entry.amount,
            entry.charity_number.as_str()
        ),
        ("CLIENT1 Ltd", gbp("0.12"), "1126147")
    );
    assert_eq!(
        (entry.requested_by.as_str(), entry.approved_by.as_str()),
        ("user:payments", "user:manager")
    );
    assert_eq!(firm.journal("client_money").await, "0.00");
    assert_eq!(firm.journal(&format!("client_bank:{CLIENT}")).await, "0.00");
    let gate = firm
        .gateway
        .ask(&GetClosureGate { matter_id: id })
        .await
        .unwrap();
    assert!(gate.may_close, "{:?}", gate.blockers);
    assert_conserved(&firm.suite).await;
}

/// Into the client account, with a bill delivered and a report that the firm has
/// paid for: each part finds its side at once, and the firm's must be moved.
#[tokio::test(flavor = "multi_thread")]
async fn e91_a_receipt_on_the_client_account_pays_the_bill_and_leaves_a_due_transfer() {
    let firm = Firm::open().await;
    let case = firm
        .tell("m1", &matter("OIC-25-02000", MatterStatus::Opened))
        .await;
    let id = case.matter_id;
    firm.bill("LB-200", "OIC-25-02000", "816.00", id).await;
    let report = firm
        .gateway
        .ask(&RecordDisbursement {
            command_id: CommandId::generate(),
            matter_id: id,
            kind: DisbursementKind::MedicalReport,
            supplier: "MedCo Reports".into(),
            amount: gbp("216.00"),
            vat: gbp("36.00"),
            incurred_on: day("2025-12-10"),
            recoverable_from: Some("Aviva".into()),
            actor: "user:payments".into(),
        })
        .await
        .unwrap();
    assert_eq!((report.band.as_str(), report.days), ("31–60", 42));
    let step = async |step, amount: Option<&str>| {
        firm.gateway
            .ask(&MoveDisbursement {
                command_id: CommandId::generate(),
                disbursement_id: report.disbursement_id,
                step,
                on: day("2026-01-20"),
                amount: amount.map(gbp),
                actor: "user:payments".into(),
                reason: "as it goes".into(),
            })
            .await
    };
    step(DisbursementStep::Paid, None).await.unwrap();
    step(DisbursementStep::Claimed, None).await.unwrap();

    let mut money = receipt("AVIVA OIC", "2266.00");
    money.bank_account = client_bank();
    let money = firm.pay_in(&money).await;
    let mut repaid = part(Component::Disbursement, "216.00");
    repaid.disbursement_id = Some(report.disbursement_id);
    let after = firm
        .split(
            &money,
            id,
            vec![
                part(Component::Damages, "1450.00"),
                part(Component::Costs, "500.00"),
                part(Component::Vat, "100.00"),
                repaid,
            ],
        )
        .await
        .unwrap();
    assert_eq!(after.matter.client_money, [gbp("1450.00")]);
    assert!(after.bills[0].open.is_zero());
    let due = &after.bank_moves[0];
    assert_eq!((due.to, due.amount), (Side::Business, gbp("816.00")));
    assert_eq!(due.from_account.as_deref(), Some(CLIENT));
    let list = firm
        .gateway
        .ask(&ListDisbursements::default())
        .await
        .unwrap();
    assert_eq!(list.items[0].recovery_state, RecoveryState::Recovered);
    // E92: the supplier gives back what the insurer has paid already.
    let refunded = step(DisbursementStep::SupplierRefunded, Some("16.00"))
        .await
        .unwrap();
    assert_eq!(refunded.to_pay_on, gbp("16.00"));

    // Taken back, the client's part is on the receipt again.
    let line = after
        .entries
        .iter()
        .find(|line| line.entry.side == Side::Client)
        .unwrap();
    let undone = firm
        .gateway
        .ask(&UndoMatterEntry {
            command_id: CommandId::generate(),
            entry_id: line.entry.entry_id,
            actor: "user:payments".into(),
            reason: "the wrong matter".into(),
        })
        .await
        .unwrap();
    assert_eq!(undone.matter.client_money, []);
    let again = firm
        .gateway
        .ask(&GetReceipt {
            receipt_id: money.receipt_id,
        })
        .await
        .unwrap();
    assert_eq!(again.receipt.unallocated, gbp("1450.00"));
    assert_conserved(&firm.suite).await;
}

/// E94, SRA 4.3, 6.1: the ladder pays a bill from the client account and a
/// transfer is due; damages are paid out; then the bank takes all of it back. The
/// client's money that is gone, and the costs that were moved, are missing for
/// other clients: the firm's money is due the same day, and the breach is shown.
#[tokio::test(flavor = "multi_thread")]
async fn e94_a_client_receipt_that_bounces_after_its_money_was_spent_is_a_shortage_of_today() {
    let firm = Firm::open().await;
    let case = firm
        .tell("m1", &matter("OIC-25-04000", MatterStatus::Opened))
        .await;
    let id = case.matter_id;
    firm.bill("LB-400", "OIC-25-04000", "600.00", id).await;

    // By the bill's number, all by itself: the firm's money on a client account.
    let mut costs = receipt("LB-400", "600.00");
    costs.bank_account = client_bank();
    let costs = firm.pay_in(&costs).await;
    assert_eq!(costs.state, ReceiptState::Allocated);
    let due = firm.detail(id).await.bank_moves;
    let [due] = due.as_slice() else {
        panic!("{due:?}");
    };
    assert_eq!((due.to, due.amount), (Side::Business, gbp("600.00")));
    assert_eq!(due.from_account.as_deref(), Some(CLIENT));
    assert_eq!(due.due_by, day("2026-01-22"));
    assert_conserved(&firm.suite).await;
    firm.gateway
        .ask(&CompleteBankMove {
            command_id: CommandId::generate(),
            move_id: due.move_id,
            done_on: day("2026-01-21"),
            from_account: CLIENT.into(),
            to_account: BUSINESS.into(),
            actor: "user:payments".into(),
            reason: "moved".into(),
        })
        .await
        .unwrap();

    // Damages, of which most is paid to the client.
    let mut damages = receipt("AVIVA CLAIM 78810044", "1000.00");
    damages.bank_account = client_bank();
    let line = damages.clone();
    let damages = firm.pay_in(&damages).await;
    firm.split(&damages, id, vec![part(Component::Damages, "1000.00")])
        .await
        .unwrap();
    firm.give_back(id, "700.00").await.unwrap();
    assert_eq!(firm.held(id).await, [gbp("300.00")]);
    assert_conserved(&firm.suite).await;

    // A bank line takes the damages back.
    let mut taken = line.clone();
    taken.direction = Direction::Debit;
    taken.scheme = Some("cheque_return".into());
    taken.bank_reference = format!("RTN-{}", line.bank_reference);
    taken.booked_on = line.booked_on + TimeDelta::days(2);
    taken.value_on = taken.booked_on;
    firm.suite
        .publish_receipt(&taken.bank_reference, &taken)
        .await;
    let detail = eventually_some("the shortage is shown", DEADLINE, async || {
        let detail = firm.detail(id).await;
        let short = |due: &BankMove| due.kind == BankMoveKind::Shortage;
        detail.bank_moves.iter().any(short).then_some(detail)
    })
    .await;
    assert_eq!(detail.matter.client_money, []);
    let due = detail.bank_moves.iter();
    let due = due.filter(|due| due.kind == BankMoveKind::Shortage);
    let due: Vec<_> = due.map(|due| (due.to, due.amount, due.due_by)).collect();
    let today = day("2026-01-21");
    assert_eq!(due, [(Side::Client, gbp("700.00"), today)]);
    assert!(
        detail
            .entries
            .iter()
            .any(|line| line.entry.kind == EntryKind::Correction
                && line.entry.amount == gbp("700.00"))
    );
    assert_conserved(&firm.suite).await;

    // A person says that the costs came back too.
    let ask = GetReceipt {
        receipt_id: costs.receipt_id,
    };
    let version = firm.gateway.ask(&ask).await.unwrap().receipt.version;
    let back = firm
        .gateway
        .ask(&ReturnReceipt {
            command_id: CommandId::generate(),
            receipt_id: costs.receipt_id,
            expected_version: Some(version),
            amount: None,
            scheme: Some("cheque_return".into()),
            code: None,
            actor: "user:payments".into(),
            reason: "the cheque was unpaid".into(),
        })
        .await
        .unwrap();
    assert_eq!(back.receipt.state, ReceiptState::PaidOut);
    let detail = firm.detail(id).await;
    assert_eq!(detail.bills[0].open, gbp("600.00"));
    let due: Vec<_> = detail
        .bank_moves
        .iter()
        .filter(|due| due.kind == BankMoveKind::Shortage)
        .map(|due| (due.amount, due.due_by))
        .collect();
    assert!(due.contains(&(gbp("600.00"), today)), "{due:?}");
    // What was taken left the client bank account, and no account of the firm's.
    assert_eq!(firm.journal(&format!("bank:{CLIENT}")).await, "0.00");
    assert_eq!(
        firm.journal(&format!("client_bank:{CLIENT}")).await,
        "-1300.00",
        "until the firm's money is in"
    );
    assert_conserved(&firm.suite).await;

    // The account's story has it all, and a rebuild tells the same.
    let account = GetTimeline {
        account_id: case.account_id,
        page: PageRequest {
            cursor: None,
            limit: Some(200),
        },
    };
    let story = firm.gateway.ask(&account).await.unwrap().items;
    let said: Vec<&str> = story.iter().map(|entry| entry.summary.as_str()).collect();
    for part in [
        "£1,000.00 onto the client ledger of OIC-25-04000: received",
        "£700.00 off the client ledger of OIC-25-04000: returned",
        "£700.00 onto the client ledger of OIC-25-04000: correction",
        "£700.00 must be on a client account for OIC-25-04000 by 21 Jan 2026: shortage",
        "£600.00 moved to a business account for OIC-25-04000: mixed receipt",
    ] {
        assert!(said.contains(&part), "{part}: {said:#?}");
    }
    let ask = RebuildProjections {
        verify: true,
        actor: "user:ops".into(),
    };
    firm.gateway.ask(&ask).await.unwrap();
    let rebuilt = eventually_some("the rebuild has ended", DEADLINE, async || {
        let view = firm.gateway.ask(&GetRebuild {}).await.ok()?;
        (view.state != "running").then_some(view)
    })
    .await;
    assert_eq!(rebuilt.state, "same", "{rebuilt:?}");
}

/// The supplier of a disbursement is paid with client money when a second person
/// has approved it; what the firm paid meanwhile is not paid twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_supplier_is_paid_with_client_money_by_two_people_and_once() {
    let firm = Firm::open().await;
    let id = firm
        .tell("m1", &matter("OIC-25-05000", MatterStatus::Opened))
        .await
        .matter_id;
    let mut damages = receipt("AVIVA CLAIM 78810055", "500.00");
    damages.bank_account = client_bank();
    let damages = firm.pay_in(&damages).await;
    firm.split(&damages, id, vec![part(Component::Damages, "500.00")])
        .await
        .unwrap();
    let spend = async |supplier: &str, amount: &str| {
        let ask = RecordDisbursement {
            command_id: CommandId::generate(),
            matter_id: id,
            kind: DisbursementKind::CourtFee,
            supplier: supplier.into(),
            amount: gbp(amount),
            vat: gbp("0.00"),
            incurred_on: day("2026-01-20"),
            recoverable_from: None,
            actor: "user:payments".into(),
        };
        firm.gateway.ask(&ask).await.unwrap().disbursement_id
    };
    let pay = async |disbursement_id, supplier: &str, amount: &str| {
        let ask = PayClientMoney {
            command_id: CommandId::generate(),
            matter_id: id,
            kind: EntryKind::DisbursementPaid,
            amount: gbp(amount),
            payee: supplier.into(),
            disbursement_id: Some(disbursement_id),
            bank_account: None,
            actor: "user:payments".into(),
            reason: "the fee is due".into(),
        };
        let detail = firm.gateway.ask(&ask).await?;
        let of = |view: &ClientPaymentView| view.payment_id.as_uuid() == ask.command_id.as_uuid();
        Ok::<_, Refusal>(detail.payments.into_iter().find(of).expect("asked for"))
    };
    let stands = async |disbursement_id| {
        let ask = ListDisbursements {
            matter_id: Some(id),
            ..ListDisbursements::default()
        };
        let all = firm.gateway.ask(&ask).await.unwrap().items;
        let found = all
            .into_iter()
            .find(|d| d.disbursement_id == disbursement_id);
        let found = found.unwrap();
        (found.supplier_state, found.funded_by)
    };

    let fee = spend("HM Courts", "120.00").await;
    let other = pay(fee, "HM Courts", "119.00").await;
    assert_eq!(code(other), "matters.step_amount");
    let asked = pay(fee, "HM Courts", "120.00").await.unwrap();
    assert_eq!(asked.state, ClientPaymentState::Requested);
    assert_eq!(asked.disbursement_id, Some(fee));
    // Nothing has left, and it is asked for once.
    assert_eq!(firm.held(id).await, [gbp("500.00")]);
    assert_eq!(stands(fee).await, (SupplierState::Incurred, None));
    assert_eq!(
        code(pay(fee, "HM Courts", "120.00").await),
        "matters.asked_already"
    );
    let state = firm.approve_payment(id, &asked).await;
    assert_eq!(state, ClientPaymentState::Paid);
    assert_eq!(firm.held(id).await, [gbp("380.00")]);
    assert_eq!(stands(fee).await, (SupplierState::Paid, Some(Side::Client)));
    assert_eq!(
        code(pay(fee, "HM Courts", "120.00").await),
        "matters.disbursement_step"
    );
    assert_conserved(&firm.suite).await;

    // The firm pays this one while the request waits: approved, it is void.
    let report = spend("Dr Who", "80.00").await;
    let asked = pay(report, "Dr Who", "80.00").await.unwrap();
    let paid = MoveDisbursement {
        command_id: CommandId::generate(),
        disbursement_id: report,
        step: DisbursementStep::Paid,
        on: day("2026-01-21"),
        amount: None,
        actor: "user:payments".into(),
        reason: "by card".into(),
    };
    firm.gateway.ask(&paid).await.unwrap();
    let state = firm.approve_payment(id, &asked).await;
    assert_eq!(state, ClientPaymentState::Voided);
    assert_eq!(firm.held(id).await, [gbp("380.00")]);
    assert_eq!(
        stands(report).await,
        (SupplierState::Paid, Some(Side::Business))
    );
    // All of them, of all matters, the latest first.
    let listed = firm.gateway.ask(&ListClientPayments::default()).await;
    let states: Vec<_> = listed
        .unwrap()
        .items
        .into_iter()
        .map(|one| (one.matter_ref, one.payment.payee, one.payment.state))
        .collect();
    let of = |payee: &str, state| ("OIC-25-05000".to_owned(), payee.to_owned(), state);
    assert_eq!(
        states,
        [
            of("Dr Who", ClientPaymentState::Voided),
            of("HM Courts", ClientPaymentState::Paid),
        ]
    );
    assert_conserved(&firm.suite).await;
}

/// SRA 5.3 under concurrency: ten people pay the same money away at once, and it
/// goes once.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_pays_out_more_than_is_held_however_many_try_at_once() {
    let firm = Arc::new(Firm::open().await);
    let case = firm
        .tell("m1", &matter("OIC-25-03000", MatterStatus::Opened))
        .await;
    let money = firm.pay_in(&receipt("DAMAGES", "1000.00")).await;
    firm.split(
        &money,
        case.matter_id,
        vec![part(Component::Damages, "1000.00")],
    )
    .await
    .unwrap();
    assert_eq!(
        code(firm.ask_back(case.matter_id, "1000.01").await),
        "matters.more_than_held"
    );
    // Each of them fits when it is asked for.
    let tries = (0..10).map(|_| {
        let firm = firm.clone();
        async move {
            let asked = firm.ask_back(case.matter_id, "300.00").await.unwrap();
            firm.approve_payment(case.matter_id, &asked).await
        }
    });
    let states = futures::future::join_all(tries).await;
    let count = |state| states.iter().filter(|other| **other == state).count();
    assert_eq!(count(ClientPaymentState::Paid), 3);
    assert_eq!(count(ClientPaymentState::Voided), 7);
    assert_eq!(firm.held(case.matter_id).await, [gbp("100.00")]);
    // The database holds it too, whatever the code does.
    let forced = sqlx::query(
        "insert into allocation.matter_entry (entry_id, matter_id, side, kind, currency, amount, cause, reason, actor,
             effective_on, recorded_at)
         values (gen_random_uuid(), $1, 'client', 'paid_out', 'GBP', -100.01, gen_random_uuid(), 'x', 'x',
             '2026-01-21', now())",
    )
    .bind(case.matter_id.as_uuid())
    .execute(firm.suite.admin_pool())
    .await
    .unwrap_err();
    assert!(
        forced.to_string().contains("client_balance_never_negative"),
        "{forced}"
    );
}

/// A residual balance above the limit needs the SRA; a reason to hold closes the
/// case, and its end opens it again. File numbers agree with the case system's,
/// or every one that differs is told.
#[tokio::test(flavor = "multi_thread")]
async fn above_the_limit_the_sra_is_asked_and_file_numbers_are_exact() {
    let firm = Firm::open().await;
    let case = firm
        .tell("m1", &matter("OIC-25-04000", MatterStatus::Opened))
        .await;
    let id = case.matter_id;
    firm.tell("m2", &matter("OIC-25-04001", MatterStatus::Opened))
        .await;
    let money = firm.pay_in(&receipt("DAMAGES", "500.01")).await;
    firm.split(&money, id, vec![part(Component::Damages, "500.01")])
        .await
        .unwrap();
    firm.tell(
        "m1-closed",
        &BillingMatter {
            concluded_on: Some(day("2026-01-10")),
            closed_on: Some(day("2026-01-20")),
            ..matter("OIC-25-04000", MatterStatus::Closed)
        },
    )
    .await;
    let found = firm.residual("OIC-25-04000").await;
    let propose = |route| ProposeRoute {
        command_id: CommandId::generate(),
        residual_id: found.residual_id,
        route,
        payee: "Access to Justice Foundation".into(),
        charity_number: Some("1126147".into()),
        bank_account: None,
        actor: "user:payments".into(),
        reason: "the owner cannot be found".into(),
    };
    assert_eq!(
        code(firm.gateway.ask(&propose(ResidualRoute::Charity)).await),
        "matters.above_charity_limit"
    );
    for channel in ["letter", "tracing agent"] {
        firm.gateway
            .ask(&TraceOwner {
                command_id: CommandId::generate(),
                residual_id: found.residual_id,
                on: day("2026-01-21"),
                channel: channel.into(),
                outcome: "nothing".into(),
                actor: "user:payments".into(),
            })
            .await
            .unwrap();
    }
    assert_eq!(
        code(
            firm.gateway
                .ask(&propose(ResidualRoute::SraAuthorised))
                .await
        ),
        "matters.no_sra_application"
    );
    firm.gateway
        .ask(&RecordSraApplication {
            command_id: CommandId::generate(),
            residual_id: found.residual_id,
            on: day("2026-01-21"),
            reference: "SRA-1".into(),
            actor: "user:payments".into(),
        })
        .await
        .unwrap();
    let asked = firm
        .gateway
        .ask(&propose(ResidualRoute::SraAuthorised))
        .await
        .unwrap();
    assert_eq!(asked.residual.state, ResidualState::Proposed);

    // Somebody finds a reason to hold it: no residual balance while it lasts.
    firm.gateway
        .ask(&HoldClientMoney {
            command_id: CommandId::generate(),
            matter_id: id,
            hold: Some(Hold {
                reason: "the client has been found".into(),
                until: day("2026-02-28"),
            }),
            actor: "user:payments".into(),
        })
        .await
        .unwrap();
    eventually("the case is closed", DEADLINE, async || {
        let page = firm.gateway.ask(&ListResiduals::default()).await.unwrap();
        page.items.is_empty()
    })
    .await;
    // What was asked for has changed: nobody need decide it.
    let approval_id = asked.proposal.unwrap().approval_id.unwrap();
    eventually("the request is void", DEADLINE, async || {
        let ask = GetApproval {
            approval_id,
            person: Person {
                actor: "user:manager".into(),
                roles: vec!["manager".into()],
            },
        };
        let found = firm.gateway.ask(&ask).await;
        found.is_ok_and(|found| found.approval.state == ApprovalState::Voided)
    })
    .await;

    // Two files, one closed.
    let counts = firm
        .gateway
        .ask(&CountMatters { as_at: None })
        .await
        .unwrap();
    assert_eq!((counts.opened, counts.closed, counts.not_closed), (1, 1, 1));
    let then = firm
        .gateway
        .ask(&CountMatters {
            as_at: Some(day("2026-01-15")),
        })
        .await
        .unwrap();
    assert_eq!((then.opened, then.concluded, then.closed), (1, 1, 0));
    let check = firm
        .gateway
        .ask(&CheckMatters {
            as_at: None,
            theirs: vec![
                TheirMatter {
                    matter_ref: "OIC-25-04001".into(),
                    status: MatterStatus::Opened,
                },
                TheirMatter {
                    matter_ref: "OIC-25-04009".into(),
                    status: MatterStatus::Opened,
                },
            ],
        })
        .await
        .unwrap();
    assert!(!check.agrees);
    let differing: Vec<_> = check
        .differences
        .iter()
        .map(|d| d.matter_ref.as_str())
        .collect();
    assert_eq!(differing, ["OIC-25-04009"]);
    let due = firm.gateway.ask(&ListBankMoves::default()).await.unwrap();
    assert_eq!(
        due.items.len(),
        1,
        "the damages stand on the business account"
    );
    assert!(firm.gateway.ask(&CheckInvariants {}).await.unwrap().holds);
}
