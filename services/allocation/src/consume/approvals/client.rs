//! Client money that leaves, once a second person has decided: the way out of a
//! residual balance, and payments to the client, a third party or a supplier.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    Prefix,
    api::matters::{CharityPayment, MatterView},
    controls::{ApprovalState, CarriedOut, ClientPaymentId, ClientPaymentState},
    matters::{DisbursementStep, EntryKind, ResidualRoute, ResidualStep},
};
use kernel::{Classified as _, DisbursementId, MatterId, ResidualId};
use messaging::{Failure, Meta, Tx};
use sqlx::PgConnection;

use super::{Became, Counts, Desk, gone};
use crate::{
    consume::client_money::{self, Teller},
    domain::{
        ledger::Because,
        legal::{
            LegalChanges, Refused, Settings,
            client::{self, Held, Payment},
            disbursement::Disbursement,
            payment::ClientPayment,
            residual::{self, Proposal, Residual},
        },
    },
    serve::{disbursements, residuals::changed},
    store::{self, residuals::Noted},
};

/// The step of a disbursement whose supplier client money has paid.
const PAID: DisbursementStep = DisbursementStep::PaidByClient;

/// Matters and residual balances of a batch, locked.
#[derive(Default)]
pub(crate) struct Client {
    held: BTreeMap<MatterId, (Held, MatterView)>,
    residuals: BTreeMap<ResidualId, Residual>,
    payments: BTreeMap<ClientPaymentId, ClientPayment>,
    disbursements: BTreeMap<DisbursementId, Disbursement>,
    settings: Option<Settings>,
}

/// What one decision writes.
pub(crate) struct Left {
    subject: Subject,
    held: Held,
    legal: LegalChanges,
    actor: String,
    reason: String,
    not_before: NaiveDate,
    cause: Meta,
}

enum Subject {
    Residual {
        residual: Box<Residual>,
        step: ResidualStep,
        detail: String,
        register: Option<Box<CharityPayment>>,
    },
    /// With the disbursement that it paid.
    Payment(Box<ClientPayment>, Option<Box<Disbursement>>),
}

/// `on`: the day of the decisions, whose limits count.
pub(super) async fn load(
    conn: &mut PgConnection,
    ids: &[ResidualId],
    payments: &[ClientPaymentId],
    on: Option<NaiveDate>,
) -> Result<Client, Failure> {
    let mut client = Client::default();
    let Some(on) = on.filter(|_| !ids.is_empty() || !payments.is_empty()) else {
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
    for payment in store::client_payments::find(conn, payments).await? {
        matters.push(payment.matter);
    }
    matters.sort_unstable();
    matters.dedup();
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
    // Again under the locks of their matters.
    for payment in store::client_payments::find(conn, payments).await? {
        client.payments.insert(payment.id, payment);
    }
    let paid = client.payments.values().filter_map(|p| p.disbursement);
    let mut paid: Vec<DisbursementId> = paid.collect();
    paid.sort_unstable();
    for spent in store::disbursements::lock(conn, &paid).await? {
        client.disbursements.insert(spent.id, spent);
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
        let (step, detail, became) = if let Some(proposal) = approved {
            let amount = residual.balance;
            let payment = payment(&proposal, residual);
            let cause = self.decision.approval_id.as_uuid();
            client::pay(held, &mut legal, &payment, cause, &self.because).map_err(Failure::of)?;
            held.matter.version += 1;
            let detail = format!("{} paid to {}", amount.display_uk(), proposal.payee);
            register = self.charity(&proposal, residual, view);
            (
                ResidualStep::PaidAway,
                detail,
                Some((CarriedOut::Done, None)),
            )
        } else {
            residual::back(residual).map_err(Failure::of)?;
            let detail = match self.decision.state {
                ApprovalState::Approved => super::CHANGED,
                _ => self.because.reason,
            };
            (ResidualStep::Rejected, detail.to_owned(), self.ended())
        };
        let fact = changed(
            residual,
            &held.matter,
            step,
            self.because.actor,
            &detail,
            self.because.now,
        );
        self.tell(&fact, residual.id.as_uuid(), residual.version)?;
        let subject = Subject::Residual {
            residual: Box::new(residual.clone()),
            step,
            detail,
            register: register.map(Box::new),
        };
        self.left(subject, held, legal);
        Ok(became)
    }

    fn left(&mut self, subject: Subject, held: &Held, legal: LegalChanges) {
        self.written.client.push(Left {
            subject,
            held: held.clone(),
            legal,
            actor: self.because.actor.to_owned(),
            reason: self.because.reason.to_owned(),
            not_before: self.because.not_before,
            cause: self.cause.clone(),
        });
    }

    pub(super) fn client_payment(&mut self, client: &mut Client) -> Result<Became, Failure> {
        let Some(payment) = client.payments.get_mut(&self.decision.subject_id.into()) else {
            return Ok(self.unknown());
        };
        let Some((held, _)) = client.held.get_mut(&payment.matter) else {
            return Err(gone("the matter of a payment"));
        };
        let asked = payment.approval == self.decision.approval_id;
        let waits = asked && payment.state == ClientPaymentState::Requested;
        let done = asked && payment.state == ClientPaymentState::Paid;
        let mut legal = LegalChanges::default();
        let now = || payment.content(&held.matter.reference);
        let mut settled = None;
        let (state, became) = match self.counts(waits, done, now) {
            Counts::No(became) => return Ok(became),
            Counts::CarryOut => {
                let spent = payment.disbursement.map(|id| {
                    let spent = client.disbursements.get(&id).ok_or(Refused::NotPayable)?;
                    payment.settle(spent, &self.because)
                });
                match (spent.transpose(), payment.could(held, &self.because)) {
                    (Ok(spent), Ok(())) => {
                        payment
                            .pay(held, &mut legal, &self.because)
                            .map_err(Failure::of)?;
                        held.matter.version += 1;
                        settled = spent;
                        (ClientPaymentState::Paid, Some((CarriedOut::Done, None)))
                    }
                    // Less is held by now than when it was asked for, or the
                    // supplier is paid already.
                    _ => (ClientPaymentState::Voided, self.ended()),
                }
            }
            Counts::End(how) => {
                let state = match how {
                    ApprovalState::Rejected => ClientPaymentState::Rejected,
                    ApprovalState::Expired => ClientPaymentState::Expired,
                    _ => ClientPaymentState::Voided,
                };
                (state, self.ended())
            }
        };
        payment.state = state;
        payment.changed_at = self.because.now;
        if let Some(spent) = &settled {
            let (matter, on) = (&held.matter, self.because.not_before);
            let fact = disbursements::changed(spent, matter, PAID, on, None, &self.because);
            self.tell(&fact, spent.id.as_uuid(), spent.version)?;
            client.disbursements.insert(spent.id, spent.clone());
        }
        let subject = Subject::Payment(Box::new(payment.clone()), settled.map(Box::new));
        self.left(subject, held, legal);
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
    let because = Because {
        rule: contracts::allocation::Rule::Manual,
        reason: &left.reason,
        actor: &left.actor,
        now,
        not_before: left.not_before,
    };
    match &left.subject {
        Subject::Residual {
            residual,
            step,
            detail,
            register,
        } => {
            let paid = *step == ResidualStep::PaidAway;
            let noted = Noted {
                step: *step,
                detail,
                actor: &left.actor,
                now,
                decided_by: paid.then_some(left.actor.as_str()),
            };
            store::residuals::put(tx.conn(), residual, &noted).await?;
            if let Some(entry) = register {
                store::residuals::register(tx.conn(), entry, now).await?;
            }
        }
        Subject::Payment(payment, settled) => {
            store::client_payments::set(tx.conn(), payment).await?;
            if let Some(spent) = settled {
                let on = left.not_before;
                disbursements::put(tx.conn(), spent, PAID, on, None, &because).await?;
            }
        }
    }
    let teller = Teller {
        prefix,
        now,
        cause: &left.cause,
    };
    let told = client_money::write(tx.conn(), &left.held, &left.legal, &because, &teller).await?;
    tx.publish(&told).await
}
