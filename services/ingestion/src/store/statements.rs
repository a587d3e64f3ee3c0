use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{api::ingestion::StatementView, ingestion::StatementRecorded};
use kernel::{Currency, ImportId, Money, StatementId};
use messaging::{Failure, Tx};
use rust_decimal::Decimal;
use sqlx::{PgPool, query, query_as, types::Json};
use uuid::Uuid;

use super::{column, or_lost_race};
use crate::domain::{chain::Link, file::NewStatement};

/// A recorded statement.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    statement_id: Uuid,
    version: i64,
    import_id: Uuid,
    bank_account: String,
    bank_statement_id: String,
    currency: Option<String>,
    sequence: Option<i64>,
    page: i32,
    first_day: Option<NaiveDate>,
    closes_on: Option<NaiveDate>,
    opening: Option<Decimal>,
    closing: Option<Decimal>,
    ties: Option<bool>,
    continues: Option<bool>,
    lines: i32,
    duplicate_lines: i32,
    problems: Json<Vec<String>>,
    gaps: Json<Vec<String>>,
}

impl Row {
    pub(crate) fn id(&self) -> StatementId {
        self.statement_id.into()
    }

    pub(crate) fn version(&self) -> i64 {
        self.version
    }

    pub(crate) fn came_with(&self, import_id: ImportId) -> bool {
        self.import_id == import_id.as_uuid()
    }

    /// What its row of statements has in common.
    pub(crate) fn chain(&self) -> (&str, Option<&str>) {
        (&self.bank_account, self.currency.as_deref())
    }

    fn money(&self, amount: Option<Decimal>) -> Result<Option<Money>, Failure> {
        let (Some(amount), Some(currency)) = (amount, &self.currency) else {
            return Ok(None);
        };
        Currency::parse(currency)
            .and_then(|currency| Money::try_new(amount, currency))
            .map(Some)
            .map_err(Failure::of)
    }

    pub(crate) fn link(&self) -> Result<Link, Failure> {
        Ok(Link {
            statement_id: self.id(),
            sequence: self.sequence,
            page: self.page,
            first_day: self.first_day,
            closes_on: self.closes_on,
            opening: self.money(self.opening)?,
            closing: self.money(self.closing)?,
            continues: self.continues,
            gaps: self.gaps.0.clone(),
        })
    }

    /// Takes over a new judgement of its place in the row; a statement that was
    /// told before is told again.
    pub(crate) fn judged(&mut self, link: &Link, by: ImportId) {
        self.continues = link.continues;
        self.gaps = Json(link.gaps.clone());
        if !self.came_with(by) {
            self.version += 1;
        }
    }

    pub(crate) fn view(&self) -> Result<StatementView, Failure> {
        Ok(StatementView {
            statement_id: self.id(),
            bank_account: self.bank_account.clone(),
            bank_statement_id: self.bank_statement_id.clone(),
            closes_on: self.closes_on,
            opening: self.money(self.opening)?,
            closing: self.money(self.closing)?,
            ties: self.ties,
            continues: self.continues,
            lines: self.lines,
            duplicate_lines: self.duplicate_lines,
            problems: self
                .problems
                .0
                .iter()
                .chain(&self.gaps.0)
                .cloned()
                .collect(),
        })
    }

    pub(crate) fn fact(
        &self,
        actor: &str,
        recorded_at: DateTime<Utc>,
    ) -> Result<StatementRecorded, Failure> {
        let view = self.view()?;
        Ok(StatementRecorded {
            statement_id: view.statement_id,
            import_id: self.import_id.into(),
            bank_account: view.bank_account,
            bank_statement_id: view.bank_statement_id,
            closes_on: view.closes_on,
            opening: view.opening,
            closing: view.closing,
            ties: view.ties,
            continues: view.continues,
            lines: view.lines,
            duplicate_lines: view.duplicate_lines,
            problems: view.problems,
            recorded_at,
            actor: actor.to_owned(),
        })
    }
}

/// Locks our bank accounts, in the order of their keys: two files of one account
/// are recorded one after the other, so that each sees the other's statements.
pub(crate) async fn lock_bank_accounts(
    tx: &mut Tx,
    keys: &BTreeSet<String>,
) -> Result<(), Failure> {
    let keys: Vec<String> = keys.iter().cloned().collect();
    query!(
        "select bank_account from ingestion.bank_account where bank_account = any($1)
         order by bank_account for update",
        &keys
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(())
}

pub(crate) async fn record(
    tx: &mut Tx,
    rows: &[NewStatement],
    import_id: ImportId,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    query!(
        "update ingestion.statement set current = false
         where current and statement_key = any($1)",
        &column(rows, |r| r.key.clone())
    )
    .execute(tx.conn())
    .await?;
    query!(
        "insert into ingestion.statement (statement_id, statement_key, current, bank_account,
             bank_statement_id, currency, sequence, page, ordered_on, first_day, closes_on,
             opening, closing, ties, lines, duplicate_lines, problems, import_id, recorded_at)
         select n.*, $18, $19
         from unnest($1::uuid[], $2::text[], $3::bool[], $4::text[], $5::text[], $6::text[],
             $7::bigint[], $8::int[], $9::date[], $10::date[], $11::date[], $12::numeric[],
             $13::numeric[], $14::bool[], $15::int[], $16::int[], $17::jsonb[]) n",
        &column(rows, |r| r.statement_id.as_uuid()),
        &column(rows, |r| r.key.as_str()) as _,
        &column(rows, |r| !r.superseded),
        &column(rows, |r| r.bank_account.as_str()) as _,
        &column(rows, |r| r.bank_statement_id.as_str()) as _,
        &column(rows, |r| r.currency.map(Currency::code)) as _,
        &column(rows, |r| r.sequence) as _,
        &column(rows, |r| r.page),
        &column(rows, |r| r.ordered_on),
        &column(rows, |r| r.first_day) as _,
        &column(rows, |r| r.closes_on) as _,
        &column(rows, |r| r.opening.map(Money::amount)) as _,
        &column(rows, |r| r.closing.map(Money::amount)) as _,
        &column(rows, |r| r.ties) as _,
        &column(rows, |r| r.lines),
        &column(rows, |r| r.duplicate_lines),
        &column(rows, |r| Json(&r.problems)) as _,
        import_id.as_uuid(),
        now,
    )
    .execute(tx.conn())
    .await
    .map_err(or_lost_race)?;
    Ok(())
}

/// All current statements of these accounts, each account's and currency's in
/// its order.
pub(crate) async fn of_accounts(
    tx: &mut Tx,
    bank_accounts: &BTreeSet<String>,
) -> Result<Vec<Row>, Failure> {
    let keys: Vec<String> = bank_accounts.iter().cloned().collect();
    Ok(query_as!(
        Row,
        r#"select statement_id, version, import_id, bank_account, bank_statement_id, currency,
             sequence, page, first_day, closes_on, opening, closing, ties, continues, lines,
             duplicate_lines, problems as "problems: _", gaps as "gaps: _"
         from ingestion.statement where current and bank_account = any($1)
         order by bank_account, currency, ordered_on, sequence nulls first, page, statement_id"#,
        &keys
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Statements that an import brought and that a later file has told again.
pub(crate) async fn superseded_of(tx: &mut Tx, import_id: ImportId) -> Result<Vec<Row>, Failure> {
    Ok(query_as!(
        Row,
        r#"select statement_id, version, import_id, bank_account, bank_statement_id, currency,
             sequence, page, first_day, closes_on, opening, closing, ties, continues, lines,
             duplicate_lines, problems as "problems: _", gaps as "gaps: _"
         from ingestion.statement where import_id = $1 and not current"#,
        import_id.as_uuid()
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Writes what the row of statements shows about these.
pub(crate) async fn update_judgements(tx: &mut Tx, rows: &[&Row]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    query!(
        "update ingestion.statement s
         set continues = n.continues, gaps = n.gaps, version = n.version
         from unnest($1::uuid[], $2::bool[], $3::jsonb[], $4::bigint[])
             n (statement_id, continues, gaps, version)
         where s.statement_id = n.statement_id",
        &column(rows, |r| r.statement_id),
        &column(rows, |r| r.continues) as _,
        &column(rows, |r| r.gaps.clone()) as _,
        &column(rows, |r| r.version),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The statements that imports brought, by import.
pub(crate) async fn of_imports(
    pool: &PgPool,
    imports: &[Uuid],
) -> Result<HashMap<Uuid, Vec<StatementView>>, Failure> {
    let rows = query_as!(
        Row,
        r#"select statement_id, version, import_id, bank_account, bank_statement_id, currency,
             sequence, page, first_day, closes_on, opening, closing, ties, continues, lines,
             duplicate_lines, problems as "problems: _", gaps as "gaps: _"
         from ingestion.statement where import_id = any($1)
         order by bank_account, currency, ordered_on, sequence nulls first, page, statement_id"#,
        imports
    )
    .fetch_all(pool)
    .await?;
    let mut found: HashMap<Uuid, Vec<StatementView>> = HashMap::new();
    for row in rows {
        found.entry(row.import_id).or_default().push(row.view()?);
    }
    Ok(found)
}
