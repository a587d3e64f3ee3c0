//! A letter of claim to a person goes with its official forms, or not at all.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod chasing;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chasing::{Office, person};
use contracts::{
    api::{
        PageRequest,
        dunning::{
            DraftPolicy, EditionKind, EditionStep, FetchEnclosure, ListContacts, StepEdition,
        },
        reporting::GetTimeline,
    },
    dunning::{Channel, ChaseReason},
    inbound::{AccountKind, BillingAccount},
};
use kernel::CommandId;
use sha2::{Digest as _, Sha256};
use testkit::{DEADLINE, account, document, eventually, eventually_some};

fn individual(account_ref: &str) -> BillingAccount {
    BillingAccount {
        kind: AccountKind::Individual,
        email: Some(format!("{}@people.example", account_ref.to_lowercase())),
        address: Some("3 Some Road, Leeds, LS1 1AA".to_owned()),
        ..account(account_ref)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_claim_goes_with_its_forms_or_not_at_all() {
    let office = Office::open("2026-04-20").await;
    let pat = office
        .debtor(
            &individual("PAT01"),
            &[document("FEE-1", "PAT01", "350.00")],
        )
        .await;
    // Every stage before it was sent weeks ago: only the claim is left.
    let written = "with c as (
           insert into dunning.contact (contact_id, version, direction, channel, state, account_id, account_ref, stage,
             rank, policy, policy_version, at, counted_on, actor, reason, recorded_at)
           select gen_random_uuid(), 1, 'out', 'letter', 'posted', account_id, account_ref, 'final_demand', 50, 'consumer',
             1, '2026-03-20', '2026-03-20', 'system:dunning', 'before', '2026-03-20'
           from dunning.account
           where account_ref = 'PAT01' returning *),
         i as (
           insert into dunning.contact_item (contact_id, document_id, account_id, document_ref, stage, rank, amount, currency)
           select c.contact_id, i.document_id, i.account_id, i.document_ref, c.stage, c.rank, i.open, i.currency
           from c join dunning.item i using (account_id) returning *)
         insert into dunning.reached (account_id, documents, ranks, days, policies, policy_versions)
         select account_id, array[document_id], array[rank], array['2026-03-20'::date], array['consumer'], array[1] from i";
    sqlx::query(written)
        .execute(office.suite.admin_pool())
        .await
        .unwrap();
    let item = office
        .stands(pat, "FEE-1", ChaseReason::EnclosuresMissing, "350.00")
        .await;
    assert_eq!(item.next_stage.as_deref(), Some("letter_of_claim"));
    // A run says so, and has nobody to write to.
    let run = office.propose().await;
    assert_eq!(run.contacts, 0);
    let why: Vec<ChaseReason> = run.tally.iter().map(|row| row.reason).collect();
    assert_eq!(why, [ChaseReason::EnclosuresMissing]);

    // What is no PDF is not kept, whatever it is called.
    assert!(office.upload("reply_form", b"GIF89a").await.is_err());
    assert!(office.upload("anything", b"%PDF-1.7").await.is_err());
    let forms = office.publish_forms().await;
    assert_eq!(forms.len(), 3);
    let fetched = FetchEnclosure {
        enclosure: forms[0].0.clone(),
        version: None,
    };
    let fetched = office.gateway.ask(&fetched).await.unwrap();
    assert_eq!(BASE64_STANDARD.decode(fetched.base64).unwrap(), forms[0].1);
    office
        .stands(pat, "FEE-1", ChaseReason::ChaseNow, "350.00")
        .await;
    assert_eq!(office.chased().await.len(), 1);

    let ask = ListContacts {
        account_id: pat,
        contact_id: None,
        person: person("jo", "controller"),
        page: PageRequest::default(),
    };
    let contacts = office.gateway.ask(&ask).await.unwrap().items;
    let letter = &contacts[0];
    assert_eq!(letter.channel, Channel::Letter);
    assert_eq!(letter.enclosures[0].name, "statement_of_account");
    let with: Vec<(&str, &str)> = letter.enclosures[1..]
        .iter()
        .map(|one| (one.name.as_str(), one.sha256.as_str()))
        .collect();
    let hashes: Vec<String> = forms
        .iter()
        .map(|(_, bytes)| hex::encode(Sha256::digest(bytes)))
        .collect();
    for ((name, _), hash) in forms.iter().zip(&hashes) {
        assert!(with.contains(&(name.as_str(), hash.as_str())), "{with:?}");
    }
    // Each is kept byte for byte, and the letter says what is with it.
    let kept: i64 = sqlx::query_scalar(
        "select count(*) from dunning.contact_enclosure e join dunning.archive a using (sha256)
         where encode(sha256(a.bytes), 'hex') = a.sha256",
    )
    .fetch_one(office.suite.admin_pool())
    .await
    .unwrap();
    assert_eq!(kept, 4);
    // It stands on the account's timeline, beside what moved on the ledger.
    eventually("the letter is on the timeline", DEADLINE, async || {
        let ask = GetTimeline {
            account_id: pat,
            page: PageRequest::default(),
        };
        let entries = office.gateway.ask(&ask).await.unwrap().items;
        entries
            .iter()
            .any(|entry| entry.kind == "contact" && entry.summary.contains("letter of claim"))
            && entries.iter().any(|entry| entry.kind == "document")
    })
    .await;
}

/// Where somebody chose e-mail for it, the forms are attached.
#[tokio::test(flavor = "multi_thread")]
async fn an_e_mail_has_the_forms_attached() {
    let office = Office::open("2026-02-10").await;
    office.publish_forms().await;
    let policy = DraftPolicy {
        command_id: CommandId::generate(),
        policy: "claims_by_mail".to_owned(),
        text: r#"
policy = "claims_by_mail"
version = 1
valid_from = "2026-02-10"
title = "Claims by e-mail"
manual = "They asked to be written to by e-mail."
debtors = ["individual"]
segments = ["by_mail"]
jump = false
cool_off_days = 0
feed_fresh_hours = 96
minimum = { GBP = "1.00" }
budget = { contacts = 2, days = 7 }
promise = { tolerance = "1.00", grace_working_days = 3, levels = 3 }
plan = { grace_working_days = 5, missed = 2, interest_frozen = true }
interest = { kind = "none" }

[[stage]]
code = "letter_of_claim"
rank = 60
title = "Letter of claim"
days_past_due = 1
channels = ["email"]
template = "letter_of_claim"
legal = "protocol"
"#
        .to_owned(),
        valid_from: None,
        reason: "they agreed to e-mail".to_owned(),
        person: person("sam", "team_leader"),
    };
    let drafted = office.gateway.ask(&policy).await;
    let drafted = drafted.unwrap_or_else(|refused| panic!("{refused:?}"));
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
    let debtor = BillingAccount {
        segment: Some("by_mail".to_owned()),
        ..individual("KIM01")
    };
    let kim = office
        .debtor(&debtor, &[document("FEE-2", "KIM01", "90.00")])
        .await;
    office
        .stands(kim, "FEE-2", ChaseReason::ChaseNow, "90.00")
        .await;
    assert_eq!(office.chased().await.len(), 1);
    let message = eventually_some("it is in the post", DEADLINE, async || {
        office.post.messages().unwrap().pop()
    })
    .await;
    for name in [
        "statement-of-account.pdf",
        "information-sheet.pdf",
        "reply-form.pdf",
        "financial-statement.pdf",
    ] {
        assert!(message.contains(name), "{name} is missing");
    }
    assert!(message.contains("Enclosed: "));
}
