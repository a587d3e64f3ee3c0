//! The states of a refund, and what it reserves.

use contracts::allocation::{Decision, Rule};
use kernel::Currency;
use proptest::prelude::*;

use super::*;
use contracts::api::controls::RefundContent;

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

fn day() -> NaiveDate {
    "2026-11-26".parse().unwrap()
}

fn received(amount: &str) -> Receipt {
    Receipt {
        id: ReceiptId::generate(),
        version: 1,
        bank_account: "GB:200000-55779911".into(),
        designation: contracts::ingestion::Designation::Business,
        bank_reference: None,
        booked_on: day(),
        value_on: day(),
        amount: gbp(amount),
        unallocated: gbp(amount),
        paid_out: gbp("0"),
        payer_name: Some("Acme Ltd".into()),
        payer_account: Some("GB:107999-88837491".into()),
        narrative: String::new(),
        tokens: vec![],
        advice: vec![],
        detail: ledger::Detail::default(),
        account: None,
        account_ref: None,
        decision: Decision::because(Rule::None, Vec::new()),
        suggestions: vec![],
        recorded_at: DateTime::UNIX_EPOCH,
    }
}

fn by(actor: &str) -> Because<'_> {
    Because {
        rule: Rule::Manual,
        reason: "because",
        actor,
        now: DateTime::UNIX_EPOCH,
        not_before: day(),
    }
}

fn content(amount: Option<&str>) -> RefundContent {
    RefundContent {
        amount: amount.map(gbp),
        reason: "paid twice".into(),
        payee: None,
        evidence: vec![Attachment {
            label: "letter".into(),
            reference: Some("L1".into()),
            sha256: None,
        }],
    }
}

fn draft(receipt: &Receipt, ask: &RefundContent) -> Result<Refund, Refused> {
    drafted(
        RefundId::generate(),
        receipt,
        ask,
        1,
        "user:jo",
        DateTime::UNIX_EPOCH,
    )
}

#[test]
fn without_a_known_source_a_payee_is_needed_e43() {
    let mut receipt = received("10");
    receipt.payer_account = None;
    let refused = draft(&receipt, &content(None)).unwrap_err();
    assert_eq!(refused.code(), "allocation.no_source_account");
}

#[test]
fn another_payee_needs_a_second_approver_and_its_details_are_forgotten() {
    let receipt = received("10");
    let mut ask = content(None);
    let payee = |number: &str, reason: &str| contracts::api::controls::Payee {
        name: "Acme Holdings".into(),
        account: serde_json::from_value(json!({"sort_code": "107999", "account_number": number}))
            .unwrap(),
        reason: reason.into(),
    };
    ask.payee = Some(payee("88837491", ""));
    assert_eq!(
        draft(&receipt, &ask).unwrap().approvers(),
        1,
        "the source itself"
    );
    ask.payee = Some(payee("88837492", " "));
    assert_eq!(
        draft(&receipt, &ask).unwrap_err().code(),
        "allocation.payee_reason_needed"
    );
    ask.payee = Some(payee("88837492", "account closed"));
    let mut refund = draft(&receipt, &ask).unwrap();
    assert_eq!(refund.approvers(), 2);
    assert!(!refund.content().to_string().contains("88837492"), "masked");
    let mut receipt = receipt;
    let stopped = refund.stop(
        RefundState::Cancelled,
        "no",
        &mut receipt,
        &mut Changes::default(),
        &by("user:jo"),
    );
    assert!(stopped.is_ok());
    assert_eq!(refund.payee.account, None);
    assert_eq!(refund.payee.masked.as_deref(), Some("****7492"));
}

#[test]
fn what_is_not_as_approved_is_in_no_payment_file_e102() {
    let mut receipt = received("10");
    let mut changes = Changes::default();
    let mut refund = draft(&receipt, &content(None)).unwrap();
    refund
        .submit(&mut receipt, &mut changes, &by("user:jo"))
        .unwrap();
    let refused = refund.approved("of something else", "", &by("user:al"));
    assert_eq!(refused.unwrap_err().code(), "allocation.not_as_approved");
    let approved = frozen(&refund.content()).1;
    refund.approved(&approved, "", &by("user:al")).unwrap();
    refund.verified("called back", &by("user:al")).unwrap();
    refund.payee.revision += 1;
    let to = RefundState::InPaymentFile;
    let refused = refund.on_its_way(to, "PF1", &by("user:al"));
    assert_eq!(refused.unwrap_err().code(), "allocation.not_as_approved");
    refund.payee.revision -= 1;
    assert!(refund.on_its_way(to, "PF1", &by("user:al")).is_ok());
}

#[test]
fn a_payment_is_known_by_its_reference_wherever_the_bank_puts_it() {
    let refund = draft(&received("10"), &content(None)).unwrap();
    let reference = refund.payment_reference();
    assert_eq!(reference.len(), 18, "Bacs has no more");
    let told = format!("FASTER PAYMENT/{}, ACME", reference.to_lowercase());
    assert_eq!(payment_references(["NOTPROVIDED", &told]), [reference]);
    assert!(payment_references(["RF18539007547034", "RFXYZ", "REF 0123456789ABCDEF"]).is_empty());
}

proptest! {
    /// E43, E44: whatever order people and banks do things in, every pound of
    /// the receipt is in one place, never more goes back than came in, and
    /// what we owe for refunds is what is reserved and not paid yet.
    #[test]
    fn no_pound_is_spent_twice(
        steps in proptest::collection::vec((0_usize..3, 0_usize..11, 1_u32..90), 1..60)
    ) {
        let mut receipt = received("100");
        let mut allocated = 0_u32;
        let mut refunds: Vec<Option<Refund>> = vec![None, None, None];
        let mut changes = Changes::default();
        let (jo, al) = (by("user:jo"), by("user:al"));
        for (which, what, pounds) in steps {
            let amount = format!("{pounds}");
            let slot = &mut refunds[which];
            match (what, slot.as_mut()) {
                (0, None) => *slot = draft(&receipt, &content(Some(&amount))).ok(),
                (0, Some(refund)) if refund.is_over_unpaid() => {
                    *slot = draft(&receipt, &content(Some(&amount))).ok();
                }
                // Allocation by a person, as far as there is money.
                (1, _) if gbp(&amount).amount() <= receipt.unallocated.amount() => {
                    receipt.unallocated = receipt.unallocated.checked_sub(gbp(&amount)).unwrap();
                    allocated += pounds;
                }
                (2, Some(refund)) => { let _ = refund.submit(&mut receipt, &mut changes, &jo); }
                (3, Some(refund)) => { let sha = frozen(&refund.content()).1; let _ = refund.approved(&sha, "", &al); }
                (4, Some(refund)) => { let _ = refund.stop(RefundState::Rejected, "", &mut receipt, &mut changes, &al); }
                (5, Some(refund)) => { let _ = refund.stop(RefundState::Expired, "", &mut receipt, &mut changes, &al); }
                (6, Some(refund)) => { let _ = refund.stop(RefundState::Voided, "", &mut receipt, &mut changes, &al); }
                (7, Some(refund)) => { let _ = refund.verified("called", &al); }
                (8, Some(refund)) => {
                    let to = if refund.state == RefundState::InPaymentFile { RefundState::Sent } else { RefundState::InPaymentFile };
                    let _ = refund.on_its_way(to, "PF", &al);
                }
                (9, Some(refund)) => { let _ = refund.paid(day(), &receipt, &mut changes, &al); }
                (10, Some(refund)) => { let _ = refund.returned(Some("B"), day(), &mut receipt, &mut changes, &al); }
                _ => {}
            }
            let held: Money = Money::sum(
                refunds.iter().flatten().filter(|r| r.reservation.is_some()).map(|r| r.amount),
                Currency::GBP,
            ).unwrap();
            prop_assert_eq!(receipt.paid_out, held);
            prop_assert!(!receipt.unallocated.is_negative());
            let all = receipt.unallocated.checked_add(held).unwrap()
                .checked_add(gbp(&allocated.to_string())).unwrap();
            prop_assert_eq!(all, receipt.amount);
            let owed = changes.entries.iter().fold(gbp("0"), |sum, entry| {
                if entry.credit == payable() { sum.checked_add(entry.amount).unwrap() }
                else if entry.debit == payable() { sum.checked_sub(entry.amount).unwrap() }
                else { sum }
            });
            let unpaid = Money::sum(
                refunds.iter().flatten()
                    .filter(|r| r.reservation.is_some() && r.state != RefundState::Paid)
                    .map(|r| r.amount),
                Currency::GBP,
            ).unwrap();
            prop_assert_eq!(owed, unpaid);
        }
    }
}
