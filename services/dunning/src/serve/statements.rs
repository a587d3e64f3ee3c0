//! Statements: everything open; or, red, what is overdue and may be chased, with
//! what is left out and why.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use contracts::api::{
    Refusal,
    dunning::{AgeBand, GetStatement, Statement, StatementItem},
};
use kernel::{Currency, Money};
use messaging::{Bus, Failure};
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;

use super::{act::wrong, standing::moment};
use crate::{
    domain::{
        chase, letter,
        statement::BANDS,
        template::{self, Block, Facts, Filled, Line, Sender},
    },
    store::{self, statements::Addressee},
};

pub(crate) async fn get_statement(ask: GetStatement, bus: Bus) -> Result<Statement, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(statement(tx.conn(), &bus, &ask).await?)
}

/// A statement of an account as it stands now.
pub(crate) async fn statement(
    conn: &mut PgConnection,
    bus: &Bus,
    ask: &GetStatement,
) -> Result<Statement, Failure> {
    let moment = moment(conn, bus).await?;
    let past = ask.as_at.filter(|day| *day != moment.today);
    if past.is_some_and(|day| day > moment.today) {
        return Err(wrong("/as_at", "not after today"));
    }
    if past.is_some() && ask.red {
        return Err(wrong("/as_at", "what may be chased is known of today only"));
    }
    let who = store::statements::addressee(conn, ask.account_id)
        .await?
        .ok_or_else(|| {
            Failure::not_found(
                "dunning.no_account",
                format!("there is no account {}", ask.account_id),
            )
        })?;
    let mut open = match past {
        Some(day) => store::statements::open_at(conn, ask.account_id, day).await?,
        None => store::statements::open(conn, ask.account_id, moment.today).await?,
    };
    let policies = store::policies::all(conn).await?;
    let positions =
        store::positions::load(conn, store::accounts::Among::one(ask.account_id)).await?;
    if let Some(position) = positions.first().filter(|_| past.is_none()) {
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
    compose(ask, who, open, past.unwrap_or(moment.today))
}

/// A statement of what was open of somebody at the end of a day.
pub(crate) fn compose(
    ask: &GetStatement,
    who: Addressee,
    open: Vec<StatementItem>,
    as_at: NaiveDate,
) -> Result<Statement, Failure> {
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
        as_at,
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

/// Everything open, on paper.
pub(crate) fn on_paper(statement: &Statement, sender: &Sender, reference: &str) -> Vec<u8> {
    let totals: Vec<String> = statement
        .totals
        .iter()
        .map(|sum| sum.display_uk())
        .collect();
    let facts = Facts::new(
        sender.clone(),
        template::Addressee {
            r#ref: statement.account_ref.clone(),
            name: statement.name.clone(),
            address: statement.address.clone(),
        },
        statement
            .lines
            .iter()
            .map(|line| Line {
                document_ref: line.document_ref.clone(),
                due_on: line.due_on,
                amount: line.open.display_uk(),
            })
            .collect(),
        totals.join(" and "),
        statement.as_at,
        None,
    );
    let filled = Filled {
        subject: format!("Statement of account {}", statement.account_ref),
        blocks: vec![
            Block::Paragraph("Everything that is open on the account, with credits.".to_owned()),
            Block::Items,
        ],
    };
    letter::pdf(&filled, &facts, reference)
}
