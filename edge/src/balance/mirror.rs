//! A copy of a request for a server whose answer nobody sees.
//!
//! The original never waits for it and never fails with it: a copy is taken of what was kept for a second attempt anyway,
//! once the original has been sent whole; it is sent by a task of its own, and its answer is read and thrown away. What
//! does not fit (a longer body, too many copies on their way, a server that does not answer) is dropped.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Semaphore;

use super::member::{Mirror, Pick};
use crate::carrier::forward::Connections;
use crate::tls::Back;

/// Of one copied body: prompts are far shorter.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;

/// Copies on their way, in the whole edge: 64 MiB at most.
const COPIES_MAX: usize = 64;

/// A mirror that has not answered by then will not be waited for; a model that generates long is cut.
const PATIENCE: Duration = Duration::from_secs(300);

/// A place for a copy, while it is on its way.
#[derive(Debug)]
pub(crate) struct Copies {
    places: Arc<Semaphore>,
    back: Arc<Back>,
}

impl Copies {
    pub(crate) fn new(back: Arc<Back>) -> Self {
        let places = Arc::new(Semaphore::new(COPIES_MAX));
        Self { places, back }
    }

    /// Sends a request's head and body to each of these.
    pub(crate) fn send(&self, mirrors: Vec<Mirror>, connect_timeout: Duration, head: &[u8], body: &[u8]) {
        // So that the end of its answer is seen without understanding it.
        let Some(head) = head.strip_suffix(b"\r\n") else { return };
        for mirror in mirrors {
            if body.len() > mirror.body_bytes_max {
                continue;
            }
            let Ok(place) = self.places.clone().try_acquire_owned() else {
                return;
            };
            let back = self.back.clone();
            let copy = [head, b"Connection: close\r\n\r\n", body].concat();
            tokio::spawn(async move {
                let (_place, _slot) = (place, mirror.slot);
                let connections = Connections::new(back, connect_timeout);
                let sent = send(&mirror.pick, &connections, &copy);
                if !matches!(tokio::time::timeout(PATIENCE, sent).await, Ok(Ok(()))) {
                    tracing::debug!(
                        server = mirror.pick.member.upstream.label(),
                        "a mirrored request failed"
                    );
                }
            });
        }
    }
}

async fn send(pick: &Pick, connections: &Connections, request: &[u8]) -> std::io::Result<()> {
    let server = &pick.member.upstream;
    let address = server.address().await?;
    let mut connection = connections.open(server, address).await?;
    connection.write_all(request).await?;
    connection.flush().await?;
    let mut rest = [0; 4096];
    while connection.read(&mut rest).await? > 0 {}
    Ok(())
}
