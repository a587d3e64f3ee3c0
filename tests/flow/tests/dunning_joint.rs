//! Two tenants owe one account together: one is insolvent and the other is written to;
//! both are when it is over; a payment of either closes it for both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod chasing;

use std::io::Read as _;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chasing::{Office, person};
use contracts::{
    api::{
        PageRequest,
        dunning::{
            ContactStep, DebtorReach, DraftPolicy, EditionKind, EditionStep, EraseContactNotes,
            GetPack, GetReach, GetReferral, GetStanding, GetStatement, HoldStep, ListContacts,
            OpenReferral, RecordContact, ReferralStep, ReferralView, StepContact, StepEdition,
            StepHold, StepReferral,
        },
    },
    dunning::{
        Channel, ChaseReason, ContactOutcome, Direction, HoldKind, ReferralState, ReferredTo,
        RunKind,
    },
    inbound::{AccountKind, BillingAccount, JointDebtor},
};
use kernel::{AccountId, CommandId};
use testkit::{DEADLINE, account, document, eventually, eventually_some};

fn tenant(debtor_ref: &str, name: &str) -> JointDebtor {
    JointDebtor {
        debtor_ref: debtor_ref.to_owned(),
        name: name.to_owned(),
        kind: Some(AccountKind::Individual),
        email: Some(format!("{}@tenants.example", debtor_ref.to_lowercase())),
        phone: None,
        address: None,
    }
}

fn owed_by(account_ref: &str, debtors: Vec<JointDebtor>) -> BillingAccount {
    BillingAccount {
        kind: AccountKind::Individual,
        address: Some("7 Shared House, Leeds, LS1 1AA".to_owned()),
        debtors: Some(debtors),
        ..account(account_ref)
    }
}

fn call(account_id: AccountId, debtor: Option<&str>, outcome: ContactOutcome) -> RecordContact {
    RecordContact {
        command_id: CommandId::generate(),
        account_id,
        debtor_ref: debtor.map(str::to_owned),
        contact_id: None,
        direction: Direction::In,
        channel: Channel::Phone,
        outcome: Some(outcome),
        next_step: None,
        next_on: None,
        none_because: Some("nothing to do".to_owned()),
        promise: None,
        documents: Vec::new(),
        at: None,
        note: Some("she rang".to_owned()),
        person: person("jo", "controller"),
    }
}

async fn debtors(office: &Office, account_id: AccountId) -> Vec<DebtorReach> {
    let reach = office.gateway.ask(&GetReach { account_id }).await;
    reach.unwrap().debtors
}

/// To whom something was sent about an account, and at which stage.
async fn sent(office: &Office, account_ref: &str) -> Vec<(String, Option<String>, String)> {
    sqlx::query_as(
        "select stage, debtor_ref, address from dunning.contact
         where account_ref = $1 and run_id is not null and state = 'sent' order by at, debtor_ref",
    )
    .bind(account_ref)
    .fetch_all(office.suite.admin_pool())
    .await
    .unwrap()
}

fn to(stage: &str, debtor: &str) -> (String, Option<String>, String) {
    let address = format!("{}@tenants.example", debtor.to_lowercase());
    (stage.to_owned(), Some(debtor.to_owned()), address)
}

/// E73: a breathing space of one protects both, on the account that they owe together
/// and on nobody else's.
#[tokio::test(flavor = "multi_thread")]
async fn e73_a_breathing_space_of_one_tenant_protects_both() {
    let office = Office::open("2026-02-10").await;
    let (ann, ben) = (
        tenant("TEN-ANN", "Ann Smith"),
        tenant("TEN-BEN", "Ben Jones"),
    );
    let house = owed_by("HOUSE7", vec![ann, ben.clone()]);
    let house = office
        .debtor(&house, &[document("RENT-1", "HOUSE7", "400.00")])
        .await;
    let shop = owed_by("SHOP9", vec![ben]);
    let shop = office
        .debtor(&shop, &[document("RENT-2", "SHOP9", "50.00")])
        .await;
    let told = call(house, Some("TEN-ANN"), ContactOutcome::BreathingSpaceTold);
    office.gateway.ask(&told).await.unwrap();
    office
        .stands(house, "RENT-1", ChaseReason::OnHold, "0.00")
        .await;
    office
        .stands(shop, "RENT-2", ChaseReason::ChaseNow, "50.00")
        .await;
    office.chased().await;
    assert_eq!(sent(&office, "HOUSE7").await, []);
    assert_eq!(sent(&office, "SHOP9").await, [to("reminder", "TEN-BEN")]);
}

/// Every stage before the letter of claim was sent a month ago, to both.
async fn was_warned(office: &Office, account_ref: &str) {
    sqlx::query(
        "with c as (
           insert into dunning.contact (contact_id, version, direction, channel, state, account_id, account_ref, stage,
             rank, policy, policy_version, at, counted_on, actor, reason, recorded_at)
           select gen_random_uuid(), 1, 'out', 'letter', 'posted', account_id, account_ref, 'final_demand', 50, 'consumer',
             1, '2026-03-20', '2026-03-20', 'system:dunning', 'before', '2026-03-20'
           from dunning.account where account_ref = $1 returning *),
         i as (
           insert into dunning.contact_item (contact_id, document_id, account_id, document_ref, stage, rank, amount, currency)
           select c.contact_id, i.document_id, i.account_id, i.document_ref, c.stage, c.rank, i.open, i.currency
           from c join dunning.item i using (account_id) returning *)
         insert into dunning.reached (account_id, documents, ranks, days, policies, policy_versions)
         select account_id, array[document_id], array[rank], array['2026-03-20'::date], array['consumer'], array[1] from i",
    )
    .bind(account_ref)
    .execute(office.suite.admin_pool())
    .await
    .unwrap();
}

/// The letters of claim that a debtor had: contact, and in which state.
async fn claims(office: &Office, debtor: &str) -> Vec<(uuid::Uuid, String)> {
    sqlx::query_as(
        "select contact_id, state from dunning.contact where debtor_ref = $1 and stage = 'letter_of_claim' order by at",
    )
    .bind(debtor)
    .fetch_all(office.suite.admin_pool())
    .await
    .unwrap()
}

async fn end_holds(office: &Office, account: AccountId) {
    for hold in office.holds(account, "controller").await {
        let end = StepHold {
            command_id: CommandId::generate(),
            hold_id: hold.hold_id,
            version: None,
            step: HoldStep::End,
            reason: "the arrangement failed".to_owned(),
            person: person("jo", "controller"),
        };
        office.gateway.ask(&end).await.unwrap();
    }
}

async fn step_referral(office: &Office, of: &ReferralView, step: ReferralStep) -> ReferralView {
    let ask = StepReferral {
        command_id: CommandId::generate(),
        referral_id: of.referral_id,
        version: None,
        step,
        reason: "as planned".to_owned(),
        person: person("jo", "controller"),
    };
    office.gateway.ask(&ask).await.unwrap()
}

/// The referral comes to have this in the way of steps against Ann; nothing against
/// Ben.
async fn spared(office: &Office, of: &ReferralView, why: &[&str]) -> ReferralView {
    eventually_some(&format!("of Ann: {why:?}"), DEADLINE, async || {
        let ask = GetReferral {
            referral_id: of.referral_id,
        };
        let now = office.gateway.ask(&ask).await.ok()?;
        let is = now.debtors[0].not_against == why && now.debtors[1].not_against.is_empty();
        is.then_some(now)
    })
    .await
}

const NO_LETTER: &str = "they had no letter of claim about all of it";
const TIME: &str = "the time to reply to their letter runs";

/// A file of the pack that was asked for last.
async fn in_pack(office: &Office, of: &ReferralView, name: &str) -> String {
    let ask = GetPack {
        referral_id: of.referral_id,
        sha256: of.pack_sha256.clone().unwrap(),
        offset: 0,
    };
    let part = office.gateway.ask(&ask).await.unwrap();
    let bytes = BASE64_STANDARD.decode(part.base64).unwrap();
    assert_eq!(bytes.len() as i64, part.size);
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let mut text = String::new();
    zip.by_name(name)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// E97: Ann is held while the letter of claim goes to Ben. He may be sued in time, she
/// not: she gets hers when her hold is over, and has her own thirty days.
#[tokio::test(flavor = "multi_thread")]
async fn e97_who_missed_the_letter_of_claim_gets_it_and_is_not_referred_before() {
    let office = Office::open("2026-04-20").await;
    office.publish_forms().await;
    let (ann, ben) = (
        tenant("TEN-ANN", "Ann Smith"),
        tenant("TEN-BEN", "Ben Jones"),
    );
    let house = owed_by("HOUSE7", vec![ann, ben]);
    let house = office
        .debtor(&house, &[document("RENT-1", "HOUSE7", "400.00")])
        .await;
    was_warned(&office, "HOUSE7").await;
    let told = call(house, Some("TEN-ANN"), ContactOutcome::InsolvencyTold);
    office.gateway.ask(&told).await.unwrap();
    office
        .stands(house, "RENT-1", ChaseReason::ChaseNow, "400.00")
        .await;
    office.chased().await;
    assert_eq!(claims(&office, "TEN-ANN").await, []);
    let his = claims(&office, "TEN-BEN").await;
    assert_eq!((his.len(), his[0].1.as_str()), (1, "printed"));

    // It was posted, and his thirty days are over: against him alone.
    let open = OpenReferral {
        command_id: CommandId::generate(),
        account_id: house,
        documents: Vec::new(),
        posted_on: Some("2026-04-20".parse().unwrap()),
        reason: "no answer".to_owned(),
        person: person("jo", "controller"),
    };
    let one = office.gateway.ask(&open).await.unwrap();
    assert_eq!(one.clocks[0].last_on, Some("2026-05-20".parse().unwrap()));
    // Nobody is sued: he may still reply, and she was told nothing.
    assert_eq!(one.debtors[1].not_against, [TIME]);
    office.day("2026-05-21").await;
    let one = spared(&office, &one, &["insolvency", NO_LETTER]).await;
    assert_eq!(one.state, ReferralState::ReadyToRefer);
    let request = ReferralStep::Request {
        to: ReferredTo::Solicitor,
        handler: "Wills and Co".to_owned(),
        terms: None,
    };
    let asked = step_referral(&office, &one, request.clone()).await;
    let debtors = in_pack(&office, &asked, "debtors.csv").await;
    let lines: Vec<&str> = debtors.lines().collect();
    assert!(lines[1].starts_with("TEN-ANN,Ann Smith,"), "{debtors}");
    assert!(lines[1].contains(NO_LETTER) && lines[1].contains("insolvency"));
    assert!(lines[2].ends_with(",2026-04-20,2026-05-20,"), "{debtors}");

    // Her hold ends: what was asked for is another now.
    end_holds(&office, house).await;
    let one = spared(&office, &one, &[NO_LETTER]).await;
    assert_eq!(one.state, ReferralState::ReadyToRefer);
    assert_eq!(one.approval_id, None);
    office.day("2026-05-29").await;
    office
        .stands(house, "RENT-1", ChaseReason::ChaseNow, "400.00")
        .await;
    office.chased().await;
    assert_eq!(claims(&office, "TEN-BEN").await.len(), 1);
    let hers = claims(&office, "TEN-ANN").await;
    assert_eq!(hers.len(), 1);
    let printed = "their letter was printed, and nobody has said that it was posted";
    let one = spared(&office, &one, &[printed]).await;
    let posted = StepContact {
        command_id: CommandId::generate(),
        contact_id: hers[0].0.into(),
        version: None,
        step: ContactStep::Posted,
        reason: "taken to the post".to_owned(),
        person: person("jo", "controller"),
    };
    office.gateway.ask(&posted).await.unwrap();
    let one = spared(&office, &one, &[TIME]).await;
    assert_eq!(
        one.debtors[0].reply_until,
        Some("2026-06-28".parse().unwrap())
    );

    // It is handed over against Ben; the firm is told when Ann's time is over.
    let asked = step_referral(&office, &one, request).await;
    let debtors = in_pack(&office, &asked, "debtors.csv").await;
    let hers = format!(",2026-05-29,2026-06-28,{TIME}");
    assert!(
        debtors.lines().nth(1).unwrap().ends_with(&hers),
        "{debtors}"
    );
    // What went with each letter is listed for each.
    let with = in_pack(&office, &asked, "enclosures.csv").await;
    let contacts: std::collections::BTreeSet<&str> = with
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').next())
        .collect();
    assert_eq!((contacts.len(), with.lines().count()), (2, 1 + 2 * 4));
    office.say_yes(asked.approval_id.unwrap()).await;
    eventually("it is handed over", DEADLINE, async || {
        let ask = GetReferral {
            referral_id: one.referral_id,
        };
        let now = office.gateway.ask(&ask).await.unwrap();
        now.state == ReferralState::Referred
    })
    .await;
    office.day("2026-06-29").await;
    let one = spared(&office, &one, &[]).await;
    let words = format!("go on, this is over: TEN-ANN: {TIME}");
    assert_eq!(one.to_tell, [words]);
}

/// E97: a reminder costs once, whoever of them had it when; each has a statement.
#[tokio::test(flavor = "multi_thread")]
async fn e97_a_charge_once_for_a_stage_and_a_statement_for_each() {
    let office = Office::open("2026-02-10").await;
    let policy = DraftPolicy {
        command_id: CommandId::generate(),
        policy: "shared_houses".to_owned(),
        text: r#"
policy = "shared_houses"
version = 1
valid_from = "2026-02-10"
title = "Shared houses"
manual = "A reminder costs twelve pounds."
debtors = ["individual"]
segments = ["shared"]
jump = false
cool_off_days = 0
feed_fresh_hours = 96
minimum = { GBP = "1.00" }
budget = { contacts = 5, days = 7 }
promise = { tolerance = "1.00", grace_working_days = 3, levels = 3 }
plan = { grace_working_days = 5, missed = 2, interest_frozen = true }
interest = { kind = "none" }

[[stage]]
code = "reminder"
rank = 20
title = "Reminder"
days_past_due = 1
channels = ["email"]
template = "reminder"
legal = "reminder"
charge = { GBP = "12.00" }
to_each = true
"#
        .to_owned(),
        valid_from: None,
        reason: "as their contracts say".to_owned(),
        person: person("sam", "team_leader"),
    };
    let drafted = office.gateway.ask(&policy).await;
    let drafted = drafted.unwrap_or_else(|refused| panic!("{refused:?}"));
    assert!(
        drafted
            .manual
            .iter()
            .any(|words| words.contains("each has it before anything further"))
    );
    let ask = StepEdition {
        command_id: CommandId::generate(),
        kind: EditionKind::Policy,
        name: drafted.policy.clone(),
        version: drafted.edition.version,
        step: EditionStep::Request,
        reason: "as agreed".to_owned(),
        person: person("sam", "team_leader"),
    };
    let asked = office.gateway.ask(&ask).await.unwrap();
    office.say_yes(asked.approval_id.unwrap()).await;
    let (ann, ben) = (
        tenant("TEN-ANN", "Ann Smith"),
        tenant("TEN-BEN", "Ben Jones"),
    );
    let (cat, dan) = (
        tenant("TEN-CAT", "Cat Brown"),
        tenant("TEN-DAN", "Dan Green"),
    );
    let shared = |account_ref: &str, debtors| BillingAccount {
        segment: Some("shared".to_owned()),
        ..owed_by(account_ref, debtors)
    };
    let house = office
        .debtor(
            &shared("HOUSE7", vec![ann, ben]),
            &[document("RENT-1", "HOUSE7", "400.00")],
        )
        .await;
    let flat = office
        .debtor(
            &shared("FLAT8", vec![cat, dan]),
            &[document("RENT-2", "FLAT8", "300.00")],
        )
        .await;
    let told = call(house, Some("TEN-ANN"), ContactOutcome::InsolvencyTold);
    office.gateway.ask(&told).await.unwrap();
    for (account, document, amount) in [(house, "RENT-1", "400.00"), (flat, "RENT-2", "300.00")] {
        office
            .stands(account, document, ChaseReason::ChaseNow, amount)
            .await;
    }
    office.chased().await;
    assert_eq!(sent(&office, "HOUSE7").await, [to("reminder", "TEN-BEN")]);
    assert_eq!(
        sent(&office, "FLAT8").await,
        [to("reminder", "TEN-CAT"), to("reminder", "TEN-DAN")]
    );
    charged(&office).await;

    // Ann gets hers later, and it costs nothing more; nor does it cost anything that
    // Ben is reminded of the charge.
    office.day("2026-02-12").await;
    end_holds(&office, house).await;
    office.day("2026-02-13").await;
    office
        .stands(house, "RENT-1", ChaseReason::ChaseNow, "400.00")
        .await;
    office.chased().await;
    let about: Vec<(String, String)> = sqlx::query_as(
        "select document_ref, debtor_ref from dunning.contact_item join dunning.contact c using (contact_id, debtor_ref)
         where c.account_ref = 'HOUSE7' and c.stage = 'reminder' order by 1, at",
    )
    .fetch_all(office.suite.admin_pool())
    .await
    .unwrap();
    assert_eq!(about.len(), 3, "{about:?}");
    assert!(about[0].0.starts_with("LPI-") && about[0].1 == "TEN-BEN");
    let rent: Vec<&str> = about[1..].iter().map(|(_, whose)| &whose[..]).collect();
    assert_eq!(rent, ["TEN-BEN", "TEN-ANN"]);
    charged(&office).await;

    // A statement for each of them.
    let run = office.propose_of(RunKind::Statement).await;
    office.approve(&run).await;
    office.sent(&run).await;
    for (account_ref, debtors) in [
        ("HOUSE7", ["TEN-ANN", "TEN-BEN"]),
        ("FLAT8", ["TEN-CAT", "TEN-DAN"]),
    ] {
        let all = sent(&office, account_ref).await;
        let all: Vec<_> = all.iter().filter(|one| one.0 == "statement").collect();
        assert_eq!(all, debtors.map(|one| to("statement", one)).each_ref());
    }
    let letters = office.post.messages().unwrap();
    let hers = letters.iter().find(|letter| {
        letter.contains("To: ten-ann@tenants.example") && letter.contains("Statement")
    });
    assert!(hers.unwrap().contains("Ben Jones"), "{hers:?}");
}

/// One charge for each of the two accounts, and none is due any more.
async fn charged(office: &Office) {
    eventually("one charge for each account", DEADLINE, async || {
        let due: i64 = sqlx::query_scalar("select count(*) from dunning.charge_due")
            .fetch_one(office.suite.admin_pool())
            .await
            .unwrap();
        let all: Vec<(String, i64, String)> = sqlx::query_as(
            "select account_ref, count(*), sum(amount)::text from dunning.charge group by 1 order by 1",
        )
        .fetch_all(office.suite.admin_pool())
        .await
        .unwrap();
        let one = |account_ref: &str| (account_ref.to_owned(), 1, "12.00".to_owned());
        assert!(all.iter().all(|(_, count, _)| *count == 1), "{all:?}");
        due == 0 && all == [one("FLAT8"), one("HOUSE7")]
    })
    .await;
}

/// E73, E97.
#[tokio::test(flavor = "multi_thread")]
async fn e97_one_of_two_tenants_is_insolvent() {
    let office = Office::open("2026-02-10").await;
    let (ann, ben) = (
        tenant("TEN-ANN", "Ann Smith"),
        tenant("TEN-BEN", "Ben Jones"),
    );
    let house = owed_by("HOUSE7", vec![ann.clone(), ben]);
    let house = office
        .debtor(&house, &[document("RENT-1", "HOUSE7", "400.00")])
        .await;
    let garage = owed_by("GARAGE7", vec![ann]);
    let garage = office
        .debtor(&garage, &[document("RENT-2", "GARAGE7", "50.00")])
        .await;
    office
        .stands(house, "RENT-1", ChaseReason::ChaseNow, "400.00")
        .await;

    // A way is somebody's: nobody guesses whose.
    let vague = call(house, None, ContactOutcome::OptedOut);
    assert!(office.gateway.ask(&vague).await.is_err());
    let stranger = call(house, Some("TEN-CAT"), ContactOutcome::InsolvencyTold);
    assert!(office.gateway.ask(&stranger).await.is_err());
    // Ann says so on the telephone: it is hers alone, and on her garage too.
    let told = call(house, Some("TEN-ANN"), ContactOutcome::InsolvencyTold);
    let told = office.gateway.ask(&told).await.unwrap();
    assert_eq!(told.debtor_ref.as_deref(), Some("TEN-ANN"));
    let held = office.holds(house, "controller").await;
    assert_eq!(held.len(), 1);
    assert_eq!(Some(held[0].hold_id), told.hold_id);
    assert_eq!(held[0].debtor_ref.as_deref(), Some("TEN-ANN"));
    office
        .stands(garage, "RENT-2", ChaseReason::OnHold, "0.00")
        .await;
    office
        .stands(house, "RENT-1", ChaseReason::ChaseNow, "400.00")
        .await;
    let reach = debtors(&office, house).await;
    assert_eq!(reach[0].holds, [HoldKind::Insolvency]);
    assert_eq!(reach[0].other_accounts, ["GARAGE7"]);
    assert!(reach[1].holds.is_empty());

    let chased = office.chased().await;
    let all = ("HOUSE7", "reminder", "400.00");
    let all = [(all.0.to_owned(), all.1.to_owned(), all.2.to_owned())];
    assert_eq!(chased, all);
    assert_eq!(sent(&office, "HOUSE7").await, [to("reminder", "TEN-BEN")]);
    let letter = office.post.messages().unwrap().pop().unwrap();
    // Each letter names all who owe it, and says nothing of the hold.
    for said in ["Ann Smith", "Ben Jones", "RENT-1"] {
        assert!(letter.contains(said), "{letter}");
    }
    assert!(!letter.to_lowercase().contains("insolven"));
    let reach = debtors(&office, house).await;
    assert_eq!((reach[0].contacts, reach[1].contacts), (0, 1));

    // It ends: her clock goes on where it stood, and both get the next one.
    office.day("2026-02-16").await;
    for account in [house, garage] {
        for hold in office.holds(account, "controller").await {
            let end = StepHold {
                command_id: CommandId::generate(),
                hold_id: hold.hold_id,
                version: None,
                step: HoldStep::End,
                reason: "the arrangement failed".to_owned(),
                person: person("jo", "controller"),
            };
            office.gateway.ask(&end).await.unwrap();
        }
    }
    office.day("2026-02-27").await;
    office.chased().await;
    let second = "second_reminder";
    assert_eq!(
        sent(&office, "HOUSE7").await,
        [
            to("reminder", "TEN-BEN"),
            to(second, "TEN-ANN"),
            to(second, "TEN-BEN")
        ]
    );
    // At most one for each document, stage and debtor, also against a second writer.
    let again = sqlx::query(
        "insert into dunning.contact_item (contact_id, document_id, account_id, document_ref, rank, amount, currency,
           debtor_ref)
         select contact_id, document_id, account_id, document_ref || ' again', rank, amount, currency, debtor_ref
         from dunning.contact_item where account_id = $1 and rank is not null limit 1",
    )
    .bind(house.as_uuid())
    .execute(office.suite.admin_pool())
    .await;
    assert!(again.is_err());

    // Ben pays, and nobody is asked for anything any more.
    office.paid("BEN-PAYS", &[("RENT-1", "400.00")]).await;
    eventually("it is closed for both", DEADLINE, async || {
        let ask = GetStanding { account_id: house };
        office.gateway.ask(&ask).await.unwrap().items.is_empty()
    })
    .await;
    // The statement of a day before that has what was open then.
    let before = GetStatement {
        account_id: house,
        red: false,
        as_at: Some("2026-02-26".parse().unwrap()),
    };
    let now = GetStatement {
        as_at: None,
        ..before.clone()
    };
    let before = office.gateway.ask(&before).await.unwrap();
    assert_eq!(before.totals, [chasing::gbp("400.00")]);
    let now = office.gateway.ask(&now).await.unwrap();
    assert!(now.lines.is_empty());
    office.day("2026-03-20").await;
    let chased = office.chased().await;
    assert!(
        chased
            .iter()
            .all(|(account_ref, ..)| account_ref == "GARAGE7")
    );

    // Ann asks to be forgotten: what she said and how she is reached, not Ben's.
    let erase = EraseContactNotes {
        command_id: CommandId::generate(),
        account_id: house,
        debtor_ref: Some("TEN-ANN".to_owned()),
        reason: "she asked for it".to_owned(),
        person: person("max", "manager"),
    };
    let erased = office.gateway.ask(&erase).await.unwrap();
    assert_eq!((erased.notes, erased.details), (1, true));
    let reach = debtors(&office, house).await;
    assert_eq!((reach[0].name.as_str(), reach[0].erased), ("erased", true));
    assert_eq!(reach[1].name, "Ben Jones");
    let contacts = ListContacts {
        account_id: house,
        contact_id: None,
        person: person("max", "manager"),
        page: PageRequest::default(),
    };
    let contacts = office.gateway.ask(&contacts).await.unwrap().items;
    assert!(contacts.iter().all(|contact| contact.note.is_none()));
}
