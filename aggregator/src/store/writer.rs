//! The one thread that writes. It takes commands from a bounded queue, and keeps house between them.
//!
//! ```text
//!   commands ──▶ [ 16 ] ──▶ commit · delete a little ──▶ keep house a little ──▶ …     idle: house every minute
//! ```
//!
//! A command is done or refused as a whole; whoever sent it is told. The thread ends when the last handle is dropped, and
//! whoever drops it waits for that: at most one command and one step of housekeeping.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::codec::Codec;
use super::delete::{self, DeleteStep};
use super::error::StoreError;
use super::exchange::NewExchange;
use super::filter::Filter;
use super::insert::Inserter;
use super::retention::House;
use super::words::Words;
use super::{Committed, Facts, Mark};

/// Batches wait in memory, with their bodies.
const QUEUE_MAX: usize = 16;
/// How often house is kept while nothing else happens and nothing is left to do.
const HOUSE_INTERVAL: Duration = Duration::from_secs(60);

/// Who wants to know how a command went.
pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

pub(super) enum Command {
    Commit {
        batch: Arc<[NewExchange]>,
        mark: Option<Mark>,
        answer: Answer<Committed>,
    },
    DeleteOne {
        id: Uuid,
        answer: Answer<bool>,
    },
    /// Of what began before a place in the order.
    DeleteSome {
        filter: Arc<Filter>,
        before: Option<i64>,
        answer: Answer<DeleteStep>,
    },
}

/// The thread's owner.
pub(super) struct Writer {
    /// Until it is dropped.
    commands: Option<mpsc::Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, codec: Codec, facts: &Facts) -> Result<Self, StoreError> {
        let (commands, queue) = mpsc::channel(QUEUE_MAX);
        let refused = |error: std::io::Error| StoreError::Open {
            path: facts.path.clone(),
            rule: format!("its thread cannot be started: {error}"),
            fix: "raise the limit on threads",
        };
        // A clock of its own, for the wait between two commands.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(refused)?;
        let thread = Thread {
            house: House::new(facts.retention, facts.is_searchable),
            is_searchable: facts.is_searchable,
            words: Words::default(),
            connection,
            codec,
        };
        let thread = std::thread::Builder::new()
            .name("responses".to_owned())
            .spawn(move || thread.run(&runtime, queue))
            .map_err(refused)?;
        Ok(Self {
            commands: Some(commands),
            thread: Some(thread),
        })
    }

    pub(super) async fn send(&self, command: Command) -> Result<(), StoreError> {
        let commands = self.commands.as_ref().ok_or(StoreError::Closed)?;
        commands.send(command).await.map_err(|_| StoreError::Closed)
    }

    pub(super) fn send_blocking(&self, command: Command) -> Result<(), StoreError> {
        let commands = self.commands.as_ref().ok_or(StoreError::Closed)?;
        commands.blocking_send(command).map_err(|_| StoreError::Closed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.commands.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the response store's thread panicked");
        }
    }
}

struct Thread {
    connection: Connection,
    codec: Codec,
    words: Words,
    house: House,
    is_searchable: bool,
}

impl Thread {
    fn run(mut self, runtime: &tokio::runtime::Runtime, mut queue: mpsc::Receiver<Command>) {
        let mut next_house = Instant::now();
        loop {
            let patience = next_house.saturating_duration_since(Instant::now());
            match runtime.block_on(async { tokio::time::timeout(patience, queue.recv()).await }) {
                Ok(Some(command)) => self.obey(command),
                Ok(None) => break,
                Err(_) => {}
            }
            if Instant::now() >= next_house {
                next_house = Instant::now() + self.keep_house();
            }
        }
        // The last connection to be closed puts the log back into the database.
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "the response store was not closed cleanly; nothing is lost by that");
        }
    }

    /// An answer that nobody waits for any more is nobody's loss: what was done stays done.
    fn obey(&mut self, command: Command) {
        match command {
            Command::Commit { batch, mark, answer } => {
                let mut inserter = Inserter {
                    codec: &self.codec,
                    words: &mut self.words,
                    is_searchable: self.is_searchable,
                };
                let _ = answer.send(inserter.commit(&mut self.connection, &batch, mark.as_ref()));
            }
            Command::DeleteOne { id, answer } => {
                let _ = answer.send(delete::one(&mut self.connection, &id, self.is_searchable));
            }
            Command::DeleteSome { filter, before, answer } => {
                let _ = answer.send(delete::some(&mut self.connection, &filter, before, self.is_searchable));
            }
        }
    }

    /// How long until the next time.
    fn keep_house(&mut self) -> Duration {
        match self.house.step(&mut self.connection) {
            Ok(true) => Duration::ZERO,
            Ok(false) => HOUSE_INTERVAL,
            Err(error) => {
                tracing::warn!(%error, "the response store could not be tidied; it is tried again in a minute");
                HOUSE_INTERVAL
            }
        }
    }
}
