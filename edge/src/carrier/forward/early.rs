//! A server that answers before it has the whole request: both directions run at once until the answer is whole. What
//! the client still sends after that is nobody's, so its connection ends.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncWrite as _;

use super::client::Client;
use super::connection::Connection;
use super::inbound::Inbound;
use super::outgoing::Upload;
use super::relay::{NotBegun, PassError, Passage};
use super::reply::Reply;
use super::scratch::{self, Filled};
use super::{Begun, ENDED, Trouble, end};
use crate::error::Refusal;
use crate::exchange::{Exchange, Outcome};

pub(super) async fn answer(
    client: &mut Client,
    mut body: Inbound,
    mut exchange: Box<Exchange>,
    mut connection: Connection,
    (reply, upload): (Reply, Upload),
    read_timeout: Option<Duration>,
) -> Begun {
    let passed = match Passage::begin(reply, client, &mut exchange).await {
        Ok(passage) => {
            both_ways(
                client,
                &mut body,
                &mut connection,
                &mut exchange,
                upload,
                passage,
                read_timeout,
            )
            .await
        }
        Err(NotBegun::Server) => Err(Trouble::Refused(Refusal::UpstreamFailed)),
        Err(NotBegun::Client) => Err(Trouble::ClientGone),
        Err(NotBegun::NotKept) => Err(Trouble::Refused(Refusal::NotKept)),
    };
    match passed {
        Ok(()) => {
            exchange.close(Outcome::Complete);
            drop(connection);
            body.linger(client).await;
            ENDED
        }
        Err(trouble) => end(client, &mut body, exchange, trouble).await,
    }
}

enum Event {
    /// Of the request's body.
    Body(io::Result<Filled>),
    ClientGone,
    Sent(io::Result<usize>),
    Read(io::Result<Filled>),
}

/// Neither direction waits for the other, so that none can block both.
async fn both_ways(
    client: &mut Client,
    body: &mut Inbound,
    connection: &mut Connection,
    exchange: &mut Exchange,
    mut upload: Upload,
    mut passage: Passage,
    read_timeout: Option<Duration>,
) -> Result<(), Trouble> {
    while !passage.ended {
        if !upload.complete && !client.unread.is_empty() {
            let taken = upload.take(&client.unread, body, exchange)?;
            client.has_read(taken);
            keep(exchange).await?;
        }
        let event = next(client, connection, &upload);
        let event = match read_timeout {
            None => event.await,
            Some(limit) => tokio::time::timeout(limit, event).await.map_err(|_| Trouble::Cut)?,
        };
        match event {
            Event::Read(read) => {
                let filled = read.map_err(|_| Trouble::Cut)?;
                let passed = passage.pass(filled, client, exchange).await;
                passed.map_err(|error| match error {
                    PassError::Client => Trouble::ClientGone,
                    PassError::Server => Trouble::Cut,
                })?;
            }
            Event::Sent(Ok(bytes)) => upload.advance(bytes),
            // A server that has stopped reading may still finish its answer.
            Event::Sent(Err(_)) => upload.give_up(),
            Event::Body(read) => {
                let filled = read.map_err(|_| Trouble::ClientGone)?;
                if filled.bytes().is_empty() {
                    return Err(Trouble::ClientGone);
                }
                let taken = upload.take(filled.bytes(), body, exchange)?;
                client.keep_unread(&filled.bytes()[taken..]);
                drop(filled);
                keep(exchange).await?;
            }
            Event::ClientGone => return Err(Trouble::ClientGone),
        }
    }
    Ok(())
}

/// The piece of the body that has come is kept before it is sent.
async fn keep(exchange: &mut Exchange) -> Result<(), Trouble> {
    match exchange.request_ready() {
        Ok(()) => Ok(()),
        Err(_) => exchange.wait_until_kept().await.map_err(|_| Trouble::Cut),
    }
}

async fn next(client: &mut Client, connection: &mut Connection, upload: &Upload) -> Event {
    let unsent = &upload.unsent[upload.sent..];
    poll_fn(|cx| {
        if let Poll::Ready(read) = scratch::poll_read(connection, cx) {
            return Poll::Ready(Event::Read(read));
        }
        if !unsent.is_empty() {
            return Pin::new(&mut *connection).poll_write(cx, unsent).map(Event::Sent);
        }
        // TLS may hold back what it has taken. Where that fails, the next read says so.
        let _ = Pin::new(&mut *connection).poll_flush(cx);
        if upload.complete {
            client.poll_gone(cx).map(|()| Event::ClientGone)
        } else {
            client.poll_read(cx).map(Event::Body)
        }
    })
    .await
}

impl Upload {
    /// Frames what one read brought; returns how many of its bytes were the body's.
    fn take(&mut self, bytes: &[u8], body: &mut Inbound, exchange: &mut Exchange) -> Result<usize, Trouble> {
        let mut within_bounds = Ok(());
        let taken = body.feed(bytes, |piece| {
            within_bounds = within_bounds.and_then(|()| exchange.request_chunk(piece));
            self.framing.frame(piece, &mut self.unsent);
        });
        // The answer has begun: what goes wrong now can only be cut.
        let taken = taken.map_err(|_| Trouble::Cut)?;
        within_bounds.map_err(|_| Trouble::Cut)?;
        if body.is_done() {
            self.complete = true;
            self.unsent.extend_from_slice(self.framing.terminator());
        }
        Ok(taken)
    }

    fn advance(&mut self, bytes: usize) {
        self.sent += bytes;
        if self.sent == self.unsent.len() {
            self.unsent.clear();
            self.sent = 0;
        }
    }

    fn give_up(&mut self) {
        self.unsent.clear();
        self.sent = 0;
        self.complete = true;
    }
}
