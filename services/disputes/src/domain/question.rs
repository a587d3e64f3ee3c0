//! The e-mail that puts a question to somebody without an account.

use chrono::{DateTime, Utc};
use kernel::london_date;

/// What it says.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    pub asked_by: &'q str,
    pub case_ref: &'q str,
    pub account: &'q str,
    pub question: &'q str,
    pub link: &'q str,
    pub expires_at: DateTime<Utc>,
    /// Who we are.
    pub sender: &'q str,
}

impl Question<'_> {
    /// Names no customer: a subject is shown on locked screens.
    pub fn subject(&self) -> String {
        format!("A question to you about {}", self.case_ref)
    }

    pub fn text(&self) -> String {
        let until = london_date(self.expires_at).format("%-d %B %Y");
        let asker = self.asked_by.split(':').next_back().unwrap_or_default();
        format!(
            "{asker} asks you about {} of {}:\n\n{}\n\nPlease answer here, an account is not needed:\n{}\n\n\
             The link is for you and this one question alone, until {until}. Please do not pass it on.\n\n{}\n",
            self.case_ref, self.account, self.question, self.link, self.sender
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_stands_with_its_link_and_its_last_day_in_london() {
        let question = Question {
            asked_by: "user:jo",
            case_ref: "Q-000001",
            account: "Acme Ltd",
            question: "Was it delivered?",
            link: "https://ar.example.org/n/abc",
            // Already the second of July in London.
            expires_at: "2026-07-01T23:30:00Z".parse().unwrap(),
            sender: "Ledger",
        };
        let text = question.text();
        assert!(text.starts_with("jo asks you about Q-000001 of Acme Ltd:\n"));
        assert!(text.contains("\nhttps://ar.example.org/n/abc\n"));
        assert!(text.contains("until 2 July 2026"));
        assert!(!question.subject().contains("Acme"));
    }
}
