//! A page that is followed: its parts, and each again when it has changed, as server-sent events.
//!
//! ```text
//!  task ──render every 2 s, compare──▶ [ 1 piece ] ──hyper polls──▶ the script, which reads the stream with fetch
//! ```
//!
//! The task ends with the body: when the client goes, sending fails. The door is asked again before every rendering, so a
//! token that is withdrawn ends the stream.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use hyper::body::Frame;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::MissedTickBehavior;

use super::fragment::{Fragment, rendered};
use crate::api::query::Query;
use crate::error::ApiError;
use crate::router::AppState;

const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// A comment after so many looks that found nothing new, so that a proxy keeps the stream open.
const QUIET_LOOKS_MAX: u32 = 7;

pub(crate) async fn live(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    // What is refused is refused with a status.
    let first = rendered(&state, &name, Query::of(&uri)?).await?;
    let turn = state.desk.watchers.clone().try_acquire_owned();
    let turn = turn.map_err(|_| ApiError::TooManyWatchers)?;
    let (pieces, taken) = mpsc::channel(1);
    let mut seen = HashMap::new();
    // The page was loaded a moment ago: what it shows is not sent again, only what differs from now on.
    let _ = changed(&mut seen, first.parts());
    let watch = Watch {
        state,
        headers,
        name,
        uri,
        seen,
    };
    tokio::spawn(watch.run(pieces));
    let kind = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    Ok((kind, Body::new(Pieces { taken, _turn: turn })).into_response())
}

struct Watch {
    state: AppState,
    headers: HeaderMap,
    name: String,
    /// Its query is read again at each rendering.
    uri: Uri,
    /// What each part was when it was last sent.
    seen: HashMap<&'static str, String>,
}

impl Watch {
    async fn run(mut self, pieces: mpsc::Sender<Bytes>) {
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut quiet = 0;
        // The first line at once: the script learns that it is connected.
        let mut out = ": following\n\n".to_owned();
        loop {
            if !out.is_empty() && pieces.send(out.into()).await.is_err() {
                return;
            }
            tokio::select! {
                () = pieces.closed() => return,
                _ = ticks.tick() => {}
            }
            let Ok(fragment) = self.look().await else { return };
            out = changed(&mut self.seen, fragment.parts());
            quiet = if out.is_empty() { quiet + 1 } else { 0 };
            if quiet >= QUIET_LOOKS_MAX {
                quiet = 0;
                ": nothing new\n\n".clone_into(&mut out);
            }
        }
    }

    async fn look(&self) -> Result<Fragment, ApiError> {
        self.state.door.still_admits(&self.headers)?;
        rendered(&self.state, &self.name, Query::of(&self.uri)?).await
    }
}

/// The parts that differ from what was seen, as events.
fn changed(seen: &mut HashMap<&'static str, String>, parts: Vec<(&'static str, maud::Markup)>) -> String {
    let mut out = String::new();
    for (name, markup) in parts {
        let html = markup.into_string();
        if seen.get(name) == Some(&html) {
            continue;
        }
        out.push_str(&format!("data: {}\n\n", json!({ "part": name, "html": html })));
        seen.insert(name, html);
    }
    out
}

struct Pieces {
    taken: mpsc::Receiver<Bytes>,
    _turn: OwnedSemaphorePermit,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let piece = self.taken.poll_recv(cx);
        piece.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maud::html;

    #[test]
    fn a_part_is_sent_when_it_differs_and_on_one_line() {
        let mut seen = HashMap::new();
        let parts = |text: &str| vec![("a", html! { p { (text) } }), ("b", html! { "same" })];
        assert!(changed(&mut seen, parts("1\n<b>")).contains(r#"data: {"part":"a","html":"<p>1\n&lt;b&gt;</p>"}"#));
        assert_eq!(changed(&mut seen, parts("1\n<b>")), "");
        let again = changed(&mut seen, parts("2"));
        assert!(again.contains("\"a\"") && !again.contains("\"b\""), "{again}");
    }
}
