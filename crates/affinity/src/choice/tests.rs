use proptest::prelude::*;

use super::*;

const POLICY: Policy = Policy {
    ahead_max: 2,
    ratio_percent_max: 150,
    worth_bytes_min: 100,
    branches_per_copy: 4,
};

fn server(in_flight: u32, bytes: u64) -> Candidate {
    Candidate {
        in_flight,
        slots: None,
        weight: 1,
        held: Held {
            bytes,
            ..Held::default()
        },
    }
}

fn slots(slots: u32, candidate: Candidate) -> Candidate {
    Candidate {
        slots: Some(slots),
        ..candidate
    }
}

fn weight(weight: u32, candidate: Candidate) -> Candidate {
    Candidate { weight, ..candidate }
}

fn session(candidate: Candidate) -> Candidate {
    let held = Held {
        session: true,
        ..candidate.held
    };
    Candidate { held, ..candidate }
}

fn branches(branches: u32, candidate: Candidate) -> Candidate {
    let held = Held {
        branches,
        ..candidate.held
    };
    Candidate { held, ..candidate }
}

#[test]
fn the_choice_in_cases() {
    let hit = |bytes| Reason::Hit { bytes, session: false };
    let named = |bytes| Reason::Hit { bytes, session: true };
    let cases: Vec<(&str, Vec<Candidate>, usize, Reason)> = vec![
        (
            "the longest prefix",
            vec![server(0, 0), server(2, 900), server(1, 500)],
            1,
            hit(900),
        ),
        (
            "nobody knows it: the least busy",
            vec![server(2, 0), server(1, 0), server(3, 0)],
            1,
            Reason::Miss,
        ),
        (
            "too short to matter",
            vec![server(2, 99), server(1, 0)],
            1,
            Reason::Miss,
        ),
        (
            "equal prefixes: the less busy",
            vec![server(2, 900), server(1, 900), server(0, 0)],
            1,
            hit(900),
        ),
        (
            "ahead as far as it may",
            vec![server(0, 0), server(2, 900)],
            1,
            hit(900),
        ),
        (
            "ahead too far",
            vec![server(0, 0), server(3, 900)],
            0,
            Reason::Spill { bytes: 900 },
        ),
        (
            "ahead, but not in proportion",
            vec![server(20, 0), server(30, 900)],
            1,
            hit(900),
        ),
        (
            "ahead in proportion too",
            vec![server(20, 0), server(31, 900)],
            0,
            Reason::Spill { bytes: 900 },
        ),
        (
            "spilled to who holds more, of those equally idle",
            vec![server(0, 0), server(9, 900), server(0, 400)],
            2,
            Reason::Spill { bytes: 900 },
        ),
        (
            "slots: 3 of 8 are less than 1 of 2",
            vec![slots(2, server(1, 0)), slots(8, server(3, 0))],
            1,
            Reason::Miss,
        ),
        (
            "slots: the bound is in the chosen one's requests",
            vec![slots(2, server(1, 0)), slots(8, server(6, 900))],
            1,
            hit(900),
        ),
        (
            "slots: and is passed",
            vec![slots(2, server(1, 0)), slots(8, server(7, 900))],
            0,
            Reason::Spill { bytes: 900 },
        ),
        (
            "unknown slots are the fewest known",
            vec![slots(4, server(2, 0)), server(1, 0), slots(8, server(3, 0))],
            1,
            Reason::Miss,
        ),
        (
            "no slots count as unknown",
            vec![slots(0, server(1, 0)), slots(4, server(2, 0))],
            0,
            Reason::Miss,
        ),
        (
            "weight is size",
            vec![weight(1, server(1, 0)), weight(3, server(2, 0))],
            1,
            Reason::Miss,
        ),
        (
            "no weight, no choice",
            vec![weight(0, server(0, 900)), server(2, 0)],
            1,
            Reason::Miss,
        ),
        (
            "a session before a longer prefix",
            vec![server(0, 900), session(server(1, 200))],
            1,
            named(200),
        ),
        (
            "a session known by its name alone",
            vec![server(0, 0), session(server(1, 0))],
            1,
            named(0),
        ),
        (
            "a session spills too",
            vec![server(0, 0), session(server(3, 0))],
            0,
            Reason::Spill { bytes: 0 },
        ),
        (
            "a prefix that few branch off",
            vec![server(0, 0), branches(3, server(0, 900))],
            1,
            hit(900),
        ),
        (
            "one that many branch off is copied",
            vec![server(0, 0), branches(4, server(0, 900))],
            0,
            Reason::Spread { bytes: 900 },
        ),
        (
            "but not again for as many",
            vec![server(0, 0), branches(7, server(0, 900)), branches(7, server(1, 900))],
            1,
            hit(900),
        ),
        (
            "copying may leave it to a holder that is the least busy",
            vec![server(1, 0), branches(4, server(0, 900))],
            1,
            hit(900),
        ),
        (
            "where all hold it nothing is left to copy",
            vec![branches(99, server(1, 900)), branches(99, server(0, 900))],
            1,
            hit(900),
        ),
        (
            "a session is not copied",
            vec![server(0, 0), session(branches(99, server(0, 900)))],
            1,
            named(900),
        ),
    ];
    for (what, candidates, position, reason) in cases {
        let choice = POLICY.choose(&candidates, 0).expect("a choice");
        assert_eq!((choice.position, choice.reason), (position, reason), "{what}");
    }
}

#[test]
fn nobody_to_choose_from() {
    assert_eq!(POLICY.choose(&[], 7), None);
    assert_eq!(POLICY.choose(&[weight(0, server(0, 900))], 7), None);
}

#[test]
fn equals_take_turns_by_weight() {
    let candidates = [server(0, 0), server(5, 0), weight(2, server(0, 0)), server(0, 0)];
    let positions: Vec<_> = (0..8)
        .filter_map(|turn| POLICY.choose(&candidates, turn))
        .map(|c| (c.position, c.by_turn))
        .collect();
    assert_eq!(positions, [0, 2, 2, 3, 0, 2, 2, 3].map(|position| (position, true)));
    let decided = POLICY.choose(&[server(0, 0), server(5, 0)], 3).expect("a choice");
    assert!(!decided.by_turn);
}

#[test]
fn of_two_equally_busy_that_hold_it_the_one_within_the_bound_is_chosen() {
    let policy = Policy {
        ahead_max: 3,
        ratio_percent_max: 100,
        ..POLICY
    };
    let small = session(server(3, 0));
    let large = weight(3, session(server(9, 0)));
    for turn in 0..4 {
        let choice = policy.choose(&[small, server(0, 0), large], turn);
        assert_eq!(choice.map(|choice| choice.position), Some(0), "at turn {turn}");
        let choice = policy.choose(&[large, server(0, 0)], turn);
        assert_eq!(
            choice.map(|choice| choice.position),
            Some(1),
            "nobody is within it, at turn {turn}"
        );
    }
}

#[test]
fn branches_per_copy_of_zero_copies_nothing() {
    let policy = Policy {
        branches_per_copy: 0,
        ..POLICY
    };
    let choice = policy.choose(&[server(0, 0), branches(9999, server(0, 900))], 0);
    assert_eq!(choice.map(|choice| choice.position), Some(1));
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let largest = weight(
        u32::MAX,
        slots(u32::MAX, session(branches(u32::MAX, server(u32::MAX, u64::MAX)))),
    );
    let policy = Policy {
        ahead_max: u32::MAX,
        ratio_percent_max: u32::MAX,
        worth_bytes_min: u64::MAX,
        branches_per_copy: 1,
    };
    let all = [
        largest,
        largest,
        weight(1, slots(1, largest)),
        weight(1, slots(1, server(0, 0))),
    ];
    (0..9).for_each(|turn| assert!(policy.choose(&all, turn * (u64::MAX / 9)).is_some()));
}

fn candidate() -> impl Strategy<Value = Candidate> {
    let held = (any::<bool>(), prop_oneof![Just(0), 0..400_u64], 0..20_u32);
    let slots = proptest::option::of(0..9_u32);
    (0..40_u32, slots, 0..4_u32, held).prop_map(|(in_flight, slots, weight, (session, bytes, branches))| Candidate {
        in_flight,
        slots,
        weight,
        held: Held {
            session,
            bytes,
            branches,
        },
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    (0..9_u32, 100..300_u32, 0..200_u64, 0..6_u32).prop_map(
        |(ahead_max, ratio_percent_max, worth_bytes_min, branches_per_copy)| Policy {
            ahead_max,
            ratio_percent_max,
            worth_bytes_min,
            branches_per_copy,
        },
    )
}

/// A server's size as the documentation has it, written anew.
fn size(candidates: &[Candidate], candidate: &Candidate) -> f64 {
    let known = candidates
        .iter()
        .filter_map(|c| c.slots.filter(|slots| *slots > 0))
        .min()
        .unwrap_or(1);
    f64::from(candidate.slots.filter(|slots| *slots > 0).unwrap_or(known) * candidate.weight)
}

proptest! {
    #[test]
    fn the_chosen_one_is_never_too_far_ahead_of_any(policy in policy(), candidates in proptest::collection::vec(candidate(), 1..9), turn: u64) {
        let Some(choice) = policy.choose(&candidates, turn) else {
            prop_assert!(candidates.iter().all(|c| c.weight == 0));
            return Ok(());
        };
        let chosen = &candidates[choice.position];
        prop_assert!(chosen.weight > 0);
        for other in candidates.iter().filter(|c| c.weight > 0) {
            let fair = f64::from(other.in_flight) / size(&candidates, other) * size(&candidates, chosen);
            let work = f64::from(chosen.in_flight);
            let is_ahead = work - fair > f64::from(policy.ahead_max) + 1e-6;
            let is_out_of_proportion = work * 100.0 > fair * f64::from(policy.ratio_percent_max) + 1e-6;
            prop_assert!(!(is_ahead && is_out_of_proportion), "{:?} against {:?}", chosen, other);
        }
    }

    #[test]
    fn the_reason_is_true(policy in policy(), candidates in proptest::collection::vec(candidate(), 1..9), turn: u64) {
        let Some(choice) = policy.choose(&candidates, turn) else { return Ok(()) };
        let chosen = &candidates[choice.position];
        let all = || candidates.iter().filter(|c| c.weight > 0);
        let rank = |c: &Candidate| policy.rank(c);
        let longest = all().map(rank).max().unwrap_or_default();
        let pressure = |c: &Candidate| f64::from(c.in_flight) / size(&candidates, c);
        let is_least_busy = all().all(|c| pressure(chosen) <= pressure(c) + 1e-9);
        match choice.reason {
            Reason::Hit { bytes, session } => prop_assert_eq!(((session, bytes), rank(chosen)), (longest, longest)),
            Reason::Miss => prop_assert!(longest == (false, 0) && is_least_busy),
            Reason::Spill { bytes } => prop_assert!(bytes == longest.1 && is_least_busy && rank(chosen) <= longest),
            Reason::Spread { bytes } => {
                prop_assert!(bytes == longest.1 && is_least_busy && rank(chosen) < longest);
                prop_assert!(all().any(|c| policy.branches_per_copy > 0 && c.held.branches >= policy.branches_per_copy));
            }
        }
    }

    #[test]
    fn the_same_is_chosen_again_and_no_order_favours_anyone(policy in policy(), candidates in proptest::collection::vec(candidate(), 1..9), turn: u64) {
        let choice = policy.choose(&candidates, turn);
        prop_assert_eq!(choice, policy.choose(&candidates, turn));
        let reversed: Vec<_> = candidates.iter().rev().copied().collect();
        let other = policy.choose(&reversed, turn);
        if let (Some(choice), Some(other)) = (choice, other) && !choice.by_turn {
            prop_assert_eq!(candidates.len() - 1 - choice.position, other.position);
        }
    }
}
