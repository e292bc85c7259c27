//! Which server of a service is next: Traefik's weighted round robin, without a lock.
//!
//! The weights become a fixed schedule once, when a service is first used; a pick is one atomic addition. Smooth
//! interleaving (a server of weight 2 among two of weight 1 comes every other time, not twice in a row) is done while
//! the schedule is made.

use std::sync::atomic::{AtomicUsize, Ordering};

use keymap::{Server, Service};

use crate::upstream::Upstream;

/// Weights are scaled down so that a schedule has at most so many turns: 4 KiB a service, and a 0.1 % grain.
const TURNS_MAX: usize = 1024;

/// The servers of one service, and whose turn it is.
#[derive(Debug)]
pub(crate) struct ServerSet {
    servers: Box<[Upstream]>,
    schedule: Box<[u32]>,
    turn: AtomicUsize,
}

impl ServerSet {
    pub(crate) fn of(service: &Service) -> Self {
        Self::new(&service.servers)
    }

    pub(crate) fn new(servers: &[Server]) -> Self {
        let weights: Vec<u32> = servers.iter().map(|server| server.weight).collect();
        Self {
            servers: servers.iter().map(Upstream::new).collect(),
            schedule: schedule(&weights),
            turn: AtomicUsize::new(0),
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Upstream> {
        self.servers.get(index)
    }

    /// The next server that was not `tried` in this exchange. `None` where no server is left, or none takes traffic.
    pub(crate) fn next(&self, tried: &[usize]) -> Option<usize> {
        let turn = match self.schedule.len() {
            0 => return None,
            1 => 0,
            _ => self.turn.fetch_add(1, Ordering::Relaxed),
        };
        (0..self.schedule.len())
            .map(|step| self.schedule[(turn.wrapping_add(step)) % self.schedule.len()] as usize)
            .find(|index| !tried.contains(index))
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
    fn large_weights_keep_their_proportions_in_a_bounded_schedule() {
        let turns = schedule(&[1_000_003, 3_000_017, 1]);
        assert!(turns.len() <= TURNS_MAX + 3, "{}", turns.len());
        let count = |server| turns.iter().filter(|&&turn| turn == server).count() as f64;
        assert!((count(1) / count(0) - 3.0).abs() < 0.05);
        assert_eq!(count(2), 1.0);
    }
}
