//! Interest and compensation for late payment: worked out, posted as items of
//! their own, taken back; and statements.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use contracts::{
    Role,
    api::{
        Refusal,
        controls::Person,
        dunning::{
            ChargeView, GetLatePayment, GetStatement, LatePayment, ListDunningPolicies, PostCharge,
            Statement, TakeBackCharge,
        },
        reporting::{AccountKey, GetAccount},
    },
    dunning::{ChargeKind, ChargeState, ChaseReason},
    inbound::{AccountKind, RemittanceLine, RemittanceText},
};
use kernel::{AccountId, CommandId, Currency, DocumentId, ManualClock, Money};
use messaging::Bus;
use testkit::{DEADLINE, Running, Suite, account, document, eventually, eventually_some, receipt};
use uuid::Uuid;

/// Dropped in this order: nobody works any more when the database goes.
struct Office {
    _services: Vec<Running>,
    gateway: Bus,
    suite: Suite,
}

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

fn jo() -> Person {
    Person {
        actor: "user:jo".to_owned(),
        roles: vec!["controller".to_owned()],
    }
}

impl Office {
    /// On 30 September 2026, 61 days after 31 July.
    async fn open() -> Self {
        let clock = ManualClock::new("2026-09-30T09:00:00Z".parse().unwrap());
        let suite = Suite::start_with(clock, |_| {}).await;
        let services = vec![
            suite
                .run(Role::Ingestion, |bus| {
                    ingestion::run(bus, ingestion::Options::default())
                })
                .await,
            suite.run(Role::Allocation, allocation::run).await,
            suite.run(Role::Dunning, dunning::run).await,
            suite.run(Role::Reporting, reporting::run).await,
        ];
        let gateway = suite.bus(Role::Gateway).await;
        let office = Self {
            suite,
            gateway,
            _services: services,
        };
        eventually("dunning answers", DEADLINE, async || {
            office.gateway.ask(&ListDunningPolicies {}).await.is_ok()
        })
        .await;
        office
    }

    async fn debtor(&self, account_ref: &str, kind: AccountKind, amount: &str) -> AccountId {
        let mut debtor = account(account_ref);
        debtor.kind = kind;
        self.suite.publish_account(account_ref, &debtor).await;
        let document_ref = format!("INV-{account_ref}");
        let mut bill = document(&document_ref, account_ref, amount);
        bill.issued_on = "2026-07-01".parse().unwrap();
        bill.due_on = "2026-07-31".parse().unwrap();
        self.suite.publish_document(&document_ref, &bill).await;
        let id = eventually_some("the account is known", DEADLINE, async || {
            let key = AccountKey::Ref(account_ref.to_owned());
            let found = self.gateway.ask(&GetAccount { account: key }).await;
            found.ok().map(|view| view.account_id)
        })
        .await;
        eventually("dunning knows the document", DEADLINE, async || {
            !self.statement(id, false).await.lines.is_empty()
        })
        .await;
        id
    }

    async fn statement(&self, account_id: AccountId, red: bool) -> Statement {
        eventually_some("dunning knows the account", DEADLINE, async || {
            self.gateway
                .ask(&GetStatement {
                    account_id,
                    red,
                    as_at: None,
                })
                .await
                .ok()
        })
        .await
    }

    async fn late(&self, account_id: AccountId) -> LatePayment {
        let ask = GetLatePayment {
            account_id,
            until: None,
        };
        self.gateway.ask(&ask).await.unwrap()
    }

    async fn post(
        &self,
        account_id: AccountId,
        document_id: DocumentId,
        kind: ChargeKind,
    ) -> Result<ChargeView, Refusal> {
        self.gateway
            .ask(&PostCharge {
                command_id: CommandId::generate(),
                account_id,
                document_id,
                kind,
                reason: "they were warned".to_owned(),
                person: jo(),
            })
            .await
    }
}

/// uk-domain 4.2 to the penny; E72: what was posted is not posted again; a claim
/// bears no interest itself (E69).
#[tokio::test]
async fn a_claim_is_worked_out_posted_as_an_item_and_taken_back() {
    let office = Office::open().await;
    let debtor = office
        .debtor("LATE01", AccountKind::Company, "10000.00")
        .await;
    let late = office.late(debtor).await;
    assert_eq!(late.none_because, None);
    let claim = &late.claims[0];
    assert_eq!(claim.interest, gbp("196.37"));
    assert_eq!(claim.compensation, Some(gbp("100.00")));
    assert!(
        claim
            .working
            .iter()
            .any(|line| line.contains("61 days on £10,000.00 at 11.75 %")),
        "{:?}",
        claim.working
    );

    let document = claim.document_id;
    let interest = office.post(debtor, document, ChargeKind::Interest).await;
    let interest = interest.unwrap();
    assert_eq!(interest.amount, gbp("196.37"));
    let again = office.post(debtor, document, ChargeKind::Interest).await;
    assert_eq!(again.unwrap_err().code, "dunning.claim_nothing");
    let fixed = office
        .post(debtor, document, ChargeKind::Compensation)
        .await;
    assert_eq!(fixed.unwrap().amount, gbp("100.00"));
    let twice = office
        .post(debtor, document, ChargeKind::Compensation)
        .await;
    assert_eq!(twice.unwrap_err().code, "dunning.claim_once");

    // Each is an item of its own, which owes and bears nothing further.
    let statement = eventually_some("the charges are on the ledger", DEADLINE, async || {
        let statement = office.statement(debtor, false).await;
        (statement.lines.len() == 3).then_some(statement)
    })
    .await;
    assert_eq!(statement.totals, [gbp("10296.37")]);
    let claims: Vec<_> = office.late(debtor).await.claims;
    assert_eq!(claims.len(), 1, "there is no interest on interest");

    let back = office
        .gateway
        .ask(&TakeBackCharge {
            command_id: CommandId::generate(),
            charge_id: interest.charge_id,
            wrong: false,
            reason: "goodwill".to_owned(),
            person: jo(),
        })
        .await
        .unwrap();
    assert_eq!(back.state, ChargeState::Waived);
    eventually("a credit note is on the ledger", DEADLINE, async || {
        office.statement(debtor, false).await.totals == [gbp("10100.00")]
    })
    .await;
    // What was given up is not asked for again.
    let again = office.post(debtor, document, ChargeKind::Interest).await;
    assert_eq!(again.unwrap_err().code, "dunning.claim_nothing");
}

/// E70: a consumer owes neither.
#[tokio::test]
async fn e70_nothing_is_claimed_from_a_consumer() {
    let office = Office::open().await;
    let debtor = office
        .debtor("LATE11", AccountKind::Individual, "500.00")
        .await;
    let late = office.late(debtor).await;
    assert_eq!(late.claims, []);
    assert!(late.none_because.unwrap().contains("consumer"));
    let document = office.statement(debtor, false).await.lines[0].document_id;
    let refused = office.post(debtor, document, ChargeKind::Interest).await;
    assert_eq!(refused.unwrap_err().code, "dunning.claim_consumer");
}

/// A red statement has what is overdue; what is left out says why.
#[tokio::test]
async fn a_red_statement_has_what_is_overdue_and_says_why_the_rest_is_left_out() {
    let office = Office::open().await;
    let debtor = office.debtor("LATE21", AccountKind::Company, "80.00").await;
    let mut credit = document("CN-LATE21", "LATE21", "30.00");
    credit.kind = contracts::inbound::DocumentKind::CreditNote;
    credit.issued_on = "2026-09-01".parse().unwrap();
    credit.due_on = "2026-09-01".parse().unwrap();
    office.suite.publish_document("CN-LATE21", &credit).await;
    let red = eventually_some("the credit note counts", DEADLINE, async || {
        let red = office.statement(debtor, true).await;
        // What it takes off may be known before the credit note itself.
        (red.totals == [gbp("50.00")] && red.left_out.len() == 1).then_some(red)
    })
    .await;
    assert_eq!(red.lines.len(), 1);
    assert_eq!(red.left_out[0].open, gbp("-30.00"));
    assert_eq!(red.ageing[0].title, "61–90 days");
    assert_ne!(red.lines[0].reason, Some(ChaseReason::CreditUnused));
    let whole = office.statement(debtor, false).await;
    assert_eq!(whole.totals, [gbp("50.00")]);
    assert_ne!(whole.content_sha256, red.content_sha256);
}

/// A line of the ledger counts once, also when it comes again in a message of
/// another id.
#[tokio::test]
async fn what_was_paid_is_counted_once_however_often_it_is_told() {
    let office = Office::open().await;
    let debtor = office
        .debtor("LATE31", AccountKind::Company, "100.00")
        .await;
    let mut paid = receipt("R-LATE31", "40.00");
    paid.remittance = Some(RemittanceText {
        unstructured: vec!["INV-LATE31".to_owned()],
        structured: vec![RemittanceLine {
            document_number: "INV-LATE31".to_owned(),
            amount: Some("40.00".to_owned()),
            kind: None,
        }],
    });
    office.suite.publish_receipt("R-LATE31", &paid).await;
    let owed = async || office.statement(debtor, false).await.totals;
    eventually("the payment counts", DEADLINE, async || {
        owed().await == [gbp("60.00")]
    })
    .await;
    let name = office
        .suite
        .prefix()
        .stream(contracts::catalogue::ALLOCATION);
    let stream = office.suite.jetstream().get_stream(name).await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    let mut again = 0;
    for sequence in 1..=last {
        let Ok(message) = stream.get_raw_message(sequence).await else {
            continue;
        };
        let mut headers = message.headers.clone();
        let id = Uuid::now_v7().to_string();
        headers.insert("Nats-Msg-Id", id.as_str());
        headers.insert("ce-id", id.as_str());
        if message.subject.contains(".receipt_posted.") {
            let js = office.suite.jetstream();
            let sent = js
                .publish_with_headers(message.subject, headers, message.payload)
                .await;
            sent.unwrap().await.unwrap();
            again += 1;
        }
    }
    assert_eq!(again, 1);
    // What comes after it on the stream has been read: so has the copy.
    let mut next = document("INV-LATE32", "LATE31", "5.00");
    next.due_on = "2026-07-31".parse().unwrap();
    office.suite.publish_document("INV-LATE32", &next).await;
    eventually("the next document is known", DEADLINE, async || {
        office.statement(debtor, false).await.lines.len() == 2
    })
    .await;
    assert_eq!(owed().await, [gbp("65.00")]);
}
