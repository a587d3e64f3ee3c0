//! Mandates: looked at, and their instructions put into files. Advance notices.

use contracts::{
    api::{
        Page, Refusal,
        direct_debits::{
            BacsFileKind, BacsFileView, GetBacsUser, GetMandate, ListMandates, MakeInstructionFile,
            MandateDetail, MandateView, NoticesRecorded, RecordNotices,
        },
    },
    controls::BacsUser,
    ingestion::{BacsFileId, MandateId, MandateState},
};
use kernel::{Currency, Money, london_date};
use messaging::{Bus, Failure, Meta};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::named;
use crate::{
    Options,
    consume::direct_debits::Teller,
    domain::{
        mandate::CALENDAR,
        problem::Problem,
        std18::{self, Account, Entry, ServiceUser},
    },
    store::{self, bacs_files::Made, mandates::Which},
};

/// Instructions in one file at most.
const INSTRUCTIONS_MAX: usize = 5_000;
/// Notices in one command at most.
const NOTICES_MAX: usize = 2_000;

pub(super) fn refused(code: &'static str, pointer: &'static str, detail: &str) -> Failure {
    Failure::permanent(code, detail.to_owned()).at(pointer, detail.to_owned())
}

/// Who we are for Bacs; a refusal names the setting that is missing.
pub(super) fn service_user(options: &Options) -> Result<ServiceUser, Failure> {
    let bacs = &options.bacs;
    ServiceUser::of(&bacs.user_number, &bacs.user_name, &bacs.account)
        .map_err(|unset| Failure::permanent("ingestion.bacs_not_set", unset.to_string()))
}

pub(crate) fn user(_: GetBacsUser, options: &Options) -> Result<BacsUser, Failure> {
    let user = service_user(options)?;
    Ok(BacsUser {
        account: user.account.key(),
        user_number: user.number,
        user_name: user.name,
    })
}

pub(crate) async fn list(ask: ListMandates, bus: Bus) -> Result<Page<MandateView>, Failure> {
    let mut tx = bus.look().await?;
    let rows = ask.page.rows();
    let after = match ask.page.cursor.as_deref() {
        None => None,
        Some(cursor) => Some(cursor.split_once('\n').ok_or_else(|| {
            refused(
                "ingestion.bad_cursor",
                "/cursor",
                "the cursor is not one of ours",
            )
        })?),
    };
    let mut found = store::mandates::list(tx.conn(), &ask, after, rows + 1).await?;
    let more = found.len() as i64 > rows;
    found.truncate(usize::try_from(rows).unwrap_or(usize::MAX));
    Ok(Page {
        next_cursor: found
            .last()
            .filter(|_| more)
            .map(|(mandate, _)| format!("{}\n{}", mandate.account_ref, mandate.reference)),
        items: found
            .iter()
            .map(|(mandate, at)| mandate.view(*at))
            .collect(),
    })
}

pub(crate) async fn get(ask: GetMandate, bus: Bus) -> Result<MandateDetail, Failure> {
    let mut tx = bus.look().await?;
    let (mandate, at) = store::mandates::get(tx.conn(), ask.mandate_id)
        .await?
        .ok_or_else(|| {
            Failure::not_found(
                "ingestion.no_mandate",
                format!("there is no mandate {}", ask.mandate_id),
            )
        })?;
    Ok(MandateDetail {
        mandate: mandate.view(at),
        history: store::mandates::history(tx.conn(), ask.mandate_id).await?,
    })
}

pub(crate) async fn notices(ask: RecordNotices, bus: Bus) -> Result<NoticesRecorded, Refusal> {
    let count = ask.notices.len();
    if count == 0 || count > NOTICES_MAX {
        let detail = "from 1 to 2000 notices";
        return Err(refused("ingestion.too_many", "/notices", detail).into());
    }
    let today = london_date(bus.now());
    for notice in &ask.notices {
        named("/notices/channel", &notice.channel)?;
        named("/notices/reference", &notice.reference)?;
        if !notice.amount.is_positive() || notice.amount.currency() != Currency::GBP {
            let detail = "a positive amount in pounds";
            return Err(refused("ingestion.bad_amount", "/notices/amount", detail).into());
        }
        if notice.sent_on > today {
            let detail = "a notice was sent today or before";
            return Err(refused("ingestion.notice_to_come", "/notices/sent_on", detail).into());
        }
    }
    let mut tx = bus.begin().await?;
    let command = ask.command_id.as_uuid();
    if !tx.claim(&[command]).await?.is_empty() {
        let actor = ask.person.actor.as_str();
        let known =
            store::collections::put_notices(&mut tx, command, &ask.notices, actor, bus.now())
                .await?;
        if known != count as u64 {
            let detail = "a notice names a mandate that we do not know";
            return Err(
                refused("ingestion.no_mandate", "/notices/mandate_reference", detail).into(),
            );
        }
        tx.commit().await?;
    }
    Ok(NoticesRecorded {
        recorded: u32::try_from(count).unwrap_or(u32::MAX),
    })
}

/// Six characters that tell a file from the others of a service user.
pub(crate) fn serial(file: Uuid) -> String {
    let hex = file.simple().to_string().to_uppercase();
    hex.get(26..).unwrap_or_default().to_owned()
}

/// A file that Bacs would refuse is not made.
pub(super) fn would_be_refused(problems: &[Problem]) -> Failure {
    let first = problems.first().map(ToString::to_string);
    Failure::permanent(
        "ingestion.bacs_file_wrong",
        format!(
            "the file cannot be made: {}",
            first.unwrap_or_else(|| "nothing is in it".to_owned())
        ),
    )
}

/// Every instruction that is due goes into one file.
pub(crate) async fn make_file(
    ask: MakeInstructionFile,
    bus: Bus,
    options: Options,
) -> Result<BacsFileView, Refusal> {
    let user = service_user(&options)?;
    let now = bus.now();
    let today = london_date(now);
    let next = CALENDAR.next_working_day(today).map_err(Failure::of)?;
    let processing_on = ask.processing_on.unwrap_or(next);
    if processing_on <= today || !CALENDAR.is_working_day(processing_on).unwrap_or(false) {
        let detail = "a working day after today";
        return Err(refused("ingestion.processing_day", "/processing_on", detail).into());
    }
    let id = BacsFileId::from(ask.command_id.as_uuid());
    let mut tx = bus.begin().await?;
    if !tx.claim(&[id.as_uuid()]).await?.is_empty() {
        let mut due = store::mandates::lock(&mut tx, Which::Due).await?;
        due.truncate(INSTRUCTIONS_MAX);
        let mut entries = Vec::new();
        let mut instructions: Vec<(MandateId, &'static str)> = Vec::new();
        let mut sent = Vec::new();
        for mandate in &due {
            let (Some(instruction), Some(mut next), Some(account)) = (
                mandate.due,
                mandate.sent(processing_on),
                Account::of_key(&mandate.payer_account),
            ) else {
                continue;
            };
            entries.push(Entry {
                account,
                code: instruction.code(),
                pence: 0,
                reference: mandate.reference.clone(),
                name: mandate.payer_name.clone(),
                processing_on,
            });
            instructions.push((mandate.id, instruction.code()));
            next.version += 1;
            sent.push(next);
        }
        if entries.is_empty() {
            let detail = "no instruction is due";
            return Err(Failure::conflict("ingestion.nothing_due", detail).into());
        }
        let serial = serial(id.as_uuid());
        let content = std18::write(&user, &serial, today, &entries)
            .map_err(|problems| would_be_refused(&problems))?;
        let made = Made {
            id,
            kind: BacsFileKind::Instructions,
            serial,
            processing_on,
            records: entries.len(),
            total: Money::zero(Currency::GBP),
            sha256: hex::encode(Sha256::digest(&content)),
            content,
        };
        let actor = ask.person.actor.as_str();
        store::bacs_files::put(&mut tx, &made, &instructions, actor, now).await?;
        let cause = Meta::of_command(id.as_uuid(), now, None);
        let teller = Teller {
            prefix: bus.prefix(),
            actor,
            cause: &cause,
            now,
        };
        for next in &sent {
            debug_assert!(matches!(
                next.state,
                MandateState::Lodged | MandateState::Cancelled
            ));
            teller.mandate(&mut tx, next).await?;
        }
        tx.commit().await?;
        bus.notice(&["direct-debits".to_owned()]).await;
    }
    Ok(super::bacs_files::view(&bus, id).await?)
}
