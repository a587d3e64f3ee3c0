//! The accounts of a run.

use contracts::{
    api::dunning::RunAccountState,
    dunning::{Channel, ChaseReason, RunId},
};
use kernel::{AccountId, Money};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{super::known, Range};
use crate::{
    domain::run::{Freezer, Frozen, Line, shown},
    store::money,
};

/// An array as Postgres reads it; of plain words only.
fn literal(words: impl Iterator<Item = String>) -> String {
    let mut text = String::from("{");
    for (n, word) in words.enumerate() {
        if n > 0 {
            text.push(',');
        }
        text.push_str(&word);
    }
    text.push('}');
    text
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
    fn of<T>(lines: &[Line], get: impl Fn(&Line) -> T) -> Vec<T> {
        lines.iter().map(get).collect()
    }
    fn each(lines: &[Line], get: impl Fn(&crate::domain::chase::Verdict) -> String) -> Vec<String> {
        of(lines, |line| literal(line.verdicts.iter().map(&get)))
    }
    let rank = |rank: Option<i16>| rank.map_or_else(|| "NULL".to_owned(), |rank| rank.to_string());
    let amounts: Result<Vec<String>, _> = lines
        .iter()
        .map(|line| {
            serde_json::to_string(line.contact.as_ref().map_or(&[][..], |c| &c.amounts[..]))
        })
        .collect();
    // Arrays of arrays do not go through `unnest`: the inner ones are literals.
    sqlx::query!(
        r#"insert into dunning.run_account (run_id, account_id, account_ref, state, policy, policy_version, stage, rank,
             template, channel, amounts, documents, reasons, ranks_from, ranks_to, chaseable, currencies, opens, excluded,
             in_name_of)
           select $1, l.account_id, l.account_ref, l.state, l.policy, l.policy_version, l.stage, l.rank, l.template,
             l.channel, l.amounts::jsonb, l.documents::uuid[], l.reasons::text[], l.ranks_from::smallint[],
             l.ranks_to::smallint[], l.chaseable::numeric[], l.currencies::text[], l.opens::numeric[], l.excluded,
             l.in_name_of
           from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::text[], $8::smallint[],
             $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[],
             $17::text[], $18::text[], $19::text[], $20::text[])
             as l(account_id, account_ref, state, policy, policy_version, stage, rank, template, channel, amounts,
               documents, reasons, ranks_from, ranks_to, chaseable, currencies, opens, excluded, in_name_of)"#,
        run.as_uuid(),
        &of(lines, |l| l.account.as_uuid()),
        &of(lines, |l| l.account_ref.clone()),
        &of(lines, |l| l.state().name().to_owned()),
        &of(lines, |l| l.policy.as_ref().map(|(p, _)| p.clone())) as &[Option<String>],
        &of(lines, |l| l.policy.as_ref().map(|(_, v)| *v)) as &[Option<i32>],
        &of(lines, |l| l.contact.as_ref().map(|c| c.stage.clone())) as &[Option<String>],
        &of(lines, Line::rank) as &[Option<i16>],
        &of(lines, |l| l.contact.as_ref().map(|c| c.template.clone())) as &[Option<String>],
        &of(lines, |l| l.contact.as_ref().map(|c| c.channel.name().to_owned())) as &[Option<String>],
        &amounts?,
        &each(lines, |v| v.document.to_string()),
        &each(lines, |v| v.reason.name().to_owned()),
        &each(lines, |v| rank(v.from)),
        &each(lines, |v| rank(v.to)),
        &each(lines, |v| v.chaseable.amount().to_string()),
        &each(lines, |v| v.chaseable.currency().code().to_owned()),
        &of(lines, |l| literal(l.opens().iter().map(|open| open.amount().to_string()))),
        &of(lines, |l| l.excluded().map(|why| why.name().to_owned())) as &[Option<String>],
        &of(lines, |l| l.in_name_of().map(str::to_owned)) as &[Option<String>],
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
