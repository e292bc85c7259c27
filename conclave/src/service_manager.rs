//! systemd, or whatever speaks as it does: the sockets that it opened, and what it wants to know.
//!
//! Without `LISTEN_FDS` and `NOTIFY_SOCKET` in the environment nothing here does anything. A notification that cannot be
//! sent is no fault of the service's: it is logged and that is all.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result};
use edge::Sockets;
use listenfd::ListenFd;
use sd_notify::NotifyState;

/// The sockets that were opened for this process, by their names. Reads the environment and changes it: before any thread
/// is started.
pub(crate) fn listeners() -> Result<Vec<(Option<String>, TcpListener)>> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut given = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..given.len() {
        let listener = given
            .take_tcp_listener(index)
            .with_context(|| format!("LISTEN_FDS: socket {index} is not a listening TCP socket; use ListenStream="))?;
        let name = names.split(':').nth(index).filter(|name| !name.is_empty());
        listeners.extend(listener.map(|listener| (name.map(str::to_owned), listener)));
    }
    Ok(listeners)
}

/// The same, for an edge.
pub(crate) fn sockets() -> Result<Sockets> {
    let mut sockets = Sockets::default();
    for (name, listener) in listeners()? {
        sockets.add(name.as_deref(), listener);
    }
    Ok(sockets)
}

pub(crate) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// From here on until it is ready again.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "the service manager is not told of the reload"),
    }
}

pub(crate) fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

pub(crate) fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// Another process is the service from here on.
pub(crate) fn succeeded_by(pid: u32) {
    tell(&[NotifyState::MainPid(pid)]);
}

/// Tells the manager at half its interval that the service lives, as long as `lives` says so within a quarter.
pub(crate) fn start_watchdog(lives: impl Fn(Duration) -> bool + Send + 'static) {
    let Some(interval) = sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero()) else {
        return;
    };
    let watch = move || {
        loop {
            if lives(interval / 4) {
                tell(&[NotifyState::Watchdog]);
            } else {
                tracing::warn!("the service does not respond; its watchdog is not fed");
            }
            std::thread::sleep(interval / 2);
        }
    };
    if let Err(error) = std::thread::Builder::new().name("watchdog".to_owned()).spawn(watch) {
        tracing::error!(%error, "the watchdog cannot be fed; the service manager will end this process");
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}
