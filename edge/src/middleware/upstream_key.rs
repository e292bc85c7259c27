//! upstreamKey: the backend's own key in the place of the client's.
//!
//! The key is read from the environment or from a file when it is first needed, and a file is looked at again at most
//! once a second, so that a rotated key is in use a second later. One look is a `stat` of a local file, on a request's
//! way because no request then needs a task to wait for; a file that cannot be read any more keeps its last good key.
//! Where there is no key the request is refused: without it the client's key would have to do, and it goes no further.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use custody::Terms;
use http::HeaderValue;
use http::header::{AUTHORIZATION, HeaderName};
use keymap::{KeySource, Middleware, UpstreamKey};
use zeroize::Zeroizing;

use super::HeaderChanges;
use crate::error::Refusal;

const LOOK_EVERY_MS: u64 = 1_000;

/// A key is a line. What is longer is another file.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// Every header that may bring a client's key.
const CREDENTIALS: [HeaderName; 4] = [
    AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

pub(super) fn apply(
    key: &UpstreamKey,
    middleware: &Middleware,
    now: Instant,
    request: &mut HeaderChanges,
) -> Result<(), Refusal> {
    let first = || Arc::new(Held::first(key, &middleware.name, now));
    let held = middleware.attachment.get_or_attach(first);
    let value = held.and_then(|held| held.current(key, &middleware.name, now));
    let value = value.ok_or(Refusal::NoUpstreamKey)?;
    for name in CREDENTIALS {
        request.set(name, None);
    }
    request.set(key.header.clone(), Some(value));
    Ok(())
}

/// The key as it was last read, and when that was.
struct Held {
    value: ArcSwapOption<Value>,
    since: Instant,
    /// Milliseconds after `since`.
    looked_at_ms: AtomicU64,
}

struct Value {
    header: HeaderValue,
    /// What tells the file's states apart. `None`: of the environment, which does not change.
    stamp: Option<Stamp>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Held {
    fn first(key: &UpstreamKey, name: &str, now: Instant) -> Self {
        let held = Self {
            value: ArcSwapOption::empty(),
            since: now,
            looked_at_ms: AtomicU64::new(0),
        };
        held.look(key, name);
        held
    }

    fn current(&self, key: &UpstreamKey, name: &str, now: Instant) -> Option<HeaderValue> {
        if self.is_due(now) {
            self.look(key, name);
        }
        self.value.load().as_ref().map(|value| value.header.clone())
    }

    /// True for one of those who ask at the same time.
    fn is_due(&self, now: Instant) -> bool {
        let now_ms = u64::try_from(now.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX);
        let looked_at_ms = self.looked_at_ms.load(Ordering::Relaxed);
        now_ms.saturating_sub(looked_at_ms) >= LOOK_EVERY_MS
            && self
                .looked_at_ms
                .compare_exchange(looked_at_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    fn look(&self, key: &UpstreamKey, name: &str) {
        let known = self.value.load();
        let known = known.as_ref().map(|value| value.stamp);
        match read(&key.source, &key.header, known) {
            Ok(Some(value)) => self.value.store(Some(Arc::new(value))),
            Ok(None) => {}
            // Neither the path nor the variable holds the key; what stands in them is not said.
            Err(error) => tracing::error!(
                middleware = name,
                error = %custody::told(&error),
                kept = known.is_some(),
                "the upstream key cannot be read"
            ),
        }
    }
}

/// `None`: it is as it was.
fn read(source: &KeySource, header: &HeaderName, known: Option<Option<Stamp>>) -> io::Result<Option<Value>> {
    match source {
        KeySource::Env(_) if known.is_some() => Ok(None),
        KeySource::Env(name) => {
            let not_set = |_| io::Error::other("the environment variable is not set, or not text");
            let key = Zeroizing::new(std::env::var(&**name).map_err(not_set)?);
            Ok(Some(Value {
                header: header_value(header, key.trim().as_bytes())?,
                stamp: None,
            }))
        }
        KeySource::File(path) => {
            let stamp = Stamp::of(path)?;
            if known == Some(Some(stamp)) {
                return Ok(None);
            }
            let contents = custody::read(path, &Terms::secret(FILE_BYTES_MAX))?;
            if let Some(remark) = contents.remark {
                tracing::warn!(file = %path.display(), fix = remark.fix(), "{remark}");
            }
            Ok(Some(Value {
                header: header_value(header, contents.bytes.trim_ascii())?,
                stamp: Some(stamp),
            }))
        }
    }
}

impl Stamp {
    /// Fails for what is no file: to open a FIFO is to wait for its writer.
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() || metadata.size() > FILE_BYTES_MAX {
            return Err(io::Error::other("it is no regular file, or larger than 16 KiB"));
        }
        Ok(Self {
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

fn header_value(header: &HeaderName, key: &[u8]) -> io::Result<HeaderValue> {
    if key.is_empty() {
        return Err(io::Error::other("it is empty"));
    }
    let value = if *header == AUTHORIZATION {
        [b"Bearer ", key].concat()
    } else {
        key.to_vec()
    };
    let mut value = HeaderValue::from_bytes(&value)
        .map_err(|_| io::Error::other("a key is one line without control characters"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_is_read_again_once_it_has_changed_and_keeps_its_last_good_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        let key = UpstreamKey {
            source: KeySource::File(path.clone().into()),
            header: AUTHORIZATION,
        };
        let start = Instant::now();
        let held = Held::first(&key, "m", start);
        let at = |seconds| held.current(&key, "m", start + Duration::from_secs(seconds));
        assert_eq!(at(0), None, "no file");
        fs::write(&path, " k1\n").expect("written");
        assert_eq!(at(2).expect("a key"), "Bearer k1");
        fs::write(&path, "k22\n").expect("written");
        assert_eq!(at(2).expect("a key"), "Bearer k1", "not looked at again so soon");
        assert_eq!(at(4).expect("a key"), "Bearer k22");
        fs::write(&path, "\n").expect("written");
        assert_eq!(
            at(6).expect("a key"),
            "Bearer k22",
            "what is no key does not replace one"
        );
        fs::remove_file(&path).expect("removed");
        assert_eq!(at(8).expect("a key"), "Bearer k22");
        assert!(!format!("{:?}", at(10)).contains("k22"));
    }

    #[test]
    fn a_key_stands_alone_in_headers_of_its_own() {
        let of = |header: HeaderName, key: &[u8]| header_value(&header, key).ok();
        assert_eq!(of(AUTHORIZATION, b"k").expect("a value"), "Bearer k");
        assert_eq!(of(HeaderName::from_static("x-api-key"), b"k").expect("a value"), "k");
        assert_eq!(of(AUTHORIZATION, b""), None);
        assert_eq!(of(AUTHORIZATION, b"a\nb"), None);
    }
}
