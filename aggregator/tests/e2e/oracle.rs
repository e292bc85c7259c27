//! A stand-in for an inference backend: it lists models, answers as told, and remembers what it was asked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// What a stand-in does with a request that is not for its list.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    /// Status, content type, body.
    Whole(u16, &'static str, String),
    /// As [`Say::Whole`], with more headers.
    With(u16, Vec<(&'static str, &'static str)>, String),
    /// A stream in these pieces.
    Stream(&'static str, Vec<String>),
    /// The same, and then the connection is cut.
    Cut(&'static str, Vec<String>),
    /// The same, and then nothing for ever.
    Hang(&'static str, Vec<String>),
    /// As [`Say::Stream`], with so much time before each piece.
    Slow(&'static str, Vec<String>, std::time::Duration),
    /// The request is taken and nothing comes.
    Never,
}

impl Say {
    pub(crate) fn json(body: impl Into<String>) -> Self {
        Self::Whole(200, "application/json", body.into())
    }

    pub(crate) fn sse(body: &str) -> Self {
        Self::Stream("text/event-stream", vec![body.to_owned()])
    }
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Clone)]
struct Shared {
    list: (&'static str, String),
    /// Said one after the other, the last one again and again.
    says: Arc<Mutex<VecDeque<Say>>>,
    heard: Arc<watch::Sender<Vec<Heard>>>,
    /// Answers whose readers have gone.
    left: Arc<watch::Sender<usize>>,
    /// Its list is refused.
    is_closed: Arc<std::sync::atomic::AtomicBool>,
}

pub(crate) struct Oracle {
    pub(crate) addr: SocketAddr,
    pub(crate) kind: &'static str,
    shared: Shared,
    task: JoinHandle<()>,
}

impl Oracle {
    /// A backend of this kind that serves one model.
    pub(crate) async fn start(kind: &'static str, model: &str, says: impl IntoIterator<Item = Say>) -> Self {
        let list = match kind {
            "ollama" => (
                "/api/tags",
                format!(r#"{{"models":[{{"name":"{model}","model":"{model}"}}]}}"#),
            ),
            "gemini" => (
                "/v1beta/models",
                format!(r#"{{"models":[{{"name":"models/{model}"}}]}}"#),
            ),
            _ => ("/v1/models", format!(r#"{{"data":[{{"id":"{model}"}}]}}"#)),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Shared {
            list,
            says: Arc::new(Mutex::new(says.into_iter().collect())),
            heard: Arc::new(watch::Sender::new(Vec::new())),
            left: Arc::new(watch::Sender::new(0)),
            is_closed: Arc::default(),
        };
        let router = Router::new()
            .fallback(answer)
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            addr,
            kind,
            shared,
            task,
        }
    }

    /// Its lines in `config.yaml`.
    pub(crate) fn line(&self, name: &str, more: &str) -> String {
        format!(
            "- {{name: {name}, type: {}, url: 'http://{}'{more}}}\n",
            self.kind, self.addr
        )
    }

    /// Requests for anything but what heartbeats ask.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.shared.heard.borrow().clone()
    }

    pub(crate) fn last(&self) -> Heard {
        self.heard().pop().expect("nobody asked")
    }

    /// Waits until a reader of an answer has gone.
    pub(crate) async fn left(&self, times: usize) {
        let mut left = self.shared.left.subscribe();
        let gone = left.wait_for(|left| *left >= times);
        tokio::time::timeout(std::time::Duration::from_secs(20), gone)
            .await
            .expect("nobody left")
            .unwrap();
    }

    /// Waits until it was asked this often.
    pub(crate) async fn heard_times(&self, times: usize) {
        let mut heard = self.shared.heard.subscribe();
        let asked = heard.wait_for(|heard| heard.len() >= times);
        tokio::time::timeout(std::time::Duration::from_secs(20), asked)
            .await
            .expect("nobody asked")
            .unwrap();
    }

    /// Heartbeats are refused from now on.
    pub(crate) fn close(&self) {
        self.shared.is_closed.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Closes the listener and every connection.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

const HEARTBEATS: [&str; 6] = ["/api/ps", "/slots", "/metrics", "/props", "/health", "/api/version"];

async fn answer(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    if uri.path() == shared.list.0 && method == Method::GET {
        if shared.is_closed.load(std::sync::atomic::Ordering::Relaxed) {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        return ([("content-type", "application/json")], shared.list.1.clone()).into_response();
    }
    if HEARTBEATS.contains(&uri.path()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let target = uri.to_string();
    let heard = Heard {
        method,
        target,
        headers,
        body,
    };
    shared.heard.send_modify(|all| all.push(heard));
    let say = {
        let mut says = shared.says.lock().unwrap();
        match says.len() {
            0 => Say::Whole(404, "application/json", "{}".to_owned()),
            1 => says[0].clone(),
            _ => says.pop_front().unwrap(),
        }
    };
    match say {
        Say::Whole(status, kind, body) => {
            (StatusCode::from_u16(status).unwrap(), [("content-type", kind)], body).into_response()
        }
        Say::With(status, headers, body) => {
            let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Say::Stream(kind, pieces) => streamed(&shared, kind, pieces, End::Clean, None),
        Say::Cut(kind, pieces) => streamed(&shared, kind, pieces, End::Cut, None),
        Say::Hang(kind, pieces) => streamed(&shared, kind, pieces, End::Never, None),
        Say::Slow(kind, pieces, pause) => streamed(&shared, kind, pieces, End::Clean, Some(pause)),
        Say::Never => {
            let _gone = Gone(Arc::clone(&shared.left));
            std::future::pending().await
        }
    }
}

struct Gone(Arc<watch::Sender<usize>>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.send_modify(|left| *left += 1);
    }
}

#[derive(PartialEq)]
enum End {
    Clean,
    Cut,
    Never,
}

type Piece = Result<Bytes, std::io::Error>;

fn streamed(
    shared: &Shared,
    kind: &'static str,
    pieces: Vec<String>,
    end: End,
    pause: Option<std::time::Duration>,
) -> Response {
    let (sender, receiver) = mpsc::channel::<Piece>(1);
    let left = Arc::clone(&shared.left);
    tokio::spawn(async move {
        for piece in pieces {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            if sender.send(Ok(piece.into())).await.is_err() {
                left.send_modify(|left| *left += 1);
                return;
            }
            // Each piece is a write of its own.
            tokio::task::yield_now().await;
        }
        match end {
            End::Clean => {}
            End::Cut => {
                // What is written just before a cut may be lost with it.
                tokio::time::sleep(std::time::Duration::from_millis(30)).await;
                let _ = sender.send(Err(std::io::Error::other("cut"))).await;
            }
            End::Never => {
                sender.closed().await;
                left.send_modify(|left| *left += 1);
            }
        }
    });
    ([("content-type", kind)], Body::new(Pieces(receiver))).into_response()
}

struct Pieces(mpsc::Receiver<Piece>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
        self.0
            .poll_recv(cx)
            .map(|piece| piece.map(|piece| piece.map(hyper::body::Frame::data)))
    }
}
