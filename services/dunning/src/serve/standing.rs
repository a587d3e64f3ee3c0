//! Why an account's debts are chased or not, now.

use contracts::api::{
    Refusal,
    dunning::{GetStanding, ItemStanding, Standing},
};
use kernel::london_date;
use messaging::{Bus, Failure};

use crate::{
    domain::chase::{self, Judgement, Moment, Position},
    store,
};

/// The moment that the rules look at.
pub(crate) async fn moment(conn: &mut sqlx::PgConnection, bus: &Bus) -> Result<Moment, Failure> {
    let now = bus.now();
    let oldest = store::accounts::oldest_feed(conn).await?;
    Ok(Moment {
        today: london_date(now),
        feed_age_hours: oldest
            .map(|heard| u32::try_from((now - heard).num_hours().max(0)).unwrap_or(u32::MAX)),
    })
}

pub(crate) async fn get_standing(ask: GetStanding, bus: Bus) -> Result<Standing, Refusal> {
    let mut tx = bus.begin().await?;
    let conn = tx.conn();
    let policies = store::policies::all(conn).await?;
    let moment = moment(conn, &bus).await?;
    let positions =
        store::positions::load(conn, store::accounts::Among::one(ask.account_id)).await?;
    let credit_stopped_on = store::credit::since(conn, ask.account_id.as_uuid()).await?;
    let Some(position) = positions.first() else {
        return Ok(Standing {
            account_id: ask.account_id,
            policy: None,
            items: Vec::new(),
            next_contact: None,
            credit_stopped_on,
        });
    };
    let judgement = chase::judge(position, &policies, moment).map_err(Failure::of)?;
    Ok(Standing {
        credit_stopped_on,
        ..view(position, judgement, &policies)
    })
}

fn view(
    position: &Position,
    judgement: Judgement,
    policies: &crate::domain::policy::Policies,
) -> Standing {
    let policy = judgement
        .policy
        .as_ref()
        .and_then(|(policy, version)| policies.get(policy, *version));
    let stage = |rank: Option<i16>| {
        let stage = policy?.at(rank?, position.kind)?;
        Some(stage.code.clone())
    };
    let items = judgement
        .verdicts
        .iter()
        .filter_map(|verdict| {
            let item = position
                .items
                .iter()
                .find(|item| item.document == verdict.document)?;
            Some(ItemStanding {
                document_id: item.document,
                document_ref: item.document_ref.clone(),
                due_on: item.due_on,
                open: item.open,
                chaseable: verdict.chaseable,
                reason: verdict.reason,
                hold: verdict.hold,
                stage: stage(verdict.from),
                next_stage: stage(verdict.to),
                next_on: verdict.next_on,
            })
        })
        .collect();
    Standing {
        account_id: position.account,
        policy: policy.map(|policy| format!("{} v{}", policy.policy, policy.version)),
        items,
        next_contact: judgement.contact.map(|contact| contact.stage),
        credit_stopped_on: None,
    }
}
