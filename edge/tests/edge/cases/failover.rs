//! Servers that fail: passed over before their first byte, told of after it.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::harness::origin::{Origin, until_closed};
use crate::harness::world::{World, wait_for};

fn mapping(more: &str, urls: &[&str]) -> String {
    let servers: Vec<String> = urls.iter().map(|url| format!("{{ url: \"{url}\" }}")).collect();
    format!(
        "http:\n  routers:\n    a:\n      rule: Key(`sk`)\n      service: top\n  services:\n    top:\n      loadBalancer:\n        \
         {more}\n        servers: [{}]\n",
        servers.join(", ")
    )
}

fn post(path: &str, bytes: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\nContent-Length: {bytes}\r\n\r\n{}",
        "x".repeat(bytes)
    )
}

/// Answers with the number of bytes that came.
fn counting() -> Origin {
    Origin::scripted(|seen, stream| {
        let body = seen.body.len().to_string();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).is_ok()
    })
}

const LOADING: &str = "{\"error\":{\"message\":\"Loading model\",\"type\":\"unavailable_error\",\"code\":503}}";

fn loading(stream: &mut TcpStream) -> bool {
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: {}\r\n\r\n",
        LOADING.len()
    );
    // As llama-server does: the body in a piece of its own.
    stream.write_all(head.as_bytes()).is_ok() && stream.flush().is_ok() && {
        std::thread::sleep(Duration::from_millis(20));
        stream.write_all(LOADING.as_bytes()).is_ok()
    }
}

#[test]
fn before_the_first_byte_any_failure_goes_to_the_next_server() {
    type Fault = fn(&mut TcpStream) -> bool;
    let faults: [(&str, Fault); 5] = [
        ("closes", |_| false),
        ("502", |stream| {
            stream
                .write_all(b"HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n")
                .is_ok()
        }),
        ("503", |stream| {
            stream
                .write_all(b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno")
                .is_ok()
        }),
        ("504", |stream| {
            stream
                .write_all(b"HTTP/1.1 504 Late\r\nContent-Length: 0\r\n\r\n")
                .is_ok()
        }),
        ("loading", loading),
    ];
    for (name, fault) in faults {
        for bytes in [10, 60_000, 900_000, 5_000_000] {
            let bad = Origin::scripted(move |_, stream| fault(stream));
            let good = counting();
            let world = World::start(&[("a.yml", &mapping("strategy: wrr", &[&bad.url, &good.url]))]);
            for _ in 0..4 {
                let answer = world.send(&post("/v1/x", bytes));
                assert_eq!(
                    (answer.status, answer.text()),
                    (200, bytes.to_string()),
                    "{name}, {bytes} bytes"
                );
            }
            assert!(!bad.seen().is_empty(), "{name}: it was tried");
        }
    }
}

#[test]
fn what_another_server_would_not_mend_is_passed_on() {
    for status in [400, 404, 429, 500, 501] {
        let bad = Origin::scripted(move |_, stream| {
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 3\r\n\r\nbad");
            stream.write_all(answer.as_bytes()).is_ok()
        });
        let good = Origin::answering("good");
        let world = World::start(&[("a.yml", &mapping("strategy: wrr", &[&bad.url, &good.url]))]);
        let answers: Vec<u16> = (0..2).map(|_| world.send(&post("/", 5)).status).collect();
        assert!(answers.contains(&status) && answers.contains(&200), "{answers:?}");
    }
}

#[test]
fn where_all_refuse_the_last_ones_answer_is_the_clients() {
    let bad = || {
        Origin::scripted(|_, stream| {
            stream
                .write_all(b"HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusy")
                .is_ok()
        })
    };
    let (one, two) = (bad(), bad());
    let world = World::start(&[("a.yml", &mapping("strategy: wrr", &[&one.url, &two.url]))]);
    let answer = world.send(&post("/", 5));
    assert_eq!((answer.status, answer.text().as_str()), (503, "busy"));
    assert_eq!((one.seen().len(), two.seen().len()), (1, 1), "each was asked once");
}

#[test]
fn a_model_that_is_being_loaded_is_waited_for() {
    if crate::CARRIER != edge::Carrier::Forwarder {
        return;
    }
    for bytes in [10, 500_000] {
        let ready = Arc::new(AtomicBool::new(false));
        let is_ready = ready.clone();
        let origin = Origin::scripted(move |_, stream| {
            if is_ready.load(Ordering::SeqCst) {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
                    .is_ok()
            } else {
                loading(stream)
            }
        });
        let world = World::start(&[("a.yml", &mapping("strategy: wrr", &[&origin.url]))]);
        let get = "GET / HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\n\r\n";
        assert_eq!(world.send(get).status, 503, "who only looks is told");
        let mut clients: Vec<_> = (0..20).map(|_| world.connect()).collect();
        for client in &mut clients {
            client.write(post("/v1/chat/completions", bytes).as_bytes());
        }
        wait_for("three looks at the server", || origin.seen().len() > 3);
        let looks = origin.seen().len();
        ready.store(true, Ordering::SeqCst);
        for client in &mut clients {
            let answer = client.answer(false);
            assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
        }
        assert!(looks < 40, "one asks for all: {looks}");
    }
}

#[test]
fn where_all_load_who_does_not_wait_is_told_so() {
    let origins = [0, 1].map(|_| Origin::scripted(|_, stream| loading(stream)));
    let world = World::start(&[("a.yml", &mapping("strategy: wrr", &[&origins[0].url, &origins[1].url]))]);
    let answer = world.send("GET /v1/models HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\n\r\n");
    assert_eq!((answer.status, answer.text().as_str()), (503, LOADING));
    let asked: usize = origins.iter().map(|origin| origin.seen().len()).sum();
    assert_eq!(asked, 2, "each once");
}

#[test]
fn a_server_that_hangs_is_found_out_by_its_health_check_and_left() {
    if crate::CARRIER != edge::Carrier::Forwarder {
        return;
    }
    let hung = Arc::new(AtomicBool::new(false));
    let hangs = hung.clone();
    let bad = Origin::scripted(move |seen, stream| {
        if hangs.load(Ordering::SeqCst) {
            until_closed(stream);
            return false;
        }
        if seen.line().contains("/stream") {
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
                  9\r\ndata: 1\n\n\r\n",
            );
            until_closed(stream);
            return false;
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad")
            .is_ok()
    });
    let good = Origin::answering("good");
    let check =
        "healthCheck: { path: /health, interval: 200ms, timeout: 200ms }\n        sticky: { cookie: { name: srv } }";
    let world = World::start(&[("a.yml", &mapping(check, &[&bad.url, &good.url]))]);
    let cookie = (0..9)
        .map(|_| world.send(&post("/", 1)))
        .find(|answer| answer.text() == "bad")
        .and_then(|answer| Some(answer.header("set-cookie")?.split(';').next()?.to_owned()))
        .expect("a cookie of the one that will hang");
    let with_cookie = |path: &str| post(path, 1).replace("\r\n\r\nx", &format!("\r\nCookie: {cookie}\r\n\r\nx"));
    let mut begun = world.connect();
    begun.write(with_cookie("/stream").as_bytes());
    begun.read_until("data: 1");
    hung.store(true, Ordering::SeqCst);
    let started = Instant::now();
    let mut waiting = world.connect();
    waiting.write(with_cookie("/").as_bytes());
    assert_eq!(
        waiting.answer(false).text(),
        "good",
        "what had not begun goes to another"
    );
    assert!(
        begun.read_until("upstream_failed").contains("data: {\"error\":"),
        "what had begun ends with an error"
    );
    assert!(begun.is_closed(), "and a cut");
    assert!(started.elapsed() < Duration::from_secs(5));
    for _ in 0..6 {
        assert_eq!(world.send(&post("/", 1)).text(), "good");
    }
    hung.store(false, Ordering::SeqCst);
    wait_for("the server to be taken back", || {
        world.send(&with_cookie("/")).text() == "bad"
    });
}

#[test]
fn a_slow_answer_of_a_busy_server_is_not_death() {
    let answers = Arc::new(AtomicBool::new(false));
    let streams = Origin::scripted({
        let answers = answers.clone();
        move |seen, stream| {
            if seen.line().contains("/health") {
                // Its threads are busy with streams.
                until_closed(stream);
                return false;
            }
            let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
            let mut going = stream.write_all(head).is_ok();
            while going && !answers.load(Ordering::SeqCst) {
                going = stream.write_all(b"9\r\ndata: 1\n\n\r\n").is_ok();
                std::thread::sleep(Duration::from_millis(10));
            }
            stream.write_all(b"0\r\n\r\n").is_ok()
        }
    });
    let check = "healthCheck: { path: /health, interval: 50ms, timeout: 50ms }";
    let world = World::start(&[("a.yml", &mapping(check, &[&streams.url]))]);
    let mut client = world.connect();
    client.write(post("/", 1).as_bytes());
    client.read_until("data: 1");
    let checks = || {
        streams
            .seen()
            .iter()
            .filter(|seen| seen.line().contains("/health"))
            .count()
    };
    wait_for("many checks without an answer", || checks() > 8);
    let mut another = world.connect();
    another.write(post("/", 1).as_bytes());
    another.read_until("data: 1");
    answers.store(true, Ordering::SeqCst);
    let end = client.read_until("\r\n0\r\n\r\n");
    assert!(!end.contains("upstream_failed"), "{end}");
}

#[test]
fn nothing_healthy_is_503_and_health_checks_ask_as_they_are_told() {
    let healthy = Arc::new(AtomicBool::new(false));
    let is_healthy = healthy.clone();
    let door = Origin::scripted(move |seen, stream| {
        let asked = seen.line().starts_with("HEAD /ping?x=1 ")
            && seen.header("host") == Some("gpu.example")
            && seen.header("x-probe") == Some("yes");
        let status = match (asked, is_healthy.load(Ordering::SeqCst)) {
            (true, true) => 204,
            (true, false) => 200,
            (false, _) => 500,
        };
        stream
            .write_all(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").as_bytes())
            .is_ok()
    });
    let origin = Origin::answering("served");
    let port = door.url.rsplit(':').next().expect("a port").to_owned();
    let check = format!(
        "healthCheck: {{ path: '/ping?x=1', port: {port}, method: HEAD, hostname: gpu.example, status: 204, interval: 50ms, \
         timeout: 1s, headers: {{ X-Probe: 'yes' }} }}"
    );
    let world = World::start(&[("a.yml", &mapping(&check, &[&origin.url]))]);
    wait_for("the server to be found unhealthy", || {
        world.send(&post("/", 1)).status == 503
    });
    assert_eq!(world.send(&post("/", 1)).code(), "no_server");
    healthy.store(true, Ordering::SeqCst);
    wait_for("the server to be found healthy", || {
        world.send(&post("/", 1)).text() == "served"
    });
}

#[test]
fn a_stream_that_breaks_off_ends_with_its_dialects_error_and_a_cut() {
    for (path, kind, event, border, expected) in [
        (
            "/v1/chat/completions",
            "text/event-stream",
            "data: {}\n\n",
            true,
            "data: {\"error\":{",
        ),
        (
            "/v1/messages",
            "text/event-stream",
            "event: ping\ndata: {}\n\n",
            true,
            "event: error\ndata: {\"type\":\"error\"",
        ),
        ("/api/chat", "application/x-ndjson", "{}\n", true, "{\"error\":\""),
        ("/v1/chat/completions", "text/event-stream", "data: {", false, ""),
        ("/v1/chat/completions", "application/json", "{}\n\n", false, ""),
    ] {
        let origin = Origin::scripted(move |_, stream| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n");
            let _ = stream.write_all(format!("{head}{:x}\r\n{event}\r\n", event.len()).as_bytes());
            false
        });
        let world = World::start(&[("a.yml", &mapping("strategy: wrr", &[&origin.url]))]);
        let answer = world.send(&post(path, 3));
        assert!(answer.cut, "{path}: never a made-up end");
        let after = answer
            .text()
            .strip_prefix(event)
            .map(str::to_owned)
            .expect("what came first");
        assert_eq!(!after.is_empty(), border, "{path}, {kind}: {after}");
        assert!(after.starts_with(expected), "{path}, {kind}: {after}");
    }
}

#[test]
fn retries_do_not_become_the_load() {
    let bad = || {
        Origin::scripted(|_, stream| {
            stream
                .write_all(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
                .is_ok()
        })
    };
    let origins = [bad(), bad(), bad()];
    let urls: Vec<&str> = origins.iter().map(|origin| &*origin.url).collect();
    let world = World::start(&[("a.yml", &mapping("strategy: wrr", &urls))]);
    let mut client = world.connect();
    const REQUESTS: usize = 600;
    let begun = Instant::now();
    for _ in 0..REQUESTS {
        client.exchange(post("/", 1).as_bytes());
    }
    let seen: usize = origins.iter().map(|origin| origin.seen().len()).sum();
    let earned = 100 + REQUESTS / 5 + 10 * (begun.elapsed().as_secs() as usize + 1);
    assert!(
        seen >= REQUESTS && seen <= REQUESTS + earned,
        "{seen} attempts for {REQUESTS} requests"
    );
}

#[test]
fn the_retry_middleware_says_how_often() {
    let tries = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let origin = Origin::scripted({
        let tries = tries.clone();
        move |_, stream| {
            tries.fetch_add(1, Ordering::SeqCst) >= 3
                && stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    .is_ok()
        }
    });
    let text = mapping("strategy: wrr", &[&origin.url])
        .replace("service: top\n", "service: top\n      middlewares: [again]\n")
        .replace(
            "  services:\n",
            "  middlewares:\n    again: { retry: { attempts: 4, initialInterval: 10ms } }\n  services:\n",
        );
    let world = World::start(&[("a.yml", &text)]);
    assert_eq!(world.send(&post("/", 9)).text(), "ok");
    assert_eq!(tries.load(Ordering::SeqCst), 4);
}
