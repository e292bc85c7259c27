//! Start, observation and stop; and HTTP's own corners.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use sim::Sim;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::{CHAT, Client, PATIENCE, chat, get};

#[tokio::test]
async fn a_bound_listener_is_served_and_the_shutdown_ends_everything() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let sim = Sim::builder().decode_rate(1.0).serve(listener).unwrap();
    assert_eq!(sim.url(), format!("http://{}", sim.addr()));
    let mut client = Client::post(&sim, CHAT, &chat("hi", json!({"stream": true}))).await;
    client.head().await;
    let addr = sim.addr();
    sim.shutdown().await;
    client.rest().await;
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn connections_can_be_dropped_while_the_server_goes_on() {
    let sim = Sim::builder().decode_rate(1.0).start("127.0.0.1:0").await.unwrap();
    let mut client = Client::post(&sim, CHAT, &chat("hi", json!({"stream": true}))).await;
    client.head().await;
    sim.drop_connections().await;
    client.rest().await;
    let stats = sim.stats();
    assert_eq!(
        (stats.generations_cancelled, stats.slots_busy, stats.connections_open),
        (1, 0, 0)
    );
    assert_eq!(get(&sim, "/health").await.0.status, 200);
}

#[tokio::test]
async fn the_recorder_keeps_the_last_requests_as_they_came() {
    let sim = Sim::builder().start("127.0.0.1:0").await.unwrap();
    get(&sim, "/health").await;
    assert!(sim.last_request().is_none(), "off at the start");
    sim.record(2);
    for path in ["/health", "/v1/models?x=1", "/slots"] {
        let mut client = Client::connect(&sim).await;
        client
            .send(
                "GET",
                path,
                &[("X-zEbra", "1"), ("authorization", "secret"), ("X-apple", "2")],
                b"body",
            )
            .await;
        client.answer().await;
    }
    let recorded = sim.recorded();
    assert_eq!(
        recorded.iter().map(|r| r.target.as_str()).collect::<Vec<_>>(),
        ["/v1/models?x=1", "/slots"]
    );
    let last = sim.last_request().unwrap();
    let names: Vec<&str> = last.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Host", "X-zEbra", "authorization", "X-apple", "Content-Length"]);
    assert_eq!((last.header("x-zebra"), &last.body[..]), (Some("1"), &b"body"[..]));
    assert!(!format!("{last:?}").contains("secret"));
    sim.record(0);
    assert!(sim.recorded().is_empty());
}

#[tokio::test(start_paused = true)]
async fn waiting_in_vain_tells_the_counters() {
    let sim = Sim::builder().start("127.0.0.1:0").await.unwrap();
    get(&sim, "/health").await;
    let error = sim
        .wait_until(|stats| stats.requests_total == 2, Duration::from_secs(1))
        .await
        .unwrap_err();
    assert_eq!(error.0.requests("/health"), 1);
    assert!(error.to_string().contains("requests_total: 1"), "{error}");
}

#[tokio::test]
async fn bodies_come_with_a_length_or_in_chunks_or_on_request() {
    let sim = Sim::builder().body_bytes_max(1000).start("127.0.0.1:0").await.unwrap();
    sim.record(1);
    let cases: [(&str, u16, &str); 7] = [
        ("Content-Length: 3\r\n\r\n{}!", 400, "{}!"),
        (
            "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n1;ext=1\r\n!\r\n0\r\nTrailer: x\r\n\r\n",
            400,
            "{}!",
        ),
        ("Expect: 100-continue\r\nContent-Length: 3\r\n\r\n{}!", 100, "{}!"),
        ("Content-Length: 2000\r\n\r\n", 413, ""),
        ("Transfer-Encoding: chunked\r\n\r\nfff\r\n", 413, ""),
        ("Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, ""),
        ("Content-Length: x\r\n\r\n", 400, ""),
    ];
    for (rest, status, body) in cases {
        sim.record(1);
        let mut client = Client::connect(&sim).await;
        let request = format!("POST {CHAT} HTTP/1.1\r\nHost: sim\r\n{rest}");
        client.socket.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(client.head().await.status, status, "{rest:?}");
        client.rest().await;
        let recorded = sim.last_request().map(|request| request.body).unwrap_or_default();
        assert_eq!(recorded, body.as_bytes(), "{rest:?}");
    }
}

#[tokio::test]
async fn pipelined_requests_and_old_clients_are_served() {
    let sim = Sim::builder().start("127.0.0.1:0").await.unwrap();
    let mut client = Client::connect(&sim).await;
    let one = "GET /health HTTP/1.1\r\nHost: sim\r\n\r\n";
    client.socket.write_all(one.repeat(3).as_bytes()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(client.answer().await.1, json!({"status": "ok"}));
    }
    // Bytes that arrive while an answer is under way belong to the next request.
    let body = chat("hi", json!({"stream": true, "max_tokens": 3})).to_string();
    client.send("POST", CHAT, &[], body.as_bytes()).await;
    client.socket.write_all(one.as_bytes()).await.unwrap();
    client.head().await;
    assert_eq!(client.events().await.len(), 6);
    assert_eq!(client.answer().await.1, json!({"status": "ok"}));

    let mut old = Client::connect(&sim).await;
    let request = format!("POST {CHAT} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    old.socket.write_all(request.as_bytes()).await.unwrap();
    let head = old.head().await;
    assert_eq!(
        (head.header("transfer-encoding"), head.header("connection")),
        (None, Some("close"))
    );
    assert!(old.rest().await.ends_with(b"data: [DONE]\n\n"));
    sim.wait_until(|stats| stats.requests_in_flight == 0, PATIENCE)
        .await
        .unwrap();
}

#[test]
fn the_program_prints_its_address_and_serves() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_conclave-sim"))
        .args([
            "--listen",
            "127.0.0.1:0",
            "--model",
            "by-hand",
            "--loading-ms",
            "0",
            "--slots",
            "3",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line.trim().strip_prefix("listening http://").expect("an address");
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    socket
        .write_all(b"GET /v1/models HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    program.kill().unwrap();
    program.wait().unwrap();
    assert!(answer.contains(r#""id":"by-hand""#), "{answer}");
}
