//! Chunks leave as they come, and a client that goes takes its generation with it.

use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::harness::origin::{Origin, until_closed};
use crate::harness::world::{Terms, World, mapping};

const STREAM: &str = "POST /v1/chat/completions HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\nContent-Length: 2\r\n\r\n{}";
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

fn world_of(origin: &Origin) -> World {
    World::start(&[("a.yml", &mapping("a", "Key(`sk`)", std::slice::from_ref(&origin.url)))])
}

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

#[test]
fn each_chunk_reaches_the_client_before_the_next_is_made() {
    let (go_on, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::scripted(move |_, stream| {
        stream.write_all(HEAD).expect("written");
        for token in ["data: one\n\n", "data: two\n\n", "data: three\n\n"] {
            stream.write_all(&chunk(token)).expect("written");
            // Only once the client has this one does the next follow: a buffering edge would hang here.
            wait.lock().expect("no panic").recv().expect("the client goes on");
        }
        stream.write_all(b"0\r\n\r\n").is_ok()
    });
    let world = world_of(&origin);
    let mut connection = world.connect();
    connection.write(STREAM.as_bytes());
    let first = connection.read_until("one");
    assert!(
        first.contains("text/event-stream") && first.to_lowercase().contains("x-accel-buffering: no"),
        "{first}"
    );
    go_on.send(()).expect("the origin waits");
    connection.read_until("two");
    go_on.send(()).expect("the origin waits");
    connection.read_until("three");
    go_on.send(()).expect("the origin waits");
    connection.read_until("0\r\n\r\n");
}

#[test]
fn a_client_that_goes_closes_the_upstream_connection_in_every_phase() {
    let origin = Origin::scripted(|seen, stream| {
        if seen.header("x-phase") != Some("before-head") {
            stream.write_all(HEAD).expect("written");
        }
        if seen.header("x-phase") == Some("streaming") {
            stream.write_all(&chunk("data: one\n\n")).expect("written");
        }
        until_closed(stream);
        false
    });
    let world = world_of(&origin);
    for (connection_index, phase) in ["before-head", "after-head", "streaming"].into_iter().enumerate() {
        let mut connection = world.connect();
        connection.write(
            STREAM
                .replace("Host:", &format!("X-Phase: {phase}\r\nHost:"))
                .as_bytes(),
        );
        match phase {
            "before-head" => origin.wait_for_requests(connection_index + 1),
            "after-head" => drop(connection.read_until("\r\n\r\n")),
            _ => drop(connection.read_until("one")),
        }
        connection.close();
        origin.wait_for_close(connection_index);
    }
}

fn keyed_with(origin: &Origin, middleware: &str) -> String {
    format!(
        "http:\n  routers:\n    a: {{rule: Key(`sk`), service: a, middlewares: [m]}}\n  middlewares:\n    m: {middleware}\n  \
         services:\n    a: {{loadBalancer: {{servers: [{{url: \"{}\"}}]}}}}\n",
        origin.url
    )
}

/// Where the carrier can, a silent stream gets comments until its first token; nothing else ever does.
#[test]
fn a_silent_stream_is_kept_alive_by_comments() {
    if crate::CARRIER != edge::Carrier::Forwarder {
        return;
    }
    let (go_on, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::scripted(move |seen, stream| {
        let pause = || wait.lock().expect("no panic").recv().expect("the client goes on");
        if seen.line().contains("/v1/json") {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n")
                .expect("written");
            pause();
            return stream.write_all(b"{}").is_ok();
        }
        let length = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
        if seen.line().contains("/v1/length") {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {}\r\n\r\n",
                length.len()
            );
            stream.write_all(head.as_bytes()).expect("written");
            pause();
            return stream.write_all(length.as_bytes()).is_ok();
        }
        stream.write_all(HEAD).expect("written");
        pause();
        // Half an event: nothing may come between its halves.
        stream
            .write_all(&chunk("data: {\"choices\":[{\"delta\":{\"role\":"))
            .expect("written");
        pause();
        stream.write_all(&chunk("\"assistant\"}}]}\n\n")).expect("written");
        pause();
        stream.write_all(&chunk(length)).expect("written");
        pause();
        stream.write_all(b"0\r\n\r\n").is_ok()
    });
    for middleware in ["{fairShare: {weight: 2}}", "{tokenLimit: {amount: 1000000}}"] {
        let terms = Terms {
            answers: edge::Answers {
                keepalive: Some(Duration::from_millis(30)),
                counts_tokens: false,
            },
            ..Terms::default()
        };
        let world = World::on(terms, &[("a.yml", &keyed_with(&origin, middleware))]);
        let mut connection = world.connect();
        // Streamed, so that with a limit on tokens the usage chunk is looked for and the stream framed anew.
        let asked = STREAM.replace("Length: 2\r\n\r\n{}", "Length: 15\r\n\r\n{\"stream\":true}");
        connection.write(asked.as_bytes());
        let begun = connection.read_until(": keep-alive\n\n");
        assert!(!begun.contains("data:"), "{begun}");
        go_on.send(()).expect("the origin waits");
        if middleware.contains("fairShare") {
            connection.read_until("\"role\":");
        }
        std::thread::sleep(Duration::from_millis(150));
        go_on.send(()).expect("the origin waits");
        let event = connection.read_until("\"assistant\"}}]}\n\n");
        let half = event.rsplit("\"role\":").next().unwrap_or_default();
        let half = half.split("\"assistant\"").next().unwrap_or_default();
        assert!(!half.contains("keep-alive"), "{event}");
        connection.read_until(": keep-alive\n\n");
        go_on.send(()).expect("the origin waits");
        connection.read_until("hi");
        std::thread::sleep(Duration::from_millis(150));
        go_on.send(()).expect("the origin waits");
        let rest = connection.read_until("0\r\n\r\n");
        assert!(!rest.contains("keep-alive"), "after the first token: {rest}");
        for path in ["/v1/json", "/v1/length"] {
            let mut connection = world.connect();
            connection.write(STREAM.replace("/v1/chat/completions", path).as_bytes());
            std::thread::sleep(Duration::from_millis(150));
            go_on.send(()).expect("the origin waits");
            let answer = connection.answer(false);
            assert!(
                !answer.text().contains("keep-alive") && !answer.cut,
                "{path}: {}",
                answer.text()
            );
        }
    }
}

#[test]
fn a_stream_whose_tokens_are_counted_breaks_off_with_its_error_event_too() {
    let origin = Origin::scripted(|_, stream| {
        stream.write_all(HEAD).expect("written");
        stream.write_all(&chunk("data: {\"choices\":[]}\n\n")).expect("written");
        false
    });
    let world = World::start(&[("a.yml", &keyed_with(&origin, "{tokenLimit: {amount: 1000000}}"))]);
    let body = r#"{"stream":true}"#;
    let answer = world.send(&format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert!(
        answer.cut && answer.text().contains("upstream_failed"),
        "{}",
        answer.text()
    );
}
