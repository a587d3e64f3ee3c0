//! Typed ids: a `ReceiptId` cannot be taken for a `DocumentId`.
//!
//! All are UUIDs; those that we make are UUIDv7, so that they sort by time of creation and keep
//! database indexes dense. On the wire an id is the plain hyphenated UUID string.

use crate::error::{Classified, ErrorClass};

/// A text that is not the id it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}")]
pub struct IdError {
    /// Name of the id type, such as `ReceiptId`.
    pub kind: &'static str,
    /// What was wrong with the UUID.
    pub source: uuid::Error,
}

impl Classified for IdError {
    fn code(&self) -> &'static str {
        "id.invalid"
    }

    fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }
}

/// What the macro's expansion needs, so that a using crate needs no dependencies for it.
#[doc(hidden)]
pub mod macro_support {
    pub use schemars;
    pub use serde;
    pub use uuid;
}

/// Defines id types: `typed_id! { /// A dispute case. pub struct CaseId; }`.
///
/// Each is a `Copy` newtype over a UUID with `generate()`, `as_uuid()`, `From<Uuid>`, `Display`,
/// `FromStr` (error: [`IdError`]), serde, `JsonSchema`, `Ord` and `Hash`.
#[macro_export]
macro_rules! typed_id {
    ($($(#[$meta:meta])* $vis:vis struct $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis struct $name($crate::ids::macro_support::uuid::Uuid);

        #[allow(dead_code, reason = "a private id type need not use everything")]
        impl $name {
            /// A new id: UUIDv7, so that later ids sort behind earlier ones.
            $vis fn generate() -> Self {
                Self($crate::ids::macro_support::uuid::Uuid::now_v7())
            }

            /// The UUID, for the database.
            $vis const fn as_uuid(self) -> $crate::ids::macro_support::uuid::Uuid {
                self.0
            }
        }

        impl ::std::convert::From<$crate::ids::macro_support::uuid::Uuid> for $name {
            fn from(id: $crate::ids::macro_support::uuid::Uuid) -> Self {
                Self(id)
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::write!(f, "{}({})", ::std::stringify!($name), self.0)
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::IdError;

            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                match text.parse() {
                    ::std::result::Result::Ok(id) => ::std::result::Result::Ok(Self(id)),
                    ::std::result::Result::Err(source) => {
                        ::std::result::Result::Err($crate::IdError {
                            kind: ::std::stringify!($name),
                            source,
                        })
                    }
                }
            }
        }

        impl $crate::ids::macro_support::serde::Serialize for $name {
            fn serialize<S: $crate::ids::macro_support::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::std::result::Result<S::Ok, S::Error> {
                $crate::ids::macro_support::serde::Serialize::serialize(&self.0, serializer)
            }
        }

        impl<'de> $crate::ids::macro_support::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::ids::macro_support::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<Self, D::Error> {
                $crate::ids::macro_support::serde::Deserialize::deserialize(deserializer).map(Self)
            }
        }

        impl $crate::ids::macro_support::schemars::JsonSchema for $name {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                ::std::stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(
                _: &mut $crate::ids::macro_support::schemars::SchemaGenerator,
            ) -> $crate::ids::macro_support::schemars::Schema {
                $crate::ids::macro_support::schemars::json_schema!({
                    "type": "string",
                    "format": "uuid"
                })
            }
        }
    )+};
}

typed_id! {
    /// A debtor account.
    pub struct AccountId;
    /// A billing document: invoice, credit note, charge.
    pub struct DocumentId;
    /// Money that came in: one bank line.
    pub struct ReceiptId;
    /// One allocation of a receipt (or a credit) to documents.
    pub struct AllocationId;
    /// What changed a debt without cash: a write-off, a discount, an offset.
    pub struct AdjustmentId;
    /// Money that left a receipt other than onto a document.
    pub struct OutflowId;
    /// A bank line that took money from us.
    pub struct DebitId;
    /// A journal entry.
    pub struct EntryId;
    /// One import of a file.
    pub struct ImportId;
    /// A bank statement.
    pub struct StatementId;
    /// An event on the wire: its `ce-id` and `Nats-Msg-Id`.
    pub struct EventId;
    /// A command: given again, it changes nothing.
    pub struct CommandId;
    /// A proposed allocation that waits for a person.
    pub struct SuggestionId;
    /// A remittance advice.
    pub struct RemittanceId;
    /// A file of a law firm: the work for one client in one affair.
    pub struct MatterId;
    /// A line of a matter's ledger.
    pub struct MatterEntryId;
    /// Money that stands on the wrong one of our bank accounts.
    pub struct BankMoveId;
    /// Client money without a reason to be held.
    pub struct ResidualId;
    /// What was spent on a matter and shall come back.
    pub struct DisbursementId;
    /// A record of a report of Bacs.
    pub struct BacsRecordId;
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    typed_id! {
        /// Private to its module: the macro serves other crates' ids too.
        struct LocalId;
    }

    #[test]
    fn generated_ids_sort_by_time() {
        let ids: Vec<_> = (0..1000).map(|_| ReceiptId::generate()).collect();
        assert!(ids.is_sorted());
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(ids[0].as_uuid().get_version_num(), 7);
        assert_eq!(LocalId::generate().as_uuid().get_version_num(), 7);
    }

    #[test]
    fn the_wire_form_is_the_hyphenated_uuid() {
        let text = "01890a5d-ac96-774b-bcce-b302099a8057";
        let id: AccountId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(format!("{id:?}"), format!("AccountId({text})"));
        assert_eq!(id, AccountId::from(Uuid::parse_str(text).unwrap()));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<AccountId>(&json).unwrap(), id);
    }

    #[test]
    fn a_text_that_is_no_uuid_names_the_id() {
        let error = "INV-1".parse::<DocumentId>().unwrap_err();
        assert_eq!(error.to_string(), "not a valid DocumentId");
        assert_eq!(error.code(), "id.invalid");
        assert!(std::error::Error::source(&error).is_some());
        assert!(serde_json::from_str::<DocumentId>("17").is_err());
    }

    #[test]
    fn the_schema_is_an_inline_uuid_string() {
        #[derive(schemars::JsonSchema)]
        #[expect(dead_code, reason = "for its schema only")]
        struct Holder {
            receipt: ReceiptId,
        }
        let schema = serde_json::to_value(schemars::schema_for!(Holder)).unwrap();
        assert_eq!(
            schema["properties"]["receipt"],
            serde_json::json!({"type": "string", "format": "uuid"})
        );
    }
}
