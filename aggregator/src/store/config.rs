//! What the store is told, checked.

use std::path::PathBuf;
use std::time::Duration;

use super::error::StoreError;
use super::seal::BodyKey;
use crate::config_file::ResponseStorage;

#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The database; its folder is made where it is missing.
    pub path: PathBuf,
    /// Bodies are compressed where that makes them smaller.
    pub compress: bool,
    /// Never together with `encryption`: the index would hold in the clear what the bodies hide.
    pub full_text_search: bool,
    pub encryption: Option<BodyKey>,
    pub retention: Retention,
}

/// What is kept no longer. Both at once: whatever is over either bound goes, the oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    pub age_max: Option<Duration>,
    /// Of the database file, what is free in it aside.
    pub bytes_max: Option<u64>,
}

impl StoreConfig {
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            compress: true,
            full_text_search: true,
            encryption: None,
            retention: Retention::default(),
        }
    }

    /// What a `response_storage` section means; `None` where nothing is to be kept.
    ///
    /// # Errors
    /// [`StoreError::Open`], where the key file cannot be used, or where a search index is asked for beside encryption.
    pub fn of_section(section: &ResponseStorage) -> Result<Option<Self>, StoreError> {
        if !section.enabled {
            return Ok(None);
        }
        let encryption = section.encryption_key_file.as_deref().map(BodyKey::load).transpose()?;
        // Asked for beside encryption it is refused when the store is opened; not asked for, it stays off there.
        let full_text_search = section.full_text_search.unwrap_or(encryption.is_none());
        Ok(Some(Self {
            path: section.db_path.clone(),
            compress: section.compress,
            full_text_search,
            encryption,
            retention: section.retention,
        }))
    }
}
