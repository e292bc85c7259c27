//! Background tasks: each has a name, one owner and one way to stop.
//!
//! Refuses orphans: whoever owns [`Tasks`] either joins every task or aborts it and says which one it was.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinSet};

/// Tells a task that it should end. Cheap to clone; every clone sees the same request.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Resolves once stopping is requested, or its owner is gone.
    pub(crate) async fn requested(&mut self) {
        // An error means that the owner was dropped: nobody is left to work for.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}

pub(crate) struct Tasks {
    set: JoinSet<()>,
    names: HashMap<Id, &'static str>,
    stop: watch::Sender<bool>,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self {
            set: JoinSet::new(),
            names: HashMap::new(),
            stop: watch::Sender::new(false),
        }
    }

    pub(crate) fn stop_signal(&self) -> Stop {
        Stop(self.stop.subscribe())
    }

    pub(crate) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let handle = self.set.spawn(task);
        self.names.insert(handle.id(), name);
    }

    /// The name of the next task that ends; never resolves while all of them run.
    pub(crate) async fn next_end(&mut self) -> &'static str {
        match self.set.join_next_with_id().await {
            Some(ended) => self.forget(ended),
            None => std::future::pending().await,
        }
    }

    /// Asks every task to end, waits for `patience`, then aborts what is left.
    pub(crate) async fn shut_down(mut self, patience: Duration) {
        self.stop.send_replace(true);
        let deadline = tokio::time::Instant::now() + patience;
        while let Ok(Some(ended)) = tokio::time::timeout_at(deadline, self.set.join_next_with_id()).await {
            self.forget(ended);
        }
        for name in self.names.values() {
            tracing::warn!(task = name, "a task did not end in time and is aborted");
        }
        self.set.shutdown().await;
    }

    fn forget(&mut self, ended: Result<(Id, ()), tokio::task::JoinError>) -> &'static str {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let name = self.names.remove(&id).unwrap_or("unnamed");
        if let Err(error) = ended {
            tracing::error!(task = name, %error, "a task ended abnormally");
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_task_is_joined_and_a_deaf_one_is_aborted() {
        let mut tasks = Tasks::new();
        let mut stop = tasks.stop_signal();
        let (ended, mut seen) = watch::channel(false);
        tasks.spawn("obedient", async move {
            stop.requested().await;
            ended.send_replace(true);
        });
        tasks.spawn("deaf", std::future::pending());
        tokio::time::timeout(Duration::from_secs(5), tasks.shut_down(Duration::from_millis(50)))
            .await
            .unwrap();
        assert!(*seen.borrow_and_update());
    }

    #[tokio::test]
    async fn a_task_that_ends_early_is_named() {
        let mut tasks = Tasks::new();
        tasks.spawn("steady", std::future::pending());
        tasks.spawn("brief", async {});
        assert_eq!(tasks.next_end().await, "brief");
        tasks.shut_down(Duration::ZERO).await;
    }
}
