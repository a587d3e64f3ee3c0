//! By which payment scheme a line came, told from the bank's codes and text.

use std::{fmt, sync::LazyLock};

use contracts::inbound::Direction;
use kernel::Currency;
use serde::Serialize;

use super::line::BankTransactionCode;

/// How money moved. Decides what a line can be: a receipt, a collection, a
/// return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    BacsCredit,
    DdCollection,
    /// A collection of ours that the payer's bank did not pay.
    DdReturn,
    /// A refund under the Direct Debit guarantee, taken back from us.
    Ddic,
    Fps,
    Chaps,
    Cheque,
    ChequeReturn,
    Card,
    Cash,
    Internal,
    Charge,
    Interest,
    /// A payment of ours that came back.
    ArucsReturn,
    /// The bank does not say, or says what nobody here knows.
    Unknown,
}

impl Scheme {
    const ALL: [Self; 15] = [
        Self::BacsCredit,
        Self::DdCollection,
        Self::DdReturn,
        Self::Ddic,
        Self::Fps,
        Self::Chaps,
        Self::Cheque,
        Self::ChequeReturn,
        Self::Card,
        Self::Cash,
        Self::Internal,
        Self::Charge,
        Self::Interest,
        Self::ArucsReturn,
        Self::Unknown,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::BacsCredit => "bacs_credit",
            Self::DdCollection => "dd_collection",
            Self::DdReturn => "dd_return",
            Self::Ddic => "ddic",
            Self::Fps => "fps",
            Self::Chaps => "chaps",
            Self::Cheque => "cheque",
            Self::ChequeReturn => "cheque_return",
            Self::Card => "card",
            Self::Cash => "cash",
            Self::Internal => "internal",
            Self::Charge => "charge",
            Self::Interest => "interest",
            Self::ArucsReturn => "arucs_return",
            Self::Unknown => "unknown",
        }
    }

    /// A collection of ours that was unpaid or taken back: the debtor's doing,
    /// although the money left our account.
    pub const fn is_returned_collection(self) -> bool {
        matches!(self, Self::DdReturn | Self::Ddic | Self::ChequeReturn)
    }

    /// The first rule of `bank_tx_codes.csv` that fits: ISO codes first, then
    /// the bank's own code, then the words that UK banks begin their text with.
    pub fn of(
        code: &BankTransactionCode,
        direction: Direction,
        currency: Currency,
        narrative: Option<&str>,
    ) -> Self {
        let first_word = narrative
            .and_then(|text| text.split(|c: char| !c.is_ascii_alphanumeric()).next())
            .unwrap_or_default();
        RULES
            .iter()
            .filter(|rule| {
                rule.direction.is_none_or(|wanted| wanted == direction)
                    && (!rule.sterling || currency == Currency::GBP)
            })
            .find(|rule| match rule.kind {
                Kind::Iso => {
                    fits(rule.a, code.domain.as_deref())
                        && fits(rule.b, code.family.as_deref())
                        && fits(rule.c, code.sub_family.as_deref())
                }
                Kind::Proprietary => {
                    fits(rule.a, code.proprietary.as_deref())
                        && (rule.b == "*" || fits(rule.b, code.issuer.as_deref()))
                }
                Kind::Narrative => rule.a == first_word,
            })
            .map_or(Self::Unknown, |rule| rule.scheme)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Iso,
    Proprietary,
    Narrative,
}

#[derive(Debug)]
struct Rule {
    kind: Kind,
    a: &'static str,
    b: &'static str,
    c: &'static str,
    direction: Option<Direction>,
    sterling: bool,
    scheme: Scheme,
}

/// A wanted code fits the given one; a code that the bank left out fits nothing
/// but `*`.
fn fits(wanted: &str, given: Option<&str>) -> bool {
    match (wanted, given) {
        ("*", _) => true,
        (wanted, Some(given)) => wanted == given,
        (_, None) => false,
    }
}

/// The table, read once. A row that is no rule is left out here and caught by
/// the test below, since production code must not panic over its own data.
static RULES: LazyLock<Vec<Rule>> =
    LazyLock::new(|| rows().filter_map(|row| rule(row).ok()).collect());

const TABLE: &str = include_str!("bank_tx_codes.csv");

fn rows() -> impl Iterator<Item = &'static str> {
    TABLE
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .skip(1)
}

fn rule(row: &'static str) -> Result<Rule, &'static str> {
    let mut fields = row.split(',');
    let mut next = || fields.next().ok_or("too few columns");
    let kind = match next()? {
        "iso" => Kind::Iso,
        "proprietary" => Kind::Proprietary,
        "narrative" => Kind::Narrative,
        _ => return Err("unknown kind"),
    };
    let (a, b, c) = (next()?, next()?, next()?);
    let direction = match next()? {
        "c" => Some(Direction::Credit),
        "d" => Some(Direction::Debit),
        "*" => None,
        _ => return Err("unknown direction"),
    };
    let sterling = match next()? {
        "y" => true,
        "" => false,
        _ => return Err("sterling is y or empty"),
    };
    let name = next()?;
    let scheme = Scheme::ALL
        .into_iter()
        .find(|scheme| scheme.name() == name)
        .ok_or("unknown scheme")?;
    if fields.next().is_some() {
        return Err("too many columns");
    }
    Ok(Rule {
        kind,
        a,
        b,
        c,
        direction,
        sterling,
        scheme,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iso(domain: &str, family: &str, sub_family: &str) -> BankTransactionCode {
        BankTransactionCode {
            domain: Some(domain.to_owned()),
            family: Some(family.to_owned()),
            sub_family: Some(sub_family.to_owned()),
            ..BankTransactionCode::default()
        }
    }

    fn own(code: &str) -> BankTransactionCode {
        BankTransactionCode {
            proprietary: Some(code.to_owned()),
            ..BankTransactionCode::default()
        }
    }

    #[test]
    fn every_row_of_the_table_is_a_rule() {
        for row in rows() {
            assert!(rule(row).is_ok(), "{row}: {:?}", rule(row).err());
        }
        assert_eq!(RULES.len(), rows().count());
        assert!(RULES.len() > 40);
    }

    #[test]
    fn an_unpaid_collection_of_ours_is_issued_not_received() {
        let scheme = |code, direction| Scheme::of(&code, direction, Currency::GBP, None);
        assert_eq!(
            scheme(iso("PMNT", "IDDT", "UPDD"), Direction::Debit),
            Scheme::DdReturn
        );
        assert_eq!(
            scheme(iso("PMNT", "IDDT", "PRDD"), Direction::Debit),
            Scheme::Ddic
        );
        assert_eq!(
            scheme(iso("PMNT", "IDDT", "BBDD"), Direction::Credit),
            Scheme::DdCollection
        );
        // The payer's side of the same return, on the payer's own statement.
        assert_eq!(
            scheme(iso("PMNT", "RDDT", "UPDD"), Direction::Credit),
            Scheme::Unknown
        );
    }

    #[test]
    fn uk_clearings_carry_pounds_only() {
        let code = iso("PMNT", "RRCT", "DMCT");
        assert_eq!(
            Scheme::of(&code, Direction::Credit, Currency::GBP, None),
            Scheme::Fps
        );
        assert_eq!(
            Scheme::of(&code, Direction::Credit, Currency::EUR, None),
            Scheme::Unknown
        );
    }

    #[test]
    fn own_codes_and_first_words_help_where_iso_codes_are_missing() {
        let none = BankTransactionCode::default();
        let of = |code: &BankTransactionCode, text| {
            Scheme::of(code, Direction::Credit, Currency::GBP, text)
        };
        assert_eq!(of(&own("BGC"), None), Scheme::BacsCredit);
        assert_eq!(of(&none, Some("FPI ACME LTD")), Scheme::Fps);
        assert_eq!(of(&none, Some("FPICTURES LTD")), Scheme::Unknown);
        assert_eq!(of(&own("ZZZ"), None), Scheme::Unknown);
        assert_eq!(
            Scheme::of(&own("CHQ"), Direction::Debit, Currency::GBP, None),
            Scheme::ChequeReturn
        );
    }
}
