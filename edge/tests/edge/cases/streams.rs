//! Chunks leave as they come, and a client that goes takes its generation with it.

use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use crate::harness::origin::{Origin, until_closed};
use crate::harness::world::{World, mapping};

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
