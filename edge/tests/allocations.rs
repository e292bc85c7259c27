//! What an exchange costs the heap, counted on the edge's own thread while a client and a server talk through it.
//!
//! The bounds are what was measured, with little to spare: who takes an allocation out lowers them, who needs one more
//! says why. `EDGE_ALLOCATIONS_PROFILE=1 cargo test -p edge --test allocations -- --nocapture` shows who allocates.

#[path = "allocations/counting.rs"]
mod counting;
#[path = "allocations/world.rs"]
mod world;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};

use counting::{Counting, Heap};
use edge::Carrier::{self, Forwarder, PingoraProxy};
use world::{Client, World, read_past, server};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A small request as the SDKs send one.
const REQUEST: &[u8] =
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: edge.example\r\nAccept-Encoding: gzip, deflate\r\n\
    Connection: keep-alive\r\nAccept: application/json\r\nContent-Type: application/json\r\nUser-Agent: OpenAI/Python \
    1.99.9\r\nX-Stainless-Lang: python\r\nX-Stainless-Runtime: CPython\r\nAuthorization: Bearer sk\r\n\
    Content-Length: 36\r\n\r\n{\"model\":\"m\",\"messages\":[],\"n\":1   }";

/// The least a client can say.
const BARE_REQUEST: &[u8] = b"GET /v1/models HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\n\r\n";

const STREAM_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const END_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
const TOKEN: &[u8] = b"19\r\ndata: {\"token\":\"hello\"}\n\n\r\n";
const BARE_TOKEN: &[u8] = b"data: {\"token\":\"hello\"}\n\n";
/// What ends each of them, for the client to wait for.
const TOKEN_END: &[u8] = b"\"hello\"}\n\n";

/// Counts are kept by thread name, so one edge runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn profiles() -> bool {
    std::env::var_os("EDGE_ALLOCATIONS_PROFILE").is_some()
}

/// Answers every request with a small body.
fn small_server() -> SocketAddr {
    server(|stream| {
        let body = "x".repeat(600);
        let answer = format!(
            "HTTP/1.1 200 OK\r\nServer: llama.cpp\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: \
             {}\r\nKeep-Alive: timeout=5, max=100\r\nAccess-Control-Allow-Origin: \r\n\r\n{body}END!",
            body.len() + 4
        );
        let mut seen = Vec::new();
        while read_past(stream, &mut seen, b"\r\n\r\n").is_some() {
            stream.write_all(answer.as_bytes()).expect("the edge reads");
        }
    })
}

fn small_exchanges(client: &mut Client, request: &[u8], count: u32) {
    for _ in 0..count {
        client.write(request);
        client.read_past(b"END!");
    }
}

#[test]
fn a_small_request_costs_a_stated_number_of_allocations() {
    const WARM: u32 = 200;
    const MEASURED: u32 = 1000;
    let _alone = alone();
    for (carrier, name, request, with_log, count_max) in [
        // Measured: 11.0, 12.0, 20.0 (a log line is eight), and 116.1 beside it.
        (Forwarder, "bare", BARE_REQUEST, false, 11.5),
        (Forwarder, "as the SDKs send it", REQUEST, false, 12.5),
        (Forwarder, "with an access log", REQUEST, true, 20.5),
        (PingoraProxy, "as the SDKs send it", REQUEST, false, 120.0),
    ] {
        let world = World::start(carrier, with_log, small_server());
        let mut client = world.connect();
        small_exchanges(&mut client, request, WARM);
        let before = Heap::now();
        small_exchanges(&mut client, request, MEASURED);
        let used = Heap::now().since(before);
        let count = used.count as f64 / f64::from(MEASURED);
        let bytes = used.bytes as f64 / f64::from(MEASURED);
        println!("{carrier:?}, {name}: {count:.2} allocations, {bytes:.0} bytes a request");
        if profiles() {
            println!(
                "{}",
                counting::profile(20.0, false, || small_exchanges(&mut client, request, 20))
            );
        }
        assert!(count <= count_max, "{carrier:?}, {name}: {count} allocations a request");
        assert_eq!(with_log, world.log().contains("\"status\":200"));
    }
}

/// Sends a token whenever it gets one byte, and ends with the connection.
fn token_server(head: &'static [u8], token: &'static [u8]) -> (SocketAddr, std::sync::mpsc::Sender<u32>) {
    let (go_on, wait) = std::sync::mpsc::channel::<u32>();
    let wait = std::sync::Arc::new(Mutex::new(wait));
    let address = server(move |stream| {
        let mut seen = Vec::new();
        while read_past(stream, &mut seen, b"\r\n\r\n").is_some() {
            stream.write_all(head).expect("the edge reads");
            while wait.lock().expect("no panic").recv().is_ok_and(|more| more > 0) {
                stream.write_all(token).expect("the edge reads");
            }
            if head != STREAM_HEAD {
                return;
            }
            let _ = stream.write_all(b"0\r\n\r\n");
        }
    });
    (address, go_on)
}

/// A stream of so many tokens, each sent once the one before has come.
fn stream(world: &World, request: &[u8], go_on: &std::sync::mpsc::Sender<u32>, tokens: u32) -> u64 {
    let mut client = world.connect();
    let before = Heap::now();
    client.write(request);
    for _ in 0..tokens {
        go_on.send(1).expect("the server waits");
        client.read_past(TOKEN_END);
    }
    let used = Heap::now().since(before);
    go_on.send(0).expect("the server waits");
    used.count
}

#[test]
fn a_token_costs_no_allocation() {
    const BARE_10: &[u8] = b"GET /v1/models HTTP/1.0\r\nHost: edge\r\nx-api-key: sk\r\n\r\n";
    let _alone = alone();
    for (carrier, name, request, head, token, per_token_max) in [
        (Forwarder, "chunks, as they came", REQUEST, STREAM_HEAD, TOKEN, 0.02),
        // The token in the form that the client needs is made once.
        (
            Forwarder,
            "ended by closing, put into chunks",
            REQUEST,
            END_HEAD,
            BARE_TOKEN,
            1.02,
        ),
        (
            Forwarder,
            "chunks, for an HTTP/1.0 client",
            BARE_10,
            STREAM_HEAD,
            TOKEN,
            1.02,
        ),
        (PingoraProxy, "chunks", REQUEST, STREAM_HEAD, TOKEN, 5.1),
    ] {
        let (address, go_on) = token_server(head, token);
        let world = World::start(carrier, false, address);
        stream(&world, request, &go_on, 100);
        let (short, long) = (
            stream(&world, request, &go_on, 1000),
            stream(&world, request, &go_on, 2000),
        );
        let per_token = long.saturating_sub(short) as f64 / 1000.0;
        println!("{carrier:?}, {name}: {per_token:.3} allocations a token ({short} for 1,000, {long} for 2,000)");
        if profiles() && per_token > 0.5 {
            println!(
                "{}",
                counting::profile(200.0, false, || {
                    stream(&world, request, &go_on, 200);
                })
            );
        }
        assert!(
            per_token <= per_token_max,
            "{carrier:?}, {name}: {per_token} allocations a token"
        );
    }
}

/// Answers with a head and a token, then says nothing until the edge closes.
fn silent_server() -> SocketAddr {
    server(|stream: &mut TcpStream| {
        let mut seen = Vec::new();
        read_past(stream, &mut seen, b"\r\n\r\n");
        let _ = stream.write_all(&[STREAM_HEAD, TOKEN].concat());
        read_past(stream, &mut seen, b"never");
    })
}

/// Live bytes for each of so many clients that `open` leaves waiting.
fn held_by_each(name: &str, carrier: Carrier, address: SocketAddr, open: impl Fn(&mut Client)) -> i64 {
    const CLIENTS: i64 = 500;
    let world = World::start(carrier, false, address);
    let one = || {
        let mut client = world.connect();
        open(&mut client);
        client
    };
    // What the edge makes once, and tables that grow: they are not a client's.
    let mut clients: Vec<Client> = (0..20).map(|_| one()).collect();
    let before = Heap::now();
    clients.extend((0..CLIENTS).map(|_| one()));
    // One that came later was served, so the edge has done with those before it.
    clients.push(one());
    let used = Heap::now().since(before);
    let each = used.live_bytes / (CLIENTS + 1);
    println!("{carrier:?}, {name}: {each} bytes live");
    if profiles() {
        let mut more = Vec::new();
        println!(
            "{}",
            counting::profile(20.0, true, || more.extend((0..20).map(|_| one())))
        );
    }
    each
}

#[test]
fn a_client_that_waits_holds_little() {
    let _alone = alone();
    let prompt = [
        b"POST /v1/x HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\nContent-Length: 20000\r\n\r\n",
        "x".repeat(20_000).as_bytes(),
    ]
    .concat();
    // Measured: 3.5 KB and 1.7 KB; 127 KB and 40 KB beside them. Most of it is futures, whose size is the build's.
    for (carrier, stream_max, idle_max) in [(Forwarder, 3_700, 1_900), (PingoraProxy, 180_000, 50_000)] {
        for (name, request) in [
            ("a stream that waits for its next token", REQUEST),
            ("the same, after a long prompt", &prompt),
        ] {
            let stream = held_by_each(name, carrier, silent_server(), |client| {
                client.write(request);
                client.read_past(TOKEN_END);
            });
            assert!(
                stream <= stream_max,
                "{carrier:?}: a waiting stream holds {stream} bytes"
            );
        }
        let idle = held_by_each("an idle client", carrier, small_server(), |client| {
            small_exchanges(client, REQUEST, 2);
        });
        assert!(idle <= idle_max, "{carrier:?}: an idle client holds {idle} bytes");
    }
}
