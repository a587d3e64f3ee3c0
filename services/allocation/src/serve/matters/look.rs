//! Matters to look at: lists, file numbers, and why a file cannot be closed.

use contracts::api::{
    Page, Refusal,
    matters::{
        BankMoveView, CheckMatters, ClosureGate, CountMatters, GetClosureGate, GetMatter,
        ListBankMoves, ListMatters, MatterCheck, MatterCounts, MatterDetail, MatterView,
    },
};
use kernel::london_date;
use messaging::{Bus, Failure};

use super::{
    super::{cursor, page},
    MOVES_MAX, detail,
};
use crate::{
    domain::legal::{closure, files},
    store,
};

/// Matters in a list that is held against ours.
const THEIRS_MAX: usize = 10_000;

/// Differences told at once.
const DIFFERENCES_MAX: usize = 1_000;

pub(crate) async fn list_matters(ask: ListMatters, bus: Bus) -> Result<Page<MatterView>, Refusal> {
    let mut tx = bus.begin().await?;
    let before = cursor(ask.page.cursor.as_deref())?;
    let search = ask
        .search
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let rows = ask.page.rows();
    let items =
        store::matters::views(tx.conn(), None, search, ask.status, before, rows + 1).await?;
    Ok(page(items, rows, |matter| matter.matter_id.as_uuid()))
}

pub(crate) async fn get_matter(ask: GetMatter, bus: Bus) -> Result<MatterDetail, Refusal> {
    let mut tx = bus.look().await?;
    Ok(detail(tx.conn(), ask.matter_id, &bus).await?)
}

pub(crate) async fn list_moves(
    ask: ListBankMoves,
    bus: Bus,
) -> Result<Page<BankMoveView>, Refusal> {
    let mut tx = bus.begin().await?;
    let after = cursor(ask.page.cursor.as_deref())?;
    let rows = ask.page.rows();
    let today = london_date(bus.now());
    let items = store::matters::moves(tx.conn(), None, after, today, rows + 1).await?;
    Ok(page(items, rows, |view| view.bank_move.move_id.as_uuid()))
}

pub(crate) async fn closure_gate(ask: GetClosureGate, bus: Bus) -> Result<ClosureGate, Refusal> {
    let mut tx = bus.look().await?;
    let conn = tx.conn();
    let matter = store::matters::view(conn, ask.matter_id).await?;
    let today = london_date(bus.now());
    let moves = store::matters::moves(conn, Some(ask.matter_id), None, today, MOVES_MAX).await?;
    let bills = store::matters::bills(conn, &matter.matter_ref).await?;
    let facts = closure::Facts {
        client: matter.client_money.clone(),
        open: bills
            .into_iter()
            .filter(|bill| !bill.open.is_zero())
            .map(|bill| (bill.document_ref, bill.open))
            .collect(),
        disbursements: store::disbursements::of_matter(conn, ask.matter_id).await?,
        moves: moves
            .into_iter()
            .filter(|view| view.bank_move.done_on.is_none())
            .map(|view| view.bank_move.amount)
            .collect(),
        receipts: store::matters::receipts_naming(conn, &matter.matter_ref).await?,
    };
    let blockers = closure::blockers(&facts);
    Ok(ClosureGate {
        matter_id: matter.matter_id,
        matter_ref: matter.matter_ref,
        may_close: blockers.is_empty(),
        blockers,
        not_checked: closure::NOT_CHECKED.map(str::to_owned).to_vec(),
    })
}

pub(crate) async fn count(ask: CountMatters, bus: Bus) -> Result<MatterCounts, Refusal> {
    let mut tx = bus.begin().await?;
    let as_at = ask.as_at.unwrap_or_else(|| london_date(bus.now()));
    Ok(store::matters::counts(tx.conn(), as_at).await?)
}

pub(crate) async fn check(ask: CheckMatters, bus: Bus) -> Result<MatterCheck, Refusal> {
    if ask.theirs.len() > THEIRS_MAX {
        return Err(Failure::permanent(
            "matters.list_too_long",
            format!("a list has at most {THEIRS_MAX} matters"),
        )
        .at("/theirs", format!("at most {THEIRS_MAX}"))
        .into());
    }
    let mut tx = bus.begin().await?;
    let as_at = ask.as_at.unwrap_or_else(|| london_date(bus.now()));
    let ours = store::matters::not_closed(tx.conn(), as_at).await?;
    let count = ours.len();
    let mut differences = files::differences(ours, &ask.theirs);
    let all = differences.len();
    differences.truncate(DIFFERENCES_MAX);
    Ok(MatterCheck {
        as_at,
        agrees: all == 0,
        ours: count as i64,
        theirs: ask.theirs.len() as i64,
        more: (all - differences.len()) as i64,
        differences,
    })
}
