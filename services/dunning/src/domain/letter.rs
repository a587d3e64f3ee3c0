//! A filled-in text as a letter on paper (PDF), and as an e-mail in text and
//! HTML. The same facts give the same bytes.

use std::fmt::Write as _;

use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str};

use super::{
    sheet::{self, Sheet},
    template::{Block, Facts, Filled, date_uk},
};

/// A4 in points, and where the text stands.
const WIDTH: f32 = 595.0;
const HEIGHT: f32 = 842.0;
const LEFT: f32 = 64.0;
const RIGHT: f32 = WIDTH - 64.0;
const TOP: f32 = HEIGHT - 60.0;
const BOTTOM: f32 = 70.0;
/// The top of the window of a DL envelope.
const WINDOW: f32 = HEIGHT - 142.0;
const SIZE: f32 = 10.5;
const LEADING: f32 = 14.5;

const PLAIN: Name<'static> = Name(b"F1");
const BOLD: Name<'static> = Name(b"F2");

/// Widths of Helvetica from space to tilde, in thousandths of its size.
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
    611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
    667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

/// A character in the encoding of the letter's fonts; what they do not have is
/// a question mark.
fn encoded(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| match c {
            ' '..='~' | '\u{a0}'..='\u{ff}' => c as u32 as u8,
            '€' => 0x80,
            '‘' => 0x91,
            '’' => 0x92,
            '“' => 0x93,
            '”' => 0x94,
            '•' => 0x95,
            '–' => 0x96,
            '—' => 0x97,
            _ => b'?',
        })
        .collect()
}

fn width(text: &str, size: f32) -> f32 {
    let thousandths: u32 = encoded(text)
        .iter()
        .map(|byte| {
            let at = usize::from(byte.saturating_sub(b' '));
            u32::from(WIDTHS.get(at).copied().unwrap_or(556))
        })
        .sum();
    thousandths as f32 / 1000.0 * size
}

/// Lines no wider than `room`; a word that is wider alone is cut.
fn wrapped(text: &str, room: f32, size: f32) -> Vec<String> {
    let mut lines = Vec::new();
    for given in text.lines() {
        let mut line = String::new();
        for word in given.split_whitespace() {
            let longer = if line.is_empty() {
                word.to_owned()
            } else {
                format!("{line} {word}")
            };
            if width(&longer, size) <= room {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for c in word.chars() {
                line.push(c);
                if width(&line, size) > room {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, c.to_string()));
                }
            }
        }
        lines.push(line);
    }
    lines
}

/// Pages under way.
struct Paper {
    done: Vec<Content>,
    page: Content,
    y: f32,
}

impl Paper {
    fn put(&mut self, font: Name<'_>, size: f32, x: f32, text: &str) {
        self.page
            .begin_text()
            .set_font(font, size)
            .next_line(x, self.y)
            .show(Str(&encoded(text)))
            .end_text();
    }

    fn put_right(&mut self, font: Name<'_>, size: f32, x: f32, text: &str) {
        self.put(font, size, x - width(text, size), text);
    }

    /// Goes down, to a new page when the next line would not fit.
    fn down(&mut self, by: f32) {
        self.y -= by;
        if self.y < BOTTOM {
            self.next_page();
        }
    }

    fn rule(&mut self) {
        let y = self.y - 4.0;
        self.page
            .set_line_width(0.5)
            .move_to(LEFT, y)
            .line_to(RIGHT, y)
            .stroke();
    }

    /// As `put_right`, for bold too, which is a little wider than the widths say.
    fn put_right_of(&mut self, font: Name<'_>, size: f32, x: f32, text: &str) {
        let wider = if font == BOLD { 1.06 } else { 1.0 };
        self.put(font, size, x - width(text, size) * wider, text);
    }

    /// What is overdue is in red, under a mark, and says so.
    fn red(&mut self, on: bool) {
        let shade = if on { 0.65 } else { 0.0 };
        self.page.set_fill_rgb(shade, 0.0, 0.0);
    }

    /// A small triangle that points up: the fonts have none.
    fn mark(&mut self, x: f32) {
        self.page
            .move_to(x, self.y)
            .line_to(x + 6.0, self.y)
            .line_to(x + 3.0, self.y + 6.0)
            .close_path()
            .fill_nonzero();
    }

    fn sheet(&mut self, sheet: &Sheet) {
        const SMALL: f32 = 9.0;
        const ROW: f32 = 13.0;
        let columns = [
            LEFT,
            LEFT + 115.0,
            LEFT + 178.0,
            LEFT + 243.0,
            RIGHT - 65.0,
            RIGHT,
        ];
        self.sheet_head(&columns, SMALL);
        for row in &sheet.rows {
            let reference = wrapped(&row.cells[0], 110.0, SMALL);
            let notes = if row.note.is_empty() {
                Vec::new()
            } else {
                wrapped(&row.note, RIGHT - LEFT - 20.0, SMALL - 1.0)
            };
            let lines = reference.len() + notes.len();
            if self.y - ROW * lines as f32 <= BOTTOM {
                self.next_page();
                self.sheet_head(&columns, SMALL);
            }
            let last = reference.len().saturating_sub(1);
            for (n, line) in reference.iter().enumerate() {
                self.put(PLAIN, SMALL, LEFT, line);
                if n < last {
                    self.y -= ROW;
                }
            }
            for (n, (cell, x)) in row.cells.iter().zip(columns).enumerate() {
                match n {
                    0 => {}
                    3 if row.overdue => {
                        self.red(true);
                        self.mark(x);
                        self.put(BOLD, SMALL, x + 9.0, &format!("overdue {cell}"));
                        self.red(false);
                    }
                    4 | 5 => self.put_right(PLAIN, SMALL, x, cell),
                    _ => self.put(PLAIN, SMALL, x, cell),
                }
            }
            self.y -= ROW;
            for line in notes {
                self.put(PLAIN, SMALL - 1.0, LEFT + 10.0, &line);
                self.y -= ROW;
            }
        }
        self.y += ROW;
        self.rule();
        self.y -= ROW + 4.0;
        self.keep(ROW * (sheet.sums.len() as f32 + 4.0));
        for sum in &sheet.sums {
            let font = if sum.strong { BOLD } else { PLAIN };
            let red = sheet.red && sum.strong;
            if red {
                self.red(true);
            }
            self.put(font, SIZE, LEFT + 200.0, &sum.title);
            self.put_right_of(font, SIZE, RIGHT, &sum.amount);
            if red {
                self.red(false);
            }
            self.y -= LEADING;
        }
        self.y -= LEADING * 0.5;
        let room = (RIGHT - LEFT) / sheet.ageing.len().max(5) as f32;
        for (n, (title, amount)) in sheet.ageing.iter().enumerate() {
            let right = LEFT + room * (n as f32 + 1.0);
            self.put_right_of(BOLD, SMALL, right, title);
            self.y -= ROW;
            self.put_right(PLAIN, SMALL, right, amount);
            self.y += ROW;
        }
        self.down(ROW + LEADING * 1.6);
    }

    fn sheet_head(&mut self, columns: &[f32; 6], size: f32) {
        for (n, (title, x)) in sheet::HEAD.iter().zip(columns).enumerate() {
            if n > 3 {
                self.put_right_of(BOLD, size, *x, title);
            } else {
                self.put(BOLD, size, *x, title);
            }
        }
        self.rule();
        self.y -= LEADING + 3.0;
    }

    /// The next page, when so much does not fit on this one.
    fn keep(&mut self, room: f32) {
        if self.y - room < BOTTOM {
            self.next_page();
        }
    }

    fn next_page(&mut self) {
        let full = std::mem::replace(&mut self.page, Content::new());
        self.done.push(full);
        self.y = TOP;
    }

    fn table(&mut self, facts: &Facts) {
        let due = LEFT + 230.0;
        self.put(BOLD, SIZE, LEFT, "Document");
        self.put(BOLD, SIZE, due, "Due");
        self.put_right(BOLD, SIZE, RIGHT, "Amount");
        self.rule();
        self.down(LEADING + 3.0);
        for item in &facts.items {
            let reference = wrapped(&item.document_ref, 220.0, SIZE);
            self.put(
                PLAIN,
                SIZE,
                LEFT,
                reference.first().map_or("", String::as_str),
            );
            self.put(PLAIN, SIZE, due, &date_uk(item.due_on));
            self.put_right(PLAIN, SIZE, RIGHT, &item.amount);
            self.down(LEADING);
        }
        self.y += LEADING;
        self.rule();
        self.down(LEADING + 3.0);
        self.put(BOLD, SIZE, LEFT, "Total");
        self.put_right(BOLD, SIZE, RIGHT, &facts.total);
        self.down(LEADING * 1.6);
    }
}

/// The letter as PDF. `reference` is printed on it: what the debtor quotes.
pub fn pdf(filled: &Filled, facts: &Facts, reference: &str) -> Vec<u8> {
    let mut paper = Paper {
        done: Vec::new(),
        page: Content::new(),
        y: TOP,
    };
    paper.put(BOLD, 15.0, LEFT, &facts.sender.name);
    paper.down(LEADING);
    for line in wrapped(&facts.sender.address, RIGHT - LEFT, 8.5) {
        paper.put(PLAIN, 8.5, LEFT, &line);
        paper.down(11.0);
    }
    paper.y = WINDOW;
    paper.put(PLAIN, SIZE, LEFT, &facts.account.name);
    paper.down(LEADING);
    let address = facts.account.address.as_deref().unwrap_or_default();
    // Six lines are what a window shows.
    for line in wrapped(address, 240.0, SIZE).iter().take(6) {
        paper.put(PLAIN, SIZE, LEFT, line);
        paper.down(LEADING);
    }
    paper.y = paper.y.min(WINDOW - 7.0 * LEADING);
    paper.put(PLAIN, SIZE, LEFT, &format!("Our reference: {reference}"));
    paper.put_right(PLAIN, SIZE, RIGHT, &date_uk(facts.on));
    paper.down(LEADING * 1.8);
    for line in wrapped(&filled.subject, RIGHT - LEFT - 20.0, SIZE) {
        paper.put(BOLD, SIZE, LEFT, &line);
        paper.down(LEADING);
    }
    paper.down(LEADING * 0.6);
    for block in &filled.blocks {
        match block {
            Block::Items => match &facts.sheet {
                Some(sheet) => paper.sheet(sheet),
                None => paper.table(facts),
            },
            Block::Heading(text) => {
                for line in wrapped(text, RIGHT - LEFT - 30.0, 12.0) {
                    paper.put(BOLD, 12.0, LEFT, &line);
                    paper.down(LEADING + 2.0);
                }
                paper.down(LEADING * 0.3);
            }
            Block::Paragraph(text) => {
                for line in wrapped(text, RIGHT - LEFT, SIZE) {
                    paper.put(PLAIN, SIZE, LEFT, &line);
                    paper.down(LEADING);
                }
                paper.down(LEADING * 0.6);
            }
        }
    }
    paper.down(LEADING * 0.4);
    paper.put(PLAIN, SIZE, LEFT, "Yours faithfully");
    paper.down(LEADING * 1.6);
    paper.put(PLAIN, SIZE, LEFT, &facts.sender.name);
    bound(paper)
}

fn bound(paper: Paper) -> Vec<u8> {
    let mut pages = paper.done;
    pages.push(paper.page);
    let count = pages.len();
    let (catalog, tree, plain, bold) = (Ref::new(1), Ref::new(2), Ref::new(3), Ref::new(4));
    let page_ref = |n: usize| Ref::new(5 + 2 * n as i32);
    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(tree);
    pdf.pages(tree)
        .kids((0..count).map(page_ref))
        .count(count as i32);
    for (font, name) in [(plain, "Helvetica"), (bold, "Helvetica-Bold")] {
        pdf.type1_font(font)
            .base_font(Name(name.as_bytes()))
            .encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    for (n, mut content) in pages.into_iter().enumerate() {
        let text = format!("Page {} of {count}", n + 1);
        content
            .begin_text()
            .set_font(PLAIN, 8.0)
            .next_line(RIGHT - width(&text, 8.0), 40.0)
            .show(Str(&encoded(&text)))
            .end_text();
        let id = page_ref(n);
        let contents = Ref::new(id.get() + 1);
        let mut page = pdf.page(id);
        page.media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT))
            .parent(tree)
            .contents(contents);
        page.resources().fonts().pair(PLAIN, plain).pair(BOLD, bold);
        page.finish();
        pdf.stream(contents, &content.finish());
    }
    pdf.finish()
}

/// The e-mail in plain text.
pub fn text(filled: &Filled, facts: &Facts) -> String {
    let mut out = String::new();
    for block in &filled.blocks {
        match block {
            Block::Heading(text) | Block::Paragraph(text) => {
                let _ = writeln!(out, "{text}\n");
            }
            Block::Items => {
                if let Some(sheet) = &facts.sheet {
                    let _ = writeln!(out, "{}", sheet.text());
                    continue;
                }
                for item in &facts.items {
                    let due = date_uk(item.due_on);
                    let _ = writeln!(out, "  {}   due {due}   {}", item.document_ref, item.amount);
                }
                let _ = writeln!(out, "  Total: {}\n", facts.total);
            }
        }
    }
    let sender = &facts.sender;
    let _ = writeln!(out, "{}\n{}\n{}", sender.name, sender.address, sender.phone);
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// The e-mail in HTML, without anything that is fetched.
pub fn html(filled: &Filled, facts: &Facts) -> String {
    let mut out = String::from(
        "<!doctype html><html lang=\"en-GB\"><body style=\"font-family:sans-serif;max-width:40em\">\n",
    );
    for block in &filled.blocks {
        match block {
            Block::Heading(text) => {
                let _ = writeln!(out, "<h2>{}</h2>", escaped(text));
            }
            Block::Paragraph(text) => {
                let _ = writeln!(out, "<p>{}</p>", escaped(text).replace('\n', "<br>"));
            }
            Block::Items => {
                if let Some(sheet) = &facts.sheet {
                    out.push_str(&sheet.html(escaped));
                    continue;
                }
                out.push_str(
                    "<table cellpadding=\"4\"><tr><th align=\"left\">Document</th><th align=\"left\">Due</th><th align=\"right\">Amount</th></tr>\n",
                );
                for item in &facts.items {
                    let _ = writeln!(
                        out,
                        "<tr><td>{}</td><td>{}</td><td align=\"right\">{}</td></tr>",
                        escaped(&item.document_ref),
                        date_uk(item.due_on),
                        escaped(&item.amount)
                    );
                }
                let _ = writeln!(
                    out,
                    "<tr><th align=\"left\" colspan=\"2\">Total</th><th align=\"right\">{}</th></tr></table>",
                    escaped(&facts.total)
                );
            }
        }
    }
    let sender = &facts.sender;
    let _ = writeln!(
        out,
        "<p>{}<br>{}<br>{}</p></body></html>",
        escaped(&sender.name),
        escaped(&sender.address),
        escaped(&sender.phone)
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::template::Template;
    use sha2::{Digest as _, Sha256};

    fn letter(name: &str, facts: &Facts) -> Vec<u8> {
        let all = Template::shipped().unwrap();
        let template = all.iter().find(|t| t.template == name).unwrap();
        pdf(&template.fill(facts).unwrap(), facts, "ACME01/1")
    }

    /// What was archived can be made again, byte for byte, by this version.
    #[test]
    fn the_same_letter_gives_the_same_bytes() {
        let facts = Facts::sample();
        let bytes = letter("letter_of_claim", &facts);
        assert_eq!(bytes, letter("letter_of_claim", &facts));
        assert_eq!(
            hex::encode(Sha256::digest(&bytes)),
            include_str!("../../data/templates/letter-of-claim.sha256").trim()
        );
    }

    #[test]
    fn many_documents_go_on_further_pages() {
        let mut facts = Facts::sample();
        let line = facts.items[0].clone();
        facts.items = vec![line; 120];
        let bytes = letter("reminder", &facts);
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("Page 3 of 3") || text.contains("Page 4 of 4"));
    }

    #[test]
    fn a_long_word_is_cut_to_the_line() {
        for line in wrapped(&"x".repeat(500), 100.0, 10.0) {
            assert!(width(&line, 10.0) <= 100.0);
        }
    }

    #[test]
    fn what_comes_from_outside_is_no_markup() {
        let mut facts = Facts::sample();
        facts.account.name = "<script>alert(1)</script>".to_owned();
        let all = Template::shipped().unwrap();
        let filled = all[0].fill(&facts).unwrap();
        assert!(!html(&filled, &facts).contains("<script"));
    }
}
