//! Backends that serve one model → the order in which to try them. Pure: numbers in, indices out.

use std::cmp::Reverse;
use std::time::Duration;

use crate::config_file::Strategy;

/// What a strategy knows of one backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) is_loaded: bool,
    /// The lowest is tried first.
    pub(super) priority: i32,
    /// At least 1.
    pub(super) weight: u32,
    /// How much of the conversation is in its cache.
    pub(super) held: usize,
    pub(super) busy: u32,
    pub(super) slots: Option<u32>,
    pub(super) latency: Duration,
}

/// What a server is taken for that does not say how many requests it works on at once: llama-server's usual number.
const SLOTS_USUAL: u32 = 4;

impl Facts {
    fn slots(&self) -> u32 {
        self.slots.unwrap_or(SLOTS_USUAL).max(1)
    }

    /// How full it is, in thousandths of what it can work on at once, by weight.
    fn fill(&self) -> u64 {
        u64::from(self.busy) * 1_000 / (u64::from(self.slots()) * u64::from(self.weight.max(1)))
    }
}

/// Every index once, best first. `turn` counts the requests for this model.
pub(super) fn order(strategy: Strategy, prefer_loaded: bool, turn: u64, facts: &[Facts]) -> Vec<usize> {
    match strategy {
        Strategy::Smart => smart(prefer_loaded, turn, facts),
        Strategy::Priority => by_key(facts, |index, own| {
            (own.priority, own.fill(), in_turn(index, turn, facts.len()))
        }),
        Strategy::RoundRobin => round_robin(turn, facts),
    }
}

fn smart(prefer_loaded: bool, turn: u64, facts: &[Facts]) -> Vec<usize> {
    let class = |facts: &Facts| (prefer_loaded && !facts.is_loaded, facts.priority);
    by_key(facts, |index, own| {
        let peers = facts.iter().filter(|other| class(other) == class(own));
        let least_busy = peers.map(|other| other.busy).min().unwrap_or(own.busy);
        let held = if is_overloaded(own, least_busy) { 0 } else { own.held };
        (
            class(own),
            Reverse(held),
            own.fill(),
            magnitude(own.latency),
            in_turn(index, turn, facts.len()),
        )
    })
}

/// A cached prefix is worth waiting for, but not behind a whole row of other requests while somebody else is idle:
/// no more than a full set of slots, and half as much again, above the least busy.
fn is_overloaded(own: &Facts, least_busy: u32) -> bool {
    let more = own.busy.saturating_sub(least_busy);
    more >= own.slots() && u64::from(own.busy) * 2 > u64::from(least_busy) * 3
}

/// Latencies that differ by less than a factor of two are noise.
fn magnitude(latency: Duration) -> u32 {
    latency.as_micros().checked_ilog2().unwrap_or(0)
}

/// Where an index stands when its turn has come round.
fn in_turn(index: usize, turn: u64, count: usize) -> u64 {
    let count = (count as u64).max(1);
    (index as u64 + count - turn % count) % count
}

fn by_key<K: Ord>(facts: &[Facts], key: impl Fn(usize, &Facts) -> K) -> Vec<usize> {
    let mut order: Vec<usize> = (0..facts.len()).collect();
    order.sort_by_cached_key(|&index| key(index, &facts[index]));
    order
}

/// Smooth weighted round robin: in each period a backend comes as often as it weighs, spread out evenly. The state that
/// the algorithm usually keeps is worked out from the turn: a period has at most the sum of the weights in turns.
fn round_robin(turn: u64, facts: &[Facts]) -> Vec<usize> {
    let divisor = facts
        .iter()
        .map(|facts| facts.weight.max(1))
        .fold(0, greatest_common_divisor)
        .max(1);
    let weights: Vec<i64> = facts
        .iter()
        .map(|facts| i64::from(facts.weight.max(1) / divisor))
        .collect();
    let period: i64 = weights.iter().sum();
    let mut credit = vec![0_i64; weights.len()];
    let steps = turn % u64::try_from(period).unwrap_or(1).max(1);
    for step in 0..=steps {
        for (credit, weight) in credit.iter_mut().zip(&weights) {
            *credit += weight;
        }
        if step < steps
            && let Some(picked) = richest(&credit)
        {
            credit[picked] -= period;
        }
    }
    let mut order: Vec<usize> = (0..facts.len()).collect();
    order.sort_by_key(|&index| (Reverse(credit[index]), index));
    order
}

fn richest(credit: &[i64]) -> Option<usize> {
    (0..credit.len()).min_by_key(|&index| (Reverse(credit[index]), index))
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config_file::Strategy;
    use proptest::prelude::*;
    use proptest::strategy::Strategy as _;

    const PLAIN: Facts = Facts {
        is_loaded: true,
        priority: 1,
        weight: 1,
        held: 0,
        busy: 0,
        slots: None,
        latency: Duration::from_millis(10),
    };

    fn smart_order(facts: &[Facts]) -> Vec<usize> {
        order(Strategy::Smart, true, 0, facts)
    }

    #[test]
    fn smart_looks_at_one_thing_after_the_other() {
        let unloaded = Facts {
            is_loaded: false,
            ..PLAIN
        };
        let second = Facts { priority: 2, ..PLAIN };
        let held = Facts { held: 7, ..PLAIN };
        let busy = Facts { busy: 3, ..PLAIN };
        let far = Facts {
            latency: Duration::from_millis(900),
            ..PLAIN
        };
        for (what, facts, expected) in [
            ("loaded before priority", vec![unloaded, second], vec![1, 0]),
            (
                "priority before the cache",
                vec![Facts { priority: 2, ..held }, PLAIN],
                vec![1, 0],
            ),
            (
                "the cache before idleness",
                vec![PLAIN, Facts { busy: 3, ..held }],
                vec![1, 0],
            ),
            ("the longest prefix", vec![held, Facts { held: 8, ..PLAIN }], vec![1, 0]),
            ("idle before busy", vec![busy, PLAIN], vec![1, 0]),
            ("near before far", vec![far, PLAIN], vec![1, 0]),
            (
                "free slots count, not requests",
                vec![
                    busy,
                    Facts {
                        busy: 4,
                        slots: Some(16),
                        ..PLAIN
                    },
                ],
                vec![1, 0],
            ),
            (
                "weight is capacity",
                vec![
                    busy,
                    Facts {
                        weight: 4,
                        ..Facts { busy: 4, ..PLAIN }
                    },
                ],
                vec![1, 0],
            ),
        ] {
            assert_eq!(smart_order(&facts), expected, "{what}");
        }
        assert_eq!(
            order(Strategy::Smart, false, 0, &[unloaded, second]),
            [0, 1],
            "unless told not to prefer it"
        );
    }

    #[test]
    fn a_cached_prefix_is_given_up_where_its_server_is_much_busier() {
        let held = |busy, slots| Facts {
            held: 1_000,
            busy,
            slots,
            ..PLAIN
        };
        for (own, other, expected) in [
            (held(3, None), 0, [0, 1]),
            (held(4, None), 0, [1, 0]),
            (held(15, Some(16)), 0, [0, 1]),
            (held(104, None), 100, [0, 1]),
            (held(1, Some(1)), 0, [1, 0]),
        ] {
            let other = Facts {
                busy: other,
                slots: own.slots,
                ..PLAIN
            };
            assert_eq!(smart_order(&[own, other]), expected, "{own:?}");
        }
    }

    #[test]
    fn equals_take_turns() {
        let first: Vec<usize> = (0..6)
            .map(|turn| order(Strategy::Smart, true, turn, &[PLAIN; 3])[0])
            .collect();
        assert_eq!(first, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn priority_ignores_what_is_loaded() {
        let facts = [
            Facts { priority: 2, ..PLAIN },
            Facts {
                is_loaded: false,
                busy: 9,
                ..PLAIN
            },
        ];
        assert_eq!(order(Strategy::Priority, true, 0, &facts), [1, 0]);
    }

    #[test]
    fn round_robin_is_smooth() {
        let facts = [5, 1, 1].map(|weight| Facts { weight, ..PLAIN });
        let first: Vec<usize> = (0..7)
            .map(|turn| order(Strategy::RoundRobin, true, turn, &facts)[0])
            .collect();
        assert_eq!(first, [0, 0, 1, 0, 2, 0, 0]);
    }

    fn any_facts() -> impl proptest::strategy::Strategy<Value = Facts> {
        let slots = proptest::option::of(0_u32..20);
        (
            any::<bool>(),
            -2_i32..3,
            1_u32..10,
            0_usize..5,
            0_u32..50,
            slots,
            0_u64..10_000,
        )
            .prop_map(|(is_loaded, priority, weight, held, busy, slots, latency_ms)| Facts {
                is_loaded,
                priority,
                weight,
                held,
                busy,
                slots,
                latency: Duration::from_millis(latency_ms),
            })
    }

    proptest! {
        #[test]
        fn every_backend_is_tried_once_whatever_the_strategy(
            facts in proptest::collection::vec(any_facts(), 0..8), turn: u64, prefer: bool,
        ) {
            for strategy in [Strategy::Smart, Strategy::Priority, Strategy::RoundRobin] {
                let mut order = order(strategy, prefer, turn, &facts);
                order.sort_unstable();
                prop_assert_eq!(order, (0..facts.len()).collect::<Vec<_>>());
            }
        }

        #[test]
        fn smart_never_puts_the_unloaded_or_the_lower_ranked_first(
            facts in proptest::collection::vec(any_facts(), 1..8), turn: u64,
        ) {
            let order = order(Strategy::Smart, true, turn, &facts);
            let classes: Vec<_> = order.iter().map(|&index| (!facts[index].is_loaded, facts[index].priority)).collect();
            prop_assert!(classes.is_sorted());
        }

        #[test]
        fn round_robin_gives_each_its_share_of_a_period(
            weights in proptest::collection::vec(1_u32..10, 1..6), start in 0_u64..1_000,
        ) {
            let facts: Vec<Facts> = weights.iter().map(|&weight| Facts { weight, ..PLAIN }).collect();
            let period = u64::from(weights.iter().sum::<u32>());
            let mut picks = vec![0_u32; weights.len()];
            for turn in start * period..(start + 1) * period {
                picks[order(Strategy::RoundRobin, true, turn, &facts)[0]] += 1;
            }
            prop_assert_eq!(picks, weights);
        }
    }
}
