//! Each fault as a client meets it.

use std::io::ErrorKind;
use std::time::Duration;

use serde_json::json;
use sim::{Cut, Faults, Hang, Malformed, Sim};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::client::{CHAT, Client, PATIENCE, chat, get, post};

async fn sim() -> Sim {
    Sim::builder().start("127.0.0.1:0").await.unwrap()
}

fn stream() -> serde_json::Value {
    chat("hi", json!({"stream": true, "max_tokens": 6}))
}

#[tokio::test]
async fn a_status_for_some_paths_and_some_times() {
    let sim = sim().await;
    sim.set_faults(Faults {
        status: Some(500),
        only: Some("/v1/chat".into()),
        times: Some(2),
        ..Faults::default()
    });
    assert_eq!(get(&sim, "/health").await.0.status, 200);
    for status in [500, 500, 200] {
        assert_eq!(post(&sim, CHAT, &chat("hi", json!({}))).await.0.status, status);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hang_lasts_until_the_client_goes() {
    let sim = sim().await;
    sim.set_faults(Faults {
        hang: Some(Hang::BeforeHead),
        ..Faults::default()
    });
    let mut client = Client::post(&sim, CHAT, &stream()).await;
    assert!(
        tokio::time::timeout(Duration::from_secs(3600), client.socket.readable())
            .await
            .is_err()
    );
    sim.set_faults(Faults {
        hang: Some(Hang::AfterHead),
        ..Faults::default()
    });
    let mut other = Client::post(&sim, CHAT, &stream()).await;
    assert_eq!(other.head().await.status, 200);
    assert!(
        tokio::time::timeout(Duration::from_secs(3600), other.chunk())
            .await
            .is_err()
    );
    assert_eq!(sim.stats().requests_in_flight, 2);
    drop((client, other));
    sim.wait_until(|stats| stats.requests_in_flight == 0 && stats.slots_busy == 0, PATIENCE)
        .await
        .unwrap();
    client = Client::connect(&sim).await;
    client.send("GET", "/health", &[], b"").await;
    assert_eq!(client.head().await.status, 200);
}

#[tokio::test]
async fn a_cut_comes_after_so_many_bytes_or_tokens() {
    let sim = sim().await;
    let whole = {
        let mut client = Client::connect(&sim).await;
        client.send("GET", "/v1/models", &[("Connection", "close")], b"").await;
        client.rest().await
    };
    for bytes in [0, 1, 100, 300] {
        sim.set_faults(Faults {
            cut: Some(Cut::Bytes(bytes)),
            ..Faults::default()
        });
        let mut client = Client::connect(&sim).await;
        client.send("GET", "/v1/models", &[("Connection", "close")], b"").await;
        assert_eq!(client.rest().await, whole[..bytes as usize]);
    }
    for tokens in [0, 1, 4] {
        sim.set_faults(Faults {
            cut: Some(Cut::Tokens(tokens)),
            ..Faults::default()
        });
        let mut client = Client::post(&sim, CHAT, &stream()).await;
        let text = String::from_utf8(client.rest().await).unwrap();
        assert_eq!(text.matches(r#""delta":{"content""#).count() as u64, tokens, "{text}");
        assert!(!text.contains("[DONE]"));
    }
    sim.wait_until(
        |stats| stats.generations_cancelled == 3 && stats.slots_busy == 0,
        PATIENCE,
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn a_cut_can_be_a_reset() {
    let sim = sim().await;
    sim.set_faults(Faults {
        cut: Some(Cut::Bytes(0)),
        reset: true,
        ..Faults::default()
    });
    let mut client = Client::connect(&sim).await;
    client.send("GET", "/health", &[], b"").await;
    let error = client.socket.read_u8().await.expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn a_slow_server_waits_before_every_write() {
    let sim = sim().await;
    sim.set_faults(Faults {
        slow: Some(Duration::from_secs(2)),
        ..Faults::default()
    });
    let begun = Instant::now();
    let mut client = Client::post(&sim, CHAT, &chat("hi", json!({"stream": true, "max_tokens": 1}))).await;
    for at_s in [2, 4, 6] {
        match at_s {
            2 => assert_eq!(client.head().await.status, 200),
            _ => assert!(client.chunk().await.is_some()),
        }
        assert_eq!(begun.elapsed().as_secs(), at_s);
    }
}

// Paused, since two of the four leave the connection open until its idle time is over.
#[tokio::test(start_paused = true)]
async fn the_framing_can_be_broken_in_four_ways() {
    let sim = sim().await;
    let broken = |malformed| Faults {
        malformed: Some(malformed),
        ..Faults::default()
    };
    sim.set_faults(broken(Malformed::StatusLine));
    let mut client = Client::post(&sim, CHAT, &stream()).await;
    assert!(!client.rest().await.starts_with(b"HTTP/"));
    sim.set_faults(broken(Malformed::HeaderLine));
    let text = String::from_utf8(Client::post(&sim, CHAT, &stream()).await.rest().await).unwrap();
    assert!(
        text.lines()
            .take_while(|line| !line.is_empty())
            .skip(1)
            .any(|line| !line.contains(':'))
    );
    sim.set_faults(broken(Malformed::ChunkSize));
    let text = String::from_utf8(Client::post(&sim, CHAT, &stream()).await.rest().await).unwrap();
    assert!(text.contains("\r\n\r\nzz\r\n"), "{text}");
    sim.set_faults(broken(Malformed::ShortBody));
    let mut client = Client::post(&sim, CHAT, &chat("hi", json!({"max_tokens": 1}))).await;
    let length: usize = client.head().await.header("content-length").unwrap().parse().unwrap();
    assert!(client.rest().await.len() < length);
}

#[tokio::test]
async fn a_server_that_refuses_is_gone_and_comes_back_at_its_address() {
    let sim = sim().await;
    let mut idle = Client::connect(&sim).await;
    idle.send("GET", "/health", &[], b"").await;
    idle.answer().await;
    sim.refuse_connections().await;
    assert!(idle.rest().await.is_empty(), "an idle connection is closed");
    let refused = TcpStream::connect(sim.addr()).await.expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    sim.accept_connections().await.unwrap();
    assert_eq!(get(&sim, "/health").await.0.status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_its_time_or_its_requests() {
    let sim = Sim::builder()
        .keep_alive(Duration::from_secs(5), 3)
        .start("127.0.0.1:0")
        .await
        .unwrap();
    let mut client = Client::connect(&sim).await;
    for last in [false, false, true] {
        client.send("GET", "/health", &[], b"").await;
        let (head, _) = client.answer().await;
        assert_eq!(head.header("keep-alive"), (!last).then_some("timeout=5, max=3"));
        assert_eq!(head.header("connection"), last.then_some("close"));
    }
    assert!(client.rest().await.is_empty());

    let mut client = Client::connect(&sim).await;
    client.send("GET", "/health", &[], b"").await;
    client.answer().await;
    let begun = Instant::now();
    assert!(client.rest().await.is_empty());
    assert_eq!(begun.elapsed().as_secs(), 5);
}
