//! [`CreditorReference`]: the structured payment reference `RF..` of ISO 11649.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{Classified, ErrorClass};
use crate::mod97;

/// Why a text is no creditor reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Not `RF`, two check digits and 1 to 21 letters and digits.
    #[error("not of the form RF, two check digits, 1 to 21 letters or digits")]
    Form,
    /// The check digits belong to another reference: it was mistyped.
    #[error("wrong check digits")]
    CheckDigits,
}

impl Classified for ReferenceError {
    fn code(&self) -> &'static str {
        match self {
            Self::Form => "reference.form",
            Self::CheckDigits => "reference.check_digits",
        }
    }

    fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }
}

/// A creditor reference of ISO 11649, such as `RF18539007547034`: whatever one digit a payer
/// mistypes, or two neighbours that he swaps, it is noticed.
///
/// Kept, printed and sent in the compact form: capital letters, no spaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CreditorReference(String);

impl CreditorReference {
    /// Reads a reference; spaces and lower case are accepted, as payers type them.
    ///
    /// # Errors
    /// [`ReferenceError`].
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let text = mod97::compact(text).ok_or(ReferenceError::Form)?;
        if !text.starts_with("RF") || !(5..=25).contains(&text.len()) {
            return Err(ReferenceError::Form);
        }
        if !text.bytes().skip(2).take(2).all(|b| b.is_ascii_digit()) {
            return Err(ReferenceError::Form);
        }
        if !mod97::is_valid(&text) {
            return Err(ReferenceError::CheckDigits);
        }
        Ok(Self(text))
    }

    /// The reference for our own number, 1 to 21 letters and digits such as `INV2026001234`
    /// (spaces are dropped).
    ///
    /// # Errors
    /// [`ReferenceError::Form`].
    pub fn generate(number: &str) -> Result<Self, ReferenceError> {
        let number = mod97::compact(number).ok_or(ReferenceError::Form)?;
        if !(1..=21).contains(&number.len()) {
            return Err(ReferenceError::Form);
        }
        let digits = mod97::check_digits("RF", &number);
        Ok(Self(format!("RF{digits:02}{number}")))
    }

    /// The whole reference in compact form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Our own number: what follows the check digits.
    pub fn number(&self) -> &str {
        &self.0[4..]
    }
}

impl fmt::Display for CreditorReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for CreditorReference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CreditorReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

impl JsonSchema for CreditorReference {
    fn schema_name() -> Cow<'static, str> {
        "CreditorReference".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^RF[0-9]{2}[0-9A-Z]{1,21}$",
            "description": "ISO 11649 creditor reference"
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mod97::tests::typing_errors;

    #[test]
    fn known_references_are_valid() {
        for text in ["RF18539007547034", "RF74INV2026001234", "RF91CR0001"] {
            assert_eq!(CreditorReference::parse(text).unwrap().as_str(), text);
        }
        assert_eq!(
            CreditorReference::generate("INV2026001234")
                .unwrap()
                .as_str(),
            "RF74INV2026001234"
        );
        assert_eq!(
            CreditorReference::generate("cr 0001").unwrap().to_string(),
            "RF91CR0001"
        );
    }

    #[test]
    fn payers_type_spaces_and_lower_case() {
        let reference = CreditorReference::parse("rf18 5390 0754 7034").unwrap();
        assert_eq!(reference.as_str(), "RF18539007547034");
        assert_eq!(reference.number(), "539007547034");
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "RF",
            "RF18",
            "RF1",
            "RFX8539007547034",
            "XX18539007547034",
            "18539007547034",
            "RF18-539007547034",
            "RF18539007547034é",
            "RF181234567890123456789012",
        ] {
            assert_eq!(
                CreditorReference::parse(text),
                Err(ReferenceError::Form),
                "{text}"
            );
        }
        for number in ["", " ", "INV/1", "1234567890123456789012"] {
            assert_eq!(
                CreditorReference::generate(number),
                Err(ReferenceError::Form),
                "{number}"
            );
        }
        assert_eq!(
            CreditorReference::parse("RF19539007547034"),
            Err(ReferenceError::CheckDigits)
        );
        assert_eq!(ReferenceError::CheckDigits.code(), "reference.check_digits");
    }

    #[test]
    fn the_wire_form_is_the_compact_text() {
        let reference = CreditorReference::parse("RF18 5390 0754 7034").unwrap();
        let json = serde_json::to_string(&reference).unwrap();
        assert_eq!(json, "\"RF18539007547034\"");
        assert_eq!(
            serde_json::from_str::<CreditorReference>(&json).unwrap(),
            reference
        );
        assert!(serde_json::from_str::<CreditorReference>("\"RF19539007547034\"").is_err());
    }

    proptest! {
        #[test]
        fn generate_then_parse(number in "[0-9A-Z]{1,21}") {
            let reference = CreditorReference::generate(&number).unwrap();
            prop_assert_eq!(reference.number(), &number);
            prop_assert_eq!(CreditorReference::parse(reference.as_str()), Ok(reference.clone()));
            // What the schema promises.
            prop_assert!(reference.as_str().len() <= 25);
        }

        #[test]
        fn every_mistyped_digit_and_swap_is_noticed(number in "[0-9A-Z]{1,21}|[0-9]{1,21}") {
            let reference = CreditorReference::generate(&number).unwrap();
            for wrong in typing_errors(reference.as_str()) {
                prop_assert_eq!(
                    CreditorReference::parse(&wrong), Err(ReferenceError::CheckDigits),
                    "{}", wrong
                );
            }
        }

        #[test]
        fn parse_is_total(text in any::<String>()) {
            if let Ok(reference) = CreditorReference::parse(&text) {
                prop_assert!(reference.as_str().starts_with("RF"));
            }
        }
    }
}
