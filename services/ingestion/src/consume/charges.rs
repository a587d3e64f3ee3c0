//! `charge_changed`: dunning posts a claim for late payment, or takes it back. It
//! is a billing document like any other, and goes its way: an item of its own,
//! and a credit note when it is given up.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use contracts::{
    Prefix, catalogue,
    dunning::{ChargeChanged, ChargeKind, ChargeState},
    inbound::{BillingDocument, DocumentKind, DocumentLine},
};
use messaging::{Consumer, Decided, Failure, Incoming, Outgoing, Raw, Tx};

use super::failure;
use crate::{
    domain::{
        inbound::{self, Document},
        record::{Changes, Known, Origin},
    },
    store,
};

/// What bills them.
const SOURCE: &str = "dunning";

/// Makes documents of charges.
pub(crate) struct Charges {
    prefix: Prefix,
}

impl Charges {
    pub(crate) const fn new(prefix: Prefix) -> Self {
        Self { prefix }
    }
}

/// The document that a charge is.
fn document(charge: &ChargeChanged) -> Result<Document, Failure> {
    let (kind, document_ref) = match charge.state {
        ChargeState::Posted => (DocumentKind::Invoice, charge.charge_ref.clone()),
        ChargeState::Waived | ChargeState::Reversed => {
            (DocumentKind::CreditNote, format!("{}-C", charge.charge_ref))
        }
    };
    let what = match charge.kind {
        ChargeKind::Interest => "Interest for late payment of",
        ChargeKind::Compensation => "Compensation for late payment of",
        ChargeKind::Fee => "Charge for reminding of",
        ChargeKind::Costs => "Costs of recovering",
    };
    let on = match charge.state {
        ChargeState::Posted => charge.charged_on,
        _ => kernel::london_date(charge.recorded_at),
    };
    inbound::document(BillingDocument {
        document_ref,
        kind,
        account_ref: charge.account_ref.clone(),
        matter_ref: None,
        issued_on: on,
        due_on: on,
        gross: charge.amount.amount().to_string(),
        net: None,
        vat: None,
        currency: charge.amount.currency().code().to_owned(),
        payment_reference: None,
        lines: vec![DocumentLine {
            description: format!("{what} {}", charge.document_ref),
            net: Some(charge.amount.amount().to_string()),
            // Outside the scope of VAT.
            vat: None,
        }],
    })
    .map_err(failure)
}

impl Consumer for Charges {
    const STREAM: &'static str = catalogue::DUNNING;
    type Message = Document;
    type State = Known;
    type Changes = (Changes, DateTime<Utc>);

    fn decode(&self, raw: &Raw) -> Result<Option<Document>, Failure> {
        if raw.is::<ChargeChanged>() {
            document(&raw.json()?).map(Some)
        } else {
            Ok(None)
        }
    }

    async fn load(&self, tx: &mut Tx, batch: &[Incoming<Document>]) -> Result<Known, Failure> {
        let mut known = Known::default();
        let of = |get: fn(&Document) -> &str| -> BTreeSet<&str> {
            batch
                .iter()
                .map(|incoming| get(&incoming.message))
                .collect()
        };
        let named = of(|document| &document.wire.account_ref);
        let documents = of(|document| &document.wire.document_ref);
        store::load_documents(tx, documents, &mut known).await?;
        store::load_accounts(tx, BTreeSet::new(), named, &mut known).await?;
        Ok(known)
    }

    fn decide(
        &self,
        mut known: Known,
        batch: &[Incoming<Document>],
        now: DateTime<Utc>,
    ) -> Result<Decided<Self::Changes>, Failure> {
        let mut changes = Changes::default();
        let mut events = Vec::with_capacity(batch.len());
        let mut rejected = Vec::new();
        for (index, Incoming { meta, message }) in batch.iter().enumerate() {
            let origin = Origin::feed(SOURCE, meta.id);
            match known.document(message, &origin, now) {
                Ok(Some(new)) => {
                    let about = new.fact.document_id.as_uuid();
                    events.push(Outgoing::new(&new.fact, about, 1, &self.prefix, now, meta)?);
                    changes.documents.push(new);
                }
                Ok(None) => changes.duplicates += 1,
                Err(refused) => rejected.push((index, failure(refused))),
            }
        }
        changes.accounts = known.into_account_rows();
        Ok(Decided {
            changes: (changes, now),
            events,
            rejected,
            notices: Vec::new(),
        })
    }

    async fn record(&self, tx: &mut Tx, (changes, now): Self::Changes) -> Result<(), Failure> {
        store::record(tx, &changes, now).await
    }
}
