//! Fixture in, snapshot out. `UPDATE_SNAPSHOTS=1 cargo test -p dialect` writes what is compared otherwise.

use std::path::PathBuf;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// A fixture's bytes; `name` is `ollama/tags.json`.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(root().join("fixtures").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The names of all fixtures in `folder` that begin with `start`, sorted.
pub(crate) fn fixtures(folder: &str, start: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join("fixtures").join(folder)).expect("the folder of fixtures");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name().into_string().unwrap();
    let mut names: Vec<String> = entries.map(name).filter(|name| name.starts_with(start)).collect();
    names.sort();
    assert!(!names.is_empty(), "no fixture in {folder} begins with {start}");
    names.into_iter().map(|name| format!("{folder}/{name}")).collect()
}

/// Compares `text` with the snapshot of that name.
pub(crate) fn check(name: &str, text: &str) {
    let path = root().join("snapshots").join(format!("{name}.snap"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, text).expect("a snapshot that can be written");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{name} differs from its snapshot");
}

/// JSON as a person reads it; keys stay in their order.
pub(crate) fn pretty(json: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(json).expect("JSON");
    format!("{value:#}\n")
}
