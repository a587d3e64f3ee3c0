//! From a letter of claim to a solicitor and back, on real servers; and debts
//! whose last day for a claim comes near.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::io::Read as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::TimeDelta;
use contracts::{
    Role,
    api::{
        PageRequest, Refusal,
        controls::{ApprovalQueue, DecideApproval, ListApprovals, Person, Verdict},
        dunning::{
            AcknowledgeDebt, GetLegal, GetPack, GetReferral, GetStanding, LegalView, OpenReferral,
            PackFile, PlaceHold, ReferralStep, ReferralView, StepReferral,
        },
        reporting::{AccountKey, GetAccount},
    },
    dunning::{
        ChaseReason, HoldKind, LimitationState, PreActionLaw, ReferralState, ReferredTo, ReplyKind,
    },
    inbound::{AccountKind, RemittanceLine, RemittanceText},
};
use kernel::{AccountId, CommandId, Currency, ManualClock, Money, london_date};
use messaging::Bus;
use sha2::{Digest as _, Sha256};
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

fn person(name: &str, role: &str) -> Person {
    Person {
        actor: format!("user:{name}"),
        roles: vec![role.to_owned()],
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

const LETTER: &[u8] = b"%PDF-1.7 a letter of claim";

impl Office {
    /// On 2 March 2026.
    async fn open() -> Self {
        let clock = ManualClock::new("2026-03-02T09:00:00Z".parse().unwrap());
        let suite = Suite::start_with(clock.clone(), |_| {}).await;
        let services = vec![
            suite
                .run(Role::Ingestion, |bus| {
                    ingestion::run(bus, ingestion::Options::default())
                })
                .await,
            suite.run(Role::Allocation, allocation::run).await,
            suite.run(Role::Dunning, dunning::run).await,
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
            office.gateway.ask(&waiting()).await.is_ok()
        })
        .await;
        office
    }

    async fn debtor(&self, account_ref: &str, documents: &[(&str, &str, &str)]) -> AccountId {
        let mut debtor = account(account_ref);
        debtor.kind = AccountKind::SoleTrader;
        debtor.address = Some("1 High Street\nTown\nAB1 2CD".to_owned());
        self.suite.publish_account(account_ref, &debtor).await;
        for (document_ref, amount, due_on) in documents {
            let mut bill = document(document_ref, account_ref, amount);
            bill.due_on = due_on.parse().unwrap();
            bill.issued_on = bill.due_on;
            self.suite.publish_document(document_ref, &bill).await;
        }
        let id = eventually_some("the account is known", DEADLINE, async || {
            let key = AccountKey::Ref(account_ref.to_owned());
            let found = self.gateway.ask(&GetAccount { account: key }).await;
            found.ok().map(|view| view.account_id)
        })
        .await;
        eventually("dunning knows the documents", DEADLINE, async || {
            let ask = GetLegal { account_id: id };
            let legal = self.gateway.ask(&ask).await;
            legal.is_ok_and(|legal| legal.documents.len() == documents.len())
        })
        .await;
        id
    }

    /// A letter of claim of today about everything, as the send ledger has it
    /// when it was printed.
    async fn letter(&self, account_id: AccountId) {
        let now = self.suite.bus(Role::Dunning).await.now();
        let (pool, id) = (self.suite.admin_pool(), account_id.as_uuid());
        sqlx::query(
            "insert into dunning.archive (sha256, media_type, bytes, recorded_at)
             values ($1, 'application/pdf', $2, $3)",
        )
        .bind(sha256(LETTER))
        .bind(LETTER)
        .bind(now)
        .execute(pool)
        .await
        .unwrap();
        let contact = uuid::Uuid::now_v7();
        sqlx::query(
            "insert into dunning.contact (contact_id, version, direction, channel, state, account_id, account_ref, stage,
               rank, policy, policy_version, template, template_version, content_sha256, at, counted_on, actor, reason,
               recorded_at)
             select $1, 1, 'out', 'letter', 'printed', account_id, account_ref, 'letter_of_claim', 60, 'trade_credit', 1,
               'letter_of_claim', 1, $3, $4, $5, 'system:dunning', 'run', $4
             from dunning.account where account_id = $2",
        )
        .bind(contact)
        .bind(id)
        .bind(sha256(LETTER))
        .bind(now)
        .bind(london_date(now))
        .execute(pool)
        .await
        .unwrap();
        sqlx::query(
            "insert into dunning.contact_item (contact_id, document_id, account_id, document_ref, stage, rank, amount,
               currency)
             select $1, document_id, account_id, document_ref, 'letter_of_claim', 60, open, currency
             from dunning.item where account_id = $2",
        )
        .bind(contact)
        .bind(id)
        .execute(pool)
        .await
        .unwrap();
    }

    async fn legal(&self, account_id: AccountId) -> LegalView {
        self.gateway.ask(&GetLegal { account_id }).await.unwrap()
    }

    async fn try_step(
        &self,
        one: &ReferralView,
        step: ReferralStep,
    ) -> Result<ReferralView, Refusal> {
        let ask = StepReferral {
            command_id: CommandId::generate(),
            referral_id: one.referral_id,
            version: None,
            step,
            reason: "as planned".to_owned(),
            person: person("jo", "controller"),
        };
        let answer = self.gateway.ask(&ask).await;
        if let Ok(done) = &answer {
            // Repeated, it is the same.
            let again = self.gateway.ask(&ask).await.unwrap();
            assert!(again.version >= done.version && again.replies == done.replies);
        }
        answer
    }

    async fn step(&self, one: &ReferralView, step: ReferralStep) -> ReferralView {
        self.try_step(one, step).await.unwrap()
    }

    async fn until(
        &self,
        one: &ReferralView,
        what: &str,
        is: impl Fn(&ReferralView) -> bool,
    ) -> ReferralView {
        eventually_some(what, DEADLINE, async || {
            let ask = GetReferral {
                referral_id: one.referral_id,
            };
            self.gateway.ask(&ask).await.ok().filter(|now| is(now))
        })
        .await
    }

    async fn approve(&self, one: &ReferralView, who: &str) -> Result<(), Refusal> {
        eventually("worklist was asked", DEADLINE, async || {
            let all = self.gateway.ask(&waiting()).await.unwrap();
            all.items
                .iter()
                .any(|asked| Some(asked.approval_id) == one.approval_id)
        })
        .await;
        self.gateway
            .ask(&DecideApproval {
                command_id: CommandId::generate(),
                approval_id: one.approval_id.unwrap(),
                verdict: Verdict::Approve,
                reason: "looked through".to_owned(),
                person: person(who, "manager"),
            })
            .await
            .map(drop)
    }

    async fn paid(&self, reference: &str, document_ref: &str, amount: &str) {
        let mut paid = receipt(reference, amount);
        paid.booked_on = london_date(self.suite.bus(Role::Dunning).await.now());
        paid.value_on = paid.booked_on;
        paid.remittance = Some(RemittanceText {
            unstructured: vec![document_ref.to_owned()],
            structured: vec![RemittanceLine {
                document_number: document_ref.to_owned(),
                amount: Some(amount.to_owned()),
                kind: None,
            }],
        });
        self.suite.publish_receipt(reference, &paid).await;
    }

    /// The work of a kind that is open, by its detail.
    async fn work(&self, kind: &'static str) -> Vec<String> {
        sqlx::query_scalar(
            "select detail from worklist.work_item where kind = $1 and state not in ('closed', 'done') order by 1",
        )
        .bind(kind)
        .fetch_all(self.suite.admin_pool())
        .await
        .unwrap()
    }

    async fn pack(&self, one: &ReferralView, sha256: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let ask = GetPack {
                referral_id: one.referral_id,
                sha256: sha256.to_owned(),
                offset: i64::try_from(bytes.len()).unwrap(),
            };
            let part = self.gateway.ask(&ask).await.unwrap();
            bytes.extend(STANDARD.decode(part.base64).unwrap());
            if i64::try_from(bytes.len()).unwrap() >= part.size {
                return bytes;
            }
        }
    }
}

fn waiting() -> ListApprovals {
    ListApprovals {
        queue: ApprovalQueue::default(),
        person: person("max", "manager"),
        page: PageRequest::default(),
    }
}

fn day(text: &str) -> chrono::NaiveDate {
    text.parse().unwrap()
}

/// Every file of a pack is what its manifest says.
fn proven(bytes: &[u8], listed: &[PackFile]) -> serde_json::Value {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    assert_eq!(zip.len(), listed.len());
    let mut manifest = serde_json::Value::Null;
    for file in listed {
        let mut content = Vec::new();
        let mut entry = zip.by_name(&file.name).unwrap();
        entry.read_to_end(&mut content).unwrap();
        assert_eq!(sha256(&content), file.sha256, "{}", file.name);
        if file.name == "manifest.json" {
            manifest = serde_json::from_slice(&content).unwrap();
        }
    }
    manifest
}

/// E53, E66, E73, E75, E76: from a letter that was printed only, over a reply, a
/// breathing space, notice, a request that a payment voids, two people, to costs
/// only.
#[tokio::test(flavor = "multi_thread")]
async fn from_a_letter_of_claim_to_a_solicitor_and_costs_only() {
    let office = Office::open().await;
    let debtor = office
        .debtor("LEGAL1", &[("INV-L1", "400.00", "2026-01-31")])
        .await;
    let none = office.legal(debtor).await;
    assert_eq!(none.law, PreActionLaw::Protocol);
    let why = none.documents[0].why_not.as_deref().unwrap();
    assert!(why.contains("letter of claim"), "{why}");
    office.letter(debtor).await;
    assert_eq!(office.legal(debtor).await.documents[0].why_not, None);

    // E66: printed is not posted.
    let mut open = OpenReferral {
        command_id: CommandId::generate(),
        account_id: debtor,
        documents: Vec::new(),
        posted_on: None,
        reason: "no answer on the phone".to_owned(),
        person: person("jo", "controller"),
    };
    let refused = office.gateway.ask(&open).await.unwrap_err();
    assert_eq!(refused.code, "dunning.letter_not_posted");
    open.posted_on = Some(day("2026-03-02"));
    let one = office.gateway.ask(&open).await.unwrap();
    assert_eq!(one.state, ReferralState::WaitingForReply);
    assert_eq!(one.clocks[0].last_on, Some(day("2026-04-01")));
    assert_eq!(office.gateway.ask(&open).await.unwrap(), one);
    let early = ReferralStep::Request {
        to: ReferredTo::Solicitor,
        handler: "Wills and Co".to_owned(),
        terms: None,
    };
    let refused = office.try_step(&one, early.clone()).await.unwrap_err();
    assert_eq!(refused.code, "dunning.referral_state");

    // They ask for time on the fifth day.
    office.clock.advance(TimeDelta::days(5));
    let reply = ReferralStep::Reply {
        kind: ReplyKind::AsksTime,
        received_on: day("2026-03-07"),
        until: None,
    };
    let one = office.step(&one, reply).await;
    assert_eq!(one.state, ReferralState::ReplyReceived);
    eventually("somebody has work", DEADLINE, async || {
        office
            .work("legal_step")
            .await
            .iter()
            .any(|w| w.contains("plan"))
    })
    .await;

    // A breathing space of 60 days freezes it from the 10th.
    office.clock.advance(TimeDelta::days(3));
    let space = PlaceHold {
        command_id: CommandId::generate(),
        kind: HoldKind::BreathingSpace,
        account_id: debtor,
        debtor_ref: None,
        documents: vec![one.documents[0].document_id],
        starts_on: None,
        ends_on: None,
        review_on: None,
        cut_off_on: None,
        owner: None,
        reference: Some("BS-7".to_owned()),
        reason: "told by the adviser".to_owned(),
        person: person("jo", "controller"),
    };
    office.gateway.ask(&space).await.unwrap();
    let one = office
        .until(&one, "it is stopped", |now| !now.stopped_by.is_empty())
        .await;
    assert_eq!(one.stopped_by, ["breathing space until 08/05/2026"]);
    let notice = ReferralStep::Notice {
        on: day("2026-03-10"),
    };
    let refused = office.try_step(&one, notice).await.unwrap_err();
    assert_eq!(refused.code, "dunning.referral_stopped");

    // It ends, and the clock goes on where it stood: two of 30 days had run.
    office.clock.advance(TimeDelta::days(60));
    let one = office
        .until(&one, "it goes on", |now| now.stopped_by.is_empty())
        .await;
    let clock = one
        .clocks
        .iter()
        .find(|clock| clock.code == "time_to_pay")
        .unwrap();
    assert_eq!(
        (clock.paused_days, clock.last_on),
        (60, Some(day("2026-06-05")))
    );
    office.clock.advance(TimeDelta::days(28));
    let one = office
        .until(&one, "notice is needed", |now| {
            now.next_step
                .as_deref()
                .is_some_and(|step| step.contains("notice"))
        })
        .await;
    let notice = ReferralStep::Notice {
        on: day("2026-06-06"),
    };
    let one = office.step(&one, notice).await;
    assert_eq!(one.state, ReferralState::NoticeGiven);
    office.clock.advance(TimeDelta::days(15));
    let one = office
        .until(&one, "it is ready", |now| {
            now.state == ReferralState::ReadyToRefer
        })
        .await;

    // A payment while a second person is asked voids the request.
    let asked = office.step(&one, early.clone()).await;
    assert_eq!(asked.state, ReferralState::Requested);
    office.paid("R-L1", "INV-L1", "100.00").await;
    let one = office
        .until(&asked, "the request is void", |now| {
            now.state == ReferralState::ReadyToRefer
        })
        .await;
    assert_eq!(one.left.principal, gbp("300.00"));
    let asked = office.step(&one, early).await;
    let own = office.approve(&asked, "jo").await.unwrap_err();
    assert_eq!(own.code, "worklist.own_request", "{own:?}");
    office.approve(&asked, "max").await.unwrap();
    let one = office
        .until(&asked, "it is referred", |now| {
            now.state == ReferralState::Referred
        })
        .await;
    assert_eq!(one.approver.as_deref(), Some("user:max"));
    let standing = office
        .gateway
        .ask(&GetStanding { account_id: debtor })
        .await
        .unwrap();
    assert_eq!(standing.items[0].reason, ChaseReason::WithLegal);

    // What was handed over can be proved.
    assert_eq!(one.packs.len(), 2);
    let handed = one.pack_sha256.as_deref().unwrap();
    let newest = one.packs.iter().find(|pack| pack.sha256 == handed).unwrap();
    let bytes = office.pack(&one, &newest.sha256).await;
    assert_eq!(sha256(&bytes), newest.sha256);
    let manifest = proven(&bytes, &newest.files);
    assert_eq!(manifest["about"]["principal"], "300.00");
    let letter = format!("letters/{}.pdf", sha256(LETTER));
    assert!(newest.files.iter().any(|file| file.name == letter));

    // A court fee is posted: an item of its own, which is with the solicitor too.
    let fee = ReferralStep::AddCosts {
        amount: gbp("35.00"),
        what: "court issue fee".to_owned(),
        post: true,
    };
    let one = office.step(&one, fee).await;
    assert_eq!(one.left.costs, gbp("35.00"));
    eventually("the fee is on the ledger, and with legal", DEADLINE, async || {
        let stops: i64 = sqlx::query_scalar(
            "select count(*) from dunning.stop s join dunning.item i on i.document_id = any(s.documents)
             where s.subject_id = $1 and i.document_ref like 'LPI-%' and i.open = 35",
        )
        .bind(one.referral_id.as_uuid())
        .fetch_one(office.suite.admin_pool())
        .await
        .unwrap();
        stops == 1
    })
    .await;

    // They pay us: the firm is told, and costs are left.
    office.paid("R-L2", "INV-L1", "300.00").await;
    let one = office
        .until(&one, "only costs are left", |now| {
            now.state == ReferralState::CostsOnly
        })
        .await;
    assert_eq!(one.left.principal, gbp("0.00"));
    assert_eq!(one.left.costs, gbp("35.00"));
    assert!(
        one.to_tell[0].contains("£300.00 is settled"),
        "{:?}",
        one.to_tell
    );
    eventually("somebody tells the firm", DEADLINE, async || {
        let work = office.work("legal_step").await;
        work.iter()
            .any(|detail| detail.contains("tell Wills and Co"))
    })
    .await;
    let one = office.step(&one, ReferralStep::Told).await;
    assert!(one.to_tell.is_empty());
    let one = office.step(&one, ReferralStep::Close).await;
    assert_eq!(one.state, ReferralState::Closed);
    let one = office.step(&one, ReferralStep::Told).await;
    assert_eq!(one.next_step, None);
    eventually("nobody has work of it", DEADLINE, async || {
        office.work("legal_step").await.is_empty()
    })
    .await;
    let states: Vec<ReferralState> = one.history.iter().map(|note| note.state).collect();
    assert!(
        states.contains(&ReferralState::Requested) && states.len() >= 10,
        "{states:?}"
    );
}

/// Limitation Act 1980 s.5 and s.29: warned before the last day, barred after
/// it; a signed acknowledgment begins it anew, but not what was over.
#[tokio::test(flavor = "multi_thread")]
async fn debts_are_watched_until_their_last_day_for_a_claim() {
    let office = Office::open().await;
    let debtor = office
        .debtor(
            "LEGAL2",
            &[
                ("INV-OLD", "80.00", "2019-01-10"),
                ("INV-NEAR", "90.00", "2020-05-05"),
                ("INV-NEW", "10.00", "2026-01-31"),
            ],
        )
        .await;
    let legal = office.legal(debtor).await;
    let states: Vec<_> = legal.documents.iter().map(|one| one.limitation).collect();
    let (barred, warned) = (LimitationState::Barred, LimitationState::Warned);
    assert_eq!(states, [Some(barred), Some(warned), None]);
    assert_eq!(legal.documents[1].limitation_on, day("2026-05-05"));
    office.clock.advance(TimeDelta::days(1));
    eventually("somebody has work for both", DEADLINE, async || {
        office.work("limitation_watch").await.len() == 2
    })
    .await;
    let work = office.work("limitation_watch").await;
    assert!(work[0].contains("until 05/05/2026"), "{work:?}");
    let acknowledge = AcknowledgeDebt {
        command_id: CommandId::generate(),
        account_id: debtor,
        documents: legal.documents[..2]
            .iter()
            .map(|one| one.document_id)
            .collect(),
        signed_on: day("2026-03-01"),
        signed_by: "L. Egal".to_owned(),
        reference: None,
        reason: "letter of the debtor".to_owned(),
        person: person("jo", "controller"),
    };
    let after = office.gateway.ask(&acknowledge).await.unwrap();
    assert_eq!(office.gateway.ask(&acknowledge).await.unwrap(), after);
    assert_eq!(after.documents[0].limitation, Some(barred));
    assert_eq!(after.documents[1].limitation_on, day("2032-03-01"));
    assert!(after.documents[1].limitation_basis.contains("acknowledged"));
    eventually("the work of the one is over", DEADLINE, async || {
        let work = office.work("limitation_watch").await;
        work.len() == 1 && work[0].contains("no claim")
    })
    .await;
}
