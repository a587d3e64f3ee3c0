// Files as a bank and a billing system would send them.

const pounds = (pence) => `${pence / 100n}.${String(pence % 100n).padStart(2, '0')}`;
const amount = (element, pence) => `<${element} Ccy="GBP">${pounds(pence)}</${element}>`;

const balance = (code, pence, date) =>
  `<Bal><Tp><CdOrPrtry><Cd>${code}</Cd></CdOrPrtry></Tp>${amount('Amt', pence)}<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>${date}</Dt></Dt></Bal>`;

const entry = (date, line) => `<Ntry>
<NtryRef>${line.reference}</NtryRef>${amount('Amt', line.pence)}<CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>
<BookgDt><Dt>${date}</Dt></BookgDt><ValDt><Dt>${date}</Dt></ValDt><AcctSvcrRef>${line.reference}</AcctSvcrRef>
<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RRCT</Cd><SubFmlyCd>DMCT</SubFmlyCd></Fmly></Domn></BkTxCd>
<NtryDtls><TxDtls><Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs>${amount('Amt', line.pence)}<CdtDbtInd>CRDT</CdtDbtInd>
<RltdPties><Dbtr><Pty><Nm>${line.payer}</Nm></Pty></Dbtr></RltdPties><RmtInf><Ustrd>${line.text}</Ustrd></RmtInf></TxDtls></NtryDtls>
</Ntry>
`;

/**
 * End-of-day statements of one account, each opening with what the one before
 * closed with: `days` is `[{ date, lines: [{ reference, pence, payer, text }] }]`.
 */
export function camt053({ account, opening, days }) {
  let held = opening;
  const statements = days.map(({ date, lines }, at) => {
    const before = held;
    held += lines.reduce((sum, line) => sum + line.pence, 0n);
    return `<Stmt><Id>${account}-${date}</Id><ElctrncSeqNb>${at + 1}</ElctrncSeqNb><CreDtTm>${date}T22:00:00Z</CreDtTm>
<Acct><Id><Othr><Id>${account}</Id></Othr></Id><Ccy>GBP</Ccy></Acct>
${balance('OPBD', before, date)}
${balance('CLBD', held, date)}
${lines.map((line) => entry(date, line)).join('')}</Stmt>
`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>
<GrpHdr><MsgId>${account}</MsgId><CreDtTm>${days[0].date}T22:00:00Z</CreDtTm></GrpHdr>
${statements.join('')}</BkToCstmrStmt></Document>
`;
}

const csv = (header, rows) => [header, ...rows.map((row) => row.join(','))].map((line) => `${line}\n`).join('');

/** `accounts` is `[{ reference, name, email }]`. */
export function accountsCsv(accounts) {
  return csv(
    'account_ref,name,kind,terms_days,currency,email',
    accounts.map(({ reference, name, email = '' }) => [reference, name, 'company', 30, 'GBP', email]),
  );
}

/** `documents` is `[{ reference, account, issued, due, pence, kind }]`; the kind says which way it counts. */
export function documentsCsv(documents) {
  return csv(
    'document_ref,kind,account_ref,issued_on,due_on,gross,currency',
    documents.map(({ reference, account, issued, due, pence, kind = 'invoice' }) => [reference, kind, account, issued, due, pounds(pence), 'GBP']),
  );
}

/** What a form's file field takes. */
export function file(name, text) {
  return { name, mimeType: name.endsWith('.csv') ? 'text/csv' : 'application/xml', buffer: Buffer.from(text) };
}
