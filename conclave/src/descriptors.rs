//! Open files: a stream holds two, and many systems start a process with 1,024.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as this process may. What it may not is no fault: the planes are bounded by themselves.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        eprintln!("conclave: the limit of open files stays where it is: {error}");
    }
}

/// Clients' connections that the limit of open files allows: each may need one to a server too, and the rest of the
/// process a few.
pub(crate) fn connections_max() -> usize {
    const OWN: u64 = 256;
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::from(u32::MAX));
    usize::try_from(limit.saturating_sub(OWN) / 2)
        .unwrap_or(usize::MAX)
        .max(1)
}
