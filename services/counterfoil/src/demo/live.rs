//! What the bank feed says while the demo runs.

use std::collections::VecDeque;

use chrono::{NaiveDate, TimeDelta};
use contracts::inbound::{BankReceipt, Direction};

use super::{
    Demo,
    payments::{self, Says},
    rng::Rng,
};

/// Endless. First come those who were about to pay anyway: documents near their due date, most with their number.
/// The old debt stays, as it does. When all of those are paid, debtors go on to pay on account.
pub(super) struct LiveFeed<'d> {
    demo: &'d Demo,
    likely: VecDeque<usize>,
    told: usize,
    rng: Rng,
}

impl<'d> LiveFeed<'d> {
    pub(super) fn new(demo: &'d Demo) -> Self {
        let mut rng = Rng::new(demo.seed ^ 0x6c69_7665_0000_0000);
        let (from, to) = (
            demo.today - TimeDelta::days(45),
            demo.today + TimeDelta::days(30),
        );
        let mut likely: Vec<usize> = (0..demo.items.len())
            .filter(|index| {
                let item = &demo.items[*index];
                item.open > 0
                    && !item.document.kind.is_credit()
                    && (from..=to).contains(&item.document.due_on)
            })
            .collect();
        rng.shuffle(&mut likely);
        Self {
            demo,
            likely: likely.into(),
            told: 0,
            rng,
        }
    }
}

impl Iterator for LiveFeed<'_> {
    type Item = BankReceipt;

    fn next(&mut self) -> Option<BankReceipt> {
        let (rng, today): (_, NaiveDate) = (&mut self.rng, self.demo.today);
        let mut line = if rng.percent(3) {
            payments::unknown(today, rng)
        } else if let Some(index) = self.likely.pop_front() {
            let item = &self.demo.items[index];
            let debtor = &self.demo.debtors[item.debtor];
            if rng.percent(5) {
                let part = (item.open / 2).max(1);
                payments::paid(
                    debtor,
                    today,
                    part,
                    Says::Text(format!("{} PART", item.number())),
                    rng,
                )
            } else {
                let says = payments::in_full(item, rng);
                payments::paid(debtor, today, item.open, says, rng)
            }
        } else {
            let debtor = &self.demo.debtors[rng.below(self.demo.debtors.len())];
            let amount = rng.mostly_low(50_00, 2_000_00);
            payments::paid(debtor, today, amount, Says::Text("ON ACCOUNT".into()), rng)
        };
        debug_assert_eq!(line.direction, Direction::Credit);
        self.told += 1;
        line.bank_reference = Some(format!("LV{}{:07}", today.format("%y%m%d"), self.told));
        Some(line.receipt("demo"))
    }
}
