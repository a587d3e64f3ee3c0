use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn corpus(receipts: usize, seed: u64) -> Corpus {
    Corpus::generate(&Options { receipts, seed })
}

fn bytes(corpus: &Corpus) -> BTreeMap<String, Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    corpus.write(dir.path()).unwrap();
    fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn one_seed_gives_one_corpus() {
    let first = bytes(&corpus(400, 7));
    assert_eq!(
        first.keys().map(String::as_str).collect::<Vec<_>>(),
        [
            "accounts.csv",
            "documents.csv",
            "receipts.jsonl",
            "remittances.jsonl",
            "truth.jsonl"
        ]
    );
    assert_eq!(first, bytes(&corpus(400, 7)));
    assert_ne!(first, bytes(&corpus(400, 8)));
}

#[test]
fn files_begin_as_the_format_says() {
    let files = bytes(&corpus(20, 1));
    let first_line = |name: &str| {
        let text = String::from_utf8(files[name].clone()).unwrap();
        text.lines().next().unwrap().to_owned()
    };
    assert_eq!(
        first_line("accounts.csv"),
        "account_ref,name,kind,parent_ref,sort_code,account_number"
    );
    assert_eq!(
        first_line("documents.csv"),
        "document_ref,kind,account_ref,issued_on,due_on,gross,currency,payment_reference"
    );
    let receipt: BankReceipt = serde_json::from_str(&first_line("receipts.jsonl")).unwrap();
    assert_eq!(receipt.bank_reference, "BR0000001");
    let truth: serde_json::Value = serde_json::from_str(&first_line("truth.jsonl")).unwrap();
    assert!(truth["allocations"].is_array() && truth["unallocated"].is_string());
}

#[test]
fn every_class_occurs_and_the_mix_is_kept() {
    for seed in 1..=3 {
        let corpus = corpus(2000, seed);
        let seen: BTreeSet<NoiseClass> = corpus.truth.iter().map(|truth| truth.note).collect();
        let missing: Vec<NoiseClass> = NoiseClass::ALL
            .into_iter()
            .filter(|class| !seen.contains(class))
            .collect();
        assert_eq!(missing, []);
        let negatives = corpus.truth.iter().filter(|t| t.note.is_negative()).count();
        assert!((200..=400).contains(&negatives), "{negatives}");
    }
}

/// Replays the receipts on a ledger of its own, as whoever reads the files does.
#[test]
fn the_truth_can_be_settled() {
    let corpus = corpus(2000, 1);
    let documents: BTreeMap<&str, &DocumentRow> = corpus
        .documents
        .iter()
        .map(|document| (document.document_ref.as_str(), document))
        .collect();
    assert_eq!(
        documents.len(),
        corpus.documents.len(),
        "numbers are unique"
    );
    let mut settled: BTreeMap<&str, Decimal> = BTreeMap::new();
    let mut day = NaiveDate::MIN;
    for (receipt, truth) in corpus.receipts.iter().zip(&corpus.truth) {
        assert_eq!(receipt.id, truth.receipt);
        assert!(day <= receipt.line.booked_on, "{}", receipt.id);
        day = receipt.line.booked_on;
        let amount: Decimal = receipt.line.amount.parse().unwrap();
        let sum = |shares: &[Share]| shares.iter().map(|share| share.amount).sum::<Decimal>();
        assert_eq!(
            sum(&truth.allocations) + truth.unallocated,
            amount,
            "{truth:?}"
        );
        assert!(sum(&truth.intended) <= amount, "{truth:?}");
        assert_eq!(truth.allocations.is_empty(), truth.note.is_negative());
        for share in truth.allocations.iter().chain(&truth.intended) {
            let document = documents[share.document.as_str()];
            assert!(document.issued_on <= day, "{truth:?}");
            assert_eq!(document.kind.is_credit(), share.amount < Decimal::ZERO);
            assert_eq!(document.currency.code(), receipt.line.currency);
            let total = settled.entry(&share.document).or_default();
            *total += share.amount.abs();
            assert!(*total <= document.gross, "{truth:?}");
        }
    }
}

#[test]
fn the_field_has_eighteen_characters() {
    for receipt in corpus(1000, 2).receipts {
        let reference = receipt.line.reference.unwrap_or_default();
        assert!(reference.chars().count() <= 18, "{reference}");
    }
}

#[test]
fn names_are_spoilt_as_described() {
    assert_eq!(
        wording::zeros_dropped("SI/2026/00123").as_deref(),
        Some("SI/2026/123")
    );
    assert_eq!(
        wording::zeros_dropped("ABC001/0007-12").as_deref(),
        Some("ABC1/7-12")
    );
    assert_eq!(wording::zeros_dropped("INV-10203"), None);
    assert_eq!(wording::transposed("INV-112"), ["INV-121"]);
    assert_eq!(wording::grouped("RF18539007547034"), "RF18 5390 0754 7034");
    assert_eq!(wording::cut("invoice inv-10203 x", 18), "INVOICE INV-10203");
}

/// Whoever pays without a reference can mean one set of items only. Counted here by another search than the
/// generator's: one item after the other, with the number of sets for each sum.
#[test]
fn payments_without_a_reference_have_one_reading() {
    let corpus = corpus(2000, 4);
    let documents: BTreeMap<&str, &DocumentRow> = corpus
        .documents
        .iter()
        .map(|document| (document.document_ref.as_str(), document))
        .collect();
    let mut open: BTreeMap<&str, Decimal> = BTreeMap::new();
    let mut coming = corpus.documents.iter().peekable();
    let mut checked = 0;
    for (receipt, truth) in corpus.receipts.iter().zip(&corpus.truth) {
        while let Some(document) =
            coming.next_if(|document| document.issued_on <= receipt.line.booked_on)
        {
            open.insert(&document.document_ref, document.gross);
        }
        if matches!(
            truth.note,
            NoiseClass::PayerSingleAmount | NoiseClass::PayerLumpSum | NoiseClass::AmbiguousSubset
        ) {
            let bank = &receipt.line.payer.account;
            let owners: BTreeSet<&str> = corpus
                .accounts
                .iter()
                .filter(|row| {
                    row.sort_code == bank.sort_code && row.account_number == bank.account_number
                })
                .map(|row| row.account_ref.as_str())
                .collect();
            assert_eq!(owners.len(), 1, "{receipt:?}");
            let mut sums: BTreeMap<Decimal, usize> = BTreeMap::from([(Decimal::ZERO, 1)]);
            for (number, left) in &open {
                let document = documents[number];
                if !owners.contains(document.account_ref.as_str()) || left.is_zero() {
                    continue;
                }
                let signed = if document.kind.is_credit() {
                    -*left
                } else {
                    *left
                };
                for (sum, sets) in sums.clone() {
                    *sums.entry(sum + signed).or_default() += sets;
                }
            }
            let amount: Decimal = receipt.line.amount.parse().unwrap();
            let alone = truth.note != NoiseClass::AmbiguousSubset;
            assert_eq!(sums[&amount] == 1, alone, "{truth:?}");
            checked += 1;
        }
        for share in truth.allocations.iter().chain(&truth.intended) {
            *open.get_mut(share.document.as_str()).unwrap() -= share.amount.abs();
        }
    }
    assert!(checked > 100, "{checked}");
}
