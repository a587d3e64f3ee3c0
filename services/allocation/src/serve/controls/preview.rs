//! What a request for a second person would do now, for who is asked.

use contracts::{
    api::{
        Refusal,
        controls::{BeforeAfter, Check, Preview, PreviewApproval},
    },
    controls::{ApprovalKind, ClientPaymentId},
};
use kernel::{CommandId, Money, ResidualId, london_date};
use messaging::{Bus, Failure};

use super::{Act, refunds, small_balances, write_offs};
use crate::{
    domain::{ledger::Because, legal::residual},
    serve::matters::no_payment,
    store::{self, residuals::no_residual},
};

pub(crate) async fn preview(ask: PreviewApproval, bus: Bus) -> Result<Preview, Refusal> {
    // Rolled back when it is dropped: looking changes nothing.
    let (mut act, _) = Act::begin(&bus, CommandId::generate()).await?;
    Ok(match ask.kind {
        ApprovalKind::Refund => refund(&mut act, ask.subject_id.into()).await?,
        ApprovalKind::WriteOff => write_off(&mut act, ask.subject_id.into()).await?,
        ApprovalKind::SmallBalances => run(&mut act, ask.subject_id.into()).await?,
        ApprovalKind::ResidualBalance => residual(&mut act, ask.subject_id.into()).await?,
        ApprovalKind::ClientPayment => client_payment(&mut act, ask.subject_id.into()).await?,
        ApprovalKind::LimitChange | ApprovalKind::Credit => {
            return Err(Failure::not_found(
                "allocation.no_subject",
                "limits are worklist's, credits are disputes'",
            )
            .into());
        }
        ApprovalKind::MatchingRules => {
            return Err(Failure::not_found(
                "allocation.no_preview",
                "what rules would do differently is in their shadow report and their replay",
            )
            .into());
        }
        ApprovalKind::DunningRun
        | ApprovalKind::DunningTemplate
        | ApprovalKind::DunningPolicy
        | ApprovalKind::LegalReferral
        | ApprovalKind::CollectionRun
        | ApprovalKind::PolicyAssignment => {
            return Err(Failure::not_found(
                "allocation.no_subject",
                "what dunning asks for is not on the ledger",
            )
            .into());
        }
    })
}

fn check(passed: bool, detail: impl Into<String>) -> Check {
    Check {
        passed,
        detail: detail.into(),
    }
}

async fn refund(act: &mut Act, id: contracts::controls::RefundId) -> Result<Preview, Failure> {
    let (refund, receipt) = refunds::lock(act, id).await?;
    // The money is reserved already: what it would be without the refund.
    let before = match refund.reservation {
        Some(_) => receipt
            .unallocated
            .checked_add(refund.amount)
            .map_err(Failure::of)?,
        None => receipt.unallocated,
    };
    let after = before.checked_sub(refund.amount).map_err(Failure::of)?;
    let account = refund.payee.masked.as_deref().unwrap_or("unknown");
    let origin = receipt.payer_name.as_deref().unwrap_or("an unknown payer");
    let mut checks = vec![if refund.payee.to_source {
        check(
            true,
            format!("it goes back to the account that paid, {account} of {origin}"),
        )
    } else {
        check(
            false,
            format!("it goes to {account}, which is not the account that {origin} paid from"),
        )
    }];
    let since = act.now - refunds::ALIKE;
    let alike = store::refunds::alike(act.tx.conn(), &refund, since).await?;
    checks.push(if alike.is_empty() {
        check(
            true,
            "no other refund of this amount to this account in 90 days",
        )
    } else {
        check(
            false,
            format!(
                "{} more of this amount to this account in 90 days",
                alike.len()
            ),
        )
    });
    if store::refunds::may_be_taken_back(act.tx.conn(), receipt.id).await? {
        checks.push(check(
            false,
            "the bank may have taken this payment back: a debit waits for somebody to say so",
        ));
    }
    Ok(Preview {
        content: refund.content(),
        ledger: vec![BeforeAfter {
            what: format!(
                "Unallocated of the receipt of {}",
                receipt.amount.display_uk()
            ),
            before,
            after,
        }],
        checks,
    })
}

async fn write_off(act: &mut Act, id: contracts::controls::WriteOffId) -> Result<Preview, Failure> {
    let (found, books) = write_offs::lock(act, id).await?;
    let open = |line: &crate::domain::write_offs::Line| {
        books
            .items
            .get(&line.document)
            .map_or(line.open_then, |item| item.open)
    };
    let mut ledger = Vec::with_capacity(found.lines.len());
    let mut enough = true;
    for line in &found.lines {
        let before = open(line);
        let after = before.checked_sub(line.amount).map_err(Failure::of)?;
        enough &= !after.is_negative();
        ledger.push(BeforeAfter {
            what: format!("Open on {}", line.document_ref),
            before,
            after,
        });
    }
    let checks = vec![if enough {
        check(true, "no more is given up than is open")
    } else {
        check(false, "more would be given up than is open now")
    }];
    Ok(Preview {
        content: found.content(open),
        ledger,
        checks,
    })
}

async fn residual(act: &mut Act, id: ResidualId) -> Result<Preview, Failure> {
    let conn = act.tx.conn();
    let matter = store::residuals::matter_of(conn, id).await?;
    let matter = store::matters::view(conn, matter).await?;
    let residual = store::residuals::lock(conn, Some(id), None)
        .await?
        .ok_or_else(|| no_residual(id))?;
    let settings = store::matters::settings(conn, london_date(act.now)).await?;
    let checks = residual
        .proposal
        .as_ref()
        .map(|proposal| {
            let number = proposal.charity_number.as_deref();
            match residual::may_leave(&residual, proposal.route, number, &settings) {
                Ok(()) => check(true, "the rules for this way out are kept"),
                Err(refused) => check(false, refused.to_string()),
            }
        })
        .into_iter()
        .collect();
    Ok(Preview {
        content: residual::content(&residual, &matter.matter_ref),
        ledger: vec![BeforeAfter {
            what: format!("Held for the client on {}", matter.matter_ref),
            before: residual.balance,
            after: Money::zero(residual.balance.currency()),
        }],
        checks,
    })
}

async fn client_payment(act: &mut Act, id: ClientPaymentId) -> Result<Preview, Failure> {
    let conn = act.tx.conn();
    let found = store::client_payments::find(conn, &[id]).await?;
    let payment = found.first().ok_or_else(|| no_payment(id))?;
    let held = store::matters::lock(conn, payment.matter).await?;
    let before = held.balance(payment.amount.currency());
    let after = before.checked_sub(payment.amount).map_err(Failure::of)?;
    let mut checks = vec![if after.is_negative() {
        check(false, "less is held than shall be paid (SRA 5.3)")
    } else {
        check(true, "no more leaves than is held")
    }];
    if let Some(id) = payment.disbursement {
        let spent = store::disbursements::lock(act.tx.conn(), &[id]).await?;
        let because = Because {
            rule: contracts::allocation::Rule::Manual,
            reason: &payment.reason,
            actor: &payment.requester,
            now: act.now,
            not_before: london_date(act.now),
        };
        let settled = spent.first().map(|spent| payment.settle(spent, &because));
        checks.push(match settled {
            Some(Ok(_)) => check(true, "the supplier has not been paid yet"),
            _ => check(false, "the supplier has been paid already"),
        });
    }
    Ok(Preview {
        content: payment.content(&held.matter.reference),
        ledger: vec![BeforeAfter {
            what: format!("Held for the client on {}", held.matter.reference),
            before,
            after,
        }],
        checks,
    })
}

async fn run(
    act: &mut Act,
    id: contracts::controls::SmallBalanceRunId,
) -> Result<Preview, Failure> {
    let (run, ..) = small_balances::lock(act, id).await?;
    Ok(Preview {
        content: run.content(),
        ledger: vec![BeforeAfter {
            what: format!("{} small balances together", run.lines.len()),
            before: run.amount,
            after: Money::zero(run.amount.currency()),
        }],
        checks: Vec::new(),
    })
}
