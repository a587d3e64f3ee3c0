//! Those who owe the documents of a referral together, with the letters that each had.

use std::collections::BTreeSet;

use contracts::dunning::ContactState;
use messaging::Failure;
use sqlx::PgConnection;

use super::{accounts::kind_named, policies, referrals};
use crate::domain::{
    owing::{Claimed, Owing},
    referral::Referral,
};

/// Nobody where the account owes alone. A letter to the account as a whole went to
/// everybody who owes it.
pub(super) async fn of(
    conn: &mut PgConnection,
    referral: &Referral,
) -> Result<Vec<Owing>, Failure> {
    let rows = sqlx::query!(
        r#"select d.debtor_ref, coalesce(d.kind, a.kind) as kind
           from dunning.debtor d join dunning.account a using (account_id)
           where d.account_id = $1 order by d.place, d.debtor_ref"#,
        referral.account.as_uuid()
    )
    .fetch_all(&mut *conn)
    .await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut all: Vec<Owing> = rows
        .into_iter()
        .map(|row| Owing {
            debtor_ref: row.debtor_ref,
            kind: row.kind.as_deref().and_then(kind_named),
            letters: std::collections::BTreeMap::new(),
        })
        .collect();
    let policies = policies::all(conn).await?;
    let documents: BTreeSet<_> = referral.ids().into_iter().collect();
    for sent in referrals::sent(conn, referral.account).await? {
        if !documents.contains(&sent.document) || !sent.is_letter_of(&policies, referral.law) {
            continue;
        }
        // When it was posted was said when the referral began.
        let mut named = referral.letters.iter();
        let named = named.find(|letter| letter.contact == sent.contact);
        let letter = Claimed {
            contact: sent.contact,
            on: named.map_or(sent.on, |letter| letter.on),
            posted: named.is_some() || sent.state != ContactState::Printed,
        };
        for one in &mut all {
            let whose = sent.debtor.as_deref();
            if whose.is_none_or(|whose| whose == one.debtor_ref) {
                one.had(sent.document, letter);
            }
        }
    }
    Ok(all)
}
