//! What is still to be sent of runs, and the end of a run.

use chrono::{DateTime, Utc};
use contracts::dunning::{ProviderDown, RunChanged, RunKind, RunState};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

/// An account that waits to be contacted, as it was approved.
pub(crate) struct Queued {
    pub(crate) run_id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) account_ref: String,
    pub(crate) policy: Option<String>,
    pub(crate) policy_version: Option<i32>,
    pub(crate) documents: Vec<Uuid>,
    pub(crate) reasons: Vec<String>,
    pub(crate) ranks_to: Vec<Option<i16>>,
    pub(crate) chaseable: Vec<rust_decimal::Decimal>,
    pub(crate) currencies: Vec<String>,
    pub(crate) kind: String,
    pub(crate) as_of: chrono::NaiveDate,
    /// Of a statement what was open of each document.
    pub(crate) opens: Vec<rust_decimal::Decimal>,
    pub(crate) in_name_of: Option<String>,
    pub(crate) sentence: Option<String>,
    pub(crate) channel: Option<String>,
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) phone: Option<String>,
    /// Whose other accounts there are.
    pub(crate) debtor: Option<String>,
}

/// Whether no run is being sent and no contact is claimed: then nobody need ask
/// the provider whether it answers.
pub(crate) async fn is_idle(conn: &mut PgConnection) -> Result<bool, Failure> {
    Ok(sqlx::query_scalar!(
        r#"select not exists (select from dunning.run where state = 'sending')
             and not exists (select from dunning.contact where state = 'claimed') as "idle!""#
    )
    .fetch_one(conn)
    .await?)
}

/// An account of a run as it would be sent, whether it waits for that or not.
pub(crate) async fn one(
    conn: &mut PgConnection,
    run: Uuid,
    account: Uuid,
) -> Result<Option<Queued>, Failure> {
    Ok(sqlx::query_as!(
        Queued,
        r#"select ra.run_id, ra.account_id, ra.account_ref, ra.policy, ra.policy_version, ra.documents, ra.reasons,
             ra.ranks_to as "ranks_to: Vec<Option<i16>>", ra.chaseable as "chaseable: Vec<rust_decimal::Decimal>", ra.currencies, ra.sentence, ra.channel,
             r.kind, r.as_of, ra.opens as "opens: Vec<rust_decimal::Decimal>", ra.in_name_of,
             a.name, a.email, a.address, a.phone, null::text as debtor
           from dunning.run_account ra join dunning.run r using (run_id)
             join dunning.account a on a.account_id = ra.account_id
           where ra.run_id = $1 and ra.account_id = $2"#,
        run,
        account
    )
    .fetch_optional(conn)
    .await?)
}

/// The next ones of runs that are being sent, run by run, locked; others skip
/// them. Without a provider e-mails wait.
pub(crate) async fn take(
    conn: &mut PgConnection,
    with_mail: bool,
    limit: i64,
) -> Result<Vec<Queued>, Failure> {
    let sending = sqlx::query_scalar!(
        "select run_id from dunning.run where state = 'sending' order by run_id"
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut rows: Vec<Queued> = Vec::new();
    for run in sending {
        let still = limit - i64::try_from(rows.len()).unwrap_or(limit);
        if still <= 0 {
            break;
        }
        // The next are found before anything is joined to them: there may be many.
        let more = sqlx::query_as!(
            Queued,
            r#"with next as materialized (
                 select run_id, account_id from dunning.run_account
                 where run_id = $1 and state = 'queued' and ($2 or channel <> 'email')
                 order by account_id limit $3 for update skip locked)
               select ra.run_id, ra.account_id, ra.account_ref, ra.policy, ra.policy_version, ra.documents, ra.reasons,
                 ra.ranks_to as "ranks_to: Vec<Option<i16>>", ra.chaseable as "chaseable: Vec<rust_decimal::Decimal>",
                 ra.currencies, ra.sentence, ra.channel,
                 r.kind, r.as_of, ra.opens as "opens: Vec<rust_decimal::Decimal>", ra.in_name_of,
                 a.name, a.email, a.address, a.phone,
                 coalesce(a.parent_ref, (select c.parent_ref from dunning.account c where c.parent_ref = a.account_ref limit 1))
                   as debtor
               from next join dunning.run_account ra using (run_id, account_id) join dunning.run r using (run_id)
                 join dunning.account a on a.account_id = ra.account_id
               order by ra.account_id"#,
            run,
            with_mail,
            still
        )
        .fetch_all(&mut *conn)
        .await?;
        rows.extend(more);
    }
    let accounts: Vec<Uuid> = rows.iter().map(|row| row.account_id).collect();
    // Who else sends about these, or changes what is owed of them, waits.
    sqlx::query!(
        "select document_id from dunning.item where account_id = any($1) and open > 0 order by document_id for update",
        &accounts
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// What became of an account of a run.
pub(crate) struct Settled {
    pub(crate) run: Uuid,
    pub(crate) account: Uuid,
    pub(crate) state: &'static str,
    pub(crate) note: Option<String>,
    pub(crate) contact: Option<Uuid>,
}

pub(crate) async fn settle(conn: &mut PgConnection, all: &[Settled]) -> Result<(), Failure> {
    if all.is_empty() {
        return Ok(());
    }
    fn of<T>(all: &[Settled], get: impl Fn(&Settled) -> T) -> Vec<T> {
        all.iter().map(get).collect()
    }
    sqlx::query!(
        "update dunning.run_account ra set state = s.state, note = coalesce(s.note, ra.note),
           contact_id = coalesce(s.contact, ra.contact_id)
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[]) s (run, account, state, note, contact)
         where ra.run_id = s.run and ra.account_id = s.account",
        &of(all, |one| one.run),
        &of(all, |one| one.account),
        &of(all, |one| one.state.to_owned()),
        &of(all, |one| one.note.clone()) as &[Option<String>],
        &of(all, |one| one.contact) as &[Option<Uuid>]
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A run as it is told of.
struct Told {
    run_id: Uuid,
    version: i64,
    kind: String,
    as_of: chrono::NaiveDate,
    title: String,
    contacts: i64,
    amounts: serde_json::Value,
    tally: serde_json::Value,
    content_sha256: Option<String>,
    reason: String,
}

fn told(
    rows: Vec<Told>,
    state: RunState,
    cause: Uuid,
    now: DateTime<Utc>,
) -> Result<Vec<RunChanged>, Failure> {
    let each = rows.into_iter().map(|row| {
        Ok(RunChanged {
            run_id: row.run_id.into(),
            version: row.version,
            kind: super::known(RunKind::named(&row.kind), &row.kind)?,
            state,
            from: Some(RunState::Sending),
            as_of: row.as_of,
            title: row.title,
            contacts: row.contacts,
            amounts: serde_json::from_value(row.amounts)?,
            tally: serde_json::from_value(row.tally)?,
            content_sha256: row.content_sha256,
            cause: Some(cause),
            recorded_at: now,
            actor: "system:dunning".to_owned(),
            reason: row.reason,
            waits: None,
        })
    });
    each.collect()
}

/// Runs of which nothing waits any more: they are sent.
pub(crate) async fn finish(
    conn: &mut PgConnection,
    cause: Uuid,
    now: DateTime<Utc>,
) -> Result<Vec<RunChanged>, Failure> {
    let rows = sqlx::query_as!(
        Told,
        "update dunning.run r set state = 'sent', version = version + 1, changed_at = $1, waits = false
         where state = 'sending' and not exists (select from dunning.run_account ra
           where ra.run_id = r.run_id and ra.state in ('queued', 'claimed'))
         returning run_id, version, kind, as_of, title, contacts, amounts, tally, content_sha256, reason",
        now
    )
    .fetch_all(conn)
    .await?;
    told(rows, RunState::Sent, cause, now)
}

/// Runs that begin to wait for a provider that is down, or go on because none is: those
/// with e-mails that are not sent yet.
pub(crate) async fn wait(
    conn: &mut PgConnection,
    down: Option<&ProviderDown>,
    cause: Uuid,
    now: DateTime<Utc>,
) -> Result<Vec<RunChanged>, Failure> {
    let rows = sqlx::query_as!(
        Told,
        "update dunning.run r set waits = $2, version = version + 1, changed_at = $1
         where state = 'sending' and waits <> $2 and (not $2 or exists (select from dunning.run_account ra
           where ra.run_id = r.run_id and (ra.state = 'claimed' or ra.state = 'queued' and ra.channel = 'email')))
         returning run_id, version, kind, as_of, title, contacts, amounts, tally, content_sha256, reason",
        now,
        down.is_some()
    )
    .fetch_all(conn)
    .await?;
    let mut all = told(rows, RunState::Sending, cause, now)?;
    for run in &mut all {
        run.waits = down.cloned();
        run.reason = match down {
            Some(down) => format!("the provider takes no e-mail: {}", down.answer),
            None => "the provider takes e-mail again".to_owned(),
        };
    }
    Ok(all)
}
