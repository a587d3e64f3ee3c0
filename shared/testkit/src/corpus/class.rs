//! What kind of difficulty a receipt is.

use serde::Serialize;

/// The noise class of a receipt: what a payer or a bank did, and so what a matcher has to cope with. `E1` to `E25` are
/// the numbers of the list of edge cases. The name in `truth.jsonl` is the variant in snake case and stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseClass {
    /// The document's number as we print it, and its exact amount.
    ExactReference,
    /// The RF reference that we asked for, in one piece or in groups of four.
    RfReference,
    /// E4: the number with other separators, or none.
    ReferenceSpaced,
    /// E4: the number without its letters, from a payer who can be recognised.
    ReferencePrefixDropped,
    /// E4: the letter O where a zero belongs.
    ReferenceOForZero,
    /// E4: the letter I where a one belongs.
    ReferenceIForOne,
    /// E4: without leading zeros; payer and amount leave one reading.
    ReferenceZerosDropped,
    /// E4: cut off by the bank after 18 characters; payer and amount leave one reading.
    #[serde(rename = "reference_truncated_18")]
    ReferenceTruncated18,
    /// E4: broken in the middle by the end of a remittance line.
    ReferenceLineWrapped,
    /// E3, the harmless half: two digits swapped, no document has that number, and payer and amount name one item.
    ReferenceTransposedUnknown,
    /// Several numbers whose open amounts sum to the cash.
    SeveralReferences,
    /// Several numbers of which only the first is whole: `INV-10324, 327, 331`.
    SeveralReferencesShortened,
    /// E11: invoices and a credit note, all named, net.
    ReferencesWithCreditNote,
    /// No reference; the payer's bank account is on file, and one open item of his has the amount.
    PayerSingleAmount,
    /// No reference and no bank account on file; the name is one debtor's alone, and no other open item of the whole
    /// ledger has the amount.
    PayerNameAmount,
    /// The payer quotes his account with us, and one open item of it has the amount.
    AccountReferenceAmount,
    /// No reference; one subset alone of the payer's open items sums to the cash.
    PayerLumpSum,
    /// No reference; all that the payer owes, net of his credit notes.
    WholeBalance,
    /// E11: a structured remittance advice in the receipt.
    RemittanceLines,
    /// A part of one item, named by its RF reference, whose check digits leave no doubt.
    PartPaymentByRf,
    /// E15: a parent pays documents of a subsidiary and names them.
    ParentPaysWithReference,
    /// E15, E16: from an account that many share, but with the document's number.
    HubWithReference,
    /// E18: the bank names the payment service provider, but the reference is whole.
    ProviderWithReference,
    /// A remittance advice that comes apart from the cash, before it or after it, and says line by line what is paid.
    RemittanceApart,

    /// E1: two open items of the payer have the amount.
    TwoItemsSameAmount,
    /// E2: the reference names one item, the amount is that of another.
    ReferenceConflictsAmount,
    /// E3: two digits swapped, and a document with that number is open; payer and amount speak for the other.
    TransposedExisting,
    /// E5: names a document that was paid a while ago.
    AlreadyPaidReference,
    /// E6: the same payment again within days.
    DuplicatePayment,
    /// Names a document and pays clearly less.
    ShortPayment,
    /// E7: names a document and pays clearly more.
    OverPayment,
    /// E13: more than one subset of the payer's open items sums to the cash, and no single item does.
    AmbiguousSubset,
    /// Nobody we know, and no reference; sometimes the amount happens to be that of an item.
    UnknownPayerNoReference,
    /// E15, E16: from an account that many share, without a reference; the amount alone must not decide.
    HubPayer,
    /// E18: the bank names the provider and nobody says for what.
    ProviderName,
    /// E19: the right number and the right figure in the wrong currency.
    WrongCurrency,
    /// E22: pays an invoice that is not issued yet.
    Prepayment,
    /// Money that has nothing to do with the ledger.
    NotOurs,
    /// E11: the advice's total is a penny out.
    AdviceOffByAPenny,
    /// E12: the advice lists a document that is not ours.
    AdviceNotOurs,
}

impl NoiseClass {
    /// Every class, the matchable ones first.
    pub const ALL: [Self; 40] = [
        Self::ExactReference,
        Self::RfReference,
        Self::ReferenceSpaced,
        Self::ReferencePrefixDropped,
        Self::ReferenceOForZero,
        Self::ReferenceIForOne,
        Self::ReferenceZerosDropped,
        Self::ReferenceTruncated18,
        Self::ReferenceLineWrapped,
        Self::ReferenceTransposedUnknown,
        Self::SeveralReferences,
        Self::SeveralReferencesShortened,
        Self::ReferencesWithCreditNote,
        Self::PayerSingleAmount,
        Self::PayerNameAmount,
        Self::AccountReferenceAmount,
        Self::PayerLumpSum,
        Self::WholeBalance,
        Self::RemittanceLines,
        Self::PartPaymentByRf,
        Self::ParentPaysWithReference,
        Self::HubWithReference,
        Self::ProviderWithReference,
        Self::RemittanceApart,
        Self::TwoItemsSameAmount,
        Self::ReferenceConflictsAmount,
        Self::TransposedExisting,
        Self::AlreadyPaidReference,
        Self::DuplicatePayment,
        Self::ShortPayment,
        Self::OverPayment,
        Self::AmbiguousSubset,
        Self::UnknownPayerNoReference,
        Self::HubPayer,
        Self::ProviderName,
        Self::WrongCurrency,
        Self::Prepayment,
        Self::NotOurs,
        Self::AdviceOffByAPenny,
        Self::AdviceNotOurs,
    ];

    /// Whether it must not be posted by a machine.
    pub const fn is_negative(self) -> bool {
        self as u8 >= Self::TwoItemsSameAmount as u8
    }

    /// Of 1,000 receipts. What the quota cannot place for want of a fitting item becomes an exact reference.
    pub(super) const fn per_mille(self) -> usize {
        match self {
            Self::ExactReference => 162,
            Self::RemittanceApart => 20,
            Self::AdviceOffByAPenny => 4,
            Self::AdviceNotOurs => 6,
            Self::RfReference | Self::ReferencePrefixDropped => 70,
            Self::ReferenceSpaced => 65,
            Self::SeveralReferences => 75,
            Self::PayerSingleAmount => 85,
            Self::RemittanceLines | Self::ReferenceTruncated18 => 40,
            Self::PayerNameAmount | Self::PayerLumpSum | Self::WholeBalance => 25,
            Self::ReferenceOForZero
            | Self::ReferenceZerosDropped
            | Self::ReferenceLineWrapped
            | Self::ReferencesWithCreditNote => 15,
            Self::AccountReferenceAmount
            | Self::PartPaymentByRf
            | Self::ParentPaysWithReference
            | Self::SeveralReferencesShortened
            | Self::ProviderWithReference
            | Self::ShortPayment
            | Self::TwoItemsSameAmount => 12,
            Self::ReferenceIForOne | Self::ReferenceTransposedUnknown | Self::HubWithReference => 7,
            Self::AmbiguousSubset | Self::WrongCurrency => 8,
            Self::TransposedExisting => 9,
            Self::UnknownPayerNoReference | Self::NotOurs => 14,
            Self::ReferenceConflictsAmount
            | Self::AlreadyPaidReference
            | Self::DuplicatePayment
            | Self::OverPayment
            | Self::HubPayer
            | Self::ProviderName
            | Self::Prepayment => 10,
        }
    }
}
