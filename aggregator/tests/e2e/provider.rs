//! A stand-in for a provider: fixed answers by path, perhaps behind a key, and what it was asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

#[derive(Clone)]
struct Shared {
    answers: Arc<Mutex<HashMap<&'static str, String>>>,
    /// A header and its value, without which everything is 401.
    wants: Option<(&'static str, &'static str)>,
    asked: Arc<watch::Sender<Vec<(String, HeaderMap)>>>,
}

pub(crate) struct Provider {
    pub(crate) addr: SocketAddr,
    shared: Shared,
    task: JoinHandle<()>,
}

impl Provider {
    /// Answers these paths with this JSON, whatever their query; every other path is 404.
    pub(crate) async fn start(answers: &[(&'static str, &str)], wants: Option<(&'static str, &'static str)>) -> Self {
        Self::on("127.0.0.1:0".parse().unwrap(), answers, wants).await
    }

    pub(crate) async fn on(
        addr: SocketAddr,
        answers: &[(&'static str, &str)],
        wants: Option<(&'static str, &'static str)>,
    ) -> Self {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let answers = answers.iter().map(|(path, json)| (*path, (*json).to_owned())).collect();
        let shared = Shared {
            answers: Arc::new(Mutex::new(answers)),
            wants,
            asked: Arc::new(watch::Sender::new(Vec::new())),
        };
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { addr, shared, task }
    }

    pub(crate) async fn ollama(models: &[&str], loaded: &[&str]) -> Self {
        let list = |names: &[&str]| {
            let entries: Vec<String> = names
                .iter()
                .map(|name| format!(r#"{{"name":"{name}","model":"{name}","size":7}}"#))
                .collect();
            format!(r#"{{"models":[{}]}}"#, entries.join(","))
        };
        Self::start(&[("/api/tags", &list(models)), ("/api/ps", &list(loaded))], None).await
    }

    pub(crate) async fn anthropic(model: &str, key: &'static str) -> Self {
        let list = format!(
            r#"{{"data":[{{"type":"model","id":"{model}","display_name":"X"}}],"has_more":false,"first_id":"{model}"}}"#
        );
        Self::start(&[("/v1/models", &list)], Some(("x-api-key", key))).await
    }

    pub(crate) async fn gemini(model: &str, key: &'static str) -> Self {
        let list = format!(r#"{{"models":[{{"name":"models/{model}","inputTokenLimit":1}}]}}"#);
        Self::start(&[("/v1beta/models", &list)], Some(("x-goog-api-key", key))).await
    }

    pub(crate) fn set(&self, path: &'static str, json: &str) {
        self.shared.answers.lock().unwrap().insert(path, json.to_owned());
    }

    /// The targets and headers of every request so far.
    pub(crate) fn asked(&self) -> Vec<(String, HeaderMap)> {
        self.shared.asked.borrow().clone()
    }

    pub(crate) async fn kill(self) -> SocketAddr {
        self.task.abort();
        let _ = self.task.await;
        self.addr
    }
}

async fn answer(State(shared): State<Shared>, uri: Uri, headers: HeaderMap) -> Response {
    let admitted = shared
        .wants
        .is_none_or(|(name, value)| headers.get(name).is_some_and(|brought| brought == value));
    shared.asked.send_modify(|asked| asked.push((uri.to_string(), headers)));
    if !admitted {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match shared.answers.lock().unwrap().get(uri.path()) {
        Some(json) => ([("content-type", "application/json")], json.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
