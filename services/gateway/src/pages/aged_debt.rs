//! Aged debt: accounts by age of debt, as at a day and as known at a moment.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use contracts::api::reporting::{
    AgedDebt, AgedItem, AgedRow, AgedTotals, AgeingBasis, GetAgedDebt, GetAgedItems,
};
use kernel::{AccountId, Currency, Money};
use rust_decimal::{Decimal, prelude::ToPrimitive as _};
use serde::Deserialize;

use super::{
    PageProblem, Section, Shell, Visit,
    show::{Named as _, Uk as _, from_local, local},
};
use crate::{
    App,
    api::{encoded, page_request, reports::aged_debt_file, search, table::File},
    problem::Problem,
};

/// The filters as the address has them. Empty fields of a form are no filters.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Filters {
    as_of: String,
    known_at: String,
    basis: String,
    search: String,
    segment: String,
    account_id: String,
    currency: String,
    bucket: String,
    cursor: String,
}

/// `None` for an empty field, a problem for one that makes no sense.
fn maybe<T>(
    text: &str,
    name: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    read(text).map(Some).ok_or_else(|| {
        Problem::invalid(
            "gateway.bad_filter",
            &format!("/{name}"),
            format!("“{text}” cannot be read"),
        )
    })
}

impl Filters {
    fn basis(&self) -> AgeingBasis {
        if self.basis == "document" {
            AgeingBasis::Document
        } else {
            AgeingBasis::Due
        }
    }

    fn question(&self) -> Result<GetAgedDebt, Problem> {
        Ok(GetAgedDebt {
            as_of: maybe(&self.as_of, "as_of", |text| text.parse().ok())?,
            known_at: maybe(&self.known_at, "known_at", from_local)?,
            basis: self.basis(),
            search: search(Some(self.search.clone())),
            segment: search(Some(self.segment.clone())),
            page: page_request(Some(self.cursor.clone()), None),
        })
    }

    fn items_question(&self) -> Result<GetAgedItems, Problem> {
        Ok(GetAgedItems {
            as_of: maybe(&self.as_of, "as_of", |text| text.parse().ok())?,
            known_at: maybe(&self.known_at, "known_at", from_local)?,
            basis: self.basis(),
            account_id: maybe(&self.account_id, "account_id", |text| text.parse().ok())?,
            currency: maybe(&self.currency, "currency", |text| {
                Currency::parse(text).ok()
            })?,
            bucket: maybe(&self.bucket, "bucket", |text| text.parse().ok())?,
            page: page_request(Some(self.cursor.clone()), None),
        })
    }

    fn link(&self, path: &str) -> String {
        let fields = [
            ("as_of", &self.as_of),
            ("known_at", &self.known_at),
            ("basis", &self.basis),
            ("search", &self.search),
            ("segment", &self.segment),
            ("account_id", &self.account_id),
            ("currency", &self.currency),
            ("bucket", &self.bucket),
            ("cursor", &self.cursor),
        ];
        let query: Vec<String> = fields
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{}", query.join("&"))
        }
    }

    /// The documents behind a cell, at the moment that the page shows.
    fn items(
        &self,
        report: &AgedDebt,
        account: Option<AccountId>,
        currency: Currency,
        bucket: Option<usize>,
    ) -> String {
        Self {
            as_of: report.as_of.to_string(),
            known_at: report
                .known_at
                .to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
            basis: self.basis.clone(),
            account_id: account.map(|id| id.to_string()).unwrap_or_default(),
            currency: currency.code().to_owned(),
            bucket: bucket.map(|index| index.to_string()).unwrap_or_default(),
            ..Self::default()
        }
        .link("/aged-debt/items")
    }
}

struct Cell {
    amount: Money,
    href: String,
    /// 0 (nothing overdue) to 5, by share of the largest overdue cell.
    heat: i64,
}

struct Row {
    aged: AgedRow,
    cells: Vec<Cell>,
    href: String,
}

struct Total {
    totals: AgedTotals,
    cells: Vec<Cell>,
    href: String,
}

#[derive(Template)]
#[template(path = "aged_debt.html")]
struct AgedDebtPage {
    shell: Shell,
    filters: Filters,
    as_of: chrono::NaiveDate,
    /// What the page shows now, as its field would have it.
    known_at: String,
    /// A moment was asked for: what came later is left out.
    then: bool,
    by_document: bool,
    titles: Vec<String>,
    rows: Vec<Row>,
    totals: Vec<Total>,
    next: Option<String>,
    first: Option<String>,
    csv: String,
    xlsx: String,
}

/// `GET /aged-debt`
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(filters): Query<Filters>,
) -> Result<Response, PageProblem> {
    let question = filters.question().map_err(visit.give_up())?;
    let then = question.known_at.is_some();
    let report = app.bus.ask(&question).await.map_err(visit.give_up())?;
    let page = AgedDebtPage {
        shell: visit.shell(Section::AgedDebt, "Aged debt"),
        as_of: report.as_of,
        known_at: local(report.known_at),
        then,
        by_document: report.basis == AgeingBasis::Document,
        titles: report
            .buckets
            .iter()
            .map(|bucket| bucket.title.clone())
            .collect(),
        rows: rows(&filters, &report),
        totals: totals(&filters, &report),
        next: report.rows.next_cursor.clone().map(|cursor| {
            Filters {
                cursor,
                ..filters.clone()
            }
            .link("/aged-debt")
        }),
        first: (!filters.cursor.is_empty()).then(|| {
            Filters {
                cursor: String::new(),
                ..filters.clone()
            }
            .link("/aged-debt")
        }),
        csv: Filters {
            cursor: String::new(),
            ..filters.clone()
        }
        .link("/aged-debt/export.csv"),
        xlsx: Filters {
            cursor: String::new(),
            ..filters.clone()
        }
        .link("/aged-debt/export.xlsx"),
        filters,
    };
    Ok(visit.show(StatusCode::OK, &page))
}

fn rows(filters: &Filters, report: &AgedDebt) -> Vec<Row> {
    // Not due is not hot, and currencies are not compared.
    let hottest = |currency: Currency| {
        let overdue = report
            .rows
            .items
            .iter()
            .filter(|row| row.currency == currency);
        overdue
            .flat_map(|row| row.buckets.iter().skip(1))
            .map(|money| money.amount())
            .max()
            .unwrap_or_default()
    };
    report
        .rows
        .items
        .iter()
        .map(|row| {
            let hottest = hottest(row.currency);
            let cells = row.buckets.iter().enumerate().map(|(index, amount)| Cell {
                amount: *amount,
                href: filters.items(report, Some(row.account_id), row.currency, Some(index)),
                heat: if index == 0 {
                    0
                } else {
                    heat(amount.amount(), hottest)
                },
            });
            Row {
                cells: cells.collect(),
                href: filters.items(report, Some(row.account_id), row.currency, None),
                aged: row.clone(),
            }
        })
        .collect()
}

fn totals(filters: &Filters, report: &AgedDebt) -> Vec<Total> {
    report
        .totals
        .iter()
        .map(|totals| Total {
            cells: totals
                .buckets
                .iter()
                .enumerate()
                .map(|(index, amount)| Cell {
                    amount: *amount,
                    href: filters.items(report, None, totals.currency, Some(index)),
                    heat: 0,
                })
                .collect(),
            href: filters.items(report, None, totals.currency, None),
            totals: totals.clone(),
        })
        .collect()
}

fn heat(amount: Decimal, hottest: Decimal) -> i64 {
    if amount <= Decimal::ZERO {
        return 0;
    }
    let fifths = (amount * Decimal::from(5)).checked_div(hottest);
    fifths
        .and_then(|fifths| fifths.ceil().to_i64())
        .unwrap_or(0)
        .clamp(1, 5)
}

/// `GET /aged-debt/export.csv`
pub(crate) async fn csv(
    State(app): State<App>,
    visit: Visit,
    Query(filters): Query<Filters>,
) -> Result<Response, PageProblem> {
    export(&app, &visit, &filters, File::CsvForPeople).await
}

/// `GET /aged-debt/export.xlsx`
pub(crate) async fn xlsx(
    State(app): State<App>,
    visit: Visit,
    Query(filters): Query<Filters>,
) -> Result<Response, PageProblem> {
    export(&app, &visit, &filters, File::Xlsx).await
}

async fn export(
    app: &App,
    visit: &Visit,
    filters: &Filters,
    file: File,
) -> Result<Response, PageProblem> {
    let question = filters.question().map_err(visit.give_up())?;
    let answer = aged_debt_file(app, question, file).await;
    answer.map_err(visit.give_up())
}

#[derive(Template)]
#[template(path = "aged_items.html")]
struct AgedItemsPage {
    shell: Shell,
    /// Back to where the cell was clicked.
    back: String,
    /// Whose items, where it is one account.
    account: Option<(AccountId, String)>,
    bucket: Option<String>,
    as_of: Option<String>,
    items: Vec<AgedItem>,
    next: Option<String>,
    first: Option<String>,
}

/// `GET /aged-debt/items`
pub(crate) async fn items(
    State(app): State<App>,
    visit: Visit,
    Query(filters): Query<Filters>,
) -> Result<Response, PageProblem> {
    let page = assemble(&app, &visit, filters)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

async fn assemble(app: &App, visit: &Visit, filters: Filters) -> Result<AgedItemsPage, Problem> {
    let question = filters.items_question()?;
    // For the title of the bucket.
    let titles = GetAgedDebt {
        as_of: question.as_of,
        known_at: question.known_at,
        page: page_request(None, Some(1)),
        ..GetAgedDebt::default()
    };
    let (found, report) = tokio::try_join!(app.bus.ask(&question), app.bus.ask(&titles))?;
    let account = question.account_id.map(|id| {
        let named = found.items.iter().find(|item| item.account_id == id);
        let name = named.map(|item| format!("{} {}", item.account_ref, item.account_name));
        (id, name.unwrap_or_else(|| "this account".to_owned()))
    });
    let back = Filters {
        as_of: filters.as_of.clone(),
        known_at: filters.known_at.clone(),
        basis: filters.basis.clone(),
        ..Filters::default()
    };
    Ok(AgedItemsPage {
        shell: visit.shell(Section::AgedDebt, "Aged debt: documents"),
        back: back.link("/aged-debt"),
        account,
        bucket: question
            .bucket
            .and_then(|index| report.buckets.get(usize::from(index)))
            .map(|bucket| bucket.title.clone()),
        as_of: Some(report.as_of.uk()),
        next: found.next_cursor.map(|cursor| {
            Filters {
                cursor,
                ..filters.clone()
            }
            .link("/aged-debt/items")
        }),
        first: (!filters.cursor.is_empty()).then(|| {
            Filters {
                cursor: String::new(),
                ..filters.clone()
            }
            .link("/aged-debt/items")
        }),
        items: found.items,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_is_a_share_of_the_hottest_and_never_of_nothing() {
        let of = |amount: i64, hottest: i64| heat(amount.into(), hottest.into());
        assert_eq!(of(0, 100), 0);
        assert_eq!(of(-5, 100), 0);
        assert_eq!(of(1, 100), 1);
        assert_eq!(of(41, 100), 3);
        assert_eq!(of(100, 100), 5);
        assert_eq!(of(5, 0), 1, "nothing overdue elsewhere");
    }

    #[test]
    fn empty_fields_are_no_filters_and_nonsense_is_refused() {
        let question = Filters::default().question().unwrap();
        assert_eq!(question, GetAgedDebt::default());
        let filters = Filters {
            as_of: "2026-10-31".into(),
            known_at: "2026-11-02T08:00".into(),
            basis: "document".into(),
            ..Filters::default()
        };
        let question = filters.question().unwrap();
        assert_eq!(question.as_of.unwrap().to_string(), "2026-10-31");
        assert_eq!(
            question.known_at.unwrap().to_rfc3339(),
            "2026-11-02T08:00:00+00:00"
        );
        assert_eq!(question.basis, AgeingBasis::Document);
        let bad = Filters {
            as_of: "31/10/2026".into(),
            ..Filters::default()
        };
        assert_eq!(bad.question().unwrap_err().errors[0].pointer, "/as_of");
    }
}
