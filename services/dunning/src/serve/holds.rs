//! Holds: placed, changed, ended, looked at.

use chrono::{Days, Months};
use contracts::{
    api::{
        Page, Refusal,
        dunning::{GetHold, HoldStep, HoldView, ListHolds, PlaceHold, StepHold},
    },
    dunning::{HoldId, HoldKind, HoldState},
};
use messaging::{Bus, Failure};

use super::{
    act::{Act, wrong},
    cursor, text,
};
use crate::{
    consume::judge,
    domain::{
        hold::{self, Hold},
        stops,
    },
    store,
};

/// After the treatment of a mental-health crisis (Debt Respite Scheme
/// Regulations 2020).
const AFTER_TREATMENT: Days = Days::new(30);
/// Documents of one hold.
const DOCUMENTS_MAX: usize = 5000;

fn no_hold(id: HoldId) -> Failure {
    Failure::not_found("dunning.no_hold", format!("there is no hold {id}"))
}

fn view(hold: Hold, roles: &[String]) -> HoldView {
    let readable = hold::may_read(hold.kind, roles);
    HoldView {
        hold_id: hold.id,
        version: hold.version,
        kind: hold.kind,
        state: hold.state,
        account_id: hold.account,
        account_ref: hold.account_ref,
        debtor_ref: hold.debtor,
        documents: hold.documents,
        starts_on: hold.starts_on,
        ends_on: hold.ends_on,
        review_on: hold.review_on,
        cut_off_on: hold.cut_off_on,
        owner: hold.owner,
        reference: hold.reference.filter(|_| readable),
        reason: Some(hold.reason).filter(|_| readable),
        warnings: hold.warnings,
        told_in: hold.told_in,
        unconfirmed: hold.unconfirmed,
    }
}

async fn shown(bus: &Bus, id: HoldId, roles: &[String]) -> Result<HoldView, Refusal> {
    let mut tx = bus.begin().await?;
    let found = store::holds::lock(tx.conn(), id)
        .await?
        .ok_or_else(|| no_hold(id))?;
    Ok(view(found, roles))
}

pub(crate) async fn get_hold(ask: GetHold, bus: Bus) -> Result<HoldView, Refusal> {
    shown(&bus, ask.hold_id, &ask.person.roles).await
}

pub(crate) async fn place_hold(ask: PlaceHold, bus: Bus) -> Result<HoldView, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    let id: HoldId = ask.command_id.as_uuid().into();
    let roles = &ask.person.roles;
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return shown(&bus, id, roles).await;
    };
    let (account_ref, _) = act.debtor(ask.account_id).await?;
    let debtor = act
        .one_of(ask.account_id, ask.debtor_ref.as_deref())
        .await?;
    let starts_on = ask.starts_on.unwrap_or(act.today);
    let effect = stops::effect(ask.kind, starts_on.max(act.today)).map_err(Failure::of)?;
    let ends_on = ask.ends_on.or_else(|| effect.ends_on(starts_on));
    if ends_on.is_some_and(|last| last < starts_on) {
        return Err(wrong("/ends_on", "not before it begins").into());
    }
    let mut documents = ask.documents;
    documents.sort_unstable();
    documents.dedup();
    if documents.len() > DOCUMENTS_MAX {
        return Err(wrong("/documents", "at most 5000").into());
    }
    if let Some(day) = ask.cut_off_on {
        if !documents.is_empty() {
            return Err(wrong("/cut_off_on", "either documents or a cut-off").into());
        }
        documents = store::holds::issued_until(act.tx.conn(), ask.account_id, day).await?;
        if documents.is_empty() {
            return Err(wrong("/cut_off_on", "no open debt was issued until then").into());
        }
    }
    let mut warnings = Vec::new();
    if ask.kind == HoldKind::BreathingSpace {
        let year_ago = starts_on
            .checked_sub_months(Months::new(12))
            .unwrap_or(starts_on);
        let conn = act.tx.conn();
        if store::holds::had_since(conn, ask.account_id, debtor.as_deref(), ask.kind, year_ago)
            .await?
        {
            warnings.push("a standard breathing space began less than 12 months before".to_owned());
        }
        if documents.is_empty() {
            warnings.push("covers the whole account: name the debts if it covers some".to_owned());
        }
    }
    let hold = Hold {
        id,
        version: 1,
        kind: ask.kind,
        state: HoldState::Active,
        account: ask.account_id,
        account_ref,
        debtor,
        documents,
        starts_on,
        ends_on,
        review_on: ask.review_on.or_else(|| Some(effect.review_on(starts_on))),
        cut_off_on: ask.cut_off_on,
        owner: ask.owner.unwrap_or_else(|| ask.person.actor.clone()),
        reference: ask.reference,
        reason: reason.clone(),
        ended_on: None,
        warnings,
        told_in: None,
        unconfirmed: false,
    };
    let told = judge::Told {
        prefix: &act.prefix,
        now: act.now,
        cause: &act.cause,
        actor: &ask.person.actor,
        reason: &reason,
    };
    judge::put_hold(&mut act.tx, &hold, told).await?;
    act.finish(&bus).await?;
    Ok(view(hold, roles))
}

pub(crate) async fn step_hold(ask: StepHold, bus: Bus) -> Result<HoldView, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    let id = ask.hold_id;
    let roles = &ask.person.roles;
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return shown(&bus, id, roles).await;
    };
    let mut hold = store::holds::lock(act.tx.conn(), id)
        .await?
        .ok_or_else(|| no_hold(id))?;
    if ask.version.is_some_and(|version| version != hold.version) {
        return Err(Failure::conflict(
            "dunning.changed",
            format!(
                "the hold was changed meanwhile: it is at version {} now",
                hold.version
            ),
        )
        .into());
    }
    // What should not have been can be found out after it ended.
    let cancels = ask.step == HoldStep::Cancel && hold.state == HoldState::Ended;
    if !hold.is_active() && !cancels {
        return Err(Failure::conflict("dunning.hold_over", "the hold is over").into());
    }
    match ask.step {
        HoldStep::Change {
            ends_on,
            review_on,
            owner,
        } => {
            if ends_on.is_some_and(|last| last < act.today) {
                return Err(wrong("/ends_on", "not before today: end it").into());
            }
            if hold.unconfirmed {
                let effect = stops::effect(hold.kind, act.today).map_err(Failure::of)?;
                hold.confirm(effect, act.today);
            }
            hold.ends_on = ends_on.or(hold.ends_on);
            hold.review_on = review_on.or(hold.review_on);
            hold.owner = owner.unwrap_or(hold.owner);
        }
        HoldStep::Add { documents } => {
            if hold.documents.is_empty() {
                return Err(wrong("/documents", "it covers the whole account").into());
            }
            hold.documents.extend(documents);
            hold.documents.sort_unstable();
            hold.documents.dedup();
            if hold.documents.len() > DOCUMENTS_MAX {
                return Err(wrong("/documents", "at most 5000").into());
            }
        }
        HoldStep::TreatmentEnded { on } => {
            if hold.kind != HoldKind::MentalHealthCrisis {
                return Err(wrong("/step", "only of a mental-health crisis").into());
            }
            hold.ends_on = on.checked_add_days(AFTER_TREATMENT);
        }
        HoldStep::End => {
            hold.state = HoldState::Ended;
            hold.ended_on = Some(act.today);
        }
        HoldStep::Cancel => {
            hold.state = HoldState::Cancelled;
            hold.ended_on = Some(act.today);
        }
    }
    hold.version += 1;
    let told = judge::Told {
        prefix: &act.prefix,
        now: act.now,
        cause: &act.cause,
        actor: &ask.person.actor,
        reason: &reason,
    };
    judge::put_hold(&mut act.tx, &hold, told).await?;
    act.finish(&bus).await?;
    Ok(view(hold, roles))
}

pub(crate) async fn list_holds(ask: ListHolds, bus: Bus) -> Result<Page<HoldView>, Refusal> {
    let rows = ask.page.rows();
    let after = cursor(ask.page.cursor.as_deref())?;
    let mut tx = bus.begin().await?;
    let mut found =
        store::holds::list(tx.conn(), ask.account_id, ask.state, after, rows + 1).await?;
    let more = found.len() as i64 > rows;
    found.truncate(usize::try_from(rows).unwrap_or(usize::MAX));
    let next_cursor = found
        .last()
        .filter(|_| more)
        .map(|last| last.id.to_string());
    let roles = &ask.person.roles;
    Ok(Page {
        items: found.into_iter().map(|hold| view(hold, roles)).collect(),
        next_cursor,
    })
}
