//! What a new London day brings: covers begin and end, deadlines come up, and
//! what has waited a day longer is more pressing.

use chrono::{Days, NaiveDate, TimeDelta};
use contracts::worklist::{CoverChanged, CoverState};
use kernel::london_date;
use messaging::{Bus, Failure, Meta, Outgoing, Tx};
use uuid::Uuid;

use crate::{
    domain::{
        clock::Policies,
        cover,
        deadlines::{self, Occurrence},
        desk::{Change, Desk, Signal},
        item::{Because, Office, Opening, Touched},
        kinds,
        owner::{Staff, is_absent},
    },
    events,
    store::{self, people::StoredCover},
};

/// Items of one person that a cover moves in one transaction.
const COVER_MAX: i64 = 10_000;
const PAGE: i64 = 500;
/// Deadlines that were missed while nothing ran are made good for so long.
const BACK_MAX: Days = Days::new(7);

const COVER: &str = "system:cover";
const CALENDAR: &str = "system:calendar";

pub(crate) async fn run(bus: Bus) -> Result<(), Failure> {
    let today = london_date(bus.now());
    covers(&bus, today).await?;
    deadlines(&bus, today).await?;
    ranks(&bus, today).await
}

/// Begins and ends the covers whose day it is.
async fn covers(bus: &Bus, today: NaiveDate) -> Result<(), Failure> {
    let mut tx = bus.begin().await?;
    // Before the rows, as commands do, so that nobody waits in a ring.
    store::people::lock(tx.conn()).await?;
    let due = store::people::covers(tx.conn(), None, Some(today)).await?;
    if due.is_empty() {
        return Ok(());
    }
    let cause = Meta::of_command(Uuid::now_v7(), bus.now(), None);
    for mut cover in due {
        // One that was planned for days that are over never begins.
        if cover.state == CoverState::Planned && cover.to >= today {
            begin(&mut tx, bus, &mut cover, &cause, COVER).await?;
        } else {
            end(
                &mut tx,
                bus,
                &mut cover,
                &cause,
                COVER,
                "its last day is over",
            )
            .await?;
        }
    }
    tx.commit().await?;
    bus.notice(&["worklist".to_owned(), "people".to_owned()])
        .await;
    Ok(())
}

/// Moves the owner's work to who covers.
pub(crate) async fn begin(
    tx: &mut Tx,
    bus: &Bus,
    cover: &mut StoredCover,
    cause: &Meta,
    actor: &str,
) -> Result<(), Failure> {
    let now = bus.now();
    cover.state = CoverState::Active;
    cover.begun_at = Some(now);
    cover.version += 1;
    store::people::put_cover(tx.conn(), cover).await?;
    let reason = format!(
        "{} covers until {}",
        cover.covered_by,
        cover.to.format("%-d %b")
    );
    let (moved, _) = deal(tx, bus, cover, cause, actor, &reason).await?;
    cover.moved = moved;
    store::people::put_cover(tx.conn(), cover).await?;
    publish(tx, bus, cover, cause, actor, &reason).await
}

/// Gives the work back, with what has changed.
pub(crate) async fn end(
    tx: &mut Tx,
    bus: &Bus,
    cover: &mut StoredCover,
    cause: &Meta,
    actor: &str,
    why: &str,
) -> Result<(), Failure> {
    let now = bus.now();
    let begun = cover.begun_at;
    cover.state = match cover.state {
        CoverState::Active => CoverState::Ended,
        _ => CoverState::Cancelled,
    };
    cover.ended_at = Some(now);
    cover.version += 1;
    store::people::put_cover(tx.conn(), cover).await?;
    if let Some(begun) = begun {
        // Before the hand-back, which is no news to the owner.
        let steps = store::people::steps_between(
            tx.conn(),
            &cover.owner,
            begun + TimeDelta::microseconds(1),
            1000,
        )
        .await?;
        let (returned, items) = deal(tx, bus, cover, cause, actor, why).await?;
        cover.digest = Some(cover::digest(
            cover.moved,
            returned,
            &cover.covered_by,
            &cover.owner,
            &items,
            steps,
        ));
        store::people::put_cover(tx.conn(), cover).await?;
    }
    publish(tx, bus, cover, cause, actor, why).await
}

/// Deals out the work of owner and cover by the covers that are active now.
async fn deal(
    tx: &mut Tx,
    bus: &Bus,
    cover: &StoredCover,
    cause: &Meta,
    actor: &str,
    reason: &str,
) -> Result<(i64, Vec<Touched>), Failure> {
    let now = bus.now();
    let staff = store::people::staff(tx.conn(), london_date(now)).await?;
    let policies = store::clocks::policies(tx.conn()).await?;
    let people = [cover.owner.clone(), cover.covered_by.clone()];
    let mut items = store::work::lock_of(tx.conn(), &people, COVER_MAX).await?;
    let office = Office {
        staff: &staff,
        policies: &policies,
        accounts: &std::collections::HashMap::new(),
        now,
    };
    let moved = cover::deal(&mut items, Because { actor, reason }, &office);
    let changed: Vec<Touched> = items
        .iter()
        .filter(|one| one.has_changed())
        .cloned()
        .collect();
    let mut facts = Vec::new();
    for one in &changed {
        facts.extend(events::of(one, bus.prefix(), now, cause)?);
    }
    store::work::put(tx.conn(), &changed).await?;
    tx.publish(&facts).await?;
    Ok((moved, items))
}

pub(crate) async fn publish(
    tx: &mut Tx,
    bus: &Bus,
    cover: &StoredCover,
    cause: &Meta,
    actor: &str,
    reason: &str,
) -> Result<(), Failure> {
    let now = bus.now();
    let fact = CoverChanged {
        cover_id: cover.cover_id,
        version: cover.version,
        owner: cover.owner.clone(),
        covered_by: cover.covered_by.clone(),
        from: cover.from,
        to: cover.to,
        state: cover.state,
        digest: cover.digest.clone(),
        recorded_at: now,
        actor: actor.to_owned(),
        reason: reason.to_owned(),
    };
    let id = cover.cover_id.as_uuid();
    let fact = Outgoing::new(&fact, id, cover.version, bus.prefix(), now, cause)?;
    tx.publish(&[fact]).await
}

/// Puts up today's and the next day's deadlines, and those of days on which
/// nothing ran.
async fn deadlines(bus: &Bus, today: NaiveDate) -> Result<(), Failure> {
    let mut tx = bus.begin().await?;
    let Some(last) = store::people::begin_day(tx.conn(), "deadlines", today).await? else {
        return Ok(());
    };
    // One after another with whoever changes people: they deal out anew what
    // fell to nobody.
    store::people::lock(tx.conn()).await?;
    let now = bus.now();
    let from = last.map_or(today, |last| last.max(today - BACK_MAX));
    let found = deadlines::between(from, today + Days::new(1));
    let subjects: Vec<Uuid> = found.iter().map(Occurrence::subject).collect();
    let staff = store::people::staff(tx.conn(), today).await?;
    let policies = store::clocks::policies(tx.conn()).await?;
    let office = Office {
        staff: &staff,
        policies: &policies,
        accounts: &std::collections::HashMap::new(),
        now,
    };
    let before = kinds::kind("deadline", today)?
        .policy
        .as_deref()
        .and_then(|code| policies.in_force(code, today))
        .map_or(0, |policy| policy.target);
    let mut desk = Desk::new(store::work::lock_about(tx.conn(), &subjects, &[]).await?);
    for one in &found {
        let day = one.on.format("%a %-d %b");
        let signal = Signal {
            kind: "deadline",
            subject_id: one.subject(),
            subject_version: 1,
            change: Change::Open(Box::new(Opening {
                subject_ref: format!("{} {day}", one.deadline.code),
                detail: one.deadline.title.to_owned(),
                account_id: None,
                account_ref: None,
                amount: None,
                wanted: with_role(&staff, one.deadline.role, one.on),
                back_on: (one.on > today).then_some(one.on),
                pause: None,
                starts_at: one.due_at - TimeDelta::seconds(before),
                since: one.due_at - TimeDelta::seconds(before),
                business_at: one.due_at,
                related_id: None,
            })),
            actor: CALENDAR.to_owned(),
            reason: format!("due on {day}"),
            at: now,
        };
        desk.apply(&[signal], &office)?;
    }
    let touched = desk.into_touched();
    let cause = Meta::of_command(Uuid::now_v7(), now, None);
    let mut facts = Vec::new();
    for one in &touched {
        facts.extend(events::of(one, bus.prefix(), now, &cause)?);
    }
    store::work::put(tx.conn(), &touched).await?;
    tx.publish(&facts).await?;
    tx.commit().await?;
    super::clocks::nudge();
    bus.notice(&["worklist".to_owned()]).await;
    Ok(())
}

/// Who has a role and is there on that day; else whoever has it.
fn with_role(staff: &Staff, role: &str, day: NaiveDate) -> Option<String> {
    let has = || {
        staff
            .people
            .iter()
            .filter(|person| person.active && person.roles.iter().any(|one| one == role))
    };
    has()
        .find(|person| !is_absent(person, day))
        .or_else(|| has().next())
        .map(|person| person.actor.clone())
}

/// Works out every score anew, once a day, a page at a time. The day is done
/// when the last page is: whoever was killed in the middle begins again. Only
/// scores are written: clocks are none of its business.
async fn ranks(bus: &Bus, today: NaiveDate) -> Result<(), Failure> {
    let mut tx = bus.begin().await?;
    if store::people::is_done(tx.conn(), "ranks", today).await? {
        return Ok(());
    }
    drop(tx);
    let mut after = None;
    loop {
        if bus.shutdown().is_cancelled() {
            return Ok(());
        }
        let mut tx = bus.begin().await?;
        let mut page = store::work::lock_page(tx.conn(), after, PAGE).await?;
        let full = page.len() as i64 == PAGE;
        after = page.last().map(|one| one.item.work_item_id);
        let ids: Vec<Uuid> = page.iter().filter_map(|one| one.item.account_id).collect();
        let known = store::work::accounts(tx.conn(), &ids, &[]).await?;
        let accounts = known.into_iter().map(|(id, (_, one))| (id, one)).collect();
        let office = Office {
            staff: &Staff::default(),
            policies: &Policies::default(),
            accounts: &accounts,
            now: bus.now(),
        };
        page.retain_mut(|one| {
            let before = one.item.score;
            one.rank(&office);
            one.item.score != before
        });
        store::work::put_scores(tx.conn(), &page).await?;
        if !full {
            store::people::begin_day(tx.conn(), "ranks", today).await?;
        }
        tx.commit().await?;
        if !full {
            break;
        }
    }
    bus.notice(&["worklist".to_owned()]).await;
    Ok(())
}
