//! Those who owe accounts together.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    allocation::AccountUpdated,
    dunning::{ContactWay, ReachState},
    inbound::JointDebtor,
};
use kernel::AccountId;
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    accounts::{Among, kind_name, kind_named},
    ways::Addresses,
};
use crate::domain::{
    joint::{self, Had, Joint, Sent},
    reach::{self, Known, Shut, address},
};

/// Contact days that are looked at of one debtor: more than any budget allows.
const DAYS_MAX: i64 = 60;
/// Other accounts of a debtor that are looked at.
const OTHERS_MAX: i64 = 200;

/// The newest word of who owes each account; what was not said stays. What was
/// erased stays so.
pub(crate) async fn put(
    conn: &mut PgConnection,
    accounts: &[AccountUpdated],
) -> Result<(), Failure> {
    let mut newest: BTreeMap<AccountId, (i64, &[JointDebtor])> = BTreeMap::new();
    for account in accounts {
        let Some(debtors) = account.debtors.as_deref() else {
            continue;
        };
        let known = newest
            .entry(account.account_id)
            .or_insert((account.version, debtors));
        if known.0 < account.version {
            *known = (account.version, debtors);
        }
    }
    if newest.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = newest.keys().map(|id| id.as_uuid()).collect();
    let versions: Vec<i64> = newest.values().map(|(version, _)| *version).collect();
    // What an older message says that came late is nothing new.
    let current = sqlx::query_scalar!(
        "update dunning.account a set debtors_version = u.version
         from unnest($1::uuid[], $2::bigint[]) u (account_id, version)
         where a.account_id = u.account_id and a.debtors_version < u.version
         returning a.account_id",
        &ids,
        &versions
    )
    .fetch_all(&mut *conn)
    .await?;
    for (account, (_, debtors)) in newest {
        if !current.contains(&account.as_uuid()) {
            continue;
        }
        let refs: Vec<String> = debtors.iter().map(|one| one.debtor_ref.clone()).collect();
        sqlx::query!(
            "delete from dunning.debtor where account_id = $1 and not debtor_ref = any($2)",
            account.as_uuid(),
            &refs
        )
        .execute(&mut *conn)
        .await?;
        for (place, one) in (0_i16..).zip(debtors) {
            sqlx::query!(
                "insert into dunning.debtor as d (account_id, debtor_ref, place, name, kind, email, phone, address)
                 values ($1, $2, $3, $4, $5, $6, $7, $8)
                 on conflict (account_id, debtor_ref) do update set place = excluded.place, name = excluded.name,
                   kind = excluded.kind, email = excluded.email, phone = excluded.phone, address = excluded.address
                 where d.erased_at is null",
                account.as_uuid(),
                one.debtor_ref,
                place,
                one.name,
                one.kind.map(kind_name),
                one.email,
                one.phone,
                one.address
            )
            .execute(&mut *conn)
            .await?;
        }
    }
    Ok(())
}

/// Who owes an account together, as billing orders them.
pub(crate) async fn refs(
    conn: &mut PgConnection,
    account: AccountId,
) -> Result<Vec<String>, Failure> {
    let mut found = refs_of(conn, &[account.as_uuid()]).await?;
    Ok(found.remove(&account.as_uuid()).unwrap_or_default())
}

/// The same of accounts.
pub(crate) async fn refs_of(
    conn: &mut PgConnection,
    accounts: &[Uuid],
) -> Result<HashMap<Uuid, Vec<String>>, Failure> {
    let rows = sqlx::query!(
        "select account_id, debtor_ref from dunning.debtor where account_id = any($1) order by place, debtor_ref",
        accounts
    )
    .fetch_all(conn)
    .await?;
    let mut all: HashMap<Uuid, Vec<String>> = HashMap::new();
    for row in rows {
        all.entry(row.account_id).or_default().push(row.debtor_ref);
    }
    Ok(all)
}

/// Those of accounts, with the days on which each was contacted, over all accounts that name them. A contact that names nobody
/// counts for everybody.
pub(crate) async fn among(
    conn: &mut PgConnection,
    among: Among<'_>,
) -> Result<BTreeMap<Uuid, Vec<Joint>>, Failure> {
    let rows = sqlx::query!(
        r#"select d.account_id, d.debtor_ref, d.name, d.kind, d.email, d.phone,
             case when d.erased_at is null then coalesce(d.address, a.address) end as address,
             coalesce(c.days, '{}') as "days!: Vec<NaiveDate>"
           from dunning.debtor d join dunning.account a using (account_id)
           left join lateral (
             select array_agg(x.counted_on) as days from (
               select c.counted_on from dunning.debtor k join dunning.contact c on c.account_id = k.account_id
               where k.debtor_ref = d.debtor_ref and (c.debtor_ref is null or c.debtor_ref = d.debtor_ref)
                 and c.counted_on is not null and c.state not in ('recalled', 'failed', 'bounced', 'gone_away')
               order by c.counted_on desc limit $4) x) c on true
           where d.account_id between $1 and $2 and ($3::uuid[] = '{}' or d.account_id = any($3))
           order by d.account_id, d.place, d.debtor_ref"#,
        among.from,
        among.to,
        among.only,
        DAYS_MAX
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut all: BTreeMap<Uuid, Vec<Joint>> = BTreeMap::new();
    for row in rows {
        all.entry(row.account_id).or_default().push(Joint {
            debtor_ref: row.debtor_ref,
            name: row.name,
            kind: row.kind.as_deref().and_then(kind_named),
            email: row.email,
            phone: row.phone,
            address: row.address,
            opted_out: Vec::new(),
            contacts: row.days,
            had: Vec::new(),
            missed: Vec::new(),
        });
    }
    if all.is_empty() {
        return Ok(all);
    }
    let mut sent = sent(conn, &all.keys().copied().collect::<Vec<_>>()).await?;
    for (account, debtors) in &mut all {
        joint::compare(debtors, &sent.remove(account).unwrap_or_default());
    }
    Ok(all)
}

/// What the send ledger has about what is open on accounts, with whose it was.
async fn sent(
    conn: &mut PgConnection,
    accounts: &[Uuid],
) -> Result<HashMap<Uuid, Vec<Sent>>, Failure> {
    let rows = sqlx::query!(
        r#"select c.account_id, ci.document_id, ci.rank as "rank!", nullif(ci.debtor_ref, '') as debtor,
             coalesce(c.counted_on, c.at::date) as "on!", c.state = 'unknown' as "unknown!"
           from dunning.contact c join dunning.contact_item ci using (contact_id)
             join dunning.item i on i.document_id = ci.document_id and i.open > 0
           where c.account_id = any($1) and not ci.void and ci.rank is not null"#,
        accounts
    )
    .fetch_all(conn)
    .await?;
    let mut all: HashMap<Uuid, Vec<Sent>> = HashMap::new();
    for row in rows {
        all.entry(row.account_id).or_default().push(Sent {
            debtor: row.debtor,
            had: Had {
                document: row.document_id.into(),
                rank: row.rank,
                on: row.on,
            },
            unknown: row.unknown,
        });
    }
    Ok(all)
}

/// Shuts a way to one of them.
pub(crate) fn shut(debtors: &mut [Joint], debtor: &str, shut: &Shut) {
    use contracts::dunning::Channel;
    let Some(one) = debtors.iter_mut().find(|one| one.debtor_ref == debtor) else {
        return;
    };
    if shut.state == ReachState::OptedOut {
        one.opted_out.push(shut.channel);
        return;
    }
    match address(shut.channel) {
        Channel::Email => one.email = None,
        Channel::Phone => one.phone = None,
        Channel::Letter | Channel::Visit => one.address = None,
    }
}

/// What is locked of a joint debtor.
pub(crate) fn lock_of(debtor: &str) -> String {
    format!("joint {debtor}")
}

/// What is locked for each account that several owe: nobody else contacts one of
/// them meanwhile, on whichever account.
pub(crate) async fn locks_of(
    conn: &mut PgConnection,
    accounts: &[Uuid],
) -> Result<HashMap<Uuid, Vec<String>>, Failure> {
    let all = refs_of(conn, accounts).await?;
    let locks = |(account, refs): (Uuid, Vec<String>)| {
        let locks = refs.iter().map(|debtor| lock_of(debtor)).collect();
        (account, locks)
    };
    Ok(all.into_iter().map(locks).collect())
}

/// The addresses of one of the debtors of an account; nothing if they owe it not.
pub(crate) async fn addresses(
    conn: &mut PgConnection,
    account: AccountId,
    debtor: &str,
) -> Result<Option<Addresses>, Failure> {
    Ok(sqlx::query_as!(
        Addresses,
        "select d.email, d.phone, case when d.erased_at is null then coalesce(d.address, a.address) end as address
         from dunning.debtor d join dunning.account a using (account_id)
         where d.account_id = $1 and d.debtor_ref = $2",
        account.as_uuid(),
        debtor
    )
    .fetch_optional(conn)
    .await?)
}

/// Other accounts that name a debtor, with how people call them.
pub(crate) async fn others(
    conn: &mut PgConnection,
    account: AccountId,
    debtor: &str,
) -> Result<Vec<(AccountId, String)>, Failure> {
    let rows = sqlx::query!(
        "select d.account_id, a.account_ref from dunning.debtor d join dunning.account a using (account_id)
         where d.debtor_ref = $2 and d.account_id <> $1 order by d.account_id limit $3",
        account.as_uuid(),
        debtor,
        OTHERS_MAX
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.account_id.into(), row.account_ref))
        .collect())
}

/// One of those who owe an account, as people see it.
pub(crate) struct Seen {
    pub(crate) debtor_ref: String,
    pub(crate) name: String,
    pub(crate) ways: Vec<ContactWay>,
    pub(crate) erased: bool,
}

/// Those who owe accounts together, each with their ways.
pub(crate) async fn seen(
    conn: &mut PgConnection,
    accounts: &[Uuid],
) -> Result<HashMap<Uuid, Vec<Seen>>, Failure> {
    let rows = sqlx::query!(
        r#"select d.account_id, d.debtor_ref, d.name, d.email is not null as "email!", d.phone is not null as "phone!",
             (d.erased_at is null and coalesce(d.address, a.address) is not null) as "address!",
             d.erased_at is not null as "erased!"
           from dunning.debtor d join dunning.account a using (account_id)
           where d.account_id = any($1) order by d.account_id, d.place, d.debtor_ref"#,
        accounts
    )
    .fetch_all(&mut *conn)
    .await?;
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let mut shuts = super::ways::of_debtors(conn, accounts).await?;
    let mut all: HashMap<Uuid, Vec<Seen>> = HashMap::new();
    for row in rows {
        let known = Known {
            email: row.email,
            address: row.address,
            phone: row.phone,
        };
        let shut = shuts
            .remove(&(row.account_id, row.debtor_ref.clone()))
            .unwrap_or_default();
        all.entry(row.account_id).or_default().push(Seen {
            debtor_ref: row.debtor_ref,
            name: row.name,
            ways: reach::ways(known, &shut),
            erased: row.erased,
        });
    }
    Ok(all)
}

/// Erases what was said with one of them, and how they are called and reached once
/// nothing is owed on the account: how many notes, and whether the details too.
pub(crate) async fn erase(
    conn: &mut PgConnection,
    account: AccountId,
    debtor: &str,
    now: DateTime<Utc>,
) -> Result<(u64, bool), Failure> {
    let notes = sqlx::query!(
        "update dunning.contact_note n set note = null, erased_at = $3 from dunning.contact c
         where c.contact_id = n.contact_id and n.account_id = $1 and c.debtor_ref = $2 and n.note is not null",
        account.as_uuid(),
        debtor,
        now
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    let details = sqlx::query!(
        "update dunning.debtor set name = 'erased', email = null, phone = null, address = null, erased_at = $3
         where account_id = $1 and debtor_ref = $2
           and not exists (select from dunning.item i where i.account_id = $1 and i.open > 0)",
        account.as_uuid(),
        debtor,
        now
    )
    .execute(&mut *conn)
    .await?
    .rows_affected()
        > 0;
    if details {
        sqlx::query!(
            "update dunning.contact set address = null where account_id = $1 and debtor_ref = $2",
            account.as_uuid(),
            debtor
        )
        .execute(&mut *conn)
        .await?;
        sqlx::query!(
            "delete from dunning.way where account_id = $1 and debtor_ref = $2",
            account.as_uuid(),
            debtor
        )
        .execute(conn)
        .await?;
    }
    Ok((notes, details))
}

/// Says what became of accounts of runs to whose debtors several contacts went, each
/// with what is to be noted: claimed while one is; sent when one was; else failed.
pub(crate) async fn settle(
    conn: &mut PgConnection,
    all: &[(Uuid, Uuid, Option<String>)],
) -> Result<(), Failure> {
    if all.is_empty() {
        return Ok(());
    }
    let mut of: BTreeMap<(Uuid, Uuid), Option<String>> = BTreeMap::new();
    for (run, account, note) in all {
        let known = of.entry((*run, *account)).or_default();
        *known = note.clone().or(known.take());
    }
    let runs: Vec<Uuid> = of.keys().map(|(run, _)| *run).collect();
    let accounts: Vec<Uuid> = of.keys().map(|(_, account)| *account).collect();
    let notes: Vec<Option<String>> = of.into_values().collect();
    sqlx::query!(
        "update dunning.run_account ra set note = coalesce(s.note, ra.note), state = case
             when s.claimed then 'claimed' when s.reached then 'sent' else 'failed' end
         from (select u.run_id, u.account_id, u.note, bool_or(c.state = 'claimed') as claimed,
                 bool_or(c.state not in ('claimed', 'failed', 'bounced', 'gone_away', 'unknown')) as reached
               from unnest($1::uuid[], $2::uuid[], $3::text[]) u (run_id, account_id, note)
                 join dunning.contact c on c.run_id = u.run_id and c.account_id = u.account_id
               group by u.run_id, u.account_id, u.note) s
         where ra.run_id = s.run_id and ra.account_id = s.account_id",
        &runs,
        &accounts,
        &notes as &[Option<String>]
    )
    .execute(conn)
    .await?;
    Ok(())
}
