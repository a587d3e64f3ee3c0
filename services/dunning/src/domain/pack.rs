//! The referral pack: what a firm is handed, in one ZIP. The same facts give the
//! same bytes, so that what was handed over can be proved by its SHA-256.

use std::{
    fmt::Write as _,
    io::{Cursor, Write as _},
};

use contracts::api::dunning::PackFile;
use kernel::{Classified, ErrorClass};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

/// What a pack may come to: letters beyond it are named by their SHA-256 only.
pub const BYTES_MAX: usize = 20_000_000;

/// A file of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub name: String,
    /// What it is, in a few words.
    pub what: String,
    pub bytes: Vec<u8>,
}

/// A pack as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    pub bytes: Vec<u8>,
    pub sha256: String,
    /// The manifest, which names all others, first.
    pub files: Vec<PackFile>,
}

#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("the pack cannot be written: {0}")]
    Zip(#[from] zip::result::ZipError),
    #[error("the pack cannot be written: {0}")]
    Io(#[from] std::io::Error),
    #[error("the manifest cannot be written: {0}")]
    Manifest(#[from] serde_json::Error),
}

impl Classified for PackError {
    fn code(&self) -> &'static str {
        "dunning.pack"
    }

    fn class(&self) -> ErrorClass {
        ErrorClass::Bug
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn described(file: &File) -> PackFile {
    PackFile {
        name: file.name.clone(),
        bytes: i64::try_from(file.bytes.len()).unwrap_or(i64::MAX),
        sha256: sha256(&file.bytes),
        what: file.what.clone(),
    }
}

/// Packs files, in the order of their names, with a manifest of all. Nothing is
/// compressed: the bytes depend on no version of a compressor.
///
/// # Errors
/// When it is larger than a ZIP can be.
pub fn pack(about: &serde_json::Value, mut files: Vec<File>) -> Result<Pack, PackError> {
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let listed: Vec<PackFile> = files.iter().map(described).collect();
    let manifest = File {
        name: "manifest.json".to_owned(),
        what: "What is in the pack, with the SHA-256 of each file".to_owned(),
        bytes: serde_json::to_vec_pretty(&json!({ "about": about, "files": listed }))?,
    };
    let mut described_all = vec![described(&manifest)];
    described_all.extend(listed);
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for file in std::iter::once(&manifest).chain(&files) {
        zip.start_file(file.name.as_str(), options)?;
        zip.write_all(&file.bytes)?;
    }
    let bytes = zip.finish()?.into_inner();
    Ok(Pack {
        sha256: sha256(&bytes),
        bytes,
        files: described_all,
    })
}

/// A table for a spreadsheet. What a spreadsheet would take for a formula is
/// marked as text.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> Vec<u8> {
    let mut out = String::new();
    let _ = writeln!(out, "{}", head.join(","));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
        let _ = writeln!(out, "{}", cells.join(","));
    }
    out.into_bytes()
}

fn cell(text: &str) -> String {
    let number = text.parse::<rust_decimal::Decimal>().is_ok();
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !number;
    let text = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Vec<File> {
        ["letters/b.pdf", "a.csv"]
            .map(|name| File {
                name: name.to_owned(),
                what: "a file".to_owned(),
                bytes: name.as_bytes().to_vec(),
            })
            .to_vec()
    }

    #[test]
    fn the_same_files_give_the_same_bytes_in_any_order() {
        let about = json!({ "account": "ACME01" });
        let one = pack(&about, files()).unwrap();
        let mut turned = files();
        turned.reverse();
        let two = pack(&about, turned).unwrap();
        assert_eq!(one, two);
        assert_eq!(one.sha256, sha256(&one.bytes));
        let names: Vec<&str> = one.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["manifest.json", "a.csv", "letters/b.pdf"]);
    }

    #[test]
    fn the_manifest_has_the_hash_of_each_file() {
        let pack = pack(&json!({}), files()).unwrap();
        let mut zip = zip::ZipArchive::new(Cursor::new(pack.bytes)).unwrap();
        for described in &pack.files {
            let mut file = zip.by_name(&described.name).unwrap();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
            assert_eq!(sha256(&bytes), described.sha256, "{}", described.name);
        }
    }

    #[test]
    fn what_a_spreadsheet_would_run_is_text() {
        let bytes = table(
            &["a", "b"],
            &[
                vec!["=1+1".to_owned(), "-5.00".to_owned()],
                vec!["x,\"y\"".to_owned(), String::new()],
            ],
        );
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text, "a,b\n'=1+1,-5.00\n\"x,\"\"y\"\"\",\n");
    }
}
