//! Statements: everything open; or, red, what is overdue and may be chased, with
//! what is left out and why.

use std::collections::BTreeMap;

use contracts::api::{
    Refusal,
    dunning::{AgeBand, GetStatement, Statement, StatementItem},
};
use kernel::{Currency, Money};
use messaging::{Bus, Failure};
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;

use super::standing::moment;
use crate::{
    domain::{chase, statement::BANDS},
    store,
};

pub(crate) async fn get_statement(ask: GetStatement, bus: Bus) -> Result<Statement, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(statement(tx.conn(), &bus, &ask).await?)
}

/// A statement of an account as it stands now.
pub(super) async fn statement(
    conn: &mut PgConnection,
    bus: &Bus,
    ask: &GetStatement,
) -> Result<Statement, Failure> {
    let moment = moment(conn, bus).await?;
    let who = store::statements::addressee(conn, ask.account_id)
        .await?
        .ok_or_else(|| {
            Failure::not_found(
                "dunning.no_account",
                format!("there is no account {}", ask.account_id),
            )
        })?;
    let mut open = store::statements::open(conn, ask.account_id, moment.today).await?;
    let policies = store::policies::all(conn).await?;
    let positions =
        store::positions::load(conn, store::accounts::Among::one(ask.account_id)).await?;
    if let Some(position) = positions.first() {
        let judgement = chase::judge(position, &policies, moment).map_err(Failure::of)?;
        for verdict in judgement.verdicts {
            if let Some(line) = open
                .iter_mut()
                .find(|line| line.document_id == verdict.document)
            {
                line.reason = Some(verdict.reason);
                line.chaseable = Some(verdict.chaseable);
            }
        }
    }
    let (lines, left_out) = if ask.red {
        // What waits for the next stage is owed and overdue all the same.
        open.into_iter()
            .filter(|line| line.days_late > 0)
            .partition(|line| line.chaseable.is_some_and(Money::is_positive))
    } else {
        (open, Vec::new())
    };
    let amount = |line: &StatementItem| match (ask.red, line.chaseable) {
        (true, Some(chaseable)) => chaseable,
        _ => line.open,
    };
    let mut totals: BTreeMap<Currency, Money> = BTreeMap::new();
    let mut bands: BTreeMap<(Currency, usize), Money> = BTreeMap::new();
    for line in &lines {
        let amount = amount(line);
        let zero = Money::zero(amount.currency());
        let total = totals.entry(amount.currency()).or_insert(zero);
        *total = total.checked_add(amount).map_err(Failure::of)?;
        let band = BANDS
            .iter()
            .position(|(_, until)| line.days_late <= *until)
            .unwrap_or(BANDS.len() - 1);
        let sum = bands.entry((amount.currency(), band)).or_insert(zero);
        *sum = sum.checked_add(amount).map_err(Failure::of)?;
    }
    let ageing = bands
        .into_iter()
        .filter_map(|((_, band), amount)| {
            let (title, _) = BANDS.get(band)?;
            Some(AgeBand {
                title: (*title).to_owned(),
                amount,
            })
        })
        .collect();
    let mut statement = Statement {
        account_id: ask.account_id,
        account_ref: who.account_ref,
        name: who.name,
        address: who.address,
        as_at: moment.today,
        red: ask.red,
        lines,
        left_out,
        totals: totals.into_values().collect(),
        ageing,
        content_sha256: String::new(),
    };
    let content = serde_json::to_vec(&statement).map_err(Failure::from)?;
    statement.content_sha256 = hex::encode(Sha256::digest(&content));
    Ok(statement)
}
