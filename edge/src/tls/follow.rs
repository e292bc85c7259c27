//! Files that are read again when they change: looked at every few seconds, and at once when somebody asks for it.
//!
//! File events are not used: what renews certificates renames files and moves links about, on file systems that tell of
//! it or not. A look at a handful of names costs nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::fault::TlsFault;
use super::pem::Stamp;
use super::tally::Tally;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What was made of some files.
pub(crate) trait Follow: Send + Sync {
    /// For the log.
    fn what(&self) -> &'static str;
    fn files(&self) -> Vec<&Path>;
    /// Takes the files in; what was there stays where they cannot be used.
    fn read(&self) -> Result<(), TlsFault>;
    /// Called once a day.
    fn daily(&self) {}
    fn tally(&self) -> &Tally;
}

/// Looks until it is dropped.
pub(crate) struct Follower {
    /// A message: look now, whatever the files' times say.
    told: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    pub(super) fn start(followed: Vec<Arc<dyn Follow>>, every: Duration) -> Result<Self, TlsFault> {
        let (told, asked) = channel::<()>();
        let mut followed: Vec<_> = followed.into_iter().map(Followed::new).collect();
        let look = move || {
            let mut day = Instant::now();
            loop {
                let is_told = match asked.recv_timeout(every) {
                    Ok(()) => true,
                    Err(RecvTimeoutError::Timeout) => false,
                    Err(RecvTimeoutError::Disconnected) => return,
                };
                followed.iter_mut().for_each(|it| it.look(is_told));
                if day.elapsed() >= DAY {
                    day = Instant::now();
                    followed.iter().for_each(|it| it.source.daily());
                }
            }
        };
        let thread = std::thread::Builder::new().name("tls-files".to_owned()).spawn(look);
        let thread = thread.map_err(|error| {
            let rule = "A thread is needed that follows the files.";
            TlsFault::new(Path::new(""), rule, error, "Raise the limit of threads.")
        })?;
        Ok(Self {
            told: Some(told),
            thread: Some(thread),
        })
    }

    /// After a renewal, or a SIGHUP.
    pub(crate) fn look_now(&self) {
        if let Some(told) = &self.told {
            let _ = told.send(());
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.told = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

type Stamps = Vec<Option<Stamp>>;

struct Followed {
    source: Arc<dyn Follow>,
    /// Of what is in use.
    taken: Stamps,
    /// Of what could not be used, and whether that was said.
    refused: Option<(Stamps, bool)>,
}

impl Followed {
    fn new(source: Arc<dyn Follow>) -> Self {
        let taken = stamps(&*source);
        Self {
            source,
            taken,
            refused: None,
        }
    }

    fn look(&mut self, is_told: bool) {
        let found = stamps(&*self.source);
        if found == self.taken && !is_told {
            return;
        }
        let what = self.source.what();
        match self.source.read() {
            Ok(()) => {
                tracing::info!("{what} were read again");
                self.source.tally().reloads.fetch_add(1, Ordering::Relaxed);
                (self.taken, self.refused) = (found, None);
            }
            Err(fault) => {
                let (before, mut said) = self.refused.take().unwrap_or_default();
                // A certificate and its key change one after the other. Only what stays as it is, is a fault.
                let stays = before == found;
                said &= stays;
                if !said && (stays || is_told) {
                    tracing::error!("{what} are used as they were, for their files cannot be: {fault}");
                    self.source.tally().reload_failures.fetch_add(1, Ordering::Relaxed);
                    said = true;
                }
                self.refused = Some((found, said));
            }
        }
    }
}

fn stamps(source: &dyn Follow) -> Stamps {
    source.files().into_iter().map(Stamp::of).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// Takes a file in unless it says "bad".
    struct Words {
        file: PathBuf,
        tally: Tally,
    }

    impl Follow for Words {
        fn what(&self) -> &'static str {
            "words"
        }

        fn files(&self) -> Vec<&Path> {
            vec![&self.file]
        }

        fn read(&self) -> Result<(), TlsFault> {
            match std::fs::read_to_string(&self.file) {
                Ok(text) if text.starts_with("bad") => Err(TlsFault::new(&self.file, "Good.", "bad", "Mend it.")),
                _ => Ok(()),
            }
        }

        fn tally(&self) -> &Tally {
            &self.tally
        }
    }

    #[test]
    fn a_change_is_taken_in_once_and_only_a_lasting_fault_is_said_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("words");
        let write = |text: &str| std::fs::write(&file, text).expect("written");
        write("good");
        let words = Arc::new(Words {
            file: file.clone(),
            tally: Tally::default(),
        });
        let mut followed = Followed::new(words.clone());
        let counts = || {
            let of = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
            (of(&words.tally.reloads), of(&words.tally.reload_failures))
        };
        for (text, is_told, expected, why) in [
            (None, false, (0, 0), "nothing changed"),
            (Some("better"), false, (1, 0), "a change"),
            (None, false, (1, 0), "taken in already"),
            (Some("bad 1"), false, (1, 0), "perhaps half of a change"),
            (None, false, (1, 1), "it stays"),
            (None, false, (1, 1), "said already"),
            (Some("bad 22"), true, (1, 2), "somebody asked"),
            (Some("good again"), false, (2, 2), "mended"),
            (None, true, (3, 2), "asked for"),
        ] {
            if let Some(text) = text {
                write(text);
            }
            followed.look(is_told);
            assert_eq!(counts(), expected, "{why}");
        }
    }
}
