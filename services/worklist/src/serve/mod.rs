//! What worklist answers: work, people, clocks and the day.

pub(crate) mod approvals;
pub(crate) mod day;
pub(crate) mod people;
pub(crate) mod work;

use std::collections::HashMap;

use contracts::api::worklist::WorkRow;
use kernel::london_date;
use messaging::{Bus, Failure, Meta, Tx};
use uuid::Uuid;

use crate::{
    domain::{
        clock::Policies,
        item::{Item, Office, Touched},
        kinds,
        owner::{Account, Staff},
    },
    events, store,
};

/// Who acts: a person or a program that signed in.
pub(crate) fn actor(text: &str) -> Result<&str, Failure> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 100 {
        return Err(
            Failure::permanent("worklist.actor_needed", "it must be said who asks")
                .at("/actor", "such as user:jo"),
        );
    }
    Ok(text)
}

/// How lists show an item.
pub(crate) fn row(item: Item, account_name: Option<String>) -> WorkRow {
    let money = item.money();
    let kind = kinds::kind(&item.kind, london_date(item.changed_at)).ok();
    WorkRow {
        work_item_id: item.work_item_id.into(),
        version: item.version,
        title: kind.map_or_else(|| item.kind.clone(), |kind| kind.title.clone()),
        action: kind.map_or_else(String::new, |kind| kind.action.clone()),
        kind: item.kind,
        subject_id: item.subject_id,
        subject_ref: item.subject_ref,
        detail: item.detail,
        account_id: item.account_id.map(Into::into),
        account_ref: item.account_ref,
        account_name,
        amount: money,
        state: item.state,
        owner: item.owner,
        owner_source: item.owner_source,
        holder: item.holder,
        minutes: item.minutes,
        score: item.score,
        parts: item.parts,
        back_on: item.back_on,
        back_reason: item.back_reason,
        sla: item.sla,
        due_at: item.due_at,
        escalated: item.escalated,
        outcome: item.outcome,
        business_at: item.business_at,
        changed_at: item.changed_at,
    }
}

/// What a command holds things against.
pub(crate) struct Loaded {
    pub staff: Staff,
    pub policies: Policies,
    pub accounts: HashMap<Uuid, Account>,
}

impl Loaded {
    pub(crate) async fn about(tx: &mut Tx, bus: &Bus, items: &[Touched]) -> Result<Self, Failure> {
        let ids: Vec<Uuid> = items.iter().filter_map(|one| one.item.account_id).collect();
        let known = store::work::accounts(tx.conn(), &ids, &[]).await?;
        Ok(Self {
            staff: store::people::staff(tx.conn(), london_date(bus.now())).await?,
            policies: store::clocks::policies(tx.conn()).await?,
            accounts: known.into_iter().map(|(id, (_, one))| (id, one)).collect(),
        })
    }

    pub(crate) fn office(&self, bus: &Bus) -> Office<'_> {
        Office {
            staff: &self.staff,
            policies: &self.policies,
            accounts: &self.accounts,
            now: bus.now(),
        }
    }
}

/// Writes what has changed, and says so.
pub(crate) async fn record(
    tx: &mut Tx,
    bus: &Bus,
    items: &[Touched],
    cause: &Meta,
) -> Result<(), Failure> {
    let changed: Vec<Touched> = items
        .iter()
        .filter(|one| one.has_changed())
        .cloned()
        .collect();
    let mut facts = Vec::new();
    for one in &changed {
        facts.extend(events::of(one, bus.prefix(), bus.now(), cause)?);
    }
    store::work::put(tx.conn(), &changed).await?;
    tx.publish(&facts).await
}

pub(crate) async fn finish(tx: Tx, bus: &Bus, topics: &[&str]) -> Result<(), Failure> {
    tx.commit().await?;
    crate::jobs::clocks::nudge();
    let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
    bus.notice(&topics).await;
    Ok(())
}
