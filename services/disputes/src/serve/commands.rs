//! Opening a case, and every step of one.

use contracts::{
    api::{
        Refusal,
        controls::Person,
        disputes::{CaseDetail, CaseLine, CaseStep, CreditLine, OpenCase, StepCase},
    },
    controls::{ApprovalId, ApprovalKind, ApprovalRequested, RequestedByDisputes, frozen},
    disputes::{CaseId, CaseKind},
};
use kernel::{Currency, DocumentId, Money};
use messaging::{Bus, Failure};
use uuid::Uuid;

use super::{Act, evidence::described, text, views::detail};
use crate::{
    domain::{
        Case, Origin, Refused,
        steps::{self, Doing, Done, New},
    },
    store::{self, words::Words},
};

/// A case's id is that of the command that opens it: repeated, it is the same.
fn id_of(command: Uuid) -> CaseId {
    command.into()
}

pub(super) async fn shown(bus: &Bus, case: CaseId) -> Result<CaseDetail, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(detail(tx.conn(), case, bus.now()).await?)
}

fn documents(lines: &[CaseLine]) -> Vec<DocumentId> {
    lines.iter().map(|line| line.document_id).collect()
}

pub(crate) async fn open_case(ask: OpenCase, bus: Bus) -> Result<CaseDetail, Refusal> {
    let command = ask.command_id.as_uuid();
    let reason = text(&ask.reason, "/reason")?;
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return shown(&bus, id_of(command)).await;
    };
    if !act.policy.may("open", &ask.person, None) {
        return Err(Failure::of(Refused::NotYours).into());
    }
    let wanted = documents(&ask.lines);
    let (_, items) = act.take_up(&[], &wanted).await?;
    for (n, document) in wanted.iter().enumerate() {
        if !items.contains_key(document) {
            return Err(Failure::not_found(
                "disputes.no_document",
                format!("there is no document {document}"),
            )
            .at(format!("/lines/{n}/document_id"), "not on the ledger")
            .into());
        }
    }
    let whose = items.values().next();
    let account = ask
        .account_id
        .or(whose.map(|item| item.account))
        .ok_or_else(|| Failure::of(Refused::NoDocument))?;
    let known = store::views::account(act.tx.conn(), account).await?;
    let account_ref = whose
        .map(|item| item.account_ref.clone())
        .or(known.map(|(account_ref, _)| account_ref))
        .ok_or_else(|| {
            Failure::not_found(
                "disputes.no_account",
                format!("there is no account {account}"),
            )
        })?;
    let refs = store::cases::next_refs(act.tx.conn(), 1).await?;
    let new = New {
        id: id_of(command),
        case_ref: refs.into_iter().next().unwrap_or_default(),
        kind: ask.kind,
        account,
        account_ref,
        currency: Currency::GBP,
        lines: &ask.lines,
        reason_code: &ask.reason_code,
        raised_at: ask.raised_at.unwrap_or(act.now),
        processor: ask.processor.clone(),
        origin: Origin::Person,
        cause: command,
    };
    let case = steps::open(new, &items, &act.policy, act.now).map_err(Failure::of)?;
    let case = act.put(case, None, "opened", reason, &ask.person).await?;
    if let Some(other) = ask.linked {
        link(&mut act, &case, other).await?;
    }
    act.finish(&bus).await?;
    shown(&bus, case.id).await
}

/// A complaint stands beside a dispute of the same account.
async fn link(act: &mut Act, case: &Case, other: CaseId) -> Result<(), Failure> {
    if other == case.id {
        return Err(Failure::of(Refused::Itself));
    }
    let found = store::cases::look_at(act.tx.conn(), other)
        .await?
        .ok_or_else(|| super::no_case(other))?;
    if found.account != case.account {
        return Err(Failure::of(Refused::Mixed));
    }
    store::cases::link(act.tx.conn(), case.id, other).await
}

pub(crate) async fn step_case(ask: StepCase, bus: Bus) -> Result<CaseDetail, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return shown(&bus, ask.case_id).await;
    };
    let mut wanted = vec![ask.case_id];
    if let CaseStep::Merge { other } = &ask.step {
        if *other == ask.case_id {
            return Err(Failure::of(Refused::Itself).into());
        }
        wanted.push(*other);
    }
    let (mut cases, items) = act.take_up(&wanted, &[]).await?;
    let other = (cases.len() > 1).then(|| cases.pop()).flatten();
    let case = cases.pop().ok_or_else(|| super::no_case(ask.case_id))?;
    if ask.version.is_some_and(|version| version != case.version) {
        return Err(Failure::of(Refused::Changed(case.version)).into());
    }
    if !act
        .policy
        .may(steps::right(&ask.step, &case), &ask.person, Some(&case))
    {
        return Err(Failure::of(Refused::NotYours).into());
    }
    match (&ask.step, other) {
        (CaseStep::Merge { .. }, Some(other)) => {
            merge(&mut act, case, other, reason, &ask.person).await?;
        }
        (CaseStep::Split { lines }, _) => {
            split(&mut act, case, lines, reason, &ask).await?;
        }
        (step, _) => {
            let mut after = case.clone();
            let doing = Doing {
                policy: &act.policy,
                person: &ask.person,
                reason: &reason,
                now: act.now,
            };
            let mut done = steps::step(&mut after, step, doing, &items).map_err(Failure::of)?;
            let total = Money::sum(done.credits.iter().map(|one| one.amount), case.currency)
                .map_err(Failure::of)?;
            if act.policy.needs_second(total) {
                let said = (&ask.person, reason.as_str());
                (after, done) = ask_second(&mut act, &case, &done.credits, total, said)?;
            }
            match step {
                CaseStep::Link { other } => link(&mut act, &case, *other).await?,
                CaseStep::Attach {
                    label,
                    reference,
                    sha256,
                } => {
                    let paper = described(label, reference.as_deref(), sha256.as_deref())?;
                    store::evidence::put(
                        act.tx.conn(),
                        ask.command_id.as_uuid(),
                        case.id,
                        &paper,
                        &ask.person.actor,
                        act.now,
                    )
                    .await?;
                }
                _ => {}
            }
            if done.cancelled {
                store::cases::cancel_requests(act.tx.conn(), case.id, act.now).await?;
            }
            let said = Words {
                text: &done.detail,
                nudge: None,
                evidence: matches!(step, CaseStep::Attach { .. }).then(|| ask.command_id.as_uuid()),
            };
            let after = if matches!(step, CaseStep::Comment | CaseStep::Attach { .. }) {
                act.put_words(after, &case, done.step, said, &ask.person)
                    .await?
            } else {
                act.put(after, Some(&case), done.step, done.detail, &ask.person)
                    .await?
            };
            credit(&mut act, &after, &done.credits, &reason, &ask.person).await?;
        }
    }
    act.finish(&bus).await?;
    shown(&bus, ask.case_id).await
}

/// Billing is asked for each credit.
async fn credit(
    act: &mut Act,
    case: &Case,
    credits: &[CreditLine],
    reason: &str,
    person: &Person,
) -> Result<(), Failure> {
    let asked = case.requests(credits, &person.actor, reason, act.now);
    for event in &asked {
        act.tell(event, event.credit_request_id.as_uuid(), 1)?;
    }
    store::cases::ask_credits(act.tx.conn(), &asked, act.now).await
}

/// A second person is asked for what is more than one may give.
fn ask_second(
    act: &mut Act,
    case: &Case,
    credits: &[CreditLine],
    total: Money,
    doing: (&Person, &str),
) -> Result<(Case, Done), Failure> {
    let (person, reason) = doing;
    let approval = ApprovalId::generate();
    let mut after = case.clone();
    let done = steps::ask_second(
        &mut after,
        credits,
        approval,
        Doing {
            policy: &act.policy,
            person,
            reason,
            now: act.now,
        },
    )
    .map_err(Failure::of)?;
    let content = after.credit_content(credits);
    let asked = RequestedByDisputes(ApprovalRequested {
        approval_id: approval,
        kind: ApprovalKind::Credit,
        subject_id: case.id.as_uuid(),
        title: format!(
            "Credit {} of {} for {}",
            total.display_uk(),
            case.account_ref,
            case.case_ref
        ),
        amount: total,
        account_id: Some(case.account),
        account_ref: Some(case.account_ref.clone()),
        content_sha256: frozen(&content).1,
        needed: 1,
        requester: person.actor.clone(),
        reason: reason.to_owned(),
        expires_at: act.now + act.policy.credit_expires(),
        recorded_at: act.now,
        content: Some(content),
    });
    act.tell(&asked, approval.as_uuid(), 1)?;
    Ok((after, done))
}

async fn split(
    act: &mut Act,
    case: Case,
    lines: &[CaseLine],
    reason: String,
    ask: &StepCase,
) -> Result<(), Failure> {
    let refs = store::cases::next_refs(act.tx.conn(), 1).await?;
    let case_ref = refs.into_iter().next().unwrap_or_default();
    let command = ask.command_id.as_uuid();
    let mut after = case.clone();
    let new = steps::split(
        &mut after,
        lines,
        id_of(command),
        case_ref,
        command,
        act.now,
    )
    .map_err(Failure::of)?;
    let gone = new.in_question().map_err(Failure::of)?.display_uk();
    let said = format!("{gone} into {}: {reason}", new.case_ref);
    // What leaves the old case is held by the new one at once: in one fact each,
    // the new one first, so that nobody sees it chased in between.
    let from = format!("{gone} out of {}: {reason}", case.case_ref);
    act.put(new, None, "opened", from, &ask.person).await?;
    act.put(after, Some(&case), "split", said, &ask.person)
        .await?;
    Ok(())
}

async fn merge(
    act: &mut Act,
    case: Case,
    other: Case,
    reason: String,
    person: &Person,
) -> Result<(), Failure> {
    let (mut after, mut ended) = (case.clone(), other.clone());
    steps::merge(&mut after, &mut ended, act.now).map_err(Failure::of)?;
    let said = format!("with {}: {reason}", other.case_ref);
    act.put(after, Some(&case), "merged", said, person).await?;
    let said = format!("into {}: {reason}", case.case_ref);
    act.put(ended, Some(&other), "merged", said, person).await?;
    if case.kind == CaseKind::Complaint {
        store::cases::link(act.tx.conn(), case.id, other.id).await?;
    }
    Ok(())
}
