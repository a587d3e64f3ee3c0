//! Policies, and the manual that is written from them.

use contracts::api::{
    Page, Refusal,
    dunning::{DunningPolicyView, ListDunningPolicies},
};
use kernel::london_date;
use messaging::{Bus, Failure};

use crate::{domain::manual, store};

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
            text: toml::to_string(policy).map_err(|e| {
                Failure::bug("dunning.policy_text", format!("a policy is no TOML: {e}"))
            })?,
        });
    }
    Ok(Page {
        items,
        next_cursor: None,
    })
}
