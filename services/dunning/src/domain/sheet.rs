//! The table of a statement as it is read: lines, what they come to, and by age.
//! The same on paper, in an e-mail's text and in its HTML.

use chrono::NaiveDate;
use contracts::dunning::{ChaseReason, RunKind};
use kernel::{Money, MoneyError};

use super::{
    statement::{Line, Totals, Worked},
    template::Line as Item,
};

/// What stands above the columns.
pub const HEAD: [&str; 6] = ["Document", "Issued", "Due", "Overdue", "Amount", "Due now"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// In the order of [`HEAD`].
    pub cells: [String; 6],
    pub overdue: bool,
    /// Why not all of it is asked for.
    pub note: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    pub title: String,
    pub amount: String,
    /// What it all comes to.
    pub strong: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    pub red: bool,
    pub rows: Vec<Row>,
    pub sums: Vec<Sum>,
    /// Titles and amounts.
    pub ageing: Vec<(String, String)>,
}

fn short(day: NaiveDate) -> String {
    day.format("%-d %b %Y").to_string()
}

/// A reason in the words of a letter to whom it is about: nothing of what is known
/// about them beside.
const fn words(reason: ChaseReason, net: bool) -> &'static str {
    match reason {
        ChaseReason::InQuery | ChaseReason::SuspectedQuery => "in query",
        ChaseReason::Promised => "promised",
        ChaseReason::OnPlan => "on a payment plan",
        ChaseReason::DirectDebitWillCollect => "will be collected by Direct Debit",
        ChaseReason::CashLikelyTheirs => "payments received, being matched",
        ChaseReason::CreditUnused if net => "commission and credit notes",
        ChaseReason::CreditUnused => "credit notes",
        ChaseReason::WithLegal => "with our solicitors",
        ChaseReason::NotDue => "not due yet",
        _ => "not asked for now",
    }
}

fn note(line: &Line, net: bool) -> String {
    if line.open.is_negative() {
        return String::new();
    }
    let all = |part: &Money| *part == line.open;
    let parts: Vec<String> = line
        .parts
        .iter()
        .map(|(reason, part)| {
            let words = words(*reason, net);
            if all(part) {
                words.to_owned()
            } else {
                format!("{} {words}", part.display_uk())
            }
        })
        .collect();
    parts.join(", ")
}

fn row(line: &Line, net: bool) -> Row {
    let overdue = line.is_overdue();
    let credit = line.open.is_negative();
    Row {
        cells: [
            line.document_ref.clone(),
            short(line.issued_on),
            if credit {
                "credit".to_owned()
            } else {
                short(line.due_on)
            },
            if overdue {
                format!(
                    "{} day{}",
                    line.days_late,
                    if line.days_late == 1 { "" } else { "s" }
                )
            } else {
                String::new()
            },
            line.open.display_uk(),
            if line.due_now.is_positive() {
                line.due_now.display_uk()
            } else {
                "–".to_owned()
            },
        ],
        overdue,
        note: note(line, net),
    }
}

/// From what is open to what is due now: each line takes off, or puts back.
fn sums(kind: RunKind, totals: &Totals, net: bool, into: &mut Vec<Sum>) -> Result<(), MoneyError> {
    let mut put = |title: String, amount: Money, strong: bool| {
        into.push(Sum {
            title,
            amount: amount.display_uk(),
            strong,
        });
    };
    let red = kind == RunKind::RedStatement;
    let zero = Money::zero(totals.debts.currency());
    let mut credits = totals.credits;
    if red {
        put("Overdue in all".to_owned(), totals.debts, false);
    } else if totals.credits.is_zero() {
        put("Balance of the account".to_owned(), totals.balance()?, true);
    } else {
        put("Open in all".to_owned(), totals.debts, false);
        let title = if net {
            "Less commission and credit notes"
        } else {
            "Less credit notes"
        };
        put(title.to_owned(), totals.credits, false);
        put("Balance of the account".to_owned(), totals.balance()?, true);
    }
    for (reason, held) in &totals.held {
        // On a plain one the credit notes stand in the balance already.
        if !red && *reason == ChaseReason::CreditUnused {
            credits = credits.checked_add(*held)?;
            continue;
        }
        put(
            format!("Less {}", words(*reason, net)),
            zero.checked_sub(*held)?,
            false,
        );
    }
    if !totals.not_due.is_zero() {
        put(
            "Less not due yet".to_owned(),
            zero.checked_sub(totals.not_due)?,
            false,
        );
    }
    if !red && !credits.is_zero() {
        put(
            "Credit that is not set against these".to_owned(),
            zero.checked_sub(credits)?,
            false,
        );
    }
    put("Total due now".to_owned(), totals.due_now, true);
    Ok(())
}

/// # Errors
/// When a sum overflows.
pub fn sheet(worked: &Worked, net: bool) -> Result<Sheet, MoneyError> {
    let mut all = Vec::new();
    for totals in worked.totals.values() {
        sums(worked.kind, totals, net, &mut all)?;
    }
    Ok(Sheet {
        red: worked.kind == RunKind::RedStatement,
        rows: worked.lines.iter().map(|line| row(line, net)).collect(),
        sums: all,
        ageing: worked
            .ageing()?
            .into_iter()
            .map(|(title, amount)| (title.to_owned(), amount.display_uk()))
            .collect(),
    })
}

/// The documents that a text may name.
pub fn items(worked: &Worked) -> Vec<Item> {
    let red = worked.kind == RunKind::RedStatement;
    worked
        .lines
        .iter()
        .filter(|line| !red || line.due_now.is_positive())
        .map(|line| Item {
            document_ref: line.document_ref.clone(),
            due_on: line.due_on,
            amount: if red { line.due_now } else { line.open }.display_uk(),
        })
        .collect()
}

impl Sheet {
    /// In plain text.
    pub fn text(&self) -> String {
        use std::fmt::Write as _;
        let mut out = String::new();
        for row in &self.rows {
            let [document, issued, due, late, amount, due_now] = &row.cells;
            let _ = write!(out, "  {document}   issued {issued}   due {due}   {amount}");
            if row.overdue {
                let _ = write!(out, "   ▲ overdue {late}");
            }
            if !row.note.is_empty() {
                let _ = write!(out, "   ({})", row.note);
            }
            let _ = writeln!(out, "   due now: {due_now}");
        }
        out.push('\n');
        for sum in &self.sums {
            let _ = writeln!(out, "  {}: {}", sum.title, sum.amount);
        }
        out.push('\n');
        for (title, amount) in &self.ageing {
            let _ = writeln!(out, "  {title}: {amount}");
        }
        out
    }

    /// In HTML; `escaped` makes text harmless. What is overdue is in red, has a
    /// mark, and says so.
    pub fn html(&self, escaped: impl Fn(&str) -> String) -> String {
        use std::fmt::Write as _;
        let mut out = String::from("<table cellpadding=\"4\"><tr>");
        for (n, title) in HEAD.iter().enumerate() {
            let align = if n > 3 { "right" } else { "left" };
            let _ = write!(out, "<th align=\"{align}\">{title}</th>");
        }
        out.push_str("</tr>\n");
        for row in &self.rows {
            out.push_str("<tr>");
            for (n, cell) in row.cells.iter().enumerate() {
                let cell = escaped(cell);
                let _ = match n {
                    3 if row.overdue => write!(
                        out,
                        "<td style=\"color:#a00000\"><strong>▲ overdue {cell}</strong></td>"
                    ),
                    0 if !row.note.is_empty() => {
                        write!(
                            out,
                            "<td>{cell}<br><small>{}</small></td>",
                            escaped(&row.note)
                        )
                    }
                    4.. => write!(out, "<td align=\"right\">{cell}</td>"),
                    _ => write!(out, "<td>{cell}</td>"),
                };
            }
            out.push_str("</tr>\n");
        }
        for sum in &self.sums {
            let (title, amount) = (escaped(&sum.title), escaped(&sum.amount));
            let _ = if sum.strong {
                writeln!(
                    out,
                    "<tr><th align=\"left\" colspan=\"5\">{title}</th><th align=\"right\">{amount}</th></tr>"
                )
            } else {
                writeln!(
                    out,
                    "<tr><td colspan=\"5\">{title}</td><td align=\"right\">{amount}</td></tr>"
                )
            };
        }
        out.push_str("</table>\n<table cellpadding=\"4\"><tr>");
        for (title, _) in &self.ageing {
            let _ = write!(out, "<th align=\"right\">{}</th>", escaped(title));
        }
        out.push_str("</tr><tr>");
        for (_, amount) in &self.ageing {
            let _ = write!(out, "<td align=\"right\">{}</td>", escaped(amount));
        }
        out.push_str("</tr></table>\n");
        out
    }
}
