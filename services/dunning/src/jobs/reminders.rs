//! Reminders at the moment of sending: every account of a run is judged again, and what
//! is still to be said is written, to each debtor.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use contracts::dunning::{Channel, ChaseReason, ContactItem};
use kernel::{AccountId, Currency, DocumentId, Money};
use messaging::Failure;
use uuid::Uuid;

use crate::{
    domain::{
        chase::{self, Judgement, Position, Verdict},
        claim, joint,
        policy::{Policy, Stage},
        template::{Facts, Line, Template},
    },
    jobs::{
        enclosed::{Enclosing, Enclosures},
        statements::By,
        written::{Making, To, write},
    },
    serve::Ledgers,
    store::{
        self,
        accounts::Among,
        contacts::{Already, Written},
        dispatch::Queued,
        statements::Sent,
    },
};

/// Why nobody was written to who is held.
const HELD: &str = ChaseReason::OnHold.name();
/// What was written to an account or one of its debtors, and what goes with it.
pub(crate) struct Made {
    pub(crate) written: Written,
    /// Something may be charged for it.
    pub(crate) charged: bool,
    pub(crate) statement: Option<Sent>,
}

/// A document that is still chased at the stage that was approved.
struct Kept {
    document: DocumentId,
    rank: i16,
    amount: Money,
}

/// What of the approved is still to be claimed: never more than may be chased
/// now, never more than was approved, never at another stage.
fn kept(
    one: &Queued,
    judgement: &Judgement,
    had: impl Fn(Uuid, i16) -> bool,
) -> Result<Vec<Kept>, String> {
    let mut kept = Vec::new();
    let mut why: Option<String> = None;
    for (n, document) in one.documents.iter().enumerate() {
        let approved = one.reasons.get(n).map(String::as_str);
        if !matches!(approved, Some("chase_now" | "suspected_query")) {
            continue;
        }
        let Some(rank) = one.ranks_to.get(n).copied().flatten() else {
            continue;
        };
        if had(*document, rank) {
            why.get_or_insert_with(|| "sent already".to_owned());
            continue;
        }
        let verdict = judgement
            .verdicts
            .iter()
            .find(|verdict| verdict.document.as_uuid() == *document);
        let Some(verdict) = verdict else {
            why.get_or_insert_with(|| "nothing_owed".to_owned());
            continue;
        };
        if !verdict.is_chased() {
            why.get_or_insert_with(|| reason(verdict));
            continue;
        }
        if verdict.to != Some(rank) {
            why.get_or_insert_with(|| "another stage is due now".to_owned());
            continue;
        }
        let most = one.chaseable.get(n).copied().unwrap_or_default();
        let currency = one.currencies.get(n).map(|code| Currency::parse(code));
        if !matches!(currency, Some(Ok(currency)) if currency == verdict.chaseable.currency()) {
            continue;
        }
        let amount = Money::try_new(
            verdict.chaseable.amount().min(most),
            verdict.chaseable.currency(),
        )
        .map_err(|e| e.to_string())?;
        kept.push(Kept {
            document: verdict.document,
            rank,
            amount,
        });
    }
    if kept.is_empty() {
        return Err(why.unwrap_or_else(|| "nothing of it is chased now".to_owned()));
    }
    Ok(kept)
}

fn reason(verdict: &Verdict) -> String {
    serde_json::to_value(verdict.reason)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// The way that was approved while it reaches them, else the first of the stage
/// that does; and whether only a person may take it.
fn way(stage: &Stage, one: &Queued, position: &Position, today: NaiveDate) -> Option<Channel> {
    let approved = one.channel.as_deref().and_then(Channel::named);
    chase::channel(stage, approved, position, false, today)
}

/// A letter that goes to an account or one of its debtors, before anything is read
/// that goes beside it.
struct Due<'b> {
    to: To,
    position: Position,
    kept: Vec<Kept>,
    policy: &'b Policy,
    stage: &'b Stage,
    channel: Channel,
    template: &'b Template,
}

impl Due<'_> {
    fn enclosing(&self, today: NaiveDate) -> Enclosing {
        Enclosing {
            account: self.position.account.as_uuid(),
            kind: self.position.kind,
            legal: self.stage.legal,
            today,
        }
    }
}

/// What goes beside the letters of a batch, read for all of them at once.
struct Beside {
    already: Already,
    enclosures: Enclosures,
    ledgers: Ledgers,
}

/// Judges accounts of one run again: what was written for each, one with each of its
/// debtors who may be contacted, or why it is recalled, in their order.
pub(crate) async fn decide(
    conn: &mut sqlx::PgConnection,
    now: DateTime<Utc>,
    some: &[Queued],
    by: By<'_>,
) -> Result<Vec<Result<Vec<Made>, String>>, Failure> {
    let accounts: Vec<Uuid> = some.iter().map(|one| one.account_id).collect();
    let Some(among) = Among::these(&accounts) else {
        return Ok(Vec::new());
    };
    let positions = store::positions::load(conn, among).await?;
    let mut positions: HashMap<AccountId, Position> = positions
        .into_iter()
        .map(|position| (position.account, position))
        .collect();
    let documents: Vec<Uuid> = some
        .iter()
        .flat_map(|one| one.documents.iter().copied())
        .collect();
    let already = store::contacts::sent_already(conn, &documents).await?;
    let mut judged = Vec::with_capacity(some.len());
    for one in some {
        judged.push(match positions.get_mut(&one.account_id.into()) {
            Some(position) => judge(one, position, &already, by)?,
            None => Judged::default(),
        });
    }
    let due = || judged.iter().flat_map(|judged| &judged.due);
    let today = by.moment.today;
    let letters: Vec<Enclosing> = due().map(|due| due.enclosing(today)).collect();
    let late = due().filter(|due| due.template.names_late());
    let late: BTreeSet<Uuid> = late.map(|due| due.position.account.as_uuid()).collect();
    let late: Vec<Uuid> = late.into_iter().collect();
    let beside = Beside {
        enclosures: Enclosures::read(conn, now, &by.options.sender, &letters).await?,
        ledgers: if late.is_empty() {
            Ledgers::default()
        } else {
            Ledgers::read(conn, &late, today).await?
        },
        already,
    };
    let mut all = Vec::with_capacity(some.len());
    for (one, judged) in some.iter().zip(judged) {
        let (mut made, mut why) = (Vec::new(), judged.why);
        for due in judged.due {
            match make(now, one, due, &beside, by)? {
                Ok(one) => made.push(one),
                Err(because) => give(&mut why, because),
            }
        }
        all.push(if made.is_empty() {
            Err(why.unwrap_or_else(|| "nothing_owed".to_owned()))
        } else {
            Ok(made)
        });
    }
    Ok(all)
}

/// Who is held is the reason only where everybody is.
fn give(why: &mut Option<String>, because: String) {
    if why.as_deref().is_none_or(|why| why == HELD) {
        *why = Some(because);
    }
}

/// The letters about an account, and why there is none to one of its debtors.
#[derive(Default)]
struct Judged<'b> {
    due: Vec<Due<'b>>,
    why: Option<String>,
}

fn judge<'b>(
    one: &Queued,
    position: &mut Position,
    already: &Already,
    by: By<'b>,
) -> Result<Judged<'b>, Failure> {
    // It is this run that has them.
    for item in &mut position.items {
        item.in_run &= !one.documents.contains(&item.document.as_uuid());
    }
    let mut judged = Judged::default();
    for (debtor, seen) in joint::each(position) {
        let to = To::of(one, debtor, &position.debtors);
        match judge_to(one, seen.into_owned(), to, already, by)? {
            Ok(due) => judged.due.push(due),
            Err(because) => give(&mut judged.why, because),
        }
    }
    Ok(judged)
}

/// Judges an account as it stands to one debtor again; the letter to them, or why
/// there is none.
fn judge_to<'b>(
    one: &Queued,
    position: Position,
    to: To,
    already: &Already,
    by: By<'b>,
) -> Result<Result<Due<'b>, String>, Failure> {
    let (policies, moment) = (by.policies, by.moment);
    let judgement = chase::alone(&position, policies, moment).map_err(Failure::of)?;
    let had = |document, rank| already.has(document, rank, to.debtor.as_deref());
    let kept = match kept(one, &judgement, had) {
        Ok(kept) => kept,
        Err(why) => return Ok(Err(why)),
    };
    let policy = one
        .policy
        .as_deref()
        .zip(one.policy_version)
        .and_then(|(policy, version)| policies.get(policy, version));
    let highest = kept.iter().map(|kept| kept.rank).max().unwrap_or_default();
    let Some((policy, stage)) =
        policy.and_then(|policy| Some((policy, policy.at(highest, position.kind)?)))
    else {
        return Ok(Err("no_policy".to_owned()));
    };
    let Some(channel) = way(stage, one, &position, moment.today) else {
        return Ok(Err("no_address".to_owned()));
    };
    // Another team may have said so since it was approved (E79).
    let by_person = judgement.contact.is_some_and(|contact| contact.by_person);
    if by_person && matches!(channel, Channel::Email | Channel::Letter) {
        return Ok(Err("only a person may contact them".to_owned()));
    }
    let Some(template) = by.templates.of_run(one.run_id, &stage.template) else {
        return Ok(Err(format!("there is no template {}", stage.template)));
    };
    Ok(Ok(Due {
        to,
        position,
        kept,
        policy,
        stage,
        channel,
        template,
    }))
}

/// Writes a letter; or why it cannot be.
fn make(
    now: DateTime<Utc>,
    one: &Queued,
    due: Due<'_>,
    beside: &Beside,
    by: By<'_>,
) -> Result<Result<Made, String>, Failure> {
    let today = by.moment.today;
    let Due {
        to,
        position,
        kept,
        policy,
        stage,
        ..
    } = &due;
    let mut items = Vec::with_capacity(kept.len());
    let mut lines = Vec::with_capacity(kept.len());
    let mut sums: HashMap<&'static str, Money> = HashMap::new();
    for kept in kept {
        let Some(item) = position.items.iter().find(|i| i.document == kept.document) else {
            continue;
        };
        let sum = sums
            .entry(kept.amount.currency().code())
            .or_insert_with(|| Money::zero(kept.amount.currency()));
        *sum = sum.checked_add(kept.amount).map_err(Failure::of)?;
        let at = policy.at(kept.rank, position.kind);
        items.push(ContactItem {
            document_id: kept.document,
            document_ref: item.document_ref.clone(),
            stage: at.map(|stage| stage.code.clone()),
            amount: kept.amount,
        });
        lines.push(Line {
            document_ref: item.document_ref.clone(),
            due_on: item.due_on,
            amount: kept.amount.display_uk(),
        });
    }
    let mut amounts: Vec<Money> = sums.into_values().collect();
    amounts.sort_by_key(|amount| amount.currency().code());
    let total: Vec<String> = amounts.iter().map(|amount| amount.display_uk()).collect();
    let mut facts = Facts::new(
        by.options.sender.clone(),
        to.addressee(one),
        lines,
        total.join(" and "),
        today,
        one.sentence.clone(),
    );
    facts.joint.clone_from(&to.joint);
    let Some(enclosed) = beside.enclosures.with(due.enclosing(today)) else {
        return Ok(Err(ChaseReason::EnclosuresMissing.name().to_owned()));
    };
    facts.enclosed = enclosed.iter().map(|one| one.title.clone()).collect();
    if due.template.names_late() {
        let documents: Vec<DocumentId> = items.iter().map(|item| item.document_id).collect();
        let (account, debtor) = (position.account, to.debtor.as_deref());
        let ledgers = &beside.ledgers;
        facts.late = ledgers.sums(by.policies, account, debtor, &documents, today)?;
    }
    // What went to another of them before was charged for then; to be reminded of a
    // charge costs nothing.
    let charges: Vec<DocumentId> = items
        .iter()
        .filter(|item| claim::is_charge(&item.document_ref))
        .map(|item| item.document_id)
        .collect();
    let first = kept.iter().any(|kept| {
        !charges.contains(&kept.document)
            && !beside.already.went(kept.document.as_uuid(), kept.rank)
    });
    let written = write(
        now,
        Making {
            sender: &by.options.sender,
            one,
            to,
            channel: due.channel,
            template: due.template,
            facts: &facts,
            enclosed,
            stage: &stage.code,
            title: &stage.title,
            items,
            ranks: kept.iter().map(|kept| Some(kept.rank)).collect(),
            amounts,
            counted_on: Some(today),
        },
    );
    let by_us = matches!(due.channel, Channel::Email | Channel::Letter);
    Ok(written.map(|written| Made {
        written,
        charged: by_us && first && (policy.interest.posts() || !stage.charge.is_empty()),
        statement: None,
    }))
}
