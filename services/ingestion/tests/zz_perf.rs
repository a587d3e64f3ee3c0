use std::time::Instant;
#[test]
fn perf() {
    let n = 100_000_u32;
    let payloads: Vec<String> = (0..n).map(|i| format!(r#"{{"feed":"test","bank_account":{{"sort_code":"20-00-00","account_number":"55779911"}},"bank_reference":"FPID-{i}","booked_on":"2026-03-02","value_on":"2026-03-02","amount":"120.50","currency":"GBP","direction":"credit","scheme":"fps","payer":{{"name":"Acme Trading Ltd","sort_code":"60-16-13","account_number":"31926819"}},"reference":"INV-{i}","end_to_end_id":"E2E-{i}","remittance":{{"unstructured":["payment of invoice INV-{i}"]}}}}"#)).collect();
    let prefix = contracts::Prefix::default();
    let now = kernel::Clock::now(&kernel::SystemClock);
    let meta = messaging::Meta::of_command(uuid::Uuid::now_v7(), now, None);
    for _ in 0..3 {
    let t = Instant::now();
    let wires: Vec<contracts::inbound::BankReceipt> = payloads.iter().map(|p| serde_json::from_slice(p.as_bytes()).unwrap()).collect();
    let json = t.elapsed();
    let t = Instant::now();
    let mut lines = Vec::new();
    for wire in wires {
        lines.push(ingestion::domain::inbound::receipt(wire, now).unwrap());
    }
    let decode = t.elapsed();
    let t = Instant::now();
    let mut known = ingestion::domain::record::Known::default();
    let mut out = Vec::new();
    for l in &lines {
        if known.first_sight(l.dedup_key) {
            let l = l.clone();
            out.push(messaging::Outgoing::new(&l.receipt, l.receipt.receipt_id.as_uuid(), 1, &prefix, now, &meta).unwrap());
        }
    }
    let decide = t.elapsed();
    println!("json {:?} validate {:?}/msg decide {:?}/msg", json / n, decode / n, decide / n);
    }
}
