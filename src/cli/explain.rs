//! `zonespread explain REASON`: what it means, and what helps.

use std::io::Write;

use clap::Args;

use crate::api::{
    Cause, DrillReason, EFFECTIVE_REASONS, Explanation, LossReason, Reason, reasons_document,
};
use crate::lint::{Check, lint_document};

use super::Failure;
use super::table::Grid;

/// Arguments of `zonespread explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// A reason, as the status of a policy shows it, or a check of lint; without one all are
    /// listed
    #[arg(value_name = "REASON")]
    reason: Option<String>,
    /// Print docs/reasons.md
    #[arg(long, hide = true, conflicts_with = "reason")]
    markdown: bool,
    /// Print docs/lint.md
    #[arg(long, hide = true, conflicts_with = "reason")]
    checks: bool,
}

impl Explain {
    /// Prints the explanation.
    pub fn run(&self) -> Result<(), Failure> {
        let text = match &self.reason {
            _ if self.markdown => reasons_document(),
            _ if self.checks => lint_document(),
            None => list(),
            Some(word) => {
                let is_it = |known: &Explanation| known.word.eq_ignore_ascii_case(word);
                let found: Vec<String> = all().filter(is_it).map(|known| told(&known)).collect();
                if found.is_empty() {
                    return Err(unknown(word));
                }
                found.join("\n")
            }
        };
        std::io::stdout().lock().write_all(text.as_bytes())?;
        Ok(())
    }
}

fn all() -> impl Iterator<Item = Explanation> {
    let of_losses = LossReason::ALL.map(LossReason::explanation);
    let of_checks = Check::ALL.map(|check| Explanation {
        word: check.code(),
        means: check.means(),
        helps: check.helps(),
    });
    let of_causes = Cause::ALL.map(Cause::explanation);
    let of_tiers = Reason::ALL.into_iter().map(Reason::explanation).chain(of_causes);
    let of_drills = DrillReason::ALL.map(DrillReason::explanation);
    let of_policies = of_tiers.chain(EFFECTIVE_REASONS).chain(of_losses);
    of_policies.chain(of_drills).chain(of_checks)
}

fn told(explanation: &Explanation) -> String {
    let Explanation { word, means, helps } = explanation;
    format!("{word}\n\n{}\n\nWhat helps\n{}\n", wrapped(means), wrapped(helps))
}

fn list() -> String {
    let mut grid = Grid::new(["REASON", "MEANING"]);
    for Explanation { word, means, .. } in all() {
        grid.row([word, gist(means)]);
    }
    grid.print()
}

/// The first sentence, up to a colon that is no part of code.
fn gist(means: &str) -> &str {
    let is_text = |at: &usize| means[..*at].matches('`').count().is_multiple_of(2);
    let ends = [": ", ". "].map(|end| means.match_indices(end).map(|(at, _)| at).find(is_text));
    let end = ends.into_iter().flatten().min().unwrap_or(means.len());
    means[..end].trim_end_matches('.')
}

fn unknown(word: &str) -> Failure {
    let mut words: Vec<&str> = Vec::new();
    for Explanation { word, .. } in all() {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    format!("there is no reason {word}; the reasons are {}", words.join(", ")).into()
}

/// In lines of at most 80 letters.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().filter(|line| line.len() + word.len() < 78);
        match line {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_explained_on_a_screen() {
        insta::assert_snapshot!(told(&Reason::BudgetExhausted.explanation()));
        insta::assert_snapshot!(list());
    }

    #[test]
    fn a_reason_that_there_is_not_is_answered_with_those_that_there_are() {
        let answer = unknown("NoSuch").to_string();
        assert!(answer.contains("NoSuch") && answer.contains("ZoneImpaired, ZoneHeld"), "{answer}");
    }
}
