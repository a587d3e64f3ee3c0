//! `TxDtls`: the payments inside an entry.

use kernel::{Currency, Money};

use super::{Identified, Read, Reader, values::understood};
use crate::domain::line::{
    Adjustment, LineDetail, OtherReference, Party, ReferredDocument, ReturnInfo,
    StructuredRemittance,
};

/// A detail with all amounts that the bank gives for it, the best first.
#[derive(Debug, Default)]
pub(super) struct DetailSaid {
    detail: LineDetail,
    amounts: Vec<Money>,
    debtor_account: Identified,
    creditor_account: Identified,
}

impl DetailSaid {
    /// The detail with its amount in the entry's currency where there is one,
    /// and its parties' accounts, now that all that tells about them is read.
    pub(super) fn in_currency(self, currency: Currency) -> LineDetail {
        let Self {
            mut detail,
            amounts,
            debtor_account,
            creditor_account,
        } = self;
        detail.amount = amounts
            .iter()
            .find(|amount| amount.currency() == currency)
            .or(amounts.first())
            .copied();
        detail.debtor.account = understood(&debtor_account, &detail.debtor, Some(currency));
        detail.creditor.account = understood(&creditor_account, &detail.creditor, Some(currency));
        detail
    }
}

impl Reader<'_> {
    pub(super) fn detail(&mut self) -> Read<DetailSaid> {
        let mut said = DetailSaid::default();
        while self.xml.child()? {
            match self.xml.name() {
                "Refs" => self.references(&mut said.detail)?,
                "Amt" => said.amounts.insert(0, self.amount()?),
                "CdtDbtInd" => said.detail.direction = Some(self.direction()?),
                "AmtDtls" => self.amount_details(&mut said.amounts)?,
                "BkTxCd" => said.detail.bank_transaction_code = self.transaction_code()?,
                "RltdPties" => self.parties(&mut said)?,
                "RltdAgts" => self.agents(&mut said)?,
                "RmtInf" => self.remittance(&mut said.detail)?,
                "RtrInf" => said.detail.returned = Some(self.return_info()?),
                "Purp" => said.detail.purpose = self.xml.code()?,
                "RltdDts" => {
                    while self.xml.child()? {
                        if self.xml.name() == "AccptncDtTm" {
                            said.detail.accepted_at = self.xml.optional_text()?;
                        } else {
                            self.xml.skip()?;
                        }
                    }
                }
                "AddtlTxInf" => said.detail.additional = self.xml.optional_text()?,
                _ => self.xml.skip()?,
            }
        }
        Ok(said)
    }

    fn references(&mut self, detail: &mut LineDetail) -> Read<()> {
        while self.xml.child()? {
            match self.xml.name() {
                "MsgId" => detail.message_id = self.xml.optional_text()?,
                "AcctSvcrRef" => detail.bank_reference = self.xml.optional_text()?,
                "PmtInfId" => detail.payment_information_id = self.xml.optional_text()?,
                "InstrId" => detail.instruction_id = self.xml.optional_text()?,
                "EndToEndId" => detail.end_to_end_id = self.xml.optional_text()?,
                "TxId" => detail.transaction_id = self.xml.optional_text()?,
                "UETR" => detail.uetr = self.xml.optional_text()?,
                "MndtId" => detail.mandate_reference = self.xml.optional_text()?,
                "ChqNb" => detail.cheque_number = self.xml.optional_text()?,
                "ClrSysRef" => detail.clearing_reference = self.xml.optional_text()?,
                "Prtry" => {
                    let (mut kind, mut reference) = (None, None);
                    while self.xml.child()? {
                        match self.xml.name() {
                            "Tp" => kind = self.xml.optional_text()?,
                            "Ref" => reference = self.xml.optional_text()?,
                            _ => self.xml.skip()?,
                        }
                    }
                    if let Some(reference) = reference {
                        detail.other_references.push(OtherReference {
                            kind: kind.unwrap_or_default(),
                            reference,
                        });
                    }
                }
                _ => self.xml.skip()?,
            }
        }
        Ok(())
    }

    /// The transaction amount before version 3, and that in our currency.
    fn amount_details(&mut self, amounts: &mut Vec<Money>) -> Read<()> {
        while self.xml.child()? {
            if matches!(self.xml.name(), "TxAmt" | "CntrValAmt") {
                while self.xml.child()? {
                    if self.xml.name() == "Amt" {
                        amounts.push(self.amount()?);
                    } else {
                        self.xml.skip()?;
                    }
                }
            } else {
                self.xml.skip()?;
            }
        }
        Ok(())
    }

    fn parties(&mut self, said: &mut DetailSaid) -> Read<()> {
        while self.xml.child()? {
            let detail = &mut said.detail;
            match self.xml.name() {
                "Dbtr" => self.party(&mut detail.debtor)?,
                "UltmtDbtr" => self.party(&mut detail.ultimate_debtor)?,
                "Cdtr" => self.party(&mut detail.creditor)?,
                "UltmtCdtr" => self.party(&mut detail.ultimate_creditor)?,
                "DbtrAcct" => {
                    said.debtor_account = self.party_account(&mut detail.debtor)?;
                }
                "CdtrAcct" => {
                    said.creditor_account = self.party_account(&mut detail.creditor)?;
                }
                _ => self.xml.skip()?,
            }
        }
        Ok(())
    }

    /// A party: its name right here, or since version 8 one level down in `Pty`
    /// or (a bank for itself) in `Agt`.
    pub(super) fn party(&mut self, party: &mut Party) -> Read<()> {
        while self.xml.child()? {
            match self.xml.name() {
                "Nm" => party.name = self.xml.optional_text()?.or(party.name.take()),
                "Pty" => {
                    while self.xml.child()? {
                        if self.xml.name() == "Nm" {
                            party.name = self.xml.optional_text()?.or(party.name.take());
                        } else {
                            self.xml.skip()?;
                        }
                    }
                }
                "Agt" => {
                    let name = self.institution(party)?;
                    party.name = party.name.take().or(name);
                }
                _ => self.xml.skip()?,
            }
        }
        Ok(())
    }

    fn party_account(&mut self, party: &mut Party) -> Read<Identified> {
        let mut id = Identified::default();
        while self.xml.child()? {
            match self.xml.name() {
                "Id" => id = self.identified()?,
                "Nm" => party.account_name = self.xml.optional_text()?,
                _ => self.xml.skip()?,
            }
        }
        Ok(id)
    }

    fn agents(&mut self, said: &mut DetailSaid) -> Read<()> {
        while self.xml.child()? {
            match self.xml.name() {
                "DbtrAgt" => self.agent(&mut said.detail.debtor)?,
                "CdtrAgt" => self.agent(&mut said.detail.creditor)?,
                _ => self.xml.skip()?,
            }
        }
        Ok(())
    }

    pub(super) fn agent(&mut self, party: &mut Party) -> Read<()> {
        self.institution(party).map(|_| ())
    }

    /// `FinInstnId` inside the current element: BIC and clearing id go to the
    /// party, the bank's name is returned.
    fn institution(&mut self, party: &mut Party) -> Read<Option<String>> {
        let mut name = None;
        while self.xml.child()? {
            if self.xml.name() != "FinInstnId" {
                self.xml.skip()?;
                continue;
            }
            while self.xml.child()? {
                match self.xml.name() {
                    "BIC" | "BICFI" => party.bank_bic = self.xml.optional_text()?,
                    "Nm" => name = self.xml.optional_text()?,
                    "ClrSysMmbId" => {
                        while self.xml.child()? {
                            if self.xml.name() == "MmbId" {
                                party.bank_clearing_id = self.xml.optional_text()?;
                            } else {
                                self.xml.skip()?;
                            }
                        }
                    }
                    _ => self.xml.skip()?,
                }
            }
        }
        Ok(name)
    }

    fn remittance(&mut self, detail: &mut LineDetail) -> Read<()> {
        while self.xml.child()? {
            match self.xml.name() {
                "Ustrd" => detail.unstructured.extend(self.xml.optional_text()?),
                "Strd" => {
                    let block = self.structured()?;
                    detail.structured.push(block);
                }
                _ => self.xml.skip()?,
            }
        }
        Ok(())
    }

    fn structured(&mut self) -> Read<StructuredRemittance> {
        let mut block = StructuredRemittance::default();
        while self.xml.child()? {
            match self.xml.name() {
                "RfrdDocInf" => {
                    let mut document = ReferredDocument::default();
                    while self.xml.child()? {
                        match self.xml.name() {
                            "Tp" => document.kind = self.kind()?,
                            "Nb" => document.number = self.xml.optional_text()?,
                            "RltdDt" => document.dated = self.remitted_date()?,
                            _ => self.xml.skip()?,
                        }
                    }
                    block.documents.push(document);
                }
                "RfrdDocAmt" => {
                    while self.xml.child()? {
                        match self.xml.name() {
                            "DuePyblAmt" => block.due = self.remitted_amount()?,
                            "DscntApldAmt" => block.discount = self.remitted_amount()?,
                            "CdtNoteAmt" => block.credit_note = self.remitted_amount()?,
                            "RmtdAmt" => block.remitted = self.remitted_amount()?,
                            "AdjstmntAmtAndRsn" => block.adjustments.extend(self.adjustment()?),
                            _ => self.xml.skip()?,
                        }
                    }
                }
                "CdtrRefInf" => {
                    while self.xml.child()? {
                        match self.xml.name() {
                            "Tp" => block.creditor_reference_kind = self.kind()?,
                            "Ref" => block.creditor_reference = self.xml.optional_text()?,
                            _ => self.xml.skip()?,
                        }
                    }
                }
                "AddtlRmtInf" => block.additional.extend(self.xml.optional_text()?),
                _ => self.xml.skip()?,
            }
        }
        Ok(block)
    }

    /// `Tp/CdOrPrtry/Cd` or `Prtry`.
    fn kind(&mut self) -> Read<Option<String>> {
        let mut kind = None;
        while self.xml.child()? {
            if self.xml.name() == "CdOrPrtry" {
                kind = self.xml.code()?;
            } else {
                self.xml.skip()?;
            }
        }
        Ok(kind)
    }

    fn adjustment(&mut self) -> Read<Option<Adjustment>> {
        let (mut amount, mut direction, mut reason, mut note) = (None, None, None, None);
        while self.xml.child()? {
            match self.xml.name() {
                "Amt" => amount = self.remitted_amount()?,
                "CdtDbtInd" => direction = Some(self.direction()?),
                "Rsn" => reason = self.xml.optional_text()?,
                "AddtlInf" => note = self.xml.optional_text()?,
                _ => self.xml.skip()?,
            }
        }
        Ok(amount.map(|amount| Adjustment {
            amount,
            direction,
            reason,
            note,
        }))
    }

    fn return_info(&mut self) -> Read<ReturnInfo> {
        let mut returned = ReturnInfo::default();
        while self.xml.child()? {
            match self.xml.name() {
                "OrgnlBkTxCd" => returned.original = self.transaction_code()?,
                "Rsn" => returned.reason = self.xml.code()?,
                "AddtlInf" => returned.notes.extend(self.xml.optional_text()?),
                _ => self.xml.skip()?,
            }
        }
        Ok(returned)
    }
}
