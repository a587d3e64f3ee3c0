//! [`Currency`]: a current ISO 4217 code with its number of decimals.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::excerpt;
use crate::money::MoneyError;
use crate::rows::{Rows, number};

const LIST: &str = include_str!("../data/iso-4217.csv");

#[derive(Clone, Copy)]
struct Entry {
    code: &'static str,
    exponent: u32,
}

const COUNT: usize = Rows::new(LIST).count();
const ENTRIES: [Entry; COUNT] = entries();
static TABLE: [Entry; COUNT] = ENTRIES;

const fn entries() -> [Entry; COUNT] {
    // A `Currency` is a one-byte index into the table.
    const {
        assert!(COUNT <= 256, "too many currencies for a one-byte index");
    }
    let mut entries = [Entry {
        code: "",
        exponent: 0,
    }; COUNT];
    let mut rows = Rows::new(LIST);
    let mut i = 0;
    while let Some(row) = rows.next() {
        let (code, exponent) = row.split_at(3);
        assert!(
            exponent[0] == b',',
            "a code of three letters, then a comma, is expected"
        );
        let exponent = number(exponent.split_at(1).1);
        // Four decimals is what the database columns `numeric(20,4)` hold.
        assert!(exponent <= 4, "an exponent above 4 does not fit");
        entries[i] = Entry {
            code: match std::str::from_utf8(code) {
                Ok(code) => code,
                Err(_) => "",
            },
            exponent,
        };
        assert!(
            i == 0 || ascending(entries[i - 1].code.as_bytes(), code),
            "the list must be sorted by code, without doubles"
        );
        i += 1;
    }
    entries
}

const fn ascending(left: &[u8], right: &[u8]) -> bool {
    letters(left) < letters(right)
}

const fn letters(code: &[u8]) -> u32 {
    let mut value = 0;
    let mut i = 0;
    while i < 3 {
        assert!(code[i].is_ascii_uppercase(), "a capital letter is expected");
        value = value * 256 + code[i] as u32;
        i += 1;
    }
    value
}

const fn known(code: &str) -> Currency {
    let mut i = 0;
    while letters(ENTRIES[i].code.as_bytes()) != letters(code.as_bytes()) {
        i += 1;
    }
    Currency(i as u8)
}

/// A current currency or fund code of ISO 4217 list one that has a minor unit.
///
/// One byte, `Copy`; ordered by code. On the wire it is the three capital letters.
/// The table is `data/iso-4217.csv`, which names its source and date. Codes without a minor unit
/// (`XAU`, `XXX`, ...) and withdrawn ones (`BGN`, `HRK`, ...) are unknown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(u8);

impl Currency {
    /// Pound sterling.
    pub const GBP: Self = known("GBP");
    /// Euro.
    pub const EUR: Self = known("EUR");
    /// US dollar.
    pub const USD: Self = known("USD");

    /// Reads a code: exactly three capital letters, as ISO 4217 and the bank formats write it.
    ///
    /// Does not allocate on success.
    ///
    /// # Errors
    /// [`MoneyError::UnknownCurrency`] for anything that is not in the table, lower case too.
    pub fn parse(code: &str) -> Result<Self, MoneyError> {
        match TABLE.binary_search_by(|entry| entry.code.cmp(code)) {
            Ok(index) => Ok(Self(index as u8)),
            Err(_) => Err(MoneyError::UnknownCurrency {
                code: excerpt(code),
            }),
        }
    }

    /// The three capital letters.
    pub fn code(self) -> &'static str {
        TABLE[usize::from(self.0)].code
    }

    /// The number of decimals of an amount: 2 for GBP, 0 for JPY, 3 for KWD.
    pub fn exponent(self) -> u32 {
        TABLE[usize::from(self.0)].exponent
    }

    /// Every currency in the table, in order of code.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..COUNT).map(|index| Self(index as u8))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Code;

        impl Visitor<'_> for Code {
            type Value = Currency;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an ISO 4217 code as a string")
            }

            fn visit_str<E: de::Error>(self, code: &str) -> Result<Currency, E> {
                Currency::parse(code).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Code)
    }
}

impl JsonSchema for Currency {
    fn schema_name() -> Cow<'static, str> {
        "Currency".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[A-Z]{3}$",
            "description": "ISO 4217 code"
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn exponents_follow_the_list() {
        for (code, exponent) in [
            ("GBP", 2),
            ("EUR", 2),
            ("USD", 2),
            ("JPY", 0),
            ("ISK", 0),
            ("UGX", 0),
            ("KWD", 3),
            ("TND", 3),
            ("CLF", 4),
            ("UYW", 4),
            ("XCG", 2),
            ("ZWG", 2),
        ] {
            let currency = Currency::parse(code).unwrap();
            assert_eq!((currency.code(), currency.exponent()), (code, exponent));
        }
    }

    #[test]
    fn constants_are_what_they_say() {
        assert_eq!(Currency::GBP, Currency::parse("GBP").unwrap());
        assert_eq!(Currency::EUR, Currency::parse("EUR").unwrap());
        assert_eq!(Currency::USD, Currency::parse("USD").unwrap());
    }

    #[test]
    fn every_row_of_the_list_parses_to_itself() {
        let all: Vec<_> = Currency::all().collect();
        assert_eq!(all.len(), 165);
        assert!(all.is_sorted());
        for currency in all {
            assert_eq!(Currency::parse(currency.code()), Ok(currency));
        }
    }

    #[test]
    fn withdrawn_unitless_and_misspelt_codes_are_unknown() {
        for code in [
            "BGN", "HRK", "ANG", "XAU", "XXX", "XTS", "gbp", "GB", "GBPX", "", " GBP", "\u{a3}",
        ] {
            let error = Currency::parse(code).unwrap_err();
            assert_eq!(
                error,
                MoneyError::UnknownCurrency {
                    code: code.to_owned()
                }
            );
        }
    }

    #[test]
    fn an_error_keeps_only_the_beginning_of_a_long_text() {
        let MoneyError::UnknownCurrency { code } = Currency::parse(&"é".repeat(1000)).unwrap_err()
        else {
            panic!("another error");
        };
        assert_eq!(code, "é".repeat(32));
    }

    #[test]
    fn the_wire_form_is_the_code() {
        assert_eq!(serde_json::to_string(&Currency::GBP).unwrap(), "\"GBP\"");
        assert_eq!(
            serde_json::from_str::<Currency>("\"JPY\"").unwrap().code(),
            "JPY"
        );
        assert!(serde_json::from_str::<Currency>("826").is_err());
        assert!(serde_json::from_str::<Currency>("\"gbp\"").is_err());
        assert_eq!(
            schemars::schema_for!(Currency)
                .get("pattern")
                .and_then(|p| p.as_str()),
            Some("^[A-Z]{3}$")
        );
    }

    proptest! {
        #[test]
        fn parse_is_total(text in any::<String>()) {
            let known = Currency::all().find(|currency| currency.code() == text);
            prop_assert_eq!(Currency::parse(&text).ok(), known);
        }

        #[test]
        fn parse_knows_exactly_the_list(code in "[A-Z]{3}") {
            let known = Currency::all().find(|currency| currency.code() == code);
            prop_assert_eq!(Currency::parse(&code).ok(), known);
        }
    }
}
