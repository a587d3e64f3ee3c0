//! The seven services, by the role name used in configuration, Postgres, NATS
//! and subjects alike.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A service of the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Ingestion,
    Allocation,
    Disputes,
    Dunning,
    Worklist,
    Reporting,
    Gateway,
}

impl Role {
    /// In start-up order: owners of facts first, the face for people last.
    pub const ALL: [Self; 7] = [
        Self::Ingestion,
        Self::Allocation,
        Self::Disputes,
        Self::Dunning,
        Self::Worklist,
        Self::Reporting,
        Self::Gateway,
    ];

    /// The name, which is also the Postgres schema, the Postgres role and the
    /// NATS user.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingestion => "ingestion",
            Self::Allocation => "allocation",
            Self::Disputes => "disputes",
            Self::Dunning => "dunning",
            Self::Worklist => "worklist",
            Self::Reporting => "reporting",
            Self::Gateway => "gateway",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is no service of the suite.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no service called `{0}`; the services are ingestion, allocation, disputes, dunning, worklist, reporting and gateway"
)]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == name)
            .ok_or_else(|| UnknownRole(name.to_owned()))
    }
}
