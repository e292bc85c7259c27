//! A deliberation, and what has been said in it and not been passed on.
//!
//! Invariant: what was said before the end comes before it, and nothing moves unless somebody listens.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use dialect::Failure;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::council::{Transcript, Word};

type Work = Pin<Box<dyn Future<Output = Result<Transcript, Failure>> + Send>>;

pub(super) struct Table {
    work: Option<Work>,
    words: UnboundedReceiver<Word>,
}

/// What moving a deliberation came to.
pub(super) enum Moved {
    Said(Word),
    Ended(Result<Box<Transcript>, Failure>),
}

impl Table {
    pub(super) fn new(
        work: impl Future<Output = Result<Transcript, Failure>> + Send + 'static,
        words: UnboundedReceiver<Word>,
    ) -> Self {
        let work: Work = Box::pin(work);
        Self {
            work: Some(work),
            words,
        }
    }

    /// What was said before the end comes before it.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Moved>> {
        if let Ok(word) = self.words.try_recv() {
            return Poll::Ready(Some(Moved::Said(word)));
        }
        let Some(work) = &mut self.work else {
            return Poll::Ready(None);
        };
        let ended = work.as_mut().poll(cx);
        match self.words.try_recv() {
            Ok(word) => {
                if let Poll::Ready(ended) = ended {
                    // Kept until every word is out.
                    self.work = Some(Box::pin(std::future::ready(ended)));
                }
                Poll::Ready(Some(Moved::Said(word)))
            }
            Err(_) => ended.map(|ended| {
                self.work = None;
                Some(Moved::Ended(ended.map(Box::new)))
            }),
        }
    }

    pub(super) async fn next(&mut self) -> Option<Moved> {
        poll_fn(|cx| self.poll_next(cx)).await
    }
}
