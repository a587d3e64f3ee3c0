//! Matters: client money and what may happen to it. Every command locks the
//! matter first, so that no two see the same balance.

mod look;
mod money;
mod payments;
mod receipts;

pub(crate) use look::{check, closure_gate, count, get_matter, list_matters, list_moves};
pub(crate) use money::{client_account, complete_move, pay, transfer, undo_entry};
pub(crate) use payments::{list_payments, no_payment, take_back};
pub(crate) use receipts::split;

use contracts::{
    api::{
        Refusal,
        matters::{HoldClientMoney, MatterDetail},
    },
    matters::BankMove,
};
use kernel::{MatterId, london_date};
use messaging::{Bus, Failure, Meta, Outgoing, Tx};
use sqlx::PgConnection;
use uuid::Uuid;

use super::reason;
use crate::{
    consume::{
        client_money::{self, Teller},
        updated,
    },
    domain::{
        ledger::Because,
        legal::{LegalChanges, Settings, client::Held},
    },
    store,
};

/// Bank moves shown with a matter.
const MOVES_MAX: i64 = 200;

async fn detail(conn: &mut PgConnection, id: MatterId, bus: &Bus) -> Result<MatterDetail, Failure> {
    let matter = store::matters::view(conn, id).await?;
    let today = london_date(bus.now());
    Ok(MatterDetail {
        entries: store::matters::entries(conn, &matter).await?,
        bills: store::matters::bills(conn, &matter.matter_ref).await?,
        bank_moves: store::matters::moves(conn, Some(id), None, today, MOVES_MAX)
            .await?
            .into_iter()
            .map(|view| view.bank_move)
            .collect(),
        payments: store::client_payments::of_matter(conn, id).await?,
        matter,
    })
}

/// A command about a matter under way: the matter is locked.
pub(crate) struct Work<'c> {
    pub(crate) tx: Tx,
    pub(crate) held: Held,
    pub(crate) settings: Settings,
    pub(crate) because: Because<'c>,
    pub(crate) cause: Meta,
    pub(crate) legal: LegalChanges,
    events: Vec<Outgoing>,
}

/// Claims a command by its id and locks its matter; `None` when it was carried
/// out before.
pub(crate) async fn take_up<'c>(
    bus: &Bus,
    command_id: Uuid,
    matter: MatterId,
    actor: &'c str,
    reason: &'c str,
) -> Result<Option<Work<'c>>, Failure> {
    let now = bus.now();
    let mut tx = bus.begin().await?;
    if tx.claim(&[command_id]).await?.is_empty() {
        return Ok(None);
    }
    let held = store::matters::lock(tx.conn(), matter).await?;
    let today = london_date(now);
    let settings = store::matters::settings(tx.conn(), today).await?;
    Ok(Some(Work {
        tx,
        held,
        settings,
        because: Because {
            rule: contracts::allocation::Rule::Manual,
            reason,
            actor,
            now,
            not_before: today,
        },
        cause: Meta::of_command(command_id, now, None),
        legal: LegalChanges::default(),
        events: Vec::new(),
    }))
}

impl Work<'_> {
    pub(crate) fn tell<E: contracts::Event>(
        &mut self,
        bus: &Bus,
        fact: &E,
        about: Uuid,
        version: i64,
    ) -> Result<(), Failure> {
        self.events.push(Outgoing::new(
            fact,
            about,
            version,
            bus.prefix(),
            self.because.now,
            &self.cause,
        )?);
        Ok(())
    }

    /// Writes the lines with the facts about them, and commits.
    pub(crate) async fn finish(mut self, bus: &Bus) -> Result<(), Failure> {
        if !self.legal.entries.is_empty() {
            self.held.matter.version += 1;
        }
        let teller = Teller {
            prefix: bus.prefix(),
            now: self.because.now,
            cause: &self.cause,
        };
        let (conn, held) = (self.tx.conn(), &self.held);
        let told = client_money::write(conn, held, &self.legal, &self.because, &teller).await?;
        self.events.extend(told);
        self.tx.publish(&self.events).await?;
        self.tx.commit().await?;
        bus.notice(&["matters".to_owned(), "residuals".to_owned()])
            .await;
        Ok(())
    }

    fn tell_move(&mut self, bus: &Bus, done: &BankMove) -> Result<(), Failure> {
        let matter = &self.held.matter;
        let (reference, account) = (&matter.reference, &matter.account_ref);
        let fact = client_money::bank_move(matter.id, reference, account, done, &self.because);
        self.tell(bus, &fact, done.move_id.as_uuid(), 2)
    }
}

async fn answer(bus: &Bus, matter: MatterId) -> Result<MatterDetail, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(detail(tx.conn(), matter, bus).await?)
}

/// Tells pages that show cash and debt.
async fn money_moved(bus: &Bus) {
    bus.notice(&["receipts".to_owned(), "aged-debt".to_owned()])
        .await;
}

pub(crate) async fn hold(ask: HoldClientMoney, bus: Bus) -> Result<MatterDetail, Refusal> {
    let command = ask.command_id.as_uuid();
    let why = match &ask.hold {
        Some(hold) => reason(&hold.reason)?,
        None => "no reason to hold client money any more",
    };
    let Some(mut work) = take_up(&bus, command, ask.matter_id, &ask.actor, why).await? else {
        return answer(&bus, ask.matter_id).await;
    };
    let (today, now) = (work.because.not_before, work.because.now);
    let matter = &mut work.held.matter;
    match &ask.hold {
        Some(hold) => matter.hold = Some((why.to_owned(), hold.until)),
        None => {
            if let Some((_, until)) = matter.hold.take() {
                matter.hold_ended_on = Some(until.min(today));
            }
        }
    }
    matter.version += 1;
    let matter = matter.clone();
    store::matters::put(work.tx.conn(), std::slice::from_ref(&matter), now).await?;
    let fact = updated(&matter, &ask.actor, now);
    work.tell(&bus, &fact, matter.id.as_uuid(), matter.version)?;
    work.finish(&bus).await?;
    answer(&bus, ask.matter_id).await
}
