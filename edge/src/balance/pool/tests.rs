use std::collections::HashMap;
use std::time::Instant;

use keymap::{Server, ServerUrl};

use super::*;
use crate::balance::sticky::Cookie;
use crate::balance::strategy::Strategy;

/// A service of so many servers, and what it is asked with.
struct Scene {
    registry: Registry,
    pool: Pool,
}

impl Scene {
    fn of(servers: u16, terms: Terms) -> Self {
        let registry = Registry::default();
        let server = |port: u16| {
            let url = format!("http://gpu:{port}");
            let server = Server {
                url: ServerUrl::parse(&url).expect("a URL"),
                weight: 1,
                preserve_path: false,
            };
            (Upstream::new(&server), 1, url)
        };
        let servers = (1..=servers).map(server).collect();
        let pool = Pool::new(&"s".into(), servers, terms, &registry);
        Self { registry, pool }
    }

    fn ask(now_ms: u64) -> Ask<'static> {
        Ask {
            now_ms,
            client: IpAddr::from([127, 0, 0, 1]),
            cookie: None,
            may_wait: true,
            known: None,
            tried: &[],
        }
    }

    /// Which of the servers, by its place.
    fn picked(&self, ask: &Ask<'_>) -> Option<usize> {
        match self.pool.pick(ask) {
            Found::Server(pick) => Some(self.place(&pick)),
            _ => None,
        }
    }

    fn place(&self, pick: &Pick) -> usize {
        let same = |member: &Arc<Member>| Arc::ptr_eq(member, &pick.member);
        self.pool.members.iter().position(same).expect("one of them")
    }

    fn state(&self, place: usize) -> &crate::health::State {
        &self.pool.members[place].state
    }
}

fn wrr() -> Terms {
    Terms::new(Strategy::Wrr)
}

#[test]
fn who_is_left_out_gets_nothing_until_one_request_has_tried_it() {
    let scene = Scene::of(3, wrr());
    assert!(scene.state(1).failed(100, &wrr().rules));
    for _ in 0..30 {
        assert_ne!(scene.picked(&Scene::ask(200)), Some(1));
    }
    let tries = (0..30).filter(|_| scene.picked(&Scene::ask(1_100)) == Some(1)).count();
    assert_eq!(tries, 1, "one request tries it");
    scene.state(1).succeeded(1_150);
    let share = (0..3_000)
        .filter(|_| scene.picked(&Scene::ask(60_000)) == Some(1))
        .count();
    assert_eq!(share, 1_000, "and then it has its share again");
}

#[test]
fn all_suspect_is_no_reason_to_refuse_and_all_down_is_one() {
    let scene = Scene::of(2, wrr());
    for place in 0..2 {
        scene.state(place).failed(100, &wrr().rules);
    }
    assert!(scene.picked(&Scene::ask(200)).is_some(), "any is better than none");
    scene.state(0).checked(false, 200);
    assert_eq!(
        scene.picked(&Scene::ask(200)),
        Some(1),
        "but none that is known to be down"
    );
    scene.state(1).checked(false, 200);
    assert_eq!(scene.picked(&Scene::ask(200)), None);
    scene.state(0).checked(true, 300);
    assert_eq!(scene.picked(&Scene::ask(300)), Some(0));
}

#[test]
fn one_that_loads_is_passed_over_and_waited_for_where_there_is_no_other() {
    let scene = Scene::of(2, wrr());
    scene.state(0).is_loading(100);
    for _ in 0..10 {
        assert_eq!(scene.picked(&Scene::ask(110)), Some(1));
    }
    scene.state(1).is_loading(120);
    assert!(matches!(
        scene.pool.pick(&Scene::ask(130)),
        Found::Loading { at_ms: 350, .. }
    ));
    let hasty = Ask {
        may_wait: false,
        ..Scene::ask(130)
    };
    assert!(
        scene.picked(&hasty).is_some(),
        "who may not wait hears it from the server"
    );
}

#[test]
fn what_was_tried_is_not_tried_again() {
    let scene = Scene::of(3, wrr());
    let tried: Vec<_> = scene.pool.members[..2].to_vec();
    for _ in 0..5 {
        let ask = Ask {
            tried: &tried,
            ..Scene::ask(1)
        };
        assert_eq!(scene.picked(&ask), Some(2));
    }
    let all = scene.pool.members.to_vec();
    let ask = Ask {
        tried: &all,
        ..Scene::ask(1)
    };
    assert_eq!(scene.picked(&ask), None);
}

#[test]
fn a_cookie_brings_a_client_back_while_its_server_is_up() {
    let cookie = Cookie {
        name: "srv".into(),
        secure: false,
        http_only: false,
        same_site: None,
        max_age: 0,
        path: None,
        domain: None,
    };
    let scene = Scene::of(
        4,
        Terms {
            sticky: Some(cookie),
            ..wrr()
        },
    );
    let Found::Server(first) = scene.pool.pick(&Scene::ask(1)) else {
        panic!("all are up")
    };
    let line = first.cookies[0].split(';').next().expect("a pair").to_owned();
    let at = scene.place(&first);
    let ask = Ask {
        cookie: Some(line.as_bytes()),
        ..Scene::ask(1)
    };
    for _ in 0..9 {
        assert_eq!(scene.picked(&ask), Some(at));
    }
    scene.state(at).failed(2, &wrr().rules);
    let ask = Ask {
        cookie: Some(line.as_bytes()),
        ..Scene::ask(3)
    };
    assert_ne!(scene.picked(&ask), Some(at));
}

#[test]
fn a_hold_on_a_server_counts_for_as_long_as_it_lives() {
    let scene = Scene::of(2, Terms::new(Strategy::P2c));
    let holds: Vec<_> = (0..20).map(|_| scene.pool.pick(&Scene::ask(1))).collect();
    let in_flight = [scene.state(0).in_flight(), scene.state(1).in_flight()];
    assert_eq!(in_flight, [10, 10], "the less busy each time");
    drop(holds);
    assert_eq!([scene.state(0).in_flight(), scene.state(1).in_flight()], [0, 0]);
}

/// The simulator of the affinity crate knows what caches do; here it is the pool's own decision that is driven: sixty-four
/// servers, two thousand conversations, each growing turn by turn.
#[test]
fn conversations_go_back_to_their_servers_and_none_is_busier_than_the_bound() {
    let policy = affinity::Policy::default();
    let scene = Scene::of(64, Terms::new(Strategy::Prefix(policy)));
    let index = &scene.registry.prefixes;
    let mut holders: HashMap<usize, usize> = HashMap::new();
    let mut in_flight = std::collections::VecDeque::new();
    let (mut hits, mut possible) = (0, 0);
    for request in 0..20_000_usize {
        // Zipf would favour the strategy: these are as scattered as can be.
        let conversation = (request * 7919) % 2_000;
        let turns = request / 2_000 + 1;
        let mut trail = index.trail(&[b"s"]);
        (0..turns)
            .for_each(|turn| trail.piece(b"user", format!("{conversation}-{turn}-{}", "x".repeat(400)).as_bytes()));
        let known = index.known(&trail, Instant::now());
        let ask = Ask {
            known: Some(&known),
            ..Scene::ask(1)
        };
        let Found::Server(pick) = scene.pool.pick(&ask) else {
            panic!("all are up")
        };
        index.note(&trail, &pick.member.state.cache, Instant::now());
        let place = scene.place(&pick);
        if let Some(before) = holders.insert(conversation, place) {
            possible += 1;
            hits += usize::from(before == place);
        }
        let least = (0..64)
            .map(|at| scene.state(at).in_flight() - u32::from(at == place))
            .min()
            .unwrap_or(0);
        let own = scene.state(place).in_flight() - 1;
        assert!(
            own - least.min(own) <= policy.ahead_max || own * 100 <= least * policy.ratio_percent_max,
            "{own} against {least}"
        );
        in_flight.push_back(pick);
        if in_flight.len() > 128 {
            in_flight.pop_front();
        }
    }
    assert!(hits * 100 >= possible * 95, "{hits} of {possible}");
}
