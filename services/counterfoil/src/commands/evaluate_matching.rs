//! `counterfoil evaluate-matching`: the real decision core over a labelled
//! corpus. Precision is the gate, rate is the score; both are printed, over all
//! and per note of the truth.
//!
//! The core sees what it would see in production: documents from the day that
//! they are issued, receipts in the order of the file. What is not posted
//! automatically is settled as the truth says before the next receipt, as a
//! person would do it.
//!
//! Remittance advice (`remittances.jsonl`) is seen from its `received_on`, or
//! from its date. One that comes after its receipt makes the core look again,
//! as the service does, before the person does.

mod twins;

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufRead as _, Write as _},
    path::{Path, PathBuf},
    time::Instant,
};

use allocation::domain::{
    Advice, Books, Edge, Item, Receipt, arrival,
    ladder::{self, Verdict},
    name_key, payer, reference_key, remittance,
    rules::{Live, Rulebook, Settled},
};
use anyhow::{Context as _, bail};
use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use contracts::{
    allocation::Rule,
    inbound::{BankReceipt, DocumentKind, Remittance},
    ingestion::DocumentRecorded,
    rules::{RuleScope, RuleSet},
};
use ingestion::domain::inbound;
use kernel::{
    AccountId, AccountNumber, BankAccount, Currency, DocumentId, Money, RemittanceId, SortCode,
};
use rust_decimal::Decimal;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Context;

#[derive(Args)]
pub(crate) struct EvaluateMatching {
    /// Holds `accounts.csv`, `documents.csv`, `receipts.jsonl`, `truth.jsonl`
    /// and, if there is any, `remittances.jsonl`.
    directory: PathBuf,
    /// Where every decision is written; `decisions.jsonl` in the directory
    /// unless told otherwise.
    #[arg(long, value_name = "FILE")]
    decisions: Option<PathBuf>,
    /// Within the matching rules of this file; as shipped unless told otherwise.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
}

#[derive(Deserialize)]
struct AccountRow {
    account_ref: String,
    name: String,
    sort_code: Option<String>,
    account_number: Option<String>,
}

#[derive(Deserialize)]
struct DocumentRow {
    document_ref: String,
    kind: DocumentKind,
    account_ref: String,
    issued_on: NaiveDate,
    due_on: NaiveDate,
    gross: String,
    currency: String,
    payment_reference: Option<String>,
}

#[derive(Deserialize)]
struct ReceiptRow {
    id: String,
    #[serde(flatten)]
    receipt: BankReceipt,
}

#[derive(Deserialize)]
struct AdviceRow {
    /// Its date unless told otherwise.
    received_on: Option<NaiveDate>,
    #[serde(flatten)]
    remittance: Remittance,
}

#[derive(Deserialize)]
struct TruthRow {
    receipt: String,
    #[serde(default)]
    allocations: Vec<TruthLine>,
    /// What a person would do with a receipt that must not be posted
    /// automatically.
    #[serde(default)]
    intended: Vec<TruthLine>,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Deserialize)]
struct TruthLine {
    document: String,
    amount: Decimal,
}

/// Documents with amounts, in the order of the documents: comparable.
type Lines = BTreeMap<String, Decimal>;

fn lines(of: &[TruthLine]) -> Lines {
    let mut lines = Lines::new();
    for line in of {
        *lines.entry(line.document.clone()).or_default() += line.amount;
    }
    lines
}

/// What was counted, over all receipts or over those of one note.
#[derive(Default)]
struct Score {
    receipts: u64,
    auto: u64,
    auto_correct: u64,
    /// Of them, because of an advice that came after the receipt.
    auto_late: u64,
    lines: u64,
    auto_lines: u64,
    auto_lines_correct: u64,
    value: Decimal,
    auto_value: Decimal,
    /// Left to a person, who has something to do.
    left: u64,
    top1: u64,
    top3: u64,
    /// Of them, those whose answer has a twin: see [`twins`].
    with_twin: u64,
    twin_top1: u64,
    twin_top3: u64,
    /// Shown first: not the answer, but a twin of it.
    first_is_twin: u64,
    /// What drawing lots among the twins would find at first, on average.
    by_lot: f64,
}

impl Score {
    fn to_json(&self, seconds: Option<f64>) -> Value {
        let share = |part: u64, of: u64| (of > 0).then(|| rounded(part as f64 / of as f64));
        let value = (!self.value.is_zero()).then(|| (self.auto_value / self.value).round_dp(4));
        let mut figures = json!({
            "receipts": self.receipts,
            "auto": self.auto,
            "auto_correct": self.auto_correct,
            "auto_by_late_advice": self.auto_late,
            "left_with_an_answer": self.left,
            "precision": share(self.auto_correct, self.auto),
            "auto_rate": share(self.auto, self.receipts),
            "line_precision": share(self.auto_lines_correct, self.auto_lines),
            "line_auto_rate": share(self.auto_lines_correct, self.lines),
            "value_auto_rate": value.and_then(|share| share.to_string().parse::<f64>().ok()),
            "suggest_top1": share(self.top1, self.left),
            "suggest_top3": share(self.top3, self.left),
            "left_with_a_twin": self.with_twin,
            "suggest_top1_without_twins": share(self.top1 - self.twin_top1, self.left - self.with_twin),
            "suggest_top3_without_twins": share(self.top3 - self.twin_top3, self.left - self.with_twin),
            "suggest_top1_or_a_twin": share(self.top1 + self.first_is_twin, self.left),
            "suggest_top1_of_twins": share(self.twin_top1, self.with_twin),
            "suggest_top1_of_twins_by_lot":
                (self.with_twin > 0).then(|| rounded(self.by_lot / self.with_twin as f64)),
        });
        if let (Some(seconds), Some(figures)) = (seconds, figures.as_object_mut()) {
            figures.insert("seconds".into(), rounded(seconds).into());
        }
        figures
    }
}

/// More digits than these are noise; so many are needed to see one in 100,000.
fn rounded(figure: f64) -> f64 {
    (figure * 1e6).round() / 1e6
}

impl EvaluateMatching {
    pub(crate) fn run(&self, context: &Context) -> anyhow::Result<()> {
        let mut ledger = Ledger::read(&self.directory)?;
        if let Some(file) = &self.rules {
            // Whomever they are for: all of the corpus is.
            let rules = RuleSet {
                scope: RuleScope::Ledger,
                valid_from: NaiveDate::MIN,
                ..super::rules::read(file)?
            };
            ledger.books.rules = Rulebook::new([Live { version: 1, rules }]);
        }
        let truth: HashMap<String, TruthRow> = json_lines(&self.directory.join("truth.jsonl"))?
            .into_iter()
            .map(|row: TruthRow| (row.receipt.clone(), row))
            .collect();
        let receipts: Vec<ReceiptRow> = json_lines(&self.directory.join("receipts.jsonl"))?;
        let path = self
            .decisions
            .clone()
            .unwrap_or_else(|| self.directory.join("decisions.jsonl"));
        let file = std::fs::File::create(&path).with_context(|| path.display().to_string())?;
        let mut decisions = std::io::BufWriter::new(file);

        let mut all = Score::default();
        let mut notes: BTreeMap<String, Score> = BTreeMap::new();
        let mut thinking = std::time::Duration::ZERO;
        let now = DateTime::<Utc>::UNIX_EPOCH;
        for row in receipts {
            let Some(truth) = truth.get(&row.id) else {
                bail!("receipt `{}` has no truth", row.id);
            };
            ledger.reach(row.receipt.booked_on);
            let fact = inbound::receipt(row.receipt, now)
                .map_err(|refused| anyhow::anyhow!("receipt `{}`: {refused}", row.id))?
                .receipt;
            let mut receipt = arrival::receipt(&fact, now);
            let began = Instant::now();
            let mut verdict = ladder::decide(&receipt, &ledger.books)?;
            let mut late = false;
            if verdict.lines.is_empty() && ledger.hear_of(&receipt) {
                verdict = ladder::decide(&receipt, &ledger.books)?;
                late = !verdict.lines.is_empty();
                ledger.forget_early();
            }
            thinking += began.elapsed();
            if let Some(advice) = verdict.decision.remittance_id {
                ledger.use_advice(advice, &receipt);
            }

            let note = notes
                .entry(truth.note.clone().unwrap_or_default())
                .or_default();
            let outcome = Outcome {
                late,
                ..ledger.judge(&receipt, &verdict, truth)
            };
            for score in [&mut all, note] {
                outcome.count(score);
            }
            serde_json::to_writer(
                &mut decisions,
                &json!({
                    "receipt": row.id,
                    "note": truth.note,
                    "auto": outcome.auto,
                    "correct": outcome.correct,
                    "rule": verdict.decision.rule.name(),
                    "lines": outcome.decided,
                    "expected": outcome.expected,
                    "suggestions": verdict.suggestions.iter()
                        .map(|s| json!({"rule": s.rule.name(), "confidence": s.confidence, "score": s.score, "lines": ledger.told(&s.lines)}))
                        .collect::<Vec<_>>(),
                    "evidence": verdict.decision.evidence,
                    "would_have_matched": verdict.decision.would_have_matched,
                    "score": verdict.decision.score,
                    "runner_up": verdict.decision.runner_up,
                    "gap": verdict.decision.gap,
                }),
            )?;
            decisions.write_all(b"\n")?;
            ledger.settle(&mut receipt, &outcome, verdict.decision.rule)?;
        }
        decisions.flush()?;

        let figures = all.to_json(Some(thinking.as_secs_f64()));
        let by_note: BTreeMap<&String, Value> = notes
            .iter()
            .map(|(note, score)| (note, score.to_json(None)))
            .collect();
        if context.json {
            let mut figures = figures;
            if let Some(figures) = figures.as_object_mut() {
                figures.insert("notes".into(), json!(by_note));
            }
            return super::print_json(&figures);
        }
        println!("{figures:#}");
        println!(
            "\n{:<32} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
            "note",
            "receipts",
            "auto",
            "wrong",
            "left",
            "top 1",
            "top 3",
            "twins",
            "top 1",
            "by lot"
        );
        for (note, score) in &notes {
            println!(
                "{note:<32} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8.1}",
                score.receipts,
                score.auto,
                score.auto - score.auto_correct,
                score.left,
                score.top1,
                score.top3,
                score.with_twin,
                score.twin_top1,
                score.by_lot
            );
        }
        Ok(())
    }
}

/// What came of one receipt.
struct Outcome {
    auto: bool,
    late: bool,
    correct: bool,
    decided: Lines,
    /// What is right, for a person at least.
    expected: Lines,
    /// How many lines may be posted automatically.
    lines: u64,
    lines_correct: u64,
    amount: Decimal,
    /// The place of the right suggestion.
    place: Option<usize>,
    /// Other answers for which just as much speaks.
    twins: usize,
    /// The first suggestion is one of them.
    first_is_twin: bool,
    /// What the rules write off with it.
    settled: Vec<Settled>,
}

impl Outcome {
    fn count(&self, score: &mut Score) {
        score.receipts += 1;
        score.value += self.amount;
        score.lines += self.lines;
        if self.auto {
            score.auto += 1;
            score.auto_correct += u64::from(self.correct);
            score.auto_late += u64::from(self.late);
            score.auto_lines += self.decided.len() as u64;
            score.auto_lines_correct += self.lines_correct;
            score.auto_value += self.amount;
        } else if !self.expected.is_empty() {
            score.left += 1;
            score.top1 += u64::from(self.place == Some(0));
            score.top3 += u64::from(self.place.is_some_and(|place| place < 3));
            if self.twins > 0 {
                score.with_twin += 1;
                score.twin_top1 += u64::from(self.place == Some(0));
                score.twin_top3 += u64::from(self.place.is_some_and(|place| place < 3));
                score.first_is_twin += u64::from(self.first_is_twin);
                score.by_lot += 1.0 / (1 + self.twins) as f64;
            }
        }
    }
}

/// The ledger as it stands on the day of a receipt.
struct Ledger {
    books: Books,
    /// Documents to come, the last first.
    ahead: Vec<Item>,
    /// Advices to come, by the day on which they come.
    coming: BTreeMap<(NaiveDate, usize), Advice>,
    /// Of them, by their total.
    coming_of: BTreeMap<Decimal, Vec<(NaiveDate, usize)>>,
    /// Heard of before their day.
    early: Vec<(NaiveDate, usize)>,
    ids: HashMap<String, DocumentId>,
}

impl Ledger {
    fn read(directory: &Path) -> anyhow::Result<Self> {
        let mut books = Books::default();
        let mut accounts: HashMap<String, AccountId> = HashMap::new();
        for row in csv_rows::<AccountRow>(&directory.join("accounts.csv"))? {
            let number = accounts.len() as u128 + 1;
            let id = *accounts
                .entry(row.account_ref.clone())
                .or_insert_with(|| AccountId::from(Uuid::from_u128(number)));
            let payers = &mut books.payers;
            let mut know = |key: String| {
                let known = payers.entry(key).or_default();
                if !known.contains(&id) {
                    known.push(id);
                }
            };
            know(name_key(&row.name));
            know(payer::quoted_key(&reference_key(&row.account_ref)));
            books.names.insert(id, row.name);
            let bank = row.sort_code.as_deref().zip(row.account_number.as_deref());
            if let Some((sort_code, number)) =
                bank.filter(|(code, number)| !code.is_empty() && !number.is_empty())
            {
                let account = BankAccount::Uk {
                    sort_code: SortCode::parse(sort_code)?,
                    account_number: AccountNumber::parse(number)?,
                };
                know(account.key());
            }
        }
        let mut ahead = Vec::new();
        let mut ids = HashMap::new();
        for row in csv_rows::<DocumentRow>(&directory.join("documents.csv"))? {
            let account_id = *accounts.get(&row.account_ref).with_context(|| {
                format!(
                    "document `{}`: no account `{}`",
                    row.document_ref, row.account_ref
                )
            })?;
            let document_id = DocumentId::from(Uuid::from_u128(ids.len() as u128 + 1));
            ids.insert(row.document_ref.clone(), document_id);
            ahead.push(arrival::item(&DocumentRecorded {
                document_id,
                document_ref: row.document_ref,
                kind: row.kind,
                account_id,
                account_ref: row.account_ref,
                matter_ref: None,
                issued_on: row.issued_on,
                due_on: row.due_on,
                gross: Money::parse(&row.gross, Currency::parse(&row.currency)?)?,
                net: None,
                vat: None,
                payment_reference: row.payment_reference.filter(|text| !text.is_empty()),
                recorded_at: DateTime::UNIX_EPOCH,
                actor: String::new(),
            }));
        }
        ahead.sort_by_key(|item| std::cmp::Reverse((item.issued_on, item.id)));
        let mut coming = BTreeMap::new();
        let mut coming_of: BTreeMap<Decimal, Vec<(NaiveDate, usize)>> = BTreeMap::new();
        let path = directory.join("remittances.jsonl");
        if path.exists() {
            for (number, row) in json_lines::<AdviceRow>(&path)?.into_iter().enumerate() {
                let key = (row.received_on.unwrap_or(row.remittance.date), number);
                let said = row.remittance.remittance_id.clone();
                let fact = inbound::remittance(row.remittance, DateTime::UNIX_EPOCH)
                    .map_err(|refused| anyhow::anyhow!("advice `{said}`: {refused}"))?
                    .fact;
                coming_of
                    .entry(fact.total.amount().normalize())
                    .or_default()
                    .push(key);
                coming.insert(key, Advice::of(&fact));
            }
        }
        Ok(Self {
            books,
            ahead,
            coming,
            coming_of,
            early: Vec::new(),
            ids,
        })
    }

    /// Puts what is issued by `day` on the ledger.
    fn reach(&mut self, day: NaiveDate) {
        while let Some(item) = self.ahead.pop_if(|item| item.issued_on <= day) {
            self.books.add(item);
        }
        while let Some(entry) = self.coming.first_entry()
            && entry.key().0 <= day
        {
            self.books.add_advice(entry.remove());
        }
    }

    /// Adds the advices that come later and may be about this receipt.
    fn hear_of(&mut self, receipt: &Receipt) -> bool {
        let cash = receipt.unallocated.amount();
        let near = remittance::near_max();
        let of_amount = self.coming_of.range(cash - near..=cash + near);
        for key in of_amount.flat_map(|(_, keys)| keys) {
            if let Some(advice) = self.coming.get(key)
                && advice.is_in_time(receipt.booked_on)
            {
                self.books.add_advice(advice.clone());
                self.early.push(*key);
            }
        }
        !self.early.is_empty()
    }

    fn forget_early(&mut self) {
        for key in self.early.drain(..) {
            if let Some(advice) = self.coming.get(&key) {
                self.books.drop_advice(advice.id, advice.total);
            }
        }
    }

    fn use_advice(&mut self, id: RemittanceId, receipt: &Receipt) {
        self.coming.retain(|_, advice| advice.id != id);
        self.books.use_advice(id, receipt.unallocated, receipt.id);
    }

    fn told(&self, lines: &[allocation::domain::Line]) -> Lines {
        let mut told = Lines::new();
        for line in lines {
            if let Some(item) = self.books.items.get(&line.document) {
                *told.entry(item.document_ref.clone()).or_default() += line.amount.amount();
            }
        }
        told
    }

    /// The documents of `lines` with their amounts.
    fn items(&self, lines: &Lines) -> Vec<(&Item, Decimal)> {
        let items = lines.iter().filter_map(|(document, amount)| {
            let id = self.ids.get(document)?;
            Some((self.books.items.get(id)?, *amount))
        });
        items.collect()
    }

    fn judge(&self, receipt: &Receipt, verdict: &Verdict, truth: &TruthRow) -> Outcome {
        let allowed = lines(&truth.allocations);
        let expected = if truth.intended.is_empty() {
            allowed.clone()
        } else {
            lines(&truth.intended)
        };
        let decided = self.told(&verdict.lines);
        let twins = if decided.is_empty() && verdict.decision.remittance_id.is_none() {
            twins::of(receipt, &self.books, &self.items(&expected))
        } else {
            Vec::new()
        };
        Outcome {
            auto: !decided.is_empty(),
            late: false,
            // Rules that settle differences may do what a person would.
            correct: decided == allowed
                || (self.books.rules.settles_differences() && decided == expected),
            settled: verdict.settled.clone(),
            lines: allowed.len() as u64,
            lines_correct: decided
                .iter()
                .filter(|(document, amount)| allowed.get(*document) == Some(*amount))
                .count() as u64,
            amount: receipt.amount.amount(),
            first_is_twin: twins.iter().any(|twin| {
                verdict.suggestions.first().is_some_and(|first| {
                    first.lines.len() == twin.len()
                        && first.lines.iter().all(|line| twin.contains(&line.document))
                })
            }),
            twins: twins.len(),
            place: verdict
                .suggestions
                .iter()
                .position(|suggestion| self.told(&suggestion.lines) == expected),
            decided,
            expected,
        }
    }

    /// Posts what was decided, or what a person would.
    fn settle(
        &mut self,
        receipt: &mut Receipt,
        outcome: &Outcome,
        rule: Rule,
    ) -> anyhow::Result<()> {
        let lines = if outcome.auto {
            &outcome.decided
        } else {
            &outcome.expected
        };
        let mut payers = Vec::new();
        for (document, amount) in lines {
            let item = self
                .ids
                .get(document)
                .and_then(|id| self.books.items.get_mut(id))
                .with_context(|| format!("`{document}` is not on the ledger when it is paid"))?;
            let paid = Money::try_new(*amount, item.open.currency())?;
            item.open = item.open.checked_sub(paid)?;
            payers.push(item.account_id);
        }
        for settled in &outcome.settled {
            if let Some(item) = self.books.items.get_mut(&settled.document) {
                item.open = item.open.checked_sub(settled.amount)?;
                let account = item.account_id;
                self.books.rules.use_up(account, receipt.booked_on, settled);
            }
        }
        payers.dedup();
        // As the service does: what a person has shown, or a reference has
        // proved, is known.
        let proved = matches!(
            rule,
            Rule::OwnReference | Rule::DocumentNumber | Rule::Remittance
        );
        if let (true, [account], Some(bank)) = (
            !outcome.auto || proved,
            payers.as_slice(),
            &receipt.payer_account,
        ) {
            let known = self.books.learned.entry(bank.clone()).or_default();
            match known.iter_mut().find(|edge| edge.account == *account) {
                Some(edge) => edge.last_seen = receipt.booked_on,
                None => known.push(Edge {
                    account: *account,
                    evidence: 1,
                    last_seen: receipt.booked_on,
                }),
            }
        }
        Ok(())
    }
}

fn csv_rows<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    let mut reader = csv::Reader::from_path(path).with_context(|| path.display().to_string())?;
    reader
        .deserialize()
        .collect::<Result<_, _>>()
        .with_context(|| path.display().to_string())
}

fn json_lines<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut rows = Vec::new();
    for (number, line) in std::io::BufReader::new(file).lines().enumerate() {
        let line = line?;
        if !line.trim().is_empty() {
            rows.push(
                serde_json::from_str(&line)
                    .with_context(|| format!("{}: line {}", path.display(), number + 1))?,
            );
        }
    }
    Ok(rows)
}
