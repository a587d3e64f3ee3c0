//! Questions and commands: request/reply on
//! `counterfoil.svc.<service>.<noun>.<verb>`, by the NATS micro-service
//! protocol.

pub mod allocation;
pub mod controls;
pub mod dead_letters;
pub mod direct_debits;
pub mod disputes;
pub mod dunning;
pub mod ingestion;
pub mod matters;
pub mod outbox;
pub mod reporting;
pub mod returns;
pub mod rules;
pub mod workbench;
pub mod worklist;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::Role;

/// A question or command to one service. The type is the request.
pub trait Call: Serialize + DeserializeOwned + Send + Sync + 'static {
    const SERVICE: Role;
    const NOUN: &'static str;
    const VERB: &'static str;
    type Reply: Serialize + DeserializeOwned + Send + Sync + 'static;
}

/// Ties a request type to where it is answered and to its reply.
macro_rules! call {
    ($request:ty => $service:ident.$noun:literal.$verb:literal -> $reply:ty) => {
        impl $crate::api::Call for $request {
            const SERVICE: $crate::Role = $crate::Role::$service;
            const NOUN: &'static str = $noun;
            const VERB: &'static str = $verb;
            type Reply = $reply;
        }
    };
}
pub(crate) use call;

/// What a service answers instead of a reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// Stable, such as `allocation.receipt_not_found`.
    pub code: String,
    /// Decides the HTTP status and whether asking again can help.
    pub class: RefusalClass,
    /// For people.
    pub detail: String,
    /// The fields at fault, where there are such.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldProblem {
    /// A JSON pointer into the request.
    pub pointer: String,
    pub detail: String,
}

/// How a refusal is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusalClass {
    /// The request itself is wrong.
    Invalid,
    NotFound,
    /// Somebody else was quicker, or the state does not allow it.
    Conflict,
    /// Later may work.
    Unavailable,
    /// Our fault.
    Internal,
}

/// One page of a list, and where the next begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Opaque; absent on the last page.
    pub next_cursor: Option<String>,
}

/// Where a list begins and how long a page is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PageRequest {
    #[serde(default)]
    pub cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[serde(default)]
    pub limit: Option<u16>,
}

impl PageRequest {
    pub const MAX: u16 = 200;

    /// The page length within its bounds.
    pub fn rows(&self) -> i64 {
        i64::from(self.limit.unwrap_or(50).clamp(1, Self::MAX))
    }
}

/// What a service's own books show: the terms of the invariants that only it
/// can see. Answered by `allocation` and `ingestion` as `<service>.control.totals`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ControlTotals {
    pub currencies: Vec<CurrencyTotals>,
    /// Money held for clients, a row for each currency of a client account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub client_money: Vec<ClientTotals>,
    /// Broken invariants, in words with the ids concerned; empty is good.
    pub violations: Vec<String>,
    /// Published facts that are still in the outbox: totals of two services can
    /// only be compared when there are none.
    pub unpublished: i64,
}

/// What the client bank accounts should hold by the books, and what it is made
/// of, in one currency (SRA 4.1, 8.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClientTotals {
    pub currency: kernel::Currency,
    /// The client bank accounts in the journal.
    pub bank: kernel::Money,
    /// What is held on client ledgers.
    pub held: kernel::Money,
    /// What the journal owes to clients.
    pub client_money_control: kernel::Money,
    /// Cash on client accounts that is not identified or allocated yet.
    pub unallocated: kernel::Money,
    /// Refunds out of client accounts that are promised and not paid.
    pub refunds: kernel::Money,
    /// What is due to be moved to a business account, less what is due from one.
    pub due_to_business: kernel::Money,
    /// The firm's on client accounts, with no matter that it could be noted for.
    pub not_noted: kernel::Money,
}

/// Totals of one currency, as decimal strings inside [`kernel::Money`]. A term
/// that the service does not keep is zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CurrencyTotals {
    pub currency: kernel::Currency,
    pub receipts: i64,
    pub received: kernel::Money,
    pub allocated: kernel::Money,
    /// What left receipts other than onto documents.
    pub outflows: kernel::Money,
    pub unallocated: kernel::Money,
    pub documents: i64,
    /// Signed total of all documents.
    pub billed: kernel::Money,
    /// What was settled without cash.
    pub adjusted: kernel::Money,
    /// Signed total still open.
    pub open: kernel::Money,
    /// The debtors control account in the journal.
    pub debtors_control: kernel::Money,
    /// The unallocated-cash control account in the journal, as a credit.
    pub unallocated_control: kernel::Money,
}
