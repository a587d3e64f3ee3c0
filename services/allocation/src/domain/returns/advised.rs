//! Returns that reports of Bacs tell, beside the bank lines that take the money.
//!
//! One return is told twice: by an item of a report (whose payment, and why) and
//! on the statement (that the money is gone), there perhaps together with all
//! items of the report, and in either order. Whichever of the two finds the
//! payment first takes it back; the other one is paired with it and moves
//! nothing more. An item takes the money into an account of its own, out of which
//! the bank's line clears it, so that after both the books are the same, whatever
//! came first:
//!
//! | | debit | credit |
//! |---|---|---|
//! | the item re-opens what the payment paid | unallocated cash | returns in transit |
//! | the bank's line is paired with it | returns in transit | bank |
//! | the bank's line came first | unallocated cash | bank |
//!
//! An item of a claim (DDICA) moves nothing before the bank's line has come: then
//! it is an item like the others.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    allocation::{AdvisedBy, DebitState, Evidence},
    ingestion::{ReturnAdvised, ReturnReport},
};
use kernel::{AllocationId, DebitId, Division, Money, MoneyError, ReceiptId, WorkingCalendar};

use super::{Debit, Fit, Role, Standing, same_name};
use crate::domain::{
    Books, Receipt,
    data::rows_between,
    evidence::{keys, say},
};

const CALENDAR: WorkingCalendar = WorkingCalendar::new(Division::EnglandWales);

/// What a report says of a return beside what a bank line has too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advised {
    pub report: ReturnReport,
    pub service_user: String,
    pub original_on: Option<NaiveDate>,
    pub claim: Option<String>,
    /// How many items the report has of the account, and what they come to.
    pub items: i32,
    pub total: Money,
    pub challenge_by: Option<NaiveDate>,
    pub expected_on: Option<NaiveDate>,
}

/// How the bank's line follows a report.
#[derive(Debug, Clone, Copy)]
struct Timing {
    from: u32,
    until: u32,
    challenge: Option<u32>,
    taken: Option<u32>,
}

struct TimingRow {
    report: &'static str,
    valid_from: NaiveDate,
    timing: Timing,
}

// A row that is none is left out and caught by the tests: production code must
// not panic over its own data.
static TIMINGS: LazyLock<Vec<TimingRow>> = LazyLock::new(|| {
    rows_between(include_str!("bacs.csv"), ';')
        .filter_map(|row| timing_row(&row))
        .collect()
});

fn timing_row(row: &[&'static str]) -> Option<TimingRow> {
    let [report, valid_from, from, until, challenge, taken] = row else {
        return None;
    };
    let days = |text: &str| match text {
        "" => Some(None),
        days => days.parse().ok().map(Some),
    };
    Some(TimingRow {
        report,
        valid_from: valid_from.parse().ok()?,
        timing: Timing {
            from: from.parse().ok()?,
            until: until.parse().ok()?,
            challenge: days(challenge)?,
            taken: days(taken)?,
        },
    })
}

fn timing(report: ReturnReport, on: NaiveDate) -> Option<Timing> {
    TIMINGS
        .iter()
        .filter(|row| row.report == report.name() && row.valid_from <= on)
        .max_by_key(|row| row.valid_from)
        .map(|row| row.timing)
}

fn after(day: NaiveDate, working_days: u32) -> Option<NaiveDate> {
    CALENDAR.add_working_days(day, working_days).ok()
}

fn before(day: NaiveDate, working_days: u32) -> Option<NaiveDate> {
    CALENDAR.sub_working_days(day, working_days).ok()
}

impl Debit {
    /// An item of ARUDD or DDICA as ingestion tells it; `None` for a credit that
    /// came back.
    pub fn of_item(fact: &ReturnAdvised, now: DateTime<Utc>) -> Option<Self> {
        let claimed = match fact.report {
            ReturnReport::Arudd => false,
            ReturnReport::Ddica => true,
            ReturnReport::Arucs => return None,
        };
        let timing = timing(fact.report, fact.reported_on);
        let taken = timing.and_then(|timing| timing.taken);
        let challenge = timing.and_then(|timing| timing.challenge);
        let expected_on = fact
            .expected_on
            .or_else(|| after(fact.reported_on, taken?))
            .filter(|_| claimed);
        // Counted back from the day that is certain, where the report gives one.
        let challenge_by = match fact.expected_on {
            Some(on) => before(
                on,
                taken.unwrap_or(0).saturating_sub(challenge.unwrap_or(0)),
            ),
            None => challenge.and_then(|days| after(fact.reported_on, days)),
        };
        let reference = fact.reference.trim();
        Some(Self {
            id: DebitId::from(fact.record_id.as_uuid()),
            version: 1,
            state: match (claimed, fact.withdrawn) {
                (false, _) => DebitState::Unmatched,
                (true, false) => DebitState::Expected,
                (true, true) => DebitState::Withdrawn,
            },
            // Empty while nobody knows: the line of a claim will say.
            bank_account: fact.bank_account.clone().unwrap_or_default(),
            bank_reference: None,
            booked_on: fact.reported_on,
            amount: fact.amount,
            scheme: Some(if claimed { "ddic" } else { "dd_return" }.to_owned()),
            code: Some(fact.code.clone()),
            counterparty_name: fact.payer_name.clone(),
            counterparty_account: fact.payer_account.clone(),
            narrative: reference.to_owned(),
            end_to_end_id: None,
            mandate_reference: (!reference.is_empty()).then(|| reference.to_owned()),
            receipt: None,
            shortfall: None,
            candidates: Vec::new(),
            reopened: Vec::new(),
            item: Some(Advised {
                report: fact.report,
                service_user: fact.service_user_number.clone(),
                original_on: fact.original_on,
                claim: fact.claim.clone(),
                items: fact.items,
                total: fact.total,
                challenge_by: challenge_by.filter(|_| claimed),
                expected_on,
            }),
            pair: None,
            evidence: Vec::new(),
            recorded_at: now,
        })
    }

    /// What is told of the report.
    pub fn advised_by(&self) -> Option<AdvisedBy> {
        let item = self.item.as_ref()?;
        Some(AdvisedBy {
            report: item.report,
            reported_on: self.booked_on,
            reference: self.narrative.clone(),
            original_on: item.original_on,
            challenge_by: item.challenge_by,
            expected_on: item.expected_on,
        })
    }

    /// The days on which the payment of an item may have been booked: a collection
    /// is on the account one working day after its processing day, and a claim
    /// gives the day itself.
    pub fn collected(&self) -> (NaiveDate, NaiveDate) {
        let item = self.item.as_ref();
        let day = item.and_then(|item| {
            let original = item.original_on?;
            match item.report {
                ReturnReport::Ddica => Some(original),
                _ => after(original, 1),
            }
        });
        match day {
            Some(day) => (day, day),
            None => (NaiveDate::MIN, self.booked_on),
        }
    }
}

/// How well `receipt` fits an item, if it is this one payment.
pub(super) fn fit(
    debit: &Debit,
    item: &Advised,
    receipt: &Receipt,
    standing: &Standing,
) -> Result<Option<Fit>, MoneyError> {
    let (from, until) = debit.collected();
    let of_day = |day| (from..=until).contains(&day);
    if receipt.bank_account != debit.bank_account
        || receipt.amount != debit.amount
        || !(of_day(receipt.booked_on) || of_day(receipt.value_on))
    {
        return Ok(None);
    }
    let left = receipt
        .amount
        .checked_sub(standing.returned(receipt.amount)?)?;
    if debit.amount.checked_cmp(left)?.is_gt() {
        return Ok(None);
    }
    let same = |a: &Option<String>, b: &Option<String>| {
        let (a, b) = (a.as_deref()?, b.as_deref()?);
        Some(a.trim().eq_ignore_ascii_case(b.trim()))
    };
    let mandate = same(&debit.mandate_reference, &receipt.detail.mandate_reference);
    let account = same(&debit.counterparty_account, &receipt.payer_account);
    if mandate == Some(false) || account == Some(false) {
        return Ok(None);
    }
    let mut evidence = Vec::new();
    let mut sure = mandate == Some(true);
    if sure {
        evidence.push(say("mandate", true, "the same reference as the payment"));
    }
    if account == Some(true) {
        evidence.push(say(
            "payer_account",
            true,
            "the same bank account as the payment",
        ));
    }
    let said = keys([debit.narrative.as_str()]);
    let paid = keys([receipt.narrative.as_str()]);
    if mandate.is_none() && said.iter().any(|key| paid.contains(key)) {
        sure = true;
        evidence.push(say(
            "reference",
            true,
            "the payment has the item's reference",
        ));
    }
    if same_name(
        debit.counterparty_name.as_deref(),
        receipt.payer_name.as_deref(),
    ) {
        evidence.push(say("payer_name", true, "the same name as the payment"));
    }
    if evidence.is_empty() {
        return Ok(None);
    }
    if item.original_on.is_some() {
        evidence.push(say("day", true, "the day of the payment"));
    }
    evidence.push(say("amount", true, "the amount of the payment"));
    Ok(Some(Fit {
        receipt: receipt.id,
        sure,
        evidence,
    }))
}

/// A collection that the bank booked as one receipt, as far as an item of it
/// says which of its lines comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// No collection of that day is that big.
    None,
    /// Only a person can tell which lines.
    Unclear(Vec<ReceiptId>),
    Lines(ReceiptId, Vec<AllocationId>, Vec<Evidence>),
}

/// Of which receipt for many payments the item is a part. Its lines are known by
/// the item's reference: it names their account or the one document. They must
/// come to the item's amount exactly.
///
/// # Errors
/// When amounts overflow.
pub fn part<'r>(
    debit: &Debit,
    candidates: impl IntoIterator<Item = (&'r Receipt, &'r Standing)>,
    books: &Books,
) -> Result<Part, MoneyError> {
    let (from, until) = debit.collected();
    let reference = folded(&debit.narrative);
    let mut unclear = Vec::new();
    let mut clear = Vec::new();
    for (receipt, standing) in candidates {
        let accounts: BTreeSet<_> = standing.lines.iter().map(|line| line.account_id).collect();
        let of_day = (from..=until).contains(&receipt.booked_on);
        let many = receipt.detail.mandate_reference.is_none()
            && receipt.payer_account.is_none()
            && accounts.len() > 1;
        if !of_day
            || !many
            || receipt.bank_account != debit.bank_account
            || receipt.amount.currency() != debit.amount.currency()
            || !receipt.amount.checked_cmp(debit.amount)?.is_gt()
        {
            continue;
        }
        unclear.push(receipt.id);
        if reference.is_empty() {
            continue;
        }
        let of_payer: Vec<_> = standing
            .lines
            .iter()
            .filter(|line| {
                let item = books.items.get(&line.document_id);
                folded(&line.document_ref) == reference
                    || item.is_some_and(|item| folded(&item.account_ref) == reference)
            })
            .collect();
        let currency = debit.amount.currency();
        let all = Money::sum(of_payer.iter().map(|line| line.amount), currency)?;
        let one: Vec<_> = of_payer
            .iter()
            .filter(|line| line.amount == debit.amount)
            .collect();
        if all == debit.amount && !of_payer.is_empty() {
            let lines = of_payer.iter().map(|line| line.allocation_id).collect();
            clear.push((receipt.id, lines));
        } else if let [one] = one.as_slice() {
            clear.push((receipt.id, vec![one.allocation_id]));
        }
    }
    Ok(match (clear.pop(), clear.is_empty(), unclear.is_empty()) {
        (Some((receipt, lines)), true, _) => Part::Lines(
            receipt,
            lines,
            vec![
                say(
                    "reference",
                    true,
                    "the reference names what these lines pay",
                ),
                say("amount", true, "the lines come to the amount of the item"),
            ],
        ),
        (_, _, true) => Part::None,
        _ => Part::Unclear(unclear),
    })
}

fn folded(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .collect()
}

/// Whether a bank line is on the item's account, on a day on which the item's
/// money may be taken.
fn is_in_time(line: &Debit, debit: &Debit, item: &Advised) -> bool {
    if !(debit.bank_account.is_empty() || debit.bank_account == line.bank_account)
        || line.amount.currency() != debit.amount.currency()
    {
        return false;
    }
    let Some(timing) = timing(item.report, debit.booked_on) else {
        return false;
    };
    let day = item.expected_on.unwrap_or(debit.booked_on);
    before(day, timing.from).is_some_and(|from| from <= line.booked_on)
        && after(day, timing.until).is_some_and(|until| line.booked_on <= until)
}

/// Whether it may be the line of an item's report: also by what kind of line it
/// is.
fn may_be_of(line: &Debit, debit: &Debit, item: &Advised) -> bool {
    if !is_in_time(line, debit, item) {
        return false;
    }
    match (line.policy().role, line.scheme.as_deref()) {
        (Role::Return, Some(scheme)) if Some(scheme) == debit.scheme.as_deref() => true,
        // A line of another kind must say that it is of this report.
        (Role::Ours, _) | (Role::Return, Some("card" | "cheque_return" | "dd_return" | "ddic")) => {
            false
        }
        _ => {
            let text = folded(&line.narrative);
            let named = |part: &str| part.len() >= 6 && text.contains(part);
            named(&folded(&item.service_user)) || named(&folded(&debit.narrative))
        }
    }
}

/// Whether nothing that both a line and an item say contradicts, and how much
/// agrees.
fn agreement(line: &Debit, debit: &Debit) -> Option<usize> {
    let pairs = [
        (&line.counterparty_account, &debit.counterparty_account),
        (&line.mandate_reference, &debit.mandate_reference),
        (&line.code, &debit.code),
    ];
    let mut agreed = 0;
    for (a, b) in pairs {
        if let (Some(a), Some(b)) = (a, b) {
            if !a.trim().eq_ignore_ascii_case(b.trim()) {
                return None;
            }
            agreed += 1;
        }
    }
    let text = folded(&line.narrative);
    let reference = folded(&debit.narrative);
    agreed += usize::from(reference.len() >= 6 && text.contains(&reference));
    agreed += usize::from(same_name(
        line.counterparty_name.as_deref(),
        debit.counterparty_name.as_deref(),
    ));
    Some(agreed)
}

/// Whether an item has not met its bank line.
pub fn is_open(debit: &Debit) -> bool {
    debit.item.is_some()
        && debit.pair.is_none()
        && matches!(
            debit.state,
            DebitState::Unmatched | DebitState::Returned | DebitState::Expected
        )
}

/// The items that an unsettled bank line is of: the one that fits best, or all of
/// one report. When another line of the amount, without marks, was taken for the
/// one that this line's marks name, it is of any of them. Which of several unpaid items with the same marks makes no
/// difference to the books; of claims it does, because the claim is only now
/// taken: then a person decides.
///
/// # Errors
/// When amounts overflow.
pub fn items_of<'d>(
    line: &Debit,
    open: impl Iterator<Item = &'d Debit> + Clone,
) -> Result<Vec<DebitId>, MoneyError> {
    let spent = open.clone().any(|debit| {
        let item = debit.item.as_ref().filter(|_| debit.pair.is_some());
        debit.amount == line.amount
            && item.is_some_and(|item| is_in_time(line, debit, item))
            && agreement(line, debit).is_some_and(|agreed| agreed > 0)
    });
    let mut single: Vec<(usize, &Debit)> = Vec::new();
    let mut groups: BTreeMap<Group<'_>, Vec<&Debit>> = BTreeMap::new();
    for debit in open {
        let Some(item) = debit.item.as_ref().filter(|_| is_open(debit)) else {
            continue;
        };
        if !may_be_of(line, debit, item) {
            continue;
        }
        // What claims take depends on which it is.
        let any = (spent && debit.state != DebitState::Expected).then_some(0);
        if debit.amount == line.amount
            && let Some(agreed) = agreement(line, debit).or(any)
        {
            single.push((agreed, debit));
        }
        groups
            .entry(Group::of(debit, item, false))
            .or_default()
            .push(debit);
        if item.claim.is_some() {
            groups
                .entry(Group::of(debit, item, true))
                .or_default()
                .push(debit);
        }
    }
    let best = single.iter().map(|(agreed, _)| *agreed).max();
    single.retain(|(agreed, _)| Some(*agreed) == best);
    single.sort_by_key(|(_, debit)| (debit.booked_on, debit.id));
    if let Some((_, first)) = single.first() {
        let moves = single
            .iter()
            .any(|(_, debit)| debit.state == DebitState::Expected);
        if moves && single.len() > 1 {
            return Ok(Vec::new());
        }
        return Ok(vec![first.id]);
    }
    // A line that names one payer is not the line of many.
    if line.counterparty_account.is_some() || line.mandate_reference.is_some() {
        return Ok(Vec::new());
    }
    let mut whole = Vec::new();
    for (group, members) in groups {
        let amounts = members.iter().map(|debit| debit.amount);
        let total = Money::sum(amounts, line.amount.currency())?;
        let told = members.iter().filter_map(|debit| debit.item.as_ref());
        let told = told.map(|item| item.items).max().unwrap_or(0);
        // All that the report has must be here: a part may come to the amount by
        // chance. Of a claim with several collections nobody says how many.
        let complete =
            group.claim.is_some() || i32::try_from(members.len()).is_ok_and(|count| count >= told);
        if members.len() > 1 && complete && total == line.amount {
            whole.push(members);
        }
    }
    Ok(match whole.as_slice() {
        [members] => members.iter().map(|debit| debit.id).collect(),
        _ => Vec::new(),
    })
}

/// Items that the bank may book as one line.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group<'d> {
    report: ReturnReport,
    service_user: &'d str,
    bank_account: &'d str,
    reported_on: NaiveDate,
    claim: Option<&'d str>,
}

impl<'d> Group<'d> {
    fn of(debit: &'d Debit, item: &'d Advised, by_claim: bool) -> Self {
        Self {
            report: item.report,
            service_user: &item.service_user,
            bank_account: &debit.bank_account,
            reported_on: debit.booked_on,
            claim: item.claim.as_deref().filter(|_| by_claim),
        }
    }
}

/// Whether `line` took back the payment of `receipt` on its own, and that is the
/// return of which the item tells: then the item adds why, and moves nothing.
///
/// # Errors
/// When amounts overflow.
pub fn is_told_of(debit: &Debit, line: &Debit, receipt: &Receipt) -> Result<bool, MoneyError> {
    let Some(item) = &debit.item else {
        return Ok(false);
    };
    if line.item.is_some()
        || line.state != DebitState::Returned
        || line.pair.is_some()
        || line.amount != debit.amount
        || !is_in_time(line, debit, item)
        || agreement(line, debit).is_none()
    {
        return Ok(false);
    }
    let mut of_line = debit.clone();
    of_line.bank_account.clone_from(&line.bank_account);
    Ok(fit(&of_line, item, receipt, &Standing::default())?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_read() {
        assert_eq!(
            TIMINGS.len(),
            rows_between(include_str!("bacs.csv"), ';').count()
        );
    }
}
