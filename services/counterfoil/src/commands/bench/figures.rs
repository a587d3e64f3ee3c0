//! What a bench prints: flat figures by name, in the order they were set.

use std::io::Write as _;

use serde_json::{Map, Value};

use crate::commands::print_json;

#[derive(Default)]
pub(super) struct Figures(Vec<(String, Value)>);

impl Figures {
    /// A figure; what was not measured is there as nothing.
    pub(super) fn set(&mut self, name: impl Into<String>, figure: impl Into<Value>) {
        self.0.push((name.into(), rounded(figure.into())));
    }

    pub(super) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// The figure of each name in the middle of several rounds; of a yes or no,
    /// whether it was so in all of them.
    pub(super) fn median(rounds: Vec<Self>) -> Self {
        let mut rounds = rounds.into_iter();
        let Some(mut median) = rounds.next() else {
            return Self::default();
        };
        let others: Vec<Self> = rounds.collect();
        if others.is_empty() {
            return median;
        }
        for (at, (_, value)) in median.0.iter_mut().enumerate() {
            let values = || others.iter().filter_map(|round| Some(&round.0.get(at)?.1));
            if let Some(held) = value.as_bool() {
                *value = Value::Bool(held && values().all(|other| other.as_bool() == Some(true)));
            } else if let Some(number) = value.as_f64() {
                let mut numbers: Vec<f64> = values().filter_map(Value::as_f64).collect();
                numbers.push(number);
                numbers.sort_unstable_by(f64::total_cmp);
                // Of an even number of rounds the mean of the two in the middle.
                let upper = numbers.get(numbers.len() / 2).copied().unwrap_or(number);
                let lower = numbers
                    .get((numbers.len() - 1) / 2)
                    .copied()
                    .unwrap_or(number);
                *value = rounded(Value::from(f64::midpoint(lower, upper)));
            }
        }
        median
    }

    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            let flat: Map<String, Value> = self.0.iter().cloned().collect();
            return print_json(&flat);
        }
        let width = self
            .0
            .iter()
            .map(|(name, _)| name.len())
            .max()
            .unwrap_or_default();
        let mut out = std::io::stdout().lock();
        for (name, value) in &self.0 {
            let shown = match value {
                Value::Null => "not measured".to_owned(),
                Value::String(text) => text.clone(),
                value => value.to_string(),
            };
            writeln!(out, "{name:width$}  {shown}")?;
        }
        Ok(())
    }
}

/// Digits beyond what can be measured only hide the figure.
fn rounded(value: Value) -> Value {
    match value.as_f64() {
        Some(number) if value.is_f64() => {
            let digits = if number.abs() >= 1000.0 {
                1.0
            } else {
                10_000.0
            };
            Value::from((number * digits).round() / digits)
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(rate: f64, holds: bool) -> Figures {
        let mut figures = Figures::default();
        figures.set("rate", rate);
        figures.set("holds", holds);
        figures.set("receipts", 100_u64);
        figures.set("absent", None::<f64>);
        figures
    }

    #[test]
    fn of_several_rounds_the_middle_one_counts_and_every_failure() {
        let of = |rounds: Vec<Figures>| Figures::median(rounds).0;
        let three = of(vec![round(3.0, true), round(1.0, true), round(2.5, false)]);
        assert_eq!(three[0].1, Value::from(2.5));
        assert_eq!(three[1].1, Value::Bool(false));
        assert_eq!(three[2].1.as_f64(), Some(100.0));
        assert!(three[3].1.is_null());
        assert_eq!(
            of(vec![round(3.0, true), round(1.0, true)])[0].1,
            Value::from(2.0)
        );
        assert_eq!(of(vec![round(1_234.567, true)])[0].1, Value::from(1_235.0));
    }
}
