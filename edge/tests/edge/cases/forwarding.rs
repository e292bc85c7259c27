//! Requests and answers pass untouched, but for what the edge owns.

use std::io::Write;

use edge::Bounds;

use crate::harness::origin::{Origin, pause};
use crate::harness::world::{Terms, World, mapping};

const KEY: &str = "Host: edge\r\nx-api-key: sk\r\n";

fn world_of(origin: &Origin) -> World {
    World::start(&[("a.yml", &mapping("a", "Key(`sk`)", std::slice::from_ref(&origin.url)))])
}

#[test]
fn any_method_header_and_body_arrives_as_it_was_sent() {
    let origin = Origin::answering("ok");
    let world = world_of(&origin);
    let answer = world.send(&format!(
        "PROPFIND /any/thing?q=a%20b HTTP/1.1\r\n{KEY}X-Custom: Kept As Is\r\nContent-Length: 5\r\n\r\nhello"
    ));
    assert_eq!(answer.status, 200);
    let seen = origin.only();
    assert_eq!(seen.line(), "PROPFIND /any/thing?q=a%20b HTTP/1.1");
    assert_eq!(seen.header("x-custom"), Some("Kept As Is"));
    assert_eq!(seen.header("host"), Some("edge"), "passHostHeader is on by default");
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.body, b"hello");
}

#[test]
fn the_servers_own_host_is_sent_where_the_mapping_says_so() {
    let origin = Origin::answering("ok");
    let text = mapping("a", "Key(`sk`)", std::slice::from_ref(&origin.url))
        .replace("loadBalancer:", "loadBalancer:\n        passHostHeader: false");
    let world = World::start(&[("a.yml", &text)]);
    world.send(&format!("GET / HTTP/1.1\r\n{KEY}\r\n"));
    assert_eq!(origin.only().header("host"), origin.url.strip_prefix("http://"));
}

#[test]
fn the_path_of_a_servers_url_counts_only_where_it_is_preserved() {
    let origin = Origin::answering("ok");
    let with_path = vec![format!("{}/base", origin.url)];
    let plain = mapping("plain", "Key(`sk`)", &with_path);
    let kept =
        mapping("kept", "Key(`sk-kept`)", &with_path).replace("/base\"", "/base\"\n            preservePath: true");
    let world = World::start(&[("plain.yml", &plain), ("kept.yml", &kept)]);
    world.send(&format!("GET /v1/models HTTP/1.1\r\n{KEY}\r\n"));
    world.send("GET /v1/models HTTP/1.1\r\nHost: edge\r\nx-api-key: sk-kept\r\n\r\n");
    let lines: Vec<_> = origin.seen().iter().map(|seen| seen.line().to_owned()).collect();
    assert_eq!(lines, ["GET /v1/models HTTP/1.1", "GET /base/v1/models HTTP/1.1"]);
}

#[test]
fn a_request_id_is_kept_or_made_and_comes_back() {
    let origin = Origin::answering("ok");
    let world = world_of(&origin);
    let kept = world.send(&format!("GET / HTTP/1.1\r\n{KEY}x-request-id: mine-7\r\n\r\n"));
    let made = world.send(&format!("GET / HTTP/1.1\r\n{KEY}\r\n"));
    assert_eq!(kept.header("x-request-id"), Some("mine-7"));
    assert_eq!(origin.seen()[0].header("x-request-id"), Some("mine-7"));
    assert_eq!(made.header("x-request-id").map(str::len), Some(36));
    assert_eq!(origin.seen()[1].header("x-request-id"), made.header("x-request-id"));
}

#[test]
fn a_conversation_id_is_stripped() {
    let origin = Origin::answering("ok");
    world_of(&origin).send(&format!("GET / HTTP/1.1\r\n{KEY}X-Conversation-Id: 5\r\n\r\n"));
    assert_eq!(origin.only().header("x-conversation-id"), None);
}

#[test]
fn bodies_pass_whole_whatever_their_size_and_framing() {
    let origin = Origin::answering("ok");
    let world = world_of(&origin);
    for size in [1, 64 * 1024, 64 * 1024 + 1, 3 * 1024 * 1024] {
        let body = "x".repeat(size);
        assert_eq!(
            world
                .send(&format!("POST / HTTP/1.1\r\n{KEY}Content-Length: {size}\r\n\r\n{body}"))
                .status,
            200
        );
        let half = size / 2;
        let chunked = format!(
            "POST / HTTP/1.1\r\n{KEY}Transfer-Encoding: chunked\r\n\r\n{half:x}\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            &body[..half],
            size - half,
            &body[half..],
        );
        if half > 0 {
            assert_eq!(world.send(&chunked).status, 200);
        }
    }
    let sizes: Vec<_> = origin.seen().iter().map(|seen| seen.body.len()).collect();
    assert_eq!(sizes, [1, 65536, 65536, 65537, 65537, 3145728, 3145728]);
}

#[test]
fn a_body_over_the_bound_is_refused_announced_or_not() {
    let origin = Origin::answering("ok");
    let terms = Terms {
        bounds: Bounds {
            body_bytes_max: 1000,
            ..Bounds::default()
        },
        ..Terms::default()
    };
    let world = World::on(
        terms,
        &[("a.yml", &mapping("a", "Key(`sk`)", std::slice::from_ref(&origin.url)))],
    );
    let announced = world.send(&format!("POST / HTTP/1.1\r\n{KEY}Content-Length: 1001\r\n\r\n"));
    assert_eq!(
        (announced.status, announced.code().as_str()),
        (413, "request_too_large")
    );
    let body = "x".repeat(1001);
    let chunked = format!("POST / HTTP/1.1\r\n{KEY}Transfer-Encoding: chunked\r\n\r\n3e9\r\n{body}\r\n0\r\n\r\n");
    assert_eq!(world.send(&chunked).status, 413);
    let fits = format!("POST / HTTP/1.1\r\n{KEY}Content-Length: 1000\r\n\r\n{}", &body[..1000]);
    assert_eq!(world.send(&fits).status, 200);
}

#[test]
fn expect_continue_is_answered_and_the_body_follows() {
    let origin = Origin::answering("ok");
    let world = world_of(&origin);
    let mut connection = world.connect();
    connection.write(format!("POST / HTTP/1.1\r\n{KEY}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n").as_bytes());
    connection.read_until("100 Continue");
    connection.write(b"hello");
    assert_eq!(connection.answer(false).status, 200);
    assert_eq!(origin.only().body, b"hello");
}

#[test]
fn answers_without_a_body_end_where_they_should() {
    let origin = Origin::scripted(|seen, stream| {
        let answer: &[u8] = match seen.line() {
            line if line.starts_with("HEAD") => b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
            line if line.contains("/204") => b"HTTP/1.1 204 No Content\r\n\r\n",
            line if line.contains("/304") => b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
            _ => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        };
        stream.write_all(answer).is_ok()
    });
    let world = world_of(&origin);
    let mut connection = world.connect();
    for (line, status) in [
        ("HEAD /", 200),
        ("GET /204", 204),
        ("GET /304", 304),
        ("GET /empty", 200),
    ] {
        let answer = connection.exchange(format!("{line} HTTP/1.1\r\n{KEY}\r\n").as_bytes());
        assert_eq!((answer.status, answer.body.len()), (status, 0), "{line}");
    }
}

#[test]
fn an_answer_may_come_before_the_body_was_sent() {
    let origin = Origin::scripted(|_, stream| {
        let body = r#"{"error":{"message":"too long","type":"exceed_context_size_error","code":400}}"#;
        let answer = format!(
            "HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let _ = stream.write_all(answer.as_bytes());
        false
    });
    let world = world_of(&origin);
    let answer = world.send(&format!("POST / HTTP/1.1\r\n{KEY}Content-Length: 2\r\n\r\n{{}}"));
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().contains("exceed_context_size_error"),
        "the server's own error passes"
    );
}

#[test]
fn an_upgraded_connection_carries_bytes_both_ways() {
    let origin = Origin::scripted(|seen, stream| {
        assert_eq!(seen.header("upgrade"), Some("websocket"));
        let accepted = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        stream.write_all(accepted).expect("written");
        pause();
        stream.write_all(b"from the server").expect("written");
        let mut buffer = [0; 64];
        let read = std::io::Read::read(stream, &mut buffer).expect("read");
        stream.write_all(&buffer[..read]).expect("echoed");
        crate::harness::origin::until_closed(stream);
        false
    });
    let world = world_of(&origin);
    let mut connection = world.connect();
    let request = format!(
        "GET /ws HTTP/1.1\r\n{KEY}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    assert_eq!(connection.exchange(request.as_bytes()).status, 101);
    connection.read_until("from the server");
    connection.write(b"from the client");
    connection.read_until("from the client");
    connection.close();
    origin.wait_for_close(0);
}

#[test]
fn a_refusal_reaches_a_client_that_is_still_sending() {
    let origin = Origin::answering("ok");
    let world = world_of(&origin);
    for megabytes in [0, 1, 3, 12] {
        let size = megabytes * 1024 * 1024 + 1;
        let body = "x".repeat(size);
        let wrong =
            format!("POST / HTTP/1.1\r\nHost: edge\r\nx-api-key: wrong\r\nContent-Length: {size}\r\n\r\n{body}");
        let answer = world.send(&wrong);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "invalid_api_key"),
            "{megabytes} MiB"
        );
        assert_eq!(
            answer.header("connection") == Some("close"),
            megabytes > 0,
            "a large body ends the connection"
        );
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::scripted(|seen, stream| {
        let body = seen.line().to_owned();
        pause();
        stream
            .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
            .is_ok()
    });
    let world = world_of(&origin);
    let mut connection = world.connect();
    let request = |n: u32| format!("GET /{n} HTTP/1.1\r\n{KEY}\r\n");
    connection.write((request(1) + &request(2)).as_bytes());
    pause();
    connection.write(request(3).as_bytes());
    for n in 1..=3 {
        assert_eq!(connection.answer(false).text(), format!("GET /{n} HTTP/1.1"));
    }
}

#[test]
fn no_upgrade_but_a_websocket_is_passed_on() {
    let origin = Origin::answering("ok");
    let world = world_of(&origin);
    for upgrade in ["h2c", "websocket, h2c", "TLS/1.0"] {
        let request = format!(
            "GET /v1/models HTTP/1.1\r\n{KEY}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {upgrade}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
        );
        assert_eq!(world.send(&request).text(), "ok", "{upgrade}");
    }
    assert!(
        origin.seen().iter().all(|seen| seen.header("upgrade").is_none()),
        "{:?}",
        origin.seen()
    );
}

#[test]
fn a_server_that_switches_unasked_is_502() {
    let origin = Origin::scripted(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n");
        false
    });
    let world = world_of(&origin);
    assert_eq!(world.send(&format!("GET / HTTP/1.1\r\n{KEY}\r\n")).status, 502);
}

#[test]
fn what_is_said_about_the_client_is_believed_of_trusted_proxies_only() {
    let origin = Origin::answering("ok");
    let files = mapping("a", "Key(`sk`)", std::slice::from_ref(&origin.url));
    let request = "GET / HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\nX-Forwarded-For: 6.6.6.6, 203.0.113.9\r\n\
                   X_Real_IP: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\r\n";
    let loopback = edge::TrustedProxies::new(vec![keymap::Network::parse("127.0.0.0/8").expect("a network")]);
    for (trusted_proxies, address, proto) in [
        (edge::TrustedProxies::default(), "127.0.0.1", "http"),
        (loopback, "203.0.113.9", "https"),
    ] {
        let terms = Terms {
            trusted_proxies,
            ..Terms::default()
        };
        let world = World::on(terms, &[("a.yml", &files)]);
        assert_eq!(world.send(request).status, 200);
        let seen = origin.seen().pop().expect("a request");
        assert_eq!(seen.header("x-forwarded-for"), Some(address));
        assert_eq!(seen.header("x-real-ip"), Some(address));
        assert_eq!(seen.header("x-forwarded-proto"), Some(proto));
        assert_eq!(seen.header("x_real_ip"), None);
    }
}
