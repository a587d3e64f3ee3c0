//! Write-offs: asked for, posted by the approval, taken back.

use contracts::{
    api::{
        Page, Refusal,
        controls::{
            ClaimVatRelief, GetWriteOff, ListRecoveries, ListVatRelief, ListWriteOffReasons,
            ListWriteOffs, Recovery, RequestWriteOff, ReverseWriteOff, VatRelief, WriteOffDetail,
            WriteOffReason, WriteOffView,
        },
    },
    controls::{ApprovalKind, WriteOffId},
};
use kernel::{DocumentId, london_date};
use messaging::{Bus, Failure};
use uuid::Uuid;

use super::{Act, locked_items};
use crate::{
    domain::{
        Books,
        approvals::Ask,
        ledger, policy,
        write_offs::{self as rules, Refused, WriteOff},
    },
    serve::{cursor, no_receipt, page},
    store,
};

fn no_write_off(id: WriteOffId) -> Failure {
    Failure::not_found(
        "allocation.no_write_off",
        format!("there is no write-off {id}"),
    )
}

/// A write-off with its documents, locked.
pub(super) async fn lock(act: &mut Act, id: WriteOffId) -> Result<(WriteOff, Books), Failure> {
    let documents = store::write_offs::documents(act.tx.conn(), id).await?;
    let books = locked_items(act, &documents).await?;
    let found = store::write_offs::lock(act.tx.conn(), id)
        .await?
        .ok_or_else(|| no_write_off(id))?;
    Ok((found, books))
}

async fn finish(act: Act, id: WriteOffId, bus: &Bus) -> Result<WriteOffDetail, Refusal> {
    act.finish(bus).await?;
    shown(id, bus).await
}

async fn shown(id: WriteOffId, bus: &Bus) -> Result<WriteOffDetail, Refusal> {
    let mut tx = bus.begin().await?;
    let found = store::write_offs::lock(tx.conn(), id)
        .await?
        .ok_or_else(|| no_write_off(id))?;
    Ok(found.detail())
}

pub(crate) async fn request(ask: RequestWriteOff, bus: Bus) -> Result<WriteOffDetail, Refusal> {
    let id: WriteOffId = ask.command_id.as_uuid().into();
    let (mut act, new) = Act::begin(&bus, ask.command_id).await?;
    if !new {
        drop(act);
        return shown(id, &bus).await;
    }
    let reasons = policy::write_off_reasons(london_date(act.now));
    let code = reasons
        .iter()
        .find(|reason| reason.code == ask.reason_code)
        .ok_or_else(|| Failure::of(Refused::NoSuchReason(ask.reason_code.clone())))?;
    let documents: Vec<DocumentId> = ask.lines.iter().map(|line| line.document_id).collect();
    let books = locked_items(&mut act, &documents).await?;
    let vat = store::write_offs::vat(act.tx.conn(), &documents).await?;
    let actor = &ask.person.actor;
    let mut found = rules::requested(&ask.lines, code, &ask.reason, &books, &vat, actor, act.now)
        .map_err(Failure::of)?;
    found.id = id;
    let approval = act.request(Ask {
        kind: ApprovalKind::WriteOff,
        subject: id.as_uuid(),
        title: format!(
            "Write off {} of {}: {}",
            found.amount.display_uk(),
            found.account_ref,
            code.words
        ),
        amount: found.amount,
        account: Some(found.account),
        account_ref: Some(&found.account_ref),
        content: found.content(|line| line.open_then),
        needed: 1,
        requester: actor,
        reason: &found.reason,
    })?;
    found.approval = Some(approval);
    store::write_offs::put(act.tx.conn(), &found).await?;
    finish(act, id, &bus).await
}

pub(crate) async fn reverse(ask: ReverseWriteOff, bus: Bus) -> Result<WriteOffDetail, Refusal> {
    let id = ask.write_off_id;
    let (mut act, new) = Act::begin(&bus, ask.command_id).await?;
    if !new {
        drop(act);
        return shown(id, &bus).await;
    }
    let reason = ask.reason.trim().to_owned();
    if reason.is_empty() {
        return Err(Failure::of(Refused::NoReason).into());
    }
    let mut receipt = match ask.receipt_id {
        Some(receipt) => Some(
            store::receipts::lock(act.tx.conn(), receipt)
                .await?
                .ok_or_else(|| no_receipt(receipt))?,
        ),
        None => None,
    };
    let (mut found, mut books) = lock(&mut act, id).await?;
    let because = act.because(&ask.person.actor, &reason);
    let left = match &receipt {
        Some(receipt) => {
            let in_force = found
                .amount
                .checked_sub(found.reversed)
                .map_err(Failure::of)?;
            let order = receipt
                .unallocated
                .checked_cmp(in_force)
                .map_err(Failure::of)?;
            Some(if order.is_lt() {
                receipt.unallocated
            } else {
                in_force
            })
        }
        None => None,
    };
    let (adjusted, back) = found
        .reverse(left, &mut books, &mut act.changes, &because)
        .map_err(Failure::of)?;
    store::write_offs::put(act.tx.conn(), &found).await?;
    act.debt_adjusted(&adjusted, &books, &because)?;
    if let Some(receipt) = &mut receipt {
        let posted = ledger::post(receipt, &back, &mut books, &mut act.changes, &because)
            .map_err(Failure::of)?;
        act.receipt_moved(receipt, posted, Vec::new(), &because)
            .await?;
    }
    finish(act, id, &bus).await
}

pub(crate) async fn claim(ask: ClaimVatRelief, bus: Bus) -> Result<WriteOffDetail, Refusal> {
    let id = ask.write_off_id;
    let (mut act, new) = Act::begin(&bus, ask.command_id).await?;
    if !new {
        drop(act);
        return shown(id, &bus).await;
    }
    let (mut found, _) = lock(&mut act, id).await?;
    found.claim(ask.claimed_on, act.now).map_err(Failure::of)?;
    store::write_offs::put(act.tx.conn(), &found).await?;
    finish(act, id, &bus).await
}

pub(crate) async fn get_write_off(ask: GetWriteOff, bus: Bus) -> Result<WriteOffDetail, Refusal> {
    shown(ask.write_off_id, &bus).await
}

pub(crate) async fn list_write_offs(
    ask: ListWriteOffs,
    bus: Bus,
) -> Result<Page<WriteOffView>, Refusal> {
    let mut tx = bus.begin().await?;
    let before = cursor(ask.page.cursor.as_deref())?;
    let rows = ask.page.rows();
    let items = store::write_offs::list(tx.conn(), ask.state, ask.account_id, before, rows).await?;
    Ok(page(items, rows, |found: &WriteOffView| {
        found.write_off_id.as_uuid()
    }))
}

pub(crate) async fn reasons(
    _: ListWriteOffReasons,
    bus: Bus,
) -> Result<Page<WriteOffReason>, Refusal> {
    Ok(Page {
        items: policy::write_off_reasons(london_date(bus.now())),
        next_cursor: None,
    })
}

pub(crate) async fn recoveries(_: ListRecoveries, bus: Bus) -> Result<Page<Recovery>, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(Page {
        items: store::write_offs::recoveries(tx.conn()).await?,
        next_cursor: None,
    })
}

/// `<write-off>.<line>`: one write-off may have lines on two pages.
fn place(text: &str) -> Result<(Uuid, i16), Failure> {
    let bad = || {
        Failure::permanent("allocation.bad_cursor", "the cursor is not one of ours")
            .at("/cursor", "not `<write-off>.<line>`")
    };
    let (id, line) = text.split_once('.').ok_or_else(bad)?;
    Ok((
        id.parse().map_err(|_| bad())?,
        line.parse().map_err(|_| bad())?,
    ))
}

pub(crate) async fn vat_relief(ask: ListVatRelief, bus: Bus) -> Result<Page<VatRelief>, Refusal> {
    let mut tx = bus.begin().await?;
    let after = ask.page.cursor.as_deref().map(place).transpose()?;
    let rows = ask.page.rows();
    let mut found = store::write_offs::vat_relief(tx.conn(), ask.claimable_on, after, rows).await?;
    let more = found.len() as i64 > rows;
    found.truncate(usize::try_from(rows).unwrap_or(usize::MAX));
    let next_cursor = found
        .last()
        .filter(|_| more)
        .map(|(id, line, _)| format!("{id}.{line}"));
    Ok(Page {
        items: found.into_iter().map(|(.., relief)| relief).collect(),
        next_cursor,
    })
}
