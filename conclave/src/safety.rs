//! What this process denies itself before it has read anything: memory on disk, and files that anybody may write.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::cli::SafetyArgs;

pub(crate) fn apply(args: &SafetyArgs) {
    if args.trust_writable_files {
        custody::trust_everybody();
    }
    if !args.core_dumps {
        keep_memory();
    }
}

/// Keys and prompts are in it. Without the attribute a core goes to whatever `core_pattern` names, the limit notwithstanding
/// where that is a pipe; it also keeps other processes of this user from reading the memory of this one.
fn keep_memory() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let limited = setrlimit(Resource::Core, none);
    let kept = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if let Err(error) = limited.and(kept) {
        eprintln!("conclave: a crash of this process may leave its memory on disk, keys included: {error}");
    }
}
