//! A list from a spreadsheet: which documents a receipt pays, and how much of
//! each.

use kernel::{Currency, Money};

use contracts::api::allocation::OpenItemView;
use contracts::api::workbench::NamedItem;

use crate::pages::show::Uk as _;

/// Documents of one receipt at most: as many as one command takes.
pub(super) const LINES_MAX: usize = 200;

/// A line of the list that names a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// In the text, from 1.
    pub line: usize,
    pub number: String,
    pub amount: Amount,
}

/// What a line says beside the number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Amount {
    Said(Money),
    /// Nothing: all that is open is meant.
    Whole,
    /// Why it cannot be read.
    Unreadable(String),
}

/// A list as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct List {
    pub lines: Vec<Listed>,
    /// Headings, totals and the like: no document number in them.
    pub ignored: Vec<(usize, String)>,
}

/// Reads `document number, amount` lines, separated by tabs, semicolons, commas
/// or blanks, as copied from a spreadsheet or from a letter.
pub(super) fn read(text: &str, currency: Currency) -> List {
    let mut list = List::default();
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        if text.is_empty() {
            continue;
        }
        let (number, amount) = halves(text);
        // A number has a digit; a heading or `Total` has none.
        if !number.chars().any(|c| c.is_ascii_digit()) {
            list.ignored.push((line, text.to_owned()));
            continue;
        }
        list.lines.push(Listed {
            line,
            amount: amount.map_or(Amount::Whole, |text| read_amount(&text, currency)),
            number,
        });
    }
    list
}

/// The number, and the amount if there is one.
fn halves(text: &str) -> (String, Option<String>) {
    let fields = match text {
        _ if text.contains('\t') => fields(text, '\t'),
        _ if text.contains(';') => fields(text, ';'),
        _ => match by_blank(text) {
            Some(halves) => return halves,
            None => fields(text, ','),
        },
    };
    let mut filled = fields.into_iter().filter(|field| !field.is_empty());
    let number = filled.next().unwrap_or_default();
    let rest: Vec<String> = filled.collect();
    // Commas may be between the fields and within an amount: `INV-1,1,234.50`.
    let joined = rest.join(",");
    let by_comma = !text.contains(['\t', ';', '"']);
    let amount = if by_comma && rest.len() > 1 && figures(&joined).is_some() {
        Some(joined)
    } else {
        // Columns in between, such as a date, say nothing here.
        rest.into_iter().next_back()
    };
    (number, amount)
}

/// `INV-104 1,234.50`: nothing but blanks between.
fn by_blank(text: &str) -> Option<(String, Option<String>)> {
    let (number, amount) = text.rsplit_once(char::is_whitespace)?;
    let number = number.trim_end();
    // `250.00 CR`, `- 250.00`
    let (number, amount) = match number.rsplit_once(char::is_whitespace) {
        Some((number, more)) if is_mark(amount) || matches!(more, "-" | "£") => {
            (number, format!("{more}{amount}"))
        }
        _ => (number, amount.to_owned()),
    };
    // `Total 12.00` is a line without a number, `INV 104` a number alone.
    let figure = amount.contains(['.', ',', '£', '(']);
    let named = figure || number.contains(|c: char| c.is_ascii_digit());
    let named = named && !number.contains([',', '"']);
    let apart = named && figures(&amount).is_some();
    apart.then(|| (number.trim_end().to_owned(), Some(amount)))
}

fn is_mark(text: &str) -> bool {
    text.eq_ignore_ascii_case("cr") || text.eq_ignore_ascii_case("dr")
}

/// Fields between `separator`; one in quotes may hold it.
fn fields(text: &str, separator: char) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        if c == '"' {
            quoted = !quoted;
        } else if c == separator && !quoted {
            fields.push(String::new());
        } else if let Some(field) = fields.last_mut() {
            field.push(c);
        }
    }
    for field in &mut fields {
        *field = field.trim().to_owned();
    }
    fields
}

/// The figures of an amount as a plain decimal, and the sign of a currency if it
/// bears one: `£1,234.50`, `(250.00)`, `-250`, `250.00-`, `250.00 CR`. Commas
/// only where thousands end, so that `1.234,50` is not taken for something
/// else.
fn figures(text: &str) -> Option<(String, Option<char>)> {
    let mut text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let mut negative = false;
    let mut sign = None;
    if let Some(inner) = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) {
        negative = true;
        text = inner.to_owned();
    }
    let upper = text.to_ascii_uppercase();
    if upper.ends_with("CR") || upper.ends_with("DR") {
        negative |= upper.ends_with("CR");
        text.truncate(text.len() - 2);
    }
    let marks = |c: char| matches!(c, '-' | '−' | '+' | '£' | '€' | '$');
    while let Some(mark) = text.chars().next().filter(|c| marks(*c)) {
        match mark {
            '-' | '−' => negative = true,
            '+' => {}
            mark => sign = Some(mark),
        }
        text = text.chars().skip(1).collect();
    }
    if let Some(rest) = text.strip_suffix(['-', '−']) {
        negative = true;
        text = rest.to_owned();
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let grouped = whole.contains(',');
    let thousands = (!grouped || (1..=3).contains(&first.len()))
        && groups.all(|group| group.len() == 3 && digits(group));
    let point_at_the_end = text.ends_with('.');
    if first.is_empty() || !digits(first) || !thousands || !digits(fraction) || point_at_the_end {
        return None;
    }
    let minus = if negative { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    let plain = format!("{minus}{}{point}{fraction}", whole.replace(',', ""));
    Some((plain, sign))
}

fn read_amount(text: &str, currency: Currency) -> Amount {
    let Some((plain, sign)) = figures(text) else {
        return Amount::Unreadable(format!("“{text}” is no amount"));
    };
    let other = match sign {
        Some('£') => currency != Currency::GBP,
        Some('€') => currency != Currency::EUR,
        Some('$') => !currency.code().ends_with('D'),
        _ => false,
    };
    if other {
        return Amount::Unreadable(format!("“{text}” is not in {currency}, as the receipt is"));
    }
    match Money::parse(&plain, currency) {
        Ok(amount) => Amount::Said(amount),
        Err(error) => Amount::Unreadable(format!("“{text}”: {error}")),
    }
}

/// A document of the list, found on the ledger.
#[derive(Debug, Clone)]
pub(super) struct Matched {
    pub item: OpenItemView,
    /// What the list says that is paid of it, all its lines together.
    pub amount: Money,
    /// The lines that name it.
    pub lines: Vec<usize>,
}

/// What has become of a list.
#[derive(Debug, Clone)]
pub(super) struct Preview {
    pub matched: Vec<Matched>,
    /// Lines that come to nothing, with the reason.
    pub left_out: Vec<(usize, String)>,
    pub ignored: Vec<(usize, String)>,
    /// Matched lines that differ from what is open.
    pub differences: Vec<String>,
    pub total: Money,
    /// What the receipt has left beyond the list; negative when the list asks
    /// for more.
    pub beyond: Option<Money>,
}

/// Compares a list with the documents that its numbers name and with what a
/// receipt has left.
pub(super) fn compare(
    list: List,
    named: &[NamedItem],
    account: Option<kernel::AccountId>,
    left: Money,
) -> Preview {
    let currency = left.currency();
    let mut preview = Preview {
        matched: Vec::new(),
        left_out: Vec::new(),
        ignored: list.ignored,
        differences: Vec::new(),
        total: Money::zero(currency),
        beyond: None,
    };
    for listed in list.lines {
        let item = match choose(&listed.number, named, account) {
            Ok(item) => item,
            Err(why) => {
                preview.left_out.push((listed.line, why));
                continue;
            }
        };
        let amount = match listed.amount {
            Amount::Said(amount) => amount,
            Amount::Whole => item.open,
            Amount::Unreadable(why) => {
                preview
                    .left_out
                    .push((listed.line, format!("{}: {why}", item.document_ref)));
                continue;
            }
        };
        if item.open.is_zero() {
            let why = format!("{} is paid already", item.document_ref);
            preview.left_out.push((listed.line, why));
            continue;
        }
        let known = |matched: &Matched| matched.item.document_id == item.document_id;
        let known = preview.matched.iter().position(known);
        let full = preview.matched.len() == LINES_MAX;
        match known.and_then(|at| preview.matched.get_mut(at)) {
            Some(matched) => {
                matched.amount = matched.amount.checked_add(amount).unwrap_or(matched.amount);
                matched.lines.push(listed.line);
            }
            None if full => {
                let why = format!(
                    "{} is beyond the {LINES_MAX} documents of one command",
                    item.document_ref
                );
                preview.left_out.push((listed.line, why));
            }
            None => preview.matched.push(Matched {
                item: item.clone(),
                amount,
                lines: vec![listed.line],
            }),
        }
    }
    preview.differences = preview.matched.iter().filter_map(difference).collect();
    let total = Money::sum(
        preview.matched.iter().map(|matched| matched.amount),
        currency,
    );
    if let Ok(total) = total {
        preview.total = total;
        preview.beyond = left
            .checked_sub(total)
            .ok()
            .filter(|beyond| !beyond.is_zero());
    }
    preview
}

/// The one document that a number names: by its whole number rather than by its
/// digits, and of the payer's account rather than of another.
fn choose<'n>(
    number: &str,
    named: &'n [NamedItem],
    account: Option<kernel::AccountId>,
) -> Result<&'n OpenItemView, String> {
    let folded = |text: &str| -> String {
        text.chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_uppercase())
            .collect()
    };
    let mut found: Vec<&OpenItemView> = named
        .iter()
        .filter(|named| named.number == number)
        .map(|named| &named.item)
        .collect();
    let narrow = |found: &mut Vec<&'n OpenItemView>, keep: &dyn Fn(&OpenItemView) -> bool| {
        if found.len() > 1 && found.iter().any(|item| keep(item)) {
            found.retain(|item| keep(item));
        }
    };
    narrow(&mut found, &|item| {
        folded(&item.document_ref) == folded(number)
    });
    narrow(&mut found, &|item| Some(item.account_id) == account);
    narrow(&mut found, &|item| !item.open.is_zero());
    match found.as_slice() {
        [] => Err(format!("no document is called “{number}”")),
        [item] => Ok(item),
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|item| format!("{} of {}", item.document_ref, item.account_ref))
                .collect();
            Err(format!("“{number}” may be {}", names.join(" or ")))
        }
    }
}

/// How a line differs from what is open, in words.
fn difference(matched: &Matched) -> Option<String> {
    let Matched {
        item,
        amount,
        lines,
    } = matched;
    let (name, open) = (&item.document_ref, item.open);
    let left = open.checked_sub(*amount).ok()?;
    let twice = if lines.len() > 1 {
        format!(" in {} lines", lines.len())
    } else {
        String::new()
    };
    if left.is_zero() && lines.len() == 1 {
        None
    } else if left.is_zero() {
        Some(format!(
            "{name}: {} stands{twice}, which is all that is open",
            amount.uk()
        ))
    } else if amount.is_negative() != open.is_negative() {
        Some(format!(
            "{name}: the list says {}{twice}, but {} is open: the signs differ",
            amount.uk(),
            open.uk()
        ))
    } else if left.is_negative() != open.is_negative() {
        Some(format!(
            "{name}: the list says {}{twice}, more than the {} that is open",
            amount.uk(),
            open.uk()
        ))
    } else {
        Some(format!(
            "{name}: the list says {}{twice} of {} open, which leaves {}",
            amount.uk(),
            open.uk(),
            left.uk()
        ))
    }
}

#[cfg(test)]
mod tests {
    use contracts::inbound::DocumentKind;
    use kernel::{AccountId, DocumentId};
    use proptest::prelude::*;

    use super::*;

    fn gbp(text: &str) -> Money {
        Money::parse(text, Currency::GBP).unwrap()
    }

    fn one(text: &str) -> (String, Amount) {
        let mut list = read(text, Currency::GBP);
        assert_eq!((list.lines.len(), list.ignored.len()), (1, 0), "{text}");
        let listed = list.lines.remove(0);
        (listed.number, listed.amount)
    }

    #[test]
    fn lines_are_taken_as_spreadsheets_and_letters_have_them() {
        for (text, number, amount) in [
            ("INV-104\t1234.50", "INV-104", "1234.50"),
            ("INV-104\t£1,234.50", "INV-104", "1234.50"),
            ("INV-104;1,234.50", "INV-104", "1234.50"),
            ("INV-104,1234.50", "INV-104", "1234.50"),
            ("INV-104,1,234.50", "INV-104", "1234.50"),
            ("INV-104, 1,234.50", "INV-104", "1234.50"),
            ("\"INV-104\",\"1,234.50\"", "INV-104", "1234.50"),
            ("\"INV-104\",\"£1,234,567.89\"", "INV-104", "1234567.89"),
            ("INV-104 1,234.50", "INV-104", "1234.50"),
            ("INV 104   £ 1,234.50", "INV 104", "1234.50"),
            ("INV-104\t22/11/2026\t12.00", "INV-104", "12"),
            ("INV-104\t12.00\t\t", "INV-104", "12"),
            ("\tINV-104\t12.00", "INV-104", "12"),
            ("INV-104\t100\t12.00", "INV-104", "12"),
            ("CN-88\t(250.00)", "CN-88", "-250"),
            ("CN-88\t-250.00", "CN-88", "-250"),
            ("CN-88\t−£250.00", "CN-88", "-250"),
            ("CN-88\t£-250.00", "CN-88", "-250"),
            ("CN-88;(£1,250.00)", "CN-88", "-1250"),
            ("CN-88\t250.00-", "CN-88", "-250"),
            ("CN-88\t250.00 CR", "CN-88", "-250"),
            ("CN-88 250.00 cr", "CN-88", "-250"),
            ("CN-88 - 250.00", "CN-88", "-250"),
            ("INV-104\t250.00 DR", "INV-104", "250"),
            ("\u{feff}INV-104\t7", "INV-104", "7"),
        ] {
            assert_eq!(
                one(text),
                (number.to_owned(), Amount::Said(gbp(amount))),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_number_alone_means_all_that_is_open() {
        for text in ["INV-104", "INV-104\t", "INV-104,", "  INV-104  "] {
            assert_eq!(one(text), ("INV-104".to_owned(), Amount::Whole), "{text:?}");
        }
        assert_eq!(one("INV 104"), ("INV 104".to_owned(), Amount::Whole));
    }

    /// Amounts of the continent, of another currency, or of too many decimals
    /// are asked about, never guessed at.
    #[test]
    fn what_is_no_amount_is_not_guessed_at() {
        for text in [
            "INV-104\t1.234,50",
            "INV-104\t1.200,00",
            "INV-104\t12,34",
            "INV-104\t1,23,456.00",
            "INV-104\t10.001",
            "INV-104\t€10.00",
            "INV-104\t$10.00",
            "INV-104\ttwelve",
            "INV-104\t12.",
            "INV-104\t--",
        ] {
            let (_, amount) = one(text);
            assert!(
                matches!(amount, Amount::Unreadable(_)),
                "{text:?}: {amount:?}"
            );
        }
    }

    #[test]
    fn headings_totals_and_blank_lines_are_no_documents_and_lines_keep_their_numbers() {
        let list = read(
            "Document\tAmount\r\n\r\nINV-104\t12.00\r\n   \nTotal\t12.00\n",
            Currency::GBP,
        );
        assert_eq!(list.lines.iter().map(|l| l.line).collect::<Vec<_>>(), [3]);
        assert_eq!(
            list.ignored,
            [
                (1, "Document\tAmount".to_owned()),
                (5, "Total\t12.00".to_owned())
            ]
        );
    }

    fn named(number: &str, document_ref: &str, open: &str) -> NamedItem {
        NamedItem {
            number: number.into(),
            item: OpenItemView {
                document_id: DocumentId::generate(),
                document_ref: document_ref.into(),
                kind: DocumentKind::Invoice,
                account_id: AccountId::generate(),
                account_ref: "ACME01".into(),
                account_name: "Acme".into(),
                issued_on: chrono::NaiveDate::MIN,
                due_on: chrono::NaiveDate::MIN,
                amount: gbp("9000"),
                open: gbp(open),
            },
        }
    }

    #[test]
    fn a_list_is_compared_with_what_is_open_and_with_the_receipt() {
        let list = read(
            "INV-1 100\nINV-2 50.00\nCN-3 (20)\nINV-4 1.00\nINV-9 5\nINV-5 7",
            Currency::GBP,
        );
        let known = [
            named("INV-1", "INV-1", "100"),
            named("INV-2", "INV-2", "80"),
            named("CN-3", "CN-3", "-20"),
            named("INV-4", "INV-4", "0"),
            named("INV-5", "INV-5", "6"),
        ];
        let preview = compare(list, &known, None, gbp("130"));
        let matched: Vec<_> = preview
            .matched
            .iter()
            .map(|m| (m.item.document_ref.as_str(), m.amount))
            .collect();
        assert_eq!(
            matched,
            [
                ("INV-1", gbp("100")),
                ("INV-2", gbp("50")),
                ("CN-3", gbp("-20")),
                ("INV-5", gbp("7"))
            ]
        );
        assert_eq!(
            preview.left_out,
            [
                (4, "INV-4 is paid already".to_owned()),
                (5, "no document is called “INV-9”".to_owned()),
            ]
        );
        assert_eq!(
            preview.differences,
            [
                "INV-2: the list says £50.00 of £80.00 open, which leaves £30.00",
                "INV-5: the list says £7.00, more than the £6.00 that is open",
            ]
        );
        assert_eq!(
            (preview.total, preview.beyond),
            (gbp("137"), Some(gbp("-7")))
        );
    }

    #[test]
    fn a_document_in_several_lines_is_one_with_their_sum() {
        let list = read("INV-1 60\n1 40\nCN-2 5", Currency::GBP);
        let invoice = named("INV-1", "INV-1", "100");
        let known = [
            invoice.clone(),
            NamedItem {
                number: "1".into(),
                ..invoice
            },
            named("CN-2", "CN-2", "-5"),
        ];
        let preview = compare(list, &known, None, gbp("105"));
        assert_eq!(preview.matched.len(), 2);
        assert_eq!(
            (
                preview.matched[0].amount,
                preview.matched[0].lines.as_slice()
            ),
            (gbp("100"), [1, 2].as_slice())
        );
        assert_eq!(
            preview.differences,
            [
                "INV-1: £100.00 stands in 2 lines, which is all that is open",
                "CN-2: the list says £5.00, but (£5.00) is open: the signs differ",
            ]
        );
        assert_eq!(preview.beyond, None);
    }

    #[test]
    fn a_number_that_names_several_is_the_payers_or_is_asked_about() {
        let mine = named("10324", "INV-10324", "10");
        let known = [mine.clone(), named("10324", "SI-10324", "10")];
        let list = || read("10324 10", Currency::GBP);
        let preview = compare(list(), &known, None, gbp("10"));
        assert_eq!(
            preview.left_out,
            [(
                1,
                "“10324” may be INV-10324 of ACME01 or SI-10324 of ACME01".to_owned()
            )]
        );
        let preview = compare(list(), &known, Some(mine.item.account_id), gbp("10"));
        assert_eq!(preview.matched[0].item.document_ref, "INV-10324");
        let whole = [named("SI-1", "SI-1", "10"), named("SI-1", "XSI-1", "10")];
        let preview = compare(read("SI-1 10", Currency::GBP), &whole, None, gbp("10"));
        assert_eq!(
            preview.matched[0].item.document_ref, "SI-1",
            "the whole number goes first"
        );
    }

    proptest! {
        /// Every way to write an amount reads back to the penny.
        #[test]
        fn amounts_read_back(pence in -999_999_999_i64..999_999_999, way in 0..5_usize, separator in prop::sample::select(vec!['\t', ';', ','])) {
            let minus = if pence < 0 { "-" } else { "" };
            let money = gbp(&format!("{minus}{}.{:02}", pence.abs() / 100, pence.abs() % 100));
            let shown = match way {
                0 => money.amount().to_string(),
                1 => money.uk(),
                2 => money.uk().replace('£', ""),
                3 => format!("{}{}", money.abs().amount(), if pence < 0 { "-" } else { "" }),
                _ => format!("{} {}", money.abs().uk(), if pence < 0 { "CR" } else { "DR" }),
            };
            let text = format!("INV-104{separator}{shown}");
            let list = read(&text, Currency::GBP);
            prop_assert_eq!(&list.lines[0].amount, &Amount::Said(money), "{}", text);
        }

        /// Nothing that is pasted is lost without a word, and nothing panics.
        #[test]
        fn every_line_is_accounted_for(text in "[0-9A-Za-z£€(),.;\t\" \n-]{0,200}") {
            let list = read(&text, Currency::GBP);
            let filled = text.lines().filter(|line| !line.trim().is_empty()).count();
            prop_assert_eq!(list.lines.len() + list.ignored.len(), filled);
        }
    }
}
