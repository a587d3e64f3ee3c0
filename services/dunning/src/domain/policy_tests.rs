//! Policies, and which is for whom.

use chrono::NaiveDate;
use contracts::{dunning::AssignTo, inbound::AccountKind};

use super::policy::*;

fn debtor(segment: Option<&'static str>, kind: AccountKind) -> Debtor<'static> {
    Debtor {
        account_ref: "A1",
        parent_ref: Some("P1"),
        kind: Some(kind),
        segment,
    }
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn what_the_program_comes_with_can_be_read() {
    assert_eq!(Policy::shipped().unwrap().len(), SHIPPED.len());
}

#[test]
fn a_segment_goes_before_everybody_and_an_account_before_a_segment() {
    let mut all = Policy::shipped().unwrap();
    let policies = Policies::new(all.clone());
    let on = day("2026-11-27");
    let of = |debtor| policies.choose(debtor, on).map(|p| p.policy.as_str());
    assert_eq!(
        of(debtor(Some("Broker"), AccountKind::Company)),
        Some("broker")
    );
    assert_eq!(of(debtor(None, AccountKind::Company)), Some("trade_credit"));
    assert_eq!(of(debtor(None, AccountKind::Individual)), Some("consumer"));
    all.iter_mut()
        .find(|p| p.policy == "council_sundry")
        .unwrap()
        .accounts
        .push("A1".to_owned());
    let policies = Policies::new(all);
    let chosen = policies.choose(debtor(Some("broker"), AccountKind::Company), on);
    assert_eq!(chosen.unwrap().policy, "council_sundry");
}

#[test]
fn an_assignment_goes_before_segments_and_the_accounts_before_its_parents() {
    let said = |to, reference: &str, policy: Option<&str>, from: &str| Assignment {
        to,
        reference: reference.to_owned(),
        policy: policy.map(str::to_owned),
        valid_from: day(from),
    };
    let policies = Policies::new(Policy::shipped().unwrap()).with(vec![
        said(
            AssignTo::Parent,
            "P1",
            Some("insurance_principal"),
            "2026-02-01",
        ),
        said(AssignTo::Account, "A1", Some("legal_file"), "2026-03-01"),
        said(AssignTo::Account, "A1", None, "2026-04-01"),
        said(AssignTo::Parent, "P1", Some("broker"), "2026-05-01"),
    ]);
    let of = |on: &str, kind| {
        let debtor = debtor(Some("sundry_debt"), kind);
        policies.choose(debtor, day(on)).map(|p| p.policy.as_str())
    };
    let company = AccountKind::Company;
    assert_eq!(of("2026-01-31", company), Some("council_sundry"));
    assert_eq!(of("2026-02-01", company), Some("insurance_principal"));
    assert_eq!(of("2026-03-01", company), Some("legal_file"));
    assert_eq!(of("2026-04-01", company), Some("insurance_principal"));
    // The broker's policy is for companies only.
    assert_eq!(of("2026-05-01", company), Some("broker"));
    assert_eq!(
        of("2026-05-01", AccountKind::Individual),
        Some("council_sundry")
    );
}

/// E70: a person outside every segment is chased, without the Act's claims.
#[test]
fn e70_a_consumer_gets_a_letter_of_claim_and_owes_no_statutory_interest() {
    let policies = Policies::new(Policy::shipped().unwrap());
    let person = debtor(None, AccountKind::Individual);
    let policy = policies.choose(person, day("2026-11-27")).unwrap();
    assert_eq!(policy.interest, InterestRules::None);
    // Of one whose kind is not known we assume a person.
    let unknown = Debtor {
        kind: None,
        ..person
    };
    let of_unknown = policies.choose(unknown, day("2026-11-27")).unwrap();
    assert_eq!(of_unknown.policy, "consumer");
    let last = policy.stages.last().unwrap();
    assert_eq!(last.legal, LegalClass::Protocol);
    assert!(
        policy
            .stages
            .iter()
            .all(|s| s.legal != LegalClass::BeforeAction)
    );
}

/// E58: a stage that a later version does not have any more.
#[test]
fn an_item_at_a_deleted_stage_goes_on_with_the_next_higher_rank() {
    let policy = &Policy::shipped().unwrap()[0];
    let kind = Some(AccountKind::Company);
    assert_eq!(policy.after(Some(45), kind).unwrap().code, "final_demand");
    assert_eq!(policy.after(Some(60), kind), None);
    assert_eq!(policy.after(None, kind).unwrap().code, "before_due");
}

#[test]
fn the_law_of_the_debtor_picks_the_last_letter() {
    let policy = &Policy::shipped().unwrap()[0];
    let last = |kind| policy.after(Some(50), kind).unwrap().code.as_str();
    assert_eq!(last(Some(AccountKind::Company)), "letter_before_action");
    assert_eq!(last(Some(AccountKind::SoleTrader)), "letter_of_claim");
    assert_eq!(last(None), "letter_of_claim");
    // Both have the same rank: what a rank means depends on the debtor, too.
    let at = |kind| policy.at(60, kind).unwrap().code.as_str();
    assert_eq!(at(Some(AccountKind::Company)), "letter_before_action");
    assert_eq!(at(Some(AccountKind::SoleTrader)), "letter_of_claim");
    assert_eq!(at(None), "letter_of_claim");
}

#[test]
fn a_policy_that_contradicts_itself_is_refused_with_the_field() {
    let good = SHIPPED[1];
    let twice = good.replace("code = \"call\"", "code = \"final_demand\"");
    let error = Policy::read(&twice).unwrap_err();
    assert!(error.to_string().starts_with("stage["), "{error}");
    let late = good.replace("rank = 40", "rank = 10");
    assert!(
        Policy::read(&late)
            .unwrap_err()
            .to_string()
            .contains("rank")
    );
    let unknown = good.replace("cool_off_days = 3", "cool_off_day = 3");
    assert!(matches!(
        Policy::read(&unknown),
        Err(PolicyError::Unreadable(_))
    ));
}

#[test]
fn a_newer_version_counts_from_its_day() {
    let mut newer = Policy::shipped().unwrap().remove(0);
    newer.version = 2;
    newer.valid_from = day("2026-12-01");
    let mut all = Policy::shipped().unwrap();
    all.push(newer);
    let policies = Policies::new(all);
    let version = |on: &str| {
        let debtor = debtor(None, AccountKind::Company);
        policies.choose(debtor, day(on)).unwrap().version
    };
    assert_eq!(version("2026-11-30"), 1);
    assert_eq!(version("2026-12-01"), 2);
}
