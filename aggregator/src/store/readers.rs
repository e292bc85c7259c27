//! A few connections that only read, each used by one query at a time.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::StoreError;
use super::schema;

/// Administrators are few, and a query's time is bounded.
const READERS: usize = 4;
/// How long a query waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let connections: Result<Vec<_>, _> = (0..READERS).map(|_| schema::open_reader(path)).collect();
        Ok(Self {
            idle: Arc::new(Mutex::new(connections?)),
            turns: Arc::new(Semaphore::new(READERS)),
        })
    }

    /// Runs a query where it may wait for the disk.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        let turn = tokio::time::timeout(PATIENCE, turn)
            .await
            .map_err(|_| StoreError::Busy)?;
        let lent = Lent::take(&self.idle, turn.map_err(|_| StoreError::Closed)?)?;
        let query = tokio::task::spawn_blocking(move || query(lent.connection()?));
        query.await.map_err(|_| StoreError::Closed)?
    }

    /// The same on this thread, for a start.
    pub(super) fn read_now<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let turn = Arc::clone(&self.turns)
            .try_acquire_owned()
            .map_err(|_| StoreError::Busy)?;
        let lent = Lent::take(&self.idle, turn)?;
        query(lent.connection()?)
    }
}

/// A connection that goes back when the query ends, also where it panics; its turn ends after that.
struct Lent {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    _turn: OwnedSemaphorePermit,
}

impl Lent {
    fn take(idle: &Arc<Mutex<Vec<Connection>>>, turn: OwnedSemaphorePermit) -> Result<Self, StoreError> {
        let connection = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(Self {
            connection: Some(connection.ok_or(StoreError::Busy)?),
            idle: Arc::clone(idle),
            _turn: turn,
        })
    }

    fn connection(&self) -> Result<&Connection, StoreError> {
        self.connection.as_ref().ok_or(StoreError::Closed)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.connection.take());
    }
}
