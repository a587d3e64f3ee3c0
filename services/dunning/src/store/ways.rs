//! Ways to debtors that are shut, and which accounts are one debtor's.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use contracts::dunning::{Channel, ContactOutcome, ContactWay, ReachState};
use kernel::AccountId;
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{accounts::Among, known};
use crate::domain::reach::{self, Known, Shut};

/// Contact days that are looked at of one debtor: more than any budget allows.
const DAYS_MAX: usize = 60;

fn shut(
    channel: &str,
    state: &str,
    since: NaiveDate,
    because: Option<&str>,
) -> Result<Shut, Failure> {
    Ok(Shut {
        channel: known(Channel::named(channel), channel)?,
        state: known(ReachState::named(state), state)?,
        since,
        because: because.and_then(ContactOutcome::named),
    })
}

/// What is shut of accounts; to which of the joint debtors, if it is theirs alone.
pub(crate) async fn shut_of(
    conn: &mut PgConnection,
    among: Among<'_>,
) -> Result<Vec<(Uuid, String, Shut)>, Failure> {
    let rows = sqlx::query!(
        r#"select account_id as "account_id!", debtor_ref as "debtor_ref!", channel as "channel!", state as "state!",
             since as "since!", because
           from dunning.shut
           where account_id between $1 and $2 and ($3::uuid[] = '{}' or account_id = any($3))"#,
        among.from,
        among.to,
        among.only
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let shut = shut(&row.channel, &row.state, row.since, row.because.as_deref())?;
            Ok((row.account_id, row.debtor_ref, shut))
        })
        .collect()
}

/// Days on which debtors with several accounts were contacted, over all of them,
/// by account (E61). Accounts are one debtor's when one names the
/// other as its parent, or both name the same.
pub(crate) async fn contacts_of_kin(
    conn: &mut PgConnection,
    among: Among<'_>,
) -> Result<HashMap<Uuid, Vec<NaiveDate>>, Failure> {
    let members = sqlx::query!(
        r#"select account_id as "account_id!", parent_ref as "debtor!" from dunning.account
           where account_id between $1 and $2 and ($3::uuid[] = '{}' or account_id = any($3)) and parent_ref is not null
           union
           select a.account_id, a.account_ref from dunning.account a
           where a.account_id between $1 and $2 and ($3::uuid[] = '{}' or a.account_id = any($3)) and a.parent_ref is null
             and exists (select from dunning.account c where c.parent_ref = a.account_ref)"#,
        among.from,
        among.to,
        among.only
    )
    .fetch_all(&mut *conn)
    .await?;
    if members.is_empty() {
        return Ok(HashMap::new());
    }
    let mut debtors: Vec<String> = members.iter().map(|row| row.debtor.clone()).collect();
    debtors.sort_unstable();
    debtors.dedup();
    let rows = sqlx::query!(
        r#"select d.debtor as "debtor!", day as "day!", count(*) as "times!"
           from unnest($1::text[]) d (debtor)
           cross join lateral (
             select account_id from dunning.account where parent_ref = d.debtor
             union select account_id from dunning.account where account_ref = d.debtor) k
           join dunning.reached r on r.account_id = k.account_id
           cross join unnest(r.contacts) day
           group by d.debtor, day order by d.debtor, day desc"#,
        &debtors
    )
    .fetch_all(conn)
    .await?;
    let mut days: HashMap<String, Vec<NaiveDate>> = HashMap::new();
    for row in rows {
        let known = days.entry(row.debtor).or_default();
        for _ in 0..row.times {
            if known.len() < DAYS_MAX {
                known.push(row.day);
            }
        }
    }
    Ok(members
        .into_iter()
        .filter_map(|row| Some((row.account_id, days.get(&row.debtor)?.clone())))
        .collect())
}

/// Other accounts of the same debtor, some.
pub(crate) async fn kin(conn: &mut PgConnection, account: Uuid) -> Result<Vec<String>, Failure> {
    Ok(sqlx::query_scalar!(
        r#"select k.account_ref from dunning.account a join dunning.account k
             on k.parent_ref = coalesce(a.parent_ref, a.account_ref) or k.account_ref = a.parent_ref
           where a.account_id = $1 and k.account_id <> $1 order by k.account_ref limit 50"#,
        account
    )
    .fetch_all(conn)
    .await?)
}

/// From here to the end of the transaction nobody else contacts these debtors.
pub(crate) async fn lock_debtors(
    conn: &mut PgConnection,
    debtors: &[String],
) -> Result<(), Failure> {
    let mut sorted: Vec<String> = debtors.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r#"select pg_advisory_xact_lock(hashtextextended('dunning.debtor ' || d, 0)) as "locked!: ()"
           from unnest($1::text[]) d"#,
        &sorted
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// A debtor's addresses.
#[derive(Debug, Clone, Default)]
pub(crate) struct Addresses {
    pub(crate) email: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) address: Option<String>,
}

impl Addresses {
    pub(crate) fn of(&self, channel: Channel) -> Option<&str> {
        match channel {
            Channel::Email => self.email.as_deref(),
            Channel::Phone => self.phone.as_deref(),
            Channel::Letter | Channel::Visit => self.address.as_deref(),
        }
    }
}

/// An account, locked, and its open debts: nobody contacts it meanwhile.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    account: AccountId,
) -> Result<Option<(String, Addresses)>, Failure> {
    let row = sqlx::query!(
        "select account_ref, email, phone, address from dunning.account where account_id = $1 for no key update",
        account.as_uuid()
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    sqlx::query!(
        "select document_id from dunning.item where account_id = $1 and open > 0 order by document_id for update",
        account.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    let addresses = Addresses {
        email: row.email,
        phone: row.phone,
        address: row.address,
    };
    Ok(Some((row.account_ref, addresses)))
}

/// Whose way it is: an account's, or that of one of its joint debtors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whose<'a> {
    pub(crate) account: AccountId,
    pub(crate) debtor: Option<&'a str>,
}

/// Shuts a way: the first word of the same stays.
pub(crate) async fn shut_way(
    conn: &mut PgConnection,
    whose: Whose<'_>,
    channel: Channel,
    address: Option<&str>,
    since: NaiveDate,
    because: ContactOutcome,
    contact: Uuid,
) -> Result<(), Failure> {
    let state = match address {
        Some(_) => ReachState::Unusable,
        None => ReachState::OptedOut,
    };
    sqlx::query!(
        "insert into dunning.way as w (account_id, channel, state, address, since, because, contact_id, debtor_ref)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (account_id, debtor_ref, channel, state) do update set address = excluded.address, since = excluded.since,
           because = excluded.because, contact_id = excluded.contact_id
         where w.address is distinct from excluded.address",
        whose.account.as_uuid(),
        channel.name(),
        state.name(),
        address,
        since,
        because.name(),
        contact,
        whose.debtor.unwrap_or_default()
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn open_way(
    conn: &mut PgConnection,
    whose: Whose<'_>,
    channel: Channel,
    state: ReachState,
) -> Result<(), Failure> {
    sqlx::query!(
        "delete from dunning.way where account_id = $1 and channel = $2 and state = $3 and debtor_ref = $4",
        whose.account.as_uuid(),
        channel.name(),
        state.name(),
        whose.debtor.unwrap_or_default()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The ways to a debtor as they are now.
#[derive(Debug)]
pub(crate) struct Ways {
    pub(crate) account: AccountId,
    pub(crate) account_ref: String,
    pub(crate) now: Vec<ContactWay>,
    /// What was told last, and its version.
    pub(crate) told: Option<(Vec<ContactWay>, i64)>,
    /// It was told that nothing is owed.
    pub(crate) idle: bool,
}

/// Of accounts; of those only of which something was told once, when `told`.
pub(crate) async fn of(
    conn: &mut PgConnection,
    accounts: &[Uuid],
    told: bool,
) -> Result<Vec<Ways>, Failure> {
    let rows = sqlx::query!(
        r#"select a.account_id, a.account_ref, a.email is not null as "email!", a.phone is not null as "phone!",
             a.address is not null as "address!", r.version as "version?", r.told as "told?",
             coalesce(r.idle, false) as "idle!"
           from dunning.account a left join dunning.reach r using (account_id)
           where a.account_id = any($1) and (r.account_id is not null or not $2) order by a.account_id"#,
        accounts,
        told
    )
    .fetch_all(&mut *conn)
    .await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let found = sqlx::query!(
        r#"select account_id as "account_id!", channel as "channel!", state as "state!", since as "since!", because
           from dunning.shut where account_id = any($1) and debtor_ref = ''"#,
        accounts
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut joint = super::debtors::seen(conn, accounts).await?;
    let mut shuts: BTreeMap<Uuid, Vec<Shut>> = BTreeMap::new();
    for row in found {
        let one = shut(&row.channel, &row.state, row.since, row.because.as_deref())?;
        shuts.entry(row.account_id).or_default().push(one);
    }
    rows.into_iter()
        .map(|row| {
            let known = Known {
                email: row.email,
                address: row.address,
                phone: row.phone,
            };
            let shut = shuts.remove(&row.account_id).unwrap_or_default();
            let told = match (row.told, row.version) {
                (Some(told), Some(version)) => Some((serde_json::from_value(told)?, version)),
                _ => None,
            };
            let own = reach::ways(known, &shut);
            Ok(Ways {
                account: row.account_id.into(),
                account_ref: row.account_ref,
                now: match joint.remove(&row.account_id) {
                    Some(debtors) => reach::best(debtors.into_iter().map(|one| one.ways), own),
                    None => own,
                },
                told,
                idle: row.idle,
            })
        })
        .collect()
}

/// What is shut to joint debtors of accounts.
pub(crate) async fn of_debtors(
    conn: &mut PgConnection,
    accounts: &[Uuid],
) -> Result<HashMap<(Uuid, String), Vec<Shut>>, Failure> {
    let rows = sqlx::query!(
        r#"select account_id as "account_id!", debtor_ref as "debtor_ref!", channel as "channel!", state as "state!",
             since as "since!", because
           from dunning.shut where account_id = any($1) and debtor_ref <> ''"#,
        accounts
    )
    .fetch_all(conn)
    .await?;
    let mut all: HashMap<(Uuid, String), Vec<Shut>> = HashMap::new();
    for row in rows {
        let one = shut(&row.channel, &row.state, row.since, row.because.as_deref())?;
        all.entry((row.account_id, row.debtor_ref))
            .or_default()
            .push(one);
    }
    Ok(all)
}

/// Those of the accounts that owe something, of whom no address is known, and of
/// whom nothing was told yet, or last that they owe nothing.
pub(crate) async fn nowhere(
    conn: &mut PgConnection,
    accounts: &[Uuid],
) -> Result<Vec<Uuid>, Failure> {
    if accounts.is_empty() {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_scalar!(
        "select account_id from dunning.account a
         where account_id = any($1) and email is null and phone is null and address is null
           and not exists (select from dunning.debtor d where d.account_id = a.account_id
             and (d.email is not null or d.phone is not null or d.address is not null))
           and not exists (select from dunning.reach r where r.account_id = a.account_id and not r.idle)
           and exists (select from dunning.item i where i.account_id = a.account_id and i.open > 0)
         order by account_id",
        accounts
    )
    .fetch_all(conn)
    .await?)
}

/// Those of the accounts of whom it was told that no address is known, and who owe
/// nothing any more.
pub(crate) async fn settled(
    conn: &mut PgConnection,
    accounts: &[Uuid],
) -> Result<Vec<Uuid>, Failure> {
    if accounts.is_empty() {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_scalar!(
        "select account_id from dunning.reach r
         where account_id = any($1) and not idle
           and not exists (select from jsonb_array_elements(r.told) way where way->>'state' <> 'no_address')
           and not exists (select from dunning.item i where i.account_id = r.account_id and i.open > 0)
         order by account_id",
        accounts
    )
    .fetch_all(conn)
    .await?)
}

pub(crate) async fn tell(
    conn: &mut PgConnection,
    account: AccountId,
    version: i64,
    ways: &[ContactWay],
    idle: bool,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into dunning.reach (account_id, version, told, idle) values ($1, $2, $3, $4)
         on conflict (account_id) do update set version = excluded.version, told = excluded.told, idle = excluded.idle",
        account.as_uuid(),
        version,
        serde_json::to_value(ways)?,
        idle
    )
    .execute(conn)
    .await?;
    Ok(())
}
