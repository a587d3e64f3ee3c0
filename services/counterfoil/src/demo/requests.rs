//! Requests that wait for a second person in the demo: as somebody would have
//! made them, so that there is something to approve.

use std::time::Duration;

use contracts::api::{
    PageRequest,
    allocation::{FindOpenItems, ListReceipts},
    controls::{
        Attachment, DraftRefund, ListRefunds, Payee, Person, ProposeSmallBalances, RefundContent,
        RequestWriteOff, WriteOffAsk,
    },
};
use kernel::{AccountNumber, BankAccount, CommandId, Currency, SortCode};
use tokio_util::sync::CancellationToken;

use crate::client::Client;

/// The ledger settles in the background after the demo's files are read.
const LOOKS: u32 = 120;
const PAUSE: Duration = Duration::from_millis(500);

fn person(name: &str, role: &str) -> Person {
    Person {
        actor: format!("user:{name}"),
        roles: vec![role.to_owned()],
    }
}

/// Asks for some refunds, a write-off and a clearing of small balances, unless
/// there are refunds already. What is refused is left out.
pub(crate) async fn ask(client: Client, shutdown: CancellationToken) {
    match client.ask(&ListRefunds::default()).await {
        Ok(page) if page.items.is_empty() => {}
        _ => return,
    }
    let payments = person("payments", "payments_officer");
    for _ in 0..LOOKS {
        if refunds(&client, &payments).await > 0 {
            break;
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
    let controller = person("controller", "controller");
    write_off(&client, &controller).await;
    let propose = ProposeSmallBalances {
        command_id: CommandId::generate(),
        currency: Currency::GBP,
        submit: true,
        reason: "Month end".into(),
        person: controller,
    };
    if let Err(refused) = client.ask(&propose).await {
        tracing::debug!(%refused, "the demo clears no small balances");
    }
}

/// How many refunds were asked for.
async fn refunds(client: &Client, person: &Person) -> usize {
    let ask = ListReceipts {
        page: PageRequest {
            cursor: None,
            limit: Some(200),
        },
        ..ListReceipts::default()
    };
    let Ok(receipts) = client.ask(&ask).await else {
        return 0;
    };
    // The oldest first; those that nobody has a use for before the others.
    let mut known: Vec<_> = receipts
        .items
        .iter()
        .rev()
        .filter(|r| r.payer_account.is_some())
        .collect();
    known.sort_by_key(|receipt| receipt.suggestions);
    let mut asked = 0;
    for (n, receipt) in known.into_iter().take(3).enumerate() {
        let elsewhere = (n == 2)
            .then(|| {
                Some(Payee {
                    name: receipt.payer_name.clone()?,
                    account: BankAccount::Uk {
                        sort_code: SortCode::parse("089999").ok()?,
                        account_number: AccountNumber::parse("66374958").ok()?,
                    },
                    reason: "The account that paid is closed".into(),
                })
            })
            .flatten();
        let command = DraftRefund {
            command_id: CommandId::generate(),
            receipt_id: receipt.receipt_id,
            content: RefundContent {
                amount: None,
                reason: "Nothing is owed: the payer asks for it back".into(),
                payee: elsewhere,
                evidence: vec![Attachment {
                    label: "E-mail of the payer".into(),
                    reference: Some(format!("MAIL-{}", 4100 + n)),
                    sha256: None,
                }],
            },
            submit: true,
            person: person.clone(),
        };
        match client.ask(&command).await {
            Ok(_) => asked += 1,
            Err(refused) => tracing::debug!(%refused, "the demo raises one refund less"),
        }
    }
    asked
}

async fn write_off(client: &Client, person: &Person) {
    let Ok(items) = client.ask(&FindOpenItems::default()).await else {
        return;
    };
    let Some(oldest) = items
        .items
        .iter()
        .filter(|item| item.open.is_positive())
        .min_by_key(|item| item.due_on)
    else {
        return;
    };
    let command = RequestWriteOff {
        command_id: CommandId::generate(),
        reason_code: "uneconomic".into(),
        reason: "The court fee is more than can be had".into(),
        lines: vec![WriteOffAsk {
            document_id: oldest.document_id,
            amount: None,
            part: None,
        }],
        person: person.clone(),
    };
    if let Err(refused) = client.ask(&command).await {
        tracing::debug!(%refused, "the demo writes nothing off");
    }
}
