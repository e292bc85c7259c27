//! Where rows go. The store is one; tests have others.

use std::error::Error;
use std::sync::Arc;

use journal::Cursor;

use crate::store::{Mark, NewExchange, Store};

pub type SinkError = Box<dyn Error + Send + Sync>;

/// Keeps rows, and with them how far a journal was read.
pub trait Sink: Send + Sync + 'static {
    /// # Errors
    /// Where it cannot be read; it is asked again.
    fn cursor(&self, mark: &str) -> Result<Option<Cursor>, SinkError>;

    /// Rows and cursor, all or nothing. A row whose id is there already is not kept twice.
    ///
    /// # Errors
    /// Nothing of it was kept, or nobody knows; it is given again.
    fn commit(&self, rows: &Arc<[NewExchange]>, mark: &str, cursor: Cursor) -> Result<(), SinkError>;
}

impl Sink for Store {
    fn cursor(&self, mark: &str) -> Result<Option<Cursor>, SinkError> {
        Ok(Self::cursor(self, mark)?.map(Cursor::from_bytes))
    }

    fn commit(&self, rows: &Arc<[NewExchange]>, mark: &str, cursor: Cursor) -> Result<(), SinkError> {
        let mark = Mark {
            journal: mark.to_owned(),
            cursor: cursor.to_bytes(),
        };
        self.commit_blocking(Arc::clone(rows), Some(mark))?;
        Ok(())
    }
}
