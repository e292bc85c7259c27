//! Turns by weight: Traefik's weighted round robin, made once and then followed.
//!
//! The weights become a fixed schedule when a service is first used; a turn is one atomic addition of the caller's.
//! Smooth interleaving (a server of weight 2 among two of weight 1 comes every other time, not twice in a row) is done
//! while the schedule is made. Whoever cannot take its turn gives it up, so that its share goes to all the others.

/// Weights are scaled down so that a schedule has at most so many turns: 4 KiB a service, and a 0.1 % grain.
const TURNS_MAX: usize = 1024;

/// Whose turn it is, for ever repeated.
#[derive(Debug)]
pub(crate) struct Schedule(Box<[u32]>);

impl Schedule {
    pub(super) fn of(weights: &[u32]) -> Self {
        Self(schedule(weights))
    }

    /// The first of those whose turn comes next that `may` take it; `turn` is called once for each turn used up.
    pub(super) fn next(&self, turn: impl Fn() -> usize, may: impl Fn(usize) -> bool) -> Option<usize> {
        match *self.0 {
            [] => None,
            [only] => Some(only as usize).filter(|&only| may(only)),
            ref turns => {
                let at = |turn: usize| turns[turn % turns.len()] as usize;
                // By chance others may have used up the turns of the only one left, so that one is looked for after all.
                let taken = (0..turns.len()).map(|_| at(turn())).find(|&index| may(index));
                taken.or_else(|| turns.iter().map(|&index| index as usize).find(|&index| may(index)))
            }
        }
    }
}

/// The servers' indices in the order of their turns (smooth weighted round robin).
fn schedule(weights: &[u32]) -> Box<[u32]> {
    let weights = scaled(weights);
    let total: i64 = weights.iter().sum();
    let mut credit = vec![0i64; weights.len()];
    (0..total)
        .filter_map(|_| {
            for (credit, weight) in credit.iter_mut().zip(&weights) {
                *credit += weight;
            }
            let best = (0..weights.len())
                .filter(|&i| weights[i] > 0)
                .max_by_key(|&i| (credit[i], usize::MAX - i))?;
            credit[best] -= total;
            u32::try_from(best).ok()
        })
        .collect()
}

/// The same proportions in smaller numbers; a positive weight stays positive.
fn scaled(weights: &[u32]) -> Vec<i64> {
    let divisor = weights.iter().copied().fold(0, greatest_common_divisor).max(1);
    let reduced: Vec<u64> = weights.iter().map(|&weight| u64::from(weight / divisor)).collect();
    let total: u64 = reduced.iter().sum();
    let turns_max = TURNS_MAX as u64;
    reduced
        .iter()
        .map(|&weight| match weight {
            0 => 0,
            _ if total <= turns_max => weight as i64,
            _ => (weight * turns_max / total).max(1) as i64,
        })
        .collect()
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_follow_the_weights_and_are_interleaved() {
        let cases: [(&[u32], &[u32]); 6] = [
            (&[1], &[0]),
            (&[1, 1], &[0, 1]),
            (&[2, 1, 1], &[0, 1, 2, 0]),
            (&[10, 10], &[0, 1]),
            (&[0, 3], &[1]),
            (&[0, 0], &[]),
        ];
        for (weights, turns) in cases {
            assert_eq!(&*schedule(weights), turns, "{weights:?}");
        }
    }

    #[test]
    fn a_turn_that_cannot_be_taken_is_shared_by_the_others() {
        let schedule = Schedule::of(&[1, 1, 1]);
        let turn = std::cell::Cell::new(0);
        let mut counts = [0; 3];
        for _ in 0..300 {
            let taken = schedule.next(|| turn.replace(turn.get() + 1), |index| index != 0);
            counts[taken.expect("two are left")] += 1;
        }
        assert_eq!(counts, [0, 150, 150]);
        assert_eq!(
            schedule.next(|| 0, |index| index == 2),
            Some(2),
            "whatever the turns say"
        );
        assert_eq!(schedule.next(|| 0, |_| false), None);
    }

    #[test]
    fn large_weights_keep_their_proportions_in_a_bounded_schedule() {
        let turns = schedule(&[1_000_003, 3_000_017, 1]);
        assert!(turns.len() <= TURNS_MAX + 3, "{}", turns.len());
        let count = |server| turns.iter().filter(|&&turn| turn == server).count() as f64;
        assert!((count(1) / count(0) - 3.0).abs() < 0.05);
        assert_eq!(count(2), 1.0);
    }
}
