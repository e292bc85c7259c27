//! Tokens under TLS.

use std::io::{Read as _, Write as _};
use std::sync::Mutex;
use std::sync::mpsc::channel;

use crate::pki::Authority;
use crate::world::{Client, Origin, PATIENCE, World, client_config, mapping, settings};
use crate::{HTTP_11, KEY};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/// An edge before this server, and a client of it.
fn stage(origin: &Origin) -> (World, Client, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(folder.path(), "ca");
    let files = authority.issue(folder.path(), "a", &["a.example"]);
    let world = World::start(settings(&[files]), &mapping(&origin.url, "", ""));
    let config = client_config(&authority.file, None, HTTP_11);
    let client = Client::connect(world.tls, "a.example", &config).expect("let in");
    (world, client, folder)
}

fn ask(client: &mut Client) {
    write!(client.stream, "GET /v1/x HTTP/1.1\r\nHost: edge\r\n{KEY}\r\n").expect("sent");
}

#[test]
fn each_token_is_there_before_the_next_is_made_and_a_stop_waits_for_the_last() {
    let (go_on, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::plain(move |_, stream| {
        stream.write_all(HEAD).expect("written");
        for token in ["one", "two", "six"] {
            write!(stream, "3\r\n{token}\r\n").expect("written");
            wait.lock().expect("no panic").recv().expect("the client goes on");
        }
        stream.write_all(b"0\r\n\r\n").is_ok()
    });
    let (mut world, mut client, _folder) = stage(&origin);
    ask(&mut client);
    client.read_past("one").expect("at once");
    let edge = world.edge.take().expect("running");
    let stopped = std::thread::spawn(move || edge.stop());
    for token in ["two", "six", "0\r\n\r\n"] {
        go_on.send(()).expect("the origin waits");
        client.read_past(token).expect("at once");
    }
    let mut rest = Vec::new();
    client.stream.read_to_end(&mut rest).expect("a clean end");
    assert_eq!(stopped.join().expect("no panic"), 0, "nothing was cut");
}

#[test]
fn large_bodies_pass_whole_in_both_directions() {
    const BYTES: usize = 3 << 20;
    let origin = Origin::plain(|_, stream| {
        let mut body = vec![0; BYTES];
        stream.read_exact(&mut body).expect("all of it");
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n").expect("written");
        stream.write_all(&body).is_ok()
    });
    let (_world, mut client, _folder) = stage(&origin);
    let body: Vec<u8> = (0..BYTES).map(|at| b'a' + (at * 7 % 23) as u8).collect();
    let head = format!("POST /v1/x HTTP/1.1\r\nHost: edge\r\n{KEY}Content-Length: {BYTES}\r\n\r\n");
    client.stream.write_all(head.as_bytes()).expect("sent");
    client.stream.write_all(&body).expect("sent");
    let answer = client.answer().expect("an answer");
    assert!(
        answer.ends_with(std::str::from_utf8(&body).expect("letters")),
        "the same bytes"
    );
}

#[test]
fn a_client_that_goes_takes_its_generation_with_it_however_it_goes() {
    let origin = Origin::plain(|_, stream| {
        stream.write_all(HEAD).expect("written");
        stream.write_all(b"3\r\none\r\n").expect("written");
        let mut rest = [0; 64];
        while matches!(stream.read(&mut rest), Ok(read) if read > 0) {}
        false
    });
    for says_goodbye in [true, false] {
        let (_world, mut client, _folder) = stage(&origin);
        ask(&mut client);
        client.read_past("one").expect("at once");
        if says_goodbye {
            client.stream.conn.send_close_notify();
            client.stream.flush().expect("sent");
        } else {
            client.stream.sock.shutdown(std::net::Shutdown::Both).expect("open");
        }
        origin.ends.recv_timeout(PATIENCE).expect("the generation ends");
    }
}

#[test]
fn what_broke_off_does_not_look_complete() {
    // Without a length or chunks, an HTTP/1.0 client knows the end by the connection's alone.
    let origin = Origin::plain(|head, stream| {
        let (head, body): (&[u8], &[u8]) = match head.contains("/whole") {
            true => (b"HTTP/1.1 200 OK\r\n\r\n", b"one"),
            false => (HEAD, b"3\r\none\r\n"),
        };
        stream
            .write_all(head)
            .and_then(|()| stream.write_all(body))
            .expect("written");
        false
    });
    for (path, is_whole) in [("/whole", true), ("/cut", false)] {
        let (_world, mut client, _folder) = stage(&origin);
        write!(client.stream, "GET {path} HTTP/1.0\r\nHost: edge\r\n{KEY}\r\n").expect("sent");
        client.read_past("one").expect("what came");
        let mut rest = Vec::new();
        // rustls tells an end without close_notify by an error.
        assert_eq!(client.stream.read_to_end(&mut rest).is_ok(), is_whole, "{path}");
    }
}
