//! What of a report of Bacs is new, and what is told of it.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::ingestion::{InstructionAdvised, InstructionReport, ReturnAdvised, ReturnReport};
use kernel::{BacsRecordId, Currency, Division, ImportId, Money, WorkingCalendar, london_date};
use uuid::Uuid;

use super::{
    bacs::{Claim, Record, Report, Returned},
    file::int,
    mandate::advice::Advice,
    parse::Item,
    problem::Problem,
    record::Origin,
};

/// Days without a report that are named one by one, at most.
const DAYS_NAMED: usize = 10;

/// The doubt that a report was not imported.
pub const MISSING_DAY: &str = "missing_report_day";

/// What the books hold about a report.
#[derive(Debug, Default)]
pub struct KnownReports {
    /// Records by their keys, each with the number of the report that told it.
    pub records: HashMap<Uuid, Option<String>>,
    /// The latest day before this report's of which there is one of its kind.
    pub day_before: Option<NaiveDate>,
    /// The account of ours that all reports of this service user name.
    pub own_account: Option<String>,
}

/// A report with what it adds.
#[derive(Debug)]
pub struct News {
    pub report_id: Uuid,
    pub report: Report,
    pub reported_on: NaiveDate,
    pub items: i32,
    pub total: Option<Money>,
    pub records: Vec<NewRecord>,
    pub returns: Vec<ReturnAdvised>,
    pub advices: Vec<InstructionAdvised>,
}

/// A record that is new.
#[derive(Debug)]
pub struct NewRecord {
    pub id: BacsRecordId,
    pub record: Record,
    pub bank_account: Option<String>,
}

impl News {
    /// What it says of mandates and what is collected by them.
    pub fn of_mandates(&self) -> Vec<Advice> {
        let returns = self.returns.iter().filter_map(Advice::of_return);
        let advices = self.advices.iter().filter_map(Advice::of_instruction);
        returns.chain(advices).collect()
    }
}

/// What of a report is new. Doubts go to `problems`.
pub fn decide(
    report: Report,
    records: Vec<Record>,
    known: &mut KnownReports,
    import_id: ImportId,
    origin: &Origin,
    now: DateTime<Utc>,
    problems: &mut Vec<Problem>,
) -> News {
    let days = report.reported_on.zip(known.day_before);
    problems.extend(days.and_then(|(until, before)| missing_days(report.kind, until, before)));
    let reported_on = report.reported_on.unwrap_or_else(|| london_date(now));
    let money = records.iter().filter_map(|record| match &record.item {
        Item::BacsReturn(item) => Some(item.amount),
        Item::BacsClaim(item) if !item.withdrawn => Some(item.amount),
        _ => None,
    });
    let amounts: Vec<Money> = money.collect();
    let mut news = News {
        report_id: Uuid::now_v7(),
        reported_on,
        items: int(records.len()),
        total: (!amounts.is_empty())
            .then(|| Money::sum(amounts.iter().copied(), Currency::GBP).ok())
            .flatten(),
        records: Vec::new(),
        returns: Vec::new(),
        advices: Vec::new(),
        report,
    };
    let desk = Desk {
        import_id,
        origin,
        now,
        claims: (int(amounts.len()), news.total),
    };
    for record in records {
        if let Some(number) = known.records.get(&record.key) {
            if *number != news.report.number {
                problems.push(
                    Problem::new(
                        "possible_twin",
                        "another report of the day has the same record; it was taken for that one and not recorded again",
                    )
                    .at_line(record.line),
                );
            }
            continue;
        }
        known.records.insert(record.key, news.report.number.clone());
        let id = BacsRecordId::generate();
        let mut bank_account = None;
        match &record.item {
            Item::BacsReturn(item) => {
                bank_account = Some(item.our_account.clone());
                let told = desk.returned(id, item, &news);
                news.returns.push(told);
            }
            Item::BacsClaim(item) => {
                let told = desk.claim(id, item, &news, known.own_account.clone());
                news.returns.push(told);
            }
            Item::BacsAdvice(item) => {
                let told = desk.advice(id, item, &news);
                news.advices.extend(told);
            }
            // They say what Bacs took of our own file: nobody has to be told.
            _ => {}
        }
        news.records.push(NewRecord {
            id,
            record,
            bank_account,
        });
    }
    news
}

/// Working days between a report of the day `before` and the next one, of the day
/// `until`: of these there is none (E40). Bacs makes no report on a day on which
/// nothing came back: that nothing did is for a person to know.
pub fn missing_days(kind: &str, until: NaiveDate, before: NaiveDate) -> Option<Problem> {
    if !matches!(kind, "arudd" | "addacs") {
        return None;
    }
    let calendar = WorkingCalendar::new(Division::EnglandWales);
    let mut day = before;
    let mut missing = Vec::new();
    loop {
        day = calendar.add_working_days(day, 1).ok()?;
        if day >= until {
            break;
        }
        missing.push(day);
    }
    if missing.is_empty() {
        return None;
    }
    let mut named: Vec<String> = missing
        .iter()
        .take(DAYS_NAMED)
        .map(ToString::to_string)
        .collect();
    if missing.len() > DAYS_NAMED {
        named.push(format!("and {} days more", missing.len() - DAYS_NAMED));
    }
    Some(Problem::new(
        MISSING_DAY,
        format!(
            "no {} report for {}: nothing came back on those days, or a report was not imported",
            kind.to_uppercase(),
            named.join(", ")
        ),
    ))
}

struct Desk<'d> {
    import_id: ImportId,
    origin: &'d Origin,
    now: DateTime<Utc>,
    /// How many claims the report has, and what they come to.
    claims: (i32, Option<Money>),
}

impl Desk<'_> {
    fn returned(&self, record_id: BacsRecordId, item: &Returned, news: &News) -> ReturnAdvised {
        let accounts = news.report.accounts.iter();
        let mut of_account = accounts.filter(|of| of.account == item.our_account);
        let (mut items, mut total) = (0, None);
        for of in &mut of_account {
            items += int(of.items);
            total = match total {
                None => Some(of.total),
                Some(before) => of.total.checked_add(before).ok(),
            };
        }
        ReturnAdvised {
            record_id,
            report: if item.report == "arucs" {
                ReturnReport::Arucs
            } else {
                ReturnReport::Arudd
            },
            import_id: self.import_id,
            service_user_number: news.report.service_user_number.clone(),
            bank_account: Some(item.our_account.clone()),
            reference: item.reference.clone(),
            code: item.code.clone(),
            amount: item.amount,
            original_on: item.original_on,
            reported_on: news.reported_on,
            payer_name: item.payer_name.clone(),
            payer_account: item.payer_account.clone(),
            transaction_code: item.transaction_code.clone(),
            claim: None,
            withdrawn: false,
            expected_on: None,
            items,
            total: total.unwrap_or(item.amount),
            recorded_at: self.now,
            actor: self.origin.actor.clone(),
        }
    }

    fn claim(
        &self,
        record_id: BacsRecordId,
        item: &Claim,
        news: &News,
        own_account: Option<String>,
    ) -> ReturnAdvised {
        ReturnAdvised {
            record_id,
            report: ReturnReport::Ddica,
            import_id: self.import_id,
            service_user_number: news.report.service_user_number.clone(),
            bank_account: own_account,
            reference: item.reference.clone(),
            code: item.code.clone(),
            amount: item.amount,
            original_on: item.debited_on,
            reported_on: news.reported_on,
            payer_name: item.payer_name.clone(),
            payer_account: item.payer_account.clone(),
            transaction_code: None,
            claim: Some(item.claim.clone()),
            withdrawn: item.withdrawn,
            expected_on: item.expected_on,
            items: self.claims.0,
            total: self.claims.1.unwrap_or(item.amount),
            recorded_at: self.now,
            actor: self.origin.actor.clone(),
        }
    }

    fn advice(
        &self,
        record_id: BacsRecordId,
        item: &super::bacs::Advice,
        news: &News,
    ) -> Option<InstructionAdvised> {
        let user = item.service_user_number.as_ref();
        Some(InstructionAdvised {
            record_id,
            report: InstructionReport::named(item.report)?,
            import_id: self.import_id,
            service_user_number: user.unwrap_or(&news.report.service_user_number).clone(),
            record_type: item.record_type.clone(),
            reference: item.reference.clone(),
            code: item.code.clone(),
            meaning: item.meaning.map(str::to_owned),
            action: item.action.map(str::to_owned),
            payer_name: item.payer_name.clone(),
            payer_account: item.payer_account.clone(),
            new_payer_account: item.new_payer_account.clone(),
            effective_on: item.effective_on,
            reported_on: news
                .report
                .reported_on
                .or(item.effective_on)
                .unwrap_or(news.reported_on),
            volume: item.volume.clone(),
            accepted: item.accepted,
            rejected: item.rejected,
            errors: item.errors.clone(),
            recorded_at: self.now,
            actor: self.origin.actor.clone(),
        })
    }
}
