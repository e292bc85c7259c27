//! Both carriers are fed the same generated conversations, and what the server and the client saw is compared.
//!
//! ```text
//!            ┌─▶ edge, forwarder ─────┐
//!  client ───┤                        ├──▶ one server, which plays the answer that the case holds
//!            └─▶ edge, pingora-proxy ─┘
//! ```
//!
//! A conversation is one to three requests on one connection: every framing of a body on both sides, the client's and
//! the server's bytes cut anywhere, requests sent ahead, `Expect: 100-continue`, interim and early answers, a server
//! that breaks off or a client that leaves at any byte, kept connections that turn out dead, and messages that bend the
//! rules. HTTP/2 and WebSockets are left out: pingora-proxy carries the former for both, and the scenarios hold the
//! latter's bytes against what was sent.
//!
//! `EDGE_DIFFERENTIAL_CASES` runs more, `EDGE_DIFFERENTIAL_SEED` others.

#[path = "differential/case.rs"]
mod case;
#[path = "differential/client.rs"]
mod client;
#[path = "differential/known.rs"]
mod known;
#[path = "differential/origin.rs"]
mod origin;
#[path = "differential/strategy.rs"]
mod strategy;
#[path = "differential/verdict.rs"]
mod verdict;
#[path = "differential/wire.rs"]
mod wire;
#[path = "differential/world.rs"]
mod world;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use world::World;

const CASES: u32 = 300;
const SEED: u8 = 7;

#[test]
fn both_carriers_do_the_same() {
    let config = Config {
        cases: from_environment("EDGE_DIFFERENTIAL_CASES").unwrap_or(CASES),
        failure_persistence: None,
        // A case that hangs takes seconds.
        max_shrink_iters: 200,
        max_shrink_time: 120_000,
        ..Config::default()
    };
    let seed = from_environment("EDGE_DIFFERENTIAL_SEED").unwrap_or(SEED);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let world = World::start();
    let outcome = TestRunner::new_with_rng(config, rng).run(&strategy::case(), |case| {
        let findings = verdict::findings(&case, &world.run(&case));
        let unknown = findings
            .into_iter()
            .find(|finding| known::difference(&case, finding).is_none());
        unknown.map_or(Ok(()), |finding| Err(TestCaseError::fail(format!("{finding:?}"))))
    });
    world.stop();
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_known_difference_says_who_is_right_and_why() {
    for known in &known::KNOWN {
        let is_said = known.why.ends_with('.') || known.right == known::Right::Either;
        assert!(is_said, "{:?} {}", known.right, known.why);
    }
}
