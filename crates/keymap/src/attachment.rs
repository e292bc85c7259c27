//! A slot that a plane hangs its own state on (balancing, limits), found again without a lock or a look-up.
//!
//! The state itself belongs to the plane's registry and outlives reloads; the slot is only the short way to it
//! from a freshly compiled route or service, filled at first use.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

#[derive(Default)]
pub struct Attachment(OnceLock<Arc<dyn Any + Send + Sync>>);

impl Attachment {
    /// The state attached here, made by `make` at first use. `None` only where another type was attached before:
    /// one plane, one type, so callers may treat that as a bug.
    pub fn get_or_attach<T: Any + Send + Sync>(&self, make: impl FnOnce() -> Arc<T>) -> Option<&T> {
        self.0.get_or_init(|| make()).downcast_ref()
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() {
            "Attachment(filled)"
        } else {
            "Attachment(empty)"
        })
    }
}
