//! What goes with a letter: the forms that are in force, and a statement of account
//! that is made for it, kept by its hash.

use chrono::NaiveDate;
use contracts::{api::dunning::GetStatement, inbound::AccountKind};
use kernel::AccountId;
use messaging::{Bus, Failure};
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;

use crate::{
    domain::{enclosures, policy::LegalClass, template::Sender},
    serve,
    store::{self, enclosures::Enclosed, templates::File},
};

/// Which letter, to whom, and when.
#[derive(Clone, Copy)]
pub(crate) struct Enclosing {
    pub(crate) account: AccountId,
    pub(crate) kind: Option<AccountKind>,
    pub(crate) legal: LegalClass,
    pub(crate) today: NaiveDate,
}

/// Everything that must go with a letter; nothing if one of it is not there.
pub(crate) async fn enclosed(
    conn: &mut PgConnection,
    bus: &Bus,
    sender: &Sender,
    of: Enclosing,
) -> Result<Option<Vec<Enclosed>>, Failure> {
    let Some(required) = enclosures::required(of.legal, of.kind, of.today) else {
        return Ok(Some(Vec::new()));
    };
    let mut all = store::enclosures::in_force(conn, &required.forms, of.today).await?;
    if all.len() < required.forms.len() {
        return Ok(None);
    }
    if required.statement {
        let ask = GetStatement {
            account_id: of.account,
            red: false,
            as_at: None,
        };
        let statement = serve::statement(conn, bus, &ask).await?;
        let bytes = serve::on_paper(&statement, sender, &statement.account_ref);
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let file = File {
            sha256: &sha256,
            media_type: "application/pdf",
            bytes: &bytes,
        };
        store::templates::archive(conn, &[file], bus.now()).await?;
        all.insert(
            0,
            Enclosed {
                name: "statement_of_account".to_owned(),
                title: "Statement of account".to_owned(),
                version: None,
                sha256,
                bytes,
            },
        );
    }
    Ok(Some(all))
}
