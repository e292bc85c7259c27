//! A tiny backend: answers `GET /v1/models` as told, and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Json(String),
    Status(u16),
    /// 302 to this address.
    Redirect(String),
    /// 401 unless this key comes with the request.
    Guarded {
        key: &'static str,
        json: String,
    },
    /// So many bytes of no JSON.
    Bytes(usize),
    /// The request is taken and nothing comes.
    Never,
}

/// What llama-server says of one model.
pub(crate) fn one_model(id: &str) -> String {
    format!(
        r#"{{"models":[{{"name":"{id}","model":"{id}"}}],"object":"list","data":[{{"id":"{id}","meta":{{"n_ctx":4096}}}}]}}"#
    )
}

#[derive(Clone)]
struct Shared {
    answer: Arc<Mutex<Answer>>,
    asked: Arc<watch::Sender<Vec<HeaderMap>>>,
}

pub(crate) struct Backend {
    pub(crate) addr: SocketAddr,
    shared: Shared,
    task: JoinHandle<()>,
}

impl Backend {
    pub(crate) async fn start(answer: Answer) -> Self {
        Self::on("127.0.0.1:0".parse().unwrap(), answer).await
    }

    pub(crate) async fn serving(id: &str) -> Self {
        Self::start(Answer::Json(one_model(id))).await
    }

    /// Starts on an address, to come back where another one was.
    pub(crate) async fn on(addr: SocketAddr, answer: Answer) -> Self {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let asked = Arc::new(watch::Sender::new(Vec::new()));
        let shared = Shared {
            answer: Arc::new(Mutex::new(answer)),
            asked,
        };
        let router = Router::new()
            .route("/v1/models", get(models))
            .with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { addr, shared, task }
    }

    pub(crate) fn set(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    /// The headers of every request so far.
    pub(crate) fn asked(&self) -> Vec<HeaderMap> {
        self.shared.asked.borrow().clone()
    }

    /// Waits until it has been asked this often.
    pub(crate) async fn asked_times(&self, times: usize) {
        let mut asked = self.shared.asked.subscribe();
        asked.wait_for(|asked| asked.len() >= times).await.unwrap();
    }

    /// Closes the listener; who connects from now on is refused.
    pub(crate) async fn kill(self) -> SocketAddr {
        self.task.abort();
        let _ = self.task.await;
        self.addr
    }
}

async fn models(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let key = headers
        .get("authorization")
        .map(|value| value.to_str().unwrap().to_owned());
    shared.asked.send_modify(|asked| asked.push(headers));
    let answer = shared.answer.lock().unwrap().clone();
    let json = |text: String| ([("content-type", "application/json")], text).into_response();
    match answer {
        Answer::Json(text) => json(text),
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Redirect(location) => (StatusCode::FOUND, [("location", location)]).into_response(),
        Answer::Guarded {
            key: wanted,
            json: text,
        } if key == Some(format!("Bearer {wanted}")) => json(text),
        Answer::Guarded { .. } => StatusCode::UNAUTHORIZED.into_response(),
        Answer::Bytes(count) => "x".repeat(count).into_response(),
        Answer::Never => std::future::pending().await,
    }
}
