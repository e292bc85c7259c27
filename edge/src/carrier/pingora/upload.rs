//! How slowly a client of HTTP/2 may bring its body. pingora waits for its frames for ever.
//!
//! What comes is noted where pingora hands it on, so a server that takes nothing of a body for a whole window counts
//! against its client too; with HTTP/1.1 it does not.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use pingora_core::protocols::http::ServerSession;
use pingora_http::RequestHeader;

use crate::carrier::rate::bytes_min;

#[derive(Debug, Clone, Default)]
pub(super) struct Upload(Arc<Progress>);

#[derive(Debug, Default)]
struct Progress {
    bytes: AtomicU64,
    /// It has ended, or how it goes on no longer matters.
    is_over: AtomicBool,
    was_too_slow: AtomicBool,
}

impl Upload {
    /// Goes with the session's request from here on.
    pub(super) fn begin(session: &mut ServerSession) -> Self {
        let upload = Self::default();
        if session.is_body_done() {
            upload.is_over();
        }
        session.req_header_mut().extensions_mut().insert(upload.clone());
        upload
    }

    pub(super) fn of(request: &RequestHeader) -> Option<&Self> {
        request.extensions.get()
    }

    pub(super) fn note(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }

    pub(super) fn was_too_slow(&self) -> bool {
        self.0.was_too_slow.load(Ordering::Relaxed)
    }

    /// Ready once the client brought too little in a window.
    pub(super) async fn too_slow(&self, window: Duration) {
        let mut before = 0;
        loop {
            if self.0.is_over.load(Ordering::Relaxed) {
                return pending().await;
            }
            tokio::time::sleep(window).await;
            let bytes = self.0.bytes.load(Ordering::Relaxed);
            if bytes - before < bytes_min(window) && !self.0.is_over.load(Ordering::Relaxed) {
                return self.0.was_too_slow.store(true, Ordering::Relaxed);
            }
            before = bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(30);

    async fn waited_for(upload: &Upload) -> Option<Duration> {
        let begun = tokio::time::Instant::now();
        let slow = tokio::time::timeout(10 * WINDOW, upload.too_slow(WINDOW)).await;
        slow.is_ok().then(|| begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn who_brings_too_little_is_let_go_until_the_body_is_over() {
        let silent = Upload::default();
        assert_eq!(waited_for(&silent).await, Some(WINDOW));
        let brisk = Upload::default();
        brisk.note(15_000);
        assert_eq!(waited_for(&brisk).await, Some(2 * WINDOW), "nothing came after that");
        brisk.is_over();
        assert_eq!(waited_for(&brisk).await, None);
    }
}
