//! An upgraded connection: bytes both ways, until either side has enough.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::client::Client;
use super::connection::Connection;
use super::reply::Reply;
use crate::exchange::{Exchange, Outcome};
use crate::response_facts::ResponseFacts;

/// The client's connection ends with it: what was upgraded is no HTTP any more.
pub(super) async fn run(client: &mut Client, mut connection: Connection, reply: Reply, mut exchange: Box<Exchange>) {
    exchange.upgraded();
    exchange.response_head(reply.status, ResponseFacts::Wire(&reply.head));
    // An upgraded connection has no bodies; only that it was is kept, and where that fails it goes on.
    let _counted = exchange.response_ready(false);
    let mut out = reply.head;
    out.extend_from_slice(reply.first.bytes());
    let pipelined = std::mem::take(&mut client.unread);
    let begun = async {
        client.send(&out).await?;
        connection.write_all(&pipelined).await?;
        connection.flush().await
    };
    if begun.await.is_ok() {
        let (mut received, mut sent) = (0, 0);
        copy_until_either_ends(client, &mut connection, &mut received, &mut sent).await;
        exchange.tunnelled(received, sent);
    }
    exchange.close(Outcome::Complete);
}

/// A WebSocket's close frames cross before either side closes, so the first end is the end of both.
async fn copy_until_either_ends(
    client: &mut Client,
    connection: &mut Connection,
    received: &mut usize,
    sent: &mut usize,
) {
    let mut from_client = vec![0; 8 * 1024];
    let mut from_server = vec![0; 8 * 1024];
    loop {
        tokio::select! {
            read = client.stream.read(&mut from_client) => match read {
                Ok(bytes) if bytes > 0 => {
                    *received += bytes;
                    if connection.write_all(&from_client[..bytes]).await.is_err() || connection.flush().await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
            read = connection.read(&mut from_server) => match read {
                Ok(bytes) if bytes > 0 => {
                    *sent += bytes;
                    if client.send(&from_server[..bytes]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}
