//! The operator's desk: what administrators alone look at and act on, `/admin/*` and the pages at `/ui` alike.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::backend::MappingFolder;
use crate::error::ApiError;
use crate::history::History;
use crate::keyring::Keyring;
use crate::series::{Series, SeriesDesk, Span};
use crate::store::Store;

/// Pages that are followed live at one time, each of which renders every two seconds.
const WATCHERS_MAX: usize = 64;

pub(crate) struct Desk {
    keyring: Option<Keyring>,
    pub(crate) history: Arc<History>,
    pub(crate) series: SeriesDesk,
    pub(crate) watchers: Arc<Semaphore>,
}

impl Desk {
    pub(crate) fn new(folder: Option<MappingFolder>) -> Self {
        Self {
            keyring: folder.map(Keyring::new),
            history: Arc::default(),
            series: SeriesDesk::default(),
            watchers: Arc::new(Semaphore::new(WATCHERS_MAX)),
        }
    }

    /// # Errors
    /// [`ApiError::NoFolder`], where no folder is followed.
    pub(crate) fn keyring(&self) -> Result<&Keyring, ApiError> {
        self.keyring.as_ref().ok_or(ApiError::NoFolder)
    }

    /// # Errors
    /// Where the store cannot be read.
    pub(crate) async fn series(&self, span: Span, store: Option<&Store>) -> Result<Arc<Series>, ApiError> {
        Ok(self.series.series(span, store, &self.history).await?)
    }
}
