//! What our own carrier refuses before there is a request, and what it keeps apart that pingora-proxy does not.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use edge::{Bounds, CrowdBounds, Timeouts};

use crate::harness::http::Answer;
use crate::harness::origin::{Origin, pause, read_until};
use crate::harness::world::{PATIENCE, Terms, World, mapping, wait_for};

fn world(timeouts: Timeouts) -> (World, Origin) {
    let origin = Origin::answering("ok");
    let terms = Terms {
        timeouts,
        ..Terms::default()
    };
    let files = mapping("a", "Key(`sk`)", std::slice::from_ref(&origin.url));
    (World::on(terms, &[("a.yml", &files)]), origin)
}

fn shown(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

#[test]
fn what_is_no_request_is_told_so_counted_and_let_go() {
    let (world, origin) = world(Timeouts::default());
    let many = "X: y\r\n".repeat(101);
    let (long, line) = ("x".repeat(70_000), "x".repeat(8 << 10));
    let with = |lines: &str| format!("GET / HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\n{lines}\r\n");
    for (request, status, code) in [
        ("\u{16}\u{3}\u{1}\u{2}".to_owned(), 400, "bad_request"),
        (with("Content-Length: 3, 3\r\n"), 400, "bad_request"),
        (
            with("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
            400,
            "bad_request",
        ),
        (with("Transfer-Encoding: gzip, chunked\r\n"), 400, "bad_request"),
        (with("Host: other\r\n"), 400, "bad_request"),
        (with("X: a\nY: b\r\n"), 400, "bad_request"),
        ("GET / HTTP/1.1\r\nx-api-key: sk\r\n\r\n".to_owned(), 400, "bad_request"),
        (
            "CONNECT gpu:80 HTTP/1.1\r\nHost: gpu\r\n\r\n".to_owned(),
            405,
            "method_not_allowed",
        ),
        (with(&many), 431, "headers_too_large"),
        (with(&format!("X: {long}\r\n")), 431, "headers_too_large"),
        (with(&format!("X: {line}\r\n")), 431, "headers_too_large"),
    ] {
        let mut client = world.connect();
        client.write(request.as_bytes());
        let answer = client.answer(false);
        let head = &request[..request.len().min(90)];
        assert_eq!(shown(&answer), (status, code.to_owned()), "{head:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{head:?}");
        client.shut_down(std::net::Shutdown::Write);
        assert!(client.is_closed(), "{head:?}");
    }
    assert!(origin.seen().is_empty(), "no server was asked");
    let metrics = world.admin_get("/metrics").text();
    for counted in [
        "conclave_edge_refusals_total{reason=\"bad_request\"} 7",
        "conclave_edge_refusals_total{reason=\"headers_too_large\"} 3",
        "conclave_edge_requests_total{code=\"405\"} 1",
    ] {
        assert!(metrics.contains(counted), "{counted} in\n{metrics}");
    }
}

#[test]
fn a_head_has_one_deadline_however_busily_it_trickles() {
    let head = Duration::from_millis(400);
    let (world, origin) = world(Timeouts {
        head,
        ..Timeouts::default()
    });
    let mut client = world.connect();
    let begun = Instant::now();
    client.write(b"GET / HTTP/1.1\r\nHost: edge\r\n");
    while begun.elapsed() < head + Duration::from_millis(200) && !has_answer(&client.stream) {
        client.write(b"X: y\r\n");
        pause();
    }
    assert_eq!(shown(&client.answer(false)), (408, "request_timeout".to_owned()));
    assert!(begun.elapsed() >= head && begun.elapsed() < PATIENCE);
    assert!(origin.seen().is_empty());
}

#[test]
fn a_body_that_trickles_is_let_go_and_one_that_our_server_holds_up_is_not() {
    let (world, origin) = world(Timeouts {
        client: Duration::from_millis(400),
        ..Timeouts::default()
    });
    let mut client = world.connect();
    let begun = Instant::now();
    client.write(b"POST / HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\nContent-Length: 100000\r\n\r\n");
    while begun.elapsed() < PATIENCE && !has_answer(&client.stream) {
        client.write(b"x");
        pause();
    }
    assert_eq!(shown(&client.answer(false)), (408, "body_timeout".to_owned()));
    assert!(begun.elapsed() >= Duration::from_millis(400) && begun.elapsed() < PATIENCE);
    assert!(origin.seen().is_empty());
}

#[test]
fn a_client_that_takes_nothing_of_its_answer_is_let_go_with_its_generation() {
    let (gone, wait) = channel::<()>();
    let gone = Mutex::new(gone);
    let origin = Origin::raw(move |stream| {
        read_until(stream, "\r\n\r\n");
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        // It ends where the edge closes: without that this would wait for a client that takes nothing.
        while stream.write_all(&[b'x'; 65_536]).is_ok() {}
        let _ = gone.lock().expect("no panic").send(());
    });
    let terms = Terms {
        timeouts: Timeouts {
            client: Duration::from_millis(300),
            ..Timeouts::default()
        },
        ..Terms::default()
    };
    let files = mapping("a", "Key(`sk`)", std::slice::from_ref(&origin.url));
    let world = World::on(terms, &[("a.yml", &files)]);
    let mut client = world.connect();
    client.write(b"GET / HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\n\r\n");
    wait.recv_timeout(PATIENCE).expect("the server's connection was closed");
}

#[test]
fn beyond_the_bound_on_connections_the_door_says_so_and_opens_again() {
    let origin = Origin::answering("ok");
    let terms = Terms {
        bounds: Bounds {
            crowd: CrowdBounds {
                connections_max: 2,
                ..CrowdBounds::default()
            },
            ..Bounds::default()
        },
        ..Terms::default()
    };
    let files = mapping("a", "Key(`sk`)", std::slice::from_ref(&origin.url));
    let world = World::on(terms, &[("a.yml", &files)]);
    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\n\r\n";
    let mut first = world.connect();
    assert_eq!(first.exchange(GET).status, 200);
    let mut second = world.connect();
    assert_eq!(second.exchange(GET).status, 200);
    let turned_away = world.connect().answer(false);
    assert_eq!(shown(&turned_away), (503, "too_many_connections".to_owned()));
    assert_eq!(turned_away.header("retry-after"), Some("1"));
    // Who is in goes on, and a place given back is a place.
    assert_eq!(first.exchange(GET).status, 200);
    first.close();
    wait_for("a place", || {
        world.send(std::str::from_utf8(GET).expect("text")).status == 200
    });
}

#[test]
fn at_the_bound_of_memory_new_requests_are_refused() {
    let origin = Origin::answering("ok");
    let terms = Terms {
        bounds: Bounds {
            memory_bytes_max: Some(1),
            ..Bounds::default()
        },
        ..Terms::default()
    };
    let files = mapping("a", "Key(`sk`)", std::slice::from_ref(&origin.url));
    let world = World::on(terms, &[("a.yml", &files)]);
    let get = "GET / HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\n\r\n";
    wait_for("the first look at the memory", || world.send(get).status == 503);
    assert_eq!(shown(&world.send(get)), (503, "at_memory_bound".to_owned()));
}

fn has_answer(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("set");
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).expect("set");
    peeked.is_ok()
}

#[test]
fn a_head_may_come_byte_by_byte_and_the_wait_before_it_does_not_count() {
    let (world, _origin) = world(Timeouts {
        head: Duration::from_secs(5),
        ..Timeouts::default()
    });
    let mut client = world.connect();
    for _ in 0..2 {
        for byte in b"GET / HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\n\r\n" {
            client.write(&[*byte]);
        }
        assert_eq!(client.answer(false).text(), "ok");
    }
}

#[test]
fn a_server_that_answers_without_reading_on_is_heard() {
    const UPLOAD_BYTES: usize = 32 << 20;
    let (heard, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::raw(move |stream| {
        read_until(stream, "\r\n\r\n");
        stream
            .write_all(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nbusy")
            .expect("written");
        // It neither reads nor closes until it was heard: who would send everything first would wait for ever.
        let _ = wait.lock().expect("no panic").recv_timeout(PATIENCE);
    });
    let world = World::start(&[("a.yml", &mapping("a", "Key(`sk`)", std::slice::from_ref(&origin.url)))]);
    let mut client = world.connect();
    let head = format!("POST / HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\nContent-Length: {UPLOAD_BYTES}\r\n\r\n");
    client.write(head.as_bytes());
    let mut sender = client.stream.try_clone().expect("a second handle");
    let upload = std::thread::spawn(move || {
        // It ends when everything was taken, or when the edge has let go.
        let _ = sender.write_all(&vec![b'x'; UPLOAD_BYTES]);
    });
    let answer = client.answer(false);
    assert_eq!((answer.status, answer.text().as_str()), (429, "busy"));
    heard.send(()).expect("the server waits");
    client.close();
    upload.join().expect("no panic");
}

#[test]
fn one_key_has_so_many_requests_in_flight_and_others_do_not_feel_it() {
    let (go_on, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::scripted(move |seen, stream| {
        if seen.line().contains("/wait") {
            let _ = wait.lock().expect("no panic").recv_timeout(PATIENCE);
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .is_ok()
    });
    let terms = Terms {
        bounds: Bounds {
            streams_per_key_max: Some(2),
            ..Bounds::default()
        },
        ..Terms::default()
    };
    // Two routers of one key count together, however the key is brought.
    let urls = std::slice::from_ref(&origin.url);
    let world = World::on(
        terms,
        &[
            ("a.yml", &mapping("a", "Key(`sk`) && PathPrefix(`/wait`)", urls)),
            ("b.yml", &mapping("b", "Key(`sk`) && PathPrefix(`/quick`)", urls)),
            ("c.yml", &mapping("c", "Key(`sk-other`)", urls)),
        ],
    );
    let get = |path: &str, header: &str| format!("GET {path} HTTP/1.1\r\nHost: edge\r\n{header}\r\n\r\n");
    let mut held = [world.connect(), world.connect()];
    held[0].write(get("/wait", "x-api-key: sk").as_bytes());
    held[1].write(get("/wait", "Authorization: Bearer sk").as_bytes());
    origin.wait_for_requests(2);
    let refused = world.send(&get("/quick", "api-key: sk"));
    assert_eq!(shown(&refused), (429, "rate_limit_exceeded".to_owned()));
    assert_eq!(world.send(&get("/quick", "x-api-key: sk-other")).status, 200);
    for client in &mut held {
        go_on.send(()).expect("the server waits");
        assert_eq!(client.answer(false).status, 200);
    }
    assert_eq!(world.send(&get("/quick", "x-api-key: sk")).status, 200, "given back");
}
