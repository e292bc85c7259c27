//! A request's attempts, what they tell, and where they go.

mod under_load;

use std::collections::HashMap;
use std::time::Duration;

use axum::Router;
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse as _;
use reqwest::Method;

use super::made::{up, view};
use super::*;
use crate::backend::{BackendUrl, Identity, Spec};

fn fleet(view: FleetView) -> (Arc<Fleet>, mpsc::Receiver<Hurry>) {
    let (fleet, hurries) = Fleet::new(Upstream::new(&Identity::new()).unwrap());
    fleet.publish(view);
    (Arc::new(fleet), hurries)
}

fn ask<'a>(model: &'a str, held: &'a HashMap<u32, usize>) -> Ask<'a> {
    Ask {
        model,
        held,
        excluded: &[],
    }
}

#[tokio::test]
async fn a_failed_request_moves_the_next_ones_elsewhere_at_once() {
    let (fleet, mut hurries) = fleet(view(&[up("one", &["m"]), up("two", &["m"])], &[("m", &["n"])]));
    let nothing = HashMap::from([(0, 9)]);
    let mut first = fleet.attempts(&ask("m", &nothing)).unwrap();
    let mut waiting = fleet.attempts(&ask("m", &nothing)).unwrap();
    let attempt = first.next().unwrap();
    assert_eq!(
        (&*attempt.backend.spec.name, &*attempt.model, &attempt.fallback),
        ("one", "m", &None)
    );
    assert_eq!((attempt.backend.traffic.in_flight(), first.left()), (1, 1));
    let began = Instant::now();
    attempt.failed();
    attempt.failed();

    let (id, at) = hurries.try_recv().unwrap();
    assert_eq!(id, attempt.backend.id);
    assert!(
        at >= began + Duration::from_secs(1),
        "a heartbeat looks after it once its pause is over"
    );
    assert!(hurries.try_recv().is_err(), "it was one failure");
    drop(attempt);
    assert_eq!(fleet.view().backends[0].traffic.in_flight(), 0);

    let name = |attempt: Option<Attempt>| attempt.unwrap().backend.spec.name.to_string();
    assert_eq!(name(first.next()), "two");
    assert_eq!(name(waiting.next()), "two", "a plan made before knows it too");
    assert_eq!(name(waiting.next()), "one", "and tries it when nothing else is left");
    assert!(waiting.next().is_none());
    assert_eq!(name(fleet.attempts(&ask("m", &nothing)).unwrap().next()), "two");
}

#[tokio::test]
async fn what_an_attempt_tells_outlives_the_edition_it_began_in() {
    let before = view(&[up("one", &["m"])], &[]);
    let backend = Arc::clone(&before.backends[0]);
    let (fleet, _hurries) = fleet(before);
    let none = HashMap::new();
    let attempt = fleet.attempts(&ask("one/m", &none)).unwrap().next().unwrap();
    let after = Backend {
        id: backend.id.clone(),
        spec: Arc::clone(&backend.spec),
        cause: None,
        models: Arc::clone(&backend.models),
        traffic: Arc::clone(&backend.traffic),
        headers: HeaderMap::new(),
        ..*backend
    };
    fleet.publish(FleetView::new(vec![Arc::new(after)], Arc::default(), &fleet.view()));
    assert_eq!(fleet.view().backends[0].busy(), 1);
    attempt.answered();
    assert!(fleet.view().backends[0].traffic.latency().is_some());
    drop(attempt);
    assert_eq!(fleet.view().backends[0].busy(), 0);
}

#[tokio::test]
async fn a_request_goes_to_the_configured_address_with_its_key_and_no_further() {
    async fn echo(uri: Uri, headers: HeaderMap) -> axum::response::Response {
        let key = headers
            .get(AUTHORIZATION)
            .cloned()
            .unwrap_or(HeaderValue::from_static("none"));
        let location = HeaderValue::from_static("http://127.0.0.1:1/");
        (
            StatusCode::TEMPORARY_REDIRECT,
            [("location", location), ("x-key", key)],
            uri.to_string(),
        )
            .into_response()
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/base", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(echo)).await });

    let made = view(&[up("one", &["m"])], &[]);
    let spec = Spec {
        url: BackendUrl::from(&keymap::ServerUrl::parse(&url).unwrap()),
        ..(*made.backends[0].spec).clone()
    };
    let mut key = HeaderValue::from_static("Bearer sk-canary");
    key.set_sensitive(true);
    let backend = Backend {
        id: spec.id(),
        spec: Arc::new(spec),
        cause: None,
        models: Arc::default(),
        traffic: Arc::default(),
        headers: HeaderMap::from_iter([(AUTHORIZATION, key)]),
        ..*made.backends[0]
    };
    let (fleet, _hurries) = fleet(made);
    let request = fleet
        .upstream()
        .request(Method::POST, &backend, "/v1/chat/completions?x=1")
        .unwrap();
    assert!(!format!("{request:?} {backend:?}").contains("canary"));
    let response = request.body("{}").send().await.unwrap();
    assert_eq!(response.status(), 307, "redirects are handed back, not followed");
    assert_eq!(response.headers()["x-key"], "Bearer sk-canary");
    assert_eq!(response.text().await.unwrap(), "/base/v1/chat/completions?x=1");
}
