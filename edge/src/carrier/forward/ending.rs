//! The end of an exchange that did not come to its answer's.

use super::answering::{Begun, ENDED};
use super::client::Client;
use super::inbound::Inbound;
use super::refusal;
use super::trouble::Trouble;
use crate::error::Refusal;
use crate::exchange::{Exchange, Outcome};
use crate::upstream::Upstream;

/// Ends an exchange whose request may not have been read to its end.
pub(super) async fn end(
    client: &mut Client,
    body: &mut Inbound,
    mut exchange: Box<Exchange>,
    trouble: Trouble,
) -> Begun {
    match trouble {
        Trouble::Refused(refusal) => {
            exchange.refusing();
            let goes_on = refusal::send(client, body, refusal, &exchange).await;
            exchange.close(Outcome::Refused(refusal));
            Begun::Ended { goes_on }
        }
        Trouble::ClientGone => {
            exchange.close(Outcome::ClientGone);
            ENDED
        }
        Trouble::Cut => {
            client.is_cut = true;
            broke_off(&mut exchange);
            ENDED
        }
    }
}

pub(super) async fn end_complete(client: &mut Client, exchange: Box<Exchange>, trouble: Trouble) -> Begun {
    end(client, &mut Inbound::none(), exchange, trouble).await
}

pub(super) async fn refuse(client: &mut Client, exchange: Box<Exchange>, refusal: Refusal) -> Begun {
    end_complete(client, exchange, Trouble::Refused(refusal)).await
}

pub(super) fn broke_off(exchange: &mut Exchange) {
    let server = exchange.current_server().map(Upstream::label);
    tracing::warn!(server, "a server's answer broke off");
    exchange.close(Outcome::UpstreamFailed);
}
