//! Lists of work, one item with its history, and what people do with it.

use std::collections::BTreeMap;

use contracts::{
    api::{
        Page, Refusal,
        worklist::{
            ActOnWork, Acted, ClockView, CountWork, GetWork, KindTally, KindView, ListKinds,
            ListPolicies, ListWork, PutPolicy, Tally, WorkCounts, WorkDetail, WorkRow, WorkView,
        },
    },
    worklist::{PolicyChanged, SlaPolicy, SlaState},
};
use kernel::{Currency, Money, london_date, london_midnight};
use messaging::{Bus, Failure, Meta, Outgoing};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Loaded, actor, finish, record, row};
use crate::{
    domain::{
        clock::Policy,
        item::{Item, reason},
        kinds,
    },
    store::{
        self,
        work::{Group, Listed},
    },
};

/// Items that one command acts on.
const ACT_MAX: usize = 200;
/// Subjects that a list is limited to.
const SUBJECTS_MAX: usize = 200;
/// Letters of a search.
const TEXT_MAX: usize = 100;

fn cursor(text: Option<&str>) -> Result<Option<(i32, Uuid)>, Failure> {
    let Some(text) = text else { return Ok(None) };
    text.split_once('~')
        .and_then(|(score, id)| Some((score.parse().ok()?, id.parse().ok()?)))
        .map(Some)
        .ok_or_else(|| {
            Failure::permanent("worklist.bad_cursor", "the cursor is not one of ours")
                .at("/cursor", "as it was given")
        })
}

pub(crate) async fn list(ask: ListWork, bus: Bus) -> Result<Page<WorkRow>, Refusal> {
    let rows = ask.page.rows();
    let holder = match ask.view {
        WorkView::Mine => Some(actor(&ask.actor)?.to_owned()),
        _ => ask.holder.clone(),
    };
    if ask.subjects.len() > SUBJECTS_MAX {
        return Err(Failure::permanent(
            "worklist.too_many_subjects",
            "a list is about fewer subjects",
        )
        .at("/subjects", format!("at most {SUBJECTS_MAX}"))
        .into());
    }
    let mut conn = bus.pool().acquire().await.map_err(Failure::from)?;
    if ask.view == WorkView::Ended {
        let ended = store::work::ended(&mut conn, holder.as_deref(), rows).await?;
        let items = ended
            .into_iter()
            .map(|(item, name)| row(item, name))
            .collect();
        return Ok(Page {
            items,
            next_cursor: None,
        });
    }
    let listed = Listed {
        snoozed: ask.view == WorkView::Snoozed,
        unowned: ask.view == WorkView::Unowned,
        holder,
        kinds: ask.kinds,
        sla: ask.sla.iter().map(|sla| sla.name().to_owned()).collect(),
        account_ref: ask.account_ref,
        text: ask
            .text
            .map(|text| text.trim().chars().take(TEXT_MAX).collect::<String>())
            .filter(|text| !text.is_empty()),
        subjects: ask.subjects,
        today: london_date(bus.now()),
        after: cursor(ask.page.cursor.as_deref())?,
        rows: rows + 1,
    };
    let mut found = store::work::list(&mut conn, &listed).await?;
    let more = found.len() as i64 > rows;
    found.truncate(rows as usize);
    let next_cursor = found
        .last()
        .filter(|_| more)
        .map(|(item, _)| format!("{}~{}", item.score, item.work_item_id));
    Ok(Page {
        items: found
            .into_iter()
            .map(|(item, name)| row(item, name))
            .collect(),
        next_cursor,
    })
}

pub(crate) async fn get(ask: GetWork, bus: Bus) -> Result<WorkDetail, Refusal> {
    let mut conn = bus.pool().acquire().await.map_err(Failure::from)?;
    let id = ask.work_item_id.as_uuid();
    let (item, name) = store::work::by_id(&mut conn, &[id])
        .await?
        .pop()
        .ok_or_else(|| {
            Failure::not_found("worklist.no_item", format!("there is no work item {id}"))
        })?;
    let policies = targets(&mut conn).await?;
    let clocks = store::work::clocks(&mut conn, id)
        .await?
        .into_iter()
        .map(|clock| ClockView {
            cycle: clock.cycle,
            target: policies
                .iter()
                .find(|p| p.policy == clock.policy && p.version == clock.policy_version)
                .map_or_else(String::new, |policy| policy.target.clone()),
            policy: format!("{}.{}", clock.policy, clock.policy_version),
            state: clock.state,
            started_at: clock.started_at,
            due_at: clock.due_at,
            stopped_at: clock.stopped_at,
            pause_reason: clock.pause_reason,
            spent_seconds: clock.spent,
        })
        .collect();
    let kind = kinds::kind(&item.kind, london_date(bus.now()))?;
    Ok(WorkDetail {
        skill: item.skill.clone(),
        outcomes: kind.outcomes.clone(),
        outcome_note: item.outcome_note.clone(),
        no_next_reason: item.no_next_reason.clone(),
        cover_id: item.cover_id,
        clocks,
        history: store::work::history(&mut conn, id).await?,
        item: row(item, name),
    })
}

/// Every version of every policy, as people wrote them.
async fn targets(conn: &mut PgConnection) -> Result<Vec<SlaPolicy>, Failure> {
    let mut all = kinds::shipped().to_vec();
    all.extend(store::clocks::changed_policies(conn).await?);
    Ok(all)
}

/// Sums of money by currency beside counts and minutes.
#[derive(Default)]
pub(super) struct Sum {
    count: i64,
    minutes: i64,
    money: BTreeMap<String, rust_decimal::Decimal>,
}

impl Sum {
    pub(super) fn add(&mut self, group: &Group) {
        self.count += group.count;
        self.minutes += group.minutes;
        if let Some(currency) = &group.currency {
            *self.money.entry(currency.clone()).or_default() += group.money;
        }
    }

    pub(super) fn add_item(&mut self, item: &Item) {
        self.count += 1;
        self.minutes += i64::from(item.minutes);
        if let (Some(currency), Some(amount)) = (&item.currency, item.amount) {
            *self.money.entry(currency.clone()).or_default() += amount;
        }
    }

    pub(super) fn tally(self) -> Tally {
        Tally {
            count: self.count,
            minutes: self.minutes,
            money: self
                .money
                .into_iter()
                .filter(|(_, sum)| !sum.is_zero())
                .filter_map(|(currency, sum)| {
                    Money::try_new(sum, Currency::parse(&currency).ok()?).ok()
                })
                .collect(),
        }
    }
}

pub(crate) async fn count(ask: CountWork, bus: Bus) -> Result<WorkCounts, Refusal> {
    let who = actor(&ask.actor)?;
    let (now, today) = (bus.now(), london_date(bus.now()));
    let mut conn = bus.pool().acquire().await.map_err(Failure::from)?;
    let groups = store::work::count(&mut conn, None, today).await?;
    let done = store::work::done_since(&mut conn, london_midnight(now)).await?;
    let mut sums: [Sum; 5] = Default::default();
    let mut kinds_of: BTreeMap<&str, Sum> = BTreeMap::new();
    for group in &groups {
        let [due, at_risk, breached, snoozed, unowned] = &mut sums;
        if group.unowned && !group.snoozed {
            unowned.add(group);
        }
        if !ask.team && group.holder != who {
            continue;
        }
        if group.snoozed {
            snoozed.add(group);
            continue;
        }
        due.add(group);
        if group.sla == SlaState::Warned.name() {
            at_risk.add(group);
        }
        if group.sla == SlaState::Breached.name() {
            breached.add(group);
        }
        kinds_of.entry(&group.kind).or_default().add(group);
    }
    let mut kinds = Vec::new();
    for kind in kinds::all(today) {
        if let Some(sum) = kinds_of.remove(kind.code.as_str()) {
            kinds.push((
                kind.points,
                KindTally {
                    kind: kind.code.clone(),
                    title: kind.title.clone(),
                    tally: sum.tally(),
                },
            ));
        }
    }
    kinds.sort_by_key(|(points, _)| -points);
    let done_today = if ask.team {
        done.values().map(|(count, _)| count).sum()
    } else {
        done.get(who).map_or(0, |(count, _)| *count)
    };
    let [due, at_risk, breached, snoozed, unowned] = sums.map(Sum::tally);
    Ok(WorkCounts {
        due,
        at_risk,
        breached,
        snoozed,
        unowned,
        done_today,
        kinds: kinds.into_iter().map(|(_, kind)| kind).collect(),
    })
}

async fn rows(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Acted, Failure> {
    let mut found = store::work::by_id(conn, ids).await?;
    found.sort_by_key(|(item, _)| ids.iter().position(|id| *id == item.work_item_id));
    Ok(Acted {
        items: found
            .into_iter()
            .map(|(item, name)| row(item, name))
            .collect(),
    })
}

pub(crate) async fn act(ask: ActOnWork, bus: Bus) -> Result<Acted, Refusal> {
    let who = actor(&ask.actor)?;
    let mut ids: Vec<Uuid> = ask.work_item_ids.iter().map(|id| id.as_uuid()).collect();
    ids.dedup();
    if ids.is_empty() || ids.len() > ACT_MAX {
        return Err(
            Failure::permanent("worklist.items_needed", "a command is about some items")
                .at("/work_item_ids", format!("between 1 and {ACT_MAX}"))
                .into(),
        );
    }
    let mut tx = bus.begin().await?;
    let command = ask.command_id.as_uuid();
    if tx.claim(&[command]).await?.is_empty() {
        return Ok(rows(tx.conn(), &ids).await?);
    }
    let mut items = store::work::lock(tx.conn(), &ids).await?;
    items.retain(|one| one.item.version > 0);
    if items.len() != ids.len() {
        return Err(Failure::not_found("worklist.no_item", "there is no such work item").into());
    }
    if let (Some(expected), [one]) = (ask.expected_version, items.as_slice())
        && one.item.version != expected
    {
        return Err(Failure::conflict(
            "worklist.item_moved",
            "the item has changed since it was shown",
        )
        .into());
    }
    let loaded = Loaded::about(&mut tx, &bus, &items).await?;
    let office = loaded.office(&bus);
    for one in &mut items {
        one.act(&ask.action, who, &office)?;
    }
    let cause = Meta::of_command(command, bus.now(), None);
    record(&mut tx, &bus, &items, &cause).await?;
    let answer = rows(tx.conn(), &ids).await?;
    finish(tx, &bus, &["worklist"]).await?;
    Ok(answer)
}

pub(crate) async fn list_kinds(_: ListKinds, bus: Bus) -> Result<Page<KindView>, Refusal> {
    let kinds = kinds::all(london_date(bus.now()));
    Ok(Page {
        items: kinds.into_iter().map(kinds::Kind::view).collect(),
        next_cursor: None,
    })
}

pub(crate) async fn list_policies(_: ListPolicies, bus: Bus) -> Result<Page<SlaPolicy>, Refusal> {
    let today = london_date(bus.now());
    let mut conn = bus.pool().acquire().await.map_err(Failure::from)?;
    let mut all = targets(&mut conn).await?;
    let read = store::clocks::policies(&mut conn).await?;
    all.retain(|policy| {
        read.in_force(&policy.policy, today)
            .is_some_and(|now| now.version == policy.version)
    });
    Ok(Page {
        items: all,
        next_cursor: None,
    })
}

pub(crate) async fn put_policy(ask: PutPolicy, bus: Bus) -> Result<SlaPolicy, Refusal> {
    let why = reason(&ask.reason)?;
    let who = actor(&ask.actor)?;
    let mut policy = ask.policy;
    let mut tx = bus.begin().await?;
    let command = ask.command_id.as_uuid();
    let new = !tx.claim(&[command]).await?.is_empty();
    store::people::lock(tx.conn()).await?;
    let last = targets(tx.conn())
        .await?
        .into_iter()
        .filter(|one| one.policy == policy.policy)
        .max_by_key(|one| one.version)
        .ok_or_else(|| {
            Failure::not_found(
                "worklist.no_policy",
                format!("there is no policy {}", policy.policy),
            )
        })?;
    if !new {
        return Ok(last);
    }
    policy.version = last.version + 1;
    Policy::read(&policy)?;
    let now = bus.now();
    store::clocks::put_policy(tx.conn(), &policy, who, why, now).await?;
    let fact = PolicyChanged {
        policy: policy.clone(),
        recorded_at: now,
        actor: who.to_owned(),
        reason: why.to_owned(),
    };
    let about = Uuid::new_v5(&Uuid::NAMESPACE_OID, policy.policy.as_bytes());
    let cause = Meta::of_command(command, now, None);
    let version = i64::from(policy.version);
    let fact = Outgoing::new(&fact, about, version, bus.prefix(), now, &cause)?;
    tx.publish(&[fact]).await?;
    finish(tx, &bus, &["worklist"]).await?;
    Ok(policy)
}
