//! Matching rules that shall be live, once a second person has decided.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::{
    Prefix,
    api::rules::RuleSetView,
    controls::CarriedOut,
    rules::{RuleSet, RuleSetState},
};
use messaging::{Failure, Meta, Tx};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Became, Counts, Desk};
use crate::{
    domain::rules,
    serve::rules::{Told, go_live, version_of},
    store,
};

/// Rule sets that the decisions of a batch are about.
pub(crate) type Asked = BTreeMap<Uuid, (RuleSetView, RuleSet)>;

/// What one decision writes.
pub(crate) struct Left {
    view: RuleSetView,
    live: bool,
    actor: String,
    reason: String,
    cause: Meta,
}

/// From here to the end of the transaction nobody else changes rules.
pub(super) async fn load(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Asked, Failure> {
    let mut asked = Asked::new();
    if ids.is_empty() {
        return Ok(asked);
    }
    store::rules::lock(conn).await?;
    for id in ids {
        let version = version_of(*id);
        if let Some(view) = store::rules::get(conn, version).await? {
            let rules = store::rules::rules(conn, version).await?;
            asked.insert(*id, (view, rules));
        }
    }
    Ok(asked)
}

impl Desk<'_> {
    pub(super) fn rules(&mut self, asked: &mut Asked) -> Became {
        let Some((view, rule_set)) = asked.get_mut(&self.decision.subject_id) else {
            return self.unknown();
        };
        let asked = view.approval_id == Some(self.decision.approval_id);
        let waits = asked && view.state == RuleSetState::Shadow;
        let done = asked && view.state == RuleSetState::Live;
        let content = || rules::content(view.version, rule_set);
        let (live, became) = match self.counts(waits, done, content) {
            Counts::No(became) => return became,
            // A later release may know more mistakes than the one that was asked.
            Counts::CarryOut if rules::problems(rule_set).is_empty() => {
                (true, Some((CarriedOut::Done, None)))
            }
            Counts::CarryOut | Counts::End(_) => (false, self.ended()),
        };
        self.written.rules.push(Left {
            view: view.clone(),
            live,
            actor: self.because.actor.to_owned(),
            reason: self.because.reason.to_owned(),
            cause: self.cause.clone(),
        });
        if live {
            view.state = RuleSetState::Live;
        } else {
            view.approval_id = None;
        }
        became
    }
}

pub(super) async fn record(
    tx: &mut Tx,
    left: &Left,
    prefix: &Prefix,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    if !left.live {
        return store::rules::asked(tx.conn(), left.view.version, None).await;
    }
    let told = Told {
        prefix,
        now,
        cause: &left.cause,
        actor: &left.actor,
        reason: &left.reason,
    };
    go_live(tx, &told, &left.view).await
}
