use std::cell::Cell;

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use proptest::strategy::Strategy as _;

use super::*;

const EQUAL: Candidate = Candidate {
    may: true,
    weight: 1,
    strength: FULL_STRENGTH,
    in_flight: 0,
    first_byte_us: 0,
    slots: None,
    held: Held {
        session: false,
        bytes: 0,
        branches: 0,
    },
    name: 0,
};

fn all() -> [Strategy; 5] {
    [
        Strategy::Wrr,
        Strategy::P2c,
        Strategy::LeastTime,
        Strategy::Hrw,
        Strategy::Prefix(affinity::Policy::default()),
    ]
}

/// How often each is chosen in so many choices.
fn counts(strategy: Strategy, candidates: &[Candidate], choices: usize) -> Vec<usize> {
    let weights: Vec<u32> = candidates.iter().map(|it| it.weight).collect();
    let schedule = Schedule::of(&weights);
    let turn = Cell::new(0);
    let mut counts = vec![0; candidates.len()];
    for client in 0..choices {
        let draw = Draw {
            schedule: &schedule,
            turn: &|| turn.replace(turn.get() + 1),
            client: rendezvous::mix(client as u64),
        };
        if let Some(chosen) = strategy.choose(candidates, &draw) {
            counts[chosen] += 1;
        }
    }
    counts
}

fn named(candidates: &mut [Candidate]) {
    for (index, it) in candidates.iter_mut().enumerate() {
        it.name = rendezvous::name(format!("http://server-{index}").as_bytes());
    }
}

#[test]
fn idle_servers_share_by_weight_whatever_the_strategy() {
    let mut candidates = [1, 2, 1].map(|weight| Candidate { weight, ..EQUAL });
    named(&mut candidates);
    for strategy in all() {
        let counts = counts(strategy, &candidates, 8000);
        match strategy {
            // Of idle ones the larger is the less busy, so that it gets all there is until it is busy.
            Strategy::P2c | Strategy::LeastTime => assert!(counts[1] > counts[0].max(counts[2]), "{strategy:?}"),
            _ => {
                for (count, share) in counts.iter().zip([0.25, 0.5, 0.25]) {
                    assert!(
                        (*count as f64 / 8000.0 - share).abs() < 0.03,
                        "{strategy:?}: {counts:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn busy_slow_and_warming_servers_get_less() {
    let busy = Candidate { in_flight: 9, ..EQUAL };
    let slow = Candidate {
        first_byte_us: 900_000,
        ..EQUAL
    };
    let quick = Candidate {
        first_byte_us: 1_000,
        ..EQUAL
    };
    let warming = Candidate { strength: 100, ..EQUAL };
    for (strategy, other, share_max) in [
        (Strategy::P2c, [EQUAL, busy], 0.0),
        (Strategy::LeastTime, [quick, slow], 0.0),
        (Strategy::LeastTime, [EQUAL, busy], 0.0),
        (Strategy::Wrr, [EQUAL, warming], 0.2),
        (Strategy::P2c, [EQUAL, warming], 0.0),
        (Strategy::Prefix(affinity::Policy::default()), [EQUAL, warming], 0.2),
        (Strategy::Prefix(affinity::Policy::default()), [EQUAL, busy], 0.0),
    ] {
        let counts = counts(strategy, &other, 1000);
        assert!(counts[1] as f64 <= share_max * 1000.0, "{strategy:?}: {counts:?}");
    }
}

#[test]
fn a_conversation_goes_where_it_is_held_unless_that_server_is_too_far_ahead() {
    let holder = |in_flight| Candidate {
        in_flight,
        slots: Some(4),
        held: Held {
            session: false,
            bytes: 4000,
            branches: 0,
        },
        ..EQUAL
    };
    let other = Candidate {
        slots: Some(4),
        ..EQUAL
    };
    let strategy = Strategy::Prefix(affinity::Policy::default());
    assert_eq!(counts(strategy, &[other, holder(3)], 10), [0, 10]);
    assert_eq!(counts(strategy, &[other, holder(30)], 10), [10, 0]);
}

fn candidates() -> impl proptest::strategy::Strategy<Value = Vec<Candidate>> {
    let one = (
        any::<bool>(),
        0..4u32,
        1..=FULL_STRENGTH,
        0..50u32,
        0..2_000_000u64,
        0..9000u64,
    );
    proptest::collection::vec(one, 0..9).prop_map(|all| {
        let one = |(may, weight, strength, in_flight, first_byte_us, bytes)| Candidate {
            may,
            weight,
            strength,
            in_flight,
            first_byte_us,
            held: Held { bytes, ..EQUAL.held },
            ..EQUAL
        };
        let mut all: Vec<Candidate> = all.into_iter().map(one).collect();
        named(&mut all);
        all
    })
}

proptest! {
    #[test]
    fn who_may_is_found_and_who_may_not_never(candidates in candidates(), turn in 0..usize::MAX / 2) {
        let weights: Vec<u32> = candidates.iter().map(|it| it.weight).collect();
        let schedule = Schedule::of(&weights);
        let any_may = candidates.iter().any(|it| it.may && it.weight > 0);
        for strategy in all() {
            let turns = Cell::new(turn);
            let draw = Draw { schedule: &schedule, turn: &|| turns.replace(turns.get() + 1), client: turn as u64 };
            let chosen = strategy.choose(&candidates, &draw);
            prop_assert_eq!(chosen.is_some(), any_may, "{:?}", strategy);
            if let Some(chosen) = chosen {
                prop_assert!(candidates[chosen].may && candidates[chosen].weight > 0, "{:?}", strategy);
            }
        }
    }

    /// Nobody is further ahead of the least busy than the policy says, but by what its slots and the policy allow.
    #[test]
    fn no_prefix_pulls_further_than_its_bound(requests in proptest::collection::vec((0..12usize, 0..5usize), 1..300)) {
        let policy = affinity::Policy::default();
        let schedule = Schedule::of(&[1; 4]);
        let mut fleet = [EQUAL; 4];
        let mut holders = std::collections::HashMap::new();
        let turn = Cell::new(0);
        for (conversation, ends) in requests {
            let held = *holders.entry(conversation).or_insert(usize::MAX);
            let asked: Vec<Candidate> = (0..4)
                .map(|index| Candidate {
                    held: Held { bytes: if index == held { 5000 } else { 0 }, ..EQUAL.held },
                    ..fleet[index]
                })
                .collect();
            let least = fleet.iter().map(|it| it.in_flight).min().unwrap_or(0);
            let draw = Draw { schedule: &schedule, turn: &|| turn.replace(turn.get() + 1), client: 0 };
            let chosen = Strategy::Prefix(policy).choose(&asked, &draw).expect("four may");
            let ahead = fleet[chosen].in_flight - least;
            let ratio_max = least * policy.ratio_percent_max / 100;
            prop_assert!(ahead <= policy.ahead_max || fleet[chosen].in_flight <= ratio_max);
            holders.insert(conversation, chosen);
            fleet[chosen].in_flight += 1;
            if let Some(ended) = fleet.get_mut(ends) {
                ended.in_flight = ended.in_flight.saturating_sub(3);
            }
        }
    }
}
