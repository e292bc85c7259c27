//! Starting on a taken port, entry points, draining.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use edge::{BoundEdge, EdgeConfig, StartError, Timeouts};
use keymap::{Watch, WatchOptions};

use crate::harness::origin::Origin;
use crate::harness::world::{Terms, World, mapping};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\n\r\n";

#[test]
fn a_taken_port_is_a_plain_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listen: SocketAddr = taken.local_addr().expect("an address");
    let folder = tempfile::tempdir().expect("a folder");
    let options = WatchOptions {
        poll_interval: Duration::from_secs(1),
        entry_points: None,
    };
    let watch = Watch::start(folder.path(), options).expect("a watch");
    let config = EdgeConfig {
        carrier: crate::CARRIER,
        ..EdgeConfig::at(listen)
    };
    match BoundEdge::bind(config, watch.snapshot()) {
        Err(error @ StartError::Bind { .. }) => assert!(error.to_string().contains(&listen.to_string()), "{error}"),
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("the port was taken"),
    }
}

#[test]
fn a_router_of_another_entry_point_does_not_serve_here() {
    let origin = Origin::answering("ok");
    let here = mapping("here", "Key(`sk`)", std::slice::from_ref(&origin.url))
        .replace("service: here", "service: here\n      entryPoints: [llama-servers]");
    let elsewhere = mapping("gone", "Key(`sk-gone`)", std::slice::from_ref(&origin.url))
        .replace("service: gone", "service: gone\n      entryPoints: [metrics]");
    let terms = Terms {
        entry_point: Some("llama-servers"),
        ..Terms::default()
    };
    let world = World::on(terms, &[("a.yml", &here), ("b.yml", &elsewhere)]);
    assert_eq!(world.send(GET).status, 200);
    assert_eq!(
        world.send(&GET.replace("sk\r", "sk-gone\r")).status,
        503,
        "its entry point does not exist"
    );
}

#[test]
fn stopping_finishes_the_stream_that_runs_and_accepts_no_more() {
    let (go_on, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::scripted(move |_, stream| {
        stream
            .write_all(HEAD)
            .and_then(|()| stream.write_all(b"3\r\none\r\n"))
            .expect("written");
        wait.lock().expect("no panic").recv().expect("the test goes on");
        stream.write_all(b"3\r\ntwo\r\n0\r\n\r\n").is_ok()
    });
    let mut world = World::start(&[("a.yml", &mapping("a", "Key(`sk`)", std::slice::from_ref(&origin.url)))]);
    let address = world.address;
    let mut idle = world.connect();
    let mut streaming = world.connect();
    streaming.write(GET.as_bytes());
    streaming.read_until("one");
    let stopped = std::thread::spawn(move || world.stop());
    assert!(idle.is_closed(), "a connection without a request is let go at once");
    crate::harness::world::wait_for("new connections to be refused", || {
        std::net::TcpStream::connect(address).is_err()
    });
    go_on.send(()).expect("the origin waits");
    streaming.read_until("two\r\n0\r\n\r\n");
    assert_eq!(stopped.join().expect("no panic"), 0, "nothing was cut");
}

#[test]
fn a_drain_time_out_cuts_what_is_left() {
    let origin = Origin::scripted(|_, stream| {
        stream
            .write_all(HEAD)
            .and_then(|()| stream.write_all(b"3\r\none\r\n"))
            .expect("written");
        crate::harness::origin::until_closed(stream);
        false
    });
    let timeouts = Timeouts {
        drain: Some(Duration::from_millis(100)),
        ..Timeouts::default()
    };
    let terms = Terms {
        timeouts,
        ..Terms::default()
    };
    let mut world = World::on(
        terms,
        &[("a.yml", &mapping("a", "Key(`sk`)", std::slice::from_ref(&origin.url)))],
    );
    let mut streaming = world.connect();
    streaming.write(GET.as_bytes());
    streaming.read_until("one");
    assert_eq!(world.stop(), 1);
    origin.wait_for_close(0);
}
