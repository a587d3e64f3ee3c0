//! Sign-in: who somebody is, and what a role may do.
//!
//! Local users sign in with a name and a password, people through a session
//! cookie, scripts by HTTP Basic on `/api/v1`. What each route needs is written
//! in one place, [`crate::routes`].

mod caller;
pub mod password;
pub mod throttle;
pub mod users;

use std::{fmt, str::FromStr};

pub(crate) use caller::{
    Address, BasicCache, REFRESH_HEADER, SESSION_COOKIE_SECURE, Verdict, by_password, identify,
    new_session, session_token, token_sha256,
};
pub use caller::{Caller, SESSION_COOKIE};

/// What somebody works as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UserRole {
    Controller,
    PaymentsOfficer,
    TeamLeader,
    Manager,
    Approver,
    Cfo,
    /// Sees everything, changes nothing.
    Auditor,
    Ops,
    /// A system, not a person.
    Integrator,
}

impl UserRole {
    pub const ALL: [Self; 9] = [
        Self::Controller,
        Self::PaymentsOfficer,
        Self::TeamLeader,
        Self::Manager,
        Self::Approver,
        Self::Cfo,
        Self::Auditor,
        Self::Ops,
        Self::Integrator,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::PaymentsOfficer => "payments_officer",
            Self::TeamLeader => "team_leader",
            Self::Manager => "manager",
            Self::Approver => "approver",
            Self::Cfo => "cfo",
            Self::Auditor => "auditor",
            Self::Ops => "ops",
            Self::Integrator => "integrator",
        }
    }

    /// The roles among `names`. A name that this release does not know gives no
    /// right.
    pub fn known(names: &[String]) -> Vec<Self> {
        names.iter().filter_map(|name| name.parse().ok()).collect()
    }
}

impl fmt::Display for UserRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no such role.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no role called `{0}`; the roles are controller, payments_officer, team_leader, manager, approver, cfo, auditor, ops and integrator"
)]
pub struct UnknownUserRole(String);

impl FromStr for UserRole {
    type Err = UnknownUserRole;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == name)
            .ok_or_else(|| UnknownUserRole(name.to_owned()))
    }
}

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody, signed in or not.
    Public,
    /// Whoever is signed in, whatever the role.
    SignedIn,
    /// Whoever has one of these roles.
    Roles(&'static [UserRole]),
}

impl Access {
    /// Allocates receipts and undoes allocations.
    pub const ALLOCATE: Self = Self::Roles(&[
        UserRole::Controller,
        UserRole::PaymentsOfficer,
        UserRole::TeamLeader,
        UserRole::Manager,
    ]);
    /// Decides what others asked for; how far, worklist's limits say.
    pub const APPROVE: Self = Self::Roles(&[
        UserRole::TeamLeader,
        UserRole::Manager,
        UserRole::Approver,
        UserRole::Cfo,
    ]);
    /// Makes payment files of refunds, and takes them to the bank.
    pub const PAY: Self = Self::Roles(&[UserRole::PaymentsOfficer, UserRole::Manager]);
    /// Asks for other limits.
    pub const SET_LIMITS: Self = Self::Roles(&[UserRole::Manager, UserRole::Cfo]);
    /// Brings in bank and billing files.
    pub const IMPORT: Self = Self::Roles(&[
        UserRole::Controller,
        UserRole::PaymentsOfficer,
        UserRole::TeamLeader,
        UserRole::Manager,
        UserRole::Ops,
        UserRole::Integrator,
    ]);

    /// Writes matching rules and tries them over the past.
    pub const DRAFT_RULES: Self = Self::Roles(&[
        UserRole::TeamLeader,
        UserRole::Manager,
        UserRole::Approver,
        UserRole::Cfo,
    ]);
    /// Makes matching rules live, and retires them. Allocation sees to it that
    /// nobody makes their own rules live.
    pub const CHANGE_RULES: Self = Self::DRAFT_RULES;

    /// Whether somebody with these roles may come in.
    pub fn allows(self, roles: &[UserRole]) -> bool {
        match self {
            Self::Public | Self::SignedIn => true,
            Self::Roles(allowed) => roles.iter().any(|role| allowed.contains(role)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_auditor_reads_and_never_moves_money() {
        assert!(Access::SignedIn.allows(&[UserRole::Auditor]));
        assert!(!Access::ALLOCATE.allows(&[UserRole::Auditor]));
        assert!(!Access::IMPORT.allows(&[UserRole::Auditor]));
        assert!(Access::ALLOCATE.allows(&[UserRole::Auditor, UserRole::Controller]));
    }

    #[test]
    fn a_role_of_a_later_release_gives_no_right() {
        let roles = UserRole::known(&["controller".into(), "emperor".into()]);
        assert_eq!(roles, [UserRole::Controller]);
        assert!(!Access::ALLOCATE.allows(&UserRole::known(&["emperor".into()])));
    }

    #[test]
    fn role_names_read_back() {
        for role in UserRole::ALL {
            assert_eq!(role.name().parse::<UserRole>().unwrap(), role);
        }
    }
}
