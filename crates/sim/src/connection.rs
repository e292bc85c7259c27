//! One client connection: request after request, each under the fault, key and loading rules that hold for it.
//! Decides when the connection ends; the bytes are `http`'s, the answers `api`'s.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::api::{self, Reply};
use crate::auth;
use crate::fault::{Cut, Hang};
use crate::generation::{self, Engine, Envelope};
use crate::http::{Conn, Gone, Head, ReadError, Request, Watch};
use crate::observe::{Counter, Recorded};
use crate::settings::KeepAlive;
use crate::state::State;
use crate::wire::ApiError;

/// A client that begins a request and does not go on. The real server's own bound is longer; no test waits for it.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

const JSON: &str = "application/json; charset=utf-8";

/// Serves a connection until either side ends it. `idle_may_stay` turning false ends it between two requests.
pub(crate) async fn serve(state: Arc<State>, stream: TcpStream, mut idle_may_stay: watch::Receiver<bool>) {
    let _open = state.observed.during(Counter::ConnectionsOpen);
    state.observed.add(Counter::ConnectionsAccepted, 1);
    let mut conn = Conn::new(stream);
    let keep_alive = state.settings.keep_alive;
    for served in 1..=keep_alive.requests_max {
        tokio::select! {
            biased;
            readable = tokio::time::timeout(keep_alive.idle, conn.readable()) => match readable {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return,
            },
            _ = idle_may_stay.wait_for(|stay| !stay) => return,
        }
        let last = served == keep_alive.requests_max;
        let read = tokio::time::timeout(READ_TIMEOUT, conn.read_request(state.settings.body_bytes_max)).await;
        let open = match read {
            Ok(Ok(request)) => exchange(&state, &mut conn, &request, last).await,
            Ok(Err(ReadError::Refused(status))) => refuse(&mut conn, status).await,
            Ok(Err(ReadError::Closed)) | Err(_) => return,
        };
        if !matches!(open, Ok(Open::Yes)) {
            return;
        }
    }
}

/// Whether the connection may serve another request.
enum Open {
    Yes,
    No,
}

async fn exchange(state: &Arc<State>, conn: &mut Conn, request: &Request, last: bool) -> Result<Open, Gone> {
    let _in_flight = state.observed.during(Counter::RequestsInFlight);
    let path = request.path();
    if state.observed.recorder_on() {
        state.observed.record(Recorded::new(
            &request.method,
            &request.target,
            &request.headers,
            &request.body,
        ));
    }
    state.observed.count_request(path);
    let fault = state.faults.take(path);
    let (status, cut) = fault.as_ref().map_or((None, None), |fault| (fault.status, fault.cut));
    conn.set_fault(fault);
    if conn.hangs(Hang::BeforeHead) {
        return Err(conn.gone(Watch::Always).await);
    }
    if cut == Some(Cut::Bytes(0)) {
        return Err(conn.cut());
    }
    let keep_alive = (!last && !request.wants_close()).then_some(state.settings.keep_alive);
    let answer = Answer {
        state,
        request,
        keep_alive,
    };
    if request.method == "OPTIONS" {
        return answer.preflight(conn).await;
    }
    match reply(state, request, status) {
        Ok(reply) => answer.send(conn, reply).await,
        Err(error) => answer.error(conn, &error).await,
    }
}

/// In the real server's order: key, loading, route.
fn reply(state: &State, request: &Request, fault_status: Option<u16>) -> Result<Reply, ApiError> {
    if let Some(status) = fault_status {
        return Err(ApiError::new(status, "Simulated fault"));
    }
    if !auth::allowed(state.settings.api_key.as_ref(), request) {
        return Err(ApiError::invalid_key());
    }
    if state.is_loading() {
        return Err(ApiError::loading());
    }
    api::handle(state, request)
}

async fn refuse(conn: &mut Conn, status: u16) -> Result<Open, Gone> {
    conn.set_fault(None);
    let head = Head {
        status,
        content_type: JSON,
        origin: "",
        keep_alive: None,
        extra: &[],
    };
    conn.respond(
        &head,
        &ApiError::new(status, "The request is malformed or too large").body(),
        false,
    )
    .await?;
    Ok(Open::No)
}

/// What all answers to one request share.
struct Answer<'a> {
    state: &'a Arc<State>,
    request: &'a Request,
    keep_alive: Option<KeepAlive>,
}

impl Answer<'_> {
    async fn send(&self, conn: &mut Conn, reply: Reply) -> Result<Open, Gone> {
        let head_only = self.request.method == "HEAD";
        match reply {
            Reply::Json(body) => conn.respond(&self.head(200, JSON, &[]), &body, head_only).await?,
            Reply::Metrics(text) => {
                let started = [("Process-Start-Time-Unix", self.state.started.to_string())];
                let head = self.head(200, "text/plain; version=0.0.4", &started);
                conn.respond(&head, text.as_bytes(), head_only).await?;
            }
            Reply::Generate(job) => {
                let unbuffered = [("X-Accel-Buffering", "no".to_owned())];
                let mut stream_head = self.head(200, "text/event-stream", &unbuffered);
                let chunked = !self.request.http_1_0;
                if !chunked {
                    stream_head.keep_alive = None;
                }
                let streams = job.wish.stream;
                let envelope = Envelope {
                    stream_head,
                    body_head: self.head(200, JSON, &[]),
                    chunked,
                };
                // Boxed: the state of a generation must not make every idle connection as large as itself.
                Box::pin(generation::run(self.engine(), conn, *job, envelope)).await?;
                if streams && !chunked {
                    return Ok(Open::No);
                }
            }
        }
        Ok(self.open())
    }

    /// The real server's HTTP library closes after every error.
    async fn error(&self, conn: &mut Conn, error: &ApiError) -> Result<Open, Gone> {
        let head = Head {
            keep_alive: None,
            ..self.head(error.status, JSON, &[])
        };
        conn.respond(&head, &error.body(), self.request.method == "HEAD")
            .await?;
        Ok(Open::No)
    }

    async fn preflight(&self, conn: &mut Conn) -> Result<Open, Gone> {
        let cors = [
            ("Access-Control-Allow-Credentials", "true".to_owned()),
            ("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS".to_owned()),
            ("Access-Control-Allow-Headers", "*".to_owned()),
        ];
        conn.respond(&self.head(200, "text/html", &cors), b"", false).await?;
        Ok(self.open())
    }

    fn engine(&self) -> Engine<'_> {
        Engine {
            scheduler: &self.state.scheduler,
            observed: &self.state.observed,
            pace: self.state.settings.pace,
            unstreamed_poll: self.state.settings.unstreamed_poll,
        }
    }

    fn head<'a>(&'a self, status: u16, content_type: &'a str, extra: &'a [(&'a str, String)]) -> Head<'a> {
        let origin = self.request.header("origin").unwrap_or_default();
        Head {
            status,
            content_type,
            origin,
            keep_alive: self.keep_alive,
            extra,
        }
    }

    fn open(&self) -> Open {
        if self.keep_alive.is_some() { Open::Yes } else { Open::No }
    }
}
