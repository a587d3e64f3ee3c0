//! Beginning a referral, its steps, and acknowledgments of debts.

use std::collections::BTreeSet;

use chrono::{NaiveDate, TimeDelta};
use contracts::{
    api::{
        Refusal,
        dunning::{
            AcknowledgeDebt, ChargeView, ClaimLetter, GetLegal, LegalView, OpenReferral,
            ReferralStep, ReferralView, StepReferral,
        },
    },
    controls::{ApprovalId, ApprovalKind, ApprovalRequested, frozen},
    dunning::{
        ChargeKind, ChargeState, ContactState, ReferralId, ReferralState, RequestedByDunning,
    },
};
use kernel::{Currency, DocumentId, Money};
use messaging::{Bus, Failure, Outgoing};
use uuid::Uuid;

use super::{
    act::{Act, wrong},
    claims, referral_pack,
    referrals::{Debt, Legal, get_legal, no_referral, shown},
    text,
};
use crate::{
    consume::{judge::Told, referrals},
    domain::{
        pre_action::Clock,
        referral::{Cost, Document, Facts, Left, Letter, Referral},
        referral_steps::ReferralRefused,
        template::Sender,
    },
    store::{self, claims::Charge},
};

/// How long a second person has.
const EXPIRES: TimeDelta = TimeDelta::days(3);
const DOCUMENTS_MAX: usize = 500;
const COSTS_MAX: usize = 200;

fn refused(error: ReferralRefused) -> Failure {
    Failure::of(error)
}

/// The documents of a referral: those that were named, or all that may be in it.
fn chosen(legal: Legal, documents: &[DocumentId]) -> Result<Vec<Debt>, Failure> {
    let mut debts = legal.debts;
    if documents.is_empty() {
        debts.retain(|debt| debt.why_not.is_none());
    } else {
        for (n, id) in documents.iter().enumerate() {
            let at = format!("/documents/{n}");
            let debt = debts.iter().find(|debt| debt.overdue.document == *id);
            let debt = debt.ok_or_else(|| wrong(&at, "no overdue debt of the account"))?;
            if let Some(why) = &debt.why_not {
                return Err(wrong(&at, why));
            }
        }
        debts.retain(|debt| documents.contains(&debt.overdue.document));
    }
    debts.retain(|debt| !debt.letters.is_empty());
    if debts.is_empty() || debts.len() > DOCUMENTS_MAX {
        return Err(wrong(
            "/documents",
            "between 1 and 500 overdue documents about which the letter was sent and which nothing stops",
        ));
    }
    Ok(debts)
}

/// The letters about a document as a referral keeps them. Of one that several owe,
/// those that were not posted are left out while one of them was.
fn kept(
    found: &[ClaimLetter],
    posted_on: Option<NaiveDate>,
    today: NaiveDate,
) -> Result<Vec<Letter>, Failure> {
    let (mut letters, mut refused) = (Vec::new(), None);
    for letter in found {
        // Printed is not posted: its clock would run before they could read it.
        let on = match (letter.state, posted_on) {
            (ContactState::Printed, None) => Err(Failure::conflict(
                "dunning.letter_not_posted",
                "the letter was printed, and nobody has said that it was posted",
            )
            .at("/posted_on", "the day that it was posted")),
            (_, Some(on)) if on < letter.on || on > today => Err(wrong(
                "/posted_on",
                "between the day of the letter and today",
            )),
            (ContactState::Printed, Some(on)) => Ok(on),
            _ => Ok(letter.on),
        };
        match on {
            Ok(on) => letters.push(Letter {
                contact: letter.contact_id,
                stage: letter.stage.clone(),
                state: letter.state,
                on,
                sha256: letter.content_sha256.clone(),
                debtor: letter.debtor_ref.clone(),
            }),
            Err(why) => refused = refused.or(Some(why)),
        }
    }
    match refused {
        Some(why) if letters.is_empty() => Err(why),
        _ => Ok(letters),
    }
}

/// From which day the time to reply runs, given the letters about each document: the
/// last of them; of several who owe, of whoever had all of theirs first. The others
/// have their own time.
fn begun(letters: &[Vec<Letter>]) -> Option<NaiveDate> {
    let all = || letters.iter().flatten();
    let debtors: BTreeSet<Option<&str>> = all().map(|one| one.debtor.as_deref()).collect();
    let whole = |debtor: Option<&str>| -> Option<NaiveDate> {
        let of_each = letters.iter().map(|about| {
            let theirs = about
                .iter()
                .filter(|one| one.debtor.is_none() || one.debtor.as_deref() == debtor);
            theirs.map(|one| one.on).min()
        });
        of_each.collect::<Option<Vec<_>>>()?.into_iter().max()
    };
    let first = debtors.into_iter().filter_map(whole).min();
    first.or_else(|| all().map(|one| one.on).max())
}

pub(crate) async fn open_referral(ask: OpenReferral, bus: Bus) -> Result<ReferralView, Refusal> {
    let id: ReferralId = ask.command_id.as_uuid().into();
    let reason = text(&ask.reason, "/reason")?;
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return shown(&bus, id).await;
    };
    let today = act.today;
    let conn = act.tx.conn();
    store::referrals::lock_account(conn, ask.account_id).await?;
    let legal = Legal::read(conn, ask.account_id, today).await?;
    let (law, account_ref) = (legal.law, legal.who.account_ref.clone());
    let chosen = chosen(legal, &ask.documents)?;
    let mut currency = None;
    let mut about: Vec<Vec<Letter>> = Vec::with_capacity(chosen.len());
    let mut documents = Vec::with_capacity(chosen.len());
    for debt in chosen {
        let own = Currency::parse(&debt.overdue.currency).map_err(Failure::of)?;
        if *currency.get_or_insert(own) != own {
            return Err(wrong("/documents", "all of one currency").into());
        }
        documents.push(Document {
            document: debt.overdue.document,
            document_ref: debt.overdue.document_ref,
            open: debt.overdue.open,
        });
        about.push(kept(&debt.letters, ask.posted_on, today)?);
    }
    let currency = currency.ok_or_else(|| wrong("/documents", "at least one"))?;
    let ids: Vec<DocumentId> = documents.iter().map(|one| one.document).collect();
    // What is owed of them does not change meanwhile.
    store::plans::debts(act.tx.conn(), ask.account_id, &ids).await?;
    let begun = begun(&about).unwrap_or(today);
    let mut letters: Vec<Letter> = about.into_iter().flatten().collect();
    letters.sort_by_key(|letter| (letter.on, letter.contact));
    letters.dedup_by_key(|letter| letter.contact);
    let mut referral = Referral {
        id,
        version: 1,
        state: ReferralState::WaitingForReply,
        account: ask.account_id,
        account_ref,
        currency,
        law,
        documents,
        letters,
        clocks: vec![Clock::start(law, "reply", begun).map_err(Failure::of)?],
        replies: Vec::new(),
        notice_on: None,
        agreement_ended_on: None,
        to: None,
        handler: None,
        terms: None,
        requester: None,
        approval: None,
        approver: None,
        pack_sha256: None,
        referred_on: None,
        ended_on: None,
        recall: None,
        costs: Vec::new(),
        left: Left::default(),
        stopped: false,
        runs_until: None,
        to_tell: Vec::new(),
        not_against: Vec::new(),
        next_step: None,
    };
    let facts = store::referrals::facts(act.tx.conn(), &referral).await?;
    referral.judge(&facts, today);
    let (tx, told) = act.told(&ask.person, &reason);
    referrals::put(tx, &referral, &facts, None, told).await?;
    act.finish(&bus).await?;
    shown(&bus, id).await
}

pub(crate) async fn step_referral(
    ask: StepReferral,
    bus: Bus,
    sender: Sender,
) -> Result<ReferralView, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    let id = ask.referral_id;
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return shown(&bus, id).await;
    };
    let today = act.today;
    let mut referral = store::referrals::lock(act.tx.conn(), id)
        .await?
        .ok_or_else(|| no_referral(id))?;
    if ask
        .version
        .is_some_and(|version| version != referral.version)
    {
        return Err(refused(ReferralRefused::Changed(referral.version)).into());
    }
    let facts = store::referrals::facts(act.tx.conn(), &referral).await?;
    let before = referral.clone();
    // What is known now counts, and not what was known when it was written.
    referral.judge(&facts, today);
    referral.step(&ask.step, &facts, today).map_err(refused)?;
    match &ask.step {
        ReferralStep::AddCosts { amount, what, post } => {
            add_costs(
                &mut act,
                &ask,
                &mut referral,
                &facts,
                (*amount, what, *post),
            )
            .await?;
        }
        ReferralStep::PostCosts { cost_id } => {
            let cost = referral.costs.iter().find(|cost| cost.id == *cost_id);
            let amount = cost.map_or(rust_decimal::Decimal::ZERO, |cost| cost.amount);
            referral
                .chargeable(amount, &facts, today)
                .map_err(refused)?;
            post_costs(&mut act, &ask, &mut referral, *cost_id).await?;
        }
        ReferralStep::Request { to, handler, terms } => {
            referral.requestable(&facts, today).map_err(refused)?;
            let handler = handler.trim();
            if handler.is_empty() || handler.chars().count() > 200 {
                return Err(wrong("/handler", "between 1 and 200 characters").into());
            }
            referral.to = Some(*to);
            referral.handler = Some(handler.to_owned());
            referral.terms = terms
                .as_deref()
                .map(|terms| text(terms, "/terms"))
                .transpose()?;
            request(&mut act, &ask, &mut referral, &bus, &sender).await?;
        }
        _ => {}
    }
    referral.judge(&facts, today);
    referral.version = before.version + 1;
    let (tx, told) = act.told(&ask.person, &reason);
    if let Some(approval) = before.approval.filter(|_| referral.approval.is_none()) {
        referrals::withdraw(tx, &referral, approval, told).await?;
    }
    referrals::put(tx, &referral, &facts, Some(before.state), told).await?;
    act.finish(&bus).await?;
    shown(&bus, id).await
}

async fn add_costs(
    act: &mut Act,
    ask: &StepReferral,
    referral: &mut Referral,
    facts: &Facts,
    (amount, what, post): (Money, &str, bool),
) -> Result<(), Failure> {
    referral
        .chargeable(amount.amount(), facts, act.today)
        .map_err(refused)?;
    if amount.currency() != referral.currency {
        return Err(wrong("/amount", "in the documents' currency"));
    }
    if referral.costs.len() >= COSTS_MAX {
        return Err(wrong("/step", "at most 200 costs"));
    }
    let id = ask.command_id.as_uuid();
    referral.costs.push(Cost {
        id,
        what: text(what, "/what")?,
        amount: amount.amount(),
        on: act.today,
        charge: None,
        document: None,
    });
    if post {
        post_costs(act, ask, referral, id).await?;
    }
    Ok(())
}

/// Makes a charge of a cost: ingestion bills it, and allocation has it as an item
/// of its own.
async fn post_costs(
    act: &mut Act,
    ask: &StepReferral,
    referral: &mut Referral,
    cost_id: Uuid,
) -> Result<(), Failure> {
    let about = referral
        .documents
        .first()
        .map(|one| (one.document, one.document_ref.clone()))
        .ok_or_else(|| wrong("/step", "it has no document"))?;
    let currency = referral.currency;
    let cost = referral
        .costs
        .iter_mut()
        .find(|cost| cost.id == cost_id && cost.charge.is_none())
        .ok_or_else(|| wrong("/cost_id", "no cost that is a memo"))?;
    let charge_ref = store::claims::next_ref(act.tx.conn()).await?;
    let charge = Charge {
        account: referral.account,
        account_ref: referral.account_ref.clone(),
        view: ChargeView {
            charge_id: cost_id.into(),
            version: 1,
            charge_ref: charge_ref.clone(),
            kind: ChargeKind::Costs,
            state: ChargeState::Posted,
            document_id: about.0,
            document_ref: about.1,
            amount: Money::try_new(cost.amount, currency).map_err(Failure::of)?,
            charged_on: act.today,
            working: vec![cost.what.clone()],
            actor: ask.person.actor.clone(),
            reason: ask.reason.clone(),
            changed_at: act.now,
        },
    };
    cost.charge = Some((charge.view.charge_id, charge_ref));
    claims::put(&mut act.tx, &act.prefix, &charge, &act.cause).await
}

/// Freezes what is handed over, and asks a second person.
async fn request(
    act: &mut Act,
    ask: &StepReferral,
    referral: &mut Referral,
    bus: &Bus,
    sender: &Sender,
) -> Result<(), Failure> {
    let legal = Legal::read(act.tx.conn(), referral.account, act.today).await?;
    let barred = legal
        .debts
        .iter()
        .filter(|debt| act.today > debt.limitation.last_on)
        .find(|debt| referral.ids().contains(&debt.overdue.document));
    if let Some(debt) = barred {
        let document = debt.overdue.document_ref.clone();
        return Err(refused(ReferralRefused::Barred(document)));
    }
    let pack = referral_pack::build(act.tx.conn(), bus, referral, sender).await?;
    store::referrals::put_pack(act.tx.conn(), referral.id, &pack, act.now).await?;
    referral.pack_sha256 = Some(pack.sha256);
    let content = referral.content().map_err(Failure::of)?;
    let (_, sha256) = frozen(&content);
    let approval_id = ApprovalId::generate();
    let left = referral.left;
    let amount = Money::try_new(
        left.principal + left.interest + left.costs,
        referral.currency,
    )
    .map_err(Failure::of)?;
    let event = RequestedByDunning(ApprovalRequested {
        approval_id,
        kind: ApprovalKind::LegalReferral,
        subject_id: referral.id.as_uuid(),
        title: format!(
            "Hand {} over to {}: {}",
            referral.account_ref,
            referral.handler.as_deref().unwrap_or_default(),
            amount.display_uk()
        ),
        amount,
        account_id: Some(referral.account),
        account_ref: Some(referral.account_ref.clone()),
        content_sha256: sha256,
        needed: 1,
        requester: ask.person.actor.clone(),
        reason: ask.reason.clone(),
        expires_at: act.now + EXPIRES,
        recorded_at: act.now,
        content: Some(content),
    });
    let about = approval_id.as_uuid();
    let event = Outgoing::new(&event, about, 1, &act.prefix, act.now, &act.cause)?;
    act.tx.publish(&[event]).await?;
    referral.requester = Some(ask.person.actor.clone());
    referral.approval = Some(approval_id);
    referral.state = ReferralState::Requested;
    Ok(())
}

pub(crate) async fn acknowledge_debt(ask: AcknowledgeDebt, bus: Bus) -> Result<LegalView, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    let signed_by = text(&ask.signed_by, "/signed_by")?;
    let account_id = ask.account_id;
    if let Some(mut act) = Act::begin(&bus, ask.command_id).await? {
        if ask.documents.is_empty() || ask.documents.len() > DOCUMENTS_MAX {
            return Err(wrong("/documents", "between 1 and 500").into());
        }
        if ask.signed_on > act.today {
            return Err(wrong("/signed_on", "not after today").into());
        }
        let signed = store::limitations::Signed {
            command: ask.command_id.as_uuid(),
            account: account_id,
            documents: &ask.documents,
            on: ask.signed_on,
            by: &signed_by,
            reference: ask.reference.as_deref(),
            actor: &ask.person.actor,
            reason: &reason,
            now: act.now,
        };
        let found = store::limitations::acknowledge(act.tx.conn(), &signed).await?;
        if found != ask.documents.len() as u64 {
            return Err(wrong("/documents", "debts of the account, each once").into());
        }
        let debts = store::limitations::told_of(act.tx.conn(), &[account_id]).await?;
        let (tx, told): (_, Told<'_>) = act.told(&ask.person, &reason);
        referrals::limitations(tx, &debts, told).await?;
        act.finish(&bus).await?;
    }
    get_legal(GetLegal { account_id }, bus).await
}
