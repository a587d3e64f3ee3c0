use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::direct_debits::{ListMandates, MandateStep as Step},
    ingestion::{MandateId, MandateState},
};
use kernel::ImportId;
use messaging::{Failure, Tx};
use sqlx::{PgConnection, query};
use uuid::Uuid;

use super::{column, or_lost_race};
use crate::domain::{
    mandate::{
        Due, Mandate,
        advice::{Advice, Kind},
        reference,
    },
    record::Known,
};

struct Row {
    mandate_id: Uuid,
    version: i64,
    reference: String,
    account_id: Uuid,
    account_ref: String,
    payer_name: String,
    payer_account: String,
    signed_on: NaiveDate,
    paperless: bool,
    state: String,
    reason: String,
    to_do: Option<String>,
    due: Option<String>,
    lodged_for: Option<NaiveDate>,
    first_sent: bool,
    last_used_on: Option<NaiveDate>,
    reinstated_on: Option<NaiveDate>,
    content: String,
    changed_at: DateTime<Utc>,
}

impl Row {
    fn mandate(self) -> Result<Mandate, Failure> {
        let state = MandateState::named(&self.state)
            .ok_or_else(|| Failure::bug("ingestion.stored_state", "a stored state is not known"))?;
        Ok(Mandate {
            id: self.mandate_id.into(),
            version: self.version,
            reference: self.reference,
            account_id: self.account_id.into(),
            account_ref: self.account_ref,
            payer_name: self.payer_name,
            payer_account: self.payer_account,
            signed_on: self.signed_on,
            paperless: self.paperless,
            state,
            reason: self.reason,
            to_do: self.to_do,
            due: self.due.as_deref().and_then(Due::of_code),
            lodged_for: self.lodged_for,
            first_sent: self.first_sent,
            last_used_on: self.last_used_on,
            reinstated_on: self.reinstated_on,
            content: self.content,
        })
    }
}

fn all(rows: Vec<Row>) -> Result<Vec<Mandate>, Failure> {
    rows.into_iter().map(Row::mandate).collect()
}

/// Which mandates are locked.
pub(crate) enum Which<'a> {
    Ids(&'a [MandateId]),
    /// Those of accounts that may be collected from.
    OfAccounts(&'a [Uuid]),
    /// Those whose instruction is due.
    Due,
}

/// Locks mandates, in the order of their references.
pub(crate) async fn lock(tx: &mut Tx, which: Which<'_>) -> Result<Vec<Mandate>, Failure> {
    let (mut ids, mut accounts, mut due) = (Vec::new(), Vec::new(), false);
    match which {
        Which::Ids(of) => ids = of.iter().map(|id| id.as_uuid()).collect(),
        Which::OfAccounts(of) => accounts = of.to_vec(),
        Which::Due => due = true,
    }
    let rows = sqlx::query_as!(
        Row,
        "select mandate_id, version, reference, account_id, account_ref, payer_name, payer_account, signed_on,
             paperless, state, reason, to_do, due, lodged_for, first_sent, last_used_on, reinstated_on, content,
             changed_at
         from ingestion.mandate
         where mandate_id = any($1) or account_id = any($2) or ($3 and due is not null)
         order by reference for update",
        &ids,
        &accounts,
        due
    )
    .fetch_all(tx.conn())
    .await?;
    all(rows)
}

/// Mandates that time may have changed by `today`: those that wait for the banks,
/// and those that were not used for a year at least.
pub(crate) async fn aging(
    conn: &mut PgConnection,
    today: NaiveDate,
) -> Result<Vec<MandateId>, Failure> {
    let rows = sqlx::query_scalar!(
        "select mandate_id from ingestion.mandate
         where (state = 'lodged' and lodged_for < $1)
             or (state = 'active' and coalesce(greatest(last_used_on, lodged_for), signed_on) < $1 - 365)
         limit 5000",
        today
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(MandateId::from).collect())
}

/// Loads the mandates of these references, and all on these accounts, locked.
pub(crate) async fn load(
    tx: &mut Tx,
    references: BTreeSet<&str>,
    payer_accounts: BTreeSet<&str>,
    known: &mut Known,
) -> Result<(), Failure> {
    if references.is_empty() {
        return Ok(());
    }
    take_turn(tx, Turn::Tell).await?;
    let references: Vec<String> = references.into_iter().map(str::to_owned).collect();
    let accounts: Vec<String> = payer_accounts.into_iter().map(str::to_owned).collect();
    let rows = sqlx::query_as!(
        Row,
        "select mandate_id, version, reference, account_id, account_ref, payer_name, payer_account, signed_on,
             paperless, state, reason, to_do, due, lodged_for, first_sent, last_used_on, reinstated_on, content,
             changed_at
         from ingestion.mandate where reference = any($1) or payer_account = any($2)
         order by reference for update",
        &references,
        &accounts
    )
    .fetch_all(tx.conn())
    .await?;
    for mandate in all(rows)? {
        known.know_mandate(mandate);
    }
    Ok(())
}

/// Writes a mandate that is new or changed, and its step.
pub(crate) async fn put(
    tx: &mut Tx,
    mandate: &Mandate,
    actor: &str,
    because_of: Uuid,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let written = query!(
        "insert into ingestion.mandate (mandate_id, version, reference, account_id, account_ref, payer_name,
             payer_account, signed_on, paperless, state, reason, to_do, due, lodged_for, first_sent, last_used_on,
             reinstated_on, content, changed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
         on conflict (reference) do update set version = excluded.version, account_id = excluded.account_id,
             account_ref = excluded.account_ref, payer_name = excluded.payer_name,
             payer_account = excluded.payer_account, signed_on = excluded.signed_on,
             paperless = excluded.paperless, state = excluded.state, reason = excluded.reason,
             to_do = excluded.to_do, due = excluded.due, lodged_for = excluded.lodged_for,
             first_sent = excluded.first_sent, last_used_on = excluded.last_used_on,
             reinstated_on = excluded.reinstated_on, content = excluded.content, changed_at = excluded.changed_at
         where mandate.mandate_id = excluded.mandate_id",
        mandate.id.as_uuid(),
        mandate.version,
        mandate.reference,
        mandate.account_id.as_uuid(),
        mandate.account_ref,
        mandate.payer_name,
        mandate.payer_account,
        mandate.signed_on,
        mandate.paperless,
        mandate.state.name(),
        mandate.reason,
        mandate.to_do,
        mandate.due.map(Due::code),
        mandate.lodged_for,
        mandate.first_sent,
        mandate.last_used_on,
        mandate.reinstated_on,
        mandate.content,
        now
    )
    .execute(tx.conn())
    .await
    .map_err(or_lost_race)?;
    if written.rows_affected() == 0 {
        return Err(Failure::conflict(
            "ingestion.lost_race",
            "the same was recorded meanwhile",
        ));
    }
    query!(
        "insert into ingestion.mandate_step (mandate_id, version, state, reason, to_do, payer_account, actor,
             because_of, recorded_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        mandate.id.as_uuid(),
        mandate.version,
        mandate.state.name(),
        mandate.reason,
        mandate.to_do,
        mandate.payer_account,
        actor,
        because_of,
        now
    )
    .execute(tx.conn())
    .await
    .map_err(or_lost_race)?;
    Ok(())
}

/// Who does what to mandates and to what is said of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Tells of mandates; several may at once.
    Tell,
    /// Hears reports. Nobody tells meanwhile: a report that sees no mandate and a
    /// mandate that sees no report would miss each other.
    Hear,
}

/// Waits for its turn, until the end of the transaction. Taken before any mandate
/// is locked.
pub(crate) async fn take_turn(tx: &mut Tx, turn: Turn) -> Result<(), Failure> {
    query!(
        "select case when $1 then pg_advisory_xact_lock(hashtextextended('mandates', 0))
             else pg_advisory_xact_lock_shared(hashtextextended('mandates', 0)) end",
        turn == Turn::Hear
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(())
}

/// For each advice, the mandates that it may be about: of its reference, else of
/// the longest reference that its own begins with; of a whole file those in it.
pub(crate) async fn named(
    tx: &mut Tx,
    advices: &[Advice],
) -> Result<Vec<(usize, MandateId)>, Failure> {
    let (mut places, mut beginnings) = (Vec::new(), Vec::new());
    for (at, advice) in (1_i64..).zip(advices) {
        for beginning in reference::beginnings(advice.reference.trim()) {
            places.push(at);
            beginnings.push(beginning.to_owned());
        }
    }
    let references: Vec<String> = column(advices, |a| a.reference.trim().to_owned());
    let rows = query!(
        r#"select m.at as "at!", m.mandate_id as "mandate_id!"
           from (
               (select distinct on (b.at) b.at, known.mandate_id
                from unnest($1::bigint[], $2::text[]) b(at, beginning)
                join ingestion.mandate known on known.reference = b.beginning
                order by b.at, length(b.beginning) desc)
               union
               select n.at, i.mandate_id from unnest($3::text[]) with ordinality n(reference, at)
               join ingestion.bacs_file f on f.serial = n.reference and f.void is null
               join ingestion.bacs_file_instruction i using (file_id)
           ) m
           order by m.at"#,
        &places,
        &beginnings,
        &references
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let at = usize::try_from(row.at).ok()?.checked_sub(1)?;
            Some((at, row.mandate_id.into()))
        })
        .collect())
}

/// Notes an advice that is new.
pub(crate) async fn note_advice(
    tx: &mut Tx,
    advice: &Advice,
    import_id: ImportId,
    mandate: Option<MandateId>,
    outcome: &str,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    query!(
        "insert into ingestion.mandate_advice (advice_key, kind, code, reference, mandate_id, effective_on,
             reported_on, outcome, recorded_at, user_number, payer_name, new_payer_account, import_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        advice.key(),
        advice.kind.name(),
        advice.code.trim(),
        advice.reference.trim(),
        mandate.map(MandateId::as_uuid),
        advice.effective_on,
        advice.reported_on,
        outcome,
        now,
        advice.user_number,
        advice.payer_name,
        advice.new_payer_account,
        import_id.as_uuid()
    )
    .execute(tx.conn())
    .await
    .map_err(or_lost_race)?;
    Ok(())
}

/// What reports said of these references while nobody knew them, with the files
/// that said it: the oldest report first, those of a day as they came.
pub(crate) async fn unheard(
    tx: &mut Tx,
    references: &[String],
) -> Result<Vec<(Advice, Option<Uuid>)>, Failure> {
    let rows = query!(
        r#"select distinct a.reported_on, a.arrival, a.kind, a.code, a.reference, a.effective_on, a.user_number,
             a.payer_name, a.new_payer_account, a.import_id
           from unnest($1::text[]) r(reference)
           join ingestion.mandate_advice a on a.mandate_id is null
               and a.reference collate "C" >= r.reference
               and a.reference collate "C" < r.reference || chr(1114111)
           where not exists (select from ingestion.mandate_advice_later l where l.advice_key = a.advice_key)
           order by a.reported_on, a.arrival"#,
        references
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            let kind = Kind::named(&row.kind).ok_or_else(|| {
                Failure::bug("ingestion.stored_advice", "a stored advice is not known")
            })?;
            let advice = Advice {
                kind,
                user_number: row.user_number,
                reference: row.reference,
                code: row.code,
                payer_name: row.payer_name,
                // It is in the report; nothing is decided by it.
                payer_account: None,
                new_payer_account: row.new_payer_account,
                effective_on: row.effective_on,
                reported_on: row.reported_on,
            };
            Ok((advice, row.import_id))
        })
        .collect()
}

/// Notes that an advice about nobody turned out to be about this mandate, once.
pub(crate) async fn note_later(
    tx: &mut Tx,
    advice: &Advice,
    mandate: MandateId,
    outcome: &str,
    because_of: Uuid,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    query!(
        "insert into ingestion.mandate_advice_later (advice_key, mandate_id, outcome, because_of, recorded_at)
         values ($1, $2, $3, $4, $5)",
        advice.key(),
        mandate.as_uuid(),
        outcome,
        because_of,
        now
    )
    .execute(tx.conn())
    .await
    .map_err(or_lost_race)?;
    Ok(())
}

/// Of these keys, those that were noted before.
pub(crate) async fn noted(tx: &mut Tx, keys: &[String]) -> Result<BTreeSet<String>, Failure> {
    let rows = sqlx::query_scalar!(
        "select advice_key from ingestion.mandate_advice where advice_key = any($1)",
        keys
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().collect())
}

/// Mandates with the moment of their last change, by account and reference.
pub(crate) async fn list(
    conn: &mut PgConnection,
    ask: &ListMandates,
    after: Option<(&str, &str)>,
    rows: i64,
) -> Result<Vec<(Mandate, DateTime<Utc>)>, Failure> {
    let (account_ref, reference) = after.unzip();
    let found = sqlx::query_as!(
        Row,
        "select mandate_id, version, reference, account_id, account_ref, payer_name, payer_account, signed_on,
             paperless, state, reason, to_do, due, lodged_for, first_sent, last_used_on, reinstated_on, content,
             changed_at
         from ingestion.mandate
         where ($1::text is null or state = $1) and ($2::uuid is null or account_id = $2)
             and ($3::text is null or (account_ref, reference) > ($3, $4))
         order by account_ref, reference limit $5",
        ask.state.map(MandateState::name),
        ask.account_id.map(kernel::AccountId::as_uuid),
        account_ref,
        reference,
        rows
    )
    .fetch_all(conn)
    .await?;
    found
        .into_iter()
        .map(|row| {
            let at = row.changed_at;
            Ok((row.mandate()?, at))
        })
        .collect()
}

pub(crate) async fn get(
    conn: &mut PgConnection,
    id: MandateId,
) -> Result<Option<(Mandate, DateTime<Utc>)>, Failure> {
    let row = sqlx::query_as!(
        Row,
        "select mandate_id, version, reference, account_id, account_ref, payer_name, payer_account, signed_on,
             paperless, state, reason, to_do, due, lodged_for, first_sent, last_used_on, reinstated_on, content,
             changed_at
         from ingestion.mandate where mandate_id = $1",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let at = row.changed_at;
        Ok((row.mandate()?, at))
    })
    .transpose()
}

pub(crate) async fn history(conn: &mut PgConnection, id: MandateId) -> Result<Vec<Step>, Failure> {
    let rows = query!(
        "select version, state, reason, actor, recorded_at from ingestion.mandate_step
         where mandate_id = $1 order by version limit 500",
        id.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Step {
                version: row.version,
                state: MandateState::named(&row.state).ok_or_else(|| {
                    Failure::bug("ingestion.stored_state", "a stored state is not known")
                })?,
                reason: row.reason,
                actor: row.actor,
                at: row.recorded_at,
            })
        })
        .collect()
}
