//! Many answers to one question → a count. Pure.
//!
//! What counts is each answer's last line that begins with `ANSWER:`. Two are the same where they differ in case, blanks
//! and marks only, or are the same number. What has no such line has no vote, and that is told.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::template::Decide;

const LABEL: &str = "ANSWER:";

/// A result longer than this is no result.
const SHOWN_CHARS_MAX: usize = 200;

/// Numbers that differ by less are the same.
const RELATIVE_ERROR: f64 = 1e-9;

/// Answers that are the same.
#[derive(Clone, PartialEq)]
pub(crate) struct Group {
    /// As the first of them wrote it, on one line.
    pub(crate) answer: String,
    pub(crate) members: Vec<Arc<str>>,
    pub(crate) weight: f64,
    number: Option<f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tally {
    /// The most votes first.
    groups: Vec<Group>,
    /// Members whose answer has no result to be counted.
    uncounted: Vec<Arc<str>>,
    decide: Decide,
    median: Option<f64>,
}

/// Counts answers, each with its member and weight.
pub(crate) fn count<'a>(answers: impl Iterator<Item = (&'a Arc<str>, &'a str, f64)>, decide: Decide) -> Tally {
    let mut groups: Vec<Group> = Vec::new();
    let mut uncounted = Vec::new();
    for (member, text, weight) in answers {
        let Some(answer) = result(text) else {
            uncounted.push(Arc::clone(member));
            continue;
        };
        let number = number(&answer);
        match groups.iter_mut().find(|group| group.holds(&answer, number)) {
            Some(group) => {
                group.members.push(Arc::clone(member));
                group.weight += weight;
            }
            None => groups.push(Group {
                answer,
                members: vec![Arc::clone(member)],
                weight,
                number,
            }),
        }
    }
    groups.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let median = (decide == Decide::Median).then(|| median(&groups)).flatten();
    Tally {
        groups,
        uncounted,
        decide,
        median,
    }
}

impl Group {
    fn holds(&self, answer: &str, number: Option<f64>) -> bool {
        match (self.number, number) {
            (Some(a), Some(b)) => (a - b).abs() <= RELATIVE_ERROR * a.abs().max(b.abs()),
            _ => plain(&self.answer) == plain(answer),
        }
    }
}

impl Tally {
    /// Whoever voted for what won; `None` where nobody did.
    pub(crate) fn winners(&self) -> Option<&[Arc<str>]> {
        let winner = match self.median {
            // The group whose number lies nearest: for an even count the median itself may be nobody's.
            Some(median) => {
                let distance = |group: &&Group| group.number.map_or(f64::INFINITY, |number| (number - median).abs());
                self.groups.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))
            }
            None => self.groups.first(),
        };
        winner.map(|group| &*group.members)
    }

    /// For the judge. Nothing in it was written by a model: results stand in the quotations alone.
    pub(super) fn told(&self) -> String {
        let votes: Vec<String> = self
            .groups
            .iter()
            .map(|group| format!("{} ({})", group.members.join(", "), votes(group.weight)))
            .collect();
        let mut told = match votes.is_empty() {
            true => "No answer ends with a result that can be counted. Judge by what most of them say.".to_owned(),
            false => format!(
                "Samples that came to the same final result, the most votes first: {}.",
                votes.join("; ")
            ),
        };
        if !self.uncounted.is_empty() && !votes.is_empty() {
            told.push_str(&format!(
                " Without a result that can be counted: {}.",
                self.uncounted.join(", ")
            ));
        }
        match (self.decide, self.median) {
            (Decide::Median, Some(median)) => told.push_str(&format!(" The median of the numbers is {median}; that is the result.")),
            (Decide::Median, None) => told.push_str(" There are no numbers to take a median of."),
            (Decide::Majority, _) if self.has_majority() => told.push_str(
                " The result with the most votes stands, unless the samples that came to it share an error that you can show.",
            ),
            (Decide::Majority, _) if !votes.is_empty() => {
                told.push_str(" No result has more than half of the votes: decide by the reasoning, and say that the samples differ.");
            }
            (Decide::Majority, _) => {}
        }
        told
    }

    fn has_majority(&self) -> bool {
        let total: f64 = self.groups.iter().map(|group| group.weight).sum();
        self.groups.first().is_some_and(|first| first.weight * 2.0 > total)
    }

    pub(crate) fn record(&self) -> Value {
        let groups = self.groups.iter().map(|group| {
            let members: Vec<&str> = group.members.iter().map(|member| &**member).collect();
            json!({"answer": group.answer, "members": members, "weight": group.weight})
        });
        let uncounted: Vec<&str> = self.uncounted.iter().map(|member| &**member).collect();
        json!({"groups": groups.collect::<Vec<_>>(), "uncounted": uncounted, "median": self.median})
    }
}

/// Results are answers, which are nobody's to print.
impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Group({} members, weight {})", self.members.len(), self.weight)
    }
}

fn votes(weight: f64) -> String {
    if weight == 1.0 {
        "1 vote".to_owned()
    } else {
        format!("{weight} votes")
    }
}

fn result(text: &str) -> Option<String> {
    let line = text.lines().rev().find_map(after_label)?;
    let answer = line.trim().trim_matches(['*', '`', '_', ' ']);
    let shown: String = answer
        .chars()
        .filter(|c| !c.is_control() && *c != '"')
        .take(SHOWN_CHARS_MAX)
        .collect();
    (!shown.trim().is_empty()).then(|| shown.trim().to_owned())
}

fn after_label(line: &str) -> Option<&str> {
    let line = line.trim().trim_start_matches(['*', '#', '`', '_', ' ']);
    let (label, rest) = line.split_at_checked(LABEL.len())?;
    label.eq_ignore_ascii_case(LABEL).then_some(rest)
}

/// Letters, digits and signs alone.
fn plain(answer: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '+' | '/' | '=' | '<' | '>' | '%');
    answer.to_lowercase().chars().filter(kept).collect()
}

/// `$1,234.50`, `42 %`, `\boxed{7}` are left to [`plain`] where they are no plain number.
fn number(answer: &str) -> Option<f64> {
    let bare: String = answer
        .chars()
        .filter(|c| !matches!(c, ',' | '$' | '€' | '£' | ' '))
        .collect();
    bare.trim_end_matches('.')
        .parse::<f64>()
        .ok()
        .filter(|number| number.is_finite())
}

/// Each vote counts as much as it weighs.
fn median(groups: &[Group]) -> Option<f64> {
    let mut numbers: Vec<(f64, f64)> = groups
        .iter()
        .filter_map(|group| Some((group.number?, group.weight)))
        .collect();
    numbers.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = numbers.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut below = 0.0;
    for (index, (number, weight)) in numbers.iter().enumerate() {
        below += weight;
        if below > half {
            return Some(*number);
        }
        if below == half {
            return numbers.get(index + 1).map(|(next, _)| (number + next) / 2.0);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(answers: &[&str], decide: Decide) -> Tally {
        let names: Vec<Arc<str>> = (0..answers.len()).map(|index| format!("m{index}").into()).collect();
        let texts: Vec<String> = answers
            .iter()
            .map(|answer| format!("ANSWER: 0\nso\n{answer}\n"))
            .collect();
        count(
            names.iter().zip(&texts).map(|(name, text)| (name, &**text, 1.0)),
            decide,
        )
    }

    fn groups(tally: &Tally) -> Vec<(&str, usize)> {
        tally
            .groups
            .iter()
            .map(|group| (&*group.answer, group.members.len()))
            .collect()
    }

    #[test]
    fn the_same_result_is_one_group_however_it_is_written() {
        let tally = tally(
            &[
                "ANSWER: Paris",
                "**Answer:** paris.",
                "ANSWER: `PARIS`",
                "ANSWER: Lyon",
                "answer: paris!",
            ],
            Decide::Majority,
        );
        assert_eq!(groups(&tally), [("Paris", 4), ("Lyon", 1)]);
        assert_eq!(tally.winners().unwrap().len(), 4);
        assert!(
            tally.told().contains("The result with the most votes stands"),
            "{}",
            tally.told()
        );
    }

    #[test]
    fn numbers_are_the_same_by_value_and_a_median_is_by_weight() {
        let tally = tally(
            &[
                "ANSWER: 1,000",
                "ANSWER: 1000.0",
                "ANSWER: $7",
                "ANSWER: 8",
                "ANSWER: nine",
            ],
            Decide::Median,
        );
        assert_eq!(groups(&tally), [("1,000", 2), ("$7", 1), ("8", 1), ("nine", 1)]);
        assert_eq!(tally.median, Some(504.0));
        assert_eq!(tally.record()["uncounted"], json!([]));
    }

    #[test]
    fn what_cannot_be_counted_is_told() {
        let names: [Arc<str>; 2] = ["a".into(), "b".into()];
        let tally = count(names.iter().map(|name| (name, "no result", 1.0)), Decide::Majority);
        assert_eq!(tally.winners(), None);
        assert!(
            tally.told().starts_with("No answer ends with a result"),
            "{}",
            tally.told()
        );
        let split = super::tests::tally(&["ANSWER: 1", "ANSWER: 2"], Decide::Majority);
        assert!(split.told().contains("say that the samples differ"), "{}", split.told());
    }

    #[test]
    fn a_result_is_one_short_line() {
        let long = format!("ANSWER: {}\u{7}\"<<<", "x".repeat(500));
        let shown = result(&long).unwrap();
        assert_eq!(shown.chars().count(), SHOWN_CHARS_MAX);
        assert!(!shown.contains('\u{7}'));
    }
}
