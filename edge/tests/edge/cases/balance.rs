//! Which server of a service gets a request: strategies, cookies, services above services.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::http::Answer;
use crate::harness::origin::Origin;
use crate::harness::world::{Terms, World};

const GET: &str = "GET / HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\n\r\n";

/// One key to the service `top`, and whatever else stands under `services`.
fn services(text: &str) -> String {
    format!("http:\n  routers:\n    a:\n      rule: Key(`sk`)\n      service: top\n  services:\n{text}")
}

/// A load balancer in one line; `more` stands before its servers.
fn balancer(name: &str, more: &str, urls: &[&str]) -> String {
    let servers: Vec<String> = urls.iter().map(|url| format!("{{ url: \"{url}\" }}")).collect();
    format!(
        "    {name}: {{ loadBalancer: {{ {more} servers: [{}] }} }}\n",
        servers.join(", ")
    )
}

fn named(count: usize) -> Vec<Origin> {
    const NAMES: [&str; 4] = ["zero", "one", "two", "three"];
    NAMES[..count].iter().map(|name| Origin::answering(name)).collect()
}

fn urls(origins: &[Origin]) -> Vec<&str> {
    origins.iter().map(|origin| &*origin.url).collect()
}

fn told() -> Terms {
    Terms {
        balancing: edge::Balancing {
            tells_server: true,
            ..edge::Balancing::default()
        },
        ..Terms::default()
    }
}

fn tally(world: &World, requests: usize) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for _ in 0..requests {
        let answer = world.send(GET);
        assert_eq!(answer.status, 200, "{}", answer.text());
        *tally.entry(answer.text()).or_default() += 1;
    }
    tally
}

#[test]
fn every_strategy_reaches_idle_servers_and_a_client_keeps_its_own_under_hrw() {
    for (strategy, served) in [("wrr", 3), ("p2c", 3), ("leasttime", 3), ("hrw", 1), ("prefix", 3)] {
        let origins = named(3);
        let text = services(&balancer("top", &format!("strategy: {strategy},"), &urls(&origins)));
        let world = World::start(&[("a.yml", &text)]);
        let tally = tally(&world, 60);
        assert_eq!(tally.len(), served, "{strategy}: {tally:?}");
    }
}

#[test]
fn a_cookie_leads_back_and_carries_its_attributes() {
    let origins = named(3);
    let sticky = "sticky: { cookie: { name: srv, secure: true, httpOnly: true, sameSite: strict, maxAge: 60 } },";
    let text = services(&balancer("top", sticky, &urls(&origins)));
    let world = World::start(&[("a.yml", &text)]);
    let first = world.send(GET);
    let cookie = first.header("set-cookie").expect("a cookie").to_owned();
    for attribute in [
        "srv=",
        "; Path=/",
        "; Max-Age=60",
        "; HttpOnly",
        "; Secure",
        "; SameSite=Strict",
    ] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let pair = cookie.split(';').next().expect("a pair");
    for _ in 0..10 {
        let answer = world.send(&GET.replace("\r\n\r\n", &format!("\r\nCookie: a=b; {pair}\r\n\r\n")));
        assert_eq!(answer.text(), first.text());
    }
}

#[test]
fn services_above_services_share_fall_over_and_copy() {
    let origins = named(4);
    let all: String = ["a", "b", "c", "d"]
        .iter()
        .zip(&origins)
        .map(|(name, origin)| balancer(name, "", &[&origin.url]))
        .collect();
    let dead = balancer("dead", "", &[&dead_url()]);
    for (top, expected) in [
        (
            "weighted: { services: [{ name: a, weight: 3 }, { name: b, weight: 1 }] }",
            &[("zero", 30), ("one", 10)][..],
        ),
        ("failover: { service: a, fallback: b }", &[("zero", 40)]),
        ("failover: { service: dead, fallback: b }", &[("one", 40)]),
        (
            "weighted: { services: [{ name: dead, weight: 1 }, { name: c, weight: 1 }] }",
            &[("two", 40)],
        ),
        (
            "mirroring: { service: a, mirrors: [{ name: d, percent: 100 }] }",
            &[("zero", 40)],
        ),
    ] {
        let text = services(&format!("{all}{dead}    top: {{ {top} }}\n"));
        let world = World::start(&[("a.yml", &text)]);
        let expected: BTreeMap<String, usize> = expected
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect();
        assert_eq!(tally(&world, 40), expected, "{top}");
    }
}

/// An address nobody listens on.
fn dead_url() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

#[test]
fn a_mirror_gets_its_percent_and_harms_nobody() {
    let main = Origin::answering("main");
    let mirror = Origin::scripted(|_, stream| {
        // Slow, and wrong.
        std::thread::sleep(Duration::from_secs(2));
        stream.write_all(b"nonsense").is_ok()
    });
    let text = services(&format!(
        "{}{}    top: {{ mirroring: {{ service: m, maxBodySize: 1000, mirrors: [{{ name: c, percent: 50 }}] }} }}\n",
        balancer("m", "", &[&main.url]),
        balancer("c", "", &[&mirror.url]),
    ));
    let world = World::start(&[("a.yml", &text)]);
    let post = |bytes: usize| {
        format!(
            "POST /v1/x HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\nContent-Length: {bytes}\r\n\r\n{}",
            "x".repeat(bytes)
        )
    };
    let begun = std::time::Instant::now();
    for _ in 0..10 {
        assert_eq!(world.send(&post(100)).text(), "main");
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "nobody waits for a mirror");
    mirror.wait_for_requests(5);
    for _ in 0..10 {
        assert_eq!(world.send(&post(2_000)).text(), "main");
    }
    let seen = mirror.seen();
    assert_eq!(seen.len(), 5, "half of those that are short enough");
    assert!(
        seen.iter()
            .all(|copy| copy.body.len() == 100 && copy.line().starts_with("POST /v1/x "))
    );
}

#[test]
fn a_conversation_goes_back_to_the_server_that_holds_it() {
    let origins = named(4);
    let text = services(&balancer("top", "strategy: prefix,", &urls(&origins)));
    let world = World::start(&[("a.yml", &text)]);
    let ask = |conversation: usize, turns: usize| -> String {
        let text = |turn: usize| {
            format!(
                "{{\"role\":\"user\",\"content\":\"{conversation}-{turn} {}\"}}",
                "word ".repeat(100)
            )
        };
        let messages: Vec<String> = (0..turns).map(text).collect();
        let body = format!("{{\"model\":\"m\",\"messages\":[{}]}}", messages.join(","));
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        world.send(&request).text()
    };
    let first: Vec<String> = (0..12).map(|conversation| ask(conversation, 1)).collect();
    assert!(
        first.iter().collect::<std::collections::BTreeSet<_>>().len() > 2,
        "{first:?}"
    );
    for turns in 2..5 {
        for (conversation, server) in first.iter().enumerate().rev() {
            assert_eq!(
                ask(conversation, turns),
                *server,
                "turn {turns} of conversation {conversation}"
            );
        }
    }
}

#[test]
fn a_session_header_holds_a_conversation_together_whatever_it_says() {
    let origins = named(4);
    let text = services(&balancer("top", "strategy: prefix,", &urls(&origins)));
    let world = World::start(&[("a.yml", &text)]);
    for header in ["X-Session-ID", "X-Litellm-Session-Id", "X-OpenWebUI-Chat-Id"] {
        let ask = |body: &str| {
            world.send(&format!(
                "POST /v1/x HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\n{header}: {header}-7\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ))
        };
        let first = ask("{}").text();
        for body in ["{\"prompt\":\"a\"}", "nonsense", "{\"messages\":[]}"] {
            assert_eq!(ask(body).text(), first, "{header}");
        }
    }
}

#[test]
fn one_header_names_the_server_and_the_attempts_where_it_is_switched_on() {
    let origin = Origin::answering("alive");
    let text = services(&balancer("top", "", &[&dead_url(), &origin.url]));
    let world = World::on(told(), &[("a.yml", &text)]);
    let named = |answer: &Answer| answer.header("x-conclave-server").map(str::to_owned);
    let address = origin.url.trim_start_matches("http://");
    let answers: Vec<Option<String>> = (0..2).map(|_| named(&world.send(GET))).collect();
    assert!(answers.contains(&Some(format!("{address}; attempts=2"))), "{answers:?}");
    let silent = World::start(&[("a.yml", &text)]);
    assert_eq!(named(&silent.send(GET)), None);
}

#[test]
fn what_is_in_flight_survives_a_reload_and_is_finished_by_a_server_that_leaves() {
    let gate = Arc::new(AtomicBool::new(false));
    let opened = gate.clone();
    let slow = Origin::scripted(move |_, stream| {
        while !opened.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
            .is_ok()
    });
    let quick = Origin::answering("quick");
    let world = World::start(&[("a.yml", &services(&balancer("top", "", &[&slow.url])))]);
    // More than one, since an exchange ends a moment after its client has the answer.
    let mut clients: Vec<_> = (0..5).map(|_| world.connect()).collect();
    clients.iter_mut().for_each(|client| client.write(GET.as_bytes()));
    slow.wait_for_requests(5);
    let change = |text: String| world.change(|path| std::fs::write(path.join("a.yml"), &text).expect("written"));
    change(services(&balancer("top", "strategy: p2c,", &[&slow.url, &quick.url])));
    for _ in 0..8 {
        assert_eq!(
            world.send(GET).text(),
            "quick",
            "the other one has requests in flight, and had them before"
        );
    }
    change(services(&balancer("top", "", &[&quick.url])));
    assert_eq!(world.send(GET).text(), "quick");
    gate.store(true, Ordering::SeqCst);
    for mut client in clients {
        assert_eq!(client.answer(false).text(), "slow", "what was in flight is finished");
    }
}
