//! The legal world's files, and the money held for a few of its clients: enough to see a residual balance of every
//! kind.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use async_nats::{HeaderMap, jetstream};
use chrono::{Days, NaiveDate};
use contracts::{
    api::{
        PageRequest,
        allocation::{ListReceipts, ReceiptQueue},
        controls::{DecideApproval, Person, Verdict},
        ingestion::DesignateBankAccount,
        matters::{ListMatters, PayClientMoney, SplitPart, SplitReceipt},
    },
    controls::ApprovalId,
    inbound::{BankAccountRef, BankReceipt, BillingMatter, Direction, MatterStatus, Payer},
    ingestion::Designation,
    matters::{Component, EntryKind},
    subject::IN_RECEIPTS,
};
use kernel::{CommandId, Currency, Money};

use super::{Demo, csv};
use crate::client::Client;

/// A file whose last document is older than this is concluded.
const CONCLUDED_AFTER: u64 = 120;

/// Damages in and out, and what stays: twelve pence, a few pounds, and more than may go to charity without the SRA.
const HELD: [(&str, &str); 4] = [
    ("1450.12", "1450.00"),
    ("2238.40", "2200.00"),
    ("3512.75", "3000.00"),
    ("905.00", "900.00"),
];

const EARNERS: [&str; 4] = ["J. Patel", "S. Okafor", "M. Lindqvist", "R. Evans"];

/// Beyond this the demo goes on without client money.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(200);

impl Demo {
    /// The files that the documents are of, by their reference.
    pub(crate) fn matters(&self) -> Vec<BillingMatter> {
        let mut days: BTreeMap<&str, (&str, NaiveDate, NaiveDate)> = BTreeMap::new();
        for document in &self.documents {
            if let Some(matter) = &document.matter_ref {
                let (_, first, last) = days.entry(matter).or_insert((
                    &document.account_ref,
                    document.issued_on,
                    document.issued_on,
                ));
                *first = (*first).min(document.issued_on);
                *last = (*last).max(document.issued_on);
            }
        }
        days.into_iter()
            .enumerate()
            .map(|(n, (matter_ref, (account_ref, first, last)))| {
                let concluded = last + Days::new(CONCLUDED_AFTER) < self.today;
                let accident = first - Days::new(75);
                BillingMatter {
                    matter_ref: matter_ref.to_owned(),
                    account_ref: account_ref.to_owned(),
                    title: format!("RTA {}", accident.format("%-d %B %Y")),
                    fee_earner: Some(EARNERS[n % EARNERS.len()].into()),
                    opened_on: first - Days::new(45),
                    concluded_on: concluded.then(|| last + Days::new(30)),
                    closed_on: None,
                    status: if concluded {
                        MatterStatus::Concluded
                    } else {
                        MatterStatus::Opened
                    },
                }
            })
            .collect()
    }

    pub(super) fn matters_csv(&self) -> String {
        let header =
            "matter_ref,account_ref,title,fee_earner,opened_on,concluded_on,closed_on,status";
        csv(
            header,
            self.matters().into_iter().map(|matter| {
                let day = |day: Option<NaiveDate>| day.map(|d| d.to_string()).unwrap_or_default();
                vec![
                    matter.matter_ref,
                    matter.account_ref,
                    matter.title,
                    matter.fee_earner.unwrap_or_default(),
                    matter.opened_on.to_string(),
                    day(matter.concluded_on),
                    day(matter.closed_on),
                    matter.status.name().into(),
                ]
            }),
        )
    }

    /// Receives damages on a client account for a few concluded files, and pays most of them out.
    ///
    /// # Errors
    /// When the services do not answer, or what was told never arrives.
    pub(crate) async fn hold_client_money(&self, client: &Client) -> anyhow::Result<()> {
        let account = BankAccountRef {
            sort_code: Some("20-00-00".into()),
            account_number: Some("55779912".into()),
            iban: None,
        };
        client
            .ask(&DesignateBankAccount {
                command_id: CommandId::generate(),
                bank_account: account.clone(),
                designation: Designation::Client,
                reason: "the demo's client account".into(),
                actor: "demo".into(),
            })
            .await?;
        let concluded = self
            .matters()
            .into_iter()
            .filter(|matter| matter.status == MatterStatus::Concluded);
        let jetstream = jetstream::new(client.nats.clone());
        for (n, (matter, (comes, goes))) in concluded.zip(HELD).enumerate() {
            let line = damages(&account, &matter, n, comes, self.today);
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Msg-Id", format!("demo-damages-{n}"));
            let subject = client.prefix.subject(format_args!("{IN_RECEIPTS}.demo"));
            let payload = serde_json::to_vec(&line)?;
            jetstream
                .publish_with_headers(subject, headers, payload.into())
                .await?
                .await?;
            pay_out(client, &matter, &line, comes, goes).await?;
        }
        Ok(())
    }
}

fn damages(
    account: &BankAccountRef,
    matter: &BillingMatter,
    n: usize,
    amount: &str,
    today: NaiveDate,
) -> BankReceipt {
    let day = today - Days::new(1);
    BankReceipt {
        feed: "demo".into(),
        bank_account: account.clone(),
        bank_reference: format!("DAMAGES-{n}"),
        booked_on: day,
        value_on: day,
        amount: amount.into(),
        currency: "GBP".into(),
        direction: Direction::Credit,
        scheme: Some("fps".into()),
        payer: Payer {
            name: Some("NORTHGATE INSURANCE CLAIMS".into()),
            account: BankAccountRef::default(),
        },
        reference: Some(format!("DAMAGES {}", matter.title)),
        end_to_end_id: None,
        mandate_reference: None,
        return_reason: None,
        remittance: None,
    }
}

async fn pay_out(
    client: &Client,
    matter: &BillingMatter,
    line: &BankReceipt,
    comes: &str,
    goes: &str,
) -> anyhow::Result<()> {
    let gbp = |text: &str| Money::parse(text, Currency::GBP);
    let page = || PageRequest {
        cursor: None,
        limit: Some(1),
    };
    let receipts = ListReceipts {
        queue: ReceiptQueue::All,
        search: Some(line.bank_reference.clone()),
        page: page(),
    };
    let matters = ListMatters {
        search: Some(matter.matter_ref.clone()),
        status: None,
        page: page(),
    };
    let known = async {
        loop {
            let receipt = client.ask(&receipts).await?.items.pop();
            let matter = client.ask(&matters).await?.items.pop();
            if let (Some(receipt), Some(matter)) = (receipt, matter) {
                return anyhow::Ok((receipt, matter));
            }
            tokio::time::sleep(POLL).await;
        }
    };
    let (receipt, known) = tokio::time::timeout(PATIENCE, known)
        .await
        .context("the demo's client money never arrived")??;
    client
        .ask(&SplitReceipt {
            command_id: CommandId::generate(),
            receipt_id: receipt.receipt_id,
            expected_version: None,
            matter_id: known.matter_id,
            parts: vec![SplitPart {
                component: Component::Damages,
                amount: gbp(comes)?,
                document_id: None,
                disbursement_id: None,
            }],
            actor: "demo".into(),
            reason: "damages as agreed".into(),
        })
        .await?;
    let command_id = CommandId::generate();
    let asked = client
        .ask(&PayClientMoney {
            command_id,
            matter_id: known.matter_id,
            kind: EntryKind::Returned,
            amount: gbp(goes)?,
            payee: known.account_name.unwrap_or(known.account_ref),
            disbursement_id: None,
            bank_account: None,
            actor: "demo".into(),
            reason: "damages to the client".into(),
        })
        .await?;
    let approval_id = asked
        .payments
        .iter()
        .find(|payment| payment.payment_id.as_uuid() == command_id.as_uuid())
        .map(|payment| payment.approval_id)
        .context("the demo's payment was not asked for")?;
    approve(client, approval_id).await
}

/// The demo's second person, once worklist has the request.
async fn approve(client: &Client, approval_id: ApprovalId) -> anyhow::Result<()> {
    let decide = DecideApproval {
        command_id: CommandId::generate(),
        approval_id,
        verdict: Verdict::Approve,
        reason: "as agreed".into(),
        person: Person {
            actor: "demo-manager".into(),
            roles: vec!["manager".into()],
        },
    };
    let approved = async {
        while client.ask(&decide).await.is_err() {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(PATIENCE, approved)
        .await
        .context("nobody could approve the demo's payment")
}
