//! Debtors with everything that decides whether they are chased.

use std::collections::{BTreeMap, HashMap, HashSet};

use contracts::dunning::{Channel, ChaseReason, ReachState};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    accounts::{Among, kind_named},
    debtors, money, stops, ways,
};
use crate::domain::{
    chase::{Item, Position, Reached, Terms, is_chased},
    reach::address,
};

/// Those of the accounts that have open debts.
pub(crate) async fn load(
    conn: &mut PgConnection,
    among: Among<'_>,
) -> Result<Vec<Position>, Failure> {
    let mut all = load_all(conn, among, false).await?;
    all.retain(|position| !position.items.is_empty());
    Ok(all)
}

/// As [`load`], with accounts of which nothing is open if `idle`.
pub(crate) async fn load_all(
    conn: &mut PgConnection,
    among: Among<'_>,
    idle: bool,
) -> Result<Vec<Position>, Failure> {
    let Among { from, to, only } = among;
    let rows = sqlx::query!(
        r#"select i.document_id, i.document_ref as "document_ref!", i.account_id as "account_id!", i.due_on as "due_on!",
             i.currency, i.open as "open!", i.in_direct_debit, i.likely_theirs, i.unapplied_credit, i.resumed_on,
             i.settled_days
           from dunning.item i
           where i.account_id between $1 and $2 and ($3::uuid[] = '{}' or i.account_id = any($3)) and i.open > 0
           order by i.account_id, i.due_on, i.document_id"#,
        from,
        to,
        only
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut positions: BTreeMap<Uuid, Position> = BTreeMap::new();
    if rows.is_empty() && !idle {
        return Ok(Vec::new());
    }
    let accounts = sqlx::query!(
        r#"select account_id, account_ref, parent_ref, kind, segment, principal, email is not null as "has_email!",
             address is not null as "has_address!", phone is not null as "has_phone!",
             exists (select from dunning.debtor d where d.account_id = account.account_id) as "joint!"
           from dunning.account
           where account_id between $1 and $2 and ($3::uuid[] = '{}' or account_id = any($3))"#,
        from,
        to,
        only
    )
    .fetch_all(&mut *conn)
    .await?;
    let joint = accounts.iter().any(|row| row.joint);
    for row in accounts {
        positions.insert(
            row.account_id,
            Position {
                account: row.account_id.into(),
                account_ref: row.account_ref,
                parent_ref: row.parent_ref,
                kind: row.kind.as_deref().and_then(kind_named),
                segment: row.segment,
                principal: row.principal,
                has_email: row.has_email,
                has_address: row.has_address,
                has_phone: row.has_phone,
                opted_out: Vec::new(),
                items: Vec::new(),
                stops: Vec::new(),
                contacts: Vec::new(),
                debtors: Vec::new(),
            },
        );
    }
    let mut reached = reached(conn, among, &mut positions).await?;
    for (account, days) in ways::contacts_of_kin(conn, among).await? {
        if let Some(position) = positions.get_mut(&account) {
            position.contacts = days;
        }
    }
    if joint {
        for (account, debtors) in debtors::among(conn, among).await? {
            if let Some(position) = positions.get_mut(&account) {
                position.debtors = debtors;
            }
        }
    }
    for (account, debtor, shut) in ways::shut_of(conn, among).await? {
        let Some(position) = positions.get_mut(&account) else {
            continue;
        };
        if !debtor.is_empty() {
            debtors::shut(&mut position.debtors, &debtor, &shut);
            continue;
        }
        if shut.state == ReachState::OptedOut {
            position.opted_out.push(shut.channel);
            continue;
        }
        match address(shut.channel) {
            Channel::Email => position.has_email = false,
            Channel::Phone => position.has_phone = false,
            Channel::Letter | Channel::Visit => position.has_address = false,
        }
    }
    let in_runs = in_runs(conn, among).await?;
    for row in rows {
        let Some(position) = positions.get_mut(&row.account_id) else {
            continue;
        };
        position.items.push(Item {
            document: row.document_id.into(),
            document_ref: row.document_ref,
            due_on: row.due_on,
            open: money(row.open, &row.currency)?,
            terms: Terms {
                in_direct_debit: row.in_direct_debit,
                likely_theirs: row.likely_theirs,
                unapplied_credit: row.unapplied_credit,
            },
            resumed_on: row.resumed_on,
            settled_days: row.settled_days.into(),
            reached: reached.remove(&row.document_id),
            in_run: in_runs.contains(&row.document_id),
        });
    }
    let stops = sqlx::query_as!(
        stops::Row,
        r#"select account_id, subject_id, kind, hold_kind, documents, amounts as "amounts: Vec<Option<rust_decimal::Decimal>>",
             currency, starts_on, ends_on, ended_on, debtor_ref
           from dunning.stop
           where account_id between $1 and $2 and ($3::uuid[] = '{}' or account_id = any($3)) order by subject_id"#,
        from,
        to,
        only
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in stops {
        if let Some(position) = positions.get_mut(&row.account_id) {
            position.stops.push(stops::stop(row)?);
        }
    }
    Ok(positions.into_values().collect())
}

/// The stages that items have come to; the days of contacts go to their accounts.
async fn reached(
    conn: &mut PgConnection,
    among: Among<'_>,
    positions: &mut BTreeMap<Uuid, Position>,
) -> Result<HashMap<Uuid, Reached>, Failure> {
    let rows = sqlx::query!(
        "select account_id, documents, ranks, days, policies, policy_versions, contacts
         from dunning.reached
         where account_id between $1 and $2 and ($3::uuid[] = '{}' or account_id = any($3))",
        among.from,
        among.to,
        among.only
    )
    .fetch_all(conn)
    .await?;
    let mut found = HashMap::new();
    for row in rows {
        let each = row
            .documents
            .into_iter()
            .zip(row.ranks)
            .zip(row.days)
            .zip(row.policies)
            .zip(row.policy_versions);
        for ((((document, rank), on), policy), version) in each {
            let reached = Reached {
                rank,
                on,
                policy,
                version,
            };
            found.insert(document, reached);
        }
        if let Some(position) = positions.get_mut(&row.account_id) {
            position.contacts = row.contacts;
        }
    }
    Ok(found)
}

/// Documents that are to be contacted about by a run that is not over.
async fn in_runs(conn: &mut PgConnection, among: Among<'_>) -> Result<HashSet<Uuid>, Failure> {
    let rows = sqlx::query!(
        "select a.documents, a.reasons from dunning.run_account a join dunning.run r using (run_id)
         where a.account_id between $1 and $2 and ($3::uuid[] = '{}' or a.account_id = any($3))
           and a.state in ('proposed', 'queued', 'claimed')
           and r.kind = 'reminders' and r.state not in ('sent', 'rejected', 'cancelled')",
        among.from,
        among.to,
        among.only
    )
    .fetch_all(conn)
    .await?;
    let chased = |reason: &str| ChaseReason::named(reason).is_some_and(is_chased);
    Ok(rows
        .into_iter()
        .flat_map(|row| row.documents.into_iter().zip(row.reasons))
        .filter(|(_, reason)| chased(reason))
        .map(|(document, _)| document)
        .collect())
}
