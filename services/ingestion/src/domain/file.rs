//! What a file adds to the books: all of it, or nothing.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use contracts::ingestion::{AccountRecorded, MatterRecorded, ReceiptRecorded, StatementPosition};
use kernel::{Currency, ImportId, Money, ReceiptId, StatementId};
use uuid::Uuid;

use super::{
    bacs::{self, Record, Report},
    bacs_news::{self, KnownReports, News},
    dedup,
    inbound::{self, Account, Document, Mandate, Matter, Refused, narrow_key},
    line::{BankLine, LineStatus, Statement, is_stated, receipts_of},
    parse::{Item, Parsed},
    problem::Problem,
    record::{Changes, Known, Line, NewLine, Origin},
};

/// A refusal names this many reasons, a file this many doubts, a statement this
/// many: more would help nobody, and an answer on the broker has a limited size.
const REASONS_MAX: usize = 100;
const DOUBTS_MAX: usize = 100;
const STATEMENT_DOUBTS_MAX: usize = 20;

/// A file whose every record makes sense.
#[derive(Debug)]
pub struct Checked {
    pub statements: Vec<Statement>,
    pub accounts: Vec<Account>,
    pub documents: Vec<Document>,
    pub matters: Vec<Matter>,
    /// A report of Bacs with its records.
    pub report: Option<Report>,
    pub records: Vec<Record>,
    pub mandates: Vec<Mandate>,
    /// Doubts; nothing was dropped because of them.
    pub problems: Vec<Problem>,
}

/// What the file adds.
#[derive(Debug, Default)]
pub struct Added {
    pub changes: Changes,
    pub accounts: Vec<AccountRecorded>,
    pub matters: Vec<MatterRecorded>,
    pub statements: Vec<NewStatement>,
    pub report: Option<News>,
    pub problems: Vec<Problem>,
    pub recorded: usize,
    pub duplicates: usize,
}

/// A statement on its way to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStatement {
    pub statement_id: StatementId,
    /// See [`dedup::statement_key`].
    pub key: String,
    /// A later one in the same file has the same key.
    pub superseded: bool,
    pub bank_account: String,
    pub bank_statement_id: String,
    pub currency: Option<Currency>,
    pub sequence: Option<i64>,
    pub page: i32,
    /// Where it stands among the account's statements.
    pub ordered_on: NaiveDate,
    pub first_day: Option<NaiveDate>,
    pub closes_on: Option<NaiveDate>,
    pub opening: Option<Money>,
    pub closing: Option<Money>,
    pub ties: Option<bool>,
    pub lines: i32,
    pub duplicate_lines: i32,
    pub problems: Vec<String>,
}

/// Checks what was read by the same rules as messages.
///
/// # Errors
/// Every record that cannot be accepted, up to a hundred.
pub fn check(parsed: Parsed) -> Result<Checked, Vec<Problem>> {
    let mut checked = Checked {
        statements: parsed.statements,
        accounts: Vec::new(),
        documents: Vec::new(),
        matters: Vec::new(),
        report: parsed.report,
        records: Vec::new(),
        mandates: Vec::new(),
        problems: parsed.problems,
    };
    let mut reasons = Vec::new();
    for item in parsed.items {
        let refused = match item {
            Item::Account(wire) => {
                let name = wire.account_ref.clone();
                inbound::account(*wire)
                    .map(|account| checked.accounts.push(account))
                    .map_err(|refused| (name, refused))
            }
            Item::Document(wire) => {
                let name = wire.document_ref.clone();
                inbound::document(*wire)
                    .map(|document| checked.documents.push(document))
                    .map_err(|refused| (name, refused))
            }
            Item::Matter(wire) => {
                let name = wire.matter_ref.clone();
                inbound::matter(*wire)
                    .map(|matter| checked.matters.push(matter))
                    .map_err(|refused| (name, refused))
            }
            Item::Mandate(wire) => {
                let name = wire.mandate_reference.clone();
                inbound::mandate(*wire)
                    .map(|mandate| checked.mandates.push(mandate))
                    .map_err(|refused| (name, refused))
            }
            Item::Std18(record) => Err((
                record.reference.clone(),
                Refused::new(
                    "ingestion.not_imported",
                    "/",
                    "files for Bacs are made here, and not imported",
                ),
            )),
            // Checked when they were read.
            item => {
                let report = checked.report.as_ref();
                let key = report.and_then(|report| bacs::record_key(report, &item));
                checked.records.extend(key.map(|key| Record {
                    key,
                    line: bacs::line_of(&item),
                    item,
                }));
                Ok(())
            }
        };
        if let Err((name, refused)) = refused
            && reasons.len() < REASONS_MAX
        {
            reasons.push(reason(&name, refused));
        }
    }
    if reasons.is_empty() {
        Ok(checked)
    } else {
        Err(reasons)
    }
}

fn reason(record: &str, refused: Refused) -> Problem {
    let name: String = record.chars().take(40).collect();
    Problem::new(refused.code, format!("{name}: {}", refused.detail))
        .at_path(refused.pointer.trim_start_matches('/'))
}

impl Checked {
    /// Lines or records found.
    pub fn entries(&self) -> usize {
        self.accounts.len()
            + self.documents.len()
            + self.matters.len()
            + self.records.len()
            + self.mandates.len()
            + self.statements.iter().map(|s| s.lines.len()).sum::<usize>()
    }

    /// The keys under which its lines may be known.
    pub fn line_keys(&self) -> Vec<Uuid> {
        self.statements
            .iter()
            .flat_map(|statement| &statement.lines)
            .map(key_of)
            .collect()
    }

    pub fn bank_accounts(&self) -> BTreeSet<String> {
        self.statements.iter().map(|s| s.account.key()).collect()
    }
}

fn key_of(line: &BankLine) -> Uuid {
    narrow_key(&line.dedup_key, line.booked_on)
}

/// Which statement, by its key, told a line that is known.
pub type ToldBy = HashMap<Uuid, String>;

/// What the books hold that a file may tell of.
#[derive(Debug, Default)]
pub struct Ledgers {
    pub known: Known,
    pub told_by: ToldBy,
    pub reports: KnownReports,
}

/// What of the file is new.
///
/// # Errors
/// What contradicts the books.
pub fn decide(
    file: Checked,
    books: Ledgers,
    import_id: ImportId,
    origin: &Origin,
    now: DateTime<Utc>,
) -> Result<Added, Vec<Problem>> {
    let Ledgers {
        mut known,
        mut told_by,
        mut reports,
    } = books;
    let mut added = Added {
        problems: file.problems,
        ..Added::default()
    };
    let mut reasons = Vec::new();
    for account in &file.accounts {
        match known.account(account, &origin.actor, now) {
            Some(fact) => {
                added.recorded += 1;
                added.accounts.push(fact);
            }
            None => added.duplicates += 1,
        }
    }
    for matter in &file.matters {
        match known.matter(matter, &origin.actor, now) {
            Some(fact) => {
                added.recorded += 1;
                added.matters.push(fact);
            }
            None => added.duplicates += 1,
        }
    }
    for mandate in &file.mandates {
        match known.mandate(mandate) {
            Ok(true) => added.recorded += 1,
            Ok(false) => added.duplicates += 1,
            Err(refused) => {
                if reasons.len() < REASONS_MAX {
                    reasons.push(reason(&mandate.wire.mandate_reference, refused));
                }
            }
        }
    }
    for document in &file.documents {
        match known.document(document, origin, now) {
            Ok(Some(new)) => {
                added.recorded += 1;
                added.changes.documents.push(new);
            }
            Ok(None) => added.duplicates += 1,
            Err(refused) => {
                if reasons.len() < REASONS_MAX {
                    reasons.push(reason(&document.wire.document_ref, refused));
                }
            }
        }
    }
    if !reasons.is_empty() {
        return Err(reasons);
    }
    for statement in file.statements {
        let books = (&mut known, &mut told_by);
        let new = one_statement(statement, books, import_id, origin, now, &mut added);
        for earlier in &mut added.statements {
            earlier.superseded |= earlier.key == new.key;
        }
        added.statements.push(new);
    }
    if let Some(report) = file.report {
        let (records, problems) = (file.records, &mut added.problems);
        let found = records.len();
        let news = bacs_news::decide(
            report,
            records,
            &mut reports,
            import_id,
            origin,
            now,
            problems,
        );
        added.recorded += news.records.len();
        added.duplicates += found - news.records.len();
        added.report = Some(news);
    }
    added.changes.matters = known.take_matter_rows();
    added.changes.mandates = known.take_mandate_steps();
    added.changes.accounts = known.into_account_rows();
    cut(&mut added.problems, DOUBTS_MAX, |more| {
        Problem::new("more_problems", format!("{more} more are not shown"))
    });
    Ok(added)
}

/// Cuts a list to `max`, and says so at its end.
fn cut<T>(list: &mut Vec<T>, max: usize, note: impl Fn(usize) -> T) {
    if list.len() > max {
        let more = list.len() - max;
        list.truncate(max);
        list.push(note(more));
    }
}

fn one_statement(
    statement: Statement,
    (known, told_by): (&mut Known, &mut ToldBy),
    import_id: ImportId,
    origin: &Origin,
    now: DateTime<Utc>,
    added: &mut Added,
) -> NewStatement {
    let statement_id = StatementId::generate();
    let bank_account = statement.account.key();
    let key = dedup::statement_key(&statement);
    let mut duplicate_lines = 0;
    let mut problems: Vec<String> = statement.problems.iter().map(told).collect();
    for line in &statement.lines {
        // What is not on the account yet comes again when it is, perhaps under
        // the same key: recorded now, it would be missing then.
        if line.status != LineStatus::Booked {
            added.problems.push(
                Problem::new(
                    "not_booked",
                    "the line is not booked yet; it is recorded when a statement books it",
                )
                .at_line(line.source_line),
            );
            continue;
        }
        if !known.first_sight(key_of(line)) {
            duplicate_lines += 1;
            if let Some(doubt) = possible_twin(line, &key, told_by) {
                problems.push(told(&doubt));
                added.problems.push(doubt);
            }
            continue;
        }
        told_by.insert(key_of(line), key.clone());
        added.recorded += 1;
        let position = StatementPosition {
            statement_id,
            import_id,
            line: int(line.seq),
        };
        added.changes.lines.extend(
            movements(line, &bank_account, &position, origin, now)
                .into_iter()
                .map(|line| NewLine {
                    line,
                    message_id: None,
                }),
        );
    }
    added.duplicates += duplicate_lines;
    cut(&mut problems, STATEMENT_DOUBTS_MAX, |more| {
        format!("more_problems: {more} more are not shown")
    });
    let first_day = statement
        .from
        .or_else(|| statement.lines.iter().map(|line| line.booked_on).min())
        .or(statement.closes_on);
    let last_day = || statement.lines.iter().map(|line| line.booked_on).max();
    NewStatement {
        statement_id,
        key,
        superseded: false,
        ordered_on: statement
            .closes_on
            .or(statement.to)
            .or_else(last_day)
            .or(statement.created_on)
            .unwrap_or_else(|| kernel::london_date(now)),
        first_day,
        bank_account,
        currency: statement.currency,
        sequence: statement.sequence.and_then(|n| i64::try_from(n).ok()),
        page: statement.page.map_or(1, |page| int(page.number)),
        closes_on: statement.closes_on.or(statement.to),
        opening: statement.opening,
        closing: statement.closing,
        ties: statement.ties,
        lines: int(statement.lines.len()),
        duplicate_lines: int(duplicate_lines),
        problems,
        bank_statement_id: statement.id,
    }
}

/// Without a reference of the bank's own, a line of one statement and an equal
/// one of another are the same or are twins: nothing tells. It is not recorded
/// again, and a person is told so.
fn possible_twin(line: &BankLine, statement_key: &str, told_by: &ToldBy) -> Option<Problem> {
    let named = line.bank_reference.as_deref().is_some_and(is_stated);
    let same_statement = told_by
        .get(&key_of(line))
        .is_some_and(|before| before == statement_key);
    if named || same_statement {
        return None;
    }
    Some(
        Problem::new(
            "possible_twin",
            format!(
                "{} booked on {} has no bank reference and equals a line of another statement; it was taken for that line and not recorded again",
                line.signed(),
                line.booked_on
            ),
        )
        .at_line(line.source_line),
    )
}

/// The movements that a line consists of. The first has the line's own key, so
/// that a feed that tells the line as one and a file that tells its parts never
/// both count.
fn movements(
    line: &BankLine,
    bank_account: &str,
    position: &StatementPosition,
    origin: &Origin,
    now: DateTime<Utc>,
) -> Vec<Line> {
    receipts_of(line)
        .into_iter()
        .enumerate()
        .map(|(part, receipt)| Line {
            dedup_key: if part == 0 {
                key_of(line)
            } else {
                narrow_key(&receipt.dedup_key, line.booked_on)
            },
            direction: receipt.direction,
            return_reason: receipt.return_reason,
            // The whole line once, with its first movement.
            raw: (part == 0)
                .then(|| serde_json::to_string(line).ok())
                .flatten(),
            receipt: ReceiptRecorded {
                receipt_id: ReceiptId::generate(),
                source: origin.source.clone(),
                bank_account: bank_account.to_owned(),
                bank_reference: receipt.bank_reference,
                booked_on: receipt.booked_on,
                value_on: receipt.value_on,
                amount: receipt.amount,
                scheme: Some(receipt.scheme.name().to_owned()),
                payer_name: receipt.payer_name,
                payer_account: receipt.payer_account.map(|account| account.key()),
                reference: receipt.reference,
                end_to_end_id: receipt.end_to_end_id,
                mandate_reference: receipt.mandate_reference,
                remittance: receipt.remittance,
                statement: Some(position.clone()),
                recorded_at: now,
                actor: origin.actor.clone(),
            },
        })
        .collect()
}

/// A doubt in one text, its code first.
pub fn told(problem: &Problem) -> String {
    format!("{}: {problem}", problem.code)
}

/// Counts of one file fit: it has a limited size.
pub fn int(count: impl TryInto<i32>) -> i32 {
    count.try_into().unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use kernel::AccountId;

    use super::*;
    use crate::domain::{parse, record::KnownAccount};

    fn origin() -> Origin {
        Origin {
            source: "statement.xml".into(),
            actor: "user:pat".into(),
            message_id: None,
            import_id: Some(import()),
        }
    }

    fn import() -> ImportId {
        ImportId::from(Uuid::from_u128(1))
    }

    fn checked(file: &[u8]) -> Checked {
        check(parse::parse(file, None).unwrap()).unwrap()
    }

    /// A file after others, whose lines are known.
    fn after(others: &[&[u8]], file: &[u8]) -> Added {
        let mut known = Known::default();
        let mut told_by = ToldBy::new();
        for other in others {
            for statement in checked(other).statements {
                for line in &statement.lines {
                    known.know_line(key_of(line));
                    told_by.insert(key_of(line), dedup::statement_key(&statement));
                }
            }
        }
        decide(
            checked(file),
            Ledgers {
                known,
                told_by,
                ..Ledgers::default()
            },
            import(),
            &origin(),
            DateTime::UNIX_EPOCH,
        )
        .unwrap()
    }

    const TWINS: &[u8] = include_bytes!("../../fixtures/twins.xml");
    const ONE_MORE: &[u8] = include_bytes!("../../fixtures/twins-one-more.xml");
    const BATCH: &[u8] = include_bytes!("../../fixtures/batch-details.xml");

    #[test]
    fn e29_twins_coexist_and_the_same_file_adds_nothing() {
        let first = after(&[], TWINS);
        assert_eq!((first.recorded, first.duplicates), (3, 0));
        let again = after(&[TWINS], TWINS);
        assert_eq!((again.recorded, again.duplicates), (0, 3));
        assert!(again.changes.lines.is_empty());
        assert_eq!(again.statements[0].duplicate_lines, 3);
        assert_eq!(again.problems, [], "the same statement again is no doubt");
        let more = after(&[TWINS], ONE_MORE);
        assert_eq!((more.recorded, more.duplicates), (1, 3));
    }

    #[test]
    fn a_known_line_without_reference_in_another_statement_is_doubted_aloud() {
        let mut known = Known::default();
        let mut told_by = ToldBy::new();
        let file = checked(TWINS);
        for line in &file.statements[0].lines {
            known.know_line(key_of(line));
            told_by.insert(key_of(line), "another statement".into());
        }
        let unnamed = file.statements[0]
            .lines
            .iter()
            .filter(|line| !line.bank_reference.as_deref().is_some_and(is_stated))
            .count();
        let added = decide(
            file,
            Ledgers {
                known,
                told_by,
                ..Ledgers::default()
            },
            import(),
            &origin(),
            DateTime::UNIX_EPOCH,
        )
        .unwrap();
        assert_eq!(added.recorded, 0);
        let doubts = added.problems.iter().filter(|p| p.code == "possible_twin");
        assert_eq!(doubts.count(), unnamed);
        assert!(unnamed > 0);
    }

    /// Every pence of a line is in its movements, and a feed that tells the line
    /// as one blocks all of them.
    #[test]
    fn a_batch_is_split_without_gain_or_loss() {
        let file = checked(BATCH);
        let booked: Vec<&BankLine> = file
            .statements
            .iter()
            .flat_map(|s| &s.lines)
            .filter(|line| line.status == LineStatus::Booked)
            .collect();
        let total =
            |amounts: &mut dyn Iterator<Item = Money>| Money::sum(amounts, Currency::GBP).unwrap();
        let expected = total(&mut booked.iter().map(|line| line.signed()));
        let keys: Vec<Uuid> = booked.iter().map(|line| key_of(line)).collect();
        let entries = booked.len();

        let added = after(&[], BATCH);
        assert!(added.changes.lines.len() > entries, "a batch has parts");
        let recorded = total(&mut added.changes.lines.iter().map(|new| {
            let amount = new.line.receipt.amount;
            if new.line.direction == contracts::inbound::Direction::Credit {
                amount
            } else {
                amount.neg()
            }
        }));
        assert_eq!(recorded, expected);
        let mut unique: Vec<Uuid> = added
            .changes
            .lines
            .iter()
            .map(|l| l.line.dedup_key)
            .collect();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), added.changes.lines.len());

        let mut known = Known::default();
        for key in keys {
            known.know_line(key);
        }
        let again = decide(
            checked(BATCH),
            Ledgers {
                known,
                ..Ledgers::default()
            },
            import(),
            &origin(),
            DateTime::UNIX_EPOCH,
        )
        .unwrap();
        assert!(again.changes.lines.is_empty());
        assert_eq!(again.duplicates, entries);
    }

    #[test]
    fn a_file_that_contradicts_the_books_is_refused_whole() {
        let csv = b"document_ref,kind,account_ref,issued_on,due_on,gross,currency\n\
            INV-1,invoice,A1,2026-03-01,2026-03-31,100.00,GBP\n\
            INV-2,invoice,A1,2026-03-01,2026-03-31,50.00,GBP\n";
        let mut known = Known::default();
        known.know_document("INV-2".into(), Uuid::nil());
        known.know_account(
            "A1".into(),
            KnownAccount {
                account_id: AccountId::generate(),
                version: 1,
                content: None,
                stored: true,
            },
        );
        let reasons = decide(
            checked(csv),
            Ledgers {
                known,
                ..Ledgers::default()
            },
            import(),
            &origin(),
            DateTime::UNIX_EPOCH,
        )
        .unwrap_err();
        assert_eq!(reasons.len(), 1);
        assert_eq!(reasons[0].code, "ingestion.document_conflict");
        assert_eq!(reasons[0].path.as_deref(), Some("document_ref"));
        assert!(reasons[0].detail.contains("INV-2"), "{}", reasons[0]);
    }
}
