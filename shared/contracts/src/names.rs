//! Vocabularies, written once.

/// A set of names, the same in code, in the database and on the wire. It may grow:
/// readers outside are told so from the first version on.
macro_rules! names {
    ($(#[$meta:meta])* $enum:ident { $($(#[$of:meta])* $variant:ident = $name:literal,)+ }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        #[schemars(extend("x-open" = true))]
        $(#[$meta])*
        pub enum $enum { $($(#[$of])* $variant,)+ }

        impl $enum {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The one of this name.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }
    };
}
pub(crate) use names;
