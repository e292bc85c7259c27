//! The keys of the mapping folder, for whoever administers them over HTTP: seen as the running planes see them, and edited
//! through `keymap::edit`, which `conclave key` uses too.
//!
//! Refuses to hold a key: a new one is made, written as its hash, and handed out once. Invariant: an edit returns when the
//! running planes can know of it, or a second later.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use keymap::edit::{EditError, KeyFacts, KeyRow, LockedFolder, NewKey, NewService, Rotation, keys, time};
use keymap::{ApiKey, Snapshot};

use crate::backend::MappingFolder;

/// How long an edit waits for another one: an operator waits in front of a page.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// How long an edit waits until the folder's change was noticed.
const NOTICE_PATIENCE: Duration = Duration::from_secs(1);
const NOTICE_LOOK: Duration = Duration::from_millis(10);
/// Listing a hundred thousand keys takes a while, and a page looks every two seconds.
const ROWS_KEPT: Duration = Duration::from_secs(1);

/// What a new key is to be, as it was typed.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    /// A service's name or a server's URL; `None`: the folder's only service.
    pub(crate) service: Option<String>,
    pub(crate) models: Vec<String>,
    pub(crate) requests_per_minute: Option<u64>,
    pub(crate) tokens_per_day: Option<u64>,
    pub(crate) concurrent: Option<u64>,
    pub(crate) expires: Option<String>,
    pub(crate) note: Option<String>,
}

/// A key that was made. It is shown once, by whoever has this.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) name: String,
    pub(crate) key: ApiKey,
    pub(crate) file: String,
    pub(crate) service: Option<String>,
    pub(crate) expires_at: Option<String>,
    /// Of a rotation: until when the key before it works.
    pub(crate) old_key_until: Option<String>,
}

/// What was taken out.
#[derive(Debug)]
pub(crate) struct Revoked {
    pub(crate) names: Vec<String>,
    /// Routers that take keys by a pattern, which a revoked key may match as well.
    pub(crate) patterns: Vec<String>,
}

pub(crate) struct Keyring {
    folder: MappingFolder,
    rows: Mutex<Option<Kept>>,
}

/// Rows as they were of this generation of the folder, at this moment.
struct Kept {
    generation: u64,
    at: Instant,
    rows: Arc<[KeyRow]>,
}

impl Keyring {
    pub(crate) fn new(folder: MappingFolder) -> Self {
        Self {
            folder,
            rows: Mutex::default(),
        }
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.folder.snapshot()
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Every key, by name.
    pub(crate) fn rows(&self) -> Arc<[KeyRow]> {
        let snapshot = self.folder.snapshot();
        let mut kept = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = &*kept
            && kept.generation == snapshot.generation
            && kept.at.elapsed() < ROWS_KEPT
        {
            return Arc::clone(&kept.rows);
        }
        let rows: Arc<[KeyRow]> = keys(&KeyFacts {
            folder: self.folder.path(),
            snapshot: &snapshot,
            last_uses: &BTreeMap::new(),
            now: SystemTime::now(),
        })
        .into();
        *kept = Some(Kept {
            generation: snapshot.generation,
            at: Instant::now(),
            rows: Arc::clone(&rows),
        });
        rows
    }

    /// # Errors
    /// Where the name is taken or unfit, the service unknown, or the folder cannot be written.
    pub(crate) async fn create(&self, wanted: Wanted) -> Result<Made, EditError> {
        self.edited(move |folder| created(&folder, wanted)).await
    }

    /// # Errors
    /// Where the router does not pin one key of its own, or cannot be edited safely.
    pub(crate) async fn rotate(&self, name: String, grace: String) -> Result<Made, EditError> {
        self.edited(move |folder| rotated(&folder, name, &grace)).await
    }

    /// # Errors
    /// Where it is not there, its key would still work, or it cannot be taken out safely.
    pub(crate) async fn revoke(&self, names: Vec<String>) -> Result<Revoked, EditError> {
        self.edited(move |folder| {
            let revocation = folder.revoke(&names)?;
            folder.apply(&revocation.plan)?;
            Ok(Revoked {
                names: revocation.routers,
                patterns: revocation.patterns,
            })
        })
        .await
    }

    /// The edit, where it may wait for the disk; then a moment for the watch to see it.
    async fn edited<T: Send + 'static>(
        &self,
        edit: impl FnOnce(LockedFolder) -> Result<T, EditError> + Send + 'static,
    ) -> Result<T, EditError> {
        let before = self.folder.snapshot().generation;
        let path: PathBuf = self.folder.path().to_owned();
        let work = tokio::task::spawn_blocking(move || edit(LockedFolder::lock(&path, LOCK_PATIENCE)?));
        let outcome = work
            .await
            .map_err(|_| EditError::new("The edit ended abnormally.", "", "The log says why."))??;
        let deadline = Instant::now() + NOTICE_PATIENCE;
        while self.folder.snapshot().generation == before && Instant::now() < deadline {
            tokio::time::sleep(NOTICE_LOOK).await;
        }
        Ok(outcome)
    }
}

fn created(folder: &LockedFolder, wanted: Wanted) -> Result<Made, EditError> {
    let now = SystemTime::now();
    let expires_at = wanted
        .expires
        .as_deref()
        .map(|typed| time::expiry(typed, now))
        .transpose()?;
    let service = match wanted.service {
        Some(service) => service,
        None => folder.only_service()?,
    };
    let key = minted()?;
    let plan = folder.create(&NewKey {
        name: &wanted.name,
        key: &key,
        plain: false,
        service: match service.contains("://") {
            true => NewService::At(&service),
            false => NewService::Named(&service),
        },
        models: &wanted.models,
        requests_per_minute: wanted.requests_per_minute,
        tokens_per_day: wanted.tokens_per_day,
        concurrent: wanted.concurrent,
        not_after: expires_at.as_deref(),
        note: wanted.note.as_deref(),
    })?;
    folder.apply(&plan)?;
    Ok(Made {
        file: file_name(plan.paths().next()),
        name: wanted.name,
        key,
        service: Some(service),
        expires_at,
        old_key_until: None,
    })
}

fn rotated(folder: &LockedFolder, name: String, grace: &str) -> Result<Made, EditError> {
    let now = SystemTime::now();
    let until = time::end_of_grace(grace, now)?;
    let key = minted()?;
    let plan = folder.rotate(&Rotation {
        name: &name,
        key: &key,
        plain: false,
        until: &until,
        now: &time::rfc3339(now),
    })?;
    folder.apply(&plan)?;
    Ok(Made {
        file: file_name(plan.paths().last()),
        name,
        key,
        service: None,
        expires_at: None,
        old_key_until: Some(until),
    })
}

fn minted() -> Result<ApiKey, EditError> {
    keymap::edit::mint().map_err(|error| EditError::new("The system gives no randomness.", error.to_string(), ""))
}

fn file_name(path: Option<&std::path::Path>) -> String {
    let name = path.and_then(std::path::Path::file_name);
    name.unwrap_or_default().to_string_lossy().into_owned()
}
