//! A cursor over XML: elements by local name, with the limits that keep a
//! hostile or damaged file from costing more than its size, and the line and
//! path for every error.

use std::{collections::BTreeMap, fmt::Write as _};

use quick_xml::{
    Reader,
    errors::{Error as XmlError, SyntaxError},
    events::{BytesStart, Event},
};

use super::problem::Problem;

/// The deepest element of a camt message lies about 20 down; supplementary data
/// may add its own. More is no bank's doing.
pub(super) const MAX_DEPTH: usize = 64;

/// The longest text of a camt message has 500 characters; banks exceed the
/// standard, but never this far.
pub(super) const MAX_TEXT_BYTES: usize = 16 * 1024;

/// Stands on one element and moves in document order.
///
/// The caller consumes each element that [`child`](Self::child) enters, by
/// [`text`](Self::text), by [`skip`](Self::skip), or by calling `child` until it
/// returns false.
pub(super) struct Cursor<'a> {
    reader: Reader<&'a [u8]>,
    source: &'a str,
    /// The current element's start tag, for its attributes.
    start: Option<BytesStart<'a>>,
    /// `/Document/BkToCstmrStmt/Stmt[1]/…`: up to and including the element last
    /// entered or left, so that an error found just after it still names it.
    path: String,
    /// The lengths of `path` at each open element.
    open: Vec<usize>,
    /// Where the current element's own name lies in `path`.
    name: std::ops::Range<usize>,
    counted_to: usize,
    lines: u64,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        let mut reader = Reader::from_str(source);
        reader.config_mut().expand_empty_elements = true;
        Self {
            reader,
            source,
            start: None,
            path: String::new(),
            open: Vec::new(),
            name: 0..0,
            counted_to: 0,
            lines: 1,
        }
    }

    /// Enters the root element.
    pub(super) fn root(&mut self) -> Result<(), Problem> {
        if self.child()? {
            Ok(())
        } else {
            Err(self.problem("no_xml", "the file has no XML element"))
        }
    }

    /// The local name of the element last entered.
    pub(super) fn name(&self) -> &str {
        &self.path[self.name.clone()]
    }

    /// The line, from 1, up to which the file is read.
    pub(super) fn line(&mut self) -> u64 {
        let position = usize::try_from(self.reader.buffer_position())
            .unwrap_or(usize::MAX)
            .min(self.source.len());
        if let Some(between) = self.source.get(self.counted_to..position) {
            self.lines += between.matches('\n').count() as u64;
            self.counted_to = position;
        }
        self.lines
    }

    /// The path of the element last entered or left.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// A finding here.
    pub(super) fn problem(&mut self, code: &'static str, detail: impl Into<String>) -> Problem {
        let line = self.line();
        let problem = Problem::new(code, detail).at_line(line);
        if self.path.is_empty() {
            problem
        } else {
            problem.at_path(self.path.clone())
        }
    }

    /// Numbers the element last entered in the path, from 1.
    pub(super) fn number(&mut self, n: usize) {
        // Writing to a string cannot fail.
        let _ = write!(self.path, "[{n}]");
        if let Some(length) = self.open.last_mut() {
            *length = self.path.len();
        }
    }

    /// The value of an attribute of the element last entered.
    pub(super) fn attribute(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let Some(start) = &self.start else {
            return Ok(None);
        };
        let mut failure = None;
        for attribute in start.attributes().with_checks(false) {
            match attribute {
                Ok(attribute) if attribute.key.as_ref() == name => {
                    return Ok(Some(attribute.value.trim().to_owned()));
                }
                Ok(_) => {}
                Err(error) => {
                    failure = Some(error.to_string());
                    break;
                }
            }
        }
        match failure {
            Some(detail) => Err(self.problem("malformed_xml", detail)),
            None => Ok(None),
        }
    }

    /// All attributes of the element last entered by their local names, trimmed;
    /// those that are empty are left out.
    pub(super) fn attributes(&mut self) -> Result<BTreeMap<String, String>, Problem> {
        let Some(start) = self.start.take() else {
            return Ok(BTreeMap::new());
        };
        let mut found = BTreeMap::new();
        for attribute in start.attributes().with_checks(false) {
            let attribute =
                attribute.map_err(|error| self.problem("malformed_xml", error.to_string()))?;
            let value = self.unescaped(&attribute.value)?;
            self.limit(value.len())?;
            let value = value.trim();
            if !value.is_empty() {
                let name = attribute.key.local_name().as_ref().to_owned();
                found.insert(name, value.to_owned());
            }
        }
        Ok(found)
    }

    /// A value with the references that XML itself defines; no other is followed.
    fn unescaped(&mut self, value: &str) -> Result<String, Problem> {
        let mut text = String::with_capacity(value.len());
        let mut rest = value;
        while let Some((before, after)) = rest.split_once('&') {
            text.push_str(before);
            let (name, after) = after.split_once(';').unwrap_or((after, ""));
            text.push(self.resolve(&quick_xml::events::BytesRef::new(name))?);
            rest = after;
        }
        text.push_str(rest);
        Ok(text)
    }

    /// The namespaces that the element last entered declares.
    pub(super) fn namespaces(&self) -> Vec<String> {
        self.start.as_ref().map_or_else(Vec::new, |start| {
            start
                .attributes()
                .with_checks(false)
                .flatten()
                .filter(|attribute| attribute.key.as_ref().starts_with("xmlns"))
                .map(|attribute| attribute.value.trim().to_owned())
                .collect()
        })
    }

    /// Enters the next child of the current element, or leaves the element and
    /// returns false.
    pub(super) fn child(&mut self) -> Result<bool, Problem> {
        loop {
            match self.event()? {
                Event::Start(start) => {
                    self.enter(start)?;
                    return Ok(true);
                }
                Event::End(_) => {
                    self.leave();
                    return Ok(false);
                }
                Event::Text(text) if text.trim().is_empty() => {}
                Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => {
                    return Err(self.problem(
                        "unexpected_text",
                        "text stands where only elements may stand",
                    ));
                }
                Event::Eof => {
                    if self.open.is_empty() {
                        return Ok(false);
                    }
                    return Err(self.truncated());
                }
                _ => {}
            }
        }
    }

    /// The text of the current element, trimmed at both ends; leaves it.
    pub(super) fn text(&mut self) -> Result<String, Problem> {
        let mut collected = String::new();
        loop {
            match self.event()? {
                Event::Text(text) => collected.push_str(&text.xml10_content()),
                Event::CData(text) => collected.push_str(&text.xml10_content()),
                Event::GeneralRef(reference) => {
                    collected.push(self.resolve(&reference)?);
                }
                Event::End(_) => break,
                Event::Start(start) => {
                    let inner = start.local_name().as_ref().to_owned();
                    return Err(self.problem(
                        "unexpected_element",
                        format!("<{inner}> stands where only text may stand"),
                    ));
                }
                Event::Eof => return Err(self.truncated()),
                _ => {}
            }
            self.limit(collected.len())?;
        }
        self.leave();
        let trimmed = collected.trim();
        if trimmed.len() == collected.len() {
            Ok(collected)
        } else {
            Ok(trimmed.to_owned())
        }
    }

    /// The text of the current element, `None` when empty; leaves it.
    pub(super) fn optional_text(&mut self) -> Result<Option<String>, Problem> {
        Ok(Some(self.text()?).filter(|text| !text.is_empty()))
    }

    /// The current element's text, or that of its child `Cd` or `Prtry`: the
    /// standard moved codes one level down over the years. Leaves it.
    pub(super) fn code(&mut self) -> Result<Option<String>, Problem> {
        self.text_or_child(&["Cd", "Prtry"])
    }

    /// The current element's own text, or that of the last child with one of
    /// these names. Leaves it.
    pub(super) fn text_or_child(&mut self, names: &[&str]) -> Result<Option<String>, Problem> {
        let mut own = String::new();
        let mut found = None;
        loop {
            match self.event()? {
                Event::Text(text) => own.push_str(&text.xml10_content()),
                Event::CData(text) => own.push_str(&text.xml10_content()),
                Event::GeneralRef(reference) => own.push(self.resolve(&reference)?),
                Event::Start(start) => {
                    self.enter(start)?;
                    if names.contains(&self.name()) {
                        found = self.optional_text()?.or(found);
                    } else {
                        self.skip()?;
                    }
                }
                Event::End(_) => {
                    self.leave();
                    let own = own.trim();
                    return Ok(found.or_else(|| (!own.is_empty()).then(|| own.to_owned())));
                }
                Event::Eof => return Err(self.truncated()),
                _ => {}
            }
            self.limit(own.len())?;
        }
    }

    fn limit(&mut self, length: usize) -> Result<(), Problem> {
        if length > MAX_TEXT_BYTES {
            return Err(self.problem(
                "text_too_long",
                format!("the text is longer than {MAX_TEXT_BYTES} bytes"),
            ));
        }
        Ok(())
    }

    /// Passes over the current element and all in it.
    pub(super) fn skip(&mut self) -> Result<(), Problem> {
        let depth = self.open.len();
        while self.open.len() >= depth {
            match self.event()? {
                Event::Start(start) => self.enter(start)?,
                Event::End(_) => self.leave(),
                Event::Text(text) => self.limit(text.len())?,
                Event::GeneralRef(reference) => {
                    self.resolve(&reference)?;
                }
                Event::Eof => return Err(self.truncated()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes sure that nothing but white space and comments follows the root.
    pub(super) fn finish(&mut self) -> Result<(), Problem> {
        if self.child()? {
            return Err(self.problem("trailing_content", "a second root element follows"));
        }
        Ok(())
    }

    fn event(&mut self) -> Result<Event<'a>, Problem> {
        match self.reader.read_event() {
            Ok(Event::DocType(_)) => Err(self.problem(
                "doctype_refused",
                "a document type declaration may define entities; no bank needs one",
            )),
            Ok(event) => Ok(event),
            Err(error) => {
                let code = match &error {
                    XmlError::Syntax(SyntaxError::UnclosedDoctype) => "doctype_refused",
                    XmlError::Syntax(_) => "truncated",
                    _ => "malformed_xml",
                };
                Err(self.problem(code, format!("not well-formed XML: {error}")))
            }
        }
    }

    fn enter(&mut self, start: BytesStart<'a>) -> Result<(), Problem> {
        self.path.truncate(self.open.last().copied().unwrap_or(0));
        self.path.push('/');
        let from = self.path.len();
        self.path.push_str(start.local_name().as_ref());
        self.name = from..self.path.len();
        self.open.push(self.path.len());
        if self.name.is_empty() {
            return Err(self.problem("malformed_xml", "an element has no name"));
        }
        if self.open.len() > MAX_DEPTH {
            return Err(self.problem(
                "too_deep",
                format!("elements are nested deeper than {MAX_DEPTH} levels"),
            ));
        }
        self.start = Some(start);
        Ok(())
    }

    fn leave(&mut self) {
        if let Some(length) = self.open.pop() {
            self.path.truncate(length);
        }
        self.start = None;
    }

    fn truncated(&mut self) -> Problem {
        let open = self.open.len();
        self.problem(
            "truncated",
            format!("the file ends while {open} elements are still open"),
        )
    }

    fn resolve(&mut self, reference: &quick_xml::events::BytesRef<'_>) -> Result<char, Problem> {
        let resolved = match reference.as_ref() {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => reference
                .resolve_char_ref()
                .ok()
                .flatten()
                .filter(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r')),
        };
        resolved.ok_or_else(|| {
            let name = reference.as_ref().chars().take(40).collect::<String>();
            self.problem(
                "entity_refused",
                format!("the reference &{name}; is none that XML itself defines"),
            )
        })
    }
}
