//! A report as a table: comma-separated for programs, a workbook for people.

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use chrono::NaiveDate;
use kernel::Money;
use messaging::Failure;

use crate::problem::Problem;

/// What a client wants a report as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Csv,
}

const JSON: &str = "application/json";
const CSV: &str = "text/csv";

/// What the `Accept` header asks for, the client's favourite first.
pub(crate) fn wanted(headers: &HeaderMap) -> Result<Form, Problem> {
    let accept = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect::<Vec<_>>()
        .join(",");
    if accept.trim().is_empty() {
        return Ok(Form::Json);
    }
    let mut ranges: Vec<(u16, &str)> = accept
        .split(',')
        .map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let quality = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(1000, thousandths);
            (quality, media)
        })
        .filter(|(quality, _)| *quality > 0)
        .collect();
    // Stable: among equals, the one named first.
    ranges.sort_by_key(|(quality, _)| std::cmp::Reverse(*quality));
    ranges
        .into_iter()
        .find_map(|(_, media)| match media.to_ascii_lowercase().as_str() {
            JSON | "application/*" | "*/*" => Some(Form::Json),
            CSV | "text/*" => Some(Form::Csv),
            _ => None,
        })
        .ok_or_else(|| {
            Problem::new(
                StatusCode::NOT_ACCEPTABLE,
                "gateway.not_acceptable",
                format!("this is to be had as {JSON} or {CSV}"),
            )
        })
}

/// A quality value such as `0.8`, in thousandths.
fn thousandths(quality: &str) -> u16 {
    let (whole, fraction) = quality
        .trim()
        .split_once('.')
        .unwrap_or((quality.trim(), ""));
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    format!("{whole}{fraction}").parse().unwrap_or(0).min(1000)
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Text(String),
    /// In major units; the currency has a column of its own.
    Amount(Money),
    Date(NaiveDate),
    Count(i64),
    Empty,
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn maybe<T>(value: Option<T>, cell: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Empty, cell)
    }

    fn csv(&self) -> String {
        match self {
            Self::Text(text) => harmless(text),
            Self::Amount(money) => money.amount().to_string(),
            Self::Date(date) => date.to_string(),
            Self::Count(count) => count.to_string(),
            Self::Empty => String::new(),
        }
    }
}

/// A text that a spreadsheet will not take for a formula: what payers write
/// into a bank transfer ends up here.
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// A whole report.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// Of the file, without its ending.
    pub name: String,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// As `text/csv` (RFC 4180). `for_people` begins it with the mark by which
    /// Excel knows UTF-8; programs would take it for a part of the first column.
    pub(crate) fn into_csv(self, for_people: bool) -> Result<Response, Problem> {
        let mark = if for_people { "\u{feff}" } else { "" };
        let mut writer = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(mark.as_bytes().to_vec());
        let broken = |error: csv::Error| {
            Failure::bug("gateway.csv", "the table cannot be written").caused_by(error)
        };
        writer.write_record(&self.columns).map_err(broken)?;
        for row in &self.rows {
            writer
                .write_record(row.iter().map(Cell::csv))
                .map_err(broken)?;
        }
        let body = writer.into_inner().map_err(|error| {
            Failure::bug(
                "gateway.csv",
                format!("the table cannot be written: {error}"),
            )
        })?;
        let headers = [
            (
                header::CONTENT_TYPE,
                "text/csv; charset=utf-8; header=present".to_owned(),
            ),
            (
                header::CONTENT_DISPOSITION,
                format!("attachment; filename=\"{}.csv\"", self.name),
            ),
        ];
        Ok((headers, body).into_response())
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use kernel::Currency;

    use super::*;

    fn form(accept: &str) -> Result<Form, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        wanted(&headers).map_err(|problem| problem.status)
    }

    #[test]
    fn the_accept_header_decides_the_form() {
        assert_eq!(wanted(&HeaderMap::new()).unwrap(), Form::Json);
        assert_eq!(form("*/*"), Ok(Form::Json));
        assert_eq!(form("text/csv"), Ok(Form::Csv));
        assert_eq!(form("application/json;q=0.5, text/csv"), Ok(Form::Csv));
        assert_eq!(
            form("text/csv;q=0.1, application/json;q=0.25"),
            Ok(Form::Json)
        );
        assert_eq!(form("text/csv;q=0, */*;q=0.1"), Ok(Form::Json));
        assert_eq!(form("image/png"), Err(406));
    }

    #[tokio::test]
    async fn no_cell_of_a_csv_file_is_taken_for_a_formula_and_no_amount_is_quoted() {
        let table = Table {
            name: "unallocated".into(),
            columns: vec!["Payer".into(), "Amount".into(), "Booked".into()],
            rows: vec![
                vec![
                    Cell::text("=HYPERLINK(\"x\")"),
                    Cell::Amount(Money::parse("-120", Currency::GBP).unwrap()),
                    Cell::Date(NaiveDate::from_ymd_opt(2026, 11, 22).unwrap()),
                ],
                vec![
                    Cell::text("Müller, \"Söhne\""),
                    Cell::Count(-3),
                    Cell::Empty,
                ],
            ],
        };
        let response = table.into_csv(true).unwrap();
        assert!(
            response.headers()[header::CONTENT_DISPOSITION]
                .to_str()
                .unwrap()
                .contains("unallocated.csv")
        );
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert_eq!(
            String::from_utf8(body.to_vec()).unwrap(),
            "\u{feff}Payer,Amount,Booked\r\n\
             \"'=HYPERLINK(\"\"x\"\")\",-120.00,2026-11-22\r\n\
             \"Müller, \"\"Söhne\"\"\",-3,\r\n"
        );
    }
}
