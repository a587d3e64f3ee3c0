//! Referrals: each whole in its body, with what happened to it and what was
//! handed over.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::dunning::{PackFile, PackView, ReferralNote},
    dunning::{
        ChargeKind, ChargeState, ContactId, ContactState, PreActionLaw, ReferralId, ReferralState,
    },
};
use kernel::{AccountId, DocumentId};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{known, owing, stops};
use crate::domain::{
    pack::Pack,
    policies::Policies,
    pre_action,
    referral::{Facts, Referral},
};

/// Writes it as it is now, and what happened.
pub(crate) async fn put(
    conn: &mut PgConnection,
    referral: &Referral,
    next_on: Option<NaiveDate>,
    note: &ReferralNote,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into dunning.referral (referral_id, state, account_id, next_on, body) values ($1, $2, $3, $4, $5)
         on conflict (referral_id) do update set state = excluded.state, next_on = excluded.next_on,
           body = excluded.body",
        referral.id.as_uuid(),
        referral.state.name(),
        referral.account.as_uuid(),
        next_on,
        serde_json::to_value(referral)?
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "insert into dunning.referral_note (referral_id, version, state, at, actor, reason)
         values ($1, $2, $3, $4, $5, $6)",
        referral.id.as_uuid(),
        note.version,
        note.state.name(),
        note.at,
        note.actor,
        note.reason
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Nobody else begins a referral of the account meanwhile.
pub(crate) async fn lock_account(
    conn: &mut PgConnection,
    account: AccountId,
) -> Result<(), Failure> {
    sqlx::query!(
        "select account_id from dunning.account where account_id = $1 for update",
        account.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(())
}

/// When it is looked at next, nothing else having changed.
pub(crate) async fn look_again(
    conn: &mut PgConnection,
    id: ReferralId,
    next_on: Option<NaiveDate>,
) -> Result<(), Failure> {
    sqlx::query!(
        "update dunning.referral set next_on = $2 where referral_id = $1 and next_on is distinct from $2",
        id.as_uuid(),
        next_on
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Locked.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    id: ReferralId,
) -> Result<Option<Referral>, Failure> {
    let body = sqlx::query_scalar!(
        "select body from dunning.referral where referral_id = $1 for update",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(body.map(serde_json::from_value).transpose()?)
}

pub(crate) async fn get(
    conn: &mut PgConnection,
    id: ReferralId,
) -> Result<Option<Referral>, Failure> {
    let body = sqlx::query_scalar!(
        "select body from dunning.referral where referral_id = $1",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(body.map(serde_json::from_value).transpose()?)
}

/// Those of accounts that are not closed, the oldest first: locked.
pub(crate) async fn lock_of(
    conn: &mut PgConnection,
    accounts: &[AccountId],
) -> Result<Vec<Referral>, Failure> {
    let ids: Vec<Uuid> = accounts.iter().map(|id| id.as_uuid()).collect();
    let bodies = sqlx::query_scalar!(
        "select body from dunning.referral where account_id = any($1) and state <> 'closed'
         order by referral_id for update",
        &ids
    )
    .fetch_all(conn)
    .await?;
    bodies
        .into_iter()
        .map(|body| Ok(serde_json::from_value(body)?))
        .collect()
}

/// Accounts of which a referral's next day has come.
pub(crate) async fn due(
    conn: &mut PgConnection,
    today: NaiveDate,
    rows: i64,
) -> Result<Vec<AccountId>, Failure> {
    let ids = sqlx::query_scalar!(
        "select account_id from dunning.referral where next_on <= $1 order by referral_id limit $2
         for update skip locked",
        today,
        rows
    )
    .fetch_all(conn)
    .await?;
    let mut ids: Vec<AccountId> = ids.into_iter().map(Into::into).collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

pub(crate) async fn list(
    conn: &mut PgConnection,
    account: Option<AccountId>,
    state: Option<ReferralState>,
    before: Option<Uuid>,
    rows: i64,
) -> Result<Vec<Referral>, Failure> {
    let bodies = sqlx::query_scalar!(
        "select body from dunning.referral
         where ($1::uuid is null or account_id = $1) and ($2::text is null or state = $2)
           and ($3::uuid is null or referral_id < $3)
         order by referral_id desc limit $4",
        account.map(AccountId::as_uuid),
        state.map(ReferralState::name),
        before,
        rows
    )
    .fetch_all(conn)
    .await?;
    bodies
        .into_iter()
        .map(|body| Ok(serde_json::from_value(body)?))
        .collect()
}

pub(crate) async fn notes(
    conn: &mut PgConnection,
    id: ReferralId,
) -> Result<Vec<ReferralNote>, Failure> {
    let rows = sqlx::query!(
        "select version, state, at, actor, reason from dunning.referral_note where referral_id = $1
         order by version desc limit 200",
        id.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(ReferralNote {
                version: row.version,
                state: known(ReferralState::named(&row.state), &row.state)?,
                at: row.at,
                actor: row.actor,
                reason: row.reason,
            })
        })
        .collect()
}

/// What is known of its account now.
pub(crate) async fn facts(conn: &mut PgConnection, referral: &Referral) -> Result<Facts, Failure> {
    let ids: Vec<Uuid> = referral.ids().iter().map(|id| id.as_uuid()).collect();
    let mut facts = Facts::default();
    let items = sqlx::query!(
        r#"select document_id, coalesce(open, 0) as "open!" from dunning.item where document_id = any($1)"#,
        &ids
    )
    .fetch_all(&mut *conn)
    .await?;
    for item in items {
        facts.open.insert(item.document_id.into(), item.open);
    }
    // What became of charges is on the ledger under their numbers, soon.
    let charges = sqlx::query!(
        r#"select c.charge_id, c.kind, c.state, c.amount, i.document_id as "document_id?", i.open as "open?"
           from dunning.charge c left join dunning.item i
             on i.document_ref = c.charge_ref and i.document_ref like 'LPI-%' and i.account_id = c.account_id
           where c.account_id = $1 and c.document_id = any($2)"#,
        referral.account.as_uuid(),
        &ids
    )
    .fetch_all(&mut *conn)
    .await?;
    for charge in charges {
        let open = match known(ChargeState::named(&charge.state), &charge.state)? {
            ChargeState::Posted => charge.open.unwrap_or(charge.amount),
            ChargeState::Waived | ChargeState::Reversed => Decimal::ZERO,
        };
        match known(ChargeKind::named(&charge.kind), &charge.kind)? {
            ChargeKind::Costs => {
                let document = charge.document_id.map(DocumentId::from);
                facts
                    .costs
                    .insert(charge.charge_id.into(), (document, open));
            }
            ChargeKind::Interest | ChargeKind::Compensation | ChargeKind::Fee => {
                facts.interest += open;
            }
        }
    }
    let (everybodys, own) = stops::freezing(conn, referral.account).await?;
    facts.own_stops = own;
    facts.debtors = owing::of(conn, referral).await?;
    facts.stops = everybodys
        .into_iter()
        .filter(|stop| stop.subject != referral.id.as_uuid())
        .collect();
    Ok(facts)
}

/// An overdue debt.
pub(crate) struct Overdue {
    pub(crate) document: DocumentId,
    pub(crate) document_ref: String,
    pub(crate) due_on: NaiveDate,
    pub(crate) currency: String,
    pub(crate) open: Decimal,
}

/// Overdue debts of an account, the oldest first; claims for late payment go
/// with what they are about.
pub(crate) async fn overdue(
    conn: &mut PgConnection,
    account: AccountId,
    today: NaiveDate,
) -> Result<Vec<Overdue>, Failure> {
    let rows = sqlx::query!(
        r#"select document_id, document_ref as "document_ref!", due_on as "due_on!", currency, open as "open!"
           from dunning.item i where account_id = $1 and open > 0 and due_on < $2 and document_ref is not null
             and not exists (select from dunning.charge c where c.charge_ref = i.document_ref)
           order by due_on, document_id limit 500"#,
        account.as_uuid(),
        today
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Overdue {
            document: row.document_id.into(),
            document_ref: row.document_ref,
            due_on: row.due_on,
            currency: row.currency,
            open: row.open,
        })
        .collect())
}

/// A letter that went to a debtor about a document, by the send ledger.
pub(crate) struct Sent {
    pub(crate) document: DocumentId,
    pub(crate) contact: ContactId,
    pub(crate) stage: String,
    pub(crate) policy: String,
    pub(crate) policy_version: i32,
    pub(crate) state: ContactState,
    pub(crate) on: NaiveDate,
    pub(crate) sha256: Option<String>,
    /// To whom; everybody who owes the account when there is none.
    pub(crate) debtor: Option<String>,
}

impl Sent {
    /// Whether it does what the rules ask for.
    pub(crate) fn is_letter_of(&self, policies: &Policies, law: PreActionLaw) -> bool {
        policies
            .get(&self.policy, self.policy_version)
            .and_then(|policy| policy.stage(&self.stage))
            .is_some_and(|stage| pre_action::is_letter_of(law, stage.legal))
    }
}

/// What was sent about the documents of an account and still counts, the newest
/// first.
pub(crate) async fn sent(
    conn: &mut PgConnection,
    account: AccountId,
) -> Result<Vec<Sent>, Failure> {
    let rows = sqlx::query!(
        r#"select ci.document_id, c.contact_id, ci.stage as "stage!", c.policy as "policy!",
             c.policy_version as "policy_version!", c.state, coalesce(c.counted_on, c.at::date) as "day!",
             c.content_sha256, c.debtor_ref
           from dunning.contact_item ci join dunning.contact c using (contact_id)
           where c.account_id = $1 and not ci.void and ci.stage is not null and c.policy is not null
             and c.policy_version is not null and c.state in ('sent', 'printed', 'posted', 'delivered')
           order by c.at desc, c.contact_id limit 5000"#,
        account.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Sent {
                document: row.document_id.into(),
                contact: row.contact_id.into(),
                stage: row.stage,
                policy: row.policy,
                policy_version: row.policy_version,
                state: known(ContactState::named(&row.state), &row.state)?,
                on: row.day,
                sha256: row.content_sha256,
                debtor: row.debtor_ref,
            })
        })
        .collect()
}

pub(crate) async fn put_pack(
    conn: &mut PgConnection,
    id: ReferralId,
    pack: &Pack,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into dunning.referral_pack (referral_id, sha256, bytes, files, made_at) values ($1, $2, $3, $4, $5)
         on conflict do nothing",
        id.as_uuid(),
        pack.sha256,
        pack.bytes,
        serde_json::to_value(&pack.files)?,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn packs(
    conn: &mut PgConnection,
    id: ReferralId,
) -> Result<Vec<PackView>, Failure> {
    let rows = sqlx::query!(
        r#"select sha256, octet_length(bytes) as "bytes!", files, made_at from dunning.referral_pack
           where referral_id = $1 order by made_at desc, sha256 limit 50"#,
        id.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(PackView {
                sha256: row.sha256,
                bytes: row.bytes.into(),
                made_at: row.made_at,
                files: serde_json::from_value::<Vec<PackFile>>(row.files)?,
            })
        })
        .collect()
}

/// A part of a pack, and how large the whole is.
pub(crate) async fn pack_part(
    conn: &mut PgConnection,
    id: ReferralId,
    sha256: &str,
    offset: i32,
    bytes: i32,
) -> Result<Option<(i64, Vec<u8>)>, Failure> {
    let row = sqlx::query!(
        r#"select octet_length(bytes) as "size!", substring(bytes from $3 + 1 for $4) as "part!"
           from dunning.referral_pack where referral_id = $1 and sha256 = $2"#,
        id.as_uuid(),
        sha256,
        offset,
        bytes
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.size.into(), row.part)))
}

/// Documents that are in a referral that is not closed, and in which.
pub(crate) async fn taken(
    conn: &mut PgConnection,
    account: AccountId,
) -> Result<BTreeMap<DocumentId, ReferralId>, Failure> {
    let all = lock_of(conn, &[account]).await?;
    Ok(all
        .iter()
        .flat_map(|one| one.ids().into_iter().map(|id| (id, one.id)))
        .collect())
}
