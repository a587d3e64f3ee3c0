use chrono::TimeDelta;
use contracts::worklist::LadderStep;
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn policy() -> Policy {
    Policy::read(&SlaPolicy {
        policy: "p".into(),
        version: 1,
        valid_from: "2026-01-01".parse().unwrap(),
        target: "8h".into(),
        warning: Some("6h".into()),
        calendar: "england_wales".into(),
        opens: "09:00".into(),
        closes: "17:00".into(),
        pauses: vec!["awaiting_customer".into()],
        ladder: vec![LadderStep {
            after: "1d".into(),
            to: "manager".into(),
        }],
        source: String::new(),
    })
    .unwrap()
}

fn says(said: &[Said]) -> Vec<&Says> {
    said.iter().map(|one| &one.says).collect()
}

#[test]
fn a_clock_says_each_thing_once_and_on_time() {
    let policy = policy();
    let mut clock = Clock::start(Uuid::nil(), 1, &policy, at("2026-01-12T11:00:00Z"));
    assert_eq!(clock.next_due_at, Some(at("2026-01-12T17:00:00Z")));
    assert_eq!(clock.due_at, Some(at("2026-01-13T11:00:00Z")));
    assert!(clock.fire(&policy, at("2026-01-12T16:59:59Z")).is_empty());
    let said = clock.fire(&policy, at("2026-01-12T17:00:00Z"));
    assert_eq!(says(&said), [&Says::Warning]);
    assert_eq!(said[0].target_at, at("2026-01-13T11:00:00Z"));
    assert!(clock.fire(&policy, at("2026-01-12T17:00:00Z")).is_empty());
    let said = clock.fire(&policy, at("2026-01-13T11:00:01Z"));
    assert_eq!(says(&said), [&Says::Breached]);
    assert_eq!(clock.next_due_at, Some(at("2026-01-14T11:00:00Z")));
}

#[test]
fn after_an_outage_it_says_everything_late_and_once() {
    let policy = policy();
    let mut clock = Clock::start(Uuid::nil(), 1, &policy, at("2026-01-12T11:00:00Z"));
    let said = clock.fire(&policy, at("2026-02-12T11:00:00Z"));
    let manager = Says::Escalated(1, "manager".into());
    assert_eq!(says(&said), [&Says::Warning, &Says::Breached, &manager]);
    assert_eq!(said[1].due_at, at("2026-01-13T11:00:00Z"));
    assert_eq!(clock.next_due_at, None);
    assert!(clock.fire(&policy, at("2026-03-12T11:00:00Z")).is_empty());
}

#[test]
fn it_stands_still_only_for_what_it_may() {
    let policy = policy();
    let mut clock = Clock::start(Uuid::nil(), 1, &policy, at("2026-01-12T11:00:00Z"));
    clock.pause(&policy, "awaiting_internal", at("2026-01-12T12:00:00Z"));
    assert_eq!(clock.state, SlaState::Running);
    clock.pause(&policy, "awaiting_customer", at("2026-01-12T12:00:00Z"));
    assert_eq!(
        (clock.state, clock.due_at, clock.next_due_at),
        (SlaState::Paused, None, None)
    );
    assert!(clock.fire(&policy, at("2026-01-20T12:00:00Z")).is_empty());
    clock.resume(&policy, at("2026-01-20T12:00:00Z"));
    // Seven of eight hours are left.
    assert_eq!(clock.due_at, Some(at("2026-01-21T11:00:00Z")));
    assert_eq!(clock.state, SlaState::Running);
}

#[test]
fn what_was_done_too_late_was_late_also_if_nobody_looked() {
    let policy = policy();
    let start = || Clock::start(Uuid::nil(), 1, &policy, at("2026-01-12T11:00:00Z"));
    let mut late = start();
    let said = late.stop(&policy, at("2026-01-13T11:00:01Z"));
    assert_eq!(says(&said), [&Says::Warning, &Says::Breached]);
    assert_eq!(late.state, SlaState::Breached);
    let mut met = start();
    assert!(met.stop(&policy, at("2026-01-12T12:00:00Z")).is_empty());
    assert_eq!((met.state, met.next_due_at), (SlaState::Met, None));
    assert!(met.stop(&policy, at("2026-02-12T12:00:00Z")).is_empty());
}

#[test]
fn a_policy_that_makes_no_sense_is_refused() {
    let good = SlaPolicy {
        policy: "p".into(),
        version: 1,
        valid_from: "2026-01-01".parse().unwrap(),
        target: "8h".into(),
        warning: None,
        calendar: "england_wales".into(),
        opens: "09:00".into(),
        closes: "17:00".into(),
        pauses: Vec::new(),
        ladder: Vec::new(),
        source: String::new(),
    };
    let bad: [&dyn Fn(&mut SlaPolicy); 5] = [
        &|p| p.target = "soon".into(),
        &|p| p.warning = Some("8h".into()),
        &|p| p.calendar = "france".into(),
        &|p| p.closes = "08:00".into(),
        &|p| {
            p.ladder = vec![LadderStep {
                after: "1d".into(),
                to: " ".into(),
            }];
        },
    ];
    Policy::read(&good).unwrap();
    for spoil in bad {
        let mut policy = good.clone();
        spoil(&mut policy);
        assert!(Policy::read(&policy).is_err(), "{policy:?}");
    }
}

proptest! {
    /// However often and whenever somebody looks, whatever pauses lie in
    /// between: nothing is said twice, nothing is left out, nothing is early,
    /// and working time that was not waited for is what counts.
    #[test]
    fn looking_more_often_says_no_more_and_no_less(
        start in 0..20_000_000i64,
        steps in prop::collection::vec((1..200_000i64, 0..3u8), 1..30),
    ) {
        let policy = policy();
        let begin = at("2026-01-01T00:00:00Z") + TimeDelta::seconds(start);
        let mut clock = Clock::start(Uuid::nil(), 1, &policy, begin);
        let mut said = Vec::new();
        let mut now = begin;
        let mut ran = 0;
        let mut running = Some(begin);
        for (step, what) in steps {
            now += TimeDelta::seconds(step);
            match what {
                0 => {
                    said.extend(clock.pause(&policy, "awaiting_customer", now));
                    if let Some(since) = running.take() {
                        ran += policy.hours.between(since, now);
                    }
                }
                1 => {
                    clock.resume(&policy, now);
                    running.get_or_insert(now);
                }
                _ => said.extend(clock.fire(&policy, now)),
            }
        }
        said.extend(clock.stop(&policy, now));
        if let Some(since) = running {
            ran += policy.hours.between(since, now);
        }
        let due = policy.moments.iter().filter(|(seconds, _)| *seconds <= ran).count();
        prop_assert_eq!(said.len(), due);
        for (one, (_, says)) in said.iter().zip(&policy.moments) {
            prop_assert_eq!(&one.says, says);
            prop_assert!(one.due_at <= now);
        }
        prop_assert_eq!(clock.state == SlaState::Breached, ran >= policy.target);
    }

    /// What is stored is what was: a restart changes nothing.
    #[test]
    fn a_clock_survives_being_stored(start in 0..20_000_000i64, later in 0..400_000i64) {
        let policy = policy();
        let begin = at("2026-01-01T00:00:00Z") + TimeDelta::seconds(start);
        let mut clock = Clock::start(Uuid::nil(), 1, &policy, begin);
        clock.fire(&policy, begin + TimeDelta::seconds(later));
        let stored = serde_json::to_value(&clock).unwrap();
        prop_assert_eq!(serde_json::from_value::<Clock>(stored).unwrap(), clock);
    }
}
