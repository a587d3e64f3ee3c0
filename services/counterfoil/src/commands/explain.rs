//! `counterfoil explain`: from the bank line to the figure on the page.

use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use contracts::{
    allocation::MatchScore,
    api::{
        PageRequest,
        allocation::TraceReceipt,
        disputes::{CaseKey, GetCase},
        ingestion::GetReceiptOrigin,
        reporting::{AccountKey, GetAccount, GetTimeline, TraceProjection},
    },
};
use kernel::ReceiptId;

use super::print_json;
use crate::{Context, client::Client};

#[derive(Args)]
pub(crate) struct Explain {
    what: What,
    /// A receipt's id; an account's or a case's id or reference.
    id: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    Receipt,
    Account,
    Case,
}

impl Explain {
    pub(crate) async fn run(self, mut context: Context) -> anyhow::Result<()> {
        let client = Client::connect(&mut context).await?;
        match self.what {
            What::Receipt => receipt(&context, &client, self.id.parse()?).await,
            What::Account => account(&context, &client, &self.id).await,
            What::Case => case(&context, &client, &self.id).await,
        }
    }
}

fn at(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S%.3fZ").to_string()
}

fn weighed(score: MatchScore) -> String {
    let parts = score
        .parts()
        .map(|(what, points)| format!("{} {points}", what.to_lowercase()));
    format!("{} of 1000 ({})", score.total, parts.join(", "))
}

async fn receipt(context: &Context, client: &Client, receipt_id: ReceiptId) -> anyhow::Result<()> {
    let origin = client.ask(&GetReceiptOrigin { receipt_id }).await?;
    let trace = client.ask(&TraceReceipt { receipt_id }).await?;
    let projection = client.ask(&TraceProjection { receipt_id }).await?;
    if context.json {
        return print_json(&serde_json::json!({
            "bank_line": origin, "ledger": trace, "projection": projection,
        }));
    }
    println!("bank line");
    println!(
        "  {} booked {} on {}, by {}",
        origin.amount, origin.booked_on, origin.bank_account, origin.source
    );
    if let (Some(file), Some(statement)) = (&origin.file_name, &origin.bank_statement_id) {
        println!(
            "  line {} of statement {statement} in {file}",
            origin.line.unwrap_or_default()
        );
    }
    if let Some(message) = &origin.message_id {
        println!("  message {message}");
    }
    println!(
        "  payer {}, text `{}`",
        origin.payer_name.as_deref().unwrap_or("unknown"),
        origin.narrative
    );
    println!("  recorded {}", at(origin.recorded_at));
    println!(
        "  trace {}",
        origin.trace_id.as_deref().unwrap_or("unknown")
    );

    let receipt = &trace.detail.receipt;
    println!("receipt {}", receipt.receipt_id);
    println!(
        "  {} of {} unallocated, {}, version {}, recorded {}",
        receipt.unallocated,
        receipt.amount,
        receipt.state.name(),
        receipt.version,
        at(receipt.recorded_at)
    );
    let decision = &trace.detail.decision;
    println!("decision: rule {}", decision.rule.name());
    for evidence in &decision.evidence {
        println!(
            "  {} {}: {}",
            if evidence.supports { "✔" } else { "✖" },
            evidence.kind,
            evidence.detail
        );
    }
    if let Some(runner_up) = &decision.runner_up {
        println!("  runner-up: {runner_up}");
    }
    if let Some(would) = &decision.would_have_matched {
        println!("  {would}");
    }
    if let Some(score) = &decision.score {
        println!("  score {}", weighed(*score));
    }
    if let Some(score) = &decision.runner_up_score {
        println!(
            "  runner-up {}, {} behind",
            weighed(*score),
            decision.gap.unwrap_or_default()
        );
    }
    if let Some(advice) = &decision.remittance_id {
        println!("  remittance advice {advice}");
    }
    for suggestion in &trace.detail.suggestions {
        let lines: Vec<_> = suggestion
            .lines
            .iter()
            .map(|l| format!("{} {}", l.amount, l.document_ref))
            .collect();
        println!(
            "  suggestion {} ({}): {}",
            suggestion.rank,
            suggestion.confidence,
            lines.join(", ")
        );
        if let Some(score) = &suggestion.score {
            println!(
                "    score {}, {} behind the best",
                weighed(*score),
                suggestion.behind.unwrap_or_default()
            );
        }
        for evidence in &suggestion.evidence {
            println!(
                "    {} {}: {}",
                if evidence.supports { "✔" } else { "✖" },
                evidence.kind,
                evidence.detail
            );
        }
        if let Some(would) = &suggestion.would_have_matched {
            println!("    {would}");
        }
    }
    for past in &trace.past_decisions {
        println!(
            "decided before, version {}: rule {}{}",
            past.version,
            past.decision.rule.name(),
            past.decision
                .score
                .map(|score| format!(", score {}", weighed(score)))
                .unwrap_or_default()
        );
        for evidence in &past.decision.evidence {
            println!(
                "  {} {}: {}",
                if evidence.supports { "✔" } else { "✖" },
                evidence.kind,
                evidence.detail
            );
        }
    }
    println!("allocation");
    for allocation in &trace.detail.allocations {
        println!(
            "  {} {} to {}, from {}, {} by {} at {}{}{}",
            allocation.line.allocation_id,
            allocation.line.amount,
            allocation.line.document_ref,
            allocation.line.effective_on,
            allocation.rule.name(),
            allocation.actor,
            at(allocation.recorded_at),
            if allocation.undone { ", undone" } else { "" },
            allocation
                .line
                .contra_of
                .map(|of| format!(", contra of {of}"))
                .unwrap_or_default(),
        );
    }
    for adjustment in &trace.detail.adjustments {
        println!(
            "  {} {} off {} without cash: {}, from {}",
            adjustment.adjustment_id,
            adjustment.amount,
            adjustment.document_ref,
            adjustment.kind.name(),
            adjustment.effective_on
        );
    }
    for outflow in &trace.detail.outflows {
        println!(
            "  {} {} {}, from {}",
            outflow.outflow_id,
            outflow.amount,
            outflow.kind.name(),
            outflow.effective_on
        );
    }
    for debit in &trace.debits {
        let reason = debit.meaning.as_deref().or(debit.code.as_deref());
        let by = match &debit.advised {
            Some(item) => format!("as told by {}", item.report.name().to_uppercase()),
            None => "by the bank".to_owned(),
        };
        println!(
            "  {} of {} {} {by}{}{}",
            debit.amount,
            debit.booked_on,
            debit.state.name(),
            reason
                .map(|reason| format!(": {reason}"))
                .unwrap_or_default(),
            debit
                .shortfall
                .map(|missing| format!("; {missing} had been refunded before"))
                .unwrap_or_default(),
        );
    }
    println!("journal");
    for entry in &trace.journal {
        println!(
            "  {} Dr {} / Cr {} {}, from {}, recorded {}",
            entry.entry_id,
            entry.debit,
            entry.credit,
            entry.amount,
            entry.effective_on,
            at(entry.recorded_at)
        );
    }
    println!("published");
    for event in &trace.events {
        println!(
            "  {} {} at {}, trace {}",
            event.event_id,
            event.event_type,
            if event.published {
                at(event.recorded_at)
            } else {
                "(on its way)".into()
            },
            event.trace_id.as_deref().unwrap_or("unknown")
        );
    }
    println!("projection");
    println!(
        "  version {}, {}, {} unallocated",
        projection.version,
        projection.state.name(),
        projection.unallocated
    );
    for movement in &projection.movements {
        println!(
            "  {} {} (event {})",
            at(movement.recorded_at),
            movement.summary,
            movement.event_id
        );
    }
    Ok(())
}

async fn account(context: &Context, client: &Client, id: &str) -> anyhow::Result<()> {
    let account = id
        .parse()
        .map_or_else(|_| AccountKey::Ref(id.to_owned()), AccountKey::Id);
    let view = client.ask(&GetAccount { account }).await?;
    let timeline = client
        .ask(&GetTimeline {
            account_id: view.account_id,
            page: PageRequest::default(),
        })
        .await?;
    if context.json {
        return print_json(&serde_json::json!({ "account": view, "timeline": timeline }));
    }
    println!("{} {}", view.account_ref, view.name);
    for balance in &view.balances {
        println!(
            "  balance {}: {} open, {} overdue, {} unallocated",
            balance.balance, balance.open, balance.overdue, balance.unallocated
        );
    }
    for entry in &timeline.items {
        println!(
            "  {} {} by {} (event {})",
            at(entry.recorded_at),
            entry.summary,
            entry.actor,
            entry.event_id
        );
    }
    Ok(())
}

async fn case(context: &Context, client: &Client, id: &str) -> anyhow::Result<()> {
    let key = id
        .parse()
        .map_or_else(|_| CaseKey::Ref(id.to_owned()), CaseKey::Id);
    let detail = client.ask(&GetCase { case: key }).await?;
    if context.json {
        return print_json(&detail);
    }
    let case = &detail.case;
    println!(
        "{} {} of {} {}, {}, {} not chased",
        case.case_ref,
        case.kind.name(),
        case.account_ref,
        case.account_name,
        case.state.name(),
        case.disputed
    );
    println!(
        "  from {} (cause {}), reason {}, raised {}",
        detail.origin,
        detail.cause,
        case.reason_code.as_deref().unwrap_or("unknown"),
        at(case.raised_at)
    );
    for item in &detail.items {
        println!(
            "  {} original {}: {} in question, {} paid, {} credited, {} cleared, {} written off, {} owed again",
            item.item.document_ref,
            item.item.original,
            item.in_question,
            item.item.paid,
            item.item.credited,
            item.item.cleared,
            item.item.written_off,
            item.released
        );
    }
    for credit in &detail.credits {
        println!(
            "  credit {} of {} {}{}",
            credit.amount,
            credit.document_ref,
            credit.state.name(),
            credit
                .answered_by
                .as_deref()
                .map(|by| format!(", by {by}"))
                .unwrap_or_default()
        );
    }
    println!("history");
    for step in &detail.history {
        println!(
            "  {} {}. {} by {}, then {}: {}",
            at(step.at),
            step.version,
            step.step,
            step.actor,
            step.to.name(),
            step.detail
        );
    }
    Ok(())
}
