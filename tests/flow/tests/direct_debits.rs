//! Direct Debit on real servers: what a collection will bring is not chased, and is
//! chased again when the bank says that it will not come.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod imports;

use chrono::{Datelike as _, NaiveDate};
use contracts::{
    Role,
    allocation::TermKind,
    api::{
        Refusal,
        allocation::{FindOpenItems, ListReceipts, OpenItemView},
        controls::{GetApproval, ListLimits, Person},
        direct_debits::{
            AdvanceNotice, BacsFileView, CollectionRunState, CollectionRunView, CollectionView,
            DiscardCollectionRun, FetchBacsFile, GetBacsUser, GetMandate, ListBacsFiles,
            ListCollectionRuns, ListMandates, MakeCollectionFile, MakeInstructionFile, MandateView,
            OpenNow, PresentAgain, ProposeCollections, Proposed, RecordNotices, ToCollect,
        },
        dunning::{GetStanding, ListPromises},
        ingestion::{GetImport, ImportState, ImportView},
        returns::GetChaseable,
    },
    controls::ApprovalState,
    dunning::ChaseReason,
    inbound::{BankAccountRef, BankReceipt, BillingMandate, MandateStatus},
    ingestion::{BacsFileId, CollectionState, MandateState},
};
use ingestion::domain::mandate::advice::{Advice, Kind};
use kernel::{CommandId, Currency, ImportId, ManualClock, Money};
use messaging::Bus;
use testkit::{DEADLINE, Running, Suite, account, document, eventually, eventually_some, receipt};

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

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn officer() -> Person {
    Person {
        actor: "user:pat".into(),
        roles: vec!["payments_officer".into()],
    }
}

fn options() -> ingestion::Options {
    ingestion::Options {
        bacs: ingestion::Bacs {
            user_number: "123456".into(),
            user_name: "Harbour Legal LLP".into(),
            account: "200000-55779911".into(),
            notice_days: None,
        },
        ..ingestion::Options::default()
    }
}

const ENTRY: &str = "2026-03-06";
const REFERENCE: &str = "HARBOUR001";
const NEW_ACCOUNT: &str = "GB:207405-11112222";

fn advice(kind: Kind, code: &str, reported: &str) -> Advice {
    Advice {
        kind,
        user_number: "123456".into(),
        // As reports have it, padded.
        reference: format!("{REFERENCE:<18}"),
        code: code.into(),
        payer_name: None,
        payer_account: None,
        new_payer_account: None,
        effective_on: None,
        reported_on: day(reported),
    }
}

/// How often a report and its mandate come at once.
const ROUNDS: usize = 12;

/// The report of Bacs that says it.
fn report(advice: &Advice) -> String {
    let (user, reference, on) = (&advice.user_number, &advice.reference, advice.reported_on);
    if advice.kind == Kind::Unpaid {
        let original = advice.effective_on.unwrap();
        let code = format!("{}{:03}", advice.code, original.ordinal());
        return format!(
            r#"<?xml version="1.0" encoding="ISO-8859-1"?>
<BACSDocument><Data><ARUDD><Header reportType="REFT1019" adviceNumber="001" currentProcessingDate="{on}"/>
<ServiceLicenseInformation userName="OURS" userNumber="{user}"/><Advice><OriginatingAccountRecords><OriginatingAccountRecord>
<OriginatingAccount name="OURS" number="55779911" sortCode="20-00-00"/>
<ReturnedDebitItem ref="{reference}" transCode="17" returnCode="{code}" returnDescription="AS SAID" originalProcessingDate="{original}" valueOf="120.00" currency="GBP"><PayerAccount number="88837491" name="Acme Ltd" sortCode="10-79-99"/></ReturnedDebitItem>
<Totals numberOf="1" valueOf="120.00" currency="GBP"/>
</OriginatingAccountRecord></OriginatingAccountRecords></Advice></ARUDD></Data></BACSDocument>"#
        );
    }
    let (name, kind) = match advice.kind {
        Kind::Addacs => ("ADDACS", "A"),
        _ => ("AUDDIS", "N"),
    };
    let new = advice.new_payer_account.as_deref().map(|account| {
        let (sort_code, number) = account[3..].split_once('-').unwrap();
        format!(r#" payer-new-sort-code="{sort_code}" payer-new-account-number="{number}""#)
    });
    format!(
        r#"<?xml version="1.0" encoding="ISO-8859-1"?>
<BACSDocument><Data><MessagingAdvices>
<MessagingHeader report-type="{name}" user-name="OURS" user-number="{user}" report-generation-date="{on}"/>
<MessagingAdvice user-number="{user}" record-type="{kind}" effective-date="{on}" reference="{reference}" reason-code="{code}" payer-name="Acme Ltd"{new}/>
</MessagingAdvices></Data></BACSDocument>"#,
        code = advice.code,
        new = new.unwrap_or_default(),
    )
}

impl Office {
    /// On Monday 2 March 2026; the bills were due on 31 January.
    async fn open(status: MandateStatus) -> Self {
        let office = Self::without_mandate().await;
        office.mandate(status).await;
        office
    }

    async fn without_mandate() -> Self {
        let clock = ManualClock::new("2026-03-02T09:00:00Z".parse().unwrap());
        let suite = Suite::start_with(clock.clone(), |_| {}).await;
        let services = vec![
            suite
                .run(Role::Ingestion, |bus| ingestion::run(bus, options()))
                .await,
            suite.run(Role::Allocation, allocation::run).await,
            suite.run(Role::Dunning, dunning::run).await,
            suite.run(Role::Worklist, worklist::run).await,
        ];
        let office = Self {
            gateway: suite.bus(Role::Gateway).await,
            suite,
            clock,
            _services: services,
        };
        eventually("the services answer", DEADLINE, async || {
            office.gateway.ask(&ListReceipts::default()).await.is_ok()
                && office.gateway.ask(&ListPromises::default()).await.is_ok()
                && office.gateway.ask(&GetBacsUser {}).await.is_ok()
                && office.gateway.ask(&ListLimits {}).await.is_ok()
        })
        .await;
        office
            .suite
            .publish_account("acme", &account("ACME01"))
            .await;
        office
    }

    /// Billing tells of a mandate, in a message of this id.
    async fn tell(&self, id: &str, reference: &str, status: MandateStatus) {
        let told = BillingMandate {
            mandate_reference: reference.into(),
            account_ref: "ACME01".into(),
            payer_name: "Acme Ltd".into(),
            payer_account: BankAccountRef {
                sort_code: Some("10-79-99".into()),
                account_number: Some("88837491".into()),
                iban: None,
            },
            signed_on: day("2026-01-05"),
            paperless: true,
            status: Some(status),
        };
        let payload = serde_json::to_vec(&told).unwrap();
        self.suite
            .publish("in.billing.mandates.books", id, payload)
            .await;
    }

    async fn mandate(&self, status: MandateStatus) {
        self.tell(REFERENCE, REFERENCE, status).await;
        eventually("the mandate is known", DEADLINE, async || {
            let page = self.gateway.ask(&ListMandates::default()).await.unwrap();
            page.items.len() == 1
        })
        .await;
    }

    /// What it has been, and why, oldest first.
    async fn history(&self, mandate: &MandateView) -> Vec<(MandateState, String)> {
        let ask = GetMandate {
            mandate_id: mandate.mandate_id,
        };
        let history = self.gateway.ask(&ask).await.unwrap().history;
        history
            .into_iter()
            .map(|step| (step.state, step.reason))
            .collect()
    }

    /// What stands with an import now.
    async fn complaints(&self, import_id: ImportId) -> Vec<(String, String)> {
        let view = self.gateway.ask(&GetImport { import_id }).await.unwrap();
        view.problems
            .into_iter()
            .map(|problem| (problem.code, problem.detail))
            .collect()
    }

    async fn count(&self, rows: &'static str) -> i64 {
        sqlx::query_scalar(rows)
            .fetch_one(self.suite.admin_pool())
            .await
            .unwrap()
    }

    async fn discard(&self, run: &CollectionRunView) -> Result<CollectionRunView, Refusal> {
        let ask = DiscardCollectionRun {
            command_id: CommandId::generate(),
            run_id: run.run_id,
            reason: "the client asked us to wait".into(),
            person: officer(),
        };
        let over = self.gateway.ask(&ask).await?;
        let again = self.gateway.ask(&ask).await?;
        assert_eq!(again, over, "the same command does it once");
        Ok(over)
    }

    async fn make_instructions(&self) -> BacsFileView {
        let make = MakeInstructionFile {
            command_id: CommandId::generate(),
            processing_on: None,
            person: officer(),
        };
        self.gateway.ask(&make).await.unwrap()
    }

    async fn its_mandate(&self) -> MandateView {
        let page = self.gateway.ask(&ListMandates::default()).await.unwrap();
        page.items.into_iter().next().unwrap()
    }

    async fn bill(&self, document_ref: &str, gross: &str) -> OpenItemView {
        self.suite
            .publish_document(document_ref, &document(document_ref, "ACME01", gross))
            .await;
        let item = eventually_some("the document is posted", DEADLINE, async || {
            let ask = FindOpenItems {
                search: Some(document_ref.into()),
                ..FindOpenItems::default()
            };
            let found = self.gateway.ask(&ask).await.unwrap().items;
            found.into_iter().find(|i| i.document_ref == document_ref)
        })
        .await;
        eventually("dunning knows it", DEADLINE, async || {
            self.reason(&item).await.is_some()
        })
        .await;
        item
    }

    async fn reason(&self, item: &OpenItemView) -> Option<ChaseReason> {
        let ask = GetStanding {
            account_id: item.account_id,
        };
        let standing = self.gateway.ask(&ask).await.unwrap();
        let of = |i: &&contracts::api::dunning::ItemStanding| i.document_id == item.document_id;
        standing.items.iter().find(of).map(|i| i.reason)
    }

    /// E77: what may be chased, and whether a Direct Debit is why not the rest.
    async fn chased(&self, item: &OpenItemView, amount: &str, by_debit: bool) {
        let wanted = gbp(amount);
        eventually(&format!("{amount} may be chased"), DEADLINE, async || {
            let ask = GetChaseable {
                account_id: item.account_id,
                items: vec![item.document_id],
            };
            let now = self.gateway.ask(&ask).await.unwrap();
            now.items.iter().any(|i| {
                let debit = i.terms.iter().find(|t| t.kind == TermKind::InDirectDebit);
                i.chaseable == wanted
                    && debit.is_some_and(|term| !term.events.is_empty()) == by_debit
            })
        })
        .await;
        eventually("dunning says why", DEADLINE, async || {
            let reason = self.reason(item).await;
            (reason == Some(ChaseReason::DirectDebitWillCollect)) == by_debit
        })
        .await;
    }

    async fn announce(&self, amount: &str, entry: &str) {
        let ask = RecordNotices {
            command_id: CommandId::generate(),
            notices: vec![AdvanceNotice {
                mandate_reference: REFERENCE.into(),
                channel: "invoice".into(),
                sent_on: day("2026-02-16"),
                entry_on: day(entry),
                amount: gbp(amount),
                reference: "INV".into(),
            }],
            person: officer(),
        };
        assert_eq!(self.gateway.ask(&ask).await.unwrap().recorded, 1);
    }

    async fn propose(&self, items: &[&OpenItemView], entry: &str) -> Proposed {
        let ask = ProposeCollections {
            command_id: CommandId::generate(),
            entry_on: day(entry),
            documents: items
                .iter()
                .map(|item| ToCollect {
                    document_id: item.document_id,
                    amount: item.open,
                    last: false,
                })
                .collect(),
            reason: "due".into(),
            person: officer(),
        };
        let proposed = self.gateway.ask(&ask).await.unwrap();
        let again = self.gateway.ask(&ask).await.unwrap();
        assert_eq!(again.run, proposed.run, "the same command is the same run");
        proposed
    }

    async fn approved(&self, run: &CollectionRunView) {
        testkit::rules::approve(&self.gateway, run.approval_id.unwrap()).await;
        eventually("the run is approved", DEADLINE, async || {
            self.run(run).await.state == CollectionRunState::Approved
        })
        .await;
    }

    async fn run(&self, run: &CollectionRunView) -> CollectionRunView {
        let page = self.gateway.ask(&ListCollectionRuns::default()).await;
        let mut found = page.unwrap().items.into_iter();
        found.find(|other| other.run_id == run.run_id).unwrap()
    }

    async fn collection(&self, run: &CollectionRunView) -> CollectionView {
        self.run(run).await.collections.remove(0)
    }

    async fn file(&self, run: &CollectionRunView, item: &OpenItemView) -> BacsFileId {
        let ask = MakeCollectionFile {
            command_id: CommandId::generate(),
            run_id: run.run_id,
            open: vec![OpenNow {
                document_id: item.document_id,
                open: item.open,
            }],
            person: officer(),
        };
        let made = self.gateway.ask(&ask).await.unwrap();
        assert_eq!(made.state, CollectionRunState::InFile);
        made.file_id.unwrap()
    }

    async fn fetch(&self, file_id: BacsFileId) -> String {
        let ask = FetchBacsFile {
            command_id: CommandId::generate(),
            file_id,
            person: officer(),
        };
        let text = self.gateway.ask(&ask).await.unwrap().text;
        assert_eq!(self.gateway.ask(&ask).await.unwrap().text, text);
        text
    }

    /// A report comes in, twice.
    async fn hear(&self, advice: Advice) -> ImportId {
        let file = report(&advice);
        let view = self.import(file.as_bytes()).await;
        assert_eq!(view.state, ImportState::Recorded, "{:?}", view.problems);
        assert_eq!(view.recorded, 1);
        // A report that is read again says nothing new.
        let again = self.import(format!("{file}\n").as_bytes()).await;
        assert_eq!((again.recorded, again.duplicates), (0, 1));
        view.import_id
    }

    async fn import(&self, file: &[u8]) -> ImportView {
        imports::import(&self.gateway, file).await
    }

    /// A collection of one bill that a second person approved.
    async fn due(&self, item: &OpenItemView) -> CollectionRunView {
        self.announce(&item.open.amount().to_string(), ENTRY).await;
        let run = self.propose(&[item], ENTRY).await.run.unwrap();
        self.approved(&run).await;
        run
    }
}

/// E77 and E38: a collection is under way, so nobody is chased; the payer cancels,
/// so the collection is dropped and the bill is chased again.
#[tokio::test(flavor = "multi_thread")]
async fn e77_e38_what_a_direct_debit_will_collect_is_not_chased_until_the_payer_cancels() {
    let office = Office::open(MandateStatus::Active).await;
    let item = office.bill("INV-1", "120.00").await;
    let blocked = office.propose(&[&item], ENTRY).await;
    assert_eq!(blocked.run, None);
    assert_eq!(blocked.blocked[0].code, "collections.no_notice");

    office.announce("120.00", ENTRY).await;
    let run = office.propose(&[&item], ENTRY).await.run.unwrap();
    assert_eq!(
        (run.total, run.processing_on),
        (gbp("120.00"), day("2026-03-05"))
    );
    office.chased(&item, "120.00", false).await;
    let second = office.propose(&[&item], ENTRY).await;
    assert_eq!(second.blocked[0].code, "collections.under_way");
    office.approved(&run).await;
    office.chased(&item, "0.00", true).await;

    office.hear(advice(Kind::Addacs, "1", "2026-03-03")).await;
    let mandate = office.its_mandate().await;
    assert_eq!(mandate.state, MandateState::Cancelled);
    assert!(mandate.to_do.is_some());
    let gone = office.collection(&run).await;
    assert_eq!(gone.state, CollectionState::Cancelled);
    assert_eq!(gone.reason, "ADDACS 1: cancelled by the payer");
    office.chased(&item, "120.00", false).await;
    let ask = GetMandate {
        mandate_id: mandate.mandate_id,
    };
    let history = office.gateway.ask(&ask).await.unwrap().history;
    let states: Vec<MandateState> = history.iter().map(|step| step.state).collect();
    assert_eq!(states, [MandateState::Active, MandateState::Cancelled]);
    let stopped = office.propose(&[&item], ENTRY).await;
    assert_eq!(stopped.blocked[0].code, "collections.mandate_not_active");
}

/// Sent and collected: the statement's credit pays the bill, and when the days in
/// which it could come back are over the collection is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_collection_goes_to_bacs_and_the_statements_credit_pays_the_bill() {
    let office = Office::open(MandateStatus::Active).await;
    let item = office.bill("INV-1", "120.00").await;
    let run = office.due(&item).await;
    let file = office.file(&run, &item).await;
    office.chased(&item, "0.00", true).await;
    let text = office.fetch(file).await;
    let line = text.lines().find(|line| line.contains(REFERENCE)).unwrap();
    assert!(line.starts_with("10799988837491017"), "{line}");
    assert!(line.contains("00000012000HARBOUR LEGAL LLP"), "{line}");
    assert_eq!(office.collection(&run).await.state, CollectionState::Sent);

    office.clock.set("2026-03-06T08:00:00Z".parse().unwrap());
    let credit = BankReceipt {
        booked_on: day(ENTRY),
        value_on: day(ENTRY),
        scheme: Some("dd_collection".into()),
        mandate_reference: Some(REFERENCE.into()),
        ..receipt("INV-1", "120.00")
    };
    office.suite.publish_receipt("credit", &credit).await;
    eventually("the bill is paid", DEADLINE, async || {
        let ask = GetChaseable {
            account_id: item.account_id,
            items: vec![item.document_id],
        };
        let now = office.gateway.ask(&ask).await.unwrap();
        now.items.iter().all(|i| i.open.is_zero())
    })
    .await;
    office.clock.set("2026-03-11T08:00:00Z".parse().unwrap());
    eventually("the collection is done", DEADLINE, async || {
        office.collection(&run).await.state == CollectionState::Collected
    })
    .await;
}

/// E38 after the file is made: unfetched, it is void and another has the new
/// details; fetched, the collection is at risk and there is no second one. E36:
/// what came back with ARUDD 0 is presented again.
#[tokio::test(flavor = "multi_thread")]
async fn e38_an_amendment_voids_an_unsent_file_and_puts_a_sent_collection_at_risk() {
    let office = Office::open(MandateStatus::Active).await;
    let item = office.bill("INV-1", "120.00").await;
    let run = office.due(&item).await;
    let old = office.file(&run, &item).await;
    office
        .hear(Advice {
            new_payer_account: Some(NEW_ACCOUNT.into()),
            ..advice(Kind::Addacs, "C", "2026-03-02")
        })
        .await;
    let ask = FetchBacsFile {
        command_id: CommandId::generate(),
        file_id: old,
        person: officer(),
    };
    let refused = office.gateway.ask(&ask).await.unwrap_err();
    assert_eq!(refused.code, "ingestion.bacs_file_void");
    assert_eq!(
        office.collection(&run).await.state,
        CollectionState::Approved
    );
    let file = office.file(&run, &item).await;
    let text = office.fetch(file).await;
    assert!(text.contains("207405111122220"), "the new account");
    assert!(!text.contains("88837491"));
    let files = office.gateway.ask(&ListBacsFiles::default()).await.unwrap();
    assert!(files.items[1].void.is_some() && files.items[0].void.is_none());

    let newest = Advice {
        new_payer_account: Some("GB:207405-33334444".into()),
        ..advice(Kind::Addacs, "E", "2026-03-03")
    };
    office.hear(newest).await;
    assert_eq!(office.collection(&run).await.state, CollectionState::AtRisk);
    let second = office.propose(&[&item], ENTRY).await;
    assert_eq!(second.blocked[0].code, "collections.under_way");
    office.chased(&item, "0.00", true).await;

    office.clock.set("2026-03-09T09:00:00Z".parse().unwrap());
    let unpaid = Advice {
        effective_on: Some(day("2026-03-05")),
        ..advice(Kind::Unpaid, "0", "2026-03-09")
    };
    office.hear(unpaid).await;
    let back = office.collection(&run).await;
    assert_eq!(back.state, CollectionState::Returned);
    assert_eq!(back.again_until, Some(day("2026-04-04")));
    office.chased(&item, "120.00", false).await;

    let again = PresentAgain {
        command_id: CommandId::generate(),
        collection_id: back.collection_id,
        entry_on: day("2026-03-16"),
        reason: "funds are expected".into(),
        person: officer(),
    };
    let once_more = office.gateway.ask(&again).await.unwrap();
    assert_eq!(
        office.gateway.ask(&again).await.unwrap().run_id,
        once_more.run_id
    );
    let twice = PresentAgain {
        command_id: CommandId::generate(),
        ..again
    };
    let refused = office.gateway.ask(&twice).await.unwrap_err();
    assert_eq!(refused.code, "collections.under_way");
    office.approved(&once_more).await;
    let file = office.file(&once_more, &item).await;
    let text = office.fetch(file).await;
    let line = text.lines().find(|line| line.contains(REFERENCE)).unwrap();
    assert!(line.starts_with("20740533334444018"), "{line}");
}

/// E39: the bank sends a new instruction back after the first collection was
/// scheduled: it is cancelled, and its bill is chased again.
#[tokio::test(flavor = "multi_thread")]
async fn e39_a_returned_instruction_cancels_the_first_collection() {
    let office = Office::open(MandateStatus::New).await;
    let item = office.bill("INV-1", "120.00").await;
    let make = MakeInstructionFile {
        command_id: CommandId::generate(),
        processing_on: None,
        person: officer(),
    };
    let file = office.gateway.ask(&make).await.unwrap();
    assert_eq!(file, office.gateway.ask(&make).await.unwrap());
    assert_eq!((file.records, file.processing_on), (1, day("2026-03-03")));
    let text = office.fetch(file.file_id).await;
    assert!(text.contains("1079998883749100N"), "{text}");
    assert!(text.contains("00000000000HARBOUR LEGAL LLP"));
    let lodged = office.its_mandate().await;
    assert_eq!(lodged.state, MandateState::Lodged);
    assert_eq!(lodged.usable_from, Some(day("2026-03-10")));

    office.announce("120.00", "2026-03-10").await;
    let soon = office.propose(&[&item], "2026-03-09").await;
    assert_eq!(soon.blocked[0].code, "collections.too_soon_after_lodgement");
    let run = office.propose(&[&item], "2026-03-10").await.run.unwrap();
    assert_eq!(run.collections[0].code, "01");
    office.approved(&run).await;
    office.chased(&item, "0.00", true).await;

    office
        .hear(advice(Kind::AuddisReturned, "I", "2026-03-05"))
        .await;
    let mandate = office.its_mandate().await;
    assert_eq!(mandate.state, MandateState::Invalid);
    assert!(mandate.to_do.unwrap().contains("new reference"));
    let gone = office.collection(&run).await;
    assert_eq!(gone.state, CollectionState::Cancelled);
    assert!(gone.reason.contains("payer reference not unique"));
    office.chased(&item, "120.00", false).await;
}

/// What is paid before the file is made is not collected as well.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_paid_meanwhile_is_not_collected() {
    let office = Office::open(MandateStatus::Active).await;
    let item = office.bill("INV-1", "120.00").await;
    let run = office.due(&item).await;
    let ask = MakeCollectionFile {
        command_id: CommandId::generate(),
        run_id: run.run_id,
        open: vec![OpenNow {
            document_id: item.document_id,
            open: gbp("50.00"),
        }],
        person: officer(),
    };
    let made = office.gateway.ask(&ask).await.unwrap();
    assert_eq!((made.state, made.file_id), (CollectionRunState::Over, None));
    assert_eq!(made.collections[0].state, CollectionState::Cancelled);
    office.chased(&item, "120.00", false).await;
}

/// Reports come before their mandate, and not in the order of their days. When
/// billing tells of it they are heard as they would have been, once; what was said
/// when they came stays noted. What is for another service user is not heard.
#[tokio::test(flavor = "multi_thread")]
async fn reports_that_come_before_their_mandate_are_heard_when_it_is_told() {
    let office = Office::without_mandate().await;
    let cancelled = office.hear(advice(Kind::Addacs, "1", "2026-03-02")).await;
    office
        .hear(Advice {
            new_payer_account: Some(NEW_ACCOUNT.into()),
            ..advice(Kind::Addacs, "C", "2026-02-27")
        })
        .await;
    office
        .hear(Advice {
            new_payer_account: Some("GB:207405-33334444".into()),
            ..advice(Kind::Addacs, "E", "2026-02-26")
        })
        .await;
    office
        .hear(Advice {
            user_number: "654321".into(),
            ..advice(Kind::Addacs, "D", "2026-02-27")
        })
        .await;
    let nobody = "select count(*) from ingestion.mandate_advice where mandate_id is null";
    let heard = "select count(*) from ingestion.mandate_advice_later";
    assert_eq!(
        (office.count(nobody).await, office.count(heard).await),
        (4, 0)
    );
    let silent = office.complaints(cancelled).await;
    assert!(
        silent
            .iter()
            .all(|(code, _)| code != "mandate_needs_action")
    );

    office.mandate(MandateStatus::Active).await;
    let mandate = office.its_mandate().await;
    assert_eq!(mandate.state, MandateState::Cancelled);
    assert_eq!(mandate.payer_account, "****2222");
    assert!(mandate.to_do.is_some());
    let history = office.history(&mandate).await;
    let reasons: Vec<&str> = history.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "billing told of it; it was lodged before",
            "ADDACS E: instruction amended",
            "ADDACS C: account transferred to another branch",
            "ADDACS 1: cancelled by the payer",
        ]
    );
    // As if it had come now, the file that said it says what is to do.
    let to_do = office.complaints(cancelled).await;
    let of_mandate = |(code, _): &&(String, String)| code == "mandate_needs_action";
    let to_do: Vec<_> = to_do.iter().filter(of_mandate).collect();
    assert!(
        to_do.len() == 1 && to_do[0].1.starts_with("HARBOUR001: ADDACS 1"),
        "{to_do:?}"
    );
    assert_eq!(
        (office.count(nobody).await, office.count(heard).await),
        (4, 3)
    );

    // Told again, in another message, and changed: heard once.
    office.tell("again", REFERENCE, MandateStatus::Active).await;
    office
        .tell("other", "ANOTHER001", MandateStatus::Active)
        .await;
    eventually("both messages are read", DEADLINE, async || {
        let page = office.gateway.ask(&ListMandates::default()).await.unwrap();
        page.items.len() == 2
    })
    .await;
    assert_eq!(office.history(&mandate).await.len(), 4);
    assert_eq!(office.count(heard).await, 3);
}

/// The same from a CSV file, whose import says what is to do; and a longer
/// reference on a report than the mandate has.
#[tokio::test(flavor = "multi_thread")]
async fn mandates_of_a_csv_file_hear_what_was_said_before_them() {
    let office = Office::without_mandate().await;
    office
        .hear(Advice {
            reference: "HARBOUR001/A".into(),
            ..advice(Kind::Addacs, "D", "2026-02-27")
        })
        .await;
    let file = "mandate_reference,account_ref,payer_name,sort_code,account_number,signed_on,paperless,status\n\
        HARBOUR001,ACME01,Acme Ltd,10-79-99,88837491,2026-01-05,yes,active\n\
        HARBOUR002,ACME01,Acme Ltd,20-74-05,11112222,2026-01-05,no,new\n";
    let view = office.import(file.as_bytes()).await;
    assert_eq!(view.state, ImportState::Recorded, "{:?}", view.problems);
    assert_eq!((view.recorded, view.duplicates), (2, 0));
    let said: Vec<&str> = view.problems.iter().map(|p| p.detail.as_str()).collect();
    assert!(
        said.len() == 1 && said[0].starts_with("HARBOUR001/A: ADDACS D: advance notice disputed;"),
        "{said:?}"
    );
    let page = office.gateway.ask(&ListMandates::default()).await.unwrap();
    let states: Vec<(&str, MandateState)> = page
        .items
        .iter()
        .map(|mandate| (mandate.mandate_reference.as_str(), mandate.state))
        .collect();
    assert_eq!(
        states,
        [
            ("HARBOUR001", MandateState::Suspended),
            ("HARBOUR002", MandateState::Captured),
        ]
    );
    let again = office.import(format!("{file}\n").as_bytes()).await;
    assert_eq!(
        (again.recorded, again.duplicates),
        (0, 2),
        "{:?}",
        again.problems
    );
}

/// Two replicas, one of which reads a report while the other is told the mandate:
/// whichever is first, it is heard once.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_and_its_mandate_that_come_at_once_do_not_miss_each_other() {
    let office = Office::without_mandate().await;
    let second = office
        .suite
        .run(Role::Ingestion, |bus| ingestion::run(bus, options()))
        .await;
    for n in 0..ROUNDS {
        let reference = format!("RACING{n:03}");
        let said = report(&Advice {
            reference: reference.clone(),
            ..advice(Kind::Addacs, "1", "2026-03-02")
        });
        let ((), view) = tokio::join!(
            office.tell(&reference, &reference, MandateStatus::Active),
            office.import(said.as_bytes()),
        );
        assert_eq!(view.recorded, 1, "{:?}", view.problems);
    }
    eventually("each mandate is cancelled", DEADLINE, async || {
        let page = office.gateway.ask(&ListMandates::default()).await.unwrap();
        let of = |m: &&MandateView| m.state == MandateState::Cancelled && m.version == 2;
        page.items.iter().filter(of).count() == ROUNDS
    })
    .await;
    second.stop().await;
}

/// Billing gives a mandate up: its cancellation (0C) goes to the banks in the next
/// file, and nothing is collected meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_mandate_that_billing_gives_up_is_cancelled_at_the_banks() {
    let office = Office::open(MandateStatus::Active).await;
    let item = office.bill("INV-1", "120.00").await;
    let run = office.due(&item).await;
    office
        .tell("over", REFERENCE, MandateStatus::Cancelled)
        .await;
    eventually("its cancellation is due", DEADLINE, async || {
        office.its_mandate().await.state == MandateState::CancelPending
    })
    .await;
    let gone = office.collection(&run).await;
    assert_eq!(gone.state, CollectionState::Cancelled);
    assert_eq!(gone.reason, "billing gave it up");
    office.chased(&item, "120.00", false).await;

    let file = office.make_instructions().await;
    assert_eq!((file.records, file.processing_on), (1, day("2026-03-03")));
    let text = office.fetch(file.file_id).await;
    assert!(text.contains("1079998883749100C"), "{text}");
    assert_eq!(office.its_mandate().await.state, MandateState::Cancelled);
    // The bank had no such instruction; it is over all the same.
    office
        .hear(advice(Kind::AuddisReturned, "6", "2026-03-05"))
        .await;
    let mandate = office.its_mandate().await;
    assert_eq!(mandate.state, MandateState::Cancelled);
    let make = MakeInstructionFile {
        command_id: CommandId::generate(),
        processing_on: None,
        person: officer(),
    };
    let nothing = office.gateway.ask(&make).await.unwrap_err();
    assert_eq!(nothing.code, "ingestion.nothing_due");
}

/// A run is withdrawn while it waits for a second person, and after its file was
/// made; not once the file was fetched.
#[tokio::test(flavor = "multi_thread")]
async fn a_collection_run_is_withdrawn_until_its_file_is_fetched() {
    let office = Office::open(MandateStatus::Active).await;
    let item = office.bill("INV-1", "120.00").await;
    office.announce("120.00", ENTRY).await;
    let waiting = office.propose(&[&item], ENTRY).await.run.unwrap();
    let over = office.discard(&waiting).await.unwrap();
    assert_eq!(over.state, CollectionRunState::Over);
    assert_eq!(over.collections[0].reason, "the client asked us to wait");
    eventually("the second person is asked no more", DEADLINE, async || {
        let ask = GetApproval {
            approval_id: waiting.approval_id.unwrap(),
            person: officer(),
        };
        let asked = office.gateway.ask(&ask).await;
        asked.is_ok_and(|asked| asked.approval.state == ApprovalState::Voided)
    })
    .await;

    let run = office.propose(&[&item], ENTRY).await.run.unwrap();
    office.approved(&run).await;
    let file = office.file(&run, &item).await;
    office.chased(&item, "0.00", true).await;
    office.discard(&run).await.unwrap();
    assert_eq!(office.run(&run).await.state, CollectionRunState::Over);
    let ask = FetchBacsFile {
        command_id: CommandId::generate(),
        file_id: file,
        person: officer(),
    };
    let refused = office.gateway.ask(&ask).await.unwrap_err();
    assert_eq!(refused.code, "ingestion.bacs_file_void");
    office.chased(&item, "120.00", false).await;

    let last = office.propose(&[&item], ENTRY).await.run.unwrap();
    office.approved(&last).await;
    let file = office.file(&last, &item).await;
    office.fetch(file).await;
    let refused = office.discard(&last).await.unwrap_err();
    assert_eq!(refused.code, "collections.sent");
    assert_eq!(office.collection(&last).await.state, CollectionState::Sent);
}

/// E40: the report of a missing day is imported late: the complaint about it says
/// less, and in the end nothing.
#[tokio::test(flavor = "multi_thread")]
async fn e40_a_late_report_clears_the_complaint_that_it_was_missing() {
    let office = Office::without_mandate().await;
    office.hear(advice(Kind::Addacs, "1", "2026-02-24")).await;
    let complains = office.hear(advice(Kind::Addacs, "1", "2026-02-27")).await;
    let said = office.complaints(complains).await;
    assert_eq!(said[0].0, "missing_report_day");
    assert!(said[0].1.contains("2026-02-25, 2026-02-26:"), "{said:?}");
    let others = said.len() - 1;
    let late = office.hear(advice(Kind::Addacs, "1", "2026-02-26")).await;
    let said = office.complaints(complains).await;
    assert_eq!(said.len(), others, "{said:?}");
    let said = office.complaints(late).await;
    assert!(said[0].1.contains("for 2026-02-25:"), "{said:?}");
    office.hear(advice(Kind::Addacs, "1", "2026-02-25")).await;
    let said = office.complaints(late).await;
    assert!(
        said.iter().all(|(code, _)| code != "missing_report_day"),
        "{said:?}"
    );
}
