//! Referrals as people see them: what may begin one, where each stands, and what
//! was handed over.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::NaiveDate;
use contracts::{
    api::{
        Page, Refusal,
        dunning::{
            ClaimLetter, ClockView, CostView, DebtorBeforeClaim, GetLegal, GetPack, GetReferral,
            LegalDocument, LegalView, ListReferrals, PackPart, ReferralView, ReplyView,
        },
    },
    dunning::{LimitationState, PreActionLaw, ReferralId},
};
use kernel::{AccountId, DocumentId, Money, london_date};
use messaging::{Bus, Failure};
use sqlx::PgConnection;
use uuid::Uuid;

use super::cursor;
use crate::{
    domain::{
        limitation::{self, Limitation},
        policy::Policies,
        pre_action,
        referral::Referral,
        stops::Stop,
    },
    store::{
        self,
        accounts::kind_named,
        referrals::{Overdue, Sent},
        statements::Addressee,
    },
};

/// Bytes of one part of a pack: with what base64 adds a message bears it.
const PART: i32 = 1 << 20;

pub(super) fn no_referral(id: ReferralId) -> Failure {
    Failure::not_found("dunning.no_referral", format!("there is no referral {id}"))
}

/// An account as far as the way to a court needs it.
pub(super) struct Legal {
    pub(super) who: Addressee,
    pub(super) law: PreActionLaw,
    pub(super) debts: Vec<Debt>,
}

/// An overdue debt, and whether a referral may begin with it.
pub(super) struct Debt {
    pub(super) overdue: Overdue,
    pub(super) letters: Vec<ClaimLetter>,
    pub(super) limitation: Limitation,
    pub(super) why_not: Option<String>,
}

/// The letters about a document that do what the rules ask for, the newest first: of
/// one that is owed alone the last, of one that several owe those that each had.
fn letters(
    document: DocumentId,
    sent: &[Sent],
    policies: &Policies,
    law: PreActionLaw,
) -> Vec<ClaimLetter> {
    let all = sent
        .iter()
        .filter(|one| one.document == document && one.is_letter_of(policies, law));
    let mut found: Vec<ClaimLetter> = all
        .map(|one| ClaimLetter {
            contact_id: one.contact,
            stage: one.stage.clone(),
            state: one.state,
            on: one.on,
            content_sha256: one.sha256.clone(),
            debtor_ref: one.debtor.clone(),
        })
        .collect();
    if found.iter().all(|one| one.debtor_ref.is_none()) {
        found.truncate(1);
    }
    found
}

fn stopped(document: DocumentId, stops: &[Stop], today: NaiveDate) -> Option<String> {
    let words: Vec<String> = pre_action::freezing(stops, &[document])
        .into_iter()
        .filter(|stop| stop.is_active(today))
        .map(pre_action::words)
        .collect();
    (!words.is_empty()).then(|| format!("it is stopped by {}", words.join(", ")))
}

impl Legal {
    pub(super) async fn read(
        conn: &mut PgConnection,
        account: AccountId,
        today: NaiveDate,
    ) -> Result<Self, Failure> {
        let who = store::statements::addressee(conn, account)
            .await?
            .ok_or_else(|| {
                Failure::not_found(
                    "dunning.no_account",
                    format!("there is no account {account}"),
                )
            })?;
        let law = pre_action::law(who.kind.as_deref().and_then(kind_named));
        let policies = store::policies::all(conn).await?;
        let overdue = store::referrals::overdue(conn, account, today).await?;
        let sent = store::referrals::sent(conn, account).await?;
        let (stops, _) = store::stops::freezing(conn, account).await?;
        let taken = store::referrals::taken(conn, account).await?;
        let ids: Vec<Uuid> = overdue.iter().map(|one| one.document.as_uuid()).collect();
        let restarts = store::limitations::restarts(conn, &ids).await?;
        let debts = overdue
            .into_iter()
            .map(|overdue| {
                let begun = restarts.get(&overdue.document).cloned().unwrap_or_default();
                let limitation = limitation::of(overdue.due_on, &begun, today);
                let letters = letters(overdue.document, &sent, &policies, law);
                let why_not = if taken.contains_key(&overdue.document) {
                    Some("it is in a referral already".to_owned())
                } else if limitation.state(today) == Some(LimitationState::Barred) {
                    Some("no claim can be made for it any more".to_owned())
                } else if let Some(stopped) = stopped(overdue.document, &stops, today) {
                    Some(stopped)
                } else if letters.is_empty() {
                    let letter = match law {
                        PreActionLaw::Protocol => "letter of claim",
                        PreActionLaw::PracticeDirection => "letter before action",
                    };
                    Some(format!("no {letter} was sent about it"))
                } else {
                    None
                };
                Debt {
                    overdue,
                    letters,
                    limitation,
                    why_not,
                }
            })
            .collect();
        Ok(Self { who, law, debts })
    }
}

pub(super) async fn legal(
    conn: &mut PgConnection,
    account: AccountId,
    today: NaiveDate,
) -> Result<LegalView, Failure> {
    let legal = Legal::read(conn, account, today).await?;
    let mut documents = Vec::with_capacity(legal.debts.len());
    for debt in legal.debts {
        documents.push(LegalDocument {
            document_id: debt.overdue.document,
            due_on: debt.overdue.due_on,
            open: store::money(debt.overdue.open, &debt.overdue.currency)?,
            document_ref: debt.overdue.document_ref,
            letter: debt.letters.into_iter().next(),
            limitation_on: debt.limitation.last_on,
            limitation_basis: debt.limitation.basis(),
            limitation: debt.limitation.state(today),
            why_not: debt.why_not,
        });
    }
    let mut referrals = Vec::new();
    for referral in store::referrals::list(conn, Some(account), None, None, 50).await? {
        referrals.push(view(conn, referral, today).await?);
    }
    Ok(LegalView {
        account_id: account,
        account_ref: legal.who.account_ref,
        name: legal.who.name,
        law: legal.law,
        documents,
        referrals,
    })
}

pub(crate) async fn get_legal(ask: GetLegal, bus: Bus) -> Result<LegalView, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(legal(tx.conn(), ask.account_id, london_date(bus.now())).await?)
}

/// A referral as it is today.
pub(super) async fn view(
    conn: &mut PgConnection,
    referral: Referral,
    today: NaiveDate,
) -> Result<ReferralView, Failure> {
    let facts = store::referrals::facts(conn, &referral).await?;
    let money = |amount| Money::try_new(amount, referral.currency).map_err(Failure::of);
    let mut clocks = Vec::with_capacity(referral.clocks.len());
    for (clock, reading) in referral.readings(&facts, today) {
        let rule = pre_action::rule(referral.law, &clock.code, clock.from).map_err(Failure::of)?;
        clocks.push(ClockView {
            code: clock.code.clone(),
            title: rule.title.clone(),
            from: clock.from,
            days: clock.days,
            paused_days: reading.paused,
            days_left: reading.left,
            last_on: reading.last_on,
            is_over: reading.is_over,
            source: rule.source.clone(),
        });
    }
    let stopped_by = referral
        .stopped_by(&facts, today)
        .into_iter()
        .map(|stop| match stop.ends_on {
            Some(last) => format!(
                "{} until {}",
                pre_action::words(stop),
                last.format("%d/%m/%Y")
            ),
            None => pre_action::words(stop),
        })
        .collect();
    let mut costs = Vec::with_capacity(referral.costs.len());
    for cost in &referral.costs {
        costs.push(CostView {
            cost_id: cost.id,
            what: cost.what.clone(),
            amount: money(cost.amount)?,
            on: cost.on,
            charge_id: cost.charge.as_ref().map(|(id, _)| *id),
            charge_ref: cost.charge.as_ref().map(|(_, number)| number.clone()),
        });
    }
    let mut warnings = Vec::new();
    let letter_on = referral.letters.iter().map(|letter| letter.on).max();
    if referral.is_before() && letter_on.is_some_and(|on| pre_action::is_old(on, today)) {
        warnings.push("the letter is old: bring its figures up to date before a claim".to_owned());
    }
    Ok(ReferralView {
        referral_id: referral.id,
        version: referral.version,
        state: referral.state,
        account_id: referral.account,
        documents: referral.told_documents().map_err(Failure::of)?,
        left: referral.told_left().map_err(Failure::of)?,
        letters: referral
            .letters
            .iter()
            .map(|letter| ClaimLetter {
                contact_id: letter.contact,
                stage: letter.stage.clone(),
                state: letter.state,
                on: letter.on,
                content_sha256: letter.sha256.clone(),
                debtor_ref: letter.debtor.clone(),
            })
            .collect(),
        clocks,
        stopped_by,
        debtors: referral
            .before_claim(&facts, today)
            .into_iter()
            .map(|one| {
                let own = format!("{}: ", one.debtor_ref);
                let why = referral.not_against.iter();
                DebtorBeforeClaim {
                    not_against: why
                        .filter_map(|why| why.strip_prefix(&own).map(str::to_owned))
                        .collect(),
                    debtor_ref: one.debtor_ref,
                    letter_on: one.letter_on,
                    reply_until: one.reply_until,
                }
            })
            .collect(),
        replies: referral
            .replies
            .iter()
            .map(|reply| ReplyView {
                kind: reply.kind,
                received_on: reply.received_on,
                documents_sent_on: reply.documents_sent_on,
                documents_due_on: reply.documents_due_on,
            })
            .collect(),
        notice_on: referral.notice_on,
        next_step: referral.next_step,
        to_tell: referral.to_tell,
        law: referral.law,
        referred_to: referral.to,
        handler: referral.handler,
        terms: referral.terms,
        referred_on: referral.referred_on,
        approval_id: referral.approval,
        approver: referral.approver,
        recalled_because: referral.recall,
        costs,
        pack_sha256: referral.pack_sha256.clone(),
        packs: store::referrals::packs(conn, referral.id).await?,
        warnings,
        history: store::referrals::notes(conn, referral.id).await?,
        account_ref: referral.account_ref,
    })
}

pub(super) async fn shown(bus: &Bus, id: ReferralId) -> Result<ReferralView, Refusal> {
    let mut tx = bus.begin().await?;
    let conn = tx.conn();
    let referral = store::referrals::get(conn, id)
        .await?
        .ok_or_else(|| no_referral(id))?;
    Ok(view(conn, referral, london_date(bus.now())).await?)
}

pub(crate) async fn get_referral(ask: GetReferral, bus: Bus) -> Result<ReferralView, Refusal> {
    shown(&bus, ask.referral_id).await
}

pub(crate) async fn list_referrals(
    ask: ListReferrals,
    bus: Bus,
) -> Result<Page<ReferralView>, Refusal> {
    let rows = ask.page.rows();
    let before = cursor(ask.page.cursor.as_deref())?;
    let mut tx = bus.begin().await?;
    let conn = tx.conn();
    let mut found =
        store::referrals::list(conn, ask.account_id, ask.state, before, rows + 1).await?;
    let more = found.len() as i64 > rows;
    found.truncate(usize::try_from(rows).unwrap_or(usize::MAX));
    let next_cursor = found
        .last()
        .filter(|_| more)
        .map(|last| last.id.to_string());
    let today = london_date(bus.now());
    let mut items = Vec::with_capacity(found.len());
    for referral in found {
        items.push(view(conn, referral, today).await?);
    }
    Ok(Page { items, next_cursor })
}

pub(crate) async fn get_pack(ask: GetPack, bus: Bus) -> Result<PackPart, Refusal> {
    let mut tx = bus.begin().await?;
    let conn = tx.conn();
    let referral = store::referrals::get(conn, ask.referral_id)
        .await?
        .ok_or_else(|| no_referral(ask.referral_id))?;
    let offset = i32::try_from(ask.offset.max(0)).unwrap_or(i32::MAX - 1);
    let (size, part) =
        store::referrals::pack_part(conn, ask.referral_id, &ask.sha256, offset, PART)
            .await?
            .ok_or_else(|| {
                Failure::not_found("dunning.no_pack", "the referral has no such pack")
            })?;
    Ok(PackPart {
        name: format!(
            "referral-{}-{}.zip",
            referral.account_ref,
            ask.sha256.get(..12).unwrap_or_default()
        ),
        size,
        base64: STANDARD.encode(part),
    })
}
