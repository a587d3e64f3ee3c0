use chrono::TimeDelta;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

fn person(name: &str, roles: &[&str]) -> Person {
    Person {
        actor: format!("user:{name}"),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
    }
}

fn limit(role: &str, amount: &str) -> Limit {
    Limit {
        kind: ApprovalKind::Refund,
        role: role.into(),
        amount: gbp(amount),
        valid_from: "2026-01-01".parse().unwrap(),
    }
}

fn terms(manager: &str) -> Terms {
    Terms {
        limits: Limits(vec![
            limit("manager", manager),
            limit("team_leader", "50.00"),
        ]),
        ..Terms::default()
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn soon() -> DateTime<Utc> {
    at("2026-11-26T10:00:00Z")
}

fn asked(amount: &str, needed: u8) -> Approval {
    let content = json!({"amount": amount, "reason": "paid twice"});
    requested(&ApprovalRequested {
        approval_id: ApprovalId::generate(),
        kind: ApprovalKind::Refund,
        subject_id: Uuid::from_u128(1),
        title: "a refund".into(),
        amount: gbp(amount),
        account_id: None,
        account_ref: None,
        content_sha256: contracts::controls::frozen(&content).1,
        needed,
        requester: "user:jo".into(),
        reason: "paid twice".into(),
        expires_at: at("2026-12-10T09:00:00Z"),
        recorded_at: at("2026-11-26T09:00:00Z"),
        content: Some(content),
    })
}

fn deputy(deputy: &str, absent: &str) -> ActsFor {
    ActsFor {
        deputy: format!("user:{deputy}"),
        absent: format!("user:{absent}"),
    }
}

fn approve(approval: &mut Approval, who: &Person, terms: &Terms) -> Result<Outcome, &'static str> {
    approval
        .decide(who, Verdict::Approve, "", terms, soon())
        .map_err(|refused| refused.code())
}

#[test]
fn a_limit_lowered_while_pending_counts_e102() {
    let mut approval = asked("100.00", 1);
    let al = person("al", &["manager"]);
    let low = approve(&mut approval, &al, &terms("99.99"));
    assert_eq!(low, Err("worklist.above_limit"));
    assert_eq!(approval.state, ApprovalState::Pending);
    let enough = approve(&mut approval, &al, &terms("100.00"));
    assert_eq!(enough, Ok(Outcome::Approved));
}

#[test]
fn of_two_approvals_the_first_is_held_against_its_limit_again_e102() {
    let mut approval = asked("100.00", 2);
    let manager = |name| person(name, &["manager"]);
    let full = terms("100.00");
    assert_eq!(
        approve(&mut approval, &manager("al"), &full),
        Ok(Outcome::More)
    );
    let again = approve(&mut approval, &manager("AL"), &full);
    assert_eq!(again, Err("worklist.decided_already"));
    let cli = Person {
        actor: "cli:al".into(),
        ..manager("al")
    };
    let again = approve(&mut approval, &cli, &full);
    assert_eq!(again, Err("worklist.decided_already"), "by another way in");
    assert_eq!(
        approve(&mut approval, &manager("bo"), &full),
        Ok(Outcome::Approved)
    );
    let late = approve(&mut approval, &manager("cy"), &full);
    assert_eq!(late, Err("worklist.approval_over"));

    let mut approval = asked("100.00", 2);
    let mut two = terms("100.00");
    two.limits.0.push(limit("cfo", "500.00"));
    approve(&mut approval, &manager("al"), &two).unwrap();
    let mut lowered = terms("1.00");
    lowered.limits.0.push(limit("cfo", "500.00"));
    let then = approve(&mut approval, &person("cy", &["cfo"]), &lowered);
    assert_eq!(
        then,
        Ok(Outcome::More),
        "the manager's word counts no longer"
    );
    let then = approve(&mut approval, &person("di", &["cfo"]), &lowered);
    assert_eq!(then, Ok(Outcome::Approved));
}

#[test]
fn an_approver_who_left_counts_no_longer_e102() {
    let mut approval = asked("100.00", 2);
    let mut terms = terms("100.00");
    approve(&mut approval, &person("al", &["manager"]), &terms).unwrap();
    terms.left = vec!["user:Al".into()];
    let then = approve(&mut approval, &person("bo", &["manager"]), &terms);
    assert_eq!(then, Ok(Outcome::More));
}

#[test]
fn nobody_approves_for_whom_they_cover_e102() {
    let mut terms = terms("100.00");
    terms.acts_for = vec![deputy("al", "jo")];
    let mut approval = asked("100.00", 1);
    let own = approve(&mut approval, &person("al", &["manager"]), &terms);
    assert_eq!(own, Err("worklist.acts_for_requester"));
    // Through somebody else who covers, too.
    terms.acts_for = vec![deputy("al", "bo"), deputy("bo", "jo")];
    let own = approve(&mut approval, &person("al", &["manager"]), &terms);
    assert_eq!(own, Err("worklist.acts_for_requester"));
    // A cover of somebody else does no harm, and a ring ends.
    terms.acts_for = vec![deputy("al", "bo"), deputy("bo", "al")];
    let mut approval = asked("100.00", 2);
    approve(&mut approval, &person("bo", &["manager"]), &terms).unwrap();
    let second = approve(&mut approval, &person("al", &["manager"]), &terms);
    assert_eq!(second, Err("worklist.acts_for_approver"));
    let third = approve(&mut approval, &person("cy", &["manager"]), &terms);
    assert_eq!(third, Ok(Outcome::Approved));
}

#[test]
fn nobody_decides_after_the_time_or_rejects_without_a_word() {
    let mut approval = asked("10.00", 1);
    let al = person("al", &["manager"]);
    let late = at("2026-12-10T09:00:00Z");
    let terms = terms("99.00");
    let refused = approval.decide(&al, Verdict::Approve, "", &terms, late);
    assert_eq!(refused.unwrap_err().code(), "worklist.approval_expired");
    let refused = approval.decide(&al, Verdict::Reject, " ", &terms, soon());
    assert_eq!(refused.unwrap_err().code(), "worklist.reason_needed");
    assert!(approval.expire());
    assert!(!approval.expire(), "once");
    assert_eq!(approval.version, 2);
}

/// What the asking service says counts once, whatever the order.
#[test]
fn what_is_said_again_changes_nothing_e101() {
    let withdrawn = Said::Withdrawn {
        actor: "user:jo".into(),
        reason: "drafted anew".into(),
    };
    let done = Said::CarriedOut {
        outcome: CarriedOut::Done,
        reason: None,
        at: soon(),
    };
    let mut approval = asked("10.00", 1);
    assert_eq!(approval.hear(&done), Heard::Nothing, "nobody approved it");
    approve(&mut approval, &person("al", &["manager"]), &terms("99.00")).unwrap();
    assert_eq!(approval.hear(&done), Heard::Done);
    assert_eq!(approval.hear(&done), Heard::Nothing);
    assert_eq!(approval.hear(&withdrawn), Heard::Nothing, "it is done");
    assert_eq!(approval.state, ApprovalState::Approved);

    let mut approval = asked("10.00", 1);
    assert_eq!(approval.hear(&withdrawn), Heard::Over);
    assert_eq!(approval.hear(&withdrawn), Heard::Nothing);
    assert_eq!(approval.state, ApprovalState::Voided);
    assert_eq!(approval.ended_because.as_deref(), Some("drafted anew"));
}

#[test]
fn the_hash_is_of_the_content_that_came() {
    let fact = ApprovalRequested {
        content_sha256: "something else".into(),
        ..requested_fact()
    };
    let approval = requested(&fact);
    assert_eq!(
        approval.content_sha256,
        contracts::controls::frozen(fact.content.as_ref().unwrap()).1
    );
    let old = ApprovalRequested {
        content: None,
        content_sha256: "of before".into(),
        ..requested_fact()
    };
    assert_eq!(requested(&old).content_sha256, "of before");
}

fn requested_fact() -> ApprovalRequested {
    let approval = asked("10.00", 1);
    ApprovalRequested {
        approval_id: approval.id,
        kind: approval.kind,
        subject_id: approval.subject,
        title: approval.title,
        amount: approval.amount,
        account_id: None,
        account_ref: None,
        content_sha256: approval.content_sha256,
        needed: 1,
        requester: approval.requester,
        reason: approval.reason,
        expires_at: approval.expires_at,
        recorded_at: approval.requested_at,
        content: Some(json!({"amount": "10.00"})),
    }
}

proptest! {
    /// Whatever roles, limits, covers, ways in and order: it is approved only by
    /// as many different people as are needed, none of them the requester or
    /// acting for the requester, each within a limit.
    #[test]
    fn the_requester_never_approves_e102(
        needed in 1_u8..=2,
        tries in proptest::collection::vec((0_usize..5, 0_usize..3, any::<bool>()), 1..14),
        covers in proptest::collection::vec((0_usize..5, 0_usize..5), 0..4),
        limit in 1_i64..200,
    ) {
        let names = ["jo", "al", "bo", "JO ", "cy"];
        let mut approval = asked("100.00", needed);
        let mut terms = terms(&format!("{limit}.00"));
        terms.acts_for = covers
            .iter()
            .map(|(one, other)| deputy(names[*one], names[*other]))
            .collect();
        let roles: [&[&str]; 3] = [&["manager"], &["team_leader", "manager"], &["team_leader"]];
        for (way, (name, role, yes)) in tries.into_iter().enumerate() {
            let verdict = if yes { Verdict::Approve } else { Verdict::Reject };
            let mut who = person(names[name], roles[role]);
            if way % 2 == 0 {
                who.actor = format!("cli:{}", names[name]);
            }
            let _ = approval.decide(&who, verdict, "because", &terms, soon() + TimeDelta::seconds(way as i64));
        }
        for decision in &approval.decisions {
            prop_assert!(!same_person(&decision.actor, "user:jo"));
            prop_assert!(!terms.acts_for(&decision.actor, "user:jo"));
        }
        if approval.state == ApprovalState::Approved {
            let mut approvers: Vec<String> = approval.decisions.iter()
                .filter(|d| d.verdict == Verdict::Approve
                    && d.limit.is_some_and(|l| l.amount() >= approval.amount.amount()))
                .map(|d| name_of(&d.actor))
                .collect();
            approvers.sort();
            approvers.dedup();
            prop_assert!(approvers.len() >= usize::from(needed));
        }
    }

    /// What is over stays over, whatever is said and decided after, and each
    /// change is a new version.
    #[test]
    fn what_is_over_stays_over_e101(acts in proptest::collection::vec(0_usize..6, 1..12)) {
        let mut approval = asked("10.00", 1);
        let terms = terms("99.00");
        let said = |outcome| Said::CarriedOut { outcome, reason: Some("it moved".into()), at: soon() };
        for act in acts {
            let before = (approval.state, approval.version, approval.carried_out_at);
            let ended = !matches!(approval.state, ApprovalState::Pending | ApprovalState::Approved)
                || approval.carried_out_at.is_some();
            match act {
                0 => { let _ = approval.decide(&person("al", &["manager"]), Verdict::Approve, "", &terms, soon()); }
                1 => { let _ = approval.decide(&person("bo", &["manager"]), Verdict::Reject, "no", &terms, soon()); }
                2 => { approval.expire(); }
                3 => { approval.hear(&said(CarriedOut::Done)); }
                4 => { approval.hear(&said(CarriedOut::Voided)); }
                _ => { approval.hear(&Said::Withdrawn { actor: "user:jo".into(), reason: "no".into() }); }
            }
            let after = (approval.state, approval.version, approval.carried_out_at);
            if ended {
                prop_assert_eq!(before, after);
            }
            prop_assert_eq!(before == after, before.1 == after.1);
            if approval.carried_out_at.is_some() {
                prop_assert_eq!(approval.state, ApprovalState::Approved);
            }
        }
    }
}
