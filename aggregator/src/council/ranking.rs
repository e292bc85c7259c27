//! Reviewers' words → one ranking. Pure.
//!
//! Only a reviewer's own last line that begins with `RANKING:` is read. Letters that it does not name share the places
//! that are left; what names no two answers is no ranking.

use super::transcript::Ranked;

const LABEL: &str = "RANKING:";

/// How one answer stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Standing {
    /// Into the transcript's answers.
    pub(crate) said: usize,
    /// From 1, over all reviewers by their weight.
    pub(crate) mean_position: f64,
}

/// The order of `count` letters that a reviewer's text ends with; `None` where there is none to be read.
pub(crate) fn read(text: &str, count: usize) -> Option<Vec<usize>> {
    let line = text.lines().rev().find_map(after_label)?;
    let mut order = Vec::new();
    // Letters that stand alone: "B > A", "B, A", "**B** > **A**", "Answer B, answer A".
    for word in line.split(|c: char| !c.is_ascii_alphanumeric()) {
        let [byte @ b'A'..=b'Z'] = word.as_bytes() else {
            continue;
        };
        let index = usize::from(byte - b'A');
        if index < count && !order.contains(&index) {
            order.push(index);
        }
    }
    (order.len() >= 2 || order.len() == count && count > 0).then_some(order)
}

fn after_label(line: &str) -> Option<&str> {
    let line = line.trim().trim_start_matches(['*', '#', '`', '_', ' ']);
    let (label, rest) = line.split_at_checked(LABEL.len())?;
    label.eq_ignore_ascii_case(LABEL).then_some(rest)
}

/// The mean position of each of the lettered answers, the best first; of equals, the one that was shown first.
pub(crate) fn aggregate(rankings: &[Ranked], lettered: &[usize]) -> Vec<Standing> {
    let total: f64 = rankings.iter().map(|ranked| ranked.weight).sum();
    if rankings.is_empty() || total <= 0.0 {
        return Vec::new();
    }
    let mean = |index: usize| {
        let weighted = rankings
            .iter()
            .map(|ranked| ranked.weight * position(ranked, index, lettered.len()));
        weighted.sum::<f64>() / total
    };
    let mut standings: Vec<Standing> = lettered
        .iter()
        .enumerate()
        .map(|(index, said)| Standing {
            said: *said,
            mean_position: mean(index),
        })
        .collect();
    standings.sort_by(|a, b| a.mean_position.total_cmp(&b.mean_position));
    standings
}

#[expect(clippy::cast_precision_loss, reason = "a council has sixteen members at most")]
fn position(ranked: &Ranked, index: usize, count: usize) -> f64 {
    match ranked.order.iter().position(|it| *it == index) {
        Some(place) => place as f64 + 1.0,
        // The middle of the places that are left.
        None => (ranked.order.len() + 1 + count) as f64 / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(weight: f64, order: &[usize]) -> Ranked {
        Ranked {
            by: "r".into(),
            weight,
            order: order.to_vec(),
        }
    }

    #[test]
    fn only_the_last_line_that_ranks_is_read() {
        for (text, count, expected) in [
            ("A is good.\nRANKING: B > A > C", 3, Some(vec![1, 0, 2])),
            (
                "RANKING: A > B\nOn second thought.\n**Ranking: B > A**\n",
                2,
                Some(vec![1, 0]),
            ),
            ("ranking: answer C, then answer A", 3, Some(vec![2, 0])),
            ("RANKING: B > B > A > Z > A", 2, Some(vec![1, 0])),
            ("RANKING: B", 3, None),
            ("RANKING: A", 1, Some(vec![0])),
            ("RANKING: none of them", 3, None),
            ("B > A > C", 3, None),
            ("", 3, None),
            ("é RANKING", 3, None),
        ] {
            assert_eq!(read(text, count), expected, "{text}");
        }
    }

    #[test]
    fn positions_are_means_by_weight_and_the_unranked_share_what_is_left() {
        let lettered = [7, 8, 9];
        let standings = aggregate(&[ranked(1.0, &[0, 1, 2]), ranked(3.0, &[1, 0])], &lettered);
        let found: Vec<(usize, f64)> = standings.iter().map(|it| (it.said, it.mean_position)).collect();
        assert_eq!(found, [(8, 1.25), (7, 1.75), (9, 3.0)]);
        assert!(aggregate(&[], &lettered).is_empty());
        let tie = aggregate(&[ranked(1.0, &[0, 1]), ranked(1.0, &[1, 0])], &[3, 4]);
        assert_eq!(tie[0].said, 3, "the one that was shown first");
    }
}
