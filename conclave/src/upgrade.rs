//! SIGUSR2: the binary that is on the disk now is started with this process's own arguments and `--upgrade`.
//!
//! It stays a child, in the same control group, so that a service manager lets it become the main process. What becomes of
//! it is its own affair: one that cannot start says why, and this process goes on.

use std::env;
use std::ffi::OsString;
use std::process::{Child, Command, Stdio};

pub(crate) const FLAG: &str = "--upgrade";

/// What only concerns the process it was said to.
const PERSONAL: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

pub(crate) fn start() {
    let mut arguments = env::args_os();
    let program = arguments.next().unwrap_or_else(|| "conclave".into());
    match spawn(&program, arguments.collect()) {
        Ok(child) => tracing::info!(pid = child, "SIGUSR2: a successor was started"),
        Err(error) => tracing::error!(%error, ?program, "SIGUSR2: a successor cannot be started; this process goes on"),
    }
}

fn spawn(program: &OsString, arguments: Vec<OsString>) -> std::io::Result<u32> {
    let mut command = Command::new(program);
    command.args(with_flag(arguments)).stdin(Stdio::null());
    for name in PERSONAL {
        command.env_remove(name);
    }
    let child = command.spawn()?;
    let pid = child.id();
    std::thread::Builder::new()
        .name("successor".to_owned())
        .spawn(move || attend(child))?;
    Ok(pid)
}

/// Its end is heard, so that it leaves no entry in the table of processes.
fn attend(mut child: Child) {
    match child.wait() {
        Ok(status) if status.success() => {}
        Ok(status) => tracing::error!(pid = child.id(), %status, "the successor ended"),
        Err(error) => tracing::error!(pid = child.id(), %error, "the successor cannot be waited for"),
    }
}

/// A process that took over itself has it already.
fn with_flag(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if !arguments.iter().any(|argument| argument == FLAG) {
        arguments.push(FLAG.into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_of_a_successor_is_started_as_one() {
        let once = with_flag(vec!["edge".into(), "--admin".into(), "none".into()]);
        assert_eq!(once, ["edge", "--admin", "none", FLAG]);
        assert_eq!(with_flag(once.clone()), once);
    }
}
