//! What is remembered across reloads, successors and time, and what is forgotten.

use std::time::Duration;

use super::*;
use crate::limits::in_flight;

const SECOND: u64 = 1_000_000_000;
const NOW: Instant64 = Instant64(20_000 * 86_400 * SECOND);

fn names() -> (Arc<str>, Arc<str>) {
    ("alice".into(), "limits".into())
}

fn per_minute(average: u64) -> Rate {
    Rate::new(average, Duration::from_secs(60), 10).expect("limited")
}

fn per(seconds: u64) -> Budget {
    Budget::new(100, Duration::from_secs(seconds))
}

#[test]
fn a_reload_finds_what_was_used() {
    let (registry, (router, middleware)) = (Registry::default(), names());
    let rate = per_minute(60);
    let first = registry.rate(&router, &middleware, &rate, NOW);
    (0..4).for_each(|_| assert!(rate.take(&first.word, NOW).is_ok()));
    let again = registry.rate(&router, &middleware, &rate, NOW);
    assert_eq!(rate.now(&again.word, NOW).left, 6);
    assert_eq!(
        rate.now(&registry.rate(&"bob".into(), &middleware, &rate, NOW).word, NOW)
            .left,
        10
    );
}

#[test]
fn a_changed_limit_keeps_how_much_was_used() {
    let (registry, (router, middleware)) = (Registry::default(), names());
    let (slow, fast) = (per_minute(6), per_minute(600));
    let entry = registry.rate(&router, &middleware, &slow, NOW);
    (0..7).for_each(|_| assert!(slow.take(&entry.word, NOW).is_ok()));
    let entry = registry.rate(&router, &middleware, &fast, NOW);
    assert_eq!(
        fast.now(&entry.word, NOW).left,
        3,
        "a raised limit does not refuse at once"
    );
    let entry = registry.rate(&router, &middleware, &slow, NOW);
    assert_eq!(slow.now(&entry.word, NOW).left, 3, "nor does a lowered one forget");
    let (daily, hourly) = (per(86_400), per(3600));
    let entry = registry.budget(&router, &middleware, &daily, NOW);
    daily.charge(&entry.word, NOW, 30);
    let entry = registry.budget(&router, &middleware, &hourly, NOW);
    assert_eq!(hourly.balance(&entry.word, NOW).left, 70);
}

#[test]
fn budgets_that_are_held_are_told() {
    let (registry, (router, middleware)) = (Registry::default(), names());
    let budget = per(3600);
    let held = registry.budget(&router, &middleware, &budget, NOW);
    budget.charge(&held.word, NOW, 30);
    let expected = UsedBudget {
        router,
        used: 30,
        amount: 100,
    };
    assert_eq!(registry.budgets(NOW), [expected]);
    drop(held);
    assert_eq!(registry.budgets(NOW), [], "its router is gone");
}

#[test]
fn a_clock_that_was_ahead_does_not_refuse_for_long() {
    let (registry, (router, middleware)) = (Registry::default(), names());
    let rate = per_minute(60);
    let entry = registry.rate(&router, &middleware, &rate, NOW);
    entry.word.store(NOW.0 + 86_400 * SECOND, Ordering::SeqCst);
    let entry = registry.rate(&router, &middleware, &rate, NOW);
    assert!(rate.take(&entry.word, NOW).is_err());
    assert!(rate.take(&entry.word, Instant64(NOW.0 + SECOND)).is_ok());
}

#[test]
fn what_says_nothing_is_forgotten_once_nobody_holds_it() {
    let (registry, (router, middleware)) = (Registry::default(), names());
    let (rate, budget) = (per_minute(60), per(3600));
    assert!(
        rate.take(&registry.rate(&router, &middleware, &rate, NOW).word, NOW)
            .is_ok()
    );
    budget.charge(&registry.budget(&router, &middleware, &budget, NOW).word, NOW, 1);
    let slots = registry.slots(&router, &middleware);
    let slot = in_flight::take(&slots.word, 1);
    drop(slots);
    let held = registry.rate(&"held".into(), &middleware, &rate, NOW);
    let left = || registry.entries.lock().len();
    registry.sweep(NOW);
    assert_eq!(left(), 4, "all of them say something");
    registry.sweep(Instant64(NOW.0 + 2 * SECOND));
    assert_eq!(left(), 3, "the bucket is full again");
    drop(slot);
    registry.sweep(Instant64(NOW.0 + 3600 * SECOND));
    assert_eq!(left(), 1, "the slot is free and the hour is over");
    drop(held);
    registry.sweep(NOW);
    assert_eq!(left(), 0);
}

#[test]
fn only_what_changed_is_written_again_and_all_of_it_comes_back() {
    let (registry, (router, middleware)) = (Registry::default(), names());
    let budget = per(3600);
    let entry = registry.budget(&router, &middleware, &budget, NOW);
    registry.last_use(&router).touch(NOW);
    budget.charge(&entry.word, NOW, 9);
    assert_eq!(registry.facts(false).len(), 2);
    assert!(registry.facts(false).is_empty());
    registry.last_use(&router).touch(Instant64(NOW.0 + 1));
    assert!(registry.facts(false).is_empty(), "the same second");
    let later = Registry::default();
    later.restore(registry.facts(true));
    let entry = later.budget(&router, &middleware, &budget, NOW);
    assert_eq!(budget.balance(&entry.word, NOW).left, 91);
    assert!(later.facts(false).is_empty(), "what was read is not new");
    assert_eq!(later.facts(true).len(), 2);
}

#[test]
fn a_services_queue_is_one_and_the_same_while_somebody_holds_it() {
    let (registry, service) = (Registry::default(), Arc::from("llama"));
    let queue = registry.gate(&service, 1);
    registry.sweep(NOW);
    assert!(Arc::ptr_eq(&queue, &registry.gate(&service, 2)));
    drop(queue);
    registry.sweep(NOW);
    assert!(registry.gates.lock().is_empty());
}

#[test]
fn of_routers_that_are_gone_a_hundred_thousand_are_remembered_and_no_more() {
    let (registry, budget) = (Registry::default(), per(3600));
    let middleware: Arc<str> = "limits".into();
    let use_up = |router: Arc<str>| {
        let entry = registry.budget(&router, &middleware, &budget, NOW);
        budget.charge(&entry.word, NOW, 1);
        let last = registry.last_use(&router);
        last.touch(NOW);
        (entry, last)
    };
    let held = use_up("held".into());
    (0..ORPHANS_MAX).for_each(|number| drop(use_up(number.to_string().into())));
    let left = || (registry.entries.lock().len(), registry.uses.lock().len());
    registry.sweep(NOW);
    assert_eq!(left(), (ORPHANS_MAX + 1, ORPHANS_MAX + 1), "the bound itself is kept");
    drop(use_up("one more".into()));
    registry.sweep(NOW);
    assert_eq!(left(), (1, 1), "nothing but what is held");
    assert_eq!(registry.budgets(NOW).len(), 1);
    drop(held);
}

#[test]
fn when_a_key_was_used_last_is_remembered_for_ninety_days() {
    let (registry, (router, _)) = (Registry::default(), names());
    registry.last_use(&router).touch(NOW);
    assert_eq!(registry.uses(), HashMap::from([(router, NOW.unix_seconds())]));
    let held = registry.last_use(&"held".into());
    held.touch(NOW);
    registry.sweep(Instant64(NOW.0 + (USE_KEPT_SECONDS - 1) * SECOND));
    assert_eq!(registry.uses().len(), 2);
    registry.sweep(Instant64(NOW.0 + USE_KEPT_SECONDS * SECOND));
    assert_eq!(registry.uses().len(), 1, "of a router that is there, for ever");
    drop(held);
    registry.sweep(Instant64(NOW.0 + USE_KEPT_SECONDS * SECOND));
    assert!(registry.uses().is_empty());
}
