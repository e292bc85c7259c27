//! Where messages begin and end: uploads that trickle, answers that come early, and servers with manners of their own.

use std::io::Write;
use std::net::Shutdown;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use crate::harness::http::Answer;
use crate::harness::origin::{Origin, pause, read_until, until_closed};
use crate::harness::world::{World, mapping};

const KEY: &str = "Host: edge\r\nx-api-key: sk\r\n";

fn world_of(origin: &Origin) -> World {
    World::start(&[("a.yml", &mapping("a", "Key(`sk`)", std::slice::from_ref(&origin.url)))])
}

/// What the client gets of a server that answers just these bytes, then closes.
fn answer_of(bytes: &'static [u8]) -> Answer {
    let origin = Origin::scripted(move |_, stream| {
        let _ = stream.write_all(bytes);
        false
    });
    world_of(&origin).send(&format!("GET / HTTP/1.1\r\n{KEY}\r\n"))
}

#[test]
fn a_trickling_upload_is_passed_on_as_it_comes() {
    for framing in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let (seen, piece) = channel::<String>();
        let seen = Mutex::new(seen);
        let origin = Origin::raw(move |stream| {
            let seen = seen.lock().expect("no panic");
            seen.send(read_until(stream, "first")).expect("the test waits");
            seen.send(read_until(stream, "secnd")).expect("the test waits");
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .expect("written");
            until_closed(stream);
        });
        let world = world_of(&origin);
        let mut client = world.connect();
        let (first, second) = match framing {
            "Content-Length: 10" => ("first", "secnd"),
            _ => ("5\r\nfirst\r\n", "5\r\nsecnd\r\n0\r\n\r\n"),
        };
        client.write(format!("POST / HTTP/1.1\r\n{KEY}{framing}\r\n\r\n").as_bytes());
        pause();
        client.write(first.as_bytes());
        piece
            .recv_timeout(crate::harness::world::PATIENCE)
            .expect("the first piece before the second was sent");
        client.write(second.as_bytes());
        piece
            .recv_timeout(crate::harness::world::PATIENCE)
            .expect("the second piece");
        assert_eq!(client.answer(false).text(), "ok", "{framing}");
    }
}

#[test]
fn an_answer_that_comes_before_the_upload_is_whole_is_passed_on() {
    let origin = Origin::raw(|stream| {
        read_until(stream, "begun");
        let answer = "HTTP/1.1 413 Content Too Large\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n8\r\ntoo long\r\n0\r\n\r\n";
        stream.write_all(answer.as_bytes()).expect("written");
        until_closed(stream);
    });
    let world = world_of(&origin);
    let mut client = world.connect();
    client.write(format!("POST / HTTP/1.1\r\n{KEY}Content-Length: 5000000\r\n\r\nbegun").as_bytes());
    let answer = client.answer(false);
    assert_eq!(
        (answer.status, answer.text().as_str(), answer.cut),
        (413, "too long", false)
    );
}

#[test]
fn upload_and_answer_may_run_at_once() {
    let origin = Origin::raw(|stream| {
        read_until(stream, "one");
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nONE\r\n")
            .expect("written");
        read_until(stream, "two");
        stream.write_all(b"3\r\nTWO\r\n0\r\n\r\n").expect("written");
        until_closed(stream);
    });
    let world = world_of(&origin);
    let mut client = world.connect();
    client.write(format!("POST / HTTP/1.1\r\n{KEY}Content-Length: 6\r\n\r\none").as_bytes());
    client.read_until("ONE");
    client.write(b"two");
    client.read_until("TWO\r\n0\r\n\r\n");
}

#[test]
fn a_body_that_ends_with_the_connection_is_put_into_chunks() {
    let answer = answer_of(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end");
    assert_eq!(
        (answer.status, answer.text().as_str(), answer.cut),
        (200, "until the end", false)
    );
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
}

#[test]
fn interim_answers_come_before_the_final_one() {
    let origin = Origin::scripted(|_, stream| {
        stream
            .write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .is_ok()
    });
    let world = world_of(&origin);
    let mut client = world.connect();
    client.write(format!("GET / HTTP/1.1\r\n{KEY}\r\n").as_bytes());
    let seen = client.read_until("\r\n\r\nok");
    assert!(
        seen.starts_with("HTTP/1.1 103") && seen.contains("HTTP/1.1 200"),
        "{seen}"
    );
}

#[test]
fn a_server_that_breaks_the_rules_before_its_body_is_502() {
    for broken in [
        &b"NOT HTTP AT ALL\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        b"HTTP/1.1 200 O",
    ] {
        let answer = answer_of(broken);
        let shown = String::from_utf8_lossy(broken);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (502, "upstream_failed"),
            "{shown}"
        );
    }
}

#[test]
fn a_server_that_breaks_off_in_its_body_leaves_a_cut() {
    for broken in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nZZ\r\n",
    ] {
        let answer = answer_of(broken);
        // A carrier that has sent nothing yet may still say what happened.
        let told = answer.status == 502;
        assert!(
            told || (answer.status == 200 && answer.cut),
            "{:?}",
            String::from_utf8_lossy(broken)
        );
    }
}

#[test]
fn an_http_10_client_is_served_and_its_connection_ends() {
    let origin = Origin::scripted(|_, stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
            .is_ok()
    });
    let world = world_of(&origin);
    let mut client = world.connect();
    client.write(format!("GET / HTTP/1.0\r\n{KEY}\r\n").as_bytes());
    let answer = client.answer(false);
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    assert!(client.is_closed());
}

#[test]
fn a_client_that_only_shuts_its_sending_side_is_gone() {
    let origin = Origin::scripted(|_, stream| {
        until_closed(stream);
        false
    });
    let world = world_of(&origin);
    let mut client = world.connect();
    client.write(format!("GET / HTTP/1.1\r\n{KEY}\r\n").as_bytes());
    origin.wait_for_requests(1);
    client.shut_down(Shutdown::Write);
    origin.wait_for_close(0);
}

#[test]
fn connection_named_headers_go_no_further_but_never_the_key() {
    let origin = Origin::answering("ok");
    let world = world_of(&origin);
    let request = "GET / HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\nX-Hop: 1\r\nX-Kept: 1\r\nTE: trailers\r\nConnection: X-Hop\r\n\r\n";
    assert_eq!(world.send(request).status, 200);
    let seen = origin.only();
    assert_eq!(
        (seen.header("x-hop"), seen.header("te"), seen.header("x-kept")),
        (None, None, Some("1"))
    );
    assert_eq!(seen.header("x-api-key"), Some("sk"));
}

#[test]
fn a_client_that_says_close_gets_its_answer_and_the_end() {
    let origin = Origin::answering("ok");
    let world = world_of(&origin);
    for (version, header) in [
        ("1.1", "Connection: close\r\n"),
        ("1.0", ""),
        ("1.0", "Connection: close\r\n"),
    ] {
        let mut client = world.connect();
        client.write(format!("POST / HTTP/{version}\r\n{KEY}{header}Content-Length: 2\r\n\r\n{{}}").as_bytes());
        let answer = client.answer(false);
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "ok"),
            "{version} {header}"
        );
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(client.is_closed());
    }
    let mut client = world.connect();
    for _ in 0..2 {
        client.write(format!("GET / HTTP/1.0\r\n{KEY}Connection: keep-alive\r\n\r\n").as_bytes());
        assert_eq!(
            client.answer(false).text(),
            "ok",
            "an HTTP/1.0 client may keep its connection"
        );
    }
}
