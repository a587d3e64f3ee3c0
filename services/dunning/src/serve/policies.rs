//! Policies, and the manual that is written from them; drafting.

use chrono::NaiveDate;
use contracts::api::{
    Page, Refusal,
    dunning::{
        DraftPolicy, DunningPolicyDetail, DunningPolicyView, EditionKind, EditionState,
        GetDunningPolicy, ListDunningPolicies,
    },
};
use kernel::london_date;
use messaging::{Bus, Failure};
use sqlx::PgConnection;

use super::{
    act::Act,
    editions::{draft, no_edition, pick, views},
    text,
};
use crate::{
    domain::{
        diff,
        edition::{Edition, before},
        manual,
        policy::Policy,
        policy_text,
    },
    store,
};

const KIND: EditionKind = EditionKind::Policy;

fn written(policy: &Policy) -> Result<String, Failure> {
    toml::to_string(policy)
        .map_err(|e| Failure::bug("dunning.policy_text", format!("a policy is no TOML: {e}")))
}

pub(crate) async fn list_policies(
    _: ListDunningPolicies,
    bus: Bus,
) -> Result<Page<DunningPolicyView>, Refusal> {
    let mut tx = bus.begin().await?;
    let policies = store::policies::all(tx.conn()).await?;
    let today = london_date(bus.now());
    let mut items = Vec::new();
    for policy in policies.each() {
        let in_force = policies
            .valid(today)
            .any(|one| (&one.policy, one.version) == (&policy.policy, policy.version));
        items.push(DunningPolicyView {
            policy: policy.policy.clone(),
            version: policy.version,
            title: policy.title.clone(),
            valid_from: policy.valid_from,
            in_force,
            manual: manual::paragraphs(policy),
            text: written(policy)?,
        });
    }
    Ok(Page {
        items,
        next_cursor: None,
    })
}

/// As it was written, with the day that counts.
fn read(one: &Edition) -> Result<Policy, Failure> {
    let mut policy: Policy = serde_json::from_value(one.body.clone())?;
    policy.valid_from = one.valid_from;
    Ok(policy)
}

async fn detail(
    conn: &mut PgConnection,
    name: &str,
    version: Option<i32>,
    today: NaiveDate,
) -> Result<DunningPolicyDetail, Failure> {
    let editions = store::editions::of(conn, KIND, name, false).await?;
    let one = pick(&editions, KIND, name, version)?;
    let policy = read(one)?;
    let manual = manual::paragraphs(&policy);
    let against = before(&editions, one.version);
    let old = match against {
        Some(one) => manual::paragraphs(&read(one)?).join("\n\n"),
        None => String::new(),
    };
    let all = views(&editions, today);
    let edition = all.iter().find(|view| view.version == one.version);
    Ok(DunningPolicyDetail {
        policy: name.to_owned(),
        title: policy.title.clone(),
        text: match one.source.as_str() {
            "" => written(&policy)?,
            source => source.to_owned(),
        },
        manual_diff: diff::words(&old, &manual.join("\n\n")),
        manual,
        edition: edition
            .cloned()
            .ok_or_else(|| no_edition(KIND, name, version))?,
        against: against.map(|one| one.version),
        editions: all,
    })
}

pub(crate) async fn get_policy(
    ask: GetDunningPolicy,
    bus: Bus,
) -> Result<DunningPolicyDetail, Refusal> {
    let mut tx = bus.begin().await?;
    let today = london_date(bus.now());
    Ok(detail(tx.conn(), &ask.policy, ask.version, today).await?)
}

pub(crate) async fn draft_policy(
    ask: DraftPolicy,
    bus: Bus,
) -> Result<DunningPolicyDetail, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    let id = ask.command_id.as_uuid();
    if let Some(mut act) = Act::begin(&bus, ask.command_id).await? {
        let refused = || {
            Failure::permanent(
                "dunning.policy_wrong",
                "the policy could not be published as it is",
            )
        };
        let today = act.today;
        let known = store::editions::of(act.tx.conn(), KIND, &ask.policy, true).await?;
        let day = ask.valid_from.unwrap_or(today).max(today);
        let templates = store::templates::in_force(act.tx.conn(), day).await?;
        let version = known.first().map_or(1, |newest| newest.version + 1);
        let source = ask.text.replace("\r\n", "\n");
        let policy = policy_text::read(&source, &ask.policy, version, ask.valid_from, &templates)
            .map_err(|faults| {
            faults
                .iter()
                .fold(refused(), |told, fault| told.at("/text", fault.words()))
        })?;
        if policy.valid_from < today {
            return Err(refused().at("/valid_from", "not before today").into());
        }
        let body = serde_json::to_value(&policy).map_err(Failure::from)?;
        let new = Edition {
            id,
            kind: KIND,
            name: ask.policy.clone(),
            version,
            state: EditionState::Draft,
            title: policy.title,
            valid_from: policy.valid_from,
            sha256: store::editions::sha256(&body),
            body,
            source,
            drafted_by: ask.person.actor.clone(),
            drafted_at: act.now,
            reason: reason.clone(),
            approval: None,
            decided_by: None,
            decided_at: None,
            decision: None,
        };
        draft(&mut act, known, &new, &reason, &ask.person).await?;
        act.finish(&bus).await?;
    }
    let mut tx = bus.begin().await?;
    let conn = tx.conn();
    let made = store::editions::lock(conn, &[id]).await?;
    let version = made.first().map(|one| one.version);
    Ok(detail(conn, &ask.policy, version, london_date(bus.now())).await?)
}
