//! Refunds as an ISO 20022 customer credit transfer, `pain.001.001.09`. The same
//! order gives the same bytes: nothing of the clock or of chance is in it.

use std::fmt::Write as _;

use chrono::SecondsFormat;
use contracts::controls::{RefundFileOrdered, RefundPayment};

/// The file. Texts are cut to what the schema allows, and characters that many
/// banks refuse become spaces.
pub fn write(order: &RefundFileOrdered) -> String {
    let mut out = String::with_capacity(1024 + order.payments.len() * 768);
    let created = order.recorded_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let count = order.payments.len();
    let total = order.total.amount();
    let reference = text(&order.reference, 35);
    let name = text(&order.debtor_name, 140);
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09">
  <CstmrCdtTrfInitn>
    <GrpHdr>
      <MsgId>{reference}</MsgId>
      <CreDtTm>{created}</CreDtTm>
      <NbOfTxs>{count}</NbOfTxs>
      <CtrlSum>{total}</CtrlSum>
      <InitgPty><Nm>{name}</Nm></InitgPty>
    </GrpHdr>
    <PmtInf>
      <PmtInfId>{reference}</PmtInfId>
      <PmtMtd>TRF</PmtMtd>
      <BtchBookg>false</BtchBookg>
      <NbOfTxs>{count}</NbOfTxs>
      <CtrlSum>{total}</CtrlSum>
      <PmtTpInf><SvcLvl><Cd>NURG</Cd></SvcLvl></PmtTpInf>
      <ReqdExctnDt><Dt>{day}</Dt></ReqdExctnDt>
      <Dbtr><Nm>{name}</Nm></Dbtr>
      <DbtrAcct><Id>{account}</Id></DbtrAcct>
      <DbtrAgt>{agent}</DbtrAgt>
      <ChrgBr>SLEV</ChrgBr>
"#,
        day = order.execute_on,
        account = account(&order.bank_account),
        agent = agent(&order.bank_account),
    );
    for payment in &order.payments {
        one(payment, &mut out);
    }
    out.push_str("    </PmtInf>\n  </CstmrCdtTrfInitn>\n</Document>\n");
    out
}

fn one(payment: &RefundPayment, out: &mut String) {
    let _ = write!(
        out,
        r#"      <CdtTrfTxInf>
        <PmtId><InstrId>{id}</InstrId><EndToEndId>{id}</EndToEndId></PmtId>
        <Amt><InstdAmt Ccy="{currency}">{amount}</InstdAmt></Amt>
        <CdtrAgt>{agent}</CdtrAgt>
        <Cdtr><Nm>{name}</Nm></Cdtr>
        <CdtrAcct><Id>{account}</Id></CdtrAcct>
        <RmtInf><Ustrd>Refund {id}</Ustrd></RmtInf>
      </CdtTrfTxInf>
"#,
        id = text(&payment.end_to_end_id, 35),
        currency = payment.amount.currency(),
        amount = payment.amount.amount(),
        agent = agent(&payment.payee_account),
        name = text(&payment.payee_name, 140),
        account = account(&payment.payee_account),
    );
}

/// Sort code and account number of a key such as `GB:200000-55779911`.
fn uk(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix("GB:")?.split_once('-')
}

fn account(key: &str) -> String {
    match uk(key) {
        Some((_, number)) => format!("<Othr><Id>{number}</Id></Othr>"),
        None if key.starts_with("X:") => {
            format!(
                "<Othr><Id>{}</Id></Othr>",
                text(key.trim_start_matches("X:"), 34)
            )
        }
        None => format!("<IBAN>{}</IBAN>", text(key, 34)),
    }
}

/// A UK bank by its sort code; that of an IBAN follows from the IBAN.
fn agent(key: &str) -> String {
    let of = uk(key).map_or_else(
        || "<Othr><Id>NOTPROVIDED</Id></Othr>".to_owned(),
        |(sort_code, _)| {
            format!(
                "<ClrSysMmbId><ClrSysId><Cd>GBDSC</Cd></ClrSysId><MmbId>{sort_code}</MmbId></ClrSysMmbId>"
            )
        },
    );
    format!("<FinInstnId>{of}</FinInstnId>")
}

/// At most so many characters of the set that every bank takes, escaped.
fn text(given: &str, most: usize) -> String {
    let mut out = String::new();
    for character in given.trim().chars().take(most) {
        match character {
            '&' => out.push_str("&amp;"),
            '\'' | '(' | ')' | '+' | ',' | '-' | '.' | '/' | ':' | '?' | ' ' => out.push(character),
            plain if plain.is_ascii_alphanumeric() => out.push(plain),
            _ => out.push(' '),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use contracts::controls::{RefundFileFormat, RefundFileId, RefundId};
    use kernel::{Currency, Money};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn gbp(text: &str) -> Money {
        Money::parse(text, Currency::GBP).unwrap()
    }

    fn order(names: &[&str]) -> RefundFileOrdered {
        let payments: Vec<RefundPayment> = names
            .iter()
            .enumerate()
            .map(|(n, name)| RefundPayment {
                refund_id: RefundId::from(Uuid::from_u128(n as u128)),
                end_to_end_id: format!("RF{n:016X}"),
                amount: gbp("12.50"),
                payee_name: (*name).to_owned(),
                payee_account: "GB:107999-88837491".into(),
            })
            .collect();
        RefundFileOrdered {
            file_id: RefundFileId::from(Uuid::from_u128(7)),
            reference: "REFUNDS-20261126-00000007".into(),
            format: RefundFileFormat::Pain001,
            bank_account: "GB:200000-55779911".into(),
            debtor_name: "Harbour & Sons".into(),
            execute_on: "2026-11-27".parse().unwrap(),
            total: Money::sum(payments.iter().map(|p| p.amount), Currency::GBP).unwrap(),
            payments,
            actor: "user:jo".into(),
            recorded_at: "2026-11-26T09:41:07.123456Z".parse().unwrap(),
            bacs: None,
        }
    }

    #[test]
    fn the_same_order_gives_the_same_bytes() {
        let text = write(&order(&["Acme Ltd", "Bright <& Co> Ltd"]));
        assert_eq!(text, write(&order(&["Acme Ltd", "Bright <& Co> Ltd"])));
        for part in [
            "<MsgId>REFUNDS-20261126-00000007</MsgId>",
            "<CreDtTm>2026-11-26T09:41:07Z</CreDtTm>",
            "<NbOfTxs>2</NbOfTxs>",
            "<CtrlSum>25.00</CtrlSum>",
            "<Nm>Harbour &amp; Sons</Nm>",
            "<ReqdExctnDt><Dt>2026-11-27</Dt></ReqdExctnDt>",
            "<DbtrAcct><Id><Othr><Id>55779911</Id></Othr></Id></DbtrAcct>",
            "<MmbId>107999</MmbId>",
            r#"<InstdAmt Ccy="GBP">12.50</InstdAmt>"#,
            "<EndToEndId>RF0000000000000001</EndToEndId>",
            "<Nm>Bright  &amp; Co  Ltd</Nm>",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn an_iban_needs_no_sort_code() {
        let mut order = order(&["Acme"]);
        order.payments[0].payee_account = "DE89370400440532013000".into();
        let text = write(&order);
        assert!(text.contains("<IBAN>DE89370400440532013000</IBAN>"));
        assert!(text.contains("<Id>NOTPROVIDED</Id>"));
    }

    proptest! {
        /// Whatever a payee is called, the file stays well-formed and says as
        /// many payments as it has.
        #[test]
        fn any_name_keeps_the_file_well_formed(names in proptest::collection::vec(".*", 1..5)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let text = write(&order(&names));
            prop_assert!(text.is_ascii());
            prop_assert_eq!(text.matches("<CdtTrfTxInf>").count(), names.len());
            let opened = text.matches('<').count();
            prop_assert_eq!(opened, text.matches('>').count());
            // An ampersand is only ever the beginning of an entity.
            prop_assert_eq!(text.matches('&').count(), text.matches("&amp;").count());
        }
    }
}
