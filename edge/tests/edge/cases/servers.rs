//! Several servers behind a key, dead ones, and connections that died while they were idle.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::origin::{Origin, until_closed};
use crate::harness::world::{World, mapping};

const GET: &str = "GET / HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\n\r\n";

fn post(bytes: usize) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\nContent-Length: {bytes}\r\n\r\n{}",
        "x".repeat(bytes)
    )
}

/// An address nobody listens on.
fn dead_url() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

#[test]
fn servers_take_turns_by_weight() {
    let (one, two) = (Origin::answering("one"), Origin::answering("two"));
    let text = mapping("a", "Key(`sk`)", &[one.url.clone(), two.url.clone()]).replace(
        &format!("{}\"", one.url),
        &format!("{}\"\n            weight: 3", one.url),
    );
    let world = World::start(&[("a.yml", &text)]);
    for _ in 0..40 {
        assert_eq!(world.send(GET).status, 200);
    }
    assert_eq!((one.seen().len(), two.seen().len()), (30, 10));
}

#[test]
fn a_dead_server_is_passed_over_and_a_lone_one_is_502() {
    let alive = Origin::answering("alive");
    let world = World::start(&[
        ("a.yml", &mapping("a", "Key(`sk`)", &[dead_url(), alive.url.clone()])),
        ("b.yml", &mapping("b", "Key(`sk-lone`)", &[dead_url()])),
        (
            "c.yml",
            &mapping("c", "Key(`sk-name`)", &["http://no-such-host.invalid:1".to_owned()]),
        ),
        (
            "d.yml",
            "http:\n  routers:\n    d:\n      rule: Key(`sk-none`)\n      service: d\n  services:\n    d:\n      loadBalancer:\n        servers: []\n",
        ),
    ]);
    for _ in 0..4 {
        assert_eq!(
            world.send(&post(200_000)).text(),
            "alive",
            "nothing was sent, so any body may go elsewhere"
        );
    }
    for (key, status) in [("sk-lone", 502), ("sk-name", 502), ("sk-none", 503)] {
        assert_eq!(
            world.send(&GET.replace("sk\r", &format!("{key}\r"))).status,
            status,
            "{key}"
        );
    }
}

#[test]
fn a_connection_that_died_in_the_pool_is_not_the_clients_problem() {
    // Every second request on a connection is met with a close, before any byte: as if it had just timed out.
    let on_connection = AtomicUsize::new(usize::MAX);
    let origin = Origin::scripted(move |seen, stream| {
        let first = on_connection.swap(seen.connection, Ordering::SeqCst) != seen.connection;
        first
            && stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .is_ok()
    });
    let world = World::start(&[("a.yml", &mapping("a", "Key(`sk`)", std::slice::from_ref(&origin.url)))]);
    for request in [
        post(10),
        post(10),
        post(60_000),
        post(200_000),
        GET.to_owned(),
        post(200_000),
    ] {
        let answer = world.send(&request);
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    }
}

#[test]
fn a_request_that_a_server_took_up_is_not_sent_twice() {
    let origin = Origin::scripted(|_, _| false);
    let world = World::start(&[("a.yml", &mapping("a", "Key(`sk`)", std::slice::from_ref(&origin.url)))]);
    let answer = world.send(&post(10));
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_failed"));
    assert_eq!(origin.seen().len(), 1);
}

#[test]
fn an_answer_cut_short_stays_cut() {
    let origin = Origin::scripted(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        false
    });
    let world = World::start(&[("a.yml", &mapping("a", "Key(`sk`)", std::slice::from_ref(&origin.url)))]);
    let answer = world.send(GET);
    assert_eq!(
        (answer.status, answer.cut),
        (200, true),
        "a stream that broke off must not look complete"
    );
    assert_eq!(origin.seen().len(), 1, "nothing is replayed");
}

#[test]
fn a_silent_server_is_waited_for_unless_a_time_out_is_configured() {
    use crate::harness::world::Terms;
    let origin = Origin::scripted(|_, stream| {
        until_closed(stream);
        false
    });
    let timeouts = edge::Timeouts {
        read: Some(std::time::Duration::from_millis(200)),
        ..edge::Timeouts::default()
    };
    let terms = Terms {
        timeouts,
        ..Terms::default()
    };
    let world = World::on(
        terms,
        &[("a.yml", &mapping("a", "Key(`sk`)", std::slice::from_ref(&origin.url)))],
    );
    let answer = world.send(GET);
    assert_eq!((answer.status, answer.code().as_str()), (504, "upstream_timeout"));
}

#[test]
fn no_connection_is_kept_idle_where_the_transport_says_none() {
    if crate::CARRIER != edge::Carrier::Forwarder {
        return;
    }
    let origin = Origin::answering("ok");
    let text = mapping("a", "Key(`sk`)", std::slice::from_ref(&origin.url))
        .replace("loadBalancer:\n", "loadBalancer:\n        serversTransport: t\n");
    let text = format!("{text}  serversTransports:\n    t: {{ maxIdleConnsPerHost: -1 }}\n");
    let world = World::start(&[("a.yml", &text)]);
    let mut client = world.connect();
    for _ in 0..3 {
        assert_eq!(client.exchange(GET.as_bytes()).status, 200);
    }
    let used: Vec<usize> = origin.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(used, [0, 1, 2]);
}
