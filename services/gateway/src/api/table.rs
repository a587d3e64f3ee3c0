//! A report as a table: comma-separated for programs, a workbook for people.

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use chrono::{Datelike as _, NaiveDate};
use kernel::Money;
use messaging::Failure;
use rust_decimal::prelude::ToPrimitive as _;
use rust_xlsxwriter::{
    ExcelDateTime, Format, Table as ExcelTable, TableColumn, Workbook, XlsxError,
};

use crate::problem::Problem;

/// What a client wants a report as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    File(File),
}

/// What a report can be saved as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum File {
    /// For programs.
    Csv,
    /// Begins with the mark by which Excel knows UTF-8; a program would take it
    /// for a part of the first column's name.
    CsvForPeople,
    Xlsx,
}

const JSON: &str = "application/json";
const CSV: &str = "text/csv";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

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
            CSV | "text/*" => Some(Form::File(File::Csv)),
            XLSX => Some(Form::File(File::Xlsx)),
            _ => None,
        })
        .ok_or_else(|| {
            Problem::new(
                StatusCode::NOT_ACCEPTABLE,
                "gateway.not_acceptable",
                format!("this is to be had as {JSON}, {CSV} or {XLSX}"),
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
    /// The file, as an answer.
    pub(crate) async fn into_file(self, file: File) -> Result<Response, Problem> {
        let name = self.name.clone();
        let (media, ending) = match file {
            File::Csv | File::CsvForPeople => ("text/csv; charset=utf-8; header=present", "csv"),
            File::Xlsx => (XLSX, "xlsx"),
        };
        // A workbook of many rows takes its time.
        let written = tokio::task::spawn_blocking(move || match file {
            File::Csv => self.csv(""),
            File::CsvForPeople => self.csv("\u{feff}"),
            File::Xlsx => self.xlsx(),
        });
        let body = written
            .await
            .map_err(|error| unwritable().caused_by(error))??;
        let disposition = format!("attachment; filename=\"{name}.{ending}\"");
        let headers = [
            (header::CONTENT_TYPE, media.to_owned()),
            (header::CONTENT_DISPOSITION, disposition),
        ];
        Ok((headers, body).into_response())
    }

    /// As RFC 4180 has it.
    fn csv(&self, mark: &str) -> Result<Vec<u8>, Failure> {
        let mut writer = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(mark.as_bytes().to_vec());
        let broken = |error: csv::Error| unwritable().caused_by(error);
        writer.write_record(&self.columns).map_err(broken)?;
        for row in &self.rows {
            writer
                .write_record(row.iter().map(Cell::csv))
                .map_err(broken)?;
        }
        writer
            .into_inner()
            .map_err(|error| unwritable().caused_by(error.into_error()))
    }

    /// A workbook with one sheet: an Excel table with its header in sight.
    fn xlsx(&self) -> Result<Vec<u8>, Failure> {
        self.workbook()
            .and_then(|mut workbook| workbook.save_to_buffer())
            .map_err(|error| unwritable().caused_by(error))
    }

    fn workbook(&self) -> Result<Workbook, XlsxError> {
        let money = Format::new().set_num_format("#,##0.00;(#,##0.00)");
        let date = Format::new().set_num_format("d mmm yyyy");
        let mut workbook = Workbook::new();
        let sheet = workbook.add_worksheet();
        sheet.set_freeze_panes(1, 0)?;
        for (row, cells) in (1..).zip(&self.rows) {
            for (column, cell) in (0..).zip(cells) {
                match cell {
                    // A string cell is never a formula, whatever it begins with.
                    Cell::Text(text) => sheet.write_string(row, column, text)?,
                    // The format has no decimals: the last digits of amounts
                    // beyond 10^13 are lost here, and only here.
                    Cell::Amount(amount) => sheet.write_number_with_format(
                        row,
                        column,
                        amount.amount().to_f64().unwrap_or_default(),
                        &money,
                    )?,
                    Cell::Date(day) => {
                        let day = ExcelDateTime::from_ymd(
                            u16::try_from(day.year()).unwrap_or_default(),
                            u8::try_from(day.month()).unwrap_or_default(),
                            u8::try_from(day.day()).unwrap_or_default(),
                        )?;
                        sheet.write_datetime_with_format(row, column, &day, &date)?
                    }
                    Cell::Count(count) => sheet.write_number(row, column, *count as f64)?,
                    Cell::Empty => sheet,
                };
            }
        }
        let columns: Vec<_> = self
            .columns
            .iter()
            .map(|title| TableColumn::new().set_header(title))
            .collect();
        let rows = u32::try_from(self.rows.len()).unwrap_or(u32::MAX).max(1);
        if let Some(last) = u16::try_from(columns.len())
            .ok()
            .and_then(|n| n.checked_sub(1))
        {
            sheet.add_table(0, 0, rows, last, &ExcelTable::new().set_columns(&columns))?;
        }
        sheet.autofit();
        Ok(workbook)
    }
}

fn unwritable() -> Failure {
    Failure::bug("gateway.file", "the report cannot be written as a file")
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
        assert_eq!(form("text/csv"), Ok(Form::File(File::Csv)));
        assert_eq!(
            form("application/json;q=0.5, text/csv"),
            Ok(Form::File(File::Csv))
        );
        assert_eq!(
            form("text/csv;q=0.1, application/json;q=0.25"),
            Ok(Form::Json)
        );
        assert_eq!(form("text/csv;q=0, */*;q=0.1"), Ok(Form::Json));
        assert_eq!(form(XLSX), Ok(Form::File(File::Xlsx)));
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
        let workbook = table.clone().into_file(File::Xlsx).await.unwrap();
        assert_eq!(workbook.headers()[header::CONTENT_TYPE], XLSX);
        let bytes = to_bytes(workbook.into_body(), usize::MAX).await.unwrap();
        assert!(bytes.starts_with(b"PK"), "a workbook is a zip file");

        let response = table.into_file(File::CsvForPeople).await.unwrap();
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
