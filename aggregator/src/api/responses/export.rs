//! An export on its way: one exchange after another, the newest first, as the client takes them.
//!
//! ```text
//!   store ──page of rows──▶ task ──exchange by exchange──▶ lines ──[ 2 pieces of 64 KiB ]──▶ hyper polls
//! ```
//!
//! Bounded by what one exchange may hold, whatever the store does. A failure cuts the answer, so that nobody takes a part
//! for the whole. The task ends with the body: when the client goes, sending fails.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::{chat, shape};
use crate::api::query::Format;
use crate::error::ApiError;
use crate::store::{Filter, Page, PageRequest, Row, Store, StoreError};

/// Rows without their bodies.
const PAGE_ROWS: usize = 200;
const PIECE_BYTES: usize = 64 * 1024;
const PIECES_WAITING: usize = 2;

pub(super) struct Export {
    store: Store,
    filter: Filter,
    format: Format,
    first: Page<Row>,
}

impl Export {
    /// Reads the first page, which shows that the rest can be had.
    pub(super) async fn begin(store: Store, filter: Filter, format: Format) -> Result<Self, ApiError> {
        let page = PageRequest {
            limit: PAGE_ROWS,
            before: None,
        };
        let first = store.list(filter.clone(), page).await?;
        Ok(Self {
            store,
            filter,
            format,
            first,
        })
    }

    pub(super) fn into_body(self) -> Body {
        let (pieces, taken) = mpsc::channel(PIECES_WAITING);
        tokio::spawn(async move {
            if let Err(error) = self.run(&pieces).await {
                tracing::warn!(%error, "an export was cut");
                // A client that has gone needs no cut.
                let _ = pieces.send(Err(io::Error::other("the export failed"))).await;
            }
        });
        Body::new(Pieces { taken })
    }

    async fn run(self, pieces: &Sender) -> Result<(), StoreError> {
        let any_status = self.filter.status.is_some();
        let (mut page, mut piece) = (self.first, Vec::with_capacity(PIECE_BYTES));
        loop {
            for row in &page.items {
                // Removed since it was listed: then it is none of the export's.
                let Some(stored) = self.store.show(row.id).await? else {
                    continue;
                };
                let line = match self.format {
                    Format::JsonLines => Some(shape::whole(&stored).ok_or(StoreError::Damaged("an exchange"))?),
                    Format::Chat => chat::conversation(&stored, any_status),
                };
                let Some(line) = line else { continue };
                piece.extend_from_slice(line.as_bytes());
                piece.push(b'\n');
                if piece.len() >= PIECE_BYTES && !send(pieces, &mut piece).await {
                    return Ok(());
                }
            }
            let Some(next) = page.next else { break };
            let request = PageRequest {
                limit: PAGE_ROWS,
                before: Some(next),
            };
            page = self.store.list(self.filter.clone(), request).await?;
            if pieces.is_closed() {
                return Ok(());
            }
        }
        send(pieces, &mut piece).await;
        Ok(())
    }
}

type Sender = mpsc::Sender<io::Result<Bytes>>;

/// Whether anybody still takes them.
async fn send(pieces: &Sender, piece: &mut Vec<u8>) -> bool {
    let full = std::mem::replace(piece, Vec::with_capacity(PIECE_BYTES));
    full.is_empty() || pieces.send(Ok(full.into())).await.is_ok()
}

struct Pieces {
    taken: mpsc::Receiver<io::Result<Bytes>>,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.taken
            .poll_recv(cx)
            .map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
