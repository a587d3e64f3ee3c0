pub(crate) mod bench;
pub(crate) mod dead_letters;
pub(crate) mod doctor;
pub(crate) mod evaluate_matching;
pub(crate) mod explain;
pub(crate) mod import;
pub(crate) mod invariants;
pub(crate) mod outbox;
pub(crate) mod parse;
pub(crate) mod projections;
pub(crate) mod rules;
pub(crate) mod run;
pub(crate) mod undo_import;
pub(crate) mod up;

/// Prints a value as JSON, one document.
pub(crate) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}
