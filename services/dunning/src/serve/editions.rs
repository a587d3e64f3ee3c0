//! Versions of templates and policies: asking a second person, taking that back,
//! and what both kinds share.

use chrono::{NaiveDate, TimeDelta};
use contracts::{
    api::{
        Refusal,
        dunning::{EditionKind, EditionState, EditionStep, EditionView, StepEdition},
    },
    controls::{ApprovalId, ApprovalKind, ApprovalRequested, ApprovalWithdrawn, frozen},
    dunning::{RequestedByDunning, WithdrawnByDunning},
};
use kernel::{Currency, Money, london_date};
use messaging::{Bus, Failure, Outgoing, Tx};

use super::{act::Act, text};
use crate::{
    consume::judge::Told,
    domain::edition::{Edition, EditionRefused, in_force},
    store,
};

/// How long a second person has.
const EXPIRES: TimeDelta = TimeDelta::days(7);

pub(crate) const fn approval_kind(kind: EditionKind) -> ApprovalKind {
    match kind {
        EditionKind::Template | EditionKind::Enclosure => ApprovalKind::DunningTemplate,
        EditionKind::Policy => ApprovalKind::DunningPolicy,
    }
}

pub(super) fn no_edition(kind: EditionKind, name: &str, version: Option<i32>) -> Failure {
    let version = version.map_or_else(String::new, |version| format!(" in version {version}"));
    Failure::not_found(
        "dunning.no_edition",
        format!("there is no {} `{name}`{version}", kind.name()),
    )
}

/// The one that is asked for among all of a name: the newest when none is named.
pub(super) fn pick<'e>(
    editions: &'e [Edition],
    kind: EditionKind,
    name: &str,
    version: Option<i32>,
) -> Result<&'e Edition, Failure> {
    let mut all = editions.iter();
    match version {
        Some(version) => all.find(|one| one.version == version),
        None => all.next(),
    }
    .ok_or_else(|| no_edition(kind, name, version))
}

pub(super) fn views(editions: &[Edition], today: NaiveDate) -> Vec<EditionView> {
    let current = in_force(editions, today);
    editions
        .iter()
        .map(|one| one.view(current == Some(one.version)))
        .collect()
}

/// Makes a new draft of a name: older ones that were not published are void, and
/// so is a request for one.
pub(super) async fn draft(
    act: &mut Act,
    known: Vec<Edition>,
    new: &Edition,
    told_reason: &str,
    person: &contracts::api::controls::Person,
) -> Result<(), Failure> {
    let (tx, told) = act.told(person, told_reason);
    for mut one in known {
        if matches!(one.state, EditionState::Draft | EditionState::Requested) {
            if one.state == EditionState::Requested {
                let reason = format!("version {} was drafted: {told_reason}", new.version);
                withdraw(
                    tx,
                    &mut one,
                    Told {
                        reason: &reason,
                        ..told
                    },
                )
                .await?;
            }
            one.state = EditionState::Superseded;
            store::editions::update(tx.conn(), &one).await?;
        }
    }
    store::editions::insert(tx.conn(), new).await?;
    Ok(())
}

async fn withdraw(tx: &mut Tx, one: &mut Edition, told: Told<'_>) -> Result<(), Failure> {
    if let Some(approval_id) = one.approval.take() {
        let event = WithdrawnByDunning(ApprovalWithdrawn {
            approval_id,
            kind: approval_kind(one.kind),
            subject_id: one.id,
            account_ref: None,
            actor: told.actor.to_owned(),
            reason: told.reason.to_owned(),
            recorded_at: told.now,
        });
        let id = approval_id.as_uuid();
        let event = Outgoing::new(&event, id, 2, told.prefix, told.now, told.cause)?;
        tx.publish(&[event]).await?;
    }
    one.state = EditionState::Draft;
    store::editions::update(tx.conn(), one).await
}

async fn request(tx: &mut Tx, one: &mut Edition, told: Told<'_>) -> Result<(), Failure> {
    let content = one.content();
    let (_, content_sha256) = frozen(&content);
    let approval_id = ApprovalId::generate();
    let event = RequestedByDunning(ApprovalRequested {
        approval_id,
        kind: approval_kind(one.kind),
        subject_id: one.id,
        title: format!(
            "Publish {} `{}`, version {}, from {}",
            one.kind.name(),
            one.name,
            one.version,
            one.valid_from.format("%-d %b %Y")
        ),
        amount: Money::zero(Currency::GBP),
        account_id: None,
        account_ref: None,
        content_sha256,
        needed: 1,
        requester: told.actor.to_owned(),
        reason: told.reason.to_owned(),
        expires_at: told.now + EXPIRES,
        recorded_at: told.now,
        content: Some(content),
    });
    let id = approval_id.as_uuid();
    let event = Outgoing::new(&event, id, 1, told.prefix, told.now, told.cause)?;
    tx.publish(&[event]).await?;
    one.approval = Some(approval_id);
    one.state = EditionState::Requested;
    store::editions::update(tx.conn(), one).await
}

pub(crate) async fn step_edition(ask: StepEdition, bus: Bus) -> Result<EditionView, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    if let Some(mut act) = Act::begin(&bus, ask.command_id).await? {
        let today = act.today;
        let (tx, told) = act.told(&ask.person, &reason);
        let known = store::editions::of(tx.conn(), ask.kind, &ask.name, true).await?;
        let mut one = pick(&known, ask.kind, &ask.name, Some(ask.version))?.clone();
        match ask.step {
            EditionStep::Request => {
                let newest = known.first().map_or(one.version, |newest| newest.version);
                one.may_request(told.actor, newest, today)
                    .map_err(Failure::of)?;
                request(tx, &mut one, told).await?;
            }
            EditionStep::Withdraw => {
                if one.state != EditionState::Requested {
                    return Err(Failure::of(EditionRefused::NotRequested(one.state)).into());
                }
                one.is_by(told.actor).map_err(Failure::of)?;
                withdraw(tx, &mut one, told).await?;
            }
        }
        act.finish(&bus).await?;
    }
    let mut tx = bus.begin().await?;
    let known = store::editions::of(tx.conn(), ask.kind, &ask.name, false).await?;
    let current = in_force(&known, london_date(bus.now()));
    let one = pick(&known, ask.kind, &ask.name, Some(ask.version))?;
    Ok(one.view(current == Some(one.version)))
}
