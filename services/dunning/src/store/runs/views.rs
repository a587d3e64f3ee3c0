//! Runs as people see them.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use contracts::{
    api::dunning::{ExcludedCount, RunAccount, RunAccountState, RunCount, RunItem},
    dunning::{Channel, ChaseReason, RunId, RunKind, StatementExclusion},
};
use kernel::Money;
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{super::known, Row, Run, run};
use crate::{
    domain::policy::Policies,
    store::{accounts::kind_named, money},
};

/// Runs of these kinds, or all, the newest first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    kinds: &[RunKind],
    before: Option<Uuid>,
    rows: i64,
) -> Result<Vec<Run>, Failure> {
    let rows = sqlx::query_as!(
        Row,
        "select run_id, version, kind, state, as_of, title, scope, contacts, amounts, tally, content_sha256, approval_id,
           requester, approver, reason, created_at, changed_at, waits
         from dunning.run where ($1::uuid is null or run_id < $1) and (cardinality($3::text[]) = 0 or kind = any($3))
         order by run_id desc limit $2",
        before,
        rows,
        &kinds
            .iter()
            .map(|kind| kind.name().to_owned())
            .collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(run).collect()
}

/// Accounts of a run by where their contact stands.
pub(crate) async fn states(conn: &mut PgConnection, run: RunId) -> Result<Vec<RunCount>, Failure> {
    let rows = sqlx::query!(
        r#"select state, channel, count(*) as "accounts!" from dunning.run_account where run_id = $1
           group by state, channel order by state, channel"#,
        run.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(RunCount {
                state: known(RunAccountState::named(&row.state), &row.state)?,
                channel: row.channel.as_deref().and_then(Channel::named),
                accounts: row.accounts,
            })
        })
        .collect()
}

/// Accounts without a statement, by why.
pub(crate) async fn excluded(
    conn: &mut PgConnection,
    run: RunId,
) -> Result<Vec<ExcludedCount>, Failure> {
    let rows = sqlx::query!(
        r#"select excluded as "reason!", count(*) as "accounts!" from dunning.run_account
           where run_id = $1 and excluded is not null group by excluded order by count(*) desc, excluded"#,
        run.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(ExcludedCount {
                reason: known(StatementExclusion::named(&row.reason), &row.reason)?,
                accounts: row.accounts,
            })
        })
        .collect()
}

/// What the contacts of a run come to, one sum for each currency.
pub(crate) async fn amounts(conn: &mut PgConnection, run: RunId) -> Result<Vec<Money>, Failure> {
    let rows = sqlx::query!(
        r#"select m.currency as "currency!", sum(m.amount::numeric) as "amount!"
           from dunning.run_account r, jsonb_to_recordset(r.amounts) as m(currency text, amount text)
           where r.run_id = $1 and r.state not in ('excluded', 'removed') group by m.currency order by m.currency"#,
        run.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| money(row.amount, &row.currency))
        .collect()
}

/// Overdue items that ranges looked at.
pub(crate) async fn overdue(conn: &mut PgConnection, run: RunId) -> Result<i64, Failure> {
    let sum = sqlx::query_scalar!(
        "select sum(overdue)::bigint from dunning.run_range where run_id = $1",
        run.as_uuid()
    )
    .fetch_one(conn)
    .await?;
    Ok(sum.unwrap_or_default())
}

/// Which accounts of a run a list shows.
pub(crate) struct Filter {
    pub(crate) run: RunId,
    pub(crate) account: Option<Uuid>,
    pub(crate) state: Option<RunAccountState>,
    pub(crate) reason: Option<ChaseReason>,
    pub(crate) excluded: Option<StatementExclusion>,
    pub(crate) after: Option<Uuid>,
    pub(crate) rows: i64,
}

/// A page of a run's accounts, with what was proposed for them the time before.
pub(crate) async fn accounts(
    conn: &mut PgConnection,
    filter: &Filter,
    policies: &Policies,
) -> Result<Vec<RunAccount>, Failure> {
    let rows = sqlx::query!(
        r#"select r.account_id, r.account_ref, a.name as "name?", a.kind as "kind?", r.state, r.policy, r.policy_version, r.stage, r.template,
             r.channel, r.amounts, r.documents, r.reasons, r.ranks_from as "ranks_from: Vec<Option<i16>>",
             r.ranks_to as "ranks_to: Vec<Option<i16>>", r.chaseable as "chaseable: Vec<Decimal>", r.currencies, r.note, r.sentence, r.contact_id,
             r.opens as "opens: Vec<Decimal>", r.excluded, r.in_name_of,
             b.stage as "before_stage?", b.documents as "before_documents?", b.amounts as "before_amounts?",
             b.as_of as "before_on?"
           from dunning.run_account r join dunning.run m using (run_id)
           left join dunning.account a using (account_id)
           left join lateral (
             select o.stage, o.documents, o.amounts, n.as_of from dunning.run_account o join dunning.run n using (run_id)
             where o.account_id = r.account_id and o.run_id < r.run_id and n.state = 'sent' and n.kind = m.kind
             order by o.run_id desc limit 1) b on true
           where r.run_id = $1 and ($2::uuid is null or r.account_id = $2) and ($3::text is null or r.state = $3)
             and ($4::text is null or $4 = any(r.reasons)) and ($5::uuid is null or r.account_id > $5)
             and ($7::text is null or r.excluded = $7)
           order by r.account_id limit $6"#,
        filter.run.as_uuid(),
        filter.account,
        filter.state.map(RunAccountState::name),
        filter.reason.map(ChaseReason::name),
        filter.after,
        filter.rows,
        filter.excluded.map(StatementExclusion::name)
    )
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<Uuid> = rows.iter().flat_map(|row| row.documents.clone()).collect();
    let documents = documents(conn, &ids).await?;
    rows.into_iter()
        .map(|row| {
            let policy = match (&row.policy, row.policy_version) {
                (Some(policy), Some(version)) => policies.get(policy, version),
                _ => None,
            };
            let kind = row.kind.as_deref().and_then(kind_named);
            let stage = |rank: Option<i16>| Some(policy?.at(rank?, kind)?.code.clone());
            let mut items = Vec::with_capacity(row.documents.len());
            for (n, document) in row.documents.iter().enumerate() {
                let reason = row.reasons.get(n).map_or("", String::as_str);
                let currency = row.currencies.get(n).map_or("", String::as_str);
                let amount: Decimal = row.chaseable.get(n).copied().unwrap_or_default();
                let (document_ref, due_on) = documents.get(document).cloned().unwrap_or_default();
                items.push(RunItem {
                    document_id: (*document).into(),
                    document_ref,
                    due_on,
                    reason: known(ChaseReason::named(reason), reason)?,
                    chaseable: money(amount, currency)?,
                    stage: stage(row.ranks_from.get(n).copied().flatten()),
                    next_stage: stage(row.ranks_to.get(n).copied().flatten()),
                    open: match row.opens.get(n) {
                        Some(open) => Some(money(*open, currency)?),
                        None => None,
                    },
                });
            }
            let mut changes = Vec::new();
            if let Some(on) = row.before_on {
                let on = on.format("%-d %b %Y");
                if row.before_stage != row.stage {
                    let was = row.before_stage.as_deref().unwrap_or("nothing");
                    changes.push(format!("{} on {on}", was.replace('_', " ")));
                }
                let before = row.before_documents.unwrap_or_default();
                let new = row.documents.iter().filter(|d| !before.contains(d)).count();
                let gone = before.iter().filter(|d| !row.documents.contains(d)).count();
                if new > 0 {
                    changes.push(format!("{new} new since"));
                }
                if gone > 0 {
                    changes.push(format!("{gone} gone since"));
                }
            }
            Ok(RunAccount {
                account_id: row.account_id.into(),
                name: row.name.unwrap_or_else(|| row.account_ref.clone()),
                account_ref: row.account_ref,
                state: known(RunAccountState::named(&row.state), &row.state)?,
                policy: row.policy,
                stage: row.stage,
                template: row.template,
                channel: row.channel.as_deref().and_then(Channel::named),
                amounts: serde_json::from_value(row.amounts)?,
                items,
                note: row.note,
                sentence: row.sentence,
                contact_id: row.contact_id.map(Into::into),
                changes,
                excluded: match &row.excluded {
                    Some(why) => Some(known(StatementExclusion::named(why), why)?),
                    None => None,
                },
                in_name_of: row.in_name_of,
            })
        })
        .collect()
}

async fn documents(
    conn: &mut PgConnection,
    ids: &[Uuid],
) -> Result<BTreeMap<Uuid, (String, NaiveDate)>, Failure> {
    let rows = sqlx::query!(
        r#"select document_id, document_ref as "document_ref!", due_on as "due_on!" from dunning.item
           where document_id = any($1) and document_ref is not null and due_on is not null"#,
        ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.document_id, (row.document_ref, row.due_on)))
        .collect())
}
