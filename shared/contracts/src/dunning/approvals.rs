//! Dunning asks a second person as allocation does: the same requests, on its
//! own subjects.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Event, Role,
    controls::{ApprovalCarriedOut, ApprovalRequested, ApprovalWithdrawn},
};

macro_rules! as_dunning {
    ($(#[$meta:meta])* $name:ident($of:ident) = $event:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub $of);

        impl Event for $name {
            const CONTEXT: Role = Role::Dunning;
            const NAME: &'static str = $event;

            fn partition_key(&self) -> &str {
                self.0.partition_key()
            }
        }
    };
}

as_dunning! {
    /// A run, a template or a policy waits for a second person.
    RequestedByDunning(ApprovalRequested) = "approval_requested"
}
as_dunning! {
    /// It was changed or taken back.
    WithdrawnByDunning(ApprovalWithdrawn) = "approval_withdrawn"
}
as_dunning! {
    /// What was approved is carried out, or cannot be any more.
    CarriedOutByDunning(ApprovalCarriedOut) = "approval_carried_out"
}
