use contracts::worklist::Person;

use super::*;
use crate::domain::{
    desk::{Change, Desk, Signal},
    owner::Cover,
};

const RECEIPT: Uuid = Uuid::from_u128(7);

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn person(name: &str, skills: &[&str]) -> Person {
    Person {
        actor: format!("user:{name}"),
        version: 1,
        name: name.to_owned(),
        roles: Vec::new(),
        skills: skills.iter().map(|s| (*s).to_owned()).collect(),
        minutes: vec![360; 7],
        answers_for_rest: false,
        active: true,
        absences: Vec::new(),
    }
}

struct World {
    staff: Staff,
    policies: Policies,
    accounts: HashMap<Uuid, Account>,
}

impl World {
    fn new() -> Self {
        Self {
            staff: Staff {
                people: vec![person("jo", &["cash", "disputes"]), person("sam", &[])],
                ..Staff::default()
            },
            policies: Policies::new(kinds::shipped_policies().unwrap()),
            accounts: HashMap::new(),
        }
    }

    fn office(&self, now: &str) -> Office<'_> {
        Office {
            staff: &self.staff,
            policies: &self.policies,
            accounts: &self.accounts,
            now: at(now),
        }
    }
}

fn opening(pence: i64, when: &str) -> Opening {
    Opening {
        subject_ref: "BR1".into(),
        detail: "from nobody in particular".into(),
        account_id: None,
        account_ref: None,
        amount: Some(
            Money::try_new(Decimal::new(pence, 2), Currency::parse("GBP").unwrap()).unwrap(),
        ),
        wanted: None,
        back_on: None,
        pause: None,
        starts_at: at(when),
        since: at(when),
        business_at: at(when),
        related_id: None,
    }
}

fn signal(kind: &'static str, version: i64, change: Change, when: &str) -> Signal {
    Signal {
        kind,
        subject_id: RECEIPT,
        subject_version: version,
        change,
        actor: "system:matcher".into(),
        reason: "because".into(),
        at: at(when),
    }
}

fn open(version: i64, pence: i64, when: &str) -> Signal {
    let opening = Box::new(opening(pence, when));
    signal("unallocated_receipt", version, Change::Open(opening), when)
}

/// One after another, each batch stored and loaded again.
fn told(world: &World, batches: &[&[Signal]], now: &str) -> Vec<Touched> {
    let office = world.office(now);
    let mut known: Vec<Touched> = Vec::new();
    for batch in batches {
        let mut desk = Desk::new(known.clone());
        desk.apply(batch, &office).unwrap();
        for touched in desk.into_touched() {
            let stored = serde_json::to_value(&touched.item).unwrap();
            let item: Item = serde_json::from_value(stored).unwrap();
            known.retain(|have| have.item.work_item_id != item.work_item_id);
            known.push(Touched::of(item, touched.clock));
        }
    }
    known
}

const NOW: &str = "2026-06-29T10:00:00Z";

#[test]
fn an_item_opens_with_owner_clock_and_score_and_closes_with_its_cause() {
    let world = World::new();
    let items = told(&world, &[&[open(1, 12_000, NOW)]], NOW);
    let item = &items[0].item;
    assert_eq!((item.version, item.state), (1, WorkState::Open));
    assert_eq!(item.owner, "user:jo");
    assert_eq!(item.sla, SlaState::Running);
    assert_eq!(item.due_at, Some(at("2026-06-30T10:00:00Z")));
    assert!(item.score > 0 && item.score == item.parts.iter().map(|p| p.points).sum::<i32>());
    let close = signal(
        "unallocated_receipt",
        2,
        Change::Close,
        "2026-06-29T11:00:00Z",
    );
    let items = told(&world, &[&[open(1, 12_000, NOW)], &[close]], NOW);
    assert_eq!(items[0].item.state, WorkState::Closed);
    assert_eq!(items[0].item.sla, SlaState::Met);
}

/// E100: twice, or in another order, it comes to the same.
#[test]
fn events_told_twice_or_in_another_order_come_to_the_same_e100() {
    let world = World::new();
    let close = || signal("unallocated_receipt", 2, Change::Close, NOW);
    let first = || open(1, 12_000, NOW);
    for batches in [
        vec![vec![first()], vec![close()], vec![first()]],
        vec![vec![close()], vec![first()], vec![close()]],
        vec![vec![close(), first(), close()]],
    ] {
        let batches: Vec<&[Signal]> = batches.iter().map(Vec::as_slice).collect();
        let items = told(&world, &batches, NOW);
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].item.state, WorkState::Closed);
    }
}

#[test]
fn what_comes_back_is_the_same_item_with_a_new_run_of_its_clock() {
    let world = World::new();
    let close = signal("unallocated_receipt", 2, Change::Close, NOW);
    let items = told(
        &world,
        &[&[open(1, 12_000, NOW)], &[close], &[open(3, 5_000, NOW)]],
        NOW,
    );
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].item.state, WorkState::Open);
    assert_eq!(items[0].clock.as_ref().unwrap().cycle, 2);
}

#[test]
fn an_ended_item_comes_back_only_when_something_is_new() {
    let world = World::new();
    let office = world.office(NOW);
    let mut touched = told(&world, &[&[open(1, 12_000, NOW)]], NOW).remove(0);
    let done = WorkAction::Complete {
        outcome: "asked_payer".into(),
        note: String::new(),
        next: NextStep::NoneBecause("they will send an advice".into()),
    };
    touched.act(&done, "user:jo", &office).unwrap();
    assert_eq!(touched.item.state, WorkState::Done);
    let because = Because {
        actor: "a",
        reason: "r",
    };
    touched
        .open(&opening(12_000, NOW), because, &office)
        .unwrap();
    assert_eq!(touched.item.state, WorkState::Done);
    touched
        .open(&opening(13_000, NOW), because, &office)
        .unwrap();
    assert_eq!(touched.item.state, WorkState::Open);
}

#[test]
fn ending_needs_an_outcome_and_a_next_step() {
    let world = World::new();
    let office = world.office(NOW);
    let fresh = told(&world, &[&[open(1, 12_000, NOW)]], NOW).remove(0);
    let end = |outcome: &str, next: NextStep| {
        let action = WorkAction::Complete {
            outcome: outcome.into(),
            note: String::new(),
            next,
        };
        let mut touched = fresh.clone();
        touched
            .act(&action, "user:jo", &office)
            .map(|()| touched.item)
    };
    let today = office.today();
    let tomorrow = today.succ_opt().unwrap();
    for (outcome, next) in [
        ("", NextStep::On(tomorrow)),
        ("won", NextStep::On(tomorrow)),
        ("asked_payer", NextStep::On(today)),
        ("asked_payer", NextStep::NoneBecause("  ".into())),
    ] {
        assert!(end(outcome, next.clone()).is_err(), "{outcome} {next:?}");
    }
    let item = end("asked_payer", NextStep::On(tomorrow)).unwrap();
    assert_eq!(
        (item.state, item.back_on),
        (WorkState::Waiting, Some(tomorrow))
    );
    assert_eq!(item.sla, SlaState::Met);
}

/// E108: who covers keeps what they have in hand until they put it down; the
/// owner answers for it all the time.
#[test]
fn cover_ends_while_work_is_in_hand_e108() {
    let mut world = World::new();
    let mut touched = told(&world, &[&[open(1, 12_000, NOW)]], NOW).remove(0);
    let because = Because {
        actor: "system:cover",
        reason: "cover",
    };
    world.staff.covers.push(Cover {
        id: CoverId::generate(),
        owner: "user:jo".into(),
        covered_by: "user:sam".into(),
    });
    let owned = world.staff.with_cover("user:jo", OwnerSource::Skill);
    assert!(touched.move_to(owned, because, &world.office(NOW)));
    assert_eq!(
        (touched.item.owner.as_str(), touched.item.holder.as_str()),
        ("user:jo", "user:sam")
    );
    touched
        .act(&WorkAction::Take, "user:sam", &world.office(NOW))
        .unwrap();
    world.staff.covers.clear();
    let back = world.staff.with_cover("user:jo", OwnerSource::Skill);
    assert!(!touched.move_to(back, because, &world.office(NOW)));
    assert_eq!(touched.item.holder, "user:sam");
    touched
        .act(&WorkAction::PutDown, "user:sam", &world.office(NOW))
        .unwrap();
    assert_eq!(
        (touched.item.owner.as_str(), touched.item.holder.as_str()),
        ("user:jo", "user:jo")
    );
}

#[test]
fn a_dispute_stands_still_only_while_the_customer_must_answer() {
    let world = World::new();
    let case = |version, pause: Option<&str>, when: &str| {
        let opening = Opening {
            pause: pause.map(str::to_owned),
            ..opening(5_000, when)
        };
        signal("dispute", version, Change::Open(Box::new(opening)), when)
    };
    let items = told(
        &world,
        &[
            &[case(1, None, "2026-06-29T10:00:00Z")],
            &[case(2, Some("awaiting_internal"), "2026-06-29T11:00:00Z")],
        ],
        "2026-06-29T11:00:00Z",
    );
    assert_eq!(items[0].item.sla, SlaState::Running);
    let items = told(
        &world,
        &[
            &[case(1, None, "2026-06-29T10:00:00Z")],
            &[case(2, Some("awaiting_customer"), "2026-06-29T11:00:00Z")],
        ],
        "2026-06-29T11:00:00Z",
    );
    assert_eq!(items[0].item.sla, SlaState::Paused);
    assert_eq!(items[0].item.due_at, None);
}

#[test]
fn what_fell_to_nobody_is_whose_who_takes_it() {
    let mut world = World::new();
    world.staff.people.retain(|p| p.name == "sam");
    let mut touched = told(&world, &[&[open(1, 12_000, NOW)]], NOW).remove(0);
    assert_eq!(touched.item.owner_source, OwnerSource::Default);
    touched
        .act(&WorkAction::Take, "user:sam", &world.office(NOW))
        .unwrap();
    assert_eq!(touched.item.owner, "user:sam");
    assert_eq!(touched.item.owner_source, OwnerSource::Assigned);
}

#[test]
fn a_rank_by_hand_is_bounded_and_has_a_reason() {
    let world = World::new();
    let office = world.office(NOW);
    let mut touched = told(&world, &[&[open(1, 12_000, NOW)]], NOW).remove(0);
    let before = touched.item.score;
    let rank = |points, reason: &str| WorkAction::Rank {
        points,
        reason: reason.into(),
    };
    assert!(touched.act(&rank(51, "a lot"), "user:jo", &office).is_err());
    assert!(touched.act(&rank(5, ""), "user:jo", &office).is_err());
    touched
        .act(&rank(20, "the director asked"), "user:jo", &office)
        .unwrap();
    assert_eq!(touched.item.score, before + 20);
    touched
        .act(&rank(0, "no longer"), "user:jo", &office)
        .unwrap();
    assert_eq!(touched.item.score, before);
}
