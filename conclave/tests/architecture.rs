//! The invariants of docs/ARCHITECTURE.md that a compiler does not hold.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace's folder")
        .to_owned()
}

/// Everything a crate is built with, through all levels, tests' own dependencies aside.
fn dependencies(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--locked",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{lib}",
            "-p",
            package,
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names: BTreeSet<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect();
    assert!(names.contains(package), "cargo tree lists the crate itself: {names:?}");
    names
}

fn assert_without(package: &str, forbidden: &[&str]) {
    let found = dependencies(package);
    let broken: Vec<_> = found
        .iter()
        .filter(|name| forbidden.iter().any(|f| name.starts_with(f)))
        .collect();
    assert!(broken.is_empty(), "{package} must not be built with {broken:?}");
}

#[test]
fn the_planes_do_not_know_each_other() {
    assert_without("edge", &["aggregator"]);
    assert_without("aggregator", &["edge"]);
}

#[test]
fn the_edge_never_opens_sqlite() {
    assert_without("edge", &["rusqlite", "libsqlite3", "sqlx"]);
}

#[test]
fn the_aggregator_never_imports_pingora() {
    assert_without("aggregator", &["pingora"]);
}

#[test]
fn libraries_know_no_plane_and_no_server() {
    assert_without(
        "document",
        &["edge", "aggregator", "keymap", "axum", "hyper", "tokio", "http"],
    );
    assert_without(
        "custody",
        &["edge", "aggregator", "keymap", "document", "hyper", "http", "tokio"],
    );
    assert_without("keymap", &["edge", "aggregator", "pingora", "axum", "hyper", "tokio"]);
    assert_without("affinity", &["edge", "aggregator", "keymap", "hyper", "http", "tokio"]);
    assert_without(
        "capture",
        &[
            "edge",
            "aggregator",
            "keymap",
            "pingora",
            "http",
            "hyper",
            "tokio",
            "rusqlite",
            "libsqlite3",
        ],
    );
    assert_without(
        "dialect",
        &[
            "edge",
            "aggregator",
            "keymap",
            "pingora",
            "axum",
            "hyper",
            "reqwest",
            "tokio",
        ],
    );
    assert_without(
        "journal",
        &[
            "edge",
            "aggregator",
            "keymap",
            "pingora",
            "http",
            "hyper",
            "tokio",
            "rusqlite",
            "libsqlite3",
        ],
    );
    assert_without(
        "traces",
        &[
            "edge",
            "aggregator",
            "keymap",
            "pingora",
            "http",
            "hyper",
            "reqwest",
            "tokio",
        ],
    );
    assert_without("sim", &["edge", "aggregator", "keymap", "pingora"]);
}

/// Every file of Rust's.
fn sources() -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![root()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a readable folder").flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let hidden = name.to_string_lossy().starts_with('.');
            if path.is_dir() && !hidden && name != "target" && name != "node_modules" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 20, "the walk saw the sources: {}", found.len());
    found
}

#[test]
fn no_file_is_named_mod_rs() {
    for path in sources() {
        assert!(!path.ends_with("mod.rs"), "{}", path.display());
    }
}

#[test]
fn memory_is_handled_by_hand_in_one_file_alone() {
    let lint = concat!("unsafe", "_code");
    let lifts = |path: &PathBuf| std::fs::read_to_string(path).expect("a readable source").contains(lint);
    let lifted = sources().into_iter().filter(lifts);
    let lifted: Vec<_> = lifted
        .map(|path| path.strip_prefix(root()).expect("inside").to_owned())
        // Tests may: an allocator that counts, say.
        .filter(|path| !path.components().any(|part| part.as_os_str() == "tests"))
        .collect();
    assert_eq!(lifted, [Path::new("crates/journal/src/tray/map.rs")]);
}
