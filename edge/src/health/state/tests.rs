use std::time::Instant;

use super::*;

fn state() -> Arc<State> {
    let index = affinity::Index::new(affinity::Capacity::default(), Instant::now());
    Arc::new(State::new(index.enrol()))
}

fn until(standing: Standing) -> u64 {
    match standing {
        Standing::Suspect(until) | Standing::Loading(until) => until,
        other => panic!("it is out, not {other:?}"),
    }
}

#[test]
fn a_server_that_fails_is_left_out_for_longer_each_time_and_tried_by_one() {
    let (state, rules) = (state(), Rules::default());
    let mut now = 1_000;
    let mut before = 0;
    for time in 0..9 {
        assert!(state.failed(now, &rules));
        assert!(!matches!(state.standing(now), Standing::Up), "time {time}");
        // Others that were on their way to it.
        state.failed(now, &rules);
        state.failed(now + 1, &rules);
        let out = until(state.standing(now + 1)) - now;
        assert!(out >= before && out <= 60_000, "{out} after {before}");
        assert!(time == 0 || out == 60_000 || out == before * 2, "{out} after {before}");
        before = out;
        now += out;
        assert_eq!(state.standing(now), Standing::OnTrial);
        assert!(state.try_again(now, &rules));
        assert!(!state.try_again(now, &rules), "one tries it");
        assert!(
            matches!(state.standing(now), Standing::Suspect(_)),
            "for all others it is out"
        );
    }
    assert_eq!(before, 60_000);
    state.succeeded(now);
    assert_eq!(state.standing(now), Standing::Up);
    assert!(state.failed(now, &rules));
    assert_eq!(until(state.standing(now)) - now, 1_000, "it begins anew");
}

#[test]
fn five_errors_in_a_row_leave_it_out_and_a_success_ends_the_row() {
    let (state, rules) = (state(), Rules::default());
    for _ in 0..3 {
        for _ in 0..4 {
            assert!(!state.erred(500, &rules));
        }
        state.succeeded(500);
    }
    for now in [0, 9_000, 18_000, 27_000, 38_000] {
        // The last one is too far from the others.
        assert!(!state.erred(500 + now, &rules), "{now}");
    }
    assert_eq!(state.standing(39_000), Standing::Up);
    for count in 2..=5 {
        assert_eq!(state.erred(39_000, &rules), count == 5);
    }
}

#[test]
fn a_server_that_loads_is_asked_again_soon_and_as_soon_the_tenth_time() {
    let (state, rules) = (state(), Rules::default());
    let mut now = 10;
    for _ in 0..10 {
        state.is_loading(now);
        let next = until(state.standing(now));
        assert!(matches!(state.standing(now), Standing::Loading(_)));
        assert_eq!(next - now, 250);
        now = next;
        assert!(state.try_again(now, &rules));
    }
    state.succeeded(now);
    assert_eq!(state.standing(now), Standing::Up);
}

#[test]
fn one_that_comes_back_starts_slowly() {
    let state = state();
    assert_eq!(state.strength(5), 1000, "one that never was away");
    assert!(state.checked(false, 100));
    assert_eq!(state.standing(100), Standing::Down);
    assert!(!state.checked(false, 200), "no news");
    assert!(state.checked(true, 1_000));
    assert_eq!(state.standing(1_000), Standing::Up);
    for (now, strength) in [(1_000, 100), (6_000, 550), (11_000, 1000), (99_000, 1000)] {
        assert_eq!(state.strength(now), strength, "{now}");
    }
}

#[test]
fn a_check_that_passes_ends_the_time_out_of_one_that_was_refused_and_not_of_one_that_errs() {
    let rules = Rules::default();
    let (refused, errs) = (state(), state());
    refused.failed(100, &rules);
    assert_eq!((0..5).filter(|_| errs.erred(100, &rules)).count(), 1);
    for state in [&refused, &errs] {
        state.checked(true, 200);
    }
    assert_eq!(refused.standing(200), Standing::Up);
    assert!(matches!(errs.standing(200), Standing::Suspect(_)));
}

#[test]
fn one_that_is_silent_is_suspect_until_it_says_something() {
    let state = state();
    assert!(state.is_silent() && !state.is_silent());
    assert_eq!(state.standing(100), Standing::Suspect(u64::MAX));
    state.succeeded(100);
    assert_eq!(state.standing(100), Standing::Up);
}

#[test]
fn the_time_to_a_first_byte_is_smoothed() {
    let state = state();
    assert_eq!(state.first_byte_us(), 0);
    state.answered_in(Duration::from_millis(80));
    assert_eq!(state.first_byte_us(), 80_000);
    state.answered_in(Duration::ZERO);
    assert_eq!((state.first_byte_us(), state.answers()), (70_000, 2));
}
