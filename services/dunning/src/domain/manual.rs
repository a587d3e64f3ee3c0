//! The desk's manual, written from a policy: what it says is what is done.

use contracts::inbound::AccountKind;

use super::policy::{Amounts, InterestRules, LegalClass, Policy, Stage};

fn list(words: impl IntoIterator<Item = String>) -> String {
    let mut words: Vec<String> = words.into_iter().collect();
    match words.pop() {
        None => String::new(),
        Some(last) if words.is_empty() => last,
        Some(last) => format!("{} or {last}", words.join(", ")),
    }
}

fn who(kinds: &[AccountKind]) -> String {
    list(kinds.iter().map(|kind| {
        match kind {
            AccountKind::Company => "companies",
            AccountKind::SoleTrader => "sole traders",
            AccountKind::Individual => "individuals",
            AccountKind::PublicBody => "public bodies",
        }
        .to_owned()
    }))
}

fn amounts(amounts: &Amounts) -> String {
    list(
        amounts
            .iter()
            .map(|(currency, amount)| format!("{amount} {currency}")),
    )
}

fn days(count: i64) -> String {
    match count.abs() {
        1 => "1 day".to_owned(),
        many => format!("{many} days"),
    }
}

fn stage(n: usize, stage: &Stage) -> String {
    let when = match stage.days_past_due {
        before if before < 0 => format!("{} before the due day", days(before)),
        after if stage.month_end => {
            format!(
                "{} after the end of the month in which it was due",
                days(after)
            )
        }
        after => format!("{} after the due day", days(after)),
    };
    let mut text = format!("{n}. {}: {when}", stage.title);
    if stage.days_since_last > 0 {
        text = format!(
            "{text}, and at least {} after the reminder before was actually sent",
            days(stage.days_since_last.into())
        );
    }
    text = format!(
        "{text}; by {}",
        list(
            stage
                .channels
                .iter()
                .map(|channel| channel.name().to_owned())
        )
    );
    if !stage.debtors.is_empty() {
        text = format!("{text}; for {}", who(&stage.debtors));
    }
    if !stage.minimum.is_empty() {
        text = format!("{text}; from {} on", amounts(&stage.minimum));
    }
    if !stage.charge.is_empty() {
        text = format!("{text}; it costs the debtor {}", amounts(&stage.charge));
    }
    if stage.credit_stop {
        text = format!("{text}; from then on nothing is supplied on credit until it is paid");
    }
    if stage.is_needed() {
        text = format!("{text}; of several who owe together each has it before anything further");
    }
    match stage.legal {
        LegalClass::Courtesy | LegalClass::Reminder | LegalClass::Demand => format!("{text}."),
        LegalClass::BeforeAction => {
            format!("{text}. Practice Direction on Pre-Action Conduct.")
        }
        LegalClass::Protocol => {
            format!("{text}. Pre-Action Protocol for Debt Claims: 30 days to answer.")
        }
    }
}

/// The paragraphs of a policy.
pub fn paragraphs(policy: &Policy) -> Vec<String> {
    let mut all = Vec::new();
    if !policy.manual.is_empty() {
        all.push(policy.manual.clone());
    }
    let mut scope = "It is for".to_owned();
    scope = if policy.debtors.is_empty() {
        format!("{scope} every debtor")
    } else {
        format!("{scope} {}", who(&policy.debtors))
    };
    if !policy.segments.is_empty() {
        scope = format!("{scope} of the segments {}", list(policy.segments.clone()));
    }
    all.push(format!(
        "{scope}, from {} on.",
        policy.valid_from.format("%-d %B %Y")
    ));
    for (n, one) in policy.stages.iter().enumerate() {
        all.push(stage(n + 1, one));
    }
    all.push(if policy.jump {
        "An item goes to the last stage whose day has come.".to_owned()
    } else {
        "An item goes one stage at a time; days on which it was stopped do not count.".to_owned()
    });
    all.push(format!(
        "Nobody is contacted more than {} times in {}, on whatever channel, nor within {} after a stop ends.",
        policy.budget.contacts,
        days(policy.budget.days.into()),
        days(policy.cool_off_days.into())
    ));
    if !policy.minimum.is_empty() {
        all.push(format!(
            "An account that owes less than {} is not contacted.",
            amounts(&policy.minimum)
        ));
    }
    all.push(format!(
        "Nothing is sent while a bank feed has been silent for more than {} hours.",
        policy.feed_fresh_hours
    ));
    all.push(format!(
        "A promise is kept when no more than {} is missing {} working days after its day; after {} broken ones a further promise stops nothing.",
        policy.promise.tolerance, policy.promise.grace_working_days, policy.promise.levels
    ));
    all.push(format!(
        "A plan is in default after {} missed instalments, each {} working days late{}.",
        policy.plan.missed,
        policy.plan.grace_working_days,
        if policy.plan.interest_frozen {
            "; while it is kept no interest runs"
        } else {
            ""
        }
    ));
    all.push(match policy.interest {
        InterestRules::None => "Nothing is claimed for late payment.".to_owned(),
        InterestRules::Statutory { post, .. } => format!(
            "Interest and compensation by the Late Payment of Commercial Debts (Interest) Act 1998 are {}.",
            if post { "posted after each letter or e-mail" } else { "worked out as a memo, and posted when a person says so" }
        ),
        InterestRules::Contract { percent, post } => format!(
            "Interest is {percent} % a year by contract, {}.",
            if post {
                "posted after each letter or e-mail"
            } else {
                "worked out as a memo, and posted when a person says so"
            }
        ),
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_says_what_the_policy_does() {
        let policy = Policy::shipped().unwrap().remove(0);
        let text = paragraphs(&policy).join("\n");
        assert!(text.contains("2. First reminder: 3 days after the due day; by email or letter."));
        assert!(text.contains("at least 7 days after the reminder before was actually sent"));
        assert!(text.contains("for sole traders or individuals"));
        let mut later = policy;
        later.stages[1].days_past_due = 4;
        assert!(
            paragraphs(&later)
                .join("\n")
                .contains("2. First reminder: 4 days after the due day")
        );
    }
}
