//! [`Money`]: an exact amount in one currency.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use rust_decimal::{Decimal, RoundingStrategy};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::currency::Currency;
use crate::error::{Classified, ErrorClass, excerpt};

/// Integer digits that an amount may have, read or computed. With the four decimals that a currency
/// has at most, every amount fits `numeric(20,4)`, and what was written can always be read again.
const MAX_INTEGER_DIGITS: usize = 15;

/// 10^15: the smallest amount that is too large.
const LIMIT: Decimal = {
    let limit = 10_u64.pow(MAX_INTEGER_DIGITS as u32);
    Decimal::from_parts(limit as u32, (limit >> 32) as u32, 0, false, 0)
};

/// An exact amount of one currency, positive, zero or negative, below 10^15 either way.
///
/// The amount always has exactly as many decimals as the currency: `amount().scale()` is
/// `currency().exponent()`, so `amount().mantissa()` is in minor units (pence). There is no negative
/// zero. There is no `Ord` and no `+`: both could mix currencies; see [`Money::checked_cmp`] and
/// [`Money::checked_add`].
///
/// On the wire: `{"amount":"123.45","currency":"GBP"}`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    amount: Decimal,
    currency: Currency,
}

/// How [`Money::rounded`] rounds. The caller always says so: nothing rounds silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest, a half away from zero: what people expect of interest and VAT.
    HalfUp,
    /// To the nearest, a half to the even neighbour: without bias over many amounts.
    HalfEven,
    /// Towards zero: never more than is due.
    Down,
}

/// Why an amount was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// 10^15 or more, given or computed.
    #[error("the amount has more than 15 integer digits")]
    Overflow,
    /// Two currencies in one computation (E19).
    #[error("cannot compute {left} with {right}")]
    CurrencyMismatch {
        /// Currency of the left operand.
        left: Currency,
        /// Currency of the right operand.
        right: Currency,
    },
    /// A part of the amount is smaller than the currency's minor unit (E26).
    #[error("{amount} has more decimals than {currency} allows ({})", .currency.exponent())]
    TooManyDecimals {
        /// The amount as given, shortened.
        amount: String,
        /// The currency that it was given in.
        currency: Currency,
    },
    /// Not a plain decimal such as `-123.45`.
    #[error("{text:?} is not a plain decimal number")]
    NotANumber {
        /// The text as given, shortened.
        text: String,
    },
    /// Not a current ISO 4217 code with a minor unit.
    #[error("{code:?} is not a current ISO 4217 currency code")]
    UnknownCurrency {
        /// The code as given, shortened.
        code: String,
    },
}

impl Classified for MoneyError {
    fn code(&self) -> &'static str {
        match self {
            Self::Overflow => "money.overflow",
            Self::CurrencyMismatch { .. } => "money.currency_mismatch",
            Self::TooManyDecimals { .. } => "money.too_many_decimals",
            Self::NotANumber { .. } => "money.not_a_number",
            Self::UnknownCurrency { .. } => "money.unknown_currency",
        }
    }

    fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }
}

impl Money {
    /// An amount that the currency can express; `1.2300` GBP is `1.23` GBP.
    ///
    /// # Errors
    /// [`MoneyError::TooManyDecimals`], [`MoneyError::Overflow`].
    pub fn try_new(amount: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let exponent = currency.exponent();
        if amount.scale() > exponent && amount.normalize().scale() > exponent {
            return Err(MoneyError::TooManyDecimals {
                amount: amount.to_string(),
                currency,
            });
        }
        Self::within_limit(amount, currency)
    }

    /// Reads a plain decimal: digits with an optional leading `-` and an optional `.` with digits
    /// behind it. No `+`, no exponent, no thousands separator, no white space, at most 15 integer
    /// digits. Zeros behind the last decimal of the currency are accepted, since nothing is lost
    /// (`1.2300` GBP).
    ///
    /// Does not allocate on success.
    ///
    /// # Errors
    /// [`MoneyError::NotANumber`], [`MoneyError::TooManyDecimals`], [`MoneyError::Overflow`].
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let not_a_number = || MoneyError::NotANumber {
            text: excerpt(text),
        };
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(unsigned) => (true, unsigned),
            None => (false, text),
        };
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((_, "")) => return Err(not_a_number()),
            Some(parts) => parts,
            None => (unsigned, ""),
        };
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return Err(not_a_number());
        }
        if whole.len() > MAX_INTEGER_DIGITS {
            return Err(MoneyError::Overflow);
        }
        let exponent = currency.exponent();
        let mut decimals = fraction.bytes();
        // 15 integer digits and 4 decimals are below 2^64.
        let mut minor = 0_u64;
        for digit in whole.bytes() {
            minor = minor * 10 + u64::from(digit - b'0');
        }
        for _ in 0..exponent {
            minor = minor * 10 + u64::from(decimals.next().unwrap_or(b'0') - b'0');
        }
        if decimals.any(|digit| digit != b'0') {
            return Err(MoneyError::TooManyDecimals {
                amount: excerpt(text),
                currency,
            });
        }
        let signed = if negative {
            -i128::from(minor)
        } else {
            i128::from(minor)
        };
        let amount = Decimal::try_from_i128_with_scale(signed, exponent)
            .map_err(|_| MoneyError::Overflow)?;
        Ok(Self { amount, currency })
    }

    /// Nothing, in this currency.
    pub fn zero(currency: Currency) -> Self {
        let mut amount = Decimal::ZERO;
        amount.rescale(currency.exponent());
        Self { amount, currency }
    }

    /// An amount rounded to the decimals of the currency, in the way that the caller names.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn rounded(
        amount: Decimal,
        currency: Currency,
        rounding: Rounding,
    ) -> Result<Self, MoneyError> {
        let strategy = match rounding {
            Rounding::HalfUp => RoundingStrategy::MidpointAwayFromZero,
            Rounding::HalfEven => RoundingStrategy::MidpointNearestEven,
            Rounding::Down => RoundingStrategy::ToZero,
        };
        Self::within_limit(
            amount.round_dp_with_strategy(currency.exponent(), strategy),
            currency,
        )
    }

    /// The sum of amounts that are all in `currency`; zero for none.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`], [`MoneyError::Overflow`].
    pub fn sum(
        amounts: impl IntoIterator<Item = Self>,
        currency: Currency,
    ) -> Result<Self, MoneyError> {
        amounts
            .into_iter()
            .try_fold(Self::zero(currency), Self::checked_add)
    }

    /// The amount in major units (pounds), with exactly the decimals of the currency.
    pub const fn amount(self) -> Decimal {
        self.amount
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// `self + other`.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`], [`MoneyError::Overflow`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let sum = self
            .amount
            .checked_add(other.amount)
            .ok_or(MoneyError::Overflow)?;
        Self::within_limit(sum, self.currency)
    }

    /// `self - other`.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`], [`MoneyError::Overflow`].
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.checked_add(other.neg())
    }

    /// Which of two amounts of one currency is larger.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`].
    pub fn checked_cmp(self, other: Self) -> Result<Ordering, MoneyError> {
        self.same_currency(other)?;
        Ok(self.amount.cmp(&other.amount))
    }

    /// The amount with the other sign. Every amount has one, so it cannot fail.
    #[must_use]
    #[expect(
        clippy::should_implement_trait,
        reason = "one way to say it; callers need no import of `std::ops::Neg`"
    )]
    pub fn neg(self) -> Self {
        Self {
            amount: positive_zero(-self.amount),
            ..self
        }
    }

    /// The amount without its sign.
    #[must_use]
    pub fn abs(self) -> Self {
        Self {
            amount: self.amount.abs(),
            ..self
        }
    }

    /// Exactly nothing.
    pub fn is_zero(self) -> bool {
        self.amount.is_zero()
    }

    /// More than nothing.
    pub fn is_positive(self) -> bool {
        self.amount > Decimal::ZERO
    }

    /// Less than nothing.
    pub fn is_negative(self) -> bool {
        self.amount < Decimal::ZERO
    }

    /// The amount as British pages and letters print it: `£1,234.50`, `€1,234.50`, other
    /// currencies as `USD 1,234.50` (a bare dollar sign would not say whose); a negative amount in
    /// brackets, `(£120.00)`.
    pub fn display_uk(self) -> String {
        let symbol = match self.currency {
            Currency::GBP => "£".to_owned(),
            Currency::EUR => "€".to_owned(),
            other => format!("{other} "),
        };
        let digits = self.amount.abs().to_string();
        let whole = digits.find('.').unwrap_or(digits.len());
        let mut text = symbol;
        for (at, digit) in digits.char_indices() {
            if at > 0 && at < whole && (whole - at).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        if self.is_negative() {
            format!("({text})")
        } else {
            text
        }
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::CurrencyMismatch {
                left: self.currency,
                right: other.currency,
            })
        }
    }

    /// The one way to a `Money` from a computed `Decimal`. The caller has made sure that the
    /// currency has decimals enough, so setting the scale loses nothing.
    fn within_limit(mut amount: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        if amount.abs() >= LIMIT {
            return Err(MoneyError::Overflow);
        }
        amount.rescale(currency.exponent());
        Ok(Self {
            amount: positive_zero(amount),
            currency,
        })
    }
}

/// `Decimal` knows a negative zero, which would be printed as `-0.00`.
fn positive_zero(mut amount: Decimal) -> Decimal {
    if amount.is_zero() {
        amount.set_sign_positive(true);
    }
    amount
}

impl fmt::Display for Money {
    /// `GBP 1234.50`: for logs and errors, the same everywhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.currency, self.amount)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Amount(Decimal);

        impl Serialize for Amount {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }

        let mut money = serializer.serialize_struct("Money", 2)?;
        money.serialize_field("amount", &Amount(self.amount))?;
        money.serialize_field("currency", &self.currency)?;
        money.end()
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "Money")]
        struct Wire<'a> {
            #[serde(borrow)]
            amount: Cow<'a, str>,
            currency: Currency,
        }

        let Wire { amount, currency } = Wire::deserialize(deserializer)?;
        Self::parse(&amount, currency).map_err(de::Error::custom)
    }
}

impl JsonSchema for Money {
    fn schema_name() -> Cow<'static, str> {
        "Money".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "An exact amount in one currency; never a JSON number.",
            "properties": {
                "amount": {
                    "type": "string",
                    "pattern": "^-?[0-9]{1,15}(\\.[0-9]+)?$",
                    "description": "Plain decimal in major units, no finer than the currency's minor unit"
                },
                "currency": generator.subschema_for::<Currency>()
            },
            "required": ["amount", "currency"]
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gbp(text: &str) -> Money {
        Money::parse(text, Currency::GBP).unwrap()
    }

    fn jpy() -> Currency {
        Currency::parse("JPY").unwrap()
    }

    fn kwd() -> Currency {
        Currency::parse("KWD").unwrap()
    }

    #[test]
    fn plain_decimals_are_read() {
        for (text, shown) in [
            ("123.45", "GBP 123.45"),
            ("-123.45", "GBP -123.45"),
            ("0", "GBP 0.00"),
            ("-0.00", "GBP 0.00"),
            ("7", "GBP 7.00"),
            ("7.5", "GBP 7.50"),
            ("007.50", "GBP 7.50"),
            ("7.50000", "GBP 7.50"),
            ("999999999999999.99", "GBP 999999999999999.99"),
            ("-999999999999999.99", "GBP -999999999999999.99"),
        ] {
            assert_eq!(gbp(text).to_string(), shown, "{text}");
        }
        assert_eq!(Money::parse("120", jpy()).unwrap().to_string(), "JPY 120");
        assert_eq!(
            Money::parse("1.234", kwd()).unwrap().to_string(),
            "KWD 1.234"
        );
        assert_eq!(
            Money::parse("999999999999999.9999", Currency::parse("CLF").unwrap())
                .unwrap()
                .to_string(),
            "CLF 999999999999999.9999"
        );
    }

    #[test]
    fn anything_else_is_not_a_number() {
        for text in [
            "", "-", ".", "1.", ".5", "-.5", "+1", "--1", "1e3", "1E3", "1,234.50", "1_000", " 1",
            "1 ", "1.2.3", "£1", "NaN", "inf", "0x10", "١", "1.-5", "1.5-",
        ] {
            assert_eq!(
                Money::parse(text, Currency::GBP),
                Err(MoneyError::NotANumber {
                    text: text.to_owned()
                }),
                "{text}"
            );
        }
    }

    #[test]
    fn more_decimals_than_the_currency_has_are_refused_e26() {
        let refused = |text: &str, currency| {
            assert_eq!(
                Money::parse(text, currency),
                Err(MoneyError::TooManyDecimals {
                    amount: text.to_owned(),
                    currency
                })
            );
            assert_eq!(
                Money::try_new(text.parse().unwrap(), currency),
                Err(MoneyError::TooManyDecimals {
                    amount: text.to_owned(),
                    currency
                })
            );
        };
        refused("0.001", Currency::GBP);
        refused("-1.005", Currency::GBP);
        refused("1.5", jpy());
        refused("1.2345", kwd());
    }

    #[test]
    fn sixteen_integer_digits_overflow() {
        assert_eq!(
            Money::parse("1000000000000000", Currency::GBP),
            Err(MoneyError::Overflow)
        );
        assert_eq!(
            Money::try_new(Decimal::MAX, Currency::GBP),
            Err(MoneyError::Overflow)
        );
        assert_eq!(
            Money::try_new(LIMIT, Currency::GBP),
            Err(MoneyError::Overflow)
        );
        assert_eq!(
            Money::try_new(-LIMIT, Currency::GBP),
            Err(MoneyError::Overflow)
        );
        assert_eq!(LIMIT.to_string(), "1000000000000000");
    }

    #[test]
    fn arithmetic_stops_at_the_limit() {
        let most = gbp("999999999999999.99");
        let penny = gbp("0.01");
        assert_eq!(most.checked_add(penny), Err(MoneyError::Overflow));
        assert_eq!(most.neg().checked_sub(penny), Err(MoneyError::Overflow));
        assert_eq!(most.checked_sub(most), Ok(Money::zero(Currency::GBP)));
        assert_eq!(
            Money::sum([most, penny, penny.neg()], Currency::GBP),
            Err(MoneyError::Overflow)
        );
        assert_eq!(
            Money::rounded(
                "999999999999999.995".parse().unwrap(),
                Currency::GBP,
                Rounding::HalfUp
            ),
            Err(MoneyError::Overflow)
        );
    }

    #[test]
    fn decimals_from_the_database_keep_their_value() {
        // `numeric(20,4)` comes back with four decimals.
        let read = Money::try_new("1234.5000".parse().unwrap(), Currency::GBP).unwrap();
        assert_eq!(read, gbp("1234.50"));
        assert_eq!(read.amount().scale(), 2);
        assert_eq!(read.amount().mantissa(), 123_450);
        let small = Money::try_new(Decimal::from(5), kwd()).unwrap();
        assert_eq!(small.amount().scale(), 3);
    }

    #[test]
    fn currencies_never_mix_e19() {
        let pounds = gbp("1.00");
        let euros = Money::parse("1.00", Currency::EUR).unwrap();
        let mismatch = MoneyError::CurrencyMismatch {
            left: Currency::GBP,
            right: Currency::EUR,
        };
        assert_eq!(pounds.checked_add(euros), Err(mismatch.clone()));
        assert_eq!(pounds.checked_sub(euros), Err(mismatch.clone()));
        assert_eq!(pounds.checked_cmp(euros), Err(mismatch.clone()));
        assert_eq!(
            Money::sum([pounds, euros], Currency::GBP),
            Err(mismatch.clone())
        );
        assert_ne!(pounds, euros);
        assert_eq!(mismatch.code(), "money.currency_mismatch");
        assert_eq!(mismatch.class(), ErrorClass::Permanent);
        assert_eq!(mismatch.to_string(), "cannot compute GBP with EUR");
    }

    #[test]
    fn signs() {
        let owed = gbp("12.30");
        assert!(owed.is_positive() && !owed.is_negative() && !owed.is_zero());
        assert!(owed.neg().is_negative() && !owed.neg().is_positive());
        assert_eq!(owed.neg().abs(), owed);
        let nothing = Money::zero(Currency::GBP);
        assert!(nothing.is_zero() && !nothing.is_positive() && !nothing.is_negative());
        assert_eq!(nothing.neg().to_string(), "GBP 0.00");
        assert_eq!(nothing, gbp("-0"));
        assert_eq!(owed.checked_cmp(gbp("12.29")).unwrap(), Ordering::Greater);
    }

    #[test]
    fn rounding_is_as_named() {
        use Rounding::{Down, HalfEven, HalfUp};
        for (amount, rounding, expected) in [
            ("1.005", HalfUp, "1.01"),
            ("-1.005", HalfUp, "-1.01"),
            ("1.005", HalfEven, "1.00"),
            ("1.015", HalfEven, "1.02"),
            ("1.009", Down, "1.00"),
            ("-1.009", Down, "-1.00"),
            ("-0.001", HalfUp, "0.00"),
            ("1.004", HalfUp, "1.00"),
        ] {
            let rounded = Money::rounded(amount.parse().unwrap(), Currency::GBP, rounding).unwrap();
            assert_eq!(rounded.amount().to_string(), expected, "{amount}");
        }
        assert_eq!(
            Money::rounded("120.5".parse().unwrap(), jpy(), HalfUp)
                .unwrap()
                .to_string(),
            "JPY 121"
        );
    }

    #[test]
    fn british_print() {
        for (text, shown) in [
            ("1234.50", "£1,234.50"),
            ("-120", "(£120.00)"),
            ("0", "£0.00"),
            ("999.99", "£999.99"),
            ("1000", "£1,000.00"),
            ("-1234567.8", "(£1,234,567.80)"),
            ("999999999999999.99", "£999,999,999,999,999.99"),
        ] {
            assert_eq!(gbp(text).display_uk(), shown);
        }
        let other = |text, code| {
            Money::parse(text, Currency::parse(code).unwrap())
                .unwrap()
                .display_uk()
        };
        assert_eq!(other("1234.5", "EUR"), "€1,234.50");
        assert_eq!(other("-1234.5", "USD"), "(USD 1,234.50)");
        assert_eq!(other("1234567", "JPY"), "JPY 1,234,567");
    }

    #[test]
    fn the_wire_form_is_a_string_with_all_decimals() {
        assert_eq!(
            serde_json::to_string(&gbp("-1234.5")).unwrap(),
            r#"{"amount":"-1234.50","currency":"GBP"}"#
        );
        assert_eq!(
            serde_json::to_string(&Money::zero(jpy())).unwrap(),
            r#"{"amount":"0","currency":"JPY"}"#
        );
        // A later version may add fields.
        let read: Money =
            serde_json::from_str(r#"{"currency":"GBP","note":"x","amount":"1234.5"}"#).unwrap();
        assert_eq!(read, gbp("1234.50"));
        let escaped: Money =
            serde_json::from_str(r#"{"amount":"\u0031.00","currency":"GBP"}"#).unwrap();
        assert_eq!(escaped, gbp("1"));
    }

    #[test]
    fn the_wire_form_refuses_numbers_and_nonsense() {
        for json in [
            r#"{"amount":1234.5,"currency":"GBP"}"#,
            r#"{"amount":1234,"currency":"GBP"}"#,
            r#"{"amount":null,"currency":"GBP"}"#,
            r#"{"amount":"1.001","currency":"GBP"}"#,
            r#"{"amount":"1e2","currency":"GBP"}"#,
            r#"{"amount":"1.00"}"#,
            r#"{"amount":"1.00","currency":"ZZZ"}"#,
            r#""GBP 1.00""#,
        ] {
            assert!(serde_json::from_str::<Money>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn the_schema_says_strings() {
        let schema = serde_json::to_value(schemars::schema_for!(Money)).unwrap();
        assert_eq!(schema["properties"]["amount"]["type"], "string");
        assert_eq!(schema["properties"]["currency"]["pattern"], "^[A-Z]{3}$");
        assert_eq!(
            schema["required"],
            serde_json::json!(["amount", "currency"])
        );
    }

    fn currency() -> impl Strategy<Value = Currency> {
        proptest::sample::select(Currency::all().collect::<Vec<_>>())
    }

    /// Any amount, in minor units, of a third of the limit at most, so that three can be added.
    fn minor() -> impl Strategy<Value = i64> {
        prop_oneof![
            -20_000_i64..20_000,
            -300_000_000_000_000..300_000_000_000_000_i64
        ]
    }

    fn money(minor: i64, currency: Currency) -> Money {
        Money::try_new(Decimal::new(minor, currency.exponent()), currency).unwrap()
    }

    proptest! {
        #[test]
        fn addition_is_associative_and_commutative(
            a in minor(), b in minor(), c in minor(), currency in currency(),
        ) {
            let [a, b, c] = [a, b, c].map(|minor| money(minor, currency));
            let left = a.checked_add(b).and_then(|sum| sum.checked_add(c));
            let right = b.checked_add(c).and_then(|sum| a.checked_add(sum));
            prop_assert!(left.is_ok());
            prop_assert_eq!(&left, &right);
            prop_assert_eq!(&left, &Money::sum([c, a, b], currency));
            prop_assert_eq!(a.checked_add(b), b.checked_add(a));
        }

        #[test]
        fn addition_is_that_of_minor_units(a in minor(), b in minor(), currency in currency()) {
            let sum = money(a, currency).checked_add(money(b, currency)).unwrap();
            prop_assert_eq!(sum.amount().mantissa(), i128::from(a) + i128::from(b));
            prop_assert_eq!(sum.amount().scale(), currency.exponent());
        }

        #[test]
        fn negation_is_the_inverse(a in minor(), b in minor(), currency in currency()) {
            let (a, b) = (money(a, currency), money(b, currency));
            prop_assert_eq!(a.checked_add(a.neg()), Ok(Money::zero(currency)));
            prop_assert_eq!(a.neg().neg(), a);
            prop_assert_eq!(a.checked_add(b).unwrap().checked_sub(b), Ok(a));
        }

        #[test]
        fn serde_round_trip(minor in minor(), currency in currency()) {
            let before = money(minor, currency);
            let json = serde_json::to_string(&before).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), before);
            let value = serde_json::to_value(before).unwrap();
            prop_assert_eq!(serde_json::from_value::<Money>(value).unwrap(), before);
            let after: Money = serde_json::from_reader(json.as_bytes()).unwrap();
            prop_assert_eq!(serde_json::to_string(&after).unwrap(), json);
        }

        #[test]
        fn parse_is_total_and_agrees_with_try_new(
            text in prop_oneof![any::<String>(), "-?[0-9]{0,17}\\.?[0-9]{0,6}"],
            currency in currency(),
        ) {
            match Money::parse(&text, currency) {
                Ok(money) => {
                    let amount: Decimal = text.parse().unwrap();
                    prop_assert_eq!(Money::try_new(amount, currency), Ok(money));
                }
                Err(MoneyError::TooManyDecimals { .. } | MoneyError::Overflow) => {
                    let amount: Decimal = text.parse().unwrap();
                    // Leading zeros count as digits in a text.
                    prop_assert!(
                        Money::try_new(amount, currency).is_err() || text.contains('0')
                    );
                }
                Err(MoneyError::NotANumber { .. }) => {}
                Err(other) => prop_assert!(false, "{}", other),
            }
        }

        #[test]
        fn what_the_schema_allows_is_a_number(
            text in "-?[0-9]{1,15}(\\.[0-9]+)?", currency in currency(),
        ) {
            let parsed = Money::parse(&text, currency);
            let number = matches!(parsed, Ok(_) | Err(MoneyError::TooManyDecimals { .. }));
            prop_assert!(number);
        }

        #[test]
        fn british_print_loses_nothing(minor in minor()) {
            let before = money(minor, Currency::GBP);
            let plain: String = before
                .display_uk()
                .chars()
                .filter_map(|char| match char {
                    '(' => Some('-'),
                    ')' | '£' | ',' => None,
                    other => Some(other),
                })
                .collect();
            prop_assert_eq!(Money::parse(&plain, Currency::GBP), Ok(before));
        }

        #[test]
        fn rounding_moves_less_than_a_minor_unit(
            minor in minor(), currency in currency(),
        ) {
            // Three decimals too many.
            let exact = Decimal::new(minor, currency.exponent() + 3);
            let unit = Decimal::new(1, currency.exponent());
            for rounding in [Rounding::HalfUp, Rounding::HalfEven, Rounding::Down] {
                let rounded = Money::rounded(exact, currency, rounding).unwrap().amount();
                prop_assert!((rounded - exact).abs() < unit);
                if rounding == Rounding::Down {
                    prop_assert!(rounded.abs() <= exact.abs());
                } else {
                    prop_assert!((rounded - exact).abs() * Decimal::TWO <= unit);
                }
            }
        }
    }
}
