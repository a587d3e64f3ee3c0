//! Collection runs: asked for by one person, decided by a second, put into a
//! file, or given up.
//!
//! What is open of a document is allocation's to know. The asker (the gateway,
//! for a person) names documents and amounts, and names what is open once more
//! when the file is made: so no service has to ask another, nor to keep a second
//! ledger, and what was paid meanwhile is not collected.

use std::collections::{BTreeMap, HashMap, HashSet};

use contracts::{
    api::{
        Page, Refusal,
        direct_debits::{
            BacsFileKind, Blocked, CollectionRunState, CollectionRunView, DiscardCollectionRun,
            ListCollectionRuns, MakeCollectionFile, PresentAgain, ProposeCollections, Proposed,
        },
    },
    controls::{ApprovalId, ApprovalKind, ApprovalRequested, ApprovalWithdrawn, frozen},
    ingestion::{
        BacsFileId, CollectionRunId, CollectionState, MandateId, RequestedByIngestion,
        WithdrawnByIngestion,
    },
};
use kernel::{Currency, DocumentId, Money, london_date};
use messaging::{Bus, Failure, Meta, Tx};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    direct_debits::{refused, serial, service_user, would_be_refused},
    named,
};
use crate::{
    Options,
    consume::direct_debits::Teller,
    domain::{
        collection::{self, Collection, Part, Stopped, Wanted},
        mandate::{CALENDAR, Mandate},
        std18::{self, Account, Entry},
    },
    store::{
        self,
        bacs_files::Made,
        collections::{Asked, Run, Which},
    },
};

/// Documents of one run at most.
const DOCUMENTS_MAX: usize = 2_000;

/// What the second person is asked for.
fn content(run: &Run, collections: &[Collection], total: Money) -> Value {
    let lines: Vec<Value> = collections
        .iter()
        .map(|one| {
            let documents: Vec<Value> = one
                .parts
                .iter()
                .map(|part| json!({ "document": part.document_ref, "amount": part.amount }))
                .collect();
            json!({
                "account": one.account_ref,
                "mandate": one.mandate_reference,
                "presented_again": one.first_id.is_some(),
                "amount": one.amount,
                "documents": documents,
            })
        })
        .collect();
    json!({ "entry_on": run.entry_on, "total": total, "collections": lines })
}

/// Writes a run with its collections, and asks a second person.
async fn ask_for(
    tx: &mut Tx,
    teller: Teller<'_>,
    run_id: CollectionRunId,
    collections: &[Collection],
    reason: &str,
) -> Result<(), Failure> {
    let Some(first) = collections.first() else {
        return Ok(());
    };
    let total =
        Money::sum(collections.iter().map(|one| one.amount), Currency::GBP).map_err(Failure::of)?;
    let mut run = Run {
        id: run_id,
        entry_on: first.entry_on,
        processing_on: first.processing_on,
        state: CollectionRunState::Requested,
        approval: None,
        content: String::new(),
        file_id: None,
        requested_by: teller.actor.to_owned(),
        requested_at: teller.now,
    };
    let content = content(&run, collections, total);
    run.content = serde_json::to_string(&content)?;
    let (_, content_sha256) = frozen(&content);
    let approval_id = ApprovalId::generate();
    run.approval = Some(approval_id);
    store::collections::put_run(tx, &run).await?;
    for one in collections {
        teller.collection(tx, one).await?;
    }
    let several = if collections.len() == 1 { "" } else { "s" };
    let event = RequestedByIngestion(ApprovalRequested {
        approval_id,
        kind: ApprovalKind::CollectionRun,
        subject_id: run_id.as_uuid(),
        title: format!(
            "Direct Debit on {}: {} collection{several} of {}",
            run.entry_on.format("%-d %B %Y"),
            collections.len(),
            total.display_uk()
        ),
        amount: total,
        account_id: None,
        account_ref: None,
        content_sha256,
        needed: 1,
        requester: teller.actor.to_owned(),
        reason: reason.to_owned(),
        // Sent later it would not be in time.
        expires_at: kernel::london_time(run.processing_on, chrono::NaiveTime::MIN),
        recorded_at: teller.now,
        content: Some(content),
    });
    teller.tell(tx, &event, approval_id.as_uuid(), 1).await
}

fn blocked(parts: &[Part], account_ref: Option<&str>, why: &Stopped) -> Blocked {
    Blocked {
        account_ref: account_ref.map(str::to_owned),
        document_refs: parts.iter().map(|part| part.document_ref.clone()).collect(),
        code: why.code.to_owned(),
        detail: why.detail.clone(),
    }
}

fn because(code: &'static str, detail: &str) -> Stopped {
    Stopped {
        code,
        detail: detail.to_owned(),
    }
}

/// What one account is asked for.
#[derive(Default)]
struct Group {
    account_ref: Option<String>,
    parts: Vec<Part>,
    last: bool,
}

/// What of what is asked for may be: documents that we know, owed in pounds, in
/// no other collection, and no more than they are about.
fn grouped(ask: &ProposeCollections, known: &[Asked]) -> (BTreeMap<Uuid, Group>, Vec<Blocked>) {
    let mut groups: BTreeMap<Uuid, Group> = BTreeMap::new();
    let mut stopped = Vec::new();
    let mut seen: HashSet<DocumentId> = HashSet::new();
    for wanted in &ask.documents {
        let found = known.iter().find(|d| d.document_id == wanted.document_id);
        let part = |document_ref: &str| Part {
            document_id: wanted.document_id,
            document_ref: document_ref.to_owned(),
            amount: wanted.amount,
        };
        let Some(found) = found else {
            let parts = [part(&wanted.document_id.to_string())];
            let why = because("collections.no_document", "there is no such document");
            stopped.push(blocked(&parts, None, &why));
            continue;
        };
        let why = match found.gross {
            None => Some(because("collections.not_owed", "it is no debt in pounds")),
            Some(gross)
                if !wanted.amount.is_positive()
                    || wanted
                        .amount
                        .checked_cmp(gross)
                        .is_ok_and(std::cmp::Ordering::is_gt)
                    || wanted.amount.currency() != Currency::GBP =>
            {
                Some(because(
                    "collections.amount",
                    "the amount is not between nothing and what the document is about",
                ))
            }
            Some(_) if found.taken || !seen.insert(wanted.document_id) => Some(because(
                "collections.under_way",
                "a collection of it is under way: there is never a second",
            )),
            Some(_) => None,
        };
        let account_ref = found.account_ref.clone();
        if let Some(why) = why {
            stopped.push(blocked(
                &[part(&found.document_ref)],
                account_ref.as_deref(),
                &why,
            ));
            continue;
        }
        let group = groups.entry(found.account_id).or_default();
        group.account_ref = account_ref;
        group.parts.push(part(&found.document_ref));
        group.last |= wanted.last;
    }
    (groups, stopped)
}

pub(crate) async fn propose(
    ask: ProposeCollections,
    bus: Bus,
    options: Options,
) -> Result<Proposed, Refusal> {
    service_user(&options)?;
    named("/reason", &ask.reason)?;
    if ask.documents.is_empty() || ask.documents.len() > DOCUMENTS_MAX {
        let detail = "from 1 to 2000 documents";
        return Err(refused("ingestion.too_many", "/documents", detail).into());
    }
    let now = bus.now();
    let today = london_date(now);
    let run_id = CollectionRunId::from(ask.command_id.as_uuid());
    let mut tx = bus.begin().await?;
    if tx.claim(&[run_id.as_uuid()]).await?.is_empty() {
        drop(tx);
        // What was blocked then may not be now: only the run is the same.
        return Ok(Proposed {
            run: view(&bus, run_id).await.ok(),
            blocked: Vec::new(),
        });
    }
    let ids: Vec<DocumentId> = ask.documents.iter().map(|d| d.document_id).collect();
    let known = store::collections::documents(&mut tx, &ids).await?;
    let (groups, mut stopped) = grouped(&ask, &known);
    let accounts: Vec<Uuid> = groups.keys().copied().collect();
    let mandates =
        store::mandates::lock(&mut tx, store::mandates::Which::OfAccounts(&accounts)).await?;
    let of: Vec<MandateId> = mandates.iter().map(|mandate| mandate.id).collect();
    let since = CALENDAR
        .sub_working_days(ask.entry_on, 10)
        .map_err(Failure::of)?;
    let notices = store::collections::notices(&mut tx, &of, since).await?;
    let mut collections = Vec::new();
    for (account, group) in groups {
        let account_ref = group.account_ref.as_deref();
        let own = mandates
            .iter()
            .filter(|m| m.account_id.as_uuid() == account);
        // Of several the one that may be used says best why not.
        let mut why = because(
            "collections.no_mandate",
            "the account has no Direct Debit mandate",
        );
        let mut found = None;
        for mandate in own {
            let wanted = Wanted {
                mandate,
                parts: group.parts.clone(),
                notices: notices.get(&mandate.id).map_or(&[], Vec::as_slice),
                entry_on: ask.entry_on,
                last: group.last,
                notice_days: options.bacs.notice_days,
            };
            match collection::propose(wanted, run_id, today) {
                Ok(one) => found = Some(one),
                Err(stop) => why = stop,
            }
            if found.is_some() {
                break;
            }
        }
        match found {
            Some(one) => collections.push(one),
            None => stopped.push(blocked(&group.parts, account_ref, &why)),
        }
    }
    let cause = Meta::of_command(run_id.as_uuid(), now, None);
    let teller = Teller {
        prefix: bus.prefix(),
        actor: &ask.person.actor,
        cause: &cause,
        now,
    };
    if collections.is_empty() {
        return Ok(Proposed {
            run: None,
            blocked: stopped,
        });
    }
    ask_for(&mut tx, teller, run_id, &collections, ask.reason.trim()).await?;
    tx.commit().await?;
    bus.notice(&["direct-debits".to_owned()]).await;
    Ok(Proposed {
        run: Some(view(&bus, run_id).await?),
        blocked: stopped,
    })
}

fn stop(why: &Stopped) -> Failure {
    Failure::conflict(why.code, why.detail.clone())
}

pub(crate) async fn present_again(
    ask: PresentAgain,
    bus: Bus,
    options: Options,
) -> Result<CollectionRunView, Refusal> {
    service_user(&options)?;
    named("/reason", &ask.reason)?;
    let now = bus.now();
    let run_id = CollectionRunId::from(ask.command_id.as_uuid());
    let mut tx = bus.begin().await?;
    if !tx.claim(&[run_id.as_uuid()]).await?.is_empty() {
        let ids = [ask.collection_id];
        let seen = store::collections::find(tx.conn(), Which::Ids(&ids), false).await?;
        let mandates: Vec<MandateId> = seen.iter().map(|one| one.mandate_id).collect();
        let held = store::mandates::lock(&mut tx, store::mandates::Which::Ids(&mandates)).await?;
        let all = store::collections::lock(&mut tx, Which::Mandates(&mandates)).await?;
        let of = all.iter().find(|one| one.id == ask.collection_id);
        let (Some(of), Some(mandate)) = (of, held.first()) else {
            return Err(Failure::not_found(
                "ingestion.no_collection",
                format!("there is no collection {}", ask.collection_id),
            )
            .into());
        };
        let first = of.first_id.unwrap_or(of.id);
        let later = all.iter().any(|one| {
            one.first_id == Some(first)
                && one.again > of.again
                && one.state != CollectionState::Cancelled
        });
        let documents: Vec<DocumentId> = of.parts.iter().map(|part| part.document_id).collect();
        let taken = store::collections::documents(&mut tx, &documents).await?;
        if later || taken.iter().any(|document| document.taken) {
            let detail = "a collection of it is under way, or came after it";
            return Err(Failure::conflict("collections.under_way", detail).into());
        }
        let next = of
            .present_again(mandate, ask.entry_on, run_id, london_date(now))
            .map_err(|why| stop(&why))?;
        let cause = Meta::of_command(run_id.as_uuid(), now, None);
        let teller = Teller {
            prefix: bus.prefix(),
            actor: &ask.person.actor,
            cause: &cause,
            now,
        };
        ask_for(&mut tx, teller, run_id, &[next], ask.reason.trim()).await?;
        tx.commit().await?;
        bus.notice(&["direct-debits".to_owned()]).await;
    }
    Ok(view(&bus, run_id).await?)
}

async fn view(bus: &Bus, id: CollectionRunId) -> Result<CollectionRunView, Failure> {
    let mut tx = bus.look().await?;
    let run = store::collections::runs(tx.conn(), Some(&[id]), 0, 1).await?;
    let run = run.into_iter().next().ok_or_else(|| none(id))?;
    let all = store::collections::find(tx.conn(), Which::Runs(&[id]), false).await?;
    run.view(&all, london_date(bus.now()))
}

fn none(id: CollectionRunId) -> Failure {
    Failure::not_found(
        "ingestion.no_collection_run",
        format!("there is no collection run {id}"),
    )
}

pub(crate) async fn list(
    ask: ListCollectionRuns,
    bus: Bus,
) -> Result<Page<CollectionRunView>, Failure> {
    let skip: i64 = match ask.page.cursor.as_deref() {
        None => 0,
        Some(text) => text.parse().ok().filter(|skip| *skip >= 0).ok_or_else(|| {
            refused(
                "ingestion.bad_cursor",
                "/cursor",
                "the cursor is not one of ours",
            )
        })?,
    };
    let rows = ask.page.rows();
    let only = ask.run_id.map(|id| [id]);
    let mut tx = bus.look().await?;
    let mut runs =
        store::collections::runs(tx.conn(), only.as_ref().map(|id| &id[..]), skip, rows + 1)
            .await?;
    let more = runs.len() as i64 > rows;
    runs.truncate(usize::try_from(rows).unwrap_or(usize::MAX));
    let ids: Vec<CollectionRunId> = runs.iter().map(|run| run.id).collect();
    let all = store::collections::find(tx.conn(), Which::Runs(&ids), false).await?;
    let today = london_date(bus.now());
    Ok(Page {
        items: runs
            .iter()
            .map(|run| run.view(&all, today))
            .collect::<Result<_, _>>()?,
        next_cursor: more.then(|| (skip + rows).to_string()),
    })
}

/// The run, its collections and their mandates, locked in the order of all.
async fn hold(
    tx: &mut Tx,
    id: CollectionRunId,
) -> Result<(Run, Vec<Collection>, Vec<Mandate>), Failure> {
    let ids = [id];
    let seen = store::collections::find(tx.conn(), Which::Runs(&ids), false).await?;
    let of: Vec<MandateId> = seen.iter().map(|one| one.mandate_id).collect();
    let mandates = store::mandates::lock(tx, store::mandates::Which::Ids(&of)).await?;
    let collections = store::collections::lock(tx, Which::Runs(&ids)).await?;
    let run = store::collections::lock_runs(tx, &ids).await?.pop();
    Ok((run.ok_or_else(|| none(id))?, collections, mandates))
}

pub(crate) async fn make_file(
    ask: MakeCollectionFile,
    bus: Bus,
    options: Options,
) -> Result<CollectionRunView, Refusal> {
    let user = service_user(&options)?;
    let now = bus.now();
    let today = london_date(now);
    let mut tx = bus.begin().await?;
    let id = BacsFileId::from(ask.command_id.as_uuid());
    if tx.claim(&[id.as_uuid()]).await?.is_empty() {
        drop(tx);
        return Ok(view(&bus, ask.run_id).await?);
    }
    let (mut run, collections, mandates) = hold(&mut tx, ask.run_id).await?;
    if run.state != CollectionRunState::Approved {
        let detail = format!("the run is {}", run.state.name().replace('_', " "));
        return Err(Failure::conflict("collections.run_not_approved", detail).into());
    }
    if run.processing_on <= today {
        let detail = format!(
            "the file had to be sent before {}: discard the run and ask anew",
            run.processing_on
        );
        return Err(Failure::conflict("collections.too_late", detail).into());
    }
    let cause = Meta::of_command(id.as_uuid(), now, None);
    let teller = Teller {
        prefix: bus.prefix(),
        actor: &ask.person.actor,
        cause: &cause,
        now,
    };
    let open: HashMap<DocumentId, Money> = ask
        .open
        .iter()
        .map(|now| (now.document_id, now.open))
        .collect();
    let (mut entries, mut going) = (Vec::new(), Vec::new());
    for one in collections {
        if one.state != CollectionState::Approved {
            continue;
        }
        // Paid, credited or never named: it is not collected.
        let settled = one.parts.iter().find(|part| {
            open.get(&part.document_id).is_none_or(|open| {
                part.amount
                    .checked_cmp(*open)
                    .map_or(true, std::cmp::Ordering::is_gt)
            })
        });
        if let Some(part) = settled {
            let reason = format!("less than this is open of {} by now", part.document_ref);
            let gone = one.became(CollectionState::Cancelled, &reason);
            teller.collection(&mut tx, &gone).await?;
            continue;
        }
        let mandate = mandates.iter().find(|m| m.id == one.mandate_id);
        let parts = mandate.and_then(|mandate| {
            Some((
                mandate,
                Account::of_key(&mandate.payer_account)?,
                std18::pence(one.amount)?,
            ))
        });
        let (mandate, account, pence) = parts.ok_or_else(|| {
            Failure::bug(
                "ingestion.mandate_gone",
                "a collection has no mandate to go by",
            )
        })?;
        let mut next = one.became(CollectionState::InFile, "in a file for Bacs");
        let first = !mandate.first_sent && !in_file(&mut tx, mandate.id).await?;
        let code = match next.code.as_str() {
            "18" => "18",
            "19" => "19",
            _ if first => "01",
            _ => "17",
        };
        code.clone_into(&mut next.code);
        next.file_id = Some(id);
        entries.push(Entry {
            account,
            code,
            pence,
            reference: mandate.reference.clone(),
            name: mandate.payer_name.clone(),
            processing_on: one.processing_on,
        });
        going.push(next);
    }
    if entries.is_empty() {
        run.state = CollectionRunState::Over;
    } else {
        let serial = serial(id.as_uuid());
        let content = std18::write(&user, &serial, today, &entries)
            .map_err(|problems| would_be_refused(&problems))?;
        let made = Made {
            id,
            kind: BacsFileKind::Collections,
            serial,
            processing_on: run.processing_on,
            records: entries.len(),
            total: Money::sum(going.iter().map(|one| one.amount), Currency::GBP)
                .map_err(Failure::of)?,
            sha256: hex::encode(Sha256::digest(&content)),
            content,
        };
        store::bacs_files::put(&mut tx, &made, &[], teller.actor, now).await?;
        for one in &going {
            teller.collection(&mut tx, one).await?;
        }
        run.state = CollectionRunState::InFile;
        run.file_id = Some(id);
    }
    store::collections::put_run(&mut tx, &run).await?;
    tx.commit().await?;
    bus.notice(&["direct-debits".to_owned()]).await;
    Ok(view(&bus, ask.run_id).await?)
}

/// Whether a first collection by the mandate is in a file already.
async fn in_file(tx: &mut Tx, mandate: MandateId) -> Result<bool, Failure> {
    let all = store::collections::find(tx.conn(), Which::Mandates(&[mandate]), false).await?;
    Ok(all
        .iter()
        .any(|one| one.state == CollectionState::InFile && one.code == "01"))
}

pub(crate) async fn discard(
    ask: DiscardCollectionRun,
    bus: Bus,
) -> Result<CollectionRunView, Refusal> {
    named("/reason", &ask.reason)?;
    let now = bus.now();
    let mut tx = bus.begin().await?;
    let command = ask.command_id.as_uuid();
    if !tx.claim(&[command]).await?.is_empty() {
        let (mut run, collections, _) = hold(&mut tx, ask.run_id).await?;
        let reason = ask.reason.trim();
        let sent = |one: &Collection| {
            matches!(
                one.state,
                CollectionState::Sent | CollectionState::AtRisk | CollectionState::Collected
            )
        };
        if collections.iter().any(sent) {
            let detail = "its file was fetched: it may be with Bacs";
            return Err(Failure::conflict("collections.sent", detail).into());
        }
        let cause = Meta::of_command(command, now, None);
        let teller = Teller {
            prefix: bus.prefix(),
            actor: &ask.person.actor,
            cause: &cause,
            now,
        };
        for one in collections.iter().filter(|one| one.is_live()) {
            let mut gone = one.became(CollectionState::Cancelled, reason);
            gone.file_id = None;
            teller.collection(&mut tx, &gone).await?;
        }
        let files: Vec<BacsFileId> = run.file_id.into_iter().collect();
        store::bacs_files::void(&mut tx, &files, reason).await?;
        let asked = run
            .approval
            .filter(|_| run.state == CollectionRunState::Requested);
        if let Some(approval_id) = asked {
            let event = WithdrawnByIngestion(ApprovalWithdrawn {
                approval_id,
                kind: ApprovalKind::CollectionRun,
                subject_id: run.id.as_uuid(),
                account_ref: None,
                actor: teller.actor.to_owned(),
                reason: reason.to_owned(),
                recorded_at: now,
            });
            teller
                .tell(&mut tx, &event, approval_id.as_uuid(), 2)
                .await?;
        }
        run.state = CollectionRunState::Over;
        store::collections::put_run(&mut tx, &run).await?;
        tx.commit().await?;
        bus.notice(&["direct-debits".to_owned()]).await;
    }
    Ok(view(&bus, ask.run_id).await?)
}
