//! `counterfoil rules`: matching rules from draft to live, and over the past.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use chrono::NaiveDate;
use clap::Subcommand;
use contracts::{
    api::{
        PageRequest,
        rules::{
            DraftRuleSet, GetRuleSet, ListDemotedRungs, ListRuleSets, PromoteRuleSet,
            ReplayDecision, ReplayReport, ReplayRules, ReplayScore, RestoreRung, RetireRuleSet,
            RuleSetDetail, ValidateRuleSet,
        },
    },
    rules::{RuleScope, RuleSet},
};
use kernel::CommandId;

use super::print_json;
use crate::{
    Context,
    client::{Client, actor},
};

#[derive(Subcommand)]
pub(crate) enum Rules {
    /// All versions, the newest first, and rungs that only suggest for now.
    List,
    /// One version with its history.
    Show { version: i64 },
    /// Says what is wrong with a file; stores nothing.
    Validate { file: PathBuf },
    /// Stores a file (TOML or JSON) as a draft.
    Draft {
        file: PathBuf,
        #[arg(long)]
        reason: String,
    },
    /// A draft becomes a shadow; of a shadow a second person is asked, through approvals.
    Promote {
        version: i64,
        #[arg(long)]
        reason: String,
    },
    /// Takes a version out of use.
    Retire {
        version: i64,
        #[arg(long)]
        reason: String,
    },
    /// Lets a rung post again that was wrong too often.
    Restore {
        /// `payer_amount`, `subset_sum`, …
        rule: String,
        /// An account's or a segment's rung; else the ledger's.
        #[arg(long, conflicts_with = "segment")]
        account: Option<String>,
        #[arg(long)]
        segment: Option<String>,
        #[arg(long)]
        reason: String,
    },
    /// Runs rules over past receipts beside the live ones; changes nothing.
    Replay {
        /// A version, or a file that is not stored.
        what: String,
        /// Receipts booked from this day…
        #[arg(long)]
        from: Option<NaiveDate>,
        /// …to this day.
        #[arg(long)]
        to: Option<NaiveDate>,
        /// So many receipts at most, the latest.
        #[arg(long)]
        receipts: Option<u32>,
    },
}

/// A rule set from a file: JSON by its name, else TOML.
pub(super) fn read(file: &Path) -> anyhow::Result<RuleSet> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).context(name.clone())?;
    if file
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        return serde_json::from_str(&text).context(name);
    }
    toml::from_str(&text).context(name)
}

impl Rules {
    pub(crate) async fn run(self, mut context: Context) -> anyhow::Result<()> {
        let client = Client::connect(&mut context).await?;
        let command_id = CommandId::generate();
        let actor = actor();
        let detail = match self {
            Self::List => return list(&client, context.json).await,
            Self::Validate { file } => {
                let rule_set = read(&file)?;
                let check = client.ask(&ValidateRuleSet { rule_set }).await?;
                if context.json {
                    print_json(&check)?;
                }
                if check.problems.is_empty() {
                    if !context.json {
                        println!("nothing is wrong");
                    }
                    return Ok(());
                }
                for problem in &check.problems {
                    eprintln!("{}: {}", problem.pointer, problem.detail);
                }
                bail!("{} mistakes", check.problems.len());
            }
            Self::Replay {
                what,
                from,
                to,
                receipts,
            } => {
                let version = what.parse().ok();
                let rule_set = match version {
                    Some(_) => None,
                    None => Some(read(Path::new(&what))?),
                };
                let ask = ReplayRules {
                    version,
                    rule_set,
                    from,
                    to,
                    receipts,
                };
                let report = client.ask(&ask).await?;
                if context.json {
                    return print_json(&report);
                }
                tell(&report);
                return Ok(());
            }
            Self::Restore {
                rule,
                account,
                segment,
                reason,
            } => {
                let rule = serde_json::from_value(rule.clone().into())
                    .with_context(|| format!("there is no rung `{rule}`"))?;
                let scope = match (account, segment) {
                    (Some(account), _) => RuleScope::Account(account),
                    (None, Some(segment)) => RuleScope::Segment(segment),
                    (None, None) => RuleScope::Ledger,
                };
                let ask = RestoreRung {
                    command_id,
                    scope,
                    rule,
                    actor,
                    reason,
                };
                let left = client.ask(&ask).await?;
                return print_json(&left);
            }
            Self::Show { version } => client.ask(&GetRuleSet { version }).await?,
            Self::Draft { file, reason } => {
                let ask = DraftRuleSet {
                    command_id,
                    rule_set: read(&file)?,
                    actor,
                    reason,
                };
                client.ask(&ask).await?
            }
            Self::Promote { version, reason } => {
                let ask = PromoteRuleSet {
                    command_id,
                    version,
                    actor,
                    reason,
                };
                client.ask(&ask).await?
            }
            Self::Retire { version, reason } => {
                let ask = RetireRuleSet {
                    command_id,
                    version,
                    actor,
                    reason,
                };
                client.ask(&ask).await?
            }
        };
        if context.json {
            return print_json(&detail);
        }
        show(&detail)
    }
}

async fn list(client: &Client, json: bool) -> anyhow::Result<()> {
    let ask = ListRuleSets {
        state: None,
        page: PageRequest {
            cursor: None,
            limit: Some(PageRequest::MAX),
        },
    };
    let page = client.ask(&ask).await?;
    let demoted = client.ask(&ListDemotedRungs {}).await?;
    if json {
        return print_json(
            &serde_json::json!({ "rule_sets": page.items, "demoted": demoted.demoted }),
        );
    }
    for view in &page.items {
        println!(
            "{:>5}  {:<8} {:<24} from {}  {} (by {}{})",
            view.version,
            view.state.name(),
            scope(&view.scope),
            view.valid_from,
            view.name,
            view.author,
            view.approver
                .as_ref()
                .map(|who| format!(", live by {who}"))
                .unwrap_or_default(),
        );
    }
    for one in &demoted.demoted {
        println!(
            "`{}` of {} only suggests since {}: {}",
            one.rule.name(),
            scope(&one.scope),
            one.recorded_at.format("%Y-%m-%d %H:%M"),
            one.reason
        );
    }
    Ok(())
}

fn scope(scope: &RuleScope) -> String {
    match scope {
        RuleScope::Ledger => "the ledger".to_owned(),
        other => format!("{} {}", other.kind(), other.key()),
    }
}

fn show(detail: &RuleSetDetail) -> anyhow::Result<()> {
    let view = &detail.view;
    println!(
        "# Rule set {}, {}, for {}",
        view.version,
        view.state.name(),
        scope(&view.scope)
    );
    for step in &detail.steps {
        println!(
            "# {} {} by {}: {}",
            step.recorded_at.format("%Y-%m-%d %H:%M"),
            step.state.name(),
            step.actor,
            step.reason
        );
    }
    for one in &detail.demoted {
        println!("# `{}` only suggests: {}", one.rule.name(), one.reason);
    }
    if let Some(shadow) = &detail.shadow {
        println!("# Beside the live rules:");
        for day in &shadow.days {
            println!(
                "# {}: {} the same, {} live only, {} shadow only, {} other lines",
                day.day, day.same, day.live_only, day.shadow_only, day.different_lines
            );
        }
        for example in &shadow.examples {
            println!(
                "# {} {} {}: {} -> {}",
                example.day,
                example.receipt_id,
                example.outcome.name(),
                decision(&example.live),
                decision(&example.shadow)
            );
        }
    }
    println!("\n{}", toml::to_string_pretty(&detail.rule_set)?);
    Ok(())
}

fn decision(decision: &ReplayDecision) -> String {
    if !decision.automatic {
        return "left to a person".to_owned();
    }
    let mut parts = decision.lines.clone();
    parts.extend(decision.adjustments.iter().cloned());
    format!("{} ({})", parts.join(", "), decision.rule.name())
}

fn tell(report: &ReplayReport) {
    println!("{} receipts", report.receipts);
    if let Some(why) = &report.cut_short {
        println!("not all: {why}");
    }
    let share = |share: Option<rust_decimal::Decimal>| {
        share.map_or_else(|| "-".to_owned(), |share| share.to_string())
    };
    let row = |name: &str, score: &ReplayScore| {
        let money: Vec<String> = score.written_off.iter().map(|m| m.display_uk()).collect();
        println!(
            "{name:<10} {:>9} {:>9} {:>7} {:>7} {:>9} {:>10}  {}",
            score.automatic,
            share(score.rate),
            score.right,
            score.wrong,
            score.unjudged,
            share(score.precision),
            money.join(" ")
        );
    };
    println!(
        "{:<10} {:>9} {:>9} {:>7} {:>7} {:>9} {:>10}  written off",
        "", "automatic", "rate", "right", "wrong", "unjudged", "precision"
    );
    row("live", &report.live);
    row("candidate", &report.candidate);
    println!("{} decisions would be different", report.changed);
    for change in &report.changes {
        println!(
            "{} {} {}: {} -> {}",
            change.booked_on,
            change.receipt_id,
            change.amount.display_uk(),
            decision(&change.from),
            decision(&change.to)
        );
    }
}
