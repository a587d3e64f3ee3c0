//! The way out of a residual balance, once a second person has decided.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    Prefix,
    api::matters::{CharityPayment, MatterView},
    controls::{ApprovalState, CarriedOut},
    matters::{EntryKind, ResidualRoute, ResidualStep},
};
use kernel::{Classified as _, MatterId, ResidualId};
use messaging::{Failure, Meta, Tx};
use sqlx::PgConnection;

use super::{Became, Counts, Desk, gone};
use crate::{
    consume::client_money::{self, Teller},
    domain::{
        ledger::Because,
        legal::{
            LegalChanges, Settings,
            client::{self, Held, Payment},
            residual::{self, Proposal, Residual},
        },
    },
    serve::residuals::changed,
    store::{self, residuals::Noted},
};

/// Matters and residual balances of a batch, locked.
#[derive(Default)]
pub(crate) struct Client {
    held: BTreeMap<MatterId, (Held, MatterView)>,
    residuals: BTreeMap<ResidualId, Residual>,
    settings: Option<Settings>,
}

/// What one decision writes.
pub(crate) struct Left {
    residual: Residual,
    held: Held,
    legal: LegalChanges,
    step: ResidualStep,
    detail: String,
    actor: String,
    reason: String,
    not_before: NaiveDate,
    register: Option<CharityPayment>,
    cause: Meta,
}

/// `on`: the day of the decisions, whose limits count.
pub(super) async fn load(
    conn: &mut PgConnection,
    ids: &[ResidualId],
    on: Option<NaiveDate>,
) -> Result<Client, Failure> {
    let mut client = Client::default();
    let Some(on) = on.filter(|_| !ids.is_empty()) else {
        return Ok(client);
    };
    client.settings = Some(store::matters::settings(conn, on).await?);
    let mut matters = Vec::new();
    for id in ids {
        match store::residuals::matter_of(conn, *id).await {
            Ok(matter) => matters.push(matter),
            Err(failure) if failure.code() == "matters.no_residual" => {}
            Err(failure) => return Err(failure),
        }
    }
    for held in store::matters::lock_held(conn, &matters).await? {
        let id = held.matter.id;
        let view = store::matters::view(conn, id).await?;
        client.held.insert(id, (held, view));
    }
    for id in ids {
        if let Some(residual) = store::residuals::lock(conn, Some(*id), None).await? {
            client.residuals.insert(*id, residual);
        }
    }
    Ok(client)
}

impl Desk<'_> {
    pub(super) fn residual(&mut self, client: &mut Client) -> Result<Became, Failure> {
        let Some(residual) = client.residuals.get_mut(&self.decision.subject_id.into()) else {
            return Ok(self.unknown());
        };
        let Some((held, view)) = client.held.get_mut(&residual.matter) else {
            return Err(gone("the matter of a residual balance"));
        };
        let proposal = residual.proposal.as_ref();
        let asked = proposal.and_then(|p| p.approval) == Some(self.decision.approval_id);
        let waits = asked && residual.state == contracts::matters::ResidualState::Proposed;
        let done = asked && !waits;
        let now = || residual::content(residual, &held.matter.reference);
        let counted = self.counts(waits, done, now);
        let mut legal = LegalChanges::default();
        let mut register = None;
        let settings = client.settings.as_ref();
        let approved = match counted {
            Counts::No(became) => return Ok(became),
            Counts::CarryOut => settings.and_then(|s| residual::approved(residual, s).ok()),
            Counts::End(_) => None,
        };
        let (step, detail, became) = match approved {
            Some(proposal) => {
                let amount = residual.balance;
                let payment = payment(&proposal, residual);
                let cause = self.decision.approval_id.as_uuid();
                client::pay(held, &mut legal, &payment, cause, &self.because)
                    .map_err(Failure::of)?;
                held.matter.version += 1;
                let detail = format!("{} paid to {}", amount.display_uk(), proposal.payee);
                register = self.charity(&proposal, residual, view);
                (
                    ResidualStep::PaidAway,
                    detail,
                    Some((CarriedOut::Done, None)),
                )
            }
            None => {
                residual::back(residual).map_err(Failure::of)?;
                let detail = match self.decision.state {
                    ApprovalState::Approved => super::CHANGED,
                    _ => self.because.reason,
                };
                (ResidualStep::Rejected, detail.to_owned(), self.ended())
            }
        };
        let fact = changed(
            residual,
            &held.matter,
            step,
            self.because.actor,
            &detail,
            self.because.now,
        );
        let left = Left {
            residual: residual.clone(),
            held: held.clone(),
            legal,
            step,
            detail,
            actor: self.because.actor.to_owned(),
            reason: self.because.reason.to_owned(),
            not_before: self.because.not_before,
            register,
            cause: self.cause.clone(),
        };
        self.tell(&fact, left.residual.id.as_uuid(), left.residual.version)?;
        self.written.client.push(left);
        Ok(became)
    }

    /// The line of the central register, for what goes to charity.
    fn charity(
        &self,
        proposal: &Proposal,
        residual: &Residual,
        matter: &MatterView,
    ) -> Option<CharityPayment> {
        let charity_number = proposal
            .charity_number
            .clone()
            .filter(|_| proposal.route != ResidualRoute::Returned)?;
        let owner = matter.account_name.clone();
        Some(CharityPayment {
            residual_id: residual.id,
            matter_ref: matter.matter_ref.clone(),
            owner: owner.unwrap_or_else(|| matter.account_ref.clone()),
            amount: residual.balance,
            charity: proposal.payee.clone(),
            charity_number,
            paid_on: self.because.not_before,
            route: proposal.route,
            sra_reference: residual.sra_reference.clone(),
            requested_by: proposal.requested_by.clone(),
            approved_by: self.because.actor.to_owned(),
        })
    }
}

fn payment<'p>(proposal: &'p Proposal, residual: &Residual) -> Payment<'p> {
    Payment {
        kind: match proposal.route {
            ResidualRoute::Returned => EntryKind::Returned,
            ResidualRoute::Charity | ResidualRoute::SraAuthorised => EntryKind::Charity,
        },
        amount: residual.balance,
        payee: &proposal.payee,
        disbursement: None,
        bank_account: &proposal.bank_account,
    }
}

/// Writes what one decision did.
pub(super) async fn record(
    tx: &mut Tx,
    left: &Left,
    prefix: &Prefix,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let paid = left.step == ResidualStep::PaidAway;
    let noted = Noted {
        step: left.step,
        detail: &left.detail,
        actor: &left.actor,
        now,
        decided_by: paid.then_some(left.actor.as_str()),
    };
    store::residuals::put(tx.conn(), &left.residual, &noted).await?;
    if let Some(entry) = &left.register {
        store::residuals::register(tx.conn(), entry, now).await?;
    }
    let because = Because {
        rule: contracts::allocation::Rule::Manual,
        reason: &left.reason,
        actor: &left.actor,
        now,
        not_before: left.not_before,
    };
    let teller = Teller {
        prefix,
        now,
        cause: &left.cause,
    };
    let told = client_money::write(tx.conn(), &left.held, &left.legal, &because, &teller).await?;
    tx.publish(&told).await
}
