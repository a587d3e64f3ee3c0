//! How things read on a British page.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Europe::London;
use contracts::{
    allocation::{AdjustmentKind, OutflowKind, ReceiptState, Rule},
    api::ingestion::ImportState,
    inbound::{AccountKind, DocumentKind},
};
use kernel::Money;

/// Stands where nothing is known.
const NOTHING: &str = "–";

/// As people here write it.
pub(crate) trait Uk {
    fn uk(&self) -> String;
}

impl Uk for NaiveDate {
    /// `22 Nov 2026`
    fn uk(&self) -> String {
        self.format("%-d %b %Y").to_string()
    }
}

impl Uk for DateTime<Utc> {
    /// `22 Nov 2026 09:41`, in London.
    fn uk(&self) -> String {
        self.with_timezone(&London)
            .format("%-d %b %Y %H:%M")
            .to_string()
    }
}

impl Uk for Money {
    /// `£1,234.50`, or `(£120.00)` for a negative amount.
    fn uk(&self) -> String {
        self.display_uk()
    }
}

impl<T: Uk> Uk for Option<T> {
    fn uk(&self) -> String {
        self.as_ref().map_or_else(|| NOTHING.to_owned(), Uk::uk)
    }
}

impl Uk for Vec<Money> {
    /// One amount per currency; nothing where there is none.
    fn uk(&self) -> String {
        self.iter().map(Uk::uk).collect::<Vec<_>>().join(" + ")
    }
}

/// A moment to the second, in London: the stamp of a page.
pub(crate) fn stamp(at: DateTime<Utc>) -> String {
    at.with_timezone(&London)
        .format("%-d %b %Y %H:%M:%S")
        .to_string()
}

/// A moment as `<input type="datetime-local">` has it, in London.
pub(crate) fn local(at: DateTime<Utc>) -> String {
    at.with_timezone(&London)
        .format("%Y-%m-%dT%H:%M")
        .to_string()
}

/// What [`local`] wrote, or RFC 3339. In the hour that happens twice when
/// summer time ends, the later one is meant: it knows more.
pub(crate) fn from_local(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    let naive = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
        .into_iter()
        .find_map(|format| chrono::NaiveDateTime::parse_from_str(text, format).ok())?;
    Some(naive.and_local_timezone(London).latest()?.to_utc())
}

/// Texts of records, as people say them.
pub(crate) trait Words {
    /// Without underscores, with a capital: `part_allocated` reads
    /// `Part allocated`.
    fn words(&self) -> String;
    /// Who did something, without the mark that it was a person.
    fn who(&self) -> String;
}

impl Words for str {
    fn words(&self) -> String {
        let mut text = self.replace('_', " ");
        if let Some(first) = text.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        text
    }

    fn who(&self) -> String {
        self.strip_prefix("user:").unwrap_or(self).to_owned()
    }
}

/// A word for a state or kind.
pub(crate) trait Named {
    fn said(&self) -> String;
}

impl Named for DocumentKind {
    fn said(&self) -> String {
        self.name().words()
    }
}

impl Named for ReceiptState {
    fn said(&self) -> String {
        self.name().words()
    }
}

impl Named for Rule {
    fn said(&self) -> String {
        match self {
            Self::OwnReference => "Our own reference".to_owned(),
            Self::DocumentNumber => "Document number".to_owned(),
            Self::Remittance => "Payer's own list".to_owned(),
            Self::NearNumber => "Nearly a document number".to_owned(),
            Self::PayerAmount => "Known payer and amount".to_owned(),
            Self::SubsetSum => "Documents that add up".to_owned(),
            Self::Balance => "All that is owed or due".to_owned(),
            Self::Manual => "A person".to_owned(),
            Self::Returned => "The bank took it back".to_owned(),
            Self::None => "Nothing certain".to_owned(),
        }
    }
}

impl Named for AdjustmentKind {
    fn said(&self) -> String {
        match self {
            Self::WriteOff => "Written off",
            Self::SmallBalance => "Small balance cleared",
            Self::Discount => "Discount allowed",
            Self::BankCharge => "Bank charge borne",
            Self::Offset => "Set against each other",
            Self::ClientTransfer => "Paid from client money",
        }
        .to_owned()
    }
}

impl Named for OutflowKind {
    fn said(&self) -> String {
        match self {
            Self::Returned => "Taken back by the bank",
            Self::Refunded => "Refunded, or promised",
            Self::ClientLedger => "To the client ledger",
            Self::WrittenBack => "Written back to income",
        }
        .to_owned()
    }
}

impl Named for AccountKind {
    fn said(&self) -> String {
        match self {
            Self::Company => "Company",
            Self::SoleTrader => "Sole trader",
            Self::Individual => "Individual",
            Self::PublicBody => "Public body",
        }
        .to_owned()
    }
}

impl Named for ImportState {
    fn said(&self) -> String {
        match self {
            Self::Uploading => "Uploading",
            Self::Queued => "Waiting",
            Self::Reading => "Reading",
            Self::Recorded => "Recorded",
            Self::Refused => "Refused",
            Self::AlreadyKnown => "Already known",
        }
        .to_owned()
    }
}

impl<T: Named> Named for Option<T> {
    fn said(&self) -> String {
        self.as_ref()
            .map_or_else(|| NOTHING.to_owned(), Named::said)
    }
}

/// An amount as somebody types or pastes it: `1,234.50`, `£1,234.50`, `-120`
/// or `(120.00)`; a plain decimal comes out. Nothing typed is `None`.
pub(crate) fn typed_amount(text: &str) -> Option<String> {
    let text: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, ',' | '£' | '€' | '$'))
        .collect();
    let (negative, digits) = match text
        .strip_prefix('(')
        .and_then(|inner| inner.strip_suffix(')'))
    {
        Some(inner) => (true, inner),
        None => text
            .strip_prefix(['-', '−'])
            .map_or((false, text.as_str()), |rest| (true, rest)),
    };
    if digits.is_empty() {
        return None;
    }
    Some(if negative {
        format!("-{digits}")
    } else {
        digits.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use kernel::Currency;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// E62: what is 23:30 in UTC is tomorrow in a London summer.
    #[test]
    fn times_are_londons() {
        assert_eq!(at("2026-11-22T09:41:07Z").uk(), "22 Nov 2026 09:41");
        assert_eq!(at("2026-07-01T23:30:00Z").uk(), "2 Jul 2026 00:30");
        assert_eq!(stamp(at("2026-11-22T09:41:07Z")), "22 Nov 2026 09:41:07");
        assert_eq!(
            NaiveDate::from_ymd_opt(2026, 3, 2).unwrap().uk(),
            "2 Mar 2026"
        );
    }

    #[test]
    fn a_typed_moment_is_londons_and_reads_back() {
        assert_eq!(
            from_local("2026-07-01T00:30"),
            Some(at("2026-06-30T23:30:00Z"))
        );
        assert_eq!(
            from_local("2026-06-30T23:30:00Z"),
            Some(at("2026-06-30T23:30:00Z"))
        );
        assert_eq!(local(at("2026-06-30T23:30:00Z")), "2026-07-01T00:30");
        assert_eq!(
            from_local("2026-10-25T01:30"),
            Some(at("2026-10-25T01:30:00Z")),
            "the hour that happens twice"
        );
        assert_eq!(
            from_local("2026-03-29T01:30"),
            None,
            "the hour that does not happen"
        );
        assert_eq!(from_local("yesterday"), None);
    }

    #[test]
    fn amounts_read_as_in_the_ledger() {
        let gbp = |text: &str| Money::parse(text, Currency::GBP).unwrap();
        assert_eq!(gbp("1234.5").uk(), "£1,234.50");
        assert_eq!(gbp("-120").uk(), "(£120.00)");
        assert_eq!(
            vec![gbp("1"), Money::parse("2", Currency::EUR).unwrap()].uk(),
            "£1.00 + €2.00"
        );
        assert_eq!(None::<Money>.uk(), "–");
    }

    #[test]
    fn typed_amounts_are_taken_as_people_write_them() {
        let cases = [
            ("1,234.50", Some("1234.50")),
            ("£1,234.50", Some("1234.50")),
            (" (250.00) ", Some("-250.00")),
            ("-250", Some("-250")),
            ("−250", Some("-250")),
            ("", None),
            ("  ", None),
            ("()", None),
            ("12x", Some("12x")),
        ];
        for (typed, expected) in cases {
            assert_eq!(typed_amount(typed).as_deref(), expected, "{typed:?}");
        }
    }

    #[test]
    fn names_of_records_read_as_words() {
        assert_eq!("part_allocated".words(), "Part allocated");
        assert_eq!("".words(), "");
        assert_eq!("user:jo".who(), "jo");
        assert_eq!("feed:barclays".who(), "feed:barclays");
    }
}
