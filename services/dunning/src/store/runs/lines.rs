//! The accounts of a run.

use contracts::{
    api::dunning::RunAccountState,
    dunning::{Channel, ChaseReason, RunId, StatementExclusion},
};
use kernel::{AccountId, Money};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::{
    PgConnection, Postgres, Type,
    postgres::{PgHasArrayType, PgTypeInfo},
    types::Json,
};
use uuid::Uuid;

use super::{super::known, Range};
use crate::{
    domain::{
        chase::Verdict,
        run::{Freezer, Frozen, Line, shown},
    },
    store::money,
};

/// What is written of an account (`dunning.run_line`): its fields in their order.
#[derive(sqlx::Encode)]
struct Written<'l> {
    account_id: Uuid,
    account_ref: &'l str,
    state: &'static str,
    policy: Option<&'l str>,
    policy_version: Option<i32>,
    stage: Option<&'l str>,
    rank: Option<i16>,
    template: Option<&'l str>,
    channel: Option<&'static str>,
    amounts: Json<&'l [Money]>,
    documents: Vec<Uuid>,
    reasons: Vec<&'static str>,
    ranks_from: Vec<Option<i16>>,
    ranks_to: Vec<Option<i16>>,
    chaseable: Vec<Decimal>,
    currencies: Vec<&'static str>,
    opens: Vec<Decimal>,
    excluded: Option<&'static str>,
    in_name_of: Option<&'l str>,
}

impl Type<Postgres> for Written<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("dunning.run_line")
    }
}

impl PgHasArrayType for Written<'_> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::array_of("dunning.run_line")
    }
}

impl<'l> From<&'l Line> for Written<'l> {
    fn from(line: &'l Line) -> Self {
        fn each<'v, T>(line: &'v Line, get: impl Fn(&'v Verdict) -> T) -> Vec<T> {
            line.verdicts.iter().map(get).collect()
        }
        let contact = line.contact.as_ref();
        Self {
            account_id: line.account.as_uuid(),
            account_ref: &line.account_ref,
            state: line.state().name(),
            policy: line.policy.as_ref().map(|(policy, _)| policy.as_str()),
            policy_version: line.policy.as_ref().map(|(_, version)| *version),
            stage: contact.map(|contact| contact.stage.as_str()),
            rank: line.rank(),
            template: contact.map(|contact| contact.template.as_str()),
            channel: contact.map(|contact| contact.channel.name()),
            amounts: Json(contact.map_or(&[], |contact| &contact.amounts)),
            documents: each(line, |one| one.document.as_uuid()),
            reasons: each(line, |one| one.reason.name()),
            ranks_from: each(line, |one| one.from),
            ranks_to: each(line, |one| one.to),
            chaseable: each(line, |one| one.chaseable.amount()),
            currencies: each(line, |one| one.chaseable.currency().code()),
            opens: line.opens().iter().map(|open| open.amount()).collect(),
            excluded: line.excluded().map(StatementExclusion::name),
            in_name_of: line.in_name_of(),
        }
    }
}

/// Writes what a range proposes: one statement.
pub(crate) async fn put_lines(
    conn: &mut PgConnection,
    run: RunId,
    lines: &[Line],
) -> Result<(), Failure> {
    if lines.is_empty() {
        return Ok(());
    }
    let lines: Vec<Written<'_>> = lines.iter().map(Written::from).collect();
    sqlx::query!(
        "insert into dunning.run_account (run_id, account_id, account_ref, state, policy, policy_version, stage, rank,
           template, channel, amounts, documents, reasons, ranks_from, ranks_to, chaseable, currencies, opens, excluded,
           in_name_of)
         select $1, l.account_id, l.account_ref, l.state, l.policy, l.policy_version, l.stage, l.rank, l.template,
           l.channel, l.amounts, l.documents, l.reasons, l.ranks_from, l.ranks_to, l.chaseable, l.currencies, l.opens,
           l.excluded, l.in_name_of
         from unnest($2::dunning.run_line[]) l",
        run.as_uuid(),
        &lines as &[Written<'_>]
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An account of a run, as far as it can be edited.
#[derive(Debug, Clone)]
pub(crate) struct Editable {
    pub(crate) account: AccountId,
    pub(crate) state: RunAccountState,
    pub(crate) stage: Option<String>,
    pub(crate) channel: Option<Channel>,
    pub(crate) template: Option<String>,
    pub(crate) sentence: Option<String>,
    pub(crate) note: Option<String>,
    items: Vec<(Uuid, ChaseReason, Option<i16>, Money)>,
    /// Of a statement only.
    opens: Vec<Money>,
    in_name_of: Option<String>,
}

struct Row {
    account_id: Uuid,
    state: String,
    stage: Option<String>,
    channel: Option<String>,
    template: Option<String>,
    sentence: Option<String>,
    note: Option<String>,
    documents: Vec<Uuid>,
    reasons: Vec<String>,
    ranks_to: Vec<Option<i16>>,
    chaseable: Vec<Decimal>,
    currencies: Vec<String>,
    opens: Vec<Decimal>,
    in_name_of: Option<String>,
}

fn editable(row: Row) -> Result<Editable, Failure> {
    let opens = row
        .opens
        .into_iter()
        .zip(&row.currencies)
        .map(|(open, currency)| money(open, currency))
        .collect::<Result<_, Failure>>()?;
    let items = row
        .documents
        .into_iter()
        .zip(row.reasons)
        .zip(row.ranks_to)
        .zip(row.chaseable)
        .zip(row.currencies)
        .map(|((((document, reason), rank), amount), currency)| {
            Ok((
                document,
                known(ChaseReason::named(&reason), &reason)?,
                rank,
                money(amount, &currency)?,
            ))
        })
        .collect::<Result<_, Failure>>()?;
    let channel = match row.channel {
        Some(name) => Some(known(Channel::named(&name), &name)?),
        None => None,
    };
    Ok(Editable {
        account: row.account_id.into(),
        state: known(RunAccountState::named(&row.state), &row.state)?,
        stage: row.stage,
        channel,
        template: row.template,
        sentence: row.sentence,
        note: row.note,
        items,
        opens,
        in_name_of: row.in_name_of,
    })
}

impl Editable {
    pub(crate) const fn is_statement(&self) -> bool {
        !self.opens.is_empty()
    }

    fn frozen(&self) -> Option<Frozen<'_>> {
        let (Some(stage), Some(channel), Some(template)) =
            (&self.stage, self.channel, &self.template)
        else {
            return None;
        };
        Some(Frozen {
            account: self.account,
            stage,
            channel,
            template,
            sentence: self.sentence.as_deref().unwrap_or_default(),
            in_name_of: self.in_name_of.as_deref(),
            items: if self.is_statement() {
                shown(
                    self.items
                        .iter()
                        .zip(&self.opens)
                        .map(|((document, _, _, due_now), open)| {
                            ((*document).into(), *open, *due_now)
                        }),
                )
            } else {
                self.items
                    .iter()
                    .filter(|(_, reason, ..)| crate::domain::chase::is_chased(*reason))
                    .map(|(document, _, rank, amount)| ((*document).into(), *rank, *amount))
                    .collect()
            },
        })
    }
}

/// An account of a run; locked.
pub(crate) async fn line(
    conn: &mut PgConnection,
    run: RunId,
    account: AccountId,
) -> Result<Option<Editable>, Failure> {
    let row = sqlx::query_as!(
        Row,
        r#"select account_id, state, stage, channel, template, sentence, note, documents, reasons,
             ranks_to as "ranks_to: Vec<Option<i16>>", chaseable as "chaseable: Vec<Decimal>", currencies,
             opens as "opens: Vec<Decimal>", in_name_of
           from dunning.run_account where run_id = $1 and account_id = $2 for update"#,
        run.as_uuid(),
        account.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(editable).transpose()
}

/// Writes an edit, and freezes its range anew: contacts and digest.
pub(crate) async fn edit(
    conn: &mut PgConnection,
    run: RunId,
    edited: &Editable,
    range: Range,
) -> Result<(i64, Vec<u8>), Failure> {
    sqlx::query!(
        "update dunning.run_account set state = $3, channel = $4, sentence = $5, note = $6
         where run_id = $1 and account_id = $2",
        run.as_uuid(),
        edited.account.as_uuid(),
        edited.state.name(),
        edited.channel.map(Channel::name),
        edited.sentence,
        edited.note
    )
    .execute(&mut *conn)
    .await?;
    let rows = sqlx::query_as!(
        Row,
        r#"select account_id, state, stage, channel, template, sentence, note, documents, reasons,
             ranks_to as "ranks_to: Vec<Option<i16>>", chaseable as "chaseable: Vec<Decimal>", currencies,
             opens as "opens: Vec<Decimal>", in_name_of
           from dunning.run_account
           where run_id = $1 and account_id between $2 and $3 and state = 'proposed' order by account_id"#,
        run.as_uuid(),
        range.from.as_uuid(),
        range.to.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    let mut freezer = Freezer::default();
    let mut contacts = 0;
    for row in rows {
        let line = editable(row)?;
        if let Some(frozen) = line.frozen() {
            freezer.add(&frozen);
            contacts += 1;
        }
    }
    Ok((contacts, freezer.digest()))
}

/// What was approved may be sent: a range of it.
pub(crate) async fn queue_range(
    conn: &mut PgConnection,
    run: RunId,
    range: Range,
) -> Result<(), Failure> {
    sqlx::query!(
        "update dunning.run_account set state = 'queued'
         where run_id = $1 and account_id between $2 and $3 and state = 'proposed'",
        run.as_uuid(),
        range.from.as_uuid(),
        range.to.as_uuid()
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "update dunning.run_range set queued = true where run_id = $1 and range = $2",
        run.as_uuid(),
        range.number
    )
    .execute(conn)
    .await?;
    Ok(())
}
