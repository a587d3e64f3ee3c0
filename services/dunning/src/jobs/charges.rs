//! Claims that a policy posts by itself, and what it charges for a reminder: once
//! for each contact, after it was sent.

use std::time::Duration;

use contracts::{
    api::dunning::ChargeView,
    dunning::{ChargeKind, ChargeState},
};
use kernel::{AccountId, Money, london_date};
use messaging::{Bus, Failure, Meta, Tx};
use uuid::Uuid;

use crate::{
    consume::judge::SYSTEM,
    domain::{
        claim::{self, NoClaim},
        joint,
        policies::Policies,
    },
    serve::claims::{Books, put},
    store::{
        self,
        claims::{Charge, Due},
    },
};

pub(crate) const EVERY: Duration = Duration::from_secs(5);
/// Contacts of one transaction.
const PAGE: i64 = 50;
/// Transactions of one round.
const PAGES: usize = 20;

/// Posts what is due after contacts that were sent.
pub(crate) async fn post_due(bus: Bus) -> Result<(), Failure> {
    for _ in 0..PAGES {
        if bus.shutdown().is_cancelled() {
            break;
        }
        let mut tx = bus.begin().await?;
        let due = store::claims::due(tx.conn(), PAGE).await?;
        if due.is_empty() {
            break;
        }
        let ids: Vec<Uuid> = due.iter().map(|one| one.contact_id).collect();
        let policies = store::policies::all(tx.conn()).await?;
        for one in due.iter().filter(|one| one.reached) {
            after(&mut tx, &bus, &policies, one).await?;
        }
        store::claims::settled(tx.conn(), &ids).await?;
        tx.commit().await?;
        bus.notice(&["dunning".to_owned()]).await;
    }
    Ok(())
}

/// What a contact makes due.
async fn after(tx: &mut Tx, bus: &Bus, policies: &Policies, due: &Due) -> Result<(), Failure> {
    let now = bus.now();
    let today = london_date(now);
    let account = AccountId::from(due.account_id);
    let Some(policy) = policies.get(&due.policy, due.policy_version) else {
        return Ok(());
    };
    let cause = Meta::of_command(due.contact_id, now, None);
    let stage = due.stage.as_deref().and_then(|code| policy.stage(code));
    let mut found: Vec<(ChargeKind, Uuid, String, Money, Vec<String>)> = Vec::new();
    if policy.interest.posts() {
        let mut books = Books::read(tx.conn(), account, None, today).await?;
        // The version that they were contacted under.
        books.under(policy.clone());
        for (document, _) in &due.documents {
            let document = (*document).into();
            let posted = store::claims::posted(tx.conn(), document).await?;
            let late = store::claims::late(tx.conn(), account, Some(document), today).await?;
            let Some(late) = late.into_iter().next() else {
                continue;
            };
            if books.terms().is_err() || claim::is_in_query(&late, &books.stops, today) {
                continue;
            }
            let (working, terms) = books.work_out(&late, today)?;
            for kind in [ChargeKind::Compensation, ChargeKind::Interest] {
                match claim::to_post(kind, &working, &posted) {
                    Ok(amount) => found.push((
                        kind,
                        late.document.as_uuid(),
                        late.document_ref.clone(),
                        amount,
                        claim::words(&late, &working, terms),
                    )),
                    Err(NoClaim::Nothing | NoClaim::Once) => {}
                    Err(error) => return Err(Failure::of(error)),
                }
            }
        }
    }
    if let Some(stage) = stage {
        // Of each currency that the reminder was about, on its first document.
        for (document, document_ref, currency) in &due.first {
            if let Some(amount) = stage.charged(*currency) {
                let words = format!(
                    "{} of {}: {} by the policy {}, version {}.",
                    stage.title,
                    today.format("%-d %B %Y"),
                    amount.display_uk(),
                    policy.policy,
                    policy.version
                );
                let fee = ChargeKind::Fee;
                found.push((fee, *document, document_ref.clone(), amount, vec![words]));
            }
        }
    }
    // Several debtors of an account were written to, and are charged once (E97).
    let once = due.run_id.map_or(due.contact_id, |run| {
        joint::contact_id(run, due.account_id, None)
    });
    for (kind, document, document_ref, amount, working) in found {
        let id = claim::charge_id(once, document.into(), kind);
        if store::claims::lock_charge(tx.conn(), id).await?.is_some() {
            continue;
        }
        let charge = Charge {
            account,
            account_ref: due.account_ref.clone(),
            view: ChargeView {
                charge_id: id,
                version: 1,
                charge_ref: store::claims::next_ref(tx.conn()).await?,
                kind,
                state: ChargeState::Posted,
                document_id: document.into(),
                document_ref,
                amount,
                charged_on: today,
                working,
                actor: SYSTEM.to_owned(),
                reason: format!("as policy {} says", due.policy),
                changed_at: now,
            },
        };
        put(tx, bus.prefix(), &charge, &cause).await?;
    }
    Ok(())
}
