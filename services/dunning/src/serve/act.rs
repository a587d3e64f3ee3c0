//! What the commands of holds, promises and plans share.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    Prefix,
    api::{
        controls::Person,
        dunning::{ExpectedPayment, PromisedLine},
    },
};
use kernel::{
    AccountId, CommandId, Currency, Division, DocumentId, Money, WorkingCalendar, london_date,
};
use messaging::{Bus, Failure, Meta, Tx};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::{
    consume::judge::Told,
    domain::{
        agreed::{Covered, Payment},
        policy::{Debtor, Policy},
    },
    store,
};

/// Documents or instalments of one promise or plan.
const PARTS_MAX: usize = 500;

/// A command under way: in one transaction.
pub(super) struct Act {
    pub(super) tx: Tx,
    pub(super) cause: Meta,
    pub(super) now: DateTime<Utc>,
    pub(super) today: NaiveDate,
    pub(super) prefix: Prefix,
}

impl Act {
    /// Claims the command; `None`: it was carried out before.
    pub(super) async fn begin(bus: &Bus, id: CommandId) -> Result<Option<Self>, Failure> {
        let now = bus.now();
        let mut tx = bus.begin().await?;
        if tx.claim(&[id.as_uuid()]).await?.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            tx,
            cause: Meta::of_command(id.as_uuid(), now, None),
            now,
            today: london_date(now),
            prefix: bus.prefix().clone(),
        }))
    }

    /// Who it is and what is agreed with such debtors.
    pub(super) async fn debtor(
        &mut self,
        account: AccountId,
    ) -> Result<(String, Option<Policy>), Failure> {
        debtor(self.tx.conn(), account, self.today).await
    }

    /// Which of the joint debtors of an account is meant: nobody contacts them
    /// meanwhile, on whichever account.
    pub(super) async fn one_of(
        &mut self,
        account: AccountId,
        debtor: Option<&str>,
    ) -> Result<Option<String>, Failure> {
        let Some(debtor) = debtor.map(str::trim).filter(|debtor| !debtor.is_empty()) else {
            return Ok(None);
        };
        let conn = self.tx.conn();
        let refs = store::debtors::refs(conn, account).await?;
        if !refs.iter().any(|known| known == debtor) {
            return Err(wrong("/debtor_ref", "one of those who owe the account"));
        }
        store::ways::lock_debtors(conn, &[store::debtors::lock_of(debtor)]).await?;
        Ok(Some(debtor.to_owned()))
    }

    /// The debts that are to be paid, and what of each.
    pub(super) async fn debts(
        &mut self,
        account: AccountId,
        lines: &[PromisedLine],
    ) -> Result<(Vec<Covered>, Currency), Failure> {
        if lines.is_empty() || lines.len() > PARTS_MAX {
            return Err(wrong("/lines", "between 1 and 500 documents"));
        }
        let ids: Vec<DocumentId> = lines.iter().map(|line| line.document_id).collect();
        let debts = store::plans::debts(self.tx.conn(), account, &ids).await?;
        let mut known: BTreeMap<DocumentId, _> = debts
            .into_iter()
            .map(|debt| (debt.document, debt))
            .collect();
        let mut currency = None;
        let mut items = Vec::with_capacity(lines.len());
        for (n, line) in lines.iter().enumerate() {
            let at = format!("/lines/{n}");
            // Taken out, so that a document is named once.
            let Some(debt) = known.remove(&line.document_id) else {
                return Err(wrong(&at, "no open debt of the account, or named twice"));
            };
            let own = Currency::parse(&debt.currency).map_err(Failure::of)?;
            let amount = line.amount.map_or(debt.open, Money::amount);
            let other = line.amount.is_some_and(|amount| amount.currency() != own);
            if other || *currency.get_or_insert(own) != own {
                return Err(wrong(&at, "all of one currency"));
            }
            if amount <= Decimal::ZERO || amount > debt.open {
                return Err(wrong(&at, "more than nothing, and at most what is open"));
            }
            items.push(Covered {
                document: debt.document,
                document_ref: debt.document_ref,
                amount,
                left: amount,
            });
        }
        let currency = currency.ok_or_else(|| wrong("/lines", "at least one document"))?;
        Ok((items, currency))
    }

    /// The payments, by their days, each with the last day of its grace.
    pub(super) fn payments(
        &self,
        expected: &[ExpectedPayment],
        items: &[Covered],
        currency: Currency,
        grace: u32,
    ) -> Result<Vec<Payment>, Failure> {
        if expected.is_empty() || expected.len() > PARTS_MAX {
            return Err(wrong("/instalments", "between 1 and 500 payments"));
        }
        let mut payments = Vec::with_capacity(expected.len());
        for (n, one) in expected.iter().enumerate() {
            let at = format!("/instalments/{n}");
            if one.due_on < self.today {
                return Err(wrong(&at, "not before today"));
            }
            if one.amount.currency() != currency || !one.amount.is_positive() {
                return Err(wrong(&at, "more than nothing, in the documents' currency"));
            }
            payments.push(Payment {
                due_on: one.due_on,
                last_on: last_on(one.due_on, grace)?,
                amount: one.amount.amount(),
                received: Decimal::ZERO,
            });
        }
        payments.sort_by_key(|payment| payment.due_on);
        let together: Decimal = payments.iter().map(|payment| payment.amount).sum();
        let wanted: Decimal = items.iter().map(|item| item.amount).sum();
        if together != wanted {
            let detail = format!("together {together}, but the documents come to {wanted}");
            return Err(wrong("/instalments", &detail));
        }
        Ok(payments)
    }

    /// The transaction, and what is said of what is done in it.
    pub(super) fn told<'t>(
        &'t mut self,
        person: &'t Person,
        reason: &'t str,
    ) -> (&'t mut Tx, Told<'t>) {
        let told = Told {
            prefix: &self.prefix,
            now: self.now,
            cause: &self.cause,
            actor: &person.actor,
            reason,
        };
        (&mut self.tx, told)
    }

    pub(super) async fn finish(self, bus: &Bus) -> Result<(), Failure> {
        self.tx.commit().await?;
        bus.notice(&["dunning".to_owned()]).await;
        Ok(())
    }
}

/// Who an account is and what is agreed with such debtors.
pub(super) async fn debtor(
    conn: &mut PgConnection,
    account: AccountId,
    today: NaiveDate,
) -> Result<(String, Option<Policy>), Failure> {
    let known = store::plans::account(conn, account).await?.ok_or_else(|| {
        Failure::not_found(
            "dunning.no_account",
            format!("there is no account {account}"),
        )
    })?;
    let policies = store::policies::all(conn).await?;
    let debtor = Debtor {
        account_ref: &known.account_ref,
        parent_ref: known.parent_ref.as_deref(),
        kind: known.kind.as_deref().and_then(store::accounts::kind_named),
        segment: known.segment.as_deref(),
    };
    let policy = policies.choose(debtor, today).cloned();
    Ok((known.account_ref, policy))
}

/// The last day that still counts: so many working days after the day itself,
/// which rolls to a working day first (E82).
pub(super) fn last_on(due_on: NaiveDate, grace: u32) -> Result<NaiveDate, Failure> {
    WorkingCalendar::new(Division::EnglandWales)
        .add_working_days(due_on, grace)
        .map_err(Failure::of)
}

pub(super) fn wrong(pointer: &str, detail: &str) -> Failure {
    Failure::permanent("dunning.not_usable", "what was asked for cannot be used")
        .at(pointer, detail)
}
