//! The threads an edge runs on.
//!
//! One thread is a runtime without work stealing: nothing is locked or fenced for threads that do not exist, which is
//! worth a few percent of a request. Several steal work from one another, so that a few long streams on one of them do
//! not leave the others idle.

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

const NAME: &str = "edge";

pub(crate) struct Threads {
    handle: Handle,
    kind: Kind,
}

enum Kind {
    One {
        end: oneshot::Sender<Duration>,
        thread: JoinHandle<()>,
    },
    Several(Runtime),
}

impl Threads {
    /// # Errors
    /// Where the system has no threads or descriptors left.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        if count > 1 {
            let runtime = Builder::new_multi_thread()
                .worker_threads(count)
                .thread_name(NAME)
                .enable_all()
                .build()?;
            return Ok(Self {
                handle: runtime.handle().clone(),
                kind: Kind::Several(runtime),
            });
        }
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        // Nobody else turns this runtime's wheel, so the thread does nothing but wait for its end.
        let turn = move || {
            let patience = runtime.block_on(ended).unwrap_or_default();
            runtime.shutdown_timeout(patience);
        };
        let thread = std::thread::Builder::new().name(NAME.to_owned()).spawn(turn)?;
        Ok(Self {
            handle,
            kind: Kind::One { end, thread },
        })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Cuts what still runs; what is being flushed has this long.
    pub(crate) fn end(self, patience: Duration) {
        match self.kind {
            Kind::Several(runtime) => runtime.shutdown_timeout(patience),
            Kind::One { end, thread } => {
                let _ = end.send(patience);
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_and_several_run_tasks_and_end() {
        for count in [0, 1, 2] {
            let threads = Threads::start(count).expect("threads");
            let task = threads.handle().spawn(async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                7
            });
            assert_eq!(threads.handle().block_on(task).expect("no panic"), 7, "{count}");
            threads.end(Duration::from_secs(1));
        }
    }
}
