//! What goes with the letters of a batch: the forms that are in force, and a statement
//! of account that is made for each account, kept by its hash. Read for all at once.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{api::dunning::GetStatement, inbound::AccountKind};
use messaging::Failure;
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    domain::{
        enclosures::{self, Required},
        policy::LegalClass,
        template::Sender,
    },
    serve,
    store::{self, enclosures::Enclosed, templates::File},
};

/// Which letter, to whom, and when.
#[derive(Clone, Copy)]
pub(crate) struct Enclosing {
    pub(crate) account: Uuid,
    pub(crate) kind: Option<AccountKind>,
    pub(crate) legal: LegalClass,
    pub(crate) today: NaiveDate,
}

impl Enclosing {
    fn required(self) -> Option<&'static Required> {
        enclosures::required(self.legal, self.kind, self.today)
    }
}

/// What the letters of a batch have with them.
#[derive(Default)]
pub(crate) struct Enclosures {
    forms: Vec<Enclosed>,
    statements: BTreeMap<Uuid, Enclosed>,
}

impl Enclosures {
    /// Reads and makes what these letters must have with them; keeps the statements.
    pub(crate) async fn read(
        conn: &mut PgConnection,
        now: DateTime<Utc>,
        sender: &Sender,
        letters: &[Enclosing],
    ) -> Result<Self, Failure> {
        let required = || letters.iter().filter_map(|of| Some((of, of.required()?)));
        let Some((first, _)) = required().next() else {
            return Ok(Self::default());
        };
        let today = first.today;
        let names: BTreeSet<&String> = required().flat_map(|(_, row)| &row.forms).collect();
        let names: Vec<String> = names.into_iter().cloned().collect();
        let forms = store::enclosures::in_force(conn, &names, today).await?;
        let with = required().filter(|(_, row)| row.statement);
        let accounts: BTreeSet<Uuid> = with.map(|(of, _)| of.account).collect();
        let accounts: Vec<Uuid> = accounts.into_iter().collect();
        let who = store::statements::addressees(conn, &accounts).await?;
        let mut open = store::statements::open_of(conn, &accounts, today).await?;
        let mut statements = BTreeMap::new();
        for (account, who) in who {
            let ask = GetStatement {
                account_id: account.into(),
                red: false,
                as_at: None,
            };
            let open = open.remove(&account).unwrap_or_default();
            let statement = serve::compose(&ask, who, open, today)?;
            let bytes = serve::on_paper(&statement, sender, &statement.account_ref);
            let made = Enclosed {
                name: "statement_of_account".to_owned(),
                title: "Statement of account".to_owned(),
                version: None,
                sha256: hex::encode(Sha256::digest(&bytes)),
                bytes,
            };
            statements.insert(account, made);
        }
        let file = |one| {
            let one: &Enclosed = one;
            File {
                sha256: &one.sha256,
                media_type: "application/pdf",
                bytes: &one.bytes,
            }
        };
        let files: Vec<File<'_>> = statements.values().map(file).collect();
        store::templates::archive(conn, &files, now).await?;
        Ok(Self { forms, statements })
    }

    /// Everything that must go with one of them; nothing if one of it is not there.
    pub(crate) fn with(&self, of: Enclosing) -> Option<Vec<Enclosed>> {
        let Some(required) = of.required() else {
            return Some(Vec::new());
        };
        let mut all = Vec::with_capacity(required.forms.len() + 1);
        if required.statement {
            all.push(self.statements.get(&of.account)?.clone());
        }
        for name in &required.forms {
            all.push(self.forms.iter().find(|form| form.name == *name)?.clone());
        }
        Some(all)
    }
}
