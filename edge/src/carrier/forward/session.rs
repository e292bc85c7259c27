//! One client's connection, from request to request.
//!
//! While it waits for a request it is this task, a socket and no buffer: ten thousand idle clients are a few megabytes.
//! What a request needs until its answer begins is a future of its own, boxed, gone when only bytes are left to pass on.
//!
//! One timer serves the connection's whole life. It is not set anew for each request: where it fires early, it is put
//! off to when it would be due.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use super::answering::Begun;
use super::client::Client;
use super::request::{HeadError, Request};
use super::scratch::Filled;
use super::{Forwarder, http2, refusal};
use crate::crowd::Guest;
use crate::error::Refusal;
use crate::tls::Wire;

/// A kept-alive client that says nothing for so long is let go; the SDKs' pools keep theirs for less.
const IDLE_MAX: Duration = Duration::from_secs(75);

/// While the edge stops, a connection whose answer has just ended is kept for so long.
const LAST_WORD: Duration = Duration::from_millis(250);

enum Event {
    Read(io::Result<Filled>),
    TooLate,
}

/// `guest`: its place among the connections. A stream of HTTP/2 has none, and carries one request.
pub(super) async fn run(forwarder: Arc<Forwarder>, stream: Wire, address: SocketAddr, guest: Option<Guest>) {
    let plane = &forwarder.plane;
    let is_stream = matches!(stream, Wire::Pipe(_));
    let _counted = guest.as_ref().map(|_| plane.in_flight.enter());
    let mut client = Client::new(stream, address, plane.timeouts.client);
    let mut timer = pin!(tokio::time::sleep(IDLE_MAX));
    let mut stopped = pin!(plane.stop.stopped());
    // Once is enough: it is the same task that waits, for as long as the connection lives.
    poll_fn(|cx| {
        let _ = stopped.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
    let mut is_first = true;
    loop {
        let request = match next_request(&forwarder, &mut client, timer.as_mut()).await {
            Next::Request(mut request) => {
                request.terms.takes_trailers = is_stream && request.asks_for_trailers();
                request
            }
            // Only from its first byte on: what began as one protocol does not become the other.
            Next::Http2 if is_first => {
                let Client { stream, unread, .. } = client;
                return http2::serve(forwarder.clone(), stream, unread, address).await;
            }
            Next::Http2 => {
                refuse(&forwarder, &mut client, Refusal::BadRequest).await;
                break;
            }
            Next::Nothing => break,
        };
        is_first = false;
        if plane.pressure.is_high() {
            refuse(&forwarder, &mut client, Refusal::AtMemoryBound).await;
            break;
        }
        // The one look at the clock: what the exchange began with is what the list of a stop would say.
        let came = Instant::now();
        let begin = Box::pin(first_aside(&forwarder, &mut client, request, came));
        let goes_on = match plane.stop.listing(came, None, begin).await {
            Begun::Ended { goes_on } => goes_on,
            Begun::Answering(answering) => {
                let (since, router) = answering.of();
                // Boxed: an idle connection is to hold no room for it.
                let pass_on = Box::pin(forwarder.pass_on(&mut client, answering));
                plane.stop.listing(since, router, pass_on).await
            }
        };
        if !goes_on || is_stream {
            break;
        }
    }
    if !client.is_cut {
        client.stream.say_goodbye();
    }
}

#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once, and a box would be an allocation for each request"
)]
enum Next {
    Request(Request),
    /// The client speaks HTTP/2; what it said is unread.
    Http2,
    /// Closed, silent, malformed (which is answered), or let go by a stop.
    Nothing,
}

/// What is answered aside, else what routes make of the request. The request is in here, and not in what waits for one.
async fn first_aside(forwarder: &Forwarder, client: &mut Client, mut request: Request, came: Instant) -> Begun {
    if let Some(aside) = &forwarder.aside
        && let Some(goes_on) = aside.answer(client, &mut request, &forwarder.plane).await
    {
        return Begun::Ended { goes_on };
    }
    forwarder.begin(client, request, came).await
}

async fn next_request(forwarder: &Forwarder, client: &mut Client, mut timer: Pin<&mut Sleep>) -> Next {
    let mut deadline = client.active_at + IDLE_MAX;
    let mut has_begun = false;
    let mut may_be_whole = !client.unread.is_empty();
    loop {
        if may_be_whole {
            match Request::take(&mut client.unread, &forwarder.plane.bounds.head) {
                Ok(Some(request)) => return Next::Request(request),
                Ok(None) if !has_begun => {
                    has_begun = true;
                    deadline = Instant::now() + forwarder.plane.timeouts.head;
                }
                Ok(None) => {}
                Err(HeadError::Malformed) if forwarder.speaks_http_2 && http2::is_begun(&client.unread) => {
                    return Next::Http2;
                }
                Err(error) => return refuse(forwarder, client, refusal_of(error)).await,
            }
        }
        let event = poll_fn(|cx| {
            // What has come already is answered, also while stopping.
            if let Poll::Ready(read) = client.poll_read(cx) {
                return Poll::Ready(Event::Read(read));
            }
            // Its client's next request may be on its way: it is answered, and told to be the last.
            if let Some(until) = forwarder.plane.stop.idle_until().filter(|_| !has_begun) {
                deadline = deadline.min(until.max(client.active_at + LAST_WORD));
            }
            poll_deadline(timer.as_mut(), deadline, cx).map(|()| Event::TooLate)
        });
        match event.await {
            Event::Read(Ok(filled)) if !filled.bytes().is_empty() => {
                client.keep_unread(filled.bytes());
                // Lines are few, so a head that comes byte by byte is not read from its start for each byte.
                may_be_whole = !has_begun
                    || memchr::memchr(b'\n', filled.bytes()).is_some()
                    || client.unread.len() >= forwarder.plane.bounds.head.bytes_max;
            }
            Event::TooLate if has_begun => return refuse(forwarder, client, Refusal::RequestTimeout).await,
            _ => return Next::Nothing,
        }
    }
}

async fn refuse(forwarder: &Forwarder, client: &mut Client, refusal: Refusal) -> Next {
    Box::pin(refusal::send_without_request(client, refusal, &forwarder.plane)).await;
    Next::Nothing
}

fn refusal_of(error: HeadError) -> Refusal {
    match error {
        HeadError::Malformed => Refusal::BadRequest,
        HeadError::TooLarge => Refusal::HeadTooLarge,
        HeadError::Connect => Refusal::MethodNotAllowed,
    }
}

/// Ready at the deadline, whatever the timer is set to.
fn poll_deadline(mut timer: Pin<&mut Sleep>, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
    if timer.deadline().into_std() > deadline {
        timer.as_mut().reset(deadline.into());
    }
    while timer.as_mut().poll(cx).is_ready() {
        if timer.deadline().into_std() >= deadline {
            return Poll::Ready(());
        }
        timer.as_mut().reset(deadline.into());
    }
    Poll::Pending
}
