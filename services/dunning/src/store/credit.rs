//! Credit stops: what items have come to, and what was told of their accounts.

use chrono::NaiveDate;
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

/// What somebody was told of an account last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) version: i64,
    pub(crate) stopped: bool,
    pub(crate) since: NaiveDate,
}

/// An account, what was told of it, and the highest stages that its open items
/// have come to, by policy and version.
pub(crate) struct Debtor {
    pub(crate) account_id: Uuid,
    pub(crate) account_ref: String,
    pub(crate) told: Option<Told>,
    pub(crate) stages: Vec<(String, i32, i16)>,
}

/// Of these accounts those that have open items which were reminded of, or of
/// which something was told.
pub(crate) async fn of(conn: &mut PgConnection, accounts: &[Uuid]) -> Result<Vec<Debtor>, Failure> {
    let rows = sqlx::query!(
        r#"select a.account_id, a.account_ref, c.version as "version?", c.stopped as "stopped?", c.since as "since?",
             r.policies as "policies!", r.versions as "versions!", r.ranks as "ranks!"
           from dunning.account a
           left join dunning.credit_stop c using (account_id)
           cross join lateral (
             select coalesce(array_agg(x.policy order by x.policy, x.version), '{}') policies,
               coalesce(array_agg(x.version order by x.policy, x.version), '{}') versions,
               coalesce(array_agg(x.rank order by x.policy, x.version), '{}') ranks
             from (
               select u.policy, u.version, max(u.rank) as rank
               from dunning.reached r
                 cross join unnest(r.documents, r.policies, r.policy_versions, r.ranks) u (document_id, policy, version, rank)
                 join dunning.item i on i.document_id = u.document_id and i.open > 0
               where r.account_id = a.account_id
               group by u.policy, u.version) x) r
           where a.account_id = any($1) and (c.stopped or r.ranks <> '{}')
           order by a.account_id"#,
        accounts
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let stages = row.policies.into_iter().zip(row.versions).zip(row.ranks);
            let told = row.version.zip(row.stopped).zip(row.since);
            Debtor {
                account_id: row.account_id,
                account_ref: row.account_ref,
                told: told.map(|((version, stopped), since)| Told {
                    version,
                    stopped,
                    since,
                }),
                stages: stages
                    .map(|((policy, version), rank)| (policy, version, rank))
                    .collect(),
            }
        })
        .collect())
}

pub(crate) async fn put(conn: &mut PgConnection, all: &[(&Debtor, Told)]) -> Result<(), Failure> {
    if all.is_empty() {
        return Ok(());
    }
    let accounts: Vec<Uuid> = all.iter().map(|(debtor, _)| debtor.account_id).collect();
    let refs: Vec<String> = all
        .iter()
        .map(|(debtor, _)| debtor.account_ref.clone())
        .collect();
    let versions: Vec<i64> = all.iter().map(|(_, told)| told.version).collect();
    let stopped: Vec<bool> = all.iter().map(|(_, told)| told.stopped).collect();
    let since: Vec<NaiveDate> = all.iter().map(|(_, told)| told.since).collect();
    sqlx::query!(
        "insert into dunning.credit_stop (account_id, account_ref, version, stopped, since)
         select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::boolean[], $5::date[])
         on conflict (account_id) do update set version = excluded.version, stopped = excluded.stopped,
           since = excluded.since",
        &accounts,
        &refs,
        &versions,
        &stopped,
        &since
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Since when an account is supplied nothing on credit.
pub(crate) async fn since(
    conn: &mut PgConnection,
    account: Uuid,
) -> Result<Option<NaiveDate>, Failure> {
    Ok(sqlx::query_scalar!(
        "select since from dunning.credit_stop where account_id = $1 and stopped",
        account
    )
    .fetch_optional(conn)
    .await?)
}
