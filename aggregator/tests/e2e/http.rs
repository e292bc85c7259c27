//! The HTTP surface: routes, methods, errors, bounds, shutdown.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::backend::{Answer, Backend};
use crate::service::{Running, mapping_file, quick};

#[tokio::test]
async fn what_is_not_there_is_refused_in_openais_shape() {
    let service = Running::start(quick(), Vec::new()).await;
    for (method, path, status, code, message) in [
        ("GET", "/nothing", 404, "not_found", "There is no GET /nothing here."),
        (
            "GET",
            "/v1/models/",
            404,
            "not_found",
            "There is no GET /v1/models/ here.",
        ),
        (
            "POST",
            "/v1/chat/incompletions?api_key=canary",
            404,
            "not_found",
            "There is no POST /v1/chat/incompletions here.",
        ),
        (
            "POST",
            "/v1/models",
            405,
            "method_not_allowed",
            "/v1/models does not answer to POST.",
        ),
        (
            "DELETE",
            "/stats",
            405,
            "method_not_allowed",
            "/stats does not answer to DELETE.",
        ),
    ] {
        let response = service.request(method, path).await;
        assert_eq!(response.status(), status, "{method} {path}");
        assert_eq!(response.headers()["content-type"], "application/json");
        if status == 405 {
            assert_eq!(response.headers()["allow"], "GET,HEAD");
        }
        let error = json!({"error": {"message": message, "type": "invalid_request_error", "code": code}});
        assert_eq!(response.json::<Value>().await.unwrap(), error);
    }
    service.stop().await;
}

#[tokio::test]
async fn head_answers_as_get_does_without_the_body() {
    let backend = Backend::serving("m").await;
    let service = Running::start(quick(), vec![mapping_file("a.yml", &[backend.addr])]).await;
    for path in ["/v1/models", "/v1/models?limit=1", "/stats", "/health"] {
        let head = service.request("HEAD", path).await;
        assert_eq!(head.status(), 200, "{path}");
        assert_eq!(head.headers()["content-type"], "application/json");
        let length: usize = head.headers()["content-length"].to_str().unwrap().parse().unwrap();
        assert!(length > 10, "{path}");
        assert_eq!(head.bytes().await.unwrap().len(), 0);
    }
    service.stop().await;
}

#[tokio::test]
async fn shutdown_ends_within_a_second_whatever_is_open() {
    let mute = Backend::start(Answer::Never).await;
    let mut config = quick();
    config.backends.mapping_timeout = Duration::from_secs(3600);
    let service = Running::start(config, vec![mapping_file("a.yml", &[mute.addr])]).await;
    mute.asked_times(1).await;
    // One connection idles, one sends half a head, one request waits for the first round of polls.
    let _idle = TcpStream::connect(service.addr).await.unwrap();
    let mut half = TcpStream::connect(service.addr).await.unwrap();
    half.write_all(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let mut waiting = TcpStream::connect(service.addr).await.unwrap();
    waiting
        .write_all(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    service.request("GET", "/health").await;
    let took = service.stop().await;
    assert!(took < Duration::from_millis(1500), "{took:?}");
}

#[tokio::test]
async fn an_idle_service_ends_at_once() {
    let service = Running::start(quick(), Vec::new()).await;
    service.models().await;
    let took = service.stop().await;
    assert!(took < Duration::from_millis(500), "{took:?}");
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection() {
    let mut config = quick();
    config.server.head_timeout = Duration::from_millis(100);
    let service = Running::start(config, Vec::new()).await;
    for sent in [
        "",
        "GET /health HTTP/1.1\r\nHost:",
        "GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let mut connection = TcpStream::connect(service.addr).await.unwrap();
        connection.write_all(sent.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(10), connection.read_to_end(&mut received)).await;
        assert!(closed.is_ok(), "{sent:?}");
        assert_eq!(
            received.starts_with(b"HTTP/1.1 200"),
            sent.ends_with("\r\n\r\n"),
            "{sent:?}"
        );
    }
    service.stop().await;
}

#[tokio::test]
async fn connections_over_the_bound_wait_their_turn() {
    let mut config = quick();
    config.server.connections_max = 1;
    let service = Running::start(config, Vec::new()).await;
    let request = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let first = TcpStream::connect(service.addr).await.unwrap();
    let mut second = TcpStream::connect(service.addr).await.unwrap();
    second.write_all(request).await.unwrap();
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(100), second.read(&mut byte)).await;
    assert!(early.is_err(), "the second connection was served beside the first");
    drop(first);
    let mut answer = Vec::new();
    second.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    service.stop().await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error_that_names_it() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = quick();
    config.port = taken.local_addr().unwrap().port();
    let (_changes, changed) = tokio::sync::watch::channel(0);
    let feed = aggregator::MappingFeed::new(Vec::new, changed);
    let error = aggregator::Aggregator::bind(config, feed)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&taken.local_addr().unwrap().to_string()) && error.contains("fix:"),
        "{error}"
    );
}

#[tokio::test]
async fn requests_are_answered_from_memory_under_load() {
    let backend = Backend::serving("m").await;
    let service = Running::start(quick(), vec![mapping_file("a.yml", &[backend.addr])]).await;
    service.models().await;
    let asked = backend.asked().len();
    let started = Instant::now();
    for _ in 0..200 {
        service.models().await;
    }
    let polls = backend.asked().len() - asked;
    let heartbeats = started.elapsed().as_millis() / 45 + 2;
    assert!(
        polls as u128 <= heartbeats,
        "{polls} polls for 200 requests in {:?}",
        started.elapsed()
    );
    service.stop().await;
}
