//! Statements by run: what stands on the statement of an account, what of it is
//! asked for now, and who gets none and why. Pure.
//!
//! A statement moves no stage and needs no policy: an item stands as it is, with
//! what takes off it. The same is worked out for a proposal and again at the
//! moment of sending.

use std::{collections::BTreeMap, sync::LazyLock};

use chrono::{Datelike as _, Days, NaiveDate};
use contracts::dunning::{Channel, ChaseReason, HoldKind, RunKind, StatementExclusion};
use kernel::{Currency, DocumentId, Money, MoneyError};
use serde::Deserialize;

use super::{
    chase::{self, ChaseError, Contacting, Position, Verdict},
    joint::{self, Joint},
    policy::{Amounts, Debtor, Policies},
    run::{Line as RunLine, OfStatement},
};

/// How late a line is, in days: the last band is open.
pub const BANDS: [(&str, i64); 5] = [
    ("Not due", 0),
    ("1–30 days", 30),
    ("31–60 days", 60),
    ("61–90 days", 90),
    ("Over 90 days", i64::MAX),
];

/// How often there is a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    Week,
    Month,
}

impl Period {
    /// Its first day.
    pub fn of(self, day: NaiveDate) -> NaiveDate {
        match self {
            Self::Week => day
                .checked_sub_days(Days::new(day.weekday().num_days_from_monday().into()))
                .unwrap_or(day),
            Self::Month => day.with_day(1).unwrap_or(day),
        }
    }
}

/// What decides who gets one: `data/statements.toml` has what each word means.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    pub valid_from: NaiveDate,
    pub source: String,
    pub period: Period,
    pub red_days: i64,
    pub red_in_a_row: u32,
    pub red_in_budget: bool,
    pub plain_in_budget: bool,
    pub channels: Vec<Channel>,
    pub minimum: Amounts,
    pub net_segments: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    rules: Vec<Rules>,
}

static RULES: LazyLock<Vec<Rules>> = LazyLock::new(|| {
    let read = toml::from_str::<Tables>(include_str!("../../data/statements.toml"));
    read.map_or_else(|_| Vec::new(), |tables| tables.rules)
});

impl Rules {
    /// Those of a day; of a day before all, the first.
    pub fn on(day: NaiveDate) -> Option<&'static Self> {
        let newest = RULES
            .iter()
            .filter(|rules| rules.valid_from <= day)
            .max_by_key(|rules| rules.valid_from);
        newest.or_else(|| RULES.iter().min_by_key(|rules| rules.valid_from))
    }

    /// Whether one of a kind counts in the contact budget.
    pub const fn in_budget(&self, kind: RunKind) -> bool {
        match kind {
            RunKind::RedStatement => self.red_in_budget,
            RunKind::Statement | RunKind::Reminders => self.plain_in_budget,
        }
    }

    /// Whether such a debtor pays net of commission and credits.
    pub fn is_net(&self, segment: Option<&str>) -> bool {
        let is = |one: &String| segment.is_some_and(|has| one.eq_ignore_ascii_case(has));
        self.net_segments.iter().any(is)
    }

    fn least(&self, currency: Currency) -> rust_decimal::Decimal {
        self.minimum.get(&currency).copied().unwrap_or_default()
    }
}

/// A credit note that is not used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credit {
    pub document: DocumentId,
    pub document_ref: String,
    pub issued_on: NaiveDate,
    /// Below nothing.
    pub open: Money,
}

/// An account with all that decides what its statement says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub position: Position,
    pub credits: Vec<Credit>,
    /// When each document was issued.
    pub issued: BTreeMap<DocumentId, NaiveDate>,
    /// There was one of the kind for the period.
    pub had_one: bool,
    /// Another open run has one for them.
    pub in_run: bool,
    /// An address came back, or they opted out of a way.
    pub was_shut: bool,
    /// The last statements that were sent, so many in a row, had something overdue.
    pub in_a_row: u32,
}

/// Of which day a statement is, and what is known at this moment.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub kind: RunKind,
    /// Lateness is counted to it, and what was issued after it is left off.
    pub as_at: NaiveDate,
    /// Stops count as they are on it.
    pub today: NaiveDate,
    pub feed_age_hours: Option<u32>,
}

/// A document on a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub document: DocumentId,
    pub document_ref: String,
    pub issued_on: NaiveDate,
    pub due_on: NaiveDate,
    /// Nothing or less before its day.
    pub days_late: i64,
    /// Below nothing for a credit note.
    pub open: Money,
    /// What is overdue of it, and asked for.
    pub due_now: Money,
    /// What takes off it, and why: with what is due now, or not due yet, it comes
    /// to what is open.
    pub parts: Vec<(ChaseReason, Money)>,
    /// What it is as a whole.
    pub reason: ChaseReason,
    pub hold: Option<HoldKind>,
}

impl Line {
    pub fn is_overdue(&self) -> bool {
        self.days_late > 0 && self.open.is_positive()
    }

    /// What is open of it, asked for, and not due yet.
    fn not_due(&self) -> Result<Money, MoneyError> {
        let mut left = self.open;
        if self.is_overdue() || !self.open.is_positive() {
            return Ok(Money::zero(left.currency()));
        }
        for (_, part) in &self.parts {
            left = left.checked_sub(*part)?;
        }
        Ok(left)
    }
}

/// What a statement comes to in one currency. What is open of debts is what is
/// due now, not due yet, and held for a reason; with the credits it is the balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    pub debts: Money,
    /// Nothing or less.
    pub credits: Money,
    pub due_now: Money,
    pub not_due: Money,
    pub held: BTreeMap<ChaseReason, Money>,
}

impl Totals {
    fn none(currency: Currency) -> Self {
        let zero = Money::zero(currency);
        Self {
            debts: zero,
            credits: zero,
            due_now: zero,
            not_due: zero,
            held: BTreeMap::new(),
        }
    }

    /// # Errors
    /// When it overflows.
    pub fn balance(&self) -> Result<Money, MoneyError> {
        self.debts.checked_add(self.credits)
    }

    fn add(&mut self, line: &Line) -> Result<(), MoneyError> {
        if line.open.is_positive() {
            self.debts = self.debts.checked_add(line.open)?;
        } else {
            self.credits = self.credits.checked_add(line.open)?;
        }
        self.due_now = self.due_now.checked_add(line.due_now)?;
        self.not_due = self.not_due.checked_add(line.not_due()?)?;
        for (reason, part) in &line.parts {
            let held = self
                .held
                .entry(*reason)
                .or_insert_with(|| Money::zero(part.currency()));
            *held = held.checked_add(*part)?;
        }
        Ok(())
    }
}

/// The statement of an account, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worked {
    pub kind: RunKind,
    pub lines: Vec<Line>,
    pub totals: BTreeMap<Currency, Totals>,
    pub excluded: Option<StatementExclusion>,
    /// Absent when it is excluded.
    pub channel: Option<Channel>,
}

/// What lines come to, by currency.
///
/// # Errors
/// When a sum overflows.
pub fn totals(lines: &[Line]) -> Result<BTreeMap<Currency, Totals>, MoneyError> {
    let mut totals = BTreeMap::new();
    for line in lines {
        let currency = line.open.currency();
        totals
            .entry(currency)
            .or_insert_with(|| Totals::none(currency))
            .add(line)?;
    }
    Ok(totals)
}

/// Everybody who has a statement of an account, with what it is to them: one without
/// a debtor where it owes alone (E97).
pub fn each(holder: &Holder) -> Vec<(Option<&Joint>, Holder)> {
    joint::each(&holder.position)
        .into_iter()
        .map(|(debtor, seen)| {
            let position = seen.into_owned();
            (
                debtor,
                Holder {
                    position,
                    ..holder.clone()
                },
            )
        })
        .collect()
}

/// Works out the statement of an account: of one that several owe, the first of those
/// who get one. None is the reason only where nobody gets one.
///
/// # Errors
/// When amounts overflow, or a hold's effect is not known.
pub fn work_out(
    holder: &Holder,
    policies: &Policies,
    rules: &Rules,
    asked: Asked,
) -> Result<Worked, ChaseError> {
    let mut known: Option<Worked> = None;
    if !holder.position.debtors.is_empty() {
        for (_, holder) in each(holder) {
            let worked = alone(&holder, policies, rules, asked)?;
            if worked.excluded.is_none() {
                return Ok(worked);
            }
            if known
                .as_ref()
                .is_none_or(|known| known.excluded < worked.excluded)
            {
                known = Some(worked);
            }
        }
    }
    match known {
        Some(known) => Ok(known),
        None => alone(holder, policies, rules, asked),
    }
}

/// Works out the statement of an account as it stands to one debtor.
///
/// # Errors
/// When amounts overflow, or a hold's effect is not known.
pub fn alone(
    holder: &Holder,
    policies: &Policies,
    rules: &Rules,
    asked: Asked,
) -> Result<Worked, ChaseError> {
    let position = &holder.position;
    let (mut lines, mut by_person) = (Vec::new(), false);
    for item in &position.items {
        let issued_on = holder.issued.get(&item.document).copied();
        let issued_on = issued_on.unwrap_or(item.due_on);
        if issued_on > asked.as_at {
            continue;
        }
        let standing = chase::standing(item, &position.stops, asked.today)?;
        by_person |= standing.by_person;
        let days_late = (asked.as_at - item.due_on).num_days();
        let zero = Money::zero(item.open.currency());
        let (reason, hold) = match standing.blocked {
            Some((reason, hold, _)) => (reason, hold),
            None if days_late <= 0 => (ChaseReason::NotDue, None),
            None if standing.suspected => (ChaseReason::SuspectedQuery, None),
            None => (ChaseReason::ChaseNow, None),
        };
        lines.push(Line {
            document: item.document,
            document_ref: item.document_ref.clone(),
            issued_on,
            due_on: item.due_on,
            days_late,
            open: item.open,
            due_now: if days_late > 0 {
                standing.chaseable
            } else {
                zero
            },
            parts: standing.parts,
            reason,
            hold,
        });
    }
    let all = totals(&lines)?;
    let credits: Vec<Line> = holder
        .credits
        .iter()
        .filter(|credit| credit.issued_on <= asked.as_at)
        .map(|credit| Line {
            document: credit.document,
            document_ref: credit.document_ref.clone(),
            issued_on: credit.issued_on,
            due_on: credit.issued_on,
            days_late: 0,
            open: credit.open,
            due_now: Money::zero(credit.open.currency()),
            parts: Vec::new(),
            reason: ChaseReason::CreditUnused,
            hold: None,
        })
        .collect();
    let mut with_credits = all.clone();
    for credit in &credits {
        let currency = credit.open.currency();
        with_credits
            .entry(currency)
            .or_insert_with(|| Totals::none(currency))
            .add(credit)?;
    }
    let excluded = excluded(
        holder,
        &lines,
        &with_credits,
        by_person,
        policies,
        rules,
        asked,
    )?;
    let channel = way(position, rules);
    let totals = match asked.kind {
        RunKind::RedStatement => {
            lines.retain(Line::is_overdue);
            totals(&lines)?
        }
        RunKind::Statement | RunKind::Reminders => {
            lines.extend(credits);
            with_credits
        }
    };
    Ok(Worked {
        kind: asked.kind,
        lines,
        totals,
        channel: channel.filter(|_| excluded.is_none()),
        excluded,
    })
}

/// Whether a letter or an e-mail reaches them, and they want it.
pub fn reaches(position: &Position, channel: Channel) -> bool {
    matches!(channel, Channel::Email | Channel::Letter)
        && chase::reaches(channel, position, false)
        && !position.opted_out.contains(&channel)
}

/// The first way that reaches them and that they want.
fn way(position: &Position, rules: &Rules) -> Option<Channel> {
    let mut channels = rules.channels.iter().copied();
    channels.find(|channel| reaches(position, *channel))
}

/// Why there is none: the first that holds.
fn excluded(
    holder: &Holder,
    lines: &[Line],
    totals: &BTreeMap<Currency, Totals>,
    by_person: bool,
    policies: &Policies,
    rules: &Rules,
    asked: Asked,
) -> Result<Option<StatementExclusion>, ChaseError> {
    let position = &holder.position;
    let red = asked.kind == RunKind::RedStatement;
    let mut balances = Vec::with_capacity(totals.len());
    for sums in totals.values() {
        balances.push((sums.balance()?, sums.due_now));
    }
    if !balances.iter().any(|(balance, _)| balance.is_positive()) {
        return Ok(Some(StatementExclusion::NothingOwed));
    }
    let all = |reasons: &[ChaseReason]| lines.iter().all(|line| reasons.contains(&line.reason));
    if all(&[ChaseReason::WithLegal]) {
        return Ok(Some(StatementExclusion::WithLegal));
    }
    if all(&[ChaseReason::OnHold, ChaseReason::WithLegal]) {
        return Ok(Some(StatementExclusion::OnHold));
    }
    if by_person {
        return Ok(Some(StatementExclusion::OnlyByPerson));
    }
    let is_asked = |line: &&Line| line.due_now.is_positive();
    let could: Vec<&Line> = lines
        .iter()
        .filter(|line| !red || line.is_overdue())
        .collect();
    if red && could.is_empty() {
        return Ok(Some(StatementExclusion::NothingOverdue));
    }
    let stands =
        |line: &&&Line| line.due_now.is_positive() || (!red && line.reason == ChaseReason::NotDue);
    if !could.iter().any(|line| stands(&line)) {
        let in_query = could.iter().all(|line| line.reason == ChaseReason::InQuery);
        return Ok(Some(if in_query {
            StatementExclusion::OnlyInQuery
        } else {
            StatementExclusion::NothingAskedFor
        }));
    }
    let ripe = holder.in_a_row >= rules.red_in_a_row
        || lines
            .iter()
            .filter(is_asked)
            .any(|line| line.days_late >= rules.red_days);
    if red && !ripe {
        return Ok(Some(StatementExclusion::NotRedYet));
    }
    let enough = |(balance, due_now): &(Money, Money)| {
        let amount = if red { due_now } else { balance };
        amount.is_positive() && amount.amount() >= rules.least(amount.currency())
    };
    if !balances.iter().any(enough) {
        return Ok(Some(StatementExclusion::BelowMinimum));
    }
    if holder.had_one {
        return Ok(Some(StatementExclusion::HadOne));
    }
    if holder.in_run {
        return Ok(Some(StatementExclusion::InRun));
    }
    let debtor = Debtor {
        account_ref: &position.account_ref,
        parent_ref: position.parent_ref.as_deref(),
        kind: position.kind,
        segment: position.segment.as_deref(),
    };
    let policy = policies.choose(debtor, asked.today);
    let stale = |hours: u32| asked.feed_age_hours.is_some_and(|age| age > hours);
    if policy.is_some_and(|policy| stale(policy.feed_fresh_hours)) {
        return Ok(Some(StatementExclusion::FeedStale));
    }
    if way(position, rules).is_none() {
        return Ok(Some(if holder.was_shut {
            StatementExclusion::WayShut
        } else {
            StatementExclusion::NoAddress
        }));
    }
    let spent = policy.is_some_and(|policy| {
        chase::recent(position, policy, asked.today).len() >= policy.budget.contacts as usize
    });
    if rules.in_budget(asked.kind) && spent {
        return Ok(Some(StatementExclusion::ContactedRecently));
    }
    Ok(None)
}

/// The template of a kind, which is the stage of its contact too.
pub const fn template(kind: RunKind) -> &'static str {
    match kind {
        RunKind::RedStatement => "red_statement",
        RunKind::Statement | RunKind::Reminders => "statement",
    }
}

impl Worked {
    /// What it says together: red what is due now, else the balance.
    ///
    /// # Errors
    /// When a sum overflows.
    pub fn amounts(&self) -> Result<Vec<Money>, MoneyError> {
        let mut amounts = Vec::with_capacity(self.totals.len());
        for sums in self.totals.values() {
            let amount = match self.kind {
                RunKind::RedStatement => sums.due_now,
                RunKind::Statement | RunKind::Reminders => sums.balance()?,
            };
            if !amount.is_zero() {
                amounts.push(amount);
            }
        }
        Ok(amounts)
    }

    /// Whether anything of it is overdue and asked for.
    pub fn has_overdue(&self) -> bool {
        self.lines.iter().any(|line| line.due_now.is_positive())
    }

    /// Sums by age: red of what is due now, else of what is open.
    ///
    /// # Errors
    /// When a sum overflows.
    pub fn ageing(&self) -> Result<Vec<(&'static str, Money)>, MoneyError> {
        let mut bands: BTreeMap<(Currency, usize), Money> = BTreeMap::new();
        for line in &self.lines {
            let amount = match self.kind {
                RunKind::RedStatement => line.due_now,
                RunKind::Statement | RunKind::Reminders => line.open,
            };
            let band = BANDS.iter().position(|(_, until)| line.days_late <= *until);
            let sum = bands
                .entry((amount.currency(), band.unwrap_or(BANDS.len() - 1)))
                .or_insert_with(|| Money::zero(amount.currency()));
            *sum = sum.checked_add(amount)?;
        }
        Ok(bands
            .into_iter()
            .filter_map(|((_, band), amount)| Some((BANDS.get(band)?.0, amount)))
            .collect())
    }

    /// Leaves only what was approved, and of each document at most so much as
    /// was: open, and due now.
    ///
    /// # Errors
    /// When a sum overflows.
    pub fn limit(
        &mut self,
        approved: &BTreeMap<DocumentId, (Money, Money)>,
    ) -> Result<(), MoneyError> {
        let mut kept = Vec::with_capacity(self.lines.len());
        for mut line in std::mem::take(&mut self.lines) {
            let Some((_, due_now)) = approved.get(&line.document) else {
                continue;
            };
            // More became due since: it was not approved, and stands as not asked.
            if due_now.currency() == line.due_now.currency()
                && due_now.amount() < line.due_now.amount()
            {
                let over = line.due_now.checked_sub(*due_now)?;
                line.due_now = *due_now;
                line.parts.push((ChaseReason::Waiting, over));
            }
            kept.push(line);
        }
        self.lines = kept;
        self.totals = totals(&self.lines)?;
        Ok(())
    }

    /// As it stands in a run.
    ///
    /// # Errors
    /// When a sum overflows.
    pub fn line(
        &self,
        position: &Position,
        in_name_of: Option<String>,
    ) -> Result<RunLine, MoneyError> {
        let contact = match self.channel {
            Some(channel) => Some(Contacting {
                stage: template(self.kind).to_owned(),
                rank: 0,
                template: template(self.kind).to_owned(),
                channel,
                by_person: false,
                amounts: self.amounts()?,
            }),
            None => None,
        };
        Ok(RunLine {
            account: position.account,
            account_ref: position.account_ref.clone(),
            policy: None,
            contact,
            verdicts: self
                .lines
                .iter()
                .map(|line| Verdict {
                    document: line.document,
                    reason: line.reason,
                    hold: line.hold,
                    chaseable: line.due_now,
                    from: None,
                    to: None,
                    next_on: None,
                })
                .collect(),
            statement: Some(OfStatement {
                opens: self.lines.iter().map(|line| line.open).collect(),
                overdue: self.lines.iter().map(Line::is_overdue).collect(),
                excluded: self.excluded,
                in_name_of,
            }),
        })
    }
}
