use proptest::prelude::*;

use super::holders::HOLDERS_MAX;
use super::*;
use crate::trail::BLOCK_BYTES;

const SECOND: Duration = Duration::from_secs(1);

/// An index, and a clock that the test moves.
struct World {
    index: Index,
    now: Instant,
}

impl World {
    fn new(capacity: Capacity) -> Self {
        let now = Instant::now();
        Self {
            index: Index::new(capacity, now),
            now,
        }
    }

    fn trail(&self, pieces: &[&str]) -> Trail {
        let mut trail = self.index.trail(&[b"model"]);
        pieces.iter().for_each(|text| trail.piece(b"user", text.as_bytes()));
        trail
    }

    fn note(&self, pieces: &[&str], server: &Server) {
        self.index.note(&self.trail(pieces), server, self.now);
    }

    fn held(&self, pieces: &[&str], server: &Server) -> Held {
        self.index.known(&self.trail(pieces), self.now).of(server)
    }

    fn bytes(&self, pieces: &[&str], server: &Server) -> u64 {
        self.held(pieces, server).bytes
    }
}

#[test]
fn each_server_holds_what_it_was_sent() {
    let world = World::new(Capacity::default());
    let (a, b, c) = (world.index.enrol(), world.index.enrol(), world.index.enrol());
    world.note(&["system", "hello"], &a);
    world.note(&["system", "hello", "answer", "more"], &b);
    let asked = ["system", "hello", "answer", "other"];
    assert_eq!(world.bytes(&asked, &a), 11);
    assert_eq!(world.bytes(&asked, &b), 17);
    assert_eq!(world.bytes(&asked, &c), 0);
    assert_eq!(world.bytes(&["else"], &a), 0);
}

#[test]
fn a_forgotten_server_holds_nothing_and_others_keep_what_they_hold() {
    let world = World::new(Capacity::default());
    let (a, b) = (world.index.enrol(), world.index.enrol());
    world.note(&["one", "two"], &a);
    world.note(&["one"], &b);
    world.index.forget(&a);
    assert_eq!(world.held(&["one", "two"], &a), Held::default());
    assert_eq!(world.bytes(&["one", "two"], &b), 3);
    world.note(&["one"], &a);
    assert_eq!(
        world.bytes(&["one", "two"], &a),
        3,
        "and what it held longer stays forgotten"
    );
    let returned = world.index.enrol();
    assert_eq!(
        world.held(&["one", "two"], &returned),
        Held::default(),
        "a server that left and came back"
    );
}

#[test]
fn what_was_not_used_for_the_age_allowed_is_unknown() {
    let mut world = World::new(Capacity {
        age_max: 10 * SECOND,
        ..Capacity::default()
    });
    let server = world.index.enrol();
    world.note(&["one", "two"], &server);
    world.now += 6 * SECOND;
    world.note(&["one"], &server);
    assert_eq!(world.bytes(&["one", "two"], &server), 6);
    world.now += 6 * SECOND;
    assert_eq!(world.bytes(&["one", "two"], &server), 3);
    world.now += 6 * SECOND;
    assert_eq!(world.bytes(&["one", "two"], &server), 0);
}

#[test]
fn a_session_is_where_it_was_last_and_whose_it_is() {
    let world = World::new(Capacity::default());
    let (a, b) = (world.index.enrol(), world.index.enrol());
    let session = |caller: &str| {
        let mut trail = world.index.trail(&[b"model"]);
        trail.session(caller.as_bytes(), b"chat-1");
        trail
    };
    let holds = |caller: &str, server: &Server| world.index.known(&session(caller), world.now).of(server).session;
    world.index.note(&session("key-1"), &a, world.now);
    assert!(holds("key-1", &a) && !holds("key-1", &b) && !holds("key-2", &a));
    world.index.note(&session("key-1"), &b, world.now);
    assert!(holds("key-1", &b) && !holds("key-1", &a), "it moved");
    world.index.forget(&b);
    assert!(!holds("key-1", &b));
}

#[test]
fn branches_tell_a_shared_beginning_from_a_conversation_that_grows() {
    let world = World::new(Capacity::default());
    let server = world.index.enrol();
    world.note(&["system", "a"], &server);
    assert_eq!(world.held(&["system", "a", "b", "c"], &server).branches, 0, "it grows");
    assert_eq!(world.held(&["system", "a"], &server).branches, 0, "it is asked again");
    for (others, user) in ["b", "c", "d"].into_iter().enumerate() {
        assert_eq!(world.held(&["system", user], &server).branches, others as u32 + 1);
        world.note(&["system", user], &server);
        world.note(&["system", user], &server);
    }
}

#[test]
fn age_takes_the_ends_of_conversations_before_what_they_share() {
    let world = World::new(Capacity {
        bytes_max: INDEX_BYTES_MIN,
        ..Capacity::default()
    });
    let server = world.index.enrol();
    let system = "s".repeat(20 * BLOCK_BYTES);
    for turn in 0..5000 {
        world.note(&[&system, &format!("conversation {turn}")], &server);
    }
    assert!(world.index.usage().evictions > 0);
    assert_eq!(world.bytes(&[&system, "conversation 0"], &server), system.len() as u64);
}

#[test]
fn what_is_used_outlives_what_is_not() {
    let world = World::new(Capacity {
        bytes_max: INDEX_BYTES_MIN,
        ..Capacity::default()
    });
    let server = world.index.enrol();
    let lively = ["lively", "conversation", "of", "four"];
    world.note(&lively, &server);
    world.note(&["idle"], &server);
    for turn in 0..5000 {
        world.note(&[&format!("passing {turn}")], &server);
        if turn % 50 == 0 {
            assert_eq!(world.bytes(&lively, &server), 24, "after {turn}");
            world.note(&lively, &server);
        }
    }
    assert_eq!(world.bytes(&["idle"], &server), 0);
}

#[test]
fn a_point_that_all_share_knows_as_many_holders_as_are_told_apart() {
    let mut world = World::new(Capacity::default());
    let servers: Vec<_> = (0..HOLDERS_MAX + 6).map(|_| world.index.enrol()).collect();
    for server in &servers {
        world.note(&["system"], server);
        world.now += SECOND;
    }
    let holds = |server| world.bytes(&["system"], server) > 0;
    assert!(servers[6..].iter().all(holds), "the newest are known");
    assert!(!servers[..6].iter().any(holds), "the oldest made place");
}

#[test]
fn a_clock_that_is_behind_another_threads_makes_nothing_older() {
    let mut world = World::new(Capacity {
        age_max: 10 * SECOND,
        ..Capacity::default()
    });
    let (server, early) = (world.index.enrol(), world.now);
    world.now += 8 * SECOND;
    world.note(&["one"], &server);
    world.index.note(&world.trail(&["one"]), &server, early);
    world.now += 9 * SECOND;
    assert_eq!(world.bytes(&["one"], &server), 3);
}

#[test]
fn debug_and_stamps_give_nothing_away() {
    let world = World::new(Capacity::default());
    world.note(&["secret"], &world.index.enrol());
    let shown = format!("{:?}", world.index);
    assert!(shown.starts_with("Index { usage: Usage { entries: 1"), "{shown}");
    world.index.stamps.store(u32::MAX, Ordering::Relaxed);
    let stamps = [world.index.fresh_stamp(), world.index.fresh_stamp()];
    assert_eq!(stamps, [u32::MAX, 1], "0 is nobody, when the numbers come round too");
}

/// What happens to an index.
#[derive(Clone, Debug)]
enum Event {
    Note { pieces: Vec<u8>, server: usize },
    Session { caller: u8, name: u8, server: usize },
    Forget { server: usize },
    Leave { server: usize },
    Wait { seconds: u64 },
}

const SERVERS: usize = 5;
const AGE_MAX: Duration = Duration::from_secs(30);

fn events() -> impl Strategy<Value = Vec<Event>> {
    let server = 0..SERVERS;
    let event = prop_oneof![
        12 => (conversation(), server.clone()).prop_map(|(pieces, server)| Event::Note { pieces, server }),
        4 => (0..2_u8, 0..3_u8, server.clone()).prop_map(|(caller, name, server)| Event::Session { caller, name, server }),
        1 => server.clone().prop_map(|server| Event::Forget { server }),
        1 => server.prop_map(|server| Event::Leave { server }),
        2 => (1..20_u64).prop_map(|seconds| Event::Wait { seconds }),
    ];
    proptest::collection::vec(event, 0..120)
}

/// Few different pieces, so that prefixes are shared and fork.
fn conversation() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0..3_u8, 1..6)
}

/// Pieces of 1, 400 and 1,300 bytes: of one point, and of three.
fn text(piece: u8) -> Vec<u8> {
    vec![b'a' + piece; [1, 400, 1300][usize::from(piece)]]
}

/// The oracle: all that was ever noted, in a list.
#[derive(Default)]
struct Oracle {
    notes: Vec<(usize, Vec<u8>, Instant)>,
    sessions: Vec<(usize, (u8, u8), Instant)>,
}

impl Oracle {
    fn forget(&mut self, server: usize) {
        self.notes.retain(|(noted, ..)| *noted != server);
        for (noted, ..) in &mut self.sessions {
            // It stays the last to have had the session, and is nobody's.
            if *noted == server {
                *noted = usize::MAX;
            }
        }
    }

    /// A point is known while any note that holds it is young; pieces differ from their first byte on, so points are whole pieces.
    fn bytes(&self, server: usize, asked: &[u8], now: Instant) -> u64 {
        let young = self
            .notes
            .iter()
            .filter(|(noted, _, at)| *noted == server && now - *at <= AGE_MAX);
        let common = |noted: &[u8]| noted.iter().zip(asked).take_while(|(a, b)| a == b).count();
        let longest = young.map(|(_, noted, _)| common(noted)).max().unwrap_or(0);
        asked[..longest].iter().map(|piece| text(*piece).len() as u64).sum()
    }

    fn session(&self, asked: (u8, u8), now: Instant) -> Option<usize> {
        let (server, _, at) = self.sessions.iter().rfind(|(_, session, _)| *session == asked)?;
        (now - *at <= AGE_MAX).then_some(*server)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_known_is_what_a_list_of_all_notes_says(events in events(), asked in conversation(), session in (0..2_u8, 0..3_u8)) {
        let mut world = World::new(Capacity { age_max: AGE_MAX, ..Capacity::default() });
        let mut servers: Vec<_> = (0..SERVERS).map(|_| world.index.enrol()).collect();
        let mut oracle = Oracle::default();
        for event in events {
            match event {
                Event::Note { pieces, server } => {
                    world.index.note(&plain(&world.index, &pieces), &servers[server], world.now);
                    oracle.notes.push((server, pieces, world.now));
                }
                Event::Session { caller, name, server } => {
                    world.index.note(&named(&world.index, (caller, name)), &servers[server], world.now);
                    oracle.sessions.push((server, (caller, name), world.now));
                }
                Event::Forget { server } => {
                    world.index.forget(&servers[server]);
                    oracle.forget(server);
                }
                Event::Leave { server } => {
                    servers[server] = world.index.enrol();
                    oracle.forget(server);
                }
                Event::Wait { seconds } => world.now += Duration::from_secs(seconds),
            }
        }
        let known = world.index.known(&plain(&world.index, &asked), world.now);
        let known_session = world.index.known(&named(&world.index, session), world.now);
        for (at, server) in servers.iter().enumerate() {
            prop_assert_eq!(known.of(server).bytes, oracle.bytes(at, &asked, world.now), "server {}", at);
            prop_assert_eq!(known_session.of(server).session, oracle.session(session, world.now) == Some(at));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_full_index_stays_within_its_bound_and_never_claims_too_much(
        notes in proptest::collection::vec((conversation(), 0..90_usize, 0..40_u16), 200..400),
    ) {
        let bytes_max = INDEX_BYTES_MIN;
        let world = World::new(Capacity { bytes_max, ..Capacity::default() });
        let servers: Vec<_> = (0..90).map(|_| world.index.enrol()).collect();
        let mut oracle = Oracle::default();
        for (pieces, server, user) in &notes {
            // Half of them begin alike; all are told apart by their user in the end.
            let mut trail = plain(&world.index, pieces);
            trail.piece(b"user", &user.to_le_bytes());
            (0..8_u8).for_each(|more| trail.piece(b"user", &[more]));
            world.index.note(&trail, &servers[*server], world.now);
            oracle.notes.push((*server, pieces.clone(), world.now));
            let usage = world.index.usage();
            prop_assert!(usage.bytes <= bytes_max, "{:?}", usage);
        }
        prop_assert!(world.index.usage().evictions > 0);
        for (asked, ..) in notes.iter().take(50) {
            let known = world.index.known(&plain(&world.index, asked), world.now);
            for (at, server) in servers.iter().enumerate() {
                prop_assert!(known.of(server).bytes <= oracle.bytes(at, asked, world.now));
            }
        }
        world.index.shards.iter().for_each(|shard| shard.lock().check());
    }
}

fn plain(index: &Index, pieces: &[u8]) -> Trail {
    let mut trail = index.trail(&[b"model"]);
    pieces.iter().for_each(|piece| trail.piece(b"user", &text(*piece)));
    trail
}

fn named(index: &Index, (caller, name): (u8, u8)) -> Trail {
    let mut trail = index.trail(&[b"model"]);
    trail.session(&[caller], &[name]);
    trail
}
