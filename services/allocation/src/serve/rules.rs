//! Matching rules: their life, running them over the past, and rungs that were
//! wrong too often.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use contracts::{
    Event, Prefix,
    allocation::Rule,
    api::{
        Page, Refusal,
        rules::{
            DemotedRungs, DemotionView, DraftRuleSet, GetRuleSet, ListDemotedRungs, ListRuleSets,
            PromoteRuleSet, ReplayReport, ReplayRules, RestoreRung, RetireRuleSet, RuleSetCheck,
            RuleSetDetail, RuleSetView, ValidateRuleSet,
        },
    },
    controls::{ApprovalKind, ApprovalWithdrawn},
    rules::{RuleDemoted, RuleRestored, RuleSet, RuleSetState, RulesChanged},
};
use kernel::{CommandId, Currency, Money};
use messaging::{Bus, Failure, Meta, Outgoing, Tx};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Desk, reason};
use crate::{
    domain::{
        approvals::{Ask, requested},
        ledger::Because,
        rules::{self, Live, Next, replay},
    },
    store,
};

/// Receipts of one replay, unless told otherwise, and at most.
const REPLAY_RECEIPTS: u32 = 2_000;
const REPLAY_RECEIPTS_MAX: u32 = 10_000;
/// A replay stops thinking after this time: who asked waits for an answer.
const REPLAY_TIME: Duration = Duration::from_secs(20);
/// What the pages refresh on.
const TOPIC: &str = "rules";

pub(crate) async fn list(ask: ListRuleSets, bus: Bus) -> Result<Page<RuleSetView>, Refusal> {
    let before = match ask.page.cursor.as_deref() {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| {
            Failure::permanent("allocation.bad_cursor", "the cursor is not one of ours")
                .at("/cursor", "a version")
        })?),
    };
    let mut tx = bus.begin().await?;
    let rows = ask.page.rows();
    let mut items = store::rules::list(tx.conn(), ask.state, before, rows).await?;
    let more = items.len() as i64 > rows;
    items.truncate(rows as usize);
    let next_cursor = items
        .last()
        .filter(|_| more)
        .map(|view| view.version.to_string());
    Ok(Page { items, next_cursor })
}

pub(crate) async fn get(ask: GetRuleSet, bus: Bus) -> Result<RuleSetDetail, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(detail(tx.conn(), ask.version, &bus).await?)
}

async fn view(conn: &mut PgConnection, version: i64) -> Result<RuleSetView, Failure> {
    store::rules::get(conn, version).await?.ok_or_else(|| {
        Failure::not_found(
            "rules.no_version",
            format!("there is no rule set {version}"),
        )
    })
}

async fn detail(
    conn: &mut PgConnection,
    version: i64,
    bus: &Bus,
) -> Result<RuleSetDetail, Failure> {
    let view = view(conn, version).await?;
    let demoted = store::rules::demotions(conn, Some(&view.scope)).await?;
    Ok(RuleSetDetail {
        rule_set: store::rules::rules(conn, version).await?,
        steps: store::rules::steps(conn, version).await?,
        demoted: demoted.into_iter().map(|(_, view)| view).collect(),
        shadow: store::shadows::report(conn, version, bus.now()).await?,
        view,
    })
}

pub(crate) async fn validate(ask: ValidateRuleSet, _: Bus) -> Result<RuleSetCheck, Refusal> {
    Ok(RuleSetCheck {
        problems: rules::problems(&ask.rule_set),
    })
}

/// Refuses rules with something wrong in them, with all of it.
fn checked(rule_set: &RuleSet) -> Result<(), Failure> {
    let problems = rules::problems(rule_set);
    if problems.is_empty() {
        return Ok(());
    }
    Err(problems.into_iter().fold(
        Failure::permanent("rules.invalid", "the rule set has mistakes"),
        |failure, problem| failure.at(problem.pointer, problem.detail),
    ))
}

/// Commands change rules one after the other. `None`: it was carried out before.
async fn claim(bus: &Bus, id: CommandId) -> Result<Option<Tx>, Failure> {
    let mut tx = bus.begin().await?;
    if tx.claim(&[id.as_uuid()]).await?.is_empty() {
        return Ok(None);
    }
    store::rules::lock(tx.conn()).await?;
    Ok(Some(tx))
}

async fn finish(tx: Tx, bus: &Bus) -> Result<(), Failure> {
    tx.commit().await?;
    bus.notice(&[TOPIC.to_owned()]).await;
    Ok(())
}

/// Who takes a step, when, why, and what made them.
pub(crate) struct Told<'t> {
    pub(crate) prefix: &'t Prefix,
    pub(crate) now: DateTime<Utc>,
    pub(crate) cause: &'t Meta,
    pub(crate) actor: &'t str,
    pub(crate) reason: &'t str,
}

/// What requests to a second person call a version.
fn subject(version: i64) -> Uuid {
    Uuid::from_u128(version.unsigned_abs().into())
}

/// The version of a subject; one that there is not when it is none of ours.
pub(crate) fn version_of(subject: Uuid) -> i64 {
    subject.as_u128().try_into().unwrap_or(-1)
}

impl Told<'_> {
    async fn publish<E: Event>(
        &self,
        tx: &mut Tx,
        event: &E,
        about: Uuid,
        version: i64,
    ) -> Result<(), Failure> {
        let outgoing = Outgoing::new(event, about, version, self.prefix, self.now, self.cause)?;
        tx.publish(&[outgoing]).await
    }

    /// Notes the step and publishes it.
    async fn step(
        &self,
        tx: &mut Tx,
        view: &RuleSetView,
        before: Option<RuleSetState>,
        state: RuleSetState,
        reason: &str,
    ) -> Result<(), Failure> {
        let (now, actor) = (self.now, self.actor);
        let step = store::rules::step(tx.conn(), view.version, state, actor, reason, now).await?;
        let event = RulesChanged {
            version: view.version,
            name: view.name.clone(),
            scope: view.scope.clone(),
            valid_from: view.valid_from,
            state,
            before,
            author: view.author.clone(),
            recorded_at: now,
            actor: actor.to_owned(),
            reason: reason.to_owned(),
        };
        self.publish(tx, &event, subject(view.version), step).await
    }

    /// Asks a second person.
    async fn ask(&self, tx: &mut Tx, view: &RuleSetView, rules: &RuleSet) -> Result<(), Failure> {
        let event = requested(
            Ask {
                kind: ApprovalKind::MatchingRules,
                subject: subject(view.version),
                title: format!(
                    "Match by rule set {} ({}) from {}",
                    view.version,
                    view.name,
                    view.valid_from.format("%-d %b %Y")
                ),
                amount: Money::zero(Currency::GBP),
                account: None,
                account_ref: None,
                content: rules::content(view.version, rules),
                needed: 1,
                requester: self.actor,
                reason: self.reason,
            },
            self.now,
        );
        store::rules::asked(tx.conn(), view.version, Some(event.approval_id)).await?;
        self.publish(tx, &event, event.approval_id.as_uuid(), 1)
            .await
    }

    /// Nobody need decide about it any more.
    async fn withdraw(&self, tx: &mut Tx, view: &RuleSetView) -> Result<(), Failure> {
        let waits = view.state == RuleSetState::Shadow;
        let Some(approval_id) = view.approval_id.filter(|_| waits) else {
            return Ok(());
        };
        store::rules::asked(tx.conn(), view.version, None).await?;
        let event = ApprovalWithdrawn {
            approval_id,
            kind: ApprovalKind::MatchingRules,
            subject_id: subject(view.version),
            account_ref: None,
            actor: self.actor.to_owned(),
            reason: self.reason.to_owned(),
            recorded_at: self.now,
        };
        self.publish(tx, &event, approval_id.as_uuid(), 2).await
    }
}

/// Makes a shadow live. It says what holds from its first day on, so nothing
/// that begins then or later is needed any more.
pub(crate) async fn go_live(
    tx: &mut Tx,
    told: &Told<'_>,
    view: &RuleSetView,
) -> Result<(), Failure> {
    told.step(tx, view, Some(view.state), RuleSetState::Live, told.reason)
        .await?;
    let others = store::rules::others_live(tx.conn(), &view.scope, view.version).await?;
    let reason = format!("version {} takes its place", view.version);
    for other in others {
        if other.valid_from >= view.valid_from {
            told.step(
                tx,
                &other,
                Some(other.state),
                RuleSetState::Retired,
                &reason,
            )
            .await?;
        }
    }
    Ok(())
}

pub(crate) async fn draft(ask: DraftRuleSet, bus: Bus) -> Result<RuleSetDetail, Refusal> {
    let reason = reason(&ask.reason)?;
    checked(&ask.rule_set)?;
    let now = bus.now();
    let cause = Meta::of_command(ask.command_id.as_uuid(), now, None);
    let told = told(&bus, &cause, &ask.actor, reason);
    let Some(mut tx) = claim(&bus, ask.command_id).await? else {
        return Err(Failure::conflict(
            "rules.drafted_before",
            "this draft was stored before: look at the list",
        )
        .into());
    };
    let version = store::rules::insert(tx.conn(), &ask.rule_set, &ask.actor, now).await?;
    let view = view(tx.conn(), version).await?;
    told.step(&mut tx, &view, None, RuleSetState::Draft, reason)
        .await?;
    let answer = detail(tx.conn(), version, &bus).await?;
    finish(tx, &bus).await?;
    Ok(answer)
}

fn told<'t>(bus: &'t Bus, cause: &'t Meta, actor: &'t str, reason: &'t str) -> Told<'t> {
    Told {
        prefix: bus.prefix(),
        now: bus.now(),
        cause,
        actor,
        reason,
    }
}

pub(crate) async fn promote(ask: PromoteRuleSet, bus: Bus) -> Result<RuleSetDetail, Refusal> {
    let cause = Meta::of_command(ask.command_id.as_uuid(), bus.now(), None);
    let told = told(&bus, &cause, &ask.actor, reason(&ask.reason)?);
    let version = ask.version;
    let Some(mut tx) = claim(&bus, ask.command_id).await? else {
        return get(GetRuleSet { version }, bus).await;
    };
    let view = view(tx.conn(), version).await?;
    let asked = view.approval_id.is_some();
    let next = rules::promote(view.state, asked, &view.author, &ask.actor).map_err(Failure::of)?;
    // A later release may know more mistakes than the one that took the draft.
    let rule_set = store::rules::rules(tx.conn(), version).await?;
    checked(&rule_set)?;
    match next {
        Next::Shadow => {
            let (before, state) = (Some(view.state), RuleSetState::Shadow);
            told.step(&mut tx, &view, before, state, told.reason)
                .await?;
        }
        Next::Ask => told.ask(&mut tx, &view, &rule_set).await?,
    }
    let answer = detail(tx.conn(), version, &bus).await?;
    finish(tx, &bus).await?;
    Ok(answer)
}

pub(crate) async fn retire(ask: RetireRuleSet, bus: Bus) -> Result<RuleSetDetail, Refusal> {
    let cause = Meta::of_command(ask.command_id.as_uuid(), bus.now(), None);
    let told = told(&bus, &cause, &ask.actor, reason(&ask.reason)?);
    let version = ask.version;
    let Some(mut tx) = claim(&bus, ask.command_id).await? else {
        return get(GetRuleSet { version }, bus).await;
    };
    let view = view(tx.conn(), version).await?;
    let others = store::rules::others_live(tx.conn(), &view.scope, view.version).await?;
    rules::retire(view.state, &view.scope, others.len() as i64).map_err(Failure::of)?;
    told.withdraw(&mut tx, &view).await?;
    let (before, state) = (Some(view.state), RuleSetState::Retired);
    told.step(&mut tx, &view, before, state, told.reason)
        .await?;
    let answer = detail(tx.conn(), version, &bus).await?;
    finish(tx, &bus).await?;
    Ok(answer)
}

pub(crate) async fn demoted(_: ListDemotedRungs, bus: Bus) -> Result<DemotedRungs, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(standing(tx.conn()).await?)
}

async fn standing(conn: &mut PgConnection) -> Result<DemotedRungs, Failure> {
    let demotions = store::rules::demotions(conn, None).await?;
    Ok(DemotedRungs {
        demoted: demotions.into_iter().map(|(_, view)| view).collect(),
    })
}

pub(crate) async fn restore(ask: RestoreRung, bus: Bus) -> Result<DemotedRungs, Refusal> {
    let reason = reason(&ask.reason)?;
    let now = bus.now();
    let Some(mut tx) = claim(&bus, ask.command_id).await? else {
        return demoted(ListDemotedRungs {}, bus).await;
    };
    let (id, demotion) = store::rules::demotions(tx.conn(), Some(&ask.scope))
        .await?
        .into_iter()
        .find(|(_, view)| view.rule == ask.rule)
        .ok_or_else(|| {
            Failure::not_found(
                "rules.not_demoted",
                format!("`{}` is not demoted there", ask.rule.name()),
            )
        })?;
    rules::restore(&demotion.actor, &ask.actor).map_err(Failure::of)?;
    store::rules::restore(tx.conn(), id, &ask.actor, reason, now).await?;
    let event = RuleRestored {
        rule: ask.rule,
        scope: ask.scope.clone(),
        recorded_at: now,
        actor: ask.actor.clone(),
        reason: reason.to_owned(),
    };
    let cause = Meta::of_command(ask.command_id.as_uuid(), now, None);
    let outgoing = Outgoing::new(&event, id, 2, bus.prefix(), now, &cause)?;
    tx.publish(&[outgoing]).await?;
    let answer = standing(tx.conn()).await?;
    finish(tx, &bus).await?;
    Ok(answer)
}

/// A person took automatic lines back as wrong: that is noted against their
/// rungs, and a rung whose budget is used up only suggests from now on. The facts
/// to publish then.
pub(super) async fn blame(
    tx: &mut Tx,
    bus: &Bus,
    desk: &Desk,
    because: &Because<'_>,
    cause: &Meta,
) -> Result<Vec<Outgoing>, Failure> {
    store::rules::lock(tx.conn()).await?;
    let mut facts = Vec::new();
    for line in store::postings::of_receipt(tx.conn(), desk.receipt.id).await? {
        if line.rule == Rule::Manual || !desk.blamed.contains(&line.line.allocation_id) {
            continue;
        }
        let account = Some(line.line.account_id);
        let (booked_on, books) = (desk.receipt.booked_on, &desk.books);
        let Some(policy) = books.rules.policy(account, booked_on, books) else {
            continue;
        };
        let Some(budget) = policy.rules.budget else {
            continue;
        };
        let (wrong, lines) = store::rules::wrong(
            tx.conn(),
            line.line.allocation_id,
            (policy.scope, line.rule),
            because.actor,
            because.now,
            budget.days,
        )
        .await?;
        let demotions = store::rules::demotions(tx.conn(), Some(policy.scope)).await?;
        let already = demotions.iter().any(|(_, view)| view.rule == line.rule);
        if already || !rules::is_burnt(budget, wrong, lines) {
            continue;
        }
        let id = Uuid::now_v7();
        let demotion = DemotionView {
            scope: policy.scope.clone(),
            rule: line.rule,
            wrong,
            lines,
            actor: because.actor.to_owned(),
            reason: format!(
                "{wrong} of {lines} automatic lines of the last {} days were wrong; {} in {} are allowed",
                budget.days, budget.wrong, budget.lines
            ),
            recorded_at: because.now,
        };
        store::rules::demote(tx.conn(), id, &demotion).await?;
        let fact = RuleDemoted {
            rule: demotion.rule,
            scope: demotion.scope,
            wrong,
            lines,
            allowed_wrong: budget.wrong,
            allowed_lines: budget.lines,
            days: budget.days,
            recorded_at: demotion.recorded_at,
            actor: demotion.actor,
            reason: demotion.reason,
        };
        tracing::warn!(rule = fact.rule.name(), "{}", fact.reason);
        facts.push(Outgoing::new(
            &fact,
            id,
            1,
            bus.prefix(),
            because.now,
            cause,
        )?);
    }
    Ok(facts)
}

pub(crate) async fn replay(ask: ReplayRules, bus: Bus) -> Result<ReplayReport, Refusal> {
    let mut tx = bus.begin().await?;
    let candidate = match (ask.version, ask.rule_set) {
        (Some(version), None) => {
            view(tx.conn(), version).await?;
            Live {
                version,
                rules: store::rules::rules(tx.conn(), version).await?,
            }
        }
        (None, Some(rules)) => Live { version: 0, rules },
        _ => {
            return Err(Failure::permanent(
                "rules.what_to_replay",
                "name a stored version, or give a rule set",
            )
            .into());
        }
    };
    checked(&candidate.rules)?;
    let most = ask
        .receipts
        .unwrap_or(REPLAY_RECEIPTS)
        .clamp(1, REPLAY_RECEIPTS_MAX);
    let mut live = store::rules::in_force(tx.conn()).await?;
    let mut other = live.with(candidate);
    let mut past = store::replay::past(
        tx.conn(),
        (ask.from, ask.to),
        i64::from(most) + 1,
        [&mut live, &mut other],
    )
    .await?;
    // Nothing was written, and nothing is.
    drop(tx);
    let more = past.receipts.len() > most as usize;
    if more {
        past.receipts.remove(0);
    }
    let thinking = tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        replay::run(past, live, other, || began.elapsed() > REPLAY_TIME)
    });
    let mut report = thinking
        .await
        .map_err(|e| Failure::bug("rules.replay", "the replay fell over").caused_by(e))?
        .map_err(Failure::of)?;
    if more && report.cut_short.is_none() {
        report.cut_short = Some(format!("only the latest {most} receipts"));
    }
    Ok(report)
}
