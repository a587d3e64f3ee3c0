//! `counterfoil evaluate-matching`: the real decision core over a labelled
//! corpus. Precision is the gate, rate is the score; both are printed, over all
//! and per note of the truth.
//!
//! The core sees what it would see in production: documents from the day that
//! they are issued, receipts in the order of the file. What is not posted
//! automatically is settled as the truth says before the next receipt, as a
//! person would do it.

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufRead as _, Write as _},
    path::{Path, PathBuf},
    time::Instant,
};

use allocation::domain::{
    Books, Item, Receipt, arrival,
    ladder::{self, Verdict},
    name_key, payer, reference_key,
    rules::{Live, Rulebook, Settled},
};
use anyhow::{Context as _, bail};
use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use contracts::{
    inbound::{BankReceipt, DocumentKind},
    ingestion::DocumentRecorded,
    rules::{RuleScope, RuleSet},
};
use ingestion::domain::inbound;
use kernel::{AccountId, AccountNumber, BankAccount, Currency, DocumentId, Money, SortCode};
use rust_decimal::Decimal;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Context;

#[derive(Args)]
pub(crate) struct EvaluateMatching {
    /// Holds `accounts.csv`, `documents.csv`, `receipts.jsonl` and `truth.jsonl`.
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
    lines: u64,
    auto_lines: u64,
    auto_lines_correct: u64,
    value: Decimal,
    auto_value: Decimal,
    /// Left to a person, who has something to do.
    left: u64,
    top1: u64,
    top3: u64,
}

impl Score {
    fn to_json(&self, seconds: Option<f64>) -> Value {
        let share = |part: u64, of: u64| (of > 0).then(|| rounded(part as f64 / of as f64));
        let value = (!self.value.is_zero()).then(|| (self.auto_value / self.value).round_dp(4));
        let mut figures = json!({
            "receipts": self.receipts,
            "auto": self.auto,
            "auto_correct": self.auto_correct,
            "precision": share(self.auto_correct, self.auto),
            "auto_rate": share(self.auto, self.receipts),
            "line_precision": share(self.auto_lines_correct, self.auto_lines),
            "line_auto_rate": share(self.auto_lines_correct, self.lines),
            "value_auto_rate": value.and_then(|share| share.to_string().parse::<f64>().ok()),
            "suggest_top1": share(self.top1, self.left),
            "suggest_top3": share(self.top3, self.left),
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
            let verdict = ladder::decide(&receipt, &ledger.books)?;
            thinking += began.elapsed();

            let note = notes
                .entry(truth.note.clone().unwrap_or_default())
                .or_default();
            let outcome = ledger.judge(&receipt, &verdict, truth);
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
                        .map(|s| json!({"rule": s.rule.name(), "confidence": s.confidence, "lines": ledger.told(&s.lines)}))
                        .collect::<Vec<_>>(),
                    "evidence": verdict.decision.evidence,
                    "would_have_matched": verdict.decision.would_have_matched,
                }),
            )?;
            decisions.write_all(b"\n")?;
            ledger.settle(&mut receipt, &outcome)?;
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
            "\n{:<32} {:>8} {:>8} {:>8} {:>8}",
            "note", "receipts", "auto", "wrong", "top 1"
        );
        for (note, score) in &notes {
            println!(
                "{note:<32} {:>8} {:>8} {:>8} {:>8}",
                score.receipts,
                score.auto,
                score.auto - score.auto_correct,
                score.top1
            );
        }
        Ok(())
    }
}

/// What came of one receipt.
struct Outcome {
    auto: bool,
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
            score.auto_lines += self.decided.len() as u64;
            score.auto_lines_correct += self.lines_correct;
            score.auto_value += self.amount;
        } else if !self.expected.is_empty() {
            score.left += 1;
            score.top1 += u64::from(self.place == Some(0));
            score.top3 += u64::from(self.place.is_some_and(|place| place < 3));
        }
    }
}

/// The ledger as it stands on the day of a receipt.
struct Ledger {
    books: Books,
    /// Documents to come, the last first.
    ahead: Vec<Item>,
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
            let mut know = |key: String| {
                let known = books.payers.entry(key).or_default();
                if !known.contains(&id) {
                    known.push(id);
                }
            };
            know(name_key(&row.name));
            know(payer::quoted_key(&reference_key(&row.account_ref)));
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
        Ok(Self { books, ahead, ids })
    }

    /// Puts what is issued by `day` on the ledger.
    fn reach(&mut self, day: NaiveDate) {
        while let Some(item) = self.ahead.pop_if(|item| item.issued_on <= day) {
            self.books.add(item);
        }
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

    fn judge(&self, receipt: &Receipt, verdict: &Verdict, truth: &TruthRow) -> Outcome {
        let allowed = lines(&truth.allocations);
        let expected = if truth.intended.is_empty() {
            allowed.clone()
        } else {
            lines(&truth.intended)
        };
        let decided = self.told(&verdict.lines);
        Outcome {
            auto: !decided.is_empty(),
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
            place: verdict
                .suggestions
                .iter()
                .position(|suggestion| self.told(&suggestion.lines) == expected),
            decided,
            expected,
        }
    }

    /// Posts what was decided, or what a person would.
    fn settle(&mut self, receipt: &mut Receipt, outcome: &Outcome) -> anyhow::Result<()> {
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
        // As the service does: what a person has shown once is known.
        if let (false, [account], Some(bank)) =
            (outcome.auto, payers.as_slice(), &receipt.payer_account)
        {
            let known = self.books.learned.entry(bank.clone()).or_default();
            if !known.contains(account) {
                known.push(*account);
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
