//! Word that a server is lost, for whoever waits for it.
//!
//! A hung server holds its connections open and says nothing, for ever. Its health check is what finds that out, and
//! this is how an exchange hears of it. Only where there is a check: a stream that nobody checks holds nothing for it.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

pub(super) struct Lost(Pin<Box<OwnedNotified>>);

impl Lost {
    pub(super) fn of(told: Arc<Notify>) -> Self {
        Self(Box::pin(told.notified_owned()))
    }

    /// Never ready where nobody checks.
    pub(super) fn poll(lost: &mut Option<Self>, cx: &mut Context<'_>) -> Poll<()> {
        match lost {
            None => Poll::Pending,
            Some(told) => {
                let heard = told.0.as_mut().poll(cx);
                if heard.is_ready() {
                    // It is told once.
                    *lost = None;
                }
                heard
            }
        }
    }
}
