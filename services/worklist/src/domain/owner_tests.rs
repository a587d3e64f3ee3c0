use contracts::worklist::{Absence, AbsenceId};
use proptest::prelude::*;

use super::*;

fn person(name: &str, skills: &[&str]) -> Person {
    Person {
        actor: format!("user:{name}"),
        version: 1,
        name: name.to_owned(),
        roles: Vec::new(),
        skills: skills.iter().map(|s| (*s).to_owned()).collect(),
        minutes: vec![360, 360, 360, 360, 360, 0, 0],
        answers_for_rest: false,
        active: true,
        absences: Vec::new(),
    }
}

fn rule(owner: &str) -> PortfolioRule {
    PortfolioRule {
        rule_id: Uuid::nil(),
        owner: owner.to_owned(),
        account_ref: None,
        from_ref: None,
        to_ref: None,
        segment: None,
        department: None,
        ended: false,
    }
}

fn account(account_ref: &str, segment: &str) -> Account {
    Account {
        reference: account_ref.to_owned(),
        segment: Some(segment.to_owned()),
        ..Account::default()
    }
}

fn monday() -> NaiveDate {
    "2026-06-29".parse().unwrap()
}

#[test]
fn a_named_account_beats_a_range_beats_a_segment_and_later_beats_earlier() {
    let staff = Staff {
        people: ["a", "b", "c", "d"]
            .map(|name| person(name, &["cash"]))
            .to_vec(),
        rules: vec![
            PortfolioRule {
                account_ref: Some("ACME01".into()),
                ..rule("user:a")
            },
            PortfolioRule {
                from_ref: Some("A".into()),
                to_ref: Some("B".into()),
                ..rule("user:b")
            },
            PortfolioRule {
                segment: Some("sme".into()),
                ..rule("user:c")
            },
            PortfolioRule {
                segment: Some("sme".into()),
                ..rule("user:d")
            },
            PortfolioRule {
                segment: Some("sme".into()),
                ..rule("user:left-long-ago")
            },
        ],
        covers: Vec::new(),
    };
    for (account_ref, segment, owner) in [
        ("ACME01", "sme", Some("user:a")),
        ("ACME02", "sme", Some("user:b")),
        ("ZETA01", "sme", Some("user:d")),
        ("ZETA01", "large", None),
    ] {
        let account = account(account_ref, segment);
        assert_eq!(staff.portfolio(&account, "cash"), owner);
        assert_eq!(staff.portfolio(&account, "approvals"), None);
    }
}

#[test]
fn nothing_is_ever_nobodys() {
    let nobody = Staff::default();
    let owned = nobody.owner(Uuid::nil(), None, "cash", Some("gone"), monday());
    assert_eq!(
        (owned.owner.as_str(), owned.source),
        (QUEUE, OwnerSource::Default)
    );
    let mut boss = person("boss", &[]);
    boss.answers_for_rest = true;
    let staff = Staff {
        people: vec![boss, person("jo", &["legal"])],
        ..Staff::default()
    };
    let owned = staff.owner(Uuid::nil(), None, "cash", None, monday());
    assert_eq!(
        (owned.owner.as_str(), owned.source),
        ("user:boss", OwnerSource::Default)
    );
    let owned = staff.owner(Uuid::nil(), None, "legal", None, monday());
    assert_eq!(
        (owned.owner.as_str(), owned.source),
        ("user:jo", OwnerSource::Skill)
    );
    let owned = staff.owner(Uuid::nil(), None, "legal", Some("BOSS"), monday());
    assert_eq!(owned.source, OwnerSource::Assigned);
}

#[test]
fn who_covers_has_it_and_the_owner_answers_for_it() {
    let cover = |owner: &str, covered_by: &str| Cover {
        id: CoverId::generate(),
        owner: owner.to_owned(),
        covered_by: covered_by.to_owned(),
    };
    let mut staff = Staff {
        people: vec![person("jo", &["cash"])],
        covers: vec![cover("user:jo", "user:sam"), cover("user:sam", "user:kim")],
        ..Staff::default()
    };
    let owned = staff.owner(Uuid::nil(), None, "cash", None, monday());
    assert_eq!(
        (owned.owner.as_str(), owned.holder.as_str()),
        ("user:jo", "user:kim")
    );
    assert_eq!(owned.cover_id, Some(staff.covers[0].id));
    // In a ring it ends before it comes back.
    staff.covers.push(cover("user:kim", "user:jo"));
    assert_eq!(staff.holder("user:jo").0, "user:kim");
}

#[test]
fn who_is_away_has_no_minutes_and_draws_no_lots() {
    let mut jo = person("jo", &["cash"]);
    jo.absences.push(Absence {
        absence_id: AbsenceId::generate(),
        from: monday(),
        to: "2026-06-30".parse().unwrap(),
        reason: "holiday".into(),
    });
    assert_eq!(minutes(&jo, "2026-06-30".parse().unwrap()), 0);
    assert_eq!(minutes(&jo, "2026-07-01".parse().unwrap()), 360);
    assert_eq!(minutes(&jo, "2026-07-04".parse().unwrap()), 0);
    let mut staff = Staff {
        people: vec![jo, person("sam", &["cash"])],
        ..Staff::default()
    };
    for n in 0..20 {
        let owned = staff.owner(Uuid::from_u128(n), None, "cash", None, monday());
        assert_eq!(owned.owner, "user:sam");
    }
    staff.people.pop();
    let owned = staff.owner(Uuid::nil(), None, "cash", None, monday());
    assert_eq!(owned.owner, "user:jo", "all who can are away");
}

proptest! {
    /// Whoever leaves, what others had stays with them: only the leaver's is
    /// dealt out anew.
    #[test]
    fn a_leaver_moves_only_their_own(subjects in prop::collection::vec(any::<u128>(), 1..40), gone in 0..4usize) {
        let all = Staff {
            people: ["a", "b", "c", "d"].map(|name| person(name, &["cash"])).to_vec(),
            ..Staff::default()
        };
        let mut left = all.clone();
        let leaver = left.people.remove(gone).actor;
        for subject in subjects {
            let subject = Uuid::from_u128(subject);
            let before = all.owner(subject, None, "cash", None, monday()).owner;
            let after = left.owner(subject, None, "cash", None, monday()).owner;
            if before == leaver {
                prop_assert_ne!(after, leaver.clone());
            } else {
                prop_assert_eq!(after, before);
            }
        }
    }
}
