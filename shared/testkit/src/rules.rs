//! Matching rules that are in force: asked for by one person, approved by another.

use contracts::{
    api::{
        Call,
        controls::{ApprovalQueue, DecideApproval, ListApprovals, Person, Verdict},
        rules::{DraftRuleSet, GetRuleSet, PromoteRuleSet},
    },
    controls::ApprovalId,
    rules::{RuleSet, RuleSetState},
};
use kernel::CommandId;
use messaging::Bus;

use crate::{DEADLINE, eventually, must};

/// Who writes rules in tests.
const AUTHOR: &str = "user:anna";

async fn ask<C: Call>(gateway: &Bus, doing: &str, call: &C) -> C::Reply {
    let answer = gateway.ask(call).await;
    must(
        doing,
        answer.map_err(|refusal| anyhow::anyhow!("[{}] {}", refusal.code, refusal.detail)),
    )
}

/// `user:anna` writes rules, takes them to be a shadow and asks for them;
/// `user:ben` approves. Their version, once they are live. Allocation and
/// worklist must be running.
///
/// # Panics
/// When somebody refuses a step.
pub async fn enact(gateway: &Bus, rule_set: RuleSet) -> i64 {
    let draft = DraftRuleSet {
        command_id: CommandId::generate(),
        rule_set,
        actor: AUTHOR.into(),
        reason: "asked for by the controllers".into(),
    };
    let version = ask(gateway, "draft rules", &draft).await.view.version;
    let mut asked = None;
    for _ in 0..2 {
        let promote = PromoteRuleSet {
            command_id: CommandId::generate(),
            version,
            actor: AUTHOR.into(),
            reason: "looked at what it would have done".into(),
        };
        let promoted = ask(gateway, "promote rules", &promote).await;
        asked = promoted.view.approval_id;
    }
    let asked = must(
        "promote rules",
        asked.ok_or_else(|| anyhow::anyhow!("nobody was asked")),
    );
    approve(gateway, asked).await;
    eventually("the rules are live", DEADLINE, async || {
        let now = ask(gateway, "read rules", &GetRuleSet { version }).await;
        now.view.state == RuleSetState::Live
    })
    .await;
    version
}

/// `user:ben`, a manager, approves a request, once worklist has it.
///
/// # Panics
/// When he may not.
pub async fn approve(gateway: &Bus, approval_id: ApprovalId) {
    let ben = Person {
        actor: "user:ben".into(),
        roles: vec!["manager".into()],
    };
    eventually("worklist was asked", DEADLINE, async || {
        let waiting = ListApprovals {
            queue: ApprovalQueue::default(),
            person: ben.clone(),
            page: contracts::api::PageRequest::default(),
        };
        let waiting = gateway.ask(&waiting).await;
        waiting.is_ok_and(|page| page.items.iter().any(|one| one.approval_id == approval_id))
    })
    .await;
    let decide = DecideApproval {
        command_id: CommandId::generate(),
        approval_id,
        verdict: Verdict::Approve,
        reason: "looked through".into(),
        person: ben,
    };
    ask(gateway, "approve", &decide).await;
}
