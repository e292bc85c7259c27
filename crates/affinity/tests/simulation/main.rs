//! What the prefix strategy is worth: conversations that grow turn by turn, on servers whose caches are too small for all.
//!
//! Everything is computed, with a clock of its own: equal seeds give equal runs, whatever the machine does. (Only the hashes
//! are keyed anew each time, which moves entries between shards and nothing else as long as the index is large enough.)

mod fleet;
mod traffic;

use fleet::{Fleet, Outcome, Strategy};
use traffic::{Shape, Traffic};

fn run(strategy: Strategy, servers: usize, shape: Shape) -> Outcome {
    let mut fleet = Fleet::new(strategy, servers, shape.cache_bytes);
    let mut traffic = Traffic::new(shape);
    for _ in 0..shape.requests {
        let request = traffic.next();
        let end = fleet.serve(&request);
        traffic.answered(&request, end);
    }
    fleet.outcome()
}

fn compare(what: &str, servers: usize, shape: Shape) -> [Outcome; 4] {
    println!(
        "{what}: {servers} servers, {} conversations, {} requests",
        shape.conversations, shape.requests
    );
    let strategies = [
        Strategy::RoundRobin,
        Strategy::LeastBusy,
        Strategy::Prefix,
        Strategy::AllKnowing,
    ];
    strategies.map(|strategy| {
        let outcome = run(strategy, servers, shape);
        println!("  {:<12} {outcome}", format!("{strategy:?}"));
        outcome
    })
}

#[test]
fn sixty_four_servers_reuse_nearly_all_that_can_be() {
    let shape = Shape {
        conversations: 2000,
        requests: 10_000,
        system_prompts: 20,
        arrivals_per_second: 20.0,
        cache_bytes: 400 << 10,
        seed: 1,
    };
    let [round_robin, least_busy, prefix, best] = compare("a large fleet", 64, shape);
    assert!(
        prefix.hit_rate() >= 0.95 * best.hit_rate(),
        "nearly as good as knowing every cache"
    );
    assert!(prefix.evaluated() * 2.0 < round_robin.evaluated());
    assert!(prefix.evaluated() * 2.0 < least_busy.evaluated());
    assert!(
        prefix.wait_seconds() <= round_robin.wait_seconds() + 0.05,
        "and nobody waits for it"
    );
    prefix.assert_balanced(0.6, 1.6);
}

#[test]
fn two_servers_evaluate_less_than_round_robin_does() {
    let shape = Shape {
        conversations: 40,
        requests: 2_000,
        system_prompts: 2,
        arrivals_per_second: 0.5,
        cache_bytes: 400 << 10,
        seed: 2,
    };
    let [round_robin, _, prefix, best] = compare("two servers", 2, shape);
    assert!(prefix.evaluated() * 1.4 < round_robin.evaluated());
    assert!(prefix.hit_rate() >= 0.95 * best.hit_rate());
    prefix.assert_balanced(0.7, 1.3);
}

/// So little to do that no server is ever ahead: the bound on work alone would leave all of it to one server, because every
/// conversation begins with what that one has seen.
#[test]
fn one_system_prompt_and_hardly_any_load_still_use_every_cache() {
    let shape = Shape {
        conversations: 160,
        requests: 4_000,
        system_prompts: 1,
        arrivals_per_second: 0.05,
        cache_bytes: 300 << 10,
        seed: 3,
    };
    let [round_robin, _, prefix, _] = compare("hardly any load", 8, shape);
    assert!(prefix.evaluated() * 2.0 < round_robin.evaluated());
    prefix.assert_balanced(0.5, 1.6);
}

/// More than the servers can do: the bound must hold, and the prefix may not make waiting worse.
#[test]
fn overload_is_shared() {
    let shape = Shape {
        conversations: 400,
        requests: 4_000,
        system_prompts: 3,
        arrivals_per_second: 9.0,
        cache_bytes: 300 << 10,
        seed: 4,
    };
    let [round_robin, least_busy, prefix, _] = compare("overload", 8, shape);
    assert!(prefix.evaluated() < round_robin.evaluated());
    assert!(
        prefix.wait_seconds() < least_busy.wait_seconds(),
        "what is not evaluated is time gained"
    );
    prefix.assert_balanced(0.7, 1.4);
}
