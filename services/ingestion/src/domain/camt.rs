//! camt.053, camt.052 and camt.054: one grammar in three containers.
//!
//! The file is read once, front to back, by local names: prefixes do not matter,
//! and what is not named here is passed over. What makes lines unusable (broken
//! XML, an amount that is none, an entry without a direction) refuses the whole
//! file, since a statement read in part would be believed. What only casts doubt
//! becomes a [`Problem`] of its statement.

use chrono::{Datelike, NaiveDate};
use contracts::inbound::Direction;
use kernel::{AccountNumber, BankAccount, Currency, Iban, Money, MoneyError, SortCode};

use super::{
    dedup,
    detect::{Format, message_name},
    line::{
        Adjustment, Balance, BankLine, BankTransactionCode, Batch, LineDetail, LineStatus,
        OtherReference, Page, Party, ReferredDocument, ReturnInfo, Statement, StructuredRemittance,
        details_sum_to, signed,
    },
    parse::Parsed,
    problem::{ParseError, Problem},
    proof,
    scheme::Scheme,
    xml::Cursor,
};

/// The newest message version whose changes were looked at. Newer ones are read
/// all the same, and say so.
const NEWEST_VERSION: u32 = 13;

/// A day outside of these years is a slip, and would sort wrongly for ever.
const PLAUSIBLE_YEARS: std::ops::RangeInclusive<i32> = 1990..=2100;

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

/// `TxsSummry` of a statement: what the bank counted.
#[derive(Debug, Default)]
struct Totals {
    all: Total,
    credits: Total,
    debits: Total,
    net: Option<(String, Option<Direction>)>,
    line: u64,
}

#[derive(Debug, Default)]
struct Total {
    count: Option<String>,
    sum: Option<String>,
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

        let id = match id {
            Some(id) => id,
            None => {
                self.problems.push(
                    Problem::new("missing_id", "the statement has no name of its own")
                        .at_line(start_line)
                        .at_path(start_path.clone()),
                );
                self.message.id.clone().unwrap_or_default()
            }
        };
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
                            "the {} transaction details do not sum to the entry's {}; it is kept whole",
                            bank_line.details.len(),
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

    fn totals(&mut self) -> Read<Totals> {
        let mut totals = Totals {
            line: self.xml.line(),
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

    fn detail(&mut self) -> Read<DetailSaid> {
        let mut said = DetailSaid::default();
        while self.xml.child()? {
            match self.xml.name() {
                "Refs" => self.references(&mut said.detail)?,
                "Amt" => said.amounts.insert(0, self.amount()?),
                "CdtDbtInd" => said.detail.direction = Some(self.direction()?),
                "AmtDtls" => self.amount_details(&mut said.amounts)?,
                "BkTxCd" => said.detail.bank_transaction_code = self.transaction_code()?,
                "RltdPties" => self.parties(&mut said)?,
                "RltdAgts" => self.agents(&mut said)?,
                "RmtInf" => self.remittance(&mut said.detail)?,
                "RtrInf" => said.detail.returned = Some(self.return_info()?),
                "Purp" => said.detail.purpose = self.xml.code()?,
                "RltdDts" => {
                    while self.xml.child()? {
                        if self.xml.name() == "AccptncDtTm" {
                            said.detail.accepted_at = self.xml.optional_text()?;
                        } else {
                            self.xml.skip()?;
                        }
                    }
                }
                "AddtlTxInf" => said.detail.additional = self.xml.optional_text()?,
                _ => self.xml.skip()?,
            }
        }
        Ok(said)
    }

    fn references(&mut self, detail: &mut LineDetail) -> Read<()> {
        while self.xml.child()? {
            match self.xml.name() {
                "MsgId" => detail.message_id = self.xml.optional_text()?,
                "AcctSvcrRef" => detail.bank_reference = self.xml.optional_text()?,
                "PmtInfId" => detail.payment_information_id = self.xml.optional_text()?,
                "InstrId" => detail.instruction_id = self.xml.optional_text()?,
                "EndToEndId" => detail.end_to_end_id = self.xml.optional_text()?,
                "TxId" => detail.transaction_id = self.xml.optional_text()?,
                "UETR" => detail.uetr = self.xml.optional_text()?,
                "MndtId" => detail.mandate_reference = self.xml.optional_text()?,
                "ChqNb" => detail.cheque_number = self.xml.optional_text()?,
                "ClrSysRef" => detail.clearing_reference = self.xml.optional_text()?,
                "Prtry" => {
                    let (mut kind, mut reference) = (None, None);
                    while self.xml.child()? {
                        match self.xml.name() {
                            "Tp" => kind = self.xml.optional_text()?,
                            "Ref" => reference = self.xml.optional_text()?,
                            _ => self.xml.skip()?,
                        }
                    }
                    if let Some(reference) = reference {
                        detail.other_references.push(OtherReference {
                            kind: kind.unwrap_or_default(),
                            reference,
                        });
                    }
                }
                _ => self.xml.skip()?,
            }
        }
        Ok(())
    }

    /// The transaction amount before version 3, and that in our currency.
    fn amount_details(&mut self, amounts: &mut Vec<Money>) -> Read<()> {
        while self.xml.child()? {
            if matches!(self.xml.name(), "TxAmt" | "CntrValAmt") {
                while self.xml.child()? {
                    if self.xml.name() == "Amt" {
                        amounts.push(self.amount()?);
                    } else {
                        self.xml.skip()?;
                    }
                }
            } else {
                self.xml.skip()?;
            }
        }
        Ok(())
    }

    fn parties(&mut self, said: &mut DetailSaid) -> Read<()> {
        while self.xml.child()? {
            let detail = &mut said.detail;
            match self.xml.name() {
                "Dbtr" => self.party(&mut detail.debtor)?,
                "UltmtDbtr" => self.party(&mut detail.ultimate_debtor)?,
                "Cdtr" => self.party(&mut detail.creditor)?,
                "UltmtCdtr" => self.party(&mut detail.ultimate_creditor)?,
                "DbtrAcct" => {
                    said.debtor_account = self.party_account(&mut detail.debtor)?;
                }
                "CdtrAcct" => {
                    said.creditor_account = self.party_account(&mut detail.creditor)?;
                }
                _ => self.xml.skip()?,
            }
        }
        Ok(())
    }

    /// A party: its name right here, or since version 8 one level down in `Pty`
    /// or (a bank for itself) in `Agt`.
    fn party(&mut self, party: &mut Party) -> Read<()> {
        while self.xml.child()? {
            match self.xml.name() {
                "Nm" => party.name = self.xml.optional_text()?.or(party.name.take()),
                "Pty" => {
                    while self.xml.child()? {
                        if self.xml.name() == "Nm" {
                            party.name = self.xml.optional_text()?.or(party.name.take());
                        } else {
                            self.xml.skip()?;
                        }
                    }
                }
                "Agt" => {
                    let name = self.institution(party)?;
                    party.name = party.name.take().or(name);
                }
                _ => self.xml.skip()?,
            }
        }
        Ok(())
    }

    fn party_account(&mut self, party: &mut Party) -> Read<Identified> {
        let mut id = Identified::default();
        while self.xml.child()? {
            match self.xml.name() {
                "Id" => id = self.identified()?,
                "Nm" => party.account_name = self.xml.optional_text()?,
                _ => self.xml.skip()?,
            }
        }
        Ok(id)
    }

    fn agents(&mut self, said: &mut DetailSaid) -> Read<()> {
        while self.xml.child()? {
            match self.xml.name() {
                "DbtrAgt" => self.agent(&mut said.detail.debtor)?,
                "CdtrAgt" => self.agent(&mut said.detail.creditor)?,
                _ => self.xml.skip()?,
            }
        }
        Ok(())
    }

    fn agent(&mut self, party: &mut Party) -> Read<()> {
        self.institution(party).map(|_| ())
    }

    /// `FinInstnId` inside the current element: BIC and clearing id go to the
    /// party, the bank's name is returned.
    fn institution(&mut self, party: &mut Party) -> Read<Option<String>> {
        let mut name = None;
        while self.xml.child()? {
            if self.xml.name() != "FinInstnId" {
                self.xml.skip()?;
                continue;
            }
            while self.xml.child()? {
                match self.xml.name() {
                    "BIC" | "BICFI" => party.bank_bic = self.xml.optional_text()?,
                    "Nm" => name = self.xml.optional_text()?,
                    "ClrSysMmbId" => {
                        while self.xml.child()? {
                            if self.xml.name() == "MmbId" {
                                party.bank_clearing_id = self.xml.optional_text()?;
                            } else {
                                self.xml.skip()?;
                            }
                        }
                    }
                    _ => self.xml.skip()?,
                }
            }
        }
        Ok(name)
    }

    fn remittance(&mut self, detail: &mut LineDetail) -> Read<()> {
        while self.xml.child()? {
            match self.xml.name() {
                "Ustrd" => detail.unstructured.extend(self.xml.optional_text()?),
                "Strd" => {
                    let block = self.structured()?;
                    detail.structured.push(block);
                }
                _ => self.xml.skip()?,
            }
        }
        Ok(())
    }

    fn structured(&mut self) -> Read<StructuredRemittance> {
        let mut block = StructuredRemittance::default();
        while self.xml.child()? {
            match self.xml.name() {
                "RfrdDocInf" => {
                    let mut document = ReferredDocument::default();
                    while self.xml.child()? {
                        match self.xml.name() {
                            "Tp" => document.kind = self.kind()?,
                            "Nb" => document.number = self.xml.optional_text()?,
                            "RltdDt" => document.dated = self.remitted_date()?,
                            _ => self.xml.skip()?,
                        }
                    }
                    block.documents.push(document);
                }
                "RfrdDocAmt" => {
                    while self.xml.child()? {
                        match self.xml.name() {
                            "DuePyblAmt" => block.due = self.remitted_amount()?,
                            "DscntApldAmt" => block.discount = self.remitted_amount()?,
                            "CdtNoteAmt" => block.credit_note = self.remitted_amount()?,
                            "RmtdAmt" => block.remitted = self.remitted_amount()?,
                            "AdjstmntAmtAndRsn" => block.adjustments.extend(self.adjustment()?),
                            _ => self.xml.skip()?,
                        }
                    }
                }
                "CdtrRefInf" => {
                    while self.xml.child()? {
                        match self.xml.name() {
                            "Tp" => block.creditor_reference_kind = self.kind()?,
                            "Ref" => block.creditor_reference = self.xml.optional_text()?,
                            _ => self.xml.skip()?,
                        }
                    }
                }
                "AddtlRmtInf" => block.additional.extend(self.xml.optional_text()?),
                _ => self.xml.skip()?,
            }
        }
        Ok(block)
    }

    /// `Tp/CdOrPrtry/Cd` or `Prtry`.
    fn kind(&mut self) -> Read<Option<String>> {
        let mut kind = None;
        while self.xml.child()? {
            if self.xml.name() == "CdOrPrtry" {
                kind = self.xml.code()?;
            } else {
                self.xml.skip()?;
            }
        }
        Ok(kind)
    }

    fn adjustment(&mut self) -> Read<Option<Adjustment>> {
        let (mut amount, mut direction, mut reason, mut note) = (None, None, None, None);
        while self.xml.child()? {
            match self.xml.name() {
                "Amt" => amount = self.remitted_amount()?,
                "CdtDbtInd" => direction = Some(self.direction()?),
                "Rsn" => reason = self.xml.optional_text()?,
                "AddtlInf" => note = self.xml.optional_text()?,
                _ => self.xml.skip()?,
            }
        }
        Ok(amount.map(|amount| Adjustment {
            amount,
            direction,
            reason,
            note,
        }))
    }

    fn return_info(&mut self) -> Read<ReturnInfo> {
        let mut returned = ReturnInfo::default();
        while self.xml.child()? {
            match self.xml.name() {
                "OrgnlBkTxCd" => returned.original = self.transaction_code()?,
                "Rsn" => returned.reason = self.xml.code()?,
                "AddtlInf" => returned.notes.extend(self.xml.optional_text()?),
                _ => self.xml.skip()?,
            }
        }
        Ok(returned)
    }

    /// An amount with its currency; refused when it is no amount of money.
    fn amount(&mut self) -> Read<Money> {
        let code = self.xml.attribute("Ccy")?;
        let text = self.xml.text()?;
        let Some(code) = code else {
            return Err(self
                .xml
                .problem("missing_currency", "the amount has no currency"));
        };
        let currency = self.currency(&code)?;
        decimal(&text, currency).map_err(|(code, detail)| self.xml.problem(code, detail))
    }

    /// An amount that the payer wrote about his documents. A wrong one is
    /// doubtful, but not the bank's, so it does not refuse the statement. Since
    /// version 3 some stand one level down.
    fn remitted_amount(&mut self) -> Read<Option<Money>> {
        let code = self.xml.attribute("Ccy")?;
        if code.is_none() {
            let mut amount = None;
            // Without a currency of its own it is the newer form, or nothing.
            while self.xml.child()? {
                if self.xml.name() == "Amt" {
                    amount = self.payers_amount()?;
                } else {
                    self.xml.skip()?;
                }
            }
            return Ok(amount);
        }
        self.payers_amount()
    }

    fn payers_amount(&mut self) -> Read<Option<Money>> {
        let code = self.xml.attribute("Ccy")?.unwrap_or_default();
        let text = self.xml.text()?;
        let read = Currency::parse(&code)
            .map_err(|error| error.to_string())
            .and_then(|currency| decimal(&text, currency).map_err(|(_, detail)| detail));
        match read {
            Ok(amount) => Ok(Some(amount)),
            Err(detail) => {
                let problem = self.xml.problem("remittance_unreadable", detail);
                self.problems.push(problem);
                Ok(None)
            }
        }
    }

    /// A date that the payer wrote: like [`payers_amount`](Self::payers_amount).
    /// Since version 8 it may stand one level down, in `Dt`.
    fn remitted_date(&mut self) -> Read<Option<NaiveDate>> {
        let text = self.date_text()?;
        let date = text.as_deref().and_then(iso_date);
        if let Some(text) = text
            && date.is_none()
        {
            let detail = format!("{} is no date", excerpt(&text));
            let problem = self.xml.problem("remittance_unreadable", detail);
            self.problems.push(problem);
        }
        Ok(date)
    }

    fn currency(&mut self, code: &str) -> Read<Currency> {
        Currency::parse(code)
            .map_err(|error| self.xml.problem("unknown_currency", error.to_string()))
    }

    fn direction(&mut self) -> Read<Direction> {
        match self.xml.text()?.as_str() {
            "CRDT" => Ok(Direction::Credit),
            "DBIT" => Ok(Direction::Debit),
            other => {
                let detail = format!("{} is neither CRDT nor DBIT", excerpt(other));
                Err(self.xml.problem("bad_direction", detail))
            }
        }
    }

    fn boolean(&mut self) -> Read<bool> {
        match self.xml.text()?.as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" | "" => Ok(false),
            other => {
                let detail = format!("{} is neither true nor false", excerpt(other));
                Err(self.xml.problem("bad_boolean", detail))
            }
        }
    }

    /// A count or sequence number. One that is none is left out with a doubt: no
    /// money hangs on it.
    fn number<N: std::str::FromStr>(&mut self) -> Read<Option<N>> {
        let Some(text) = self.xml.optional_text()? else {
            return Ok(None);
        };
        let number = text.parse().ok();
        if number.is_none() {
            let detail = format!("{} is no number that can be counted with", excerpt(&text));
            let problem = self.xml.problem("bad_number", detail);
            self.problems.push(problem);
        }
        Ok(number)
    }

    /// A day: the element's own text, or its `Dt` or `DtTm`. With a time it is
    /// the day as the bank wrote it, in the bank's time zone: the day on the
    /// customer's paper statement.
    fn date(&mut self) -> Read<Option<NaiveDate>> {
        let Some(text) = self.date_text()? else {
            return Ok(None);
        };
        let date = iso_date(&text);
        if date.is_none() {
            let detail = format!("{} is no date of our time", excerpt(&text));
            return Err(self.xml.problem("bad_date", detail));
        }
        Ok(date)
    }

    fn date_text(&mut self) -> Read<Option<String>> {
        self.xml.text_or_child(&["Dt", "DtTm"])
    }
}

/// A detail with all amounts that the bank gives for it, the best first.
#[derive(Debug, Default)]
struct DetailSaid {
    detail: LineDetail,
    amounts: Vec<Money>,
    debtor_account: Identified,
    creditor_account: Identified,
}

impl DetailSaid {
    /// The detail with its amount in the entry's currency where there is one,
    /// and its parties' accounts, now that all that tells about them is read.
    fn in_currency(self, currency: Currency) -> LineDetail {
        let Self {
            mut detail,
            amounts,
            debtor_account,
            creditor_account,
        } = self;
        detail.amount = amounts
            .iter()
            .find(|amount| amount.currency() == currency)
            .or(amounts.first())
            .copied();
        detail.debtor.account = understood(&debtor_account, &detail.debtor, Some(currency));
        detail.creditor.account = understood(&creditor_account, &detail.creditor, Some(currency));
        detail
    }
}

/// An account number as the kernel knows it: a right IBAN, UK sort code and
/// account number, or any other text as it stands (a masked IBAN too).
fn understood(id: &Identified, bank: &Party, currency: Option<Currency>) -> Option<BankAccount> {
    let text = id.iban.as_ref().or(id.other.as_ref())?;
    if let Ok(iban) = Iban::parse(text) {
        return Some(BankAccount::Iban(iban));
    }
    if let Some(other) = &id.other
        && id.iban.is_none()
        && in_the_uk(bank, currency)
        && let Some(account) = uk_account(other, bank.bank_clearing_id.as_deref())
    {
        return Some(account);
    }
    Some(BankAccount::Other(text.clone()))
}

/// Fourteen digits are a UK account only at a UK bank: other countries have
/// numbers of that length too. A bank that is not named keeps pounds in the UK.
fn in_the_uk(bank: &Party, currency: Option<Currency>) -> bool {
    match bank.bank_bic.as_deref().and_then(|bic| bic.get(4..6)) {
        Some(country) => country == "GB",
        None => currency.is_none_or(|currency| currency == Currency::GBP),
    }
}

/// Sort code and account number in one, or the account number beside the bank's
/// sort code.
fn uk_account(number: &str, bank_sort_code: Option<&str>) -> Option<BankAccount> {
    let digits: String = number.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (sort_code, account_number) = match digits.len() {
        14 => digits.split_at(6),
        6..=8 => (bank_sort_code?, digits.as_str()),
        _ => return None,
    };
    Some(BankAccount::Uk {
        sort_code: SortCode::parse(sort_code).ok()?,
        account_number: AccountNumber::parse(account_number).ok()?,
    })
}

/// An amount as XML writes decimals: `.5`, `5.` and `+5` too; never negative.
fn decimal(text: &str, currency: Currency) -> Result<Money, (&'static str, String)> {
    if text.starts_with('-') {
        return Err((
            "negative_amount",
            format!(
                "{} is negative; the direction says which way",
                excerpt(text)
            ),
        ));
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let padded;
    let plain = if unsigned.starts_with('.') && unsigned.len() > 1 {
        padded = format!("0{unsigned}");
        padded.as_str()
    } else {
        match unsigned.strip_suffix('.') {
            Some(whole) if !whole.contains('.') => whole,
            _ => unsigned,
        }
    };
    Money::parse(plain, currency).map_err(|error| {
        let code = match error {
            MoneyError::TooManyDecimals { .. } => "too_many_decimals",
            _ => "bad_amount",
        };
        (code, error.to_string())
    })
}

/// The day of an XML date or date with time, whatever zone follows.
fn iso_date(text: &str) -> Option<NaiveDate> {
    let day = text.get(..10)?;
    let rest = text.get(10..)?;
    let well_formed = day.bytes().enumerate().all(|(at, b)| match at {
        4 | 7 => b == b'-',
        _ => b.is_ascii_digit(),
    }) && (rest.is_empty() || rest.starts_with(['T', 'Z', '+', '-']));
    if !well_formed {
        return None;
    }
    NaiveDate::parse_from_str(day, "%Y-%m-%d")
        .ok()
        .filter(|date| PLAUSIBLE_YEARS.contains(&date.year()))
}

fn excerpt(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}

/// Checks the statement's balances, totals and currencies, and notes what does
/// not agree.
fn prove(statement: &mut Statement, signs_stated: bool, totals: Option<&Totals>) {
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
            let line = totals.line;
            found.extend(
                check_totals(totals, &statement.lines, currency)
                    .into_iter()
                    .map(|problem| problem.at_line(line)),
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
