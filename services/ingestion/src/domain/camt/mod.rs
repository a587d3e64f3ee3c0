//! camt.053, camt.052 and camt.054: one grammar in three containers.
//!
//! The file is read once, front to back, by local names: prefixes do not matter,
//! and what is not named here is passed over. What makes lines unusable (broken
//! XML, an amount that is none, an entry without a direction) refuses the whole
//! file, since a statement read in part would be believed. What only casts doubt
//! becomes a [`Problem`] of its statement.

mod checks;
mod detail;
mod values;

use chrono::NaiveDate;
use contracts::inbound::Direction;
use kernel::{BankAccount, Currency, Money};

use self::{checks::prove, detail::DetailSaid, values::understood};
use super::{
    dedup,
    detect::{Format, message_name},
    line::{
        Balance, BankLine, BankTransactionCode, Batch, LineDetail, LineStatus, Page, Party,
        Statement, details_sum_to, signed,
    },
    parse::Parsed,
    problem::{ParseError, Problem},
    scheme::Scheme,
    xml::Cursor,
};

/// The newest message version whose changes were looked at. Newer ones are read
/// all the same, and say so.
const NEWEST_VERSION: u32 = 13;

/// Reads a camt file of the given kind.
///
/// # Errors
/// The file is refused as a whole, with the line and path of the reason.
pub(super) fn read(text: &str, format: Format) -> Result<Parsed, ParseError> {
    let mut reader = Reader {
        xml: Cursor::new(text),
        format,
        version: None,
        message: Message::default(),
        statements: Vec::new(),
        problems: Vec::new(),
    };
    match reader.file() {
        Ok(()) => Ok(Parsed {
            format,
            version: reader.version,
            report: None,
            statements: reader.statements,
            items: Vec::new(),
            problems: reader.problems,
        }),
        Err(problem) => Err(ParseError::new(format, reader.version, problem)),
    }
}

#[derive(Debug, Default)]
struct Message {
    id: Option<String>,
    created_on: Option<NaiveDate>,
    page: Option<Page>,
}

struct Reader<'a> {
    xml: Cursor<'a>,
    format: Format,
    version: Option<String>,
    message: Message,
    statements: Vec<Statement>,
    /// Doubts about the file, or about the statement being read until it ends.
    problems: Vec<Problem>,
}

/// An entry until its statement ends: only then is the day known that stands in
/// for a missing booking date.
struct Draft {
    source_line: u64,
    entry_reference: Option<String>,
    bank_reference: Option<String>,
    booked_on: Option<NaiveDate>,
    value_on: Option<NaiveDate>,
    amount: Money,
    direction: Direction,
    status: LineStatus,
    reversal: bool,
    code: BankTransactionCode,
    batches: Vec<Batch>,
    narrative: Option<String>,
    details: Vec<LineDetail>,
}

/// What `Acct` says.
#[derive(Debug, Default)]
struct AccountSaid {
    id: Identified,
    currency: Option<Currency>,
    name: Option<String>,
    owner: Option<String>,
    servicer: Party,
}

/// An account as an `Id` element names it.
#[derive(Debug, Default)]
struct Identified {
    iban: Option<String>,
    other: Option<String>,
}

type Read<T> = Result<T, Problem>;

impl Reader<'_> {
    fn file(&mut self) -> Read<()> {
        self.xml.root()?;
        if self.xml.name() == "Document" {
            self.document()?;
        } else {
            // Networks wrap the document beside a business application header.
            while self.xml.child()? {
                if self.xml.name() == "Document" {
                    self.document()?;
                } else {
                    self.xml.skip()?;
                }
            }
        }
        self.xml.finish()?;
        if self.statements.is_empty() {
            return Err(Problem::new(
                "no_statement",
                format!("the file holds no <{}>", self.container()),
            ));
        }
        Ok(())
    }

    const fn container(&self) -> &'static str {
        match self.format {
            Format::Camt052 => "Rpt",
            Format::Camt054 => "Ntfctn",
            _ => "Stmt",
        }
    }

    const fn message_element(&self) -> &'static str {
        match self.format {
            Format::Camt052 => "BkToCstmrAcctRpt",
            Format::Camt054 => "BkToCstmrDbtCdtNtfctn",
            _ => "BkToCstmrStmt",
        }
    }

    fn document(&mut self) -> Read<()> {
        self.version = self
            .xml
            .namespaces()
            .iter()
            .find_map(|namespace| message_name(namespace).map(str::to_owned));
        match &self.version {
            None => {
                let problem = self.xml.problem(
                    "no_version",
                    "no namespace says which version of the message this is",
                );
                self.problems.push(problem);
            }
            Some(version) => {
                let number = version.rsplit('.').next().and_then(|n| n.parse().ok());
                if number.is_none_or(|n: u32| n > NEWEST_VERSION) {
                    let detail = format!("{version} is newer than the versions this was made for");
                    let problem = self.xml.problem("unknown_version", detail);
                    self.problems.push(problem);
                }
            }
        }
        while self.xml.child()? {
            // The very first version named the message with its number.
            if self.xml.name().trim_end_matches("V01") == self.message_element() {
                self.message()?;
            } else {
                let detail = format!(
                    "<{}> is expected in a {} file, not <{}>",
                    self.message_element(),
                    self.format,
                    self.xml.name()
                );
                return Err(self.xml.problem("wrong_message", detail));
            }
        }
        Ok(())
    }

    fn message(&mut self) -> Read<()> {
        let file_problems = std::mem::take(&mut self.problems);
        self.message = Message::default();
        let mut count = 0;
        while self.xml.child()? {
            if self.xml.name() == "GrpHdr" {
                self.header()?;
            } else if self.xml.name() == self.container() {
                count += 1;
                self.xml.number(count);
                let statement = self.statement()?;
                self.statements.push(statement);
            } else {
                self.xml.skip()?;
            }
        }
        // Every statement took its own doubts with it.
        let rest = std::mem::replace(&mut self.problems, file_problems);
        self.problems.extend(rest);
        Ok(())
    }

    fn header(&mut self) -> Read<()> {
        while self.xml.child()? {
            match self.xml.name() {
                "MsgId" => self.message.id = self.xml.optional_text()?,
                "CreDtTm" => self.message.created_on = self.date()?,
                "MsgPgntn" => self.message.page = self.page()?,
                _ => self.xml.skip()?,
            }
        }
        Ok(())
    }

    fn page(&mut self) -> Read<Option<Page>> {
        let (mut number, mut last) = (None, true);
        while self.xml.child()? {
            match self.xml.name() {
                "PgNb" => number = self.number::<u32>()?,
                "LastPgInd" => last = self.boolean()?,
                _ => self.xml.skip()?,
            }
        }
        Ok(number.map(|number| Page { number, last }))
    }

    fn statement(&mut self) -> Read<Statement> {
        let start_line = self.xml.line();
        let start_path = self.xml.path().to_owned();
        let mut account = None;
        let mut id = None;
        let (mut sequence, mut legal_sequence) = (None, None);
        let mut page = self.message.page;
        let mut copy_or_duplicate = None;
        let mut created_on = self.message.created_on;
        let (mut from, mut to) = (None, None);
        let mut balances = Vec::new();
        let mut totals = None;
        let mut drafts: Vec<Draft> = Vec::new();
        while self.xml.child()? {
            match self.xml.name() {
                "Id" => id = self.xml.optional_text()?,
                "ElctrncSeqNb" => sequence = self.number()?,
                "LglSeqNb" => legal_sequence = self.number()?,
                "StmtPgntn" | "RptPgntn" | "NtfctnPgntn" => page = self.page()?.or(page),
                "CpyDplctInd" => copy_or_duplicate = self.xml.optional_text()?,
                "CreDtTm" => created_on = self.date()?.or(created_on),
                "FrToDt" => (from, to) = self.period()?,
                "Acct" => account = Some(self.account()?),
                "Bal" => balances.push(self.balance()?),
                "TxsSummry" => totals = Some(self.totals()?),
                "Ntry" => {
                    self.xml.number(drafts.len() + 1);
                    drafts.push(self.entry()?);
                }
                _ => self.xml.skip()?,
            }
        }
        let account = account.ok_or_else(|| {
            Problem::new("missing_account", "the statement does not name its account")
                .at_line(start_line)
                .at_path(start_path.clone())
        })?;
        let currency = account
            .currency
            .or_else(|| balances.first().map(|balance| balance.amount.currency()))
            .or_else(|| drafts.first().map(|draft| draft.amount.currency()));
        let (bank_account, printed) = self.our_account(&account, currency).map_err(|problem| {
            problem
                .at_line(start_line)
                .at_path(format!("{start_path}/Acct/Id"))
        })?;

        let of_currency =
            |balance: &&Balance| currency.is_none_or(|own| balance.amount.currency() == own);
        let pick = |kind: &str| {
            let mut of_kind = balances.iter().filter(|balance| balance.kind == kind);
            // An account in several currencies has a balance of each; where none
            // is in the account's own, the first shows that something is wrong.
            let first = of_kind.clone().next();
            of_kind.find(of_currency).or(first)
        };
        let opening = pick("OPBD").or_else(|| pick("PRCD"));
        // Of several pages in one container the last balance closes.
        let closing = balances
            .iter()
            .rfind(|balance| balance.kind == "CLBD" && of_currency(balance))
            .or_else(|| pick("CLBD"));
        let closes_on = closing.and_then(|balance| balance.on);

        let statement_day = closes_on.or(to).or(created_on);
        let lines = self.lines(drafts, statement_day, &bank_account, &start_path)?;

        if id.is_none() {
            self.problems.push(Problem::new(
                "missing_id",
                "the statement has no name of its own; it goes by that of its message",
            ));
        }
        let id = id.or_else(|| self.message.id.clone()).unwrap_or_default();
        let mut statement = Statement {
            account: bank_account,
            account_printed: printed,
            owner: account.owner.clone().or(account.name.clone()),
            servicer: account.servicer.bank_bic.clone(),
            message_id: self.message.id.clone(),
            id,
            sequence,
            legal_sequence,
            page,
            copy_or_duplicate,
            created_on,
            from,
            to,
            currency,
            opening: opening.map(|balance| balance.amount),
            closing: closing.map(|balance| balance.amount),
            opens_on: opening.and_then(|balance| balance.on),
            closes_on,
            ties: None,
            balances: Vec::new(),
            lines,
            problems: std::mem::take(&mut self.problems),
        };
        let signs_stated = [opening, closing]
            .into_iter()
            .flatten()
            .all(|balance| balance.sign_stated);
        statement.balances = balances;
        prove(&mut statement, signs_stated, totals.as_ref());
        for problem in &mut statement.problems {
            if problem.line.is_none() {
                problem.line = Some(start_line);
                problem.path = Some(start_path.clone());
            }
        }
        Ok(statement)
    }

    /// Turns drafts into lines, now that the day of the statement is known.
    fn lines(
        &mut self,
        drafts: Vec<Draft>,
        statement_day: Option<NaiveDate>,
        account: &BankAccount,
        statement_path: &str,
    ) -> Read<Vec<BankLine>> {
        let mut assumed = 0;
        let mut lines = Vec::with_capacity(drafts.len());
        for (index, draft) in drafts.into_iter().enumerate() {
            let path = || format!("{statement_path}/Ntry[{}]", index + 1);
            let line = draft.source_line;
            let Some(booked_on) = draft.booked_on.or(draft.value_on).or(statement_day) else {
                return Err(Problem::new(
                    "missing_date",
                    "neither the entry nor its statement names a day",
                )
                .at_line(line)
                .at_path(path()));
            };
            if draft.booked_on.is_none() && draft.value_on.is_none() {
                assumed += 1;
            }
            let bank_line = BankLine {
                seq: u32::try_from(index + 1).unwrap_or(u32::MAX),
                source_line: line,
                entry_reference: draft.entry_reference,
                bank_reference: draft.bank_reference,
                booked_on,
                booked_on_stated: draft.booked_on.is_some(),
                value_on: draft.value_on.unwrap_or(booked_on),
                amount: draft.amount,
                direction: draft.direction,
                status: draft.status,
                reversal: draft.reversal,
                scheme: Scheme::of(
                    &draft.code,
                    draft.direction,
                    draft.amount.currency(),
                    draft.narrative.as_deref(),
                ),
                bank_transaction_code: draft.code,
                batches: draft.batches,
                narrative: draft.narrative,
                details: draft.details,
                dedup_key: String::new(),
            };
            if details_sum_to(&bank_line) == Some(false) {
                self.problems.push(
                    Problem::new(
                        "details_do_not_sum",
                        format!(
                            "its transaction details do not sum to the entry's {}; it is kept whole",
                            bank_line.amount
                        ),
                    )
                    .at_line(line)
                    .at_path(path()),
                );
            }
            lines.push(bank_line);
        }
        if assumed > 0 {
            self.problems.push(Problem::new(
                "booking_date_assumed",
                format!("{assumed} entries name no day; they were given that of the statement"),
            ));
        }
        dedup::assign(account, &mut lines);
        Ok(lines)
    }

    fn period(&mut self) -> Read<(Option<NaiveDate>, Option<NaiveDate>)> {
        let (mut from, mut to) = (None, None);
        while self.xml.child()? {
            match self.xml.name() {
                "FrDtTm" | "FrDt" => from = self.date()?,
                "ToDtTm" | "ToDt" => to = self.date()?,
                _ => self.xml.skip()?,
            }
        }
        Ok((from, to))
    }

    fn account(&mut self) -> Read<AccountSaid> {
        let mut account = AccountSaid::default();
        while self.xml.child()? {
            match self.xml.name() {
                "Id" => account.id = self.identified()?,
                "Ccy" => {
                    if let Some(code) = self.xml.optional_text()? {
                        account.currency = Some(self.currency(&code)?);
                    }
                }
                "Nm" => account.name = self.xml.optional_text()?,
                "Ownr" => {
                    let mut owner = Party::default();
                    self.party(&mut owner)?;
                    account.owner = owner.name;
                }
                "Svcr" => self.agent(&mut account.servicer)?,
                _ => self.xml.skip()?,
            }
        }
        Ok(account)
    }

    /// `Id` of an account: `IBAN`, or `Othr/Id` with its forms of version 1.
    fn identified(&mut self) -> Read<Identified> {
        let mut id = Identified::default();
        while self.xml.child()? {
            match self.xml.name() {
                "IBAN" => id.iban = self.xml.optional_text()?,
                "BBAN" | "UPIC" => id.other = self.xml.optional_text()?,
                "Othr" | "PrtryAcct" => {
                    while self.xml.child()? {
                        if self.xml.name() == "Id" {
                            id.other = self.xml.optional_text()?;
                        } else {
                            self.xml.skip()?;
                        }
                    }
                }
                _ => self.xml.skip()?,
            }
        }
        Ok(id)
    }

    /// The account of the statement, and how the file names it.
    fn our_account(
        &mut self,
        said: &AccountSaid,
        currency: Option<Currency>,
    ) -> Read<(BankAccount, String)> {
        let Some(printed) = said.id.iban.clone().or_else(|| said.id.other.clone()) else {
            return Err(Problem::new(
                "missing_account",
                "the account of the statement has no number",
            ));
        };
        let account = understood(&said.id, &said.servicer, currency);
        let account = account.unwrap_or_else(|| BankAccount::Other(printed.clone()));
        if said.id.iban.is_some() && matches!(account, BankAccount::Other(_)) {
            self.problems.push(Problem::new(
                "iban_invalid",
                format!(
                    "the account's IBAN {} is none; it is kept as it stands",
                    account.masked()
                ),
            ));
        }
        Ok((account, printed))
    }

    fn balance(&mut self) -> Read<Balance> {
        let line = self.xml.line();
        let path = self.xml.path().to_owned();
        let mut kind = String::new();
        let (mut amount, mut direction, mut on) = (None, None, None);
        let mut intermediate = false;
        while self.xml.child()? {
            match self.xml.name() {
                "Tp" => {
                    while self.xml.child()? {
                        match self.xml.name() {
                            "CdOrPrtry" | "Cd" => kind = self.xml.code()?.unwrap_or_default(),
                            "SubTp" => intermediate = self.xml.code()?.as_deref() == Some("INTM"),
                            _ => self.xml.skip()?,
                        }
                    }
                }
                "Amt" => amount = Some(self.amount()?),
                "CdtDbtInd" => direction = Some(self.direction()?),
                "Dt" => on = self.date()?,
                _ => self.xml.skip()?,
            }
        }
        let amount = amount.ok_or_else(|| {
            Problem::new("missing_amount", "the balance has no amount")
                .at_line(line)
                .at_path(path)
        })?;
        Ok(Balance {
            kind,
            amount: signed(amount, direction.unwrap_or(Direction::Credit)),
            sign_stated: direction.is_some(),
            on,
            intermediate,
        })
    }

    fn entry(&mut self) -> Read<Draft> {
        let source_line = self.xml.line();
        let path = self.xml.path().to_owned();
        let missing = |code, detail: &str| {
            Problem::new(code, detail)
                .at_line(source_line)
                .at_path(path.clone())
        };
        let (mut entry_reference, mut bank_reference) = (None, None);
        let (mut amount, mut direction) = (None, None);
        let mut reversal = false;
        let mut status = None;
        let (mut booked_on, mut value_on) = (None, None);
        let mut code = BankTransactionCode::default();
        let mut batches = Vec::new();
        let mut details: Vec<DetailSaid> = Vec::new();
        let mut narrative = None;
        while self.xml.child()? {
            match self.xml.name() {
                "NtryRef" => entry_reference = self.xml.optional_text()?,
                "Amt" => amount = Some(self.amount()?),
                "CdtDbtInd" => direction = Some(self.direction()?),
                "RvslInd" => reversal = self.boolean()?,
                "Sts" => status = self.xml.code()?,
                "BookgDt" => booked_on = self.date()?,
                "ValDt" => value_on = self.date()?,
                "AcctSvcrRef" => bank_reference = self.xml.optional_text()?,
                "BkTxCd" => code = self.transaction_code()?,
                "NtryDtls" => {
                    while self.xml.child()? {
                        match self.xml.name() {
                            "Btch" => batches.push(self.batch()?),
                            "TxDtls" => {
                                self.xml.number(details.len() + 1);
                                details.push(self.detail()?);
                            }
                            _ => self.xml.skip()?,
                        }
                    }
                }
                // Version 1 had no level in between.
                "Btch" => batches.push(self.batch()?),
                "AddtlNtryInf" => narrative = self.xml.optional_text()?,
                _ => self.xml.skip()?,
            }
        }
        let amount = amount.ok_or_else(|| missing("missing_amount", "the entry has no amount"))?;
        let direction = direction.ok_or_else(|| {
            missing(
                "missing_direction",
                "the entry does not say whether it is a credit or a debit",
            )
        })?;
        let status = self.status(status.as_deref(), source_line, &path);
        let details: Vec<LineDetail> = details
            .into_iter()
            .map(|said| said.in_currency(amount.currency()))
            .collect();
        if bank_reference.is_none()
            && let [only] = details.as_slice()
        {
            bank_reference.clone_from(&only.bank_reference);
        }
        Ok(Draft {
            source_line,
            entry_reference,
            bank_reference,
            booked_on,
            value_on,
            amount,
            direction,
            status,
            reversal,
            code,
            batches,
            narrative,
            details,
        })
    }

    /// Statements and notifications hold what is on the account, so that an
    /// entry which says nothing is booked; an intraday report holds what may
    /// still change.
    fn status(&mut self, code: Option<&str>, line: u64, path: &str) -> LineStatus {
        match code {
            Some("PDNG" | "FUTR") => LineStatus::Pending,
            Some("INFO") => LineStatus::Info,
            None if self.format == Format::Camt052 => LineStatus::Pending,
            Some("BOOK") | None => LineStatus::Booked,
            Some(other) => {
                let shown: String = other.chars().take(20).collect();
                self.problems.push(
                    Problem::new(
                        "unknown_status",
                        format!("the status {shown:?} is not known; the entry is not counted"),
                    )
                    .at_line(line)
                    .at_path(path),
                );
                LineStatus::Info
            }
        }
    }

    fn transaction_code(&mut self) -> Read<BankTransactionCode> {
        let mut code = BankTransactionCode::default();
        while self.xml.child()? {
            match self.xml.name() {
                "Domn" => {
                    while self.xml.child()? {
                        match self.xml.name() {
                            "Cd" => code.domain = self.xml.optional_text()?,
                            "Fmly" => {
                                while self.xml.child()? {
                                    match self.xml.name() {
                                        "Cd" => code.family = self.xml.optional_text()?,
                                        "SubFmlyCd" => {
                                            code.sub_family = self.xml.optional_text()?;
                                        }
                                        _ => self.xml.skip()?,
                                    }
                                }
                            }
                            _ => self.xml.skip()?,
                        }
                    }
                }
                "Prtry" => {
                    while self.xml.child()? {
                        match self.xml.name() {
                            "Cd" => code.proprietary = self.xml.optional_text()?,
                            "Issr" => code.issuer = self.xml.optional_text()?,
                            _ => self.xml.skip()?,
                        }
                    }
                }
                _ => self.xml.skip()?,
            }
        }
        Ok(code)
    }

    fn batch(&mut self) -> Read<Batch> {
        let mut batch = Batch::default();
        while self.xml.child()? {
            match self.xml.name() {
                "MsgId" => batch.message_id = self.xml.optional_text()?,
                "PmtInfId" => batch.payment_information_id = self.xml.optional_text()?,
                "NbOfTxs" => batch.count = self.number()?,
                "TtlAmt" => batch.total = Some(self.amount()?),
                _ => self.xml.skip()?,
            }
        }
        Ok(batch)
    }
}
