//! People, who is away and who covers, and whose accounts are whose.

use std::collections::HashMap;

use contracts::{
    api::{
        Page, Refusal,
        worklist::{
            AbsencePlanned, CoverView, EndCover, ListPeople, ListPortfolio, PersonView,
            PlanAbsence, PortfolioPut, PutPerson, PutPortfolioRule, Team,
        },
    },
    worklist::{
        Absence, AbsenceId, CoverId, CoverState, OwnerSource, Person, PersonChanged,
        PortfolioChanged, PortfolioRule, SlaState,
    },
};
use kernel::{london_date, london_midnight};
use messaging::{Bus, Failure, Meta, Outgoing, Tx};
use uuid::Uuid;

use super::{Loaded, actor, finish, record, work::Sum};
use crate::{
    domain::{
        item::{Because, reason},
        owner,
    },
    jobs::daily,
    store::{self, people::StoredCover},
};

/// Items that one rule or one new person moves in one transaction.
const MOVE_MAX: i64 = 10_000;
const LISTED_MAX: usize = 20;
const NAME_MAX: usize = 100;
/// Days that somebody is away at once.
const AWAY_MAX: i64 = 400;

pub(crate) async fn list(_: ListPeople, bus: Bus) -> Result<Team, Refusal> {
    let (now, today) = (bus.now(), london_date(bus.now()));
    let mut conn = bus.pool().acquire().await.map_err(Failure::from)?;
    let staff = store::people::staff(&mut conn, today).await?;
    let done = store::work::done_since(&mut conn, london_midnight(now)).await?;
    let groups = store::work::count(&mut conn, None, today).await?;
    let mut due: HashMap<&str, (Sum, i64, i64)> = HashMap::new();
    for group in groups.iter().filter(|group| !group.snoozed) {
        let (sum, at_risk, breached) = due.entry(&group.holder).or_default();
        sum.add(group);
        match SlaState::named(&group.sla) {
            Some(SlaState::Warned) => *at_risk += group.count,
            Some(SlaState::Breached) => *breached += group.count,
            _ => {}
        }
    }
    let covers = store::people::covers(&mut conn, None, None).await?;
    let default_owner = staff.default_owner().to_owned();
    let people = staff
        .people
        .iter()
        .map(|person| {
            let (sum, at_risk, breached) = due.remove(person.actor.as_str()).unwrap_or_default();
            let (done_today, minutes_done_today) =
                done.get(&person.actor).copied().unwrap_or_default();
            PersonView {
                absent_today: owner::is_absent(person, today),
                minutes_today: owner::minutes(person, today),
                due: sum.tally(),
                at_risk,
                breached,
                done_today,
                minutes_done_today,
                person: person.clone(),
            }
        })
        .collect();
    Ok(Team {
        people,
        default_owner,
        covers: covers.iter().map(StoredCover::view).collect(),
    })
}

fn checked(person: &Person) -> Result<(), Failure> {
    let wrong = |field: &str, detail: &str| {
        Err(
            Failure::permanent("worklist.bad_person", "that is no person")
                .at(format!("/person/{field}"), detail.to_owned()),
        )
    };
    let text = |text: &str| !text.trim().is_empty() && text.chars().count() <= NAME_MAX;
    if !text(&person.actor) || !person.actor.starts_with("user:") {
        return wrong("actor", "such as user:jo");
    }
    if !text(&person.name) {
        return wrong("name", "a name");
    }
    if person.minutes.len() != 7 || person.minutes.iter().any(|m| !(0..=1440).contains(m)) {
        return wrong("minutes", "seven days of 0 to 1440 minutes, Monday first");
    }
    if person.skills.len() > LISTED_MAX || person.roles.len() > LISTED_MAX {
        return wrong("skills", "at most twenty");
    }
    if !person
        .skills
        .iter()
        .chain(&person.roles)
        .all(|one| text(one))
    {
        return wrong("skills", "names");
    }
    Ok(())
}

pub(crate) async fn put(ask: PutPerson, bus: Bus) -> Result<Person, Refusal> {
    let (why, who) = (reason(&ask.reason)?, actor(&ask.actor)?);
    checked(&ask.person)?;
    let (now, today) = (bus.now(), london_date(bus.now()));
    let mut tx = bus.begin().await?;
    let command = ask.command_id.as_uuid();
    let new = !tx.claim(&[command]).await?.is_empty();
    store::people::lock(tx.conn()).await?;
    let staff = store::people::staff(tx.conn(), today).await?;
    let before = staff.person(&ask.person.actor).cloned();
    if !new && let Some(before) = before {
        return Ok(before);
    }
    let mut person = ask.person;
    person.version = before.as_ref().map_or(0, |person| person.version) + 1;
    person.absences = before.map(|person| person.absences).unwrap_or_default();
    store::people::put_person(tx.conn(), &person).await?;
    let cause = Meta::of_command(command, now, None);
    let fact = PersonChanged {
        person: person.clone(),
        recorded_at: now,
        by: who.to_owned(),
        reason: why.to_owned(),
    };
    let about = Uuid::new_v5(&Uuid::NAMESPACE_OID, person.actor.as_bytes());
    let fact = Outgoing::new(&fact, about, person.version, bus.prefix(), now, &cause)?;
    tx.publish(&[fact]).await?;
    // What fell to nobody may now be somebody's; what was a leaver's, too.
    deal_again(&mut tx, &bus, &person, &cause, who).await?;
    finish(tx, &bus, &["worklist", "people"]).await?;
    Ok(person)
}

/// Finds owners for what has fallen to the one who answers for the rest, and
/// for what somebody has who no longer works here.
async fn deal_again(
    tx: &mut Tx,
    bus: &Bus,
    person: &Person,
    cause: &Meta,
    who: &str,
) -> Result<(), Failure> {
    let mut people = vec![owner::QUEUE.to_owned()];
    let staff = store::people::staff(tx.conn(), london_date(bus.now())).await?;
    people.push(staff.default_owner().to_owned());
    if !person.active {
        people.push(person.actor.clone());
    }
    let mut items = store::work::lock_of(tx.conn(), &people, MOVE_MAX).await?;
    items.retain(|one| {
        one.item.owner_source == OwnerSource::Default
            || (!person.active && one.item.owner == person.actor)
    });
    let loaded = Loaded::about(tx, bus, &items).await?;
    let office = loaded.office(bus);
    let today = office.today();
    for one in &mut items {
        let account = one.item.account_id.and_then(|id| loaded.accounts.get(&id));
        let owned = loaded
            .staff
            .owner(one.item.subject_id, account, &one.item.skill, None, today);
        let because = Because {
            actor: who,
            reason: "people have changed",
        };
        if owned.source != OwnerSource::Default || one.item.owner != owned.owner {
            one.move_to(owned, because, &office);
        }
    }
    record(tx, bus, &items, cause).await
}

pub(crate) async fn plan_absence(ask: PlanAbsence, bus: Bus) -> Result<AbsencePlanned, Refusal> {
    let (why, who) = (reason(&ask.reason)?, actor(&ask.actor)?);
    let (now, today) = (bus.now(), london_date(bus.now()));
    if ask.to < ask.from || ask.to < today || (ask.to - ask.from).num_days() > AWAY_MAX {
        return Err(Failure::permanent(
            "worklist.bad_absence",
            "an absence ends after it begins, and not in the past",
        )
        .at("/to", "a last day that is to come")
        .into());
    }
    let command = ask.command_id.as_uuid();
    // Named after the command, so that it is the same the second time.
    let (absence_id, cover_id) = (
        AbsenceId::from(Uuid::new_v5(&command, b"absence")),
        CoverId::from(Uuid::new_v5(&command, b"cover")),
    );
    let mut tx = bus.begin().await?;
    if tx.claim(&[command]).await?.is_empty() {
        let cover = store::people::covers(tx.conn(), Some(cover_id), None).await?;
        return Ok(AbsencePlanned {
            absence_id,
            cover: cover.first().map(StoredCover::view),
        });
    }
    store::people::lock(tx.conn()).await?;
    let staff = store::people::staff(tx.conn(), today).await?;
    let known = |name: &str, pointer: &str| {
        staff.named(name).map(str::to_owned).ok_or_else(|| {
            Failure::permanent("worklist.no_person", format!("nobody here is {name}"))
                .at(pointer.to_owned(), "somebody who works here")
        })
    };
    let person = known(&ask.person, "/person")?;
    let absence = Absence {
        absence_id,
        from: ask.from,
        to: ask.to,
        reason: why.to_owned(),
    };
    store::people::put_absence(tx.conn(), &person, &absence).await?;
    let cause = Meta::of_command(command, now, None);
    let mut cover = None;
    if let Some(by) = &ask.covered_by {
        let by = known(by, "/covered_by")?;
        if by == person {
            return Err(Failure::permanent(
                "worklist.covers_self",
                "somebody else covers, or nobody",
            )
            .at("/covered_by", "somebody else")
            .into());
        }
        let mut stored = StoredCover {
            cover_id,
            version: 1,
            owner: person,
            covered_by: by,
            absence_id: Some(absence_id),
            from: ask.from,
            to: ask.to,
            state: CoverState::Planned,
            reason: why.to_owned(),
            begun_at: None,
            ended_at: None,
            moved: 0,
            digest: None,
        };
        store::people::put_cover(tx.conn(), &stored).await?;
        if stored.from <= today {
            daily::begin(&mut tx, &bus, &mut stored, &cause, who).await?;
        } else {
            daily::publish(&mut tx, &bus, &stored, &cause, who, why).await?;
        }
        cover = Some(stored.view());
    }
    finish(tx, &bus, &["worklist", "people"]).await?;
    Ok(AbsencePlanned { absence_id, cover })
}

pub(crate) async fn end_cover(ask: EndCover, bus: Bus) -> Result<CoverView, Refusal> {
    let (why, who) = (reason(&ask.reason)?, actor(&ask.actor)?);
    let mut tx = bus.begin().await?;
    let command = ask.command_id.as_uuid();
    let new = !tx.claim(&[command]).await?.is_empty();
    store::people::lock(tx.conn()).await?;
    let mut cover = store::people::covers(tx.conn(), Some(ask.cover_id), None)
        .await?
        .pop()
        .ok_or_else(|| {
            Failure::not_found(
                "worklist.no_cover",
                format!("there is no cover {}", ask.cover_id),
            )
        })?;
    if !new {
        return Ok(cover.view());
    }
    if !matches!(cover.state, CoverState::Planned | CoverState::Active) {
        return Err(Failure::conflict("worklist.cover_over", "this cover is over").into());
    }
    if let Some(absence) = cover.absence_id {
        store::people::cancel_absence(tx.conn(), absence).await?;
    }
    let cause = Meta::of_command(command, bus.now(), None);
    daily::end(&mut tx, &bus, &mut cover, &cause, who, why).await?;
    finish(tx, &bus, &["worklist", "people"]).await?;
    Ok(cover.view())
}

pub(crate) async fn list_portfolio(
    ask: ListPortfolio,
    bus: Bus,
) -> Result<Page<PortfolioRule>, Refusal> {
    let mut conn = bus.pool().acquire().await.map_err(Failure::from)?;
    Ok(Page {
        items: store::people::rules(&mut conn, ask.owner.as_deref()).await?,
        next_cursor: None,
    })
}

pub(crate) async fn put_portfolio_rule(
    ask: PutPortfolioRule,
    bus: Bus,
) -> Result<PortfolioPut, Refusal> {
    let (why, who) = (reason(&ask.reason)?, actor(&ask.actor)?);
    let rule = ask.rule;
    let some = [
        &rule.account_ref,
        &rule.from_ref,
        &rule.to_ref,
        &rule.segment,
        &rule.department,
    ];
    if some.iter().all(|test| test.is_none()) {
        return Err(Failure::permanent(
            "worklist.rule_tests_nothing",
            "a rule says which accounts it is about",
        )
        .at("/rule", "an account, a range, a segment or a department")
        .into());
    }
    let (now, today) = (bus.now(), london_date(bus.now()));
    let mut tx = bus.begin().await?;
    let command = ask.command_id.as_uuid();
    if tx.claim(&[command]).await?.is_empty() {
        return Ok(PortfolioPut { rule, moved: 0 });
    }
    store::people::lock(tx.conn()).await?;
    let staff = store::people::staff(tx.conn(), today).await?;
    if staff.named(&rule.owner) != Some(rule.owner.as_str()) {
        return Err(Failure::permanent(
            "worklist.no_person",
            format!("nobody here is {}", rule.owner),
        )
        .at("/rule/owner", "somebody who works here")
        .into());
    }
    store::people::put_rule(tx.conn(), &rule).await?;
    let cause = Meta::of_command(command, now, None);
    let moved = own_again(&mut tx, &bus, &cause, who, why).await?;
    let fact = PortfolioChanged {
        rule: rule.clone(),
        moved,
        recorded_at: now,
        actor: who.to_owned(),
        reason: why.to_owned(),
    };
    let version = now.timestamp_micros();
    let fact = Outgoing::new(&fact, rule.rule_id, version, bus.prefix(), now, &cause)?;
    tx.publish(&[fact]).await?;
    finish(tx, &bus, &["worklist", "people"]).await?;
    Ok(PortfolioPut { rule, moved })
}

/// Gives open work about accounts to whoever looks after them now.
async fn own_again(
    tx: &mut Tx,
    bus: &Bus,
    cause: &Meta,
    who: &str,
    why: &str,
) -> Result<i64, Failure> {
    let mut items = store::work::lock_page(tx.conn(), None, MOVE_MAX).await?;
    items.retain(|one| {
        one.item.account_id.is_some() && one.item.owner_source != OwnerSource::Assigned
    });
    let loaded = Loaded::about(tx, bus, &items).await?;
    let office = loaded.office(bus);
    let today = office.today();
    let mut moved = 0;
    for one in &mut items {
        let account = one.item.account_id.and_then(|id| loaded.accounts.get(&id));
        let owner = account.and_then(|account| loaded.staff.portfolio(account, &one.item.skill));
        // What is in nobody's portfolio stays with who has it, unless a
        // portfolio was why they have it.
        if owner.is_none() && one.item.owner_source != OwnerSource::Portfolio {
            continue;
        }
        let owned = loaded
            .staff
            .owner(one.item.subject_id, account, &one.item.skill, None, today);
        let because = Because {
            actor: who,
            reason: why,
        };
        moved += i64::from(one.move_to(owned, because, &office));
    }
    record(tx, bus, &items, cause).await?;
    Ok(moved)
}
