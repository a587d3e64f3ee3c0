//! What happens by itself: queries are suspected where nothing explains an
//! overdue item, suspicions end when something does, and settled cases close.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, Utc};
use contracts::disputes::{CaseId, CaseState};
use kernel::{AccountId, Currency, DocumentId, london_date, london_midnight};
use messaging::{Bus, Failure, Meta, Outgoing, Tx};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::{
    consume::SYSTEM,
    domain::{
        Case, Origin, Part,
        case::{PARTS_MAX, Told},
        policy::{Policy, UNEXPLAINED},
        steps::{self, Item, New},
        suspicion,
    },
    store::{
        self,
        cases::Noted,
        suspects::{Among, Bounds, Place, Suspect},
    },
};

/// How often. What is found changes with the day, and with what allocation says.
pub(crate) const EVERY: Duration = Duration::from_secs(5);

/// Overdue items that one transaction looks at.
const ITEMS: i64 = 2000;
/// Cases of one transaction.
const PAGE: i64 = 200;
/// Pages of one round.
const PAGES: usize = 20;
/// Open suspicions that one round looks at.
const LOOK: i64 = 2000;

/// Writes steps and tells of them.
async fn put(tx: &mut Tx, bus: &Bus, steps: Vec<Noted>, now: DateTime<Utc>) -> Result<(), Failure> {
    let mut events = Vec::with_capacity(steps.len());
    for noted in &steps {
        let cause = Meta::of_command(noted.cause, now, None);
        let told = Told {
            cause: noted.cause,
            at: now,
            actor: SYSTEM,
            reason: &noted.detail,
        };
        let event = noted
            .case
            .changed(noted.from, &noted.step, told)
            .map_err(Failure::of)?;
        events.push(Outgoing::new(
            &event,
            noted.case.id.as_uuid(),
            noted.case.version,
            bus.prefix(),
            now,
            &cause,
        )?);
    }
    store::cases::put(tx.conn(), &steps, now).await?;
    tx.publish(&events).await
}

async fn tell(bus: &Bus, what: &str, changed: usize) {
    if changed > 0 {
        tracing::info!(changed, "{what}");
        bus.notice(&["disputes".to_owned()]).await;
    }
}

/// Where the rounds have come to: a large ledger is gone through in several.
pub(crate) type Round = Arc<Mutex<Option<Place>>>;

/// Opens a suspicion for each account with items that nothing explains, or adds
/// them to the one that is open.
pub(crate) async fn suspect(bus: Bus, round: Round) -> Result<(), Failure> {
    let mut after = round.lock().map(|place| *place).unwrap_or_default();
    let mut changed = 0;
    for _ in 0..PAGES {
        if bus.shutdown().is_cancelled() {
            break;
        }
        let (next, count) = suspect_page(&bus, after).await?;
        changed += count;
        after = next;
        if let Ok(mut place) = round.lock() {
            *place = after;
        }
        if after.is_none() {
            break;
        }
    }
    tell(&bus, "queries are suspected", changed).await;
    Ok(())
}

async fn suspect_page(bus: &Bus, after: Option<Place>) -> Result<(Option<Place>, usize), Failure> {
    let now = bus.now();
    let today = london_date(now);
    let policy = Policy::on(today);
    let least = policy.suspect_min();
    let bounds = Bounds {
        due_by: policy.suspect_due_by(today),
        again_after: now - policy.suspect_again(),
        least: &least,
    };
    let mut tx = bus.begin().await?;
    let begun = store::suspects::raised_since(tx.conn(), london_midnight(now)).await?;
    let room = policy.suspect_daily().saturating_sub(begun);
    if room == 0 {
        // More than that nobody asks about on one day.
        return Ok((None, 0));
    }
    let next = store::suspects::page_end(tx.conn(), bounds.due_by, after, ITEMS).await?;
    // Looked at without locks first: mostly there is nothing new.
    let seen = store::suspects::unexplained(tx.conn(), &bounds, Among::Page(after, next)).await?;
    if seen.is_empty() {
        return Ok((next, 0));
    }
    let mut documents: Vec<DocumentId> = seen.iter().map(|suspect| suspect.document).collect();
    documents.sort_unstable();
    store::items::lock(tx.conn(), &documents).await?;
    let mut suspects =
        store::suspects::unexplained(tx.conn(), &bounds, Among::These(&documents)).await?;
    suspects.sort_by_key(|suspect| (suspect.account, suspect.unexplained.currency()));
    let mut accounts: Vec<AccountId> = suspects.iter().map(|suspect| suspect.account).collect();
    accounts.dedup();
    let open = store::suspects::open_of(tx.conn(), &accounts).await?;
    let ids: Vec<CaseId> = open.iter().map(|(id, ..)| *id).collect();
    let mut cases = store::cases::lock(tx.conn(), &ids).await?;
    let new = new_ones(&suspects, &cases).min(room);
    let refs = store::cases::next_refs(tx.conn(), new).await?;
    let steps = suspected(&suspects, &mut cases, refs, &policy, now)?;
    let count = steps.len();
    put(&mut tx, bus, steps, now).await?;
    tx.commit().await?;
    Ok((next, count))
}

fn same(case: &Case, account: AccountId, currency: Currency) -> bool {
    case.state == CaseState::Suspected && case.account == account && case.currency == currency
}

/// How many suspicions are to be opened.
fn new_ones(suspects: &[Suspect], cases: &[Case]) -> usize {
    suspects
        .chunk_by(|a, b| {
            a.account == b.account && a.unexplained.currency() == b.unexplained.currency()
        })
        .filter_map(|chunk| chunk.first())
        .filter(|first| {
            !cases
                .iter()
                .any(|case| same(case, first.account, first.unexplained.currency()))
        })
        .count()
}

/// What the suspects make of the suspicions of their accounts. Pure.
fn suspected(
    suspects: &[Suspect],
    cases: &mut [Case],
    refs: Vec<String>,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<Vec<Noted>, Failure> {
    let mut refs = refs.into_iter();
    let mut steps = Vec::new();
    let mut chunks: Vec<&[Suspect]> = suspects
        .chunk_by(|a, b| {
            a.account == b.account && a.unexplained.currency() == b.unexplained.currency()
        })
        .collect();
    // Where there is not room for all, those with the most money come first.
    let money =
        |chunk: &[Suspect]| -> Decimal { chunk.iter().map(|one| one.unexplained.amount()).sum() };
    chunks.sort_by_key(|chunk| std::cmp::Reverse(money(chunk)));
    for chunk in chunks {
        let Some(first) = chunk.first() else {
            continue;
        };
        let currency = first.unexplained.currency();
        let cause = Uuid::now_v7();
        let known = cases
            .iter_mut()
            .find(|case| same(case, first.account, currency));
        if let Some(case) = known {
            let mut added = 0;
            for suspect in chunk {
                let part = Part::new(
                    suspect.document,
                    suspect.document_ref.clone(),
                    suspect.due_on,
                    Vec::new(),
                    suspect.unexplained,
                );
                added += usize::from(suspicion::add(case, part).map_err(Failure::of)?);
            }
            if added > 0 {
                case.version += 1;
                steps.push(Noted {
                    from: Some(case.state),
                    step: "amounts_moved".to_owned(),
                    detail: format!("{added} more that nothing explains"),
                    actor: SYSTEM.to_owned(),
                    cause,
                    case: case.clone(),
                });
            }
            continue;
        }
        let Some(case_ref) = refs.next() else {
            continue;
        };
        let lines: Vec<_> = chunk
            .iter()
            .take(PARTS_MAX)
            .map(|suspect| contracts::api::disputes::CaseLine {
                document_id: suspect.document,
                amount: Some(suspect.unexplained),
                lines: Vec::new(),
            })
            .collect();
        let items = chunk
            .iter()
            .map(|suspect| {
                let item = Item {
                    document: suspect.document,
                    document_ref: suspect.document_ref.clone(),
                    account: suspect.account,
                    account_ref: suspect.account_ref.clone(),
                    due_on: suspect.due_on,
                    is_credit: false,
                    free: suspect.unexplained,
                };
                (suspect.document, item)
            })
            .collect();
        let new = New {
            id: CaseId::generate(),
            case_ref,
            kind: contracts::disputes::CaseKind::Query,
            account: first.account,
            account_ref: first.account_ref.clone(),
            currency,
            lines: &lines,
            reason_code: UNEXPLAINED,
            raised_at: now,
            processor: None,
            origin: Origin::Suspicion,
            cause,
        };
        let case = steps::open(new, &items, policy, now).map_err(Failure::of)?;
        let amount = case.in_question().map_err(Failure::of)?.display_uk();
        steps.push(Noted {
            from: None,
            step: "opened".to_owned(),
            detail: format!("nothing explains why {amount} is overdue"),
            actor: SYSTEM.to_owned(),
            cause,
            case,
        });
    }
    Ok(steps)
}

/// Where the look at open suspicions has come to.
pub(crate) type Look = Arc<Mutex<Option<CaseId>>>;

/// Ends suspicions of which something has an explanation now: so many are looked
/// at, the next round goes on with the next.
pub(crate) async fn clear_explained(bus: Bus, look: Look) -> Result<(), Failure> {
    let after = look.lock().map(|place| *place).unwrap_or_default();
    let next = {
        let mut tx = bus.begin().await?;
        store::suspects::look_end(tx.conn(), after, LOOK).await?
    };
    let mut changed = 0;
    for _ in 0..PAGES {
        if bus.shutdown().is_cancelled() {
            break;
        }
        let count = clear_page(&bus, after, next).await?;
        changed += count;
        if (count as i64) < PAGE {
            break;
        }
    }
    if let Ok(mut place) = look.lock() {
        *place = next;
    }
    tell(&bus, "suspected queries are explained", changed).await;
    Ok(())
}

async fn clear_page(
    bus: &Bus,
    after: Option<CaseId>,
    until: Option<CaseId>,
) -> Result<usize, Failure> {
    let now = bus.now();
    let policy = Policy::on(london_date(now));
    let least = policy.suspect_min();
    let mut tx = bus.begin().await?;
    let ids = store::suspects::explained(tx.conn(), &least, after, until, PAGE).await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let mut documents = store::cases::documents(tx.conn(), &ids).await?;
    documents.sort_unstable();
    store::items::lock(tx.conn(), &documents).await?;
    let cases = store::cases::lock(tx.conn(), &ids).await?;
    let explanations = store::suspects::explanations(tx.conn(), &documents, &least).await?;
    let explained: Vec<DocumentId> = explanations
        .iter()
        .filter(|(_, words)| words.is_some())
        .map(|(document, _)| *document)
        .collect();
    let mut steps = Vec::new();
    for mut case in cases {
        let from = case.state;
        let mut words: Vec<String> = case
            .parts
            .iter()
            .filter(|part| part.disputed.is_positive())
            .filter_map(|part| {
                let why = explanations.iter().find(|(d, _)| *d == part.document)?;
                Some(format!("{}: {}", part.document_ref, why.1.as_ref()?))
            })
            .collect();
        words.truncate(10);
        let step = suspicion::explained(&mut case, &explained, now).map_err(Failure::of)?;
        let Some(step) = step else {
            continue;
        };
        case.version += 1;
        steps.push(Noted {
            from: Some(from),
            step: step.to_owned(),
            detail: format!("explained: {}", words.join(", ")),
            actor: SYSTEM.to_owned(),
            cause: Uuid::now_v7(),
            case,
        });
    }
    let count = steps.len();
    put(&mut tx, bus, steps, now).await?;
    tx.commit().await?;
    Ok(count)
}

/// Closes settled cases that nobody came back to.
pub(crate) async fn close_resolved(bus: Bus) -> Result<(), Failure> {
    let now = bus.now();
    let policy = Policy::on(london_date(now));
    let before = now - policy.close_resolved();
    let mut tx = bus.begin().await?;
    let ids = store::cases::settled_before(tx.conn(), before, PAGE).await?;
    if ids.is_empty() {
        return Ok(());
    }
    let mut steps = Vec::new();
    for mut case in store::cases::lock(tx.conn(), &ids).await? {
        // Again under the lock: a person may have been quicker.
        if case.state != CaseState::Resolved
            || case.since >= before
            || case.credit_due().map_err(Failure::of)?.is_positive()
        {
            continue;
        }
        case.go(CaseState::Closed, now);
        case.version += 1;
        steps.push(Noted {
            from: Some(CaseState::Resolved),
            step: "closed".to_owned(),
            detail: "nobody came back to it".to_owned(),
            actor: SYSTEM.to_owned(),
            cause: Uuid::now_v7(),
            case,
        });
    }
    let count = steps.len();
    put(&mut tx, &bus, steps, now).await?;
    tx.commit().await?;
    tell(&bus, "settled cases were closed", count).await;
    Ok(())
}

/// Erases what was asked for while its case was open, once it is closed (E103).
pub(crate) async fn erase(bus: Bus) -> Result<(), Failure> {
    let now = bus.now();
    let mut tx = bus.begin().await?;
    let due = store::words::due(tx.conn(), PAGE).await?;
    if due.is_empty() {
        return Ok(());
    }
    let mut steps = Vec::new();
    for mut case in store::cases::lock(tx.conn(), &due).await? {
        // Again under the lock: it may have been opened again.
        if case.state != CaseState::Closed {
            continue;
        }
        case.version += 1;
        steps.push(Noted {
            from: Some(CaseState::Closed),
            step: "words_erased".to_owned(),
            detail: "as was asked while the case was open".to_owned(),
            actor: SYSTEM.to_owned(),
            cause: Uuid::now_v7(),
            case,
        });
    }
    let ids: Vec<CaseId> = steps.iter().map(|noted| noted.case.id).collect();
    store::words::erase(tx.conn(), &ids, now).await?;
    put(&mut tx, &bus, steps, now).await?;
    tx.commit().await?;
    tell(&bus, "what people had said was erased", ids.len()).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_is_not_room_for_all_the_most_money_comes_first() {
        let suspect = |amount: &str| Suspect {
            account: AccountId::generate(),
            account_ref: format!("ACME{amount}"),
            document: DocumentId::generate(),
            document_ref: "INV-1".to_owned(),
            due_on: "2026-01-31".parse().unwrap(),
            unexplained: kernel::Money::parse(amount, Currency::GBP).unwrap(),
        };
        let suspects = [suspect("30.00"), suspect("90.00"), suspect("45.00")];
        let now = "2026-03-02T10:00:00Z".parse().unwrap();
        let policy = Policy::on(london_date(now));
        assert!(policy.suspect_daily() > 0);
        let refs = vec!["Q-000001".to_owned(), "Q-000002".to_owned()];
        let steps = suspected(&suspects, &mut [], refs, &policy, now).unwrap();
        let raised: Vec<&str> = steps
            .iter()
            .map(|noted| noted.case.account_ref.as_str())
            .collect();
        assert_eq!(raised, ["ACME90.00", "ACME45.00"]);
    }
}
