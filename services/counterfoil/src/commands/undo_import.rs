//! `counterfoil undo-import`: takes back all that was allocated by itself of the
//! receipts that a file brought; looked at first. What a person has decided stays.

use std::collections::BTreeMap;

use anyhow::bail;
use clap::Args;
use contracts::api::{
    PageRequest,
    ingestion::ListImportReceipts,
    workbench::{AutomaticReceipt, ListAutomatic, UndoTogether},
};
use kernel::{CommandId, Currency, ImportId, Money};
use serde::Serialize;

use super::print_json;
use crate::{
    Context,
    client::{Client, actor},
};

#[derive(Args)]
pub(crate) struct UndoImport {
    import: ImportId,
    /// Why; without it, only shows what would be taken back.
    #[arg(long)]
    reason: Option<String>,
}

/// What of an import was allocated by itself and stands, or was taken back.
#[derive(Serialize)]
struct Report {
    import_id: ImportId,
    receipts: usize,
    lines: u32,
    totals: Vec<Money>,
    /// Whether it was only looked at.
    preview: bool,
    /// Receipts that could not be taken back, and why.
    refused: Vec<String>,
}

fn report(
    import_id: ImportId,
    found: &[AutomaticReceipt],
    preview: bool,
) -> anyhow::Result<Report> {
    let mut sums: BTreeMap<&str, (Currency, Vec<Money>)> = BTreeMap::new();
    for receipt in found {
        let currency = receipt.amount.currency();
        sums.entry(currency.code())
            .or_insert((currency, Vec::new()))
            .1
            .push(receipt.amount);
    }
    let sums = sums.into_values();
    let totals = sums.map(|(currency, amounts)| Money::sum(amounts, currency));
    Ok(Report {
        import_id,
        receipts: found.len(),
        lines: found.iter().map(|receipt| receipt.lines).sum(),
        totals: totals.collect::<Result<_, _>>()?,
        preview,
        refused: Vec::new(),
    })
}

impl UndoImport {
    pub(crate) async fn run(self, mut context: Context) -> anyhow::Result<()> {
        let client = Client::connect(&mut context).await?;
        let found = automatic(&client, self.import).await?;
        let Some(reason) = self.reason else {
            let report = report(self.import, &found, true)?;
            return tell(&report, context.json);
        };
        let mut done = Vec::with_capacity(found.len());
        let mut refused = Vec::new();
        for receipt in found {
            let command = UndoTogether {
                command_id: CommandId::generate(),
                receipt_id: receipt.receipt_id,
                allocation_ids: Vec::new(),
                run: None,
                automatic: true,
                cause: None,
                actor: actor(),
                reason: reason.clone(),
            };
            match client.ask(&command).await {
                Ok(_) => done.push(receipt),
                Err(refusal) => refused.push(format!("{}: {refusal}", receipt.receipt_id)),
            }
        }
        let failed = refused.len();
        let report = Report {
            refused,
            ..report(self.import, &done, false)?
        };
        tell(&report, context.json)?;
        if failed > 0 {
            bail!("{failed} receipts could not be taken back");
        }
        Ok(())
    }
}

/// The receipts of an import that paid something by themselves.
async fn automatic(client: &Client, import_id: ImportId) -> anyhow::Result<Vec<AutomaticReceipt>> {
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let page = PageRequest {
            cursor,
            limit: Some(PageRequest::MAX),
        };
        let ids = client.ask(&ListImportReceipts { import_id, page }).await?;
        for some in ids.items.chunks(ListAutomatic::MAX) {
            let ask = ListAutomatic {
                receipt_ids: some.to_vec(),
            };
            found.extend(client.ask(&ask).await?.receipts);
        }
        cursor = ids.next_cursor;
        if cursor.is_none() {
            return Ok(found);
        }
    }
}

fn tell(report: &Report, json: bool) -> anyhow::Result<()> {
    if json {
        return print_json(report);
    }
    let totals: Vec<String> = report.totals.iter().map(|m| m.display_uk()).collect();
    let what = if report.preview {
        "would be taken back (give a --reason to do it)"
    } else {
        "taken back"
    };
    println!(
        "{} receipts with {} lines, {}: {what}",
        report.receipts,
        report.lines,
        if totals.is_empty() {
            "nothing".to_owned()
        } else {
            totals.join(" ")
        }
    );
    for refused in &report.refused {
        eprintln!("{refused}");
    }
    Ok(())
}
