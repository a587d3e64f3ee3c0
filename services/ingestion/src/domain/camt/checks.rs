//! Whether a statement agrees with itself: balances, currencies, totals.

use contracts::inbound::Direction;
use kernel::{Currency, Money};

use super::{
    Read, Reader,
    values::{decimal, excerpt},
};
use crate::domain::{
    line::{BankLine, LineStatus, Statement, signed},
    problem::Problem,
    proof,
};

/// `TxsSummry` of a statement: what the bank counted.
#[derive(Debug, Default)]
pub(super) struct Totals {
    all: Total,
    credits: Total,
    debits: Total,
    net: Option<(String, Option<Direction>)>,
    line: u64,
    path: String,
}

#[derive(Debug, Default)]
struct Total {
    count: Option<String>,
    sum: Option<String>,
}

impl Reader<'_> {
    pub(super) fn totals(&mut self) -> Read<Totals> {
        let mut totals = Totals {
            line: self.xml.line(),
            path: self.xml.path().to_owned(),
            ..Totals::default()
        };
        while self.xml.child()? {
            match self.xml.name() {
                "TtlNtries" => {
                    let mut net_amount = None;
                    let mut net_direction = None;
                    while self.xml.child()? {
                        match self.xml.name() {
                            "NbOfNtries" => totals.all.count = self.xml.optional_text()?,
                            "Sum" => totals.all.sum = self.xml.optional_text()?,
                            "TtlNetNtryAmt" => net_amount = self.xml.optional_text()?,
                            "CdtDbtInd" => net_direction = Some(self.direction()?),
                            "TtlNetNtry" => {
                                while self.xml.child()? {
                                    match self.xml.name() {
                                        "Amt" => net_amount = self.xml.optional_text()?,
                                        "CdtDbtInd" => net_direction = Some(self.direction()?),
                                        _ => self.xml.skip()?,
                                    }
                                }
                            }
                            _ => self.xml.skip()?,
                        }
                    }
                    totals.net = net_amount.map(|amount| (amount, net_direction));
                }
                "TtlCdtNtries" => totals.credits = self.total()?,
                "TtlDbtNtries" => totals.debits = self.total()?,
                _ => self.xml.skip()?,
            }
        }
        Ok(totals)
    }

    fn total(&mut self) -> Read<Total> {
        let mut total = Total::default();
        while self.xml.child()? {
            match self.xml.name() {
                "NbOfNtries" => total.count = self.xml.optional_text()?,
                "Sum" => total.sum = self.xml.optional_text()?,
                _ => self.xml.skip()?,
            }
        }
        Ok(total)
    }
}

/// Checks the statement's balances, totals and currencies, and notes what does
/// not agree.
pub(super) fn prove(statement: &mut Statement, signs_stated: bool, totals: Option<&Totals>) {
    let mut found = Vec::new();
    match proof::ties(statement.opening, statement.closing, &statement.lines) {
        Some(Ok(())) => statement.ties = Some(true),
        Some(Err(problem)) => {
            statement.ties = Some(false);
            found.push(problem);
        }
        None => {}
    }
    if statement.ties != Some(true) {
        // A proof that comes out settles the sign as well.
        if !signs_stated {
            found.push(Problem::new(
                "balance_sign_assumed",
                "a balance does not say whether it is a credit or a debit; credit was assumed",
            ));
        }
        if let Some(page) = statement.page
            && (page.number > 1 || !page.last)
        {
            found.push(Problem::new(
                "one_page_of_several",
                format!(
                    "this is page {}{} of the message; the other pages may hold what is missing",
                    page.number,
                    if page.last { ", the last," } else { "" }
                ),
            ));
        }
    }
    if let Some(currency) = statement.currency {
        let foreign = statement
            .lines
            .iter()
            .filter(|line| line.amount.currency() != currency)
            .count();
        if foreign > 0 {
            found.push(Problem::new(
                "entry_currency_differs",
                format!("{foreign} entries are not in the account's currency {currency}"),
            ));
        }
        if let Some(totals) = totals {
            found.extend(
                check_totals(totals, &statement.lines, currency)
                    .into_iter()
                    .map(|problem| problem.at_line(totals.line).at_path(totals.path.clone())),
            );
        }
    }
    statement.problems.extend(found);
}

/// Compares the bank's totals with all entries, else with the booked ones: banks
/// differ in what they count.
fn check_totals(totals: &Totals, lines: &[BankLine], currency: Currency) -> Vec<Problem> {
    let all = differences(totals, lines.iter(), currency);
    if all.is_empty() {
        return all;
    }
    let booked = lines
        .iter()
        .filter(|line| line.status == LineStatus::Booked);
    if differences(totals, booked, currency).is_empty() {
        return Vec::new();
    }
    all
}

fn differences<'l>(
    totals: &Totals,
    lines: impl Iterator<Item = &'l BankLine>,
    currency: Currency,
) -> Vec<Problem> {
    let zero = Money::zero(currency);
    let (mut credits, mut debits) = ((0_u64, zero), (0_u64, zero));
    for line in lines {
        let side = match line.direction {
            Direction::Credit => &mut credits,
            Direction::Debit => &mut debits,
        };
        side.0 += 1;
        match side.1.checked_add(line.amount) {
            Ok(sum) => side.1 = sum,
            // Entries in several currencies have no total to compare with.
            Err(_) => return Vec::new(),
        }
    }
    let mut found = Vec::new();
    let mut compare = |what: &str, total: &Total, count: u64, sum: Option<Money>| {
        if let Some(text) = &total.count
            && text.parse() != Ok(count)
        {
            found.push(Problem::new(
                "summary_count_differs",
                format!(
                    "the bank counts {} {what}, the file has {count}",
                    excerpt(text)
                ),
            ));
        }
        if let (Some(text), Some(sum)) = (&total.sum, sum)
            && decimal(text, currency) != Ok(sum)
        {
            found.push(Problem::new(
                "summary_sum_differs",
                format!(
                    "the bank sums {what} to {}, the file to {sum}",
                    excerpt(text)
                ),
            ));
        }
    };
    compare("credits", &totals.credits, credits.0, Some(credits.1));
    compare("debits", &totals.debits, debits.0, Some(debits.1));
    compare(
        "entries",
        &totals.all,
        credits.0 + debits.0,
        credits.1.checked_add(debits.1).ok(),
    );
    if let (Some((text, direction)), Ok(net)) = (&totals.net, credits.1.checked_sub(debits.1)) {
        let stated = decimal(text, currency).ok();
        let agrees = match direction {
            Some(direction) => stated.map(|amount| signed(amount, *direction)) == Some(net),
            None => stated == Some(net.abs()),
        };
        if !agrees {
            found.push(Problem::new(
                "summary_net_differs",
                format!("the bank nets to {}, the file to {net}", excerpt(text)),
            ));
        }
    }
    found
}
