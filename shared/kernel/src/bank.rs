//! Bank accounts: [`SortCode`], [`AccountNumber`], [`Iban`] and [`BankAccount`].
//!
//! Account numbers are personal data: `Debug`, which ends up in logs, shows the last four
//! characters only.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{Classified, ErrorClass};
use crate::mod97;

/// Why a text is no bank account. Never repeats the text: it is personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BankError {
    /// Not six digits.
    #[error("a sort code has six digits")]
    SortCode,
    /// Not six to eight digits.
    #[error("a UK account number has six to eight digits")]
    AccountNumber,
    /// Not two letters, two digits and 11 to 30 letters and digits; or a GB IBAN of another form.
    #[error("not of the form of an IBAN")]
    IbanForm,
    /// The check digits belong to another IBAN: it was mistyped.
    #[error("wrong IBAN check digits")]
    IbanCheckDigits,
    /// Not exactly one of: sort code with account number, IBAN, other text (not blank).
    #[error("exactly one of sort_code with account_number, iban, other is expected")]
    AccountForm,
}

impl Classified for BankError {
    fn code(&self) -> &'static str {
        match self {
            Self::SortCode => "bank.sort_code",
            Self::AccountNumber => "bank.account_number",
            Self::IbanForm => "bank.iban_form",
            Self::IbanCheckDigits => "bank.iban_check_digits",
            Self::AccountForm => "bank.account_form",
        }
    }

    fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }
}

/// The value of `min` to `max` digits (nine at most), between which spaces and hyphens may stand.
fn digits(text: &str, min: usize, max: usize) -> Option<u32> {
    let mut count = 0;
    let mut value = 0_u32;
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' if count < max => {
                count += 1;
                value = value * 10 + u32::from(byte - b'0');
            }
            b' ' | b'-' => {}
            _ => return None,
        }
    }
    (count >= min).then_some(value)
}

/// A UK sort code: six digits that name a bank and branch.
///
/// Printed as `20-00-00`; on the wire `200000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SortCode(u32);

impl SortCode {
    /// Reads six digits; spaces and hyphens are ignored.
    ///
    /// # Errors
    /// [`BankError::SortCode`].
    pub fn parse(text: &str) -> Result<Self, BankError> {
        digits(text, 6, 6).map(Self).ok_or(BankError::SortCode)
    }

    /// The six digits, as on the wire and in the database.
    pub fn digits(self) -> String {
        format!("{:06}", self.0)
    }
}

impl fmt::Display for SortCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(code) = self;
        write!(
            f,
            "{:02}-{:02}-{:02}",
            code / 10_000,
            code / 100 % 100,
            code % 100
        )
    }
}

/// A UK account number: eight digits. Unique only together with its sort code (E16).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountNumber(u32);

impl AccountNumber {
    /// Reads six to eight digits, shorter ones padded with zeros in front as Bacs does; spaces and
    /// hyphens are ignored.
    ///
    /// # Errors
    /// [`BankError::AccountNumber`].
    pub fn parse(text: &str) -> Result<Self, BankError> {
        digits(text, 6, 8).map(Self).ok_or(BankError::AccountNumber)
    }

    /// The eight digits.
    pub fn digits(self) -> String {
        format!("{:08}", self.0)
    }
}

impl fmt::Display for AccountNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}", self.0)
    }
}

impl fmt::Debug for AccountNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountNumber(****{:04})", self.0 % 10_000)
    }
}

/// An IBAN (ISO 13616) with right check digits. The lengths of single countries are not checked,
/// but for GB.
///
/// Kept, printed and sent in the compact form: capital letters, no spaces.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Iban(String);

impl Iban {
    /// Reads an IBAN; spaces and lower case are accepted.
    ///
    /// # Errors
    /// [`BankError::IbanForm`], [`BankError::IbanCheckDigits`].
    pub fn parse(text: &str) -> Result<Self, BankError> {
        let text = mod97::compact(text).ok_or(BankError::IbanForm)?;
        let letters = |from, to| {
            text.bytes()
                .take(to)
                .skip(from)
                .all(|b| b.is_ascii_uppercase())
        };
        let digits = |from, to| text.bytes().take(to).skip(from).all(|b| b.is_ascii_digit());
        let formed = (15..=34).contains(&text.len()) && letters(0, 2) && digits(2, 4);
        let formed_gb =
            !text.starts_with("GB") || (text.len() == 22 && letters(4, 8) && digits(8, 22));
        if !formed || !formed_gb {
            return Err(BankError::IbanForm);
        }
        if !mod97::is_valid(&text) {
            return Err(BankError::IbanCheckDigits);
        }
        Ok(Self(text))
    }

    /// The whole IBAN in compact form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Sort code and account number of a GB IBAN; `None` for other countries.
    pub fn uk_parts(&self) -> Option<(SortCode, AccountNumber)> {
        if !self.0.starts_with("GB") {
            return None;
        }
        let sort_code = SortCode::parse(self.0.get(8..14)?).ok()?;
        let account_number = AccountNumber::parse(self.0.get(14..22)?).ok()?;
        Some((sort_code, account_number))
    }
}

impl fmt::Display for Iban {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Iban {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Iban({})", last_four(&self.0))
    }
}

/// A bank account, ours or a payer's.
///
/// Two are equal when their [`key`](BankAccount::key) is: a GB IBAN and its sort code with account
/// number are one account. On the wire `{"sort_code":"200000","account_number":"55779911"}`,
/// `{"iban":"..."}` or `{"other":"..."}`.
#[derive(Clone)]
pub enum BankAccount {
    /// A UK account by sort code and account number.
    Uk {
        /// Bank and branch.
        sort_code: SortCode,
        /// The account there.
        account_number: AccountNumber,
    },
    /// An account by IBAN.
    Iban(Iban),
    /// Any other way to name an account, as the bank wrote it.
    Other(String),
}

/// What a key is made of.
#[derive(PartialEq, Eq, Hash)]
enum Identity<'a> {
    Uk(SortCode, AccountNumber),
    Iban(&'a Iban),
    Other(&'a str),
}

impl BankAccount {
    /// The canonical text: the same account has the same key in every table and message.
    /// `GB:200000-55779911`, the IBAN, or `X:` with the text (trimmed).
    pub fn key(&self) -> String {
        match self.identity() {
            Identity::Uk(sort_code, account_number) => {
                format!("GB:{}-{}", sort_code.digits(), account_number.digits())
            }
            Identity::Iban(iban) => iban.as_str().to_owned(),
            Identity::Other(text) => format!("X:{text}"),
        }
    }

    /// The last four characters, `****9911`, for pages and logs. An account of four characters or
    /// fewer is hidden whole.
    pub fn masked(&self) -> String {
        match self.identity() {
            Identity::Uk(_, account_number) => last_four(&account_number.digits()),
            Identity::Iban(iban) => last_four(iban.as_str()),
            Identity::Other(text) => last_four(text),
        }
    }

    fn identity(&self) -> Identity<'_> {
        match self {
            Self::Uk {
                sort_code,
                account_number,
            } => Identity::Uk(*sort_code, *account_number),
            Self::Iban(iban) => match iban.uk_parts() {
                Some((sort_code, account_number)) => Identity::Uk(sort_code, account_number),
                None => Identity::Iban(iban),
            },
            Self::Other(text) => Identity::Other(text.trim()),
        }
    }
}

fn last_four(text: &str) -> String {
    let hidden = text.chars().count().saturating_sub(4);
    if hidden == 0 {
        return "****".to_owned();
    }
    let shown: String = text.chars().skip(hidden).collect();
    format!("****{shown}")
}

impl PartialEq for BankAccount {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for BankAccount {}

impl Hash for BankAccount {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl fmt::Debug for BankAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BankAccount({})", self.masked())
    }
}

/// The three forms of an account on the wire. Optional fields rather than an untagged enum: the
/// message names what is wrong, and nothing is buffered.
#[derive(Serialize, Deserialize)]
struct WireAccount<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sort_code: Option<SortCode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account_number: Option<AccountNumber>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iban: Option<Cow<'a, Iban>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    other: Option<Cow<'a, str>>,
}

impl Serialize for BankAccount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut wire = WireAccount {
            sort_code: None,
            account_number: None,
            iban: None,
            other: None,
        };
        match self {
            Self::Uk {
                sort_code,
                account_number,
            } => {
                wire.sort_code = Some(*sort_code);
                wire.account_number = Some(*account_number);
            }
            Self::Iban(iban) => wire.iban = Some(Cow::Borrowed(iban)),
            Self::Other(text) => wire.other = Some(Cow::Borrowed(text)),
        }
        wire.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for BankAccount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = WireAccount::deserialize(deserializer)?;
        match (wire.sort_code, wire.account_number, wire.iban, wire.other) {
            (Some(sort_code), Some(account_number), None, None) => Ok(Self::Uk {
                sort_code,
                account_number,
            }),
            (None, None, Some(iban), None) => Ok(Self::Iban(iban.into_owned())),
            // A blank text would give every nameless account the same key.
            (None, None, None, Some(text)) if !text.trim().is_empty() => {
                Ok(Self::Other(text.into_owned()))
            }
            _ => Err(de::Error::custom(BankError::AccountForm)),
        }
    }
}

impl JsonSchema for BankAccount {
    fn schema_name() -> Cow<'static, str> {
        "BankAccount".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A bank account: sort code with account number, IBAN, or another text.",
            "properties": {
                "sort_code": generator.subschema_for::<SortCode>(),
                "account_number": generator.subschema_for::<AccountNumber>(),
                "iban": generator.subschema_for::<Iban>(),
                "other": { "type": "string", "pattern": "\\S" }
            },
            "oneOf": [
                { "required": ["sort_code", "account_number"] },
                { "required": ["iban"] },
                { "required": ["other"] }
            ]
        })
    }
}

/// Serde as the compact string and an inline schema with a pattern, for the three string types.
macro_rules! wire_string {
    ($type:ident, $text:expr, $pattern:literal, $description:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let text: fn(&$type) -> _ = $text;
                serializer.collect_str(&text(self))
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "pattern": $pattern,
                    "description": $description
                })
            }
        }
    };
}

wire_string!(
    SortCode,
    |code| code.digits(),
    "^[0-9]{2}[ -]?[0-9]{2}[ -]?[0-9]{2}$",
    "UK sort code, six digits"
);
wire_string!(
    AccountNumber,
    |number| number.digits(),
    "^[0-9]{6,8}$",
    "UK account number, eight digits"
);
wire_string!(
    Iban,
    |iban| iban.0.clone(),
    "^[A-Z]{2}[0-9]{2}[0-9A-Z]{11,30}$",
    "ISO 13616 IBAN without spaces"
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mod97::tests::typing_errors;

    fn uk(sort_code: &str, account_number: &str) -> BankAccount {
        BankAccount::Uk {
            sort_code: SortCode::parse(sort_code).unwrap(),
            account_number: AccountNumber::parse(account_number).unwrap(),
        }
    }

    fn iban(text: &str) -> BankAccount {
        BankAccount::Iban(Iban::parse(text).unwrap())
    }

    fn hash(account: &BankAccount) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        account.hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn sort_codes() {
        for text in ["200000", "20-00-00", "20 00 00", " 200000 "] {
            let code = SortCode::parse(text).unwrap();
            assert_eq!(code.to_string(), "20-00-00");
            assert_eq!(code.digits(), "200000");
        }
        assert_eq!(SortCode::parse("01-02-03").unwrap().digits(), "010203");
        for text in ["", "20000", "2000000", "20.00.00", "2000OO", "٢٠٠٠٠٠"] {
            assert_eq!(SortCode::parse(text), Err(BankError::SortCode), "{text}");
        }
    }

    #[test]
    fn short_account_numbers_are_padded() {
        for (text, full) in [
            ("55779911", "55779911"),
            ("1234567", "01234567"),
            ("123456", "00123456"),
            ("0012 3456", "00123456"),
        ] {
            let number = AccountNumber::parse(text).unwrap();
            assert_eq!(number.digits(), full);
            assert_eq!(number.to_string(), full);
        }
        for text in ["", "12345", "123456789", "1234567A", "99999999999999999999"] {
            assert_eq!(AccountNumber::parse(text), Err(BankError::AccountNumber));
        }
    }

    #[test]
    fn known_ibans_are_valid() {
        for text in [
            "GB29NWBK60161331926819",
            "GB29 NWBK 6016 1331 9268 19",
            "gb29nwbk60161331926819",
            "DE89370400440532013000",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
        ] {
            let read = Iban::parse(text).unwrap();
            assert_eq!(
                read.as_str(),
                text.replace(' ', "").to_ascii_uppercase(),
                "{text}"
            );
        }
        let (sort_code, account_number) = Iban::parse("GB29NWBK60161331926819")
            .unwrap()
            .uk_parts()
            .unwrap();
        assert_eq!(sort_code.to_string(), "60-16-13");
        assert_eq!(account_number.to_string(), "31926819");
        let german = Iban::parse("DE89370400440532013000").unwrap();
        assert_eq!(german.uk_parts(), None);
    }

    #[test]
    fn other_forms_are_no_iban() {
        for text in [
            "",
            "GB",
            "GB29",
            "GB29NWBK6016133192681",
            "GB29NWBK601613319268190",
            "GB29NWB160161331926819",
            "2929NWBK60161331926819",
            "GBX9NWBK60161331926819",
            "GB29-NWBK-60161331926819",
            "DE89370400440532013000DE89370400440",
            "ÄE89370400440532013000",
        ] {
            assert_eq!(Iban::parse(text), Err(BankError::IbanForm), "{text}");
        }
        assert_eq!(
            Iban::parse("GB28NWBK60161331926819"),
            Err(BankError::IbanCheckDigits)
        );
    }

    #[test]
    fn one_account_has_one_key_however_it_is_written() {
        let by_number = uk("60-16-13", "31926819");
        let by_iban = iban("GB29NWBK60161331926819");
        assert_eq!(by_number.key(), "GB:601613-31926819");
        assert_eq!(by_iban.key(), by_number.key());
        assert_eq!(by_iban, by_number);
        assert_eq!(hash(&by_iban), hash(&by_number));
        assert_eq!(
            iban("DE89 3704 0044 0532 0130 00").key(),
            "DE89370400440532013000"
        );
        assert_eq!(BankAccount::Other(" 12/34 ".to_owned()).key(), "X:12/34");
        assert_eq!(uk("200000", "55779911").key(), "GB:200000-55779911");
    }

    #[test]
    fn the_same_number_at_another_branch_is_another_account_e16() {
        assert_ne!(uk("200000", "55779911"), uk("200001", "55779911"));
        assert_ne!(
            uk("200000", "55779911").key(),
            uk("200001", "55779911").key()
        );
        // Another kind of account never has the key of a UK one.
        let disguised = BankAccount::Other("GB:200000-55779911".to_owned());
        assert_ne!(uk("200000", "55779911"), disguised);
        assert_ne!(uk("200000", "55779911").key(), disguised.key());
    }

    #[test]
    fn people_and_logs_see_four_characters() {
        let account = uk("200000", "55779911");
        assert_eq!(account.masked(), "****9911");
        assert_eq!(format!("{account:?}"), "BankAccount(****9911)");
        assert_eq!(iban("GB29NWBK60161331926819").masked(), "****6819");
        assert_eq!(
            format!("{:?}", Iban::parse("GB29NWBK60161331926819").unwrap()),
            "Iban(****6819)"
        );
        assert_eq!(
            format!("{:?}", AccountNumber::parse("55770011").unwrap()),
            "AccountNumber(****0011)"
        );
        assert_eq!(BankAccount::Other("1234".to_owned()).masked(), "****");
        assert_eq!(
            BankAccount::Other("äöü12345".to_owned()).masked(),
            "****2345"
        );
    }

    #[test]
    fn wire_forms() {
        for (account, json) in [
            (
                uk("20-00-00", "1234567"),
                r#"{"sort_code":"200000","account_number":"01234567"}"#,
            ),
            (
                iban("GB29NWBK60161331926819"),
                r#"{"iban":"GB29NWBK60161331926819"}"#,
            ),
            (
                BankAccount::Other("12/34".to_owned()),
                r#"{"other":"12/34"}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&account).unwrap(), json);
            let read: BankAccount = serde_json::from_str(json).unwrap();
            assert_eq!(read, account);
            assert_eq!(serde_json::to_string(&read).unwrap(), json);
        }
        let loose: BankAccount =
            serde_json::from_str(r#"{"sort_code":"20-00-00","account_number":"123456"}"#).unwrap();
        assert_eq!(loose.key(), "GB:200000-00123456");
    }

    #[test]
    fn half_an_account_is_refused() {
        for json in [
            "{}",
            r#"{"sort_code":"200000"}"#,
            r#"{"account_number":"55779911"}"#,
            r#"{"sort_code":"200000","account_number":"55779911","other":"x"}"#,
            r#"{"iban":"GB29NWBK60161331926819","other":"x"}"#,
            r#"{"iban":"GB28NWBK60161331926819"}"#,
            r#"{"other":"  "}"#,
            r#"{"sort_code":200000,"account_number":55779911}"#,
        ] {
            assert!(serde_json::from_str::<BankAccount>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn errors_never_repeat_the_number() {
        let error = serde_json::from_str::<BankAccount>(r#"{"iban":"GB28NWBK60161331926819"}"#)
            .unwrap_err();
        assert!(!error.to_string().contains("31926819"), "{error}");
        assert_eq!(BankError::IbanCheckDigits.code(), "bank.iban_check_digits");
        assert_eq!(BankError::IbanCheckDigits.class(), ErrorClass::Permanent);
    }

    fn gb_iban(bank: &str, sort_code: u32, account_number: u32) -> String {
        let body = format!("{bank}{sort_code:06}{account_number:08}");
        format!("GB{:02}{body}", mod97::check_digits("GB", &body))
    }

    proptest! {
        #[test]
        fn every_mistyped_digit_and_swap_is_noticed(
            bank in "[A-Z]{4}", sort_code in 0_u32..1_000_000, account_number in 0_u32..100_000_000,
        ) {
            let right = gb_iban(&bank, sort_code, account_number);
            prop_assert!(Iban::parse(&right).is_ok());
            for wrong in typing_errors(&right) {
                prop_assert_eq!(
                    Iban::parse(&wrong).err(), Some(BankError::IbanCheckDigits), "{}", wrong
                );
            }
        }

        #[test]
        fn in_other_countries_too(country in "[A-FH-Z][A-Z]", body in "[0-9A-Z]{11,30}") {
            let right = format!("{country}{:02}{body}", mod97::check_digits(&country, &body));
            prop_assert!(Iban::parse(&right).is_ok());
            for wrong in typing_errors(&right) {
                prop_assert_eq!(Iban::parse(&wrong).err(), Some(BankError::IbanCheckDigits));
            }
        }

        #[test]
        fn a_gb_iban_has_the_key_of_its_numbers(
            bank in "[A-Z]{4}", sort_code in 0_u32..1_000_000, account_number in 0_u32..100_000_000,
        ) {
            let by_iban = iban(&gb_iban(&bank, sort_code, account_number));
            let by_number = uk(&format!("{sort_code:06}"), &format!("{account_number:08}"));
            prop_assert_eq!(by_iban.key(), by_number.key());
            prop_assert_eq!(hash(&by_iban), hash(&by_number));
            prop_assert_eq!(by_iban, by_number);
        }

        #[test]
        fn parsing_is_total(text in any::<String>()) {
            let _ = SortCode::parse(&text);
            let _ = AccountNumber::parse(&text);
            let _ = Iban::parse(&text);
            let _ = BankAccount::Other(text).masked();
        }
    }
}
