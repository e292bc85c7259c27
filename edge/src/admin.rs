//! The operator's address: `/metrics`, `/health`, `/ready`. Never on an entry point.

use std::future::IntoFuture as _;
use std::net::TcpListener;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use keymap::{FileState, FileStatus, Problem, Snapshot};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::metrics::{Further, state_label};
use crate::plane::Plane;

/// Of a file's problems, so many are shown: enough to mend it, and an answer of bounded size.
const PROBLEMS_MAX: usize = 20;

/// Of the bad files, so many are shown.
const FILES_MAX: usize = 100;

#[derive(Clone)]
struct Shown {
    plane: Arc<Plane>,
    stopping: watch::Receiver<bool>,
}

pub(crate) async fn serve(plane: Arc<Plane>, listener: TcpListener, stopping: watch::Receiver<bool>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the admin address cannot be served");
            return;
        }
    };
    let app = Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .with_state(Shown {
            plane: plane.clone(),
            stopping,
        });
    let handed_over = async {
        plane.stop.wait().await;
        if !plane.stop.is_handed_over() {
            // It is not stopped with the entry points: an operator watches the drain here. It ends with the runtime.
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        served = axum::serve(listener, app).into_future() => {
            if let Err(error) = served {
                tracing::error!(%error, "the admin address failed");
            }
        }
        () = handed_over => {}
    }
}

async fn metrics(State(shown): State<Shown>) -> Response {
    let plane = &shown.plane;
    match plane.metrics.render(
        plane.in_flight.count(),
        &plane.mappings.load(),
        plane.tap.as_ref(),
        plane.tls.front.as_deref(),
        &Further {
            servers: plane.servers.shown(std::time::Instant::now()),
            budgets: plane.limits.registry.budgets(plane.limits.clock.now()),
            tracer: plane.tracer.as_ref(),
        },
    ) {
        Ok(text) => (
            [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
            text,
        )
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// 200 while the edge serves, also with bad files: `status` then says `degraded`, and `bad_files` what to mend.
async fn health(State(shown): State<Shown>) -> Json<Value> {
    let mut health = health_of(&shown.plane.mappings.load(), shown.plane.in_flight.count());
    let before = shown.plane.limits.estate.predecessors();
    let before = before
        .into_iter()
        .map(|(pid, connections)| json!({"pid": pid, "connections": connections}));
    health["predecessors"] = before.collect();
    Json(health)
}

async fn ready(State(shown): State<Shown>) -> (StatusCode, Json<Value>) {
    if *shown.stopping.borrow() {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({"ready": false, "reason": "draining"})),
        )
    } else {
        (StatusCode::OK, Json(json!({"ready": true})))
    }
}

fn health_of(mappings: &Snapshot, connections: usize) -> Value {
    let bad = || mappings.files.iter().filter(|file| file.state != FileState::Loaded);
    let status = if bad().next().is_some() || !mappings.problems.is_empty() {
        "degraded"
    } else {
        "ok"
    };
    json!({
        "status": status,
        "connections": connections,
        "mappings": {
            "files": mappings.files.len(),
            "keys": mappings.table.keys(),
            "routers": mappings.table.routers(),
            "reloads": mappings.generation,
            "bad_files_total": bad().count(),
            "bad_files": bad().take(FILES_MAX).map(|file| file_json(file)).collect::<Vec<_>>(),
            "problems": mappings.problems.iter().take(PROBLEMS_MAX).map(problem_json).collect::<Vec<_>>(),
        },
    })
}

fn file_json(file: &FileStatus) -> Value {
    json!({
        "file": file.name,
        "state": state_label(file.state),
        "problems": file.problems.iter().take(PROBLEMS_MAX).map(problem_json).collect::<Vec<_>>(),
    })
}

fn problem_json(problem: &Problem) -> Value {
    json!({
        "path": problem.path,
        "line": problem.position.line,
        "column": problem.position.column,
        "value": problem.value,
        "rule": problem.rule,
        "fix": problem.fix,
    })
}
