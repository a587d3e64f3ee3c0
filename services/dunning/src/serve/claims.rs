//! Interest and compensation for late payment: the memo, posting it, and taking
//! it back.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;
use contracts::{
    Prefix,
    api::{
        Refusal,
        dunning::{ChargeView, GetLatePayment, LateClaim, LatePayment, PostCharge, TakeBackCharge},
    },
    dunning::{ChargeChanged, ChargeId, ChargeState},
};
use kernel::{AccountId, DocumentId, Money, london_date};
use messaging::{Bus, Failure, Meta, Outgoing, Tx};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{act::Act, text};
use crate::{
    domain::{
        claim::{self, Late, NoClaim},
        interest::{Debtor, Terms, Working},
        joint,
        policy::{Debtor as Who, Policies, Policy},
        stops::Stop,
        template::LateSums,
    },
    store::{self, accounts::kind_named, claims::Charge, statements::Addressee},
};

fn no_account(id: AccountId) -> Failure {
    Failure::not_found("dunning.no_account", format!("there is no account {id}"))
}

/// An account as far as its claims need it.
pub(crate) struct Books {
    who: Addressee,
    pub(crate) stops: Vec<Stop>,
    policy: Option<Policy>,
}

impl Books {
    /// As it stands to one of the joint debtors, or to all of them together.
    pub(crate) async fn read(
        conn: &mut PgConnection,
        account: AccountId,
        of: Option<&str>,
        today: NaiveDate,
    ) -> Result<Self, Failure> {
        let who = store::statements::addressee(conn, account)
            .await?
            .ok_or_else(|| no_account(account))?;
        let policies = store::policies::all(conn).await?;
        let stops = store::stops::of_account(conn, account).await?;
        let debtors = store::debtors::refs(conn, account).await?;
        Ok(Self::new(who, stops, &debtors, of, &policies, today))
    }

    fn new(
        who: Addressee,
        mut stops: Vec<Stop>,
        debtors: &[String],
        of: Option<&str>,
        policies: &Policies,
        today: NaiveDate,
    ) -> Self {
        let debtor = Who {
            account_ref: &who.account_ref,
            parent_ref: who.parent_ref.as_deref(),
            kind: who.kind.as_deref().and_then(kind_named),
            segment: who.segment.as_deref(),
        };
        let policy = policies.choose(debtor, today).cloned();
        match of {
            // What a hold of one of them let not run is never asked of them (E73).
            Some(of) => stops.retain(|stop| stop.debtor.as_deref().is_none_or(|whose| whose == of)),
            None => stops = joint::of_everybody(stops, debtors, claim::is_free),
        }
        Self { who, stops, policy }
    }

    /// By the rules of another version than that of today.
    pub(crate) fn under(&mut self, policy: Policy) {
        self.policy = Some(policy);
    }

    /// By which rules its late debts bear interest.
    pub(crate) fn terms(&self) -> Result<(&Policy, (Debtor, Terms)), NoClaim> {
        let kind = self.who.kind.as_deref().and_then(kind_named);
        let policy = self.policy.as_ref();
        let terms = claim::terms(kind, policy)?;
        Ok((policy.ok_or(NoClaim::NoPolicy)?, terms))
    }

    pub(crate) fn work_out(
        &self,
        late: &Late,
        until: NaiveDate,
    ) -> Result<(Working, Terms), Failure> {
        let (policy, terms) = self.terms().map_err(Failure::of)?;
        let working =
            claim::work_out(late, terms, &self.stops, policy, until).map_err(Failure::of)?;
        Ok((working, terms.1))
    }
}

pub(crate) async fn get_late_payment(
    ask: GetLatePayment,
    bus: Bus,
) -> Result<LatePayment, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(late_payment(tx.conn(), &ask, london_date(bus.now())).await?)
}

/// What late payment of an account's debts has come to.
pub(super) async fn late_payment(
    conn: &mut PgConnection,
    ask: &GetLatePayment,
    today: NaiveDate,
) -> Result<LatePayment, Failure> {
    let until = ask.until.unwrap_or(today).min(today);
    let books = Books::read(conn, ask.account_id, None, today).await?;
    let none_because = books.terms().err().map(|no| no.to_string());
    let mut claims = Vec::new();
    if none_because.is_none() {
        for late in store::claims::late(conn, ask.account_id, None, until).await? {
            let (working, terms) = books.work_out(&late, until)?;
            if working.segments.is_empty() {
                continue;
            }
            claims.push(LateClaim {
                document_id: late.document,
                due_on: late.due_on,
                principal: late.gross,
                open: late.open,
                interest: working.interest,
                compensation: working.compensation,
                working: claim::words(&late, &working, terms),
                held_back: claim::is_in_query(&late, &books.stops, today)
                    .then(|| NoClaim::InQuery.to_string()),
                document_ref: late.document_ref,
            });
        }
    }
    let charges = store::claims::charges(conn, ask.account_id).await?;
    Ok(LatePayment {
        account_id: ask.account_id,
        account_ref: books.who.account_ref,
        name: books.who.name,
        until,
        none_because,
        claims,
        charges: charges.into_iter().map(|charge| charge.view).collect(),
    })
}

/// What documents of an account have come to for late payment, as a text shows
/// it; nothing where nothing is claimed.
pub(crate) async fn late_sums(
    conn: &mut PgConnection,
    account: AccountId,
    documents: &[DocumentId],
    today: NaiveDate,
) -> Result<Option<LateSums>, Failure> {
    let policies = store::policies::all(conn).await?;
    let ledgers = Ledgers::read(conn, &[account.as_uuid()], today).await?;
    ledgers.sums(&policies, account, None, documents, today)
}

/// What the late-payment sums of accounts are worked out from, read for all at once.
#[derive(Default)]
pub(crate) struct Ledgers {
    who: BTreeMap<Uuid, Addressee>,
    stops: HashMap<Uuid, Vec<Stop>>,
    debtors: HashMap<Uuid, Vec<String>>,
    late: BTreeMap<Uuid, Vec<Late>>,
}

impl Ledgers {
    pub(crate) async fn read(
        conn: &mut PgConnection,
        accounts: &[Uuid],
        today: NaiveDate,
    ) -> Result<Self, Failure> {
        Ok(Self {
            who: store::statements::addressees(conn, accounts).await?,
            stops: store::stops::of_accounts(conn, accounts).await?,
            debtors: store::debtors::refs_of(conn, accounts).await?,
            late: store::claims::late_of(conn, accounts, None, today).await?,
        })
    }

    /// What documents of one of them have come to, as it stands to one of its joint
    /// debtors or to all; nothing where nothing is claimed.
    pub(crate) fn sums(
        &self,
        policies: &Policies,
        account: AccountId,
        debtor: Option<&str>,
        documents: &[DocumentId],
        today: NaiveDate,
    ) -> Result<Option<LateSums>, Failure> {
        let id = account.as_uuid();
        let who = self.who.get(&id).ok_or_else(|| no_account(account))?;
        let stops = self.stops.get(&id).cloned().unwrap_or_default();
        let debtors = self.debtors.get(&id).map_or(&[][..], Vec::as_slice);
        let books = Books::new(who.clone(), stops, debtors, debtor, policies, today);
        let late = self.late.get(&id).map_or(&[][..], Vec::as_slice);
        sums(&books, late, documents, today)
    }
}

fn sums(
    books: &Books,
    late: &[Late],
    documents: &[DocumentId],
    today: NaiveDate,
) -> Result<Option<LateSums>, Failure> {
    if books.terms().is_err() {
        return Ok(None);
    }
    let mut sums: Option<(Money, Money)> = None;
    let mut rates: BTreeSet<Decimal> = BTreeSet::new();
    for late in late {
        if !documents.contains(&late.document) || claim::is_in_query(late, &books.stops, today) {
            continue;
        }
        let (working, _) = books.work_out(late, today)?;
        let zero = Money::zero(working.interest.currency());
        let (interest, fixed) = sums.unwrap_or((zero, zero));
        // One letter states one sum: debts in another currency are left out.
        if interest.currency() != working.interest.currency() || !working.interest.is_positive() {
            continue;
        }
        rates.extend(
            working
                .segments
                .iter()
                .map(|segment| segment.rate.normalize()),
        );
        let add = |sum: Money, more: Money| sum.checked_add(more).map_err(Failure::of);
        sums = Some((
            add(interest, working.interest)?,
            add(fixed, working.compensation.unwrap_or(zero))?,
        ));
    }
    let Some((interest, fixed)) = sums else {
        return Ok(None);
    };
    let rates: Vec<String> = rates.iter().map(|rate| format!("{rate} %")).collect();
    Ok(Some(LateSums {
        rate: format!("{} a year", rates.join(" and ")),
        interest: interest.display_uk(),
        compensation: fixed.display_uk(),
        total: interest
            .checked_add(fixed)
            .map_err(Failure::of)?
            .display_uk(),
    }))
}

/// Writes a charge, and tells of it.
pub(crate) async fn put(
    tx: &mut Tx,
    prefix: &Prefix,
    charge: &Charge,
    cause: &Meta,
) -> Result<(), Failure> {
    store::claims::put(tx.conn(), charge).await?;
    let view = &charge.view;
    let event = ChargeChanged {
        charge_id: view.charge_id,
        version: view.version,
        kind: view.kind,
        state: view.state,
        account_id: charge.account,
        account_ref: charge.account_ref.clone(),
        document_id: view.document_id,
        document_ref: view.document_ref.clone(),
        charge_ref: view.charge_ref.clone(),
        amount: view.amount,
        charged_on: view.charged_on,
        working: view.working.clone(),
        recorded_at: view.changed_at,
        actor: view.actor.clone(),
        reason: view.reason.clone(),
    };
    let event = Outgoing::new(
        &event,
        view.charge_id.as_uuid(),
        view.version,
        prefix,
        view.changed_at,
        cause,
    )?;
    tx.publish(&[event]).await
}

async fn shown(bus: &Bus, id: ChargeId) -> Result<ChargeView, Refusal> {
    let mut tx = bus.begin().await?;
    let charge = store::claims::lock_charge(tx.conn(), id)
        .await?
        .ok_or_else(|| no_charge(id))?;
    Ok(charge.view)
}

fn no_charge(id: ChargeId) -> Failure {
    Failure::not_found("dunning.no_charge", format!("there is no charge {id}"))
}

pub(crate) async fn post_charge(ask: PostCharge, bus: Bus) -> Result<ChargeView, Refusal> {
    let id: ChargeId = ask.command_id.as_uuid().into();
    let reason = text(&ask.reason, "/reason")?;
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return shown(&bus, id).await;
    };
    let (now, today) = (act.now, act.today);
    let tx = &mut act.tx;
    let posted = store::claims::posted(tx.conn(), ask.document_id).await?;
    let books = Books::read(tx.conn(), ask.account_id, None, today).await?;
    let late = store::claims::late(tx.conn(), ask.account_id, Some(ask.document_id), today).await?;
    let late = late
        .into_iter()
        .next()
        .ok_or_else(|| Failure::of(NoClaim::Itself))?;
    if claim::is_in_query(&late, &books.stops, today) {
        return Err(Failure::of(NoClaim::InQuery).into());
    }
    let (working, terms) = books.work_out(&late, today)?;
    let amount = claim::to_post(ask.kind, &working, &posted).map_err(Failure::of)?;
    let charge_ref = store::claims::next_ref(tx.conn()).await?;
    let charge = Charge {
        account: ask.account_id,
        account_ref: books.who.account_ref.clone(),
        view: ChargeView {
            charge_id: id,
            version: 1,
            charge_ref,
            kind: ask.kind,
            state: ChargeState::Posted,
            document_id: late.document,
            amount,
            charged_on: today,
            working: claim::words(&late, &working, terms),
            document_ref: late.document_ref,
            actor: ask.person.actor,
            reason,
            changed_at: now,
        },
    };
    put(tx, &act.prefix, &charge, &act.cause).await?;
    act.finish(&bus).await?;
    Ok(charge.view)
}

pub(crate) async fn take_back_charge(ask: TakeBackCharge, bus: Bus) -> Result<ChargeView, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return shown(&bus, ask.charge_id).await;
    };
    let (now, tx) = (act.now, &mut act.tx);
    let mut charge = store::claims::lock_charge(tx.conn(), ask.charge_id)
        .await?
        .ok_or_else(|| no_charge(ask.charge_id))?;
    if charge.view.state != ChargeState::Posted {
        return Err(Failure::conflict(
            "dunning.charge_over",
            format!("{} was taken back before", charge.view.charge_ref),
        )
        .into());
    }
    charge.view.state = if ask.wrong {
        ChargeState::Reversed
    } else {
        ChargeState::Waived
    };
    charge.view.version += 1;
    charge.view.actor = ask.person.actor;
    charge.view.reason = reason;
    charge.view.changed_at = now;
    put(tx, &act.prefix, &charge, &act.cause).await?;
    act.finish(&bus).await?;
    Ok(charge.view)
}
