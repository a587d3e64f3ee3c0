//! Our bank account's daily statements as camt.053.001.08 files.

use std::fmt::{self, Write as _};

use chrono::{Datelike, NaiveDate};
use contracts::inbound::{BankAccountRef, Direction, Payer};

use super::{
    own_account,
    payments::{Line, Says, Scheme},
    pounds,
};

const OPENING: i64 = 412_650_37;
/// What stays on the account when the rest is moved to the reserve at the end of a week.
const FLOAT: i64 = 250_000_00;

/// One day of the account. Balances are pence, never overdrawn.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) date: NaiveDate,
    number: usize,
    pub(super) opening: i64,
    pub(super) closing: i64,
    pub(super) lines: Vec<Line>,
}

/// One statement for each of `days`, with the bank's own debits among the receipts (which are in order of date).
pub(super) fn statements(receipts: Vec<Line>, days: &[NaiveDate]) -> Vec<Statement> {
    let mut receipts = receipts.into_iter().peekable();
    let mut opening = OPENING;
    let mut statements = Vec::with_capacity(days.len());
    for (index, date) in days.iter().copied().enumerate() {
        let mut lines: Vec<Line> = Vec::new();
        while let Some(line) = receipts.next_if(|line| line.booked_on <= date) {
            lines.push(line);
        }
        let previous = index.checked_sub(1).and_then(|before| days.get(before));
        if previous.is_some_and(|before| before.month() != date.month()) {
            lines.push(debit(date, Scheme::Charge, 46_80, "ACCOUNT CHARGES"));
        }
        let balance = opening + lines.iter().map(signed).sum::<i64>();
        let surplus = (balance - FLOAT) / 1000_00 * 1000_00;
        let week_ends = days
            .get(index + 1)
            .is_some_and(|next| next.iso_week() != date.iso_week());
        if week_ends && surplus > 0 {
            lines.push(debit(
                date,
                Scheme::Transfer,
                surplus,
                "TRANSFER TO RESERVE",
            ));
        }
        let closing = opening + lines.iter().map(signed).sum::<i64>();
        statements.push(Statement {
            date,
            number: index + 1,
            opening,
            closing,
            lines,
        });
        opening = closing;
    }
    statements
}

fn debit(booked_on: NaiveDate, scheme: Scheme, amount: i64, text: &str) -> Line {
    Line {
        booked_on,
        amount,
        direction: Direction::Debit,
        scheme,
        bank_reference: Some(format!(
            "DR{}{}",
            booked_on.format("%y%m%d"),
            if scheme == Scheme::Charge { 1 } else { 2 }
        )),
        payer: Payer {
            name: None,
            account: BankAccountRef::default(),
        },
        says: Says::Text(text.into()),
    }
}

fn signed(line: &Line) -> i64 {
    match line.direction {
        Direction::Credit => line.amount,
        Direction::Debit => -line.amount,
    }
}

/// Writes elements; whatever is opened is closed, and every text is escaped.
struct Xml(String);

impl Xml {
    /// `text` inside elements that are named from the outside in, such as `Sts/Cd`.
    fn text(&mut self, path: &str, text: &str) {
        let (outer, inner) = path.split_once('/').unwrap_or((path, ""));
        self.inside(outer, |xml| {
            if inner.is_empty() {
                let text = text
                    .replace('&', "&amp;")
                    .replace('<', "&lt;")
                    .replace('>', "&gt;");
                xml.0.push_str(&text);
            } else {
                xml.text(inner, text);
            }
        });
    }

    fn amount(&mut self, element: &str, pence: i64) {
        let amount = pounds(pence);
        self.push(format_args!("<{element} Ccy=\"GBP\">{amount}</{element}>"));
    }

    fn inside(&mut self, element: &str, content: impl FnOnce(&mut Self)) {
        self.push(format_args!("<{element}>"));
        content(self);
        self.push(format_args!("</{element}>"));
    }

    fn push(&mut self, text: fmt::Arguments<'_>) {
        // A `String` takes everything.
        let _ = self.0.write_fmt(text);
    }
}

impl Statement {
    pub(super) fn xml(&self) -> String {
        let Self { date, .. } = self;
        let made = format!("{date}T22:30:00Z");
        let mut xml = Xml("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\">"
            .to_owned());
        xml.inside("BkToCstmrStmt", |xml| {
            xml.inside("GrpHdr", |xml| {
                xml.text("MsgId", &format!("MSG-{date}"));
                xml.text("CreDtTm", &made);
            });
            xml.inside("Stmt", |xml| {
                xml.text("Id", &format!("STMT-{date}"));
                xml.text("ElctrncSeqNb", &self.number.to_string());
                xml.text("CreDtTm", &made);
                xml.inside("FrToDt", |xml| {
                    xml.text("FrDtTm", &format!("{date}T00:00:00Z"));
                    xml.text("ToDtTm", &format!("{date}T23:59:59Z"));
                });
                xml.inside("Acct", |xml| {
                    xml.text("Id/Othr/Id", &fourteen_digits(&own_account()));
                    xml.text("Ccy", "GBP");
                    xml.text("Ownr/Nm", "COUNTERFOIL DEMO LTD");
                });
                self.balance(xml, "OPBD", self.opening);
                self.balance(xml, "CLBD", self.closing);
                self.totals(xml);
                for (index, line) in self.lines.iter().enumerate() {
                    // A line of text for a line of the account: easy to look at, and to compare.
                    xml.0.push('\n');
                    xml.inside("Ntry", |xml| entry(xml, index + 1, line));
                }
            });
        });
        xml.0.push_str("</Document>\n");
        xml.0
    }

    fn balance(&self, xml: &mut Xml, code: &str, pence: i64) {
        xml.inside("Bal", |xml| {
            xml.text("Tp/CdOrPrtry/Cd", code);
            xml.amount("Amt", pence);
            xml.text("CdtDbtInd", "CRDT");
            xml.text("Dt/Dt", &self.date.to_string());
        });
    }

    fn totals(&self, xml: &mut Xml) {
        xml.inside("TxsSummry", |xml| {
            for (element, direction) in [
                ("TtlCdtNtries", Direction::Credit),
                ("TtlDbtNtries", Direction::Debit),
            ] {
                let lines = self.lines.iter().filter(|line| line.direction == direction);
                let (count, sum) =
                    lines.fold((0, 0), |(count, sum), line| (count + 1, sum + line.amount));
                xml.inside(element, |xml| {
                    xml.text("NbOfNtries", &count.to_string());
                    xml.text("Sum", &pounds(sum));
                });
            }
        });
    }
}

/// Domain, family and sub-family of ISO 20022, as UK banks fill them.
const fn transaction_code(scheme: Scheme) -> [&'static str; 3] {
    match scheme {
        Scheme::Bacs => ["PMNT", "RCDT", "ACDT"],
        Scheme::Fps => ["PMNT", "RRCT", "DMCT"],
        Scheme::Chaps => ["PMNT", "RCDT", "SDVA"],
        Scheme::Cheque => ["PMNT", "RCHQ", "CCHQ"],
        Scheme::Charge => ["ACMT", "MDOP", "CHRG"],
        Scheme::Transfer => ["PMNT", "ICDT", "BOOK"],
    }
}

/// How UK banks name an account where there is no IBAN: sort code and account number.
fn fourteen_digits(account: &BankAccountRef) -> String {
    [&account.sort_code, &account.account_number]
        .into_iter()
        .flatten()
        .flat_map(|part| part.chars().filter(char::is_ascii_digit))
        .collect()
}

const fn direction_code(direction: Direction) -> &'static str {
    match direction {
        Direction::Credit => "CRDT",
        Direction::Debit => "DBIT",
    }
}

fn entry(xml: &mut Xml, place: usize, line: &Line) {
    let date = line.booked_on.to_string();
    xml.text("NtryRef", &place.to_string());
    xml.amount("Amt", line.amount);
    xml.text("CdtDbtInd", direction_code(line.direction));
    xml.text("Sts/Cd", "BOOK");
    xml.text("BookgDt/Dt", &date);
    xml.text("ValDt/Dt", &date);
    if let Some(reference) = &line.bank_reference {
        xml.text("AcctSvcrRef", reference);
    }
    let [domain, family, sub_family] = transaction_code(line.scheme);
    xml.inside("BkTxCd", |xml| {
        xml.inside("Domn", |xml| {
            xml.text("Cd", domain);
            xml.inside("Fmly", |xml| {
                xml.text("Cd", family);
                xml.text("SubFmlyCd", sub_family);
            });
        });
    });
    match (line.direction, &line.says) {
        (Direction::Credit, _) => xml.inside("NtryDtls", |xml| {
            xml.inside("TxDtls", |xml| details(xml, line));
        }),
        (Direction::Debit, Says::Text(text)) => xml.text("AddtlNtryInf", text),
        (Direction::Debit, _) => {}
    }
}

fn details(xml: &mut Xml, line: &Line) {
    xml.text("Refs/EndToEndId", "NOTPROVIDED");
    xml.amount("Amt", line.amount);
    xml.text("CdtDbtInd", direction_code(line.direction));
    if let Some(name) = &line.payer.name {
        xml.inside("RltdPties", |xml| {
            xml.text("Dbtr/Pty/Nm", name);
            let account = fourteen_digits(&line.payer.account);
            if !account.is_empty() {
                xml.text("DbtrAcct/Id/Othr/Id", &account);
            }
        });
    }
    match &line.says {
        Says::Nothing => {}
        Says::Text(text) => xml.text("RmtInf/Ustrd", text),
        Says::CreditorReference(reference) => xml.inside("RmtInf", |xml| {
            xml.inside("Strd", |xml| {
                xml.inside("CdtrRefInf", |xml| {
                    xml.text("Tp/CdOrPrtry/Cd", "SCOR");
                    xml.text("Ref", reference);
                });
            });
        }),
        Says::Documents(documents) => xml.inside("RmtInf", |xml| {
            for (number, pence, credit) in documents {
                xml.inside("Strd", |xml| {
                    xml.inside("RfrdDocInf", |xml| {
                        xml.text("Tp/CdOrPrtry/Cd", if *credit { "CREN" } else { "CINV" });
                        xml.text("Nb", number);
                    });
                    xml.inside("RfrdDocAmt", |xml| xml.amount("RmtdAmt", *pence));
                });
            }
        }),
    }
}
