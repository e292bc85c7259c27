//! Certificates from an authority that is asked for them by ACME (RFC 8555), and renewed before they end.
//!
//! ```text
//!   renewal ── order ──▶ authority ─┬─ HTTP-01 ────▶ an entry point without TLS ─┐
//!   (a thread)  │                   └─ TLS-ALPN-01 ─▶ an entry point with TLS ───┴─▶ challenges
//!               ▼
//!     STATE/acme/AUTHORITY/NAME.pem  (0600: key and chain in one file)  ──▶ follow ──▶ Front
//! ```
//!
//! Owns the account, the orders and the times at which they are placed; knows nothing of how certificates are chosen or
//! served. Refuses wildcards, which no challenge of these proves. Invariant: a file is replaced as a whole, by what was
//! checked to fit together; and no failure is followed by the next attempt sooner than its back-off says, unless
//! an operator asks for it.

mod challenges;
mod directory;
mod issued;
mod order;
mod renewal;
mod schedule;
mod settings;
mod store;
mod wanted;

use std::io;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use tokio::sync::{Notify, oneshot};

pub(crate) use challenges::{ACME_TLS, Challenges};
pub use settings::{AcmeSettings, ChallengeKind, ExternalAccount};
use store::Store;

use super::fault::TlsFault;
use super::follow::Follower;
use super::settings::CertificateFiles;
use super::tally::Tally;

/// What is there of ACME before anything runs.
pub(crate) struct Acme {
    settings: AcmeSettings,
    store: Store,
    pub(crate) challenges: Arc<Challenges>,
}

impl Acme {
    /// Makes the folder. What it has of certificates is used at once, whether or not the authority can be reached.
    pub(super) fn open(settings: &AcmeSettings) -> Result<Self, TlsFault> {
        Ok(Self {
            store: Store::open(settings)?,
            settings: settings.clone(),
            challenges: Arc::default(),
        })
    }

    /// Where its certificates are, or will be.
    pub(super) fn files(&self) -> Vec<CertificateFiles> {
        let certificates = self.settings.certificates.iter();
        certificates.map(|names| self.store.certificate(names)).collect()
    }

    /// Keeps certificates coming until the handle is dropped.
    ///
    /// # Errors
    /// Where there is no thread to be had.
    pub(crate) fn start(&self, follower: Weak<Follower>, tally: Arc<Tally>) -> io::Result<Renewal> {
        let hastened = Arc::new(Notify::new());
        let (alive, ended) = oneshot::channel::<()>();
        let renewal = renewal::Renewal::new(
            self.settings.clone(),
            self.store.clone(),
            self.challenges.clone(),
            follower,
            tally,
        );
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let asked = hastened.clone();
        let run = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = renewal.run(&asked) => {}
                    _ = ended => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("acme".to_owned()).spawn(run)?;
        Ok(Renewal {
            hastened,
            alive: Some(alive),
            thread: Some(thread),
        })
    }
}

/// The thread that renews. Dropped, it ends, in the middle of an order too: the next start places a new one.
pub(crate) struct Renewal {
    hastened: Arc<Notify>,
    alive: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Renewal {
    /// Somebody may have mended what was in the way: no back-off is waited for.
    pub(crate) fn hasten(&self) {
        self.hastened.notify_one();
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.alive = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
