//! Limits under 64 clients and many reloads: never one too many, never a leaked slot, counts equal to the server's own.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edge::{Bounds, Timeouts};

use crate::harness::limited::{Counter, get, limited, post};
use crate::harness::origin::{Origin, Seen, read_until, until_closed};
use crate::harness::world::{Terms, World, wait_for};

const CLIENTS: usize = 64;
const REQUESTS: usize = 10_000;

/// All clients at once, until the requests are used up; returns how many were answered with 200, and how many with 429.
fn load(world: &World, request: &str) -> (usize, usize) {
    let (left, answered, refused) = (AtomicUsize::new(REQUESTS), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = world.connect();
                let more = |left: usize| left.checked_sub(1);
                while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok() {
                    match client.exchange(request.as_bytes()).status {
                        200 => answered.fetch_add(1, Ordering::SeqCst),
                        429 => refused.fetch_add(1, Ordering::SeqCst),
                        other => panic!("{other}"),
                    };
                }
            });
        }
    });
    (answered.into_inner(), refused.into_inner())
}

#[test]
fn sixty_four_clients_get_exactly_what_is_allowed_over_a_hundred_reloads() {
    const BURST: usize = 1_777;
    const AT_ONCE: usize = 5;
    let counter = Counter::default();
    let origin = counter.origin();
    let rate = format!("{{ average: 1, period: 720h, burst: {BURST} }}");
    let slots = format!("{{ amount: {AT_ONCE} }}");
    let limits = [("rateLimit", rate.as_str()), ("inFlightReq", slots.as_str())];
    let file = limited(&origin.url, &limits);
    let world = World::start(&[("a.yml", &file)]);
    let (answered, refused) = std::thread::scope(|scope| {
        let reloads = scope.spawn(|| {
            for count in 0..100 {
                let text = format!("{file}# {count}\n");
                // Whole, as every careful writer does: a file that is empty for long enough has no routers.
                world.change(|folder| {
                    std::fs::write(folder.join(".a.tmp"), text).expect("written");
                    std::fs::rename(folder.join(".a.tmp"), folder.join("a.yml")).expect("renamed");
                });
            }
        });
        // Loads follow one another while there are reloads, and until what is allowed is used up.
        let (mut answered, mut refused) = (0, 0);
        for _ in 0..100 {
            let last = reloads.is_finished();
            let (more, less) = load(&world, &get("sk"));
            (answered, refused) = (answered + more, refused + less);
            if last && more == 0 {
                return (answered, refused);
            }
        }
        panic!("{answered} answered, and still not all that is allowed")
    });
    assert_eq!(answered, BURST, "never one too many, and none lost");
    assert_eq!(counter.requests(), BURST, "the server has seen those and no other");
    assert!(refused >= REQUESTS - BURST);
    let at_once = counter.at_once_max.load(Ordering::SeqCst);
    assert!(at_once <= AT_ONCE, "{at_once} at once");
    // With one slot and no rate, one request passes only if every slot has come back.
    let one = [("inFlightReq", "{ amount: 1 }")];
    world.change(|folder| std::fs::write(folder.join("a.yml"), limited(&origin.url, &one)).expect("written"));
    assert_eq!(world.send(&get("sk")).status, 200);
}

#[test]
fn sixty_four_clients_tokens_are_the_server_s_own_count() {
    let told = std::sync::Arc::new(AtomicUsize::new(0));
    let tells = told.clone();
    let origin = Origin::scripted(move |seen: &Seen, stream| {
        let (input, output) = (seen.head.len() % 7 + 1, seen.connection % 5);
        tells.fetch_add(input + output, Ordering::SeqCst);
        let body = format!("{{\"usage\":{{\"prompt_tokens\":{input},\"completion_tokens\":{output}}}}}");
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:";
        write!(stream, "{head} {}\r\n\r\n{body}", body.len()).is_ok()
    });
    const AMOUNT: usize = 1_000_000_000;
    let limit = format!("{{ amount: {AMOUNT}, period: 720h }}");
    let world = World::start(&[("a.yml", &limited(&origin.url, &[("tokenLimit", limit.as_str())]))]);
    let request = post("/v1/chat/completions", "{\"messages\":[]}");
    assert_eq!(load(&world, &request), (REQUESTS, 0));
    let before = told.load(Ordering::SeqCst);
    let answer = world.send(&request);
    let left: usize = answer
        .header("x-ratelimit-remaining-tokens")
        .expect("limited")
        .parse()
        .expect("a number");
    assert_eq!(AMOUNT - left, before);
}

/// What the server does is in the path.
fn server_of_all_ends() -> Origin {
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n";
    Origin::raw(|stream| {
        // A connection that nothing comes over is no fault.
        if !matches!(stream.peek(&mut [0]), Ok(1..)) {
            return;
        }
        let head = read_until(stream, "\r\n\r\n");
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let _ = match path.as_str() {
            "/no-answer" => return,
            "/garbage" => stream.write_all(b"garbage\r\n\r\n"),
            "/cut" => stream.write_all(STREAM),
            "/bad-chunk" => stream.write_all(&[STREAM, b"zz\r\n"].concat()),
            "/silent" => return until_closed(stream),
            "/endless" => {
                let _ = stream.write_all(STREAM);
                return until_closed(stream);
            }
            "/early" => stream.write_all(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
            "/switch" => stream
                .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi"),
            "/until-close" => stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nall of it"),
            _ => {
                let mut rest = [0; 1024];
                if head.contains("ontent-") && !head.contains("ontent-Length: 0") && !head.contains("ontent-length: 0")
                {
                    let _ = stream.read(&mut rest);
                }
                stream.write_all(OK)
            }
        };
        let _ = stream.shutdown(Shutdown::Both);
    })
}

#[test]
fn every_way_an_exchange_can_end_frees_its_slot() {
    let origin = server_of_all_ends();
    let limits = [("inFlightReq", "{ amount: 1 }"), ("tokenLimit", "{ amount: 1000000 }")];
    let terms = Terms {
        bounds: Bounds {
            body_bytes_max: 4096,
            ..Bounds::default()
        },
        timeouts: Timeouts {
            read: Some(Duration::from_millis(300)),
            ..Timeouts::default()
        },
        ..Terms::default()
    };
    let dead = "http://127.0.0.1:1".to_owned();
    let dead = limited(&dead, &limits)
        .replace("alice", "dead")
        .replace("`sk`", "`dead`");
    let world = World::on(terms, &[("a.yml", &limited(&origin.url, &limits)), ("dead.yml", &dead)]);
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\n\r\n");
    let upload = |path: &str, rest: &str| format!("POST {path} HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\n{rest}");
    let long = "x".repeat(5000);
    // What is sent, what is waited for, and whether the client then goes.
    let cases: Vec<(&str, String, &str, bool)> = vec![
        ("it is complete", ask("/ok"), "ok", false),
        ("it has no body", ask("/ok").replace("GET", "HEAD"), "200", false),
        ("it ends with the connection", ask("/until-close"), "all of it", false),
        ("the server gives no answer", ask("/no-answer"), "502", false),
        ("the server talks nonsense", ask("/garbage"), "502", false),
        ("the server cuts its answer", ask("/cut"), "hi", false),
        ("the server breaks its framing", ask("/bad-chunk"), "HTTP/1.1", false),
        ("the server is silent for too long", ask("/silent"), "504", false),
        ("the server is silent in mid-answer", ask("/endless"), "hi", false),
        ("the client goes before the answer", ask("/silent"), "", true),
        ("the client goes in mid-answer", ask("/endless"), "hi", true),
        (
            "the client goes in mid-body",
            upload("/ok", "Content-Length: 100\r\n\r\nabc"),
            "",
            true,
        ),
        (
            "the body is too large",
            upload(
                "/ok",
                &format!("Transfer-Encoding: chunked\r\n\r\n1388\r\n{long}\r\n0\r\n\r\n"),
            ),
            "413",
            false,
        ),
        (
            "the body is malformed",
            upload("/ok", "Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
            "400",
            false,
        ),
        (
            "the server answers early",
            upload("/early", "Content-Length: 4000\r\n\r\nabc"),
            "413",
            true,
        ),
        (
            "a body is read, then refused",
            upload("/v1/chat/completions", "Content-Length: 100\r\n\r\n{"),
            "",
            true,
        ),
    ];
    for (name, request, until, goes) in cases {
        let mut client = world.connect();
        client.write(request.as_bytes());
        if !until.is_empty() {
            client.read_until(until);
        }
        if goes {
            client.close();
        }
        wait_for(name, || world.send(&ask("/ok")).status == 200);
    }
    for _ in 0..3 {
        let answer = world.send(&get("dead"));
        assert_eq!(answer.status, 502, "a server that cannot be reached: {}", answer.text());
    }
    // Of a router without token counts, for those pass no WebSocket.
    let only_slots = limited(&origin.url, &limits[..1]);
    world.change(|folder| std::fs::write(folder.join("a.yml"), only_slots).expect("written"));
    let upgrade = ask("/switch").replace("\r\n\r\n", "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    let mut client = world.connect();
    client.write(upgrade.as_bytes());
    client.read_until("101");
    client.close();
    wait_for("an upgraded connection's end", || world.send(&ask("/ok")).status == 200);
    let metrics = world.admin_get("/metrics").text();
    assert!(metrics.contains("conclave_edge_requests_total"), "{metrics}");
}

/// Two keys to one service that takes one request at once.
fn contended(origin: &Origin) -> [(&'static str, String); 3] {
    let router =
        |name: &str| format!("http:\n  routers:\n    {name}:\n      rule: 'Key(`{name}`)'\n      service: shared\n");
    let service = format!(
        "http:\n  services:\n    shared:\n      loadBalancer:\n        maxInFlight: 1\n        servers:\n          - url: \
         \"{}\"\n",
        origin.url
    );
    [
        ("abuser.yml", router("abuser")),
        ("other.yml", router("other")),
        ("shared.yml", service),
    ]
}

/// What is let through and not over.
fn in_flight(world: &World, router: &str) -> u32 {
    let metrics = world.admin_get("/metrics").text();
    let name = format!("conclave_edge_requests_in_flight{{router=\"{router}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// The server answers when the test lets it, so that what is counted is whose turn it was, and not who was quicker.
#[test]
fn a_key_that_floods_a_service_waits_behind_itself() {
    const FLOOD: usize = 8;
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let (wait, order, at_once) = (Mutex::new(wait), Arc::new(Mutex::new(Vec::new())), AtomicUsize::new(0));
    let arrived = order.clone();
    let origin = Origin::scripted(move |seen, stream| {
        assert_eq!(at_once.fetch_add(1, Ordering::SeqCst), 0, "one at once");
        let is_other = seen.header("x-api-key") == Some("other");
        arrived.lock().expect("no panic").push(is_other);
        // Nobody lets it once the test is over.
        let _ = wait.lock().expect("no panic").recv();
        at_once.fetch_sub(1, Ordering::SeqCst);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .is_ok()
    });
    let files = contended(&origin);
    let world = World::start(&files.each_ref().map(|(name, text)| (*name, text.as_str())));
    let over = AtomicBool::new(false);
    let arrivals = || order.lock().expect("no panic").len();
    std::thread::scope(|scope| {
        // However this ends, the flood ends with it, and whoever waits in the server goes on.
        let go_on = go_on;
        let _end = SetAtEnd(&over);
        let served_next = || {
            let before = arrivals();
            go_on.send(()).expect("the server waits");
            wait_for("the next one's turn", || arrivals() > before);
            order.lock().expect("no panic")[before]
        };
        for _ in 0..FLOOD {
            scope.spawn(|| {
                let mut client = world.connect();
                while !over.load(Ordering::SeqCst) {
                    assert_eq!(client.exchange(get("abuser").as_bytes()).status, 200);
                }
            });
        }
        wait_for("the flood", || in_flight(&world, "abuser") > 5 && arrivals() > 0);
        let mut client = world.connect();
        for _ in 0..5 {
            client.write(get("other").as_bytes());
            wait_for("the other's waiting", || in_flight(&world, "other") == 1);
            let waited = (0..FLOOD).take_while(|_| !served_next()).count();
            assert!(
                waited <= 2,
                "{waited} of the flood's were served before the other's one"
            );
            assert!(!served_next(), "the flood goes on");
            assert_eq!(client.answer(false).status, 200);
        }
    });
}

struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn who_leaves_the_queue_is_forgotten() {
    let origin = Origin::scripted(|seen, stream| {
        if seen.line().contains("/held") {
            until_closed(stream);
            return false;
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .is_ok()
    });
    let files = contended(&origin);
    let world = World::start(&files.each_ref().map(|(name, text)| (*name, text.as_str())));
    let mut holder = world.connect();
    holder.write(get("abuser").replace("/v1/x", "/held").as_bytes());
    origin.wait_for_requests(1);
    for _ in 0..10 {
        let mut leaver = world.connect();
        leaver.write(get("other").as_bytes());
        leaver.close();
    }
    let mut waiter = world.connect();
    waiter.write(get("other").as_bytes());
    holder.close();
    assert_eq!(waiter.answer(false).status, 200);
    wait_for("nothing to be in flight", || {
        let metrics = world.admin_get("/metrics").text();
        let in_flight =
            |name: &str| metrics.contains(&format!("conclave_edge_requests_in_flight{{router=\"{name}\"}} 0"));
        in_flight("other") && in_flight("abuser")
    });
}

/// Holds what asks for `/held` until its client goes; answers all else with its name.
fn holding(name: &'static str) -> Origin {
    Origin::scripted(move |seen, stream| {
        if seen.line().contains("/held") {
            until_closed(stream);
            return false;
        }
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
        stream.write_all(answer.as_bytes()).is_ok()
    })
}

#[test]
fn a_service_below_others_is_waited_for_by_itself() {
    let (bounded, free) = (holding("bounded"), holding("free"));
    let file = format!(
        "http:\n  routers:\n    a: {{rule: Key(`a`), service: both}}\n    b: {{rule: Key(`b`), service: either}}\n  services:\n    \
         both: {{failover: {{service: bounded, fallback: free}}}}\n    \
         either: {{weighted: {{services: [{{name: bounded, weight: 0}}, {{name: free}}]}}}}\n    \
         bounded: {{loadBalancer: {{maxInFlight: 1, servers: [{{url: \"{}\"}}]}}}}\n    \
         free: {{loadBalancer: {{servers: [{{url: \"{}\"}}]}}}}\n",
        bounded.url, free.url
    );
    let world = World::start(&[("a.yml", &file)]);
    let mut holder = world.connect();
    holder.write(get("a").replace("/v1/x", "/held").as_bytes());
    bounded.wait_for_requests(1);
    // The other way to a service that is not bounded is open.
    assert_eq!(world.send(&get("b")).text(), "free");
    let mut waiter = world.connect();
    waiter.write(get("a").as_bytes());
    holder.close();
    assert_eq!(waiter.answer(false).text(), "bounded");
    let metrics = world.admin_get("/metrics").text();
    assert!(
        metrics.contains("conclave_edge_queue_wait_seconds_count{router=\"a\"} 2"),
        "{metrics}"
    );
}

#[test]
fn a_slot_is_free_once_its_service_was_left_for_another() {
    let broken = Origin::scripted(|_, _| false);
    let free = holding("free");
    let file = format!(
        "http:\n  routers:\n    a: {{rule: Key(`a`), service: both}}\n  services:\n    \
         both: {{failover: {{service: bounded, fallback: free}}}}\n    \
         bounded: {{loadBalancer: {{maxInFlight: 1, passiveHealthCheck: {{maxFailedAttempts: 1000}}, servers: [{{url: \"{}\"}}]}}}}\n    \
         free: {{loadBalancer: {{servers: [{{url: \"{}\"}}]}}}}\n",
        broken.url, free.url
    );
    let world = World::start(&[("a.yml", &file)]);
    let mut holders = Vec::new();
    for number in 1..=3 {
        let mut holder = world.connect();
        holder.write(get("a").replace("/v1/x", "/held").as_bytes());
        // Each was tried at the bounded one first, whose slot is free again although the request is not over.
        free.wait_for_requests(number);
        holders.push(holder);
    }
    assert!(broken.seen().len() >= 3);
}
