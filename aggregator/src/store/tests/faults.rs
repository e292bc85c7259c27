//! A disk that is full: a small file system of its own, where the test may mount one.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::Command;

use super::*;

/// Unmounted when the test ends, however it ends.
struct Tmpfs(std::path::PathBuf);

impl Tmpfs {
    /// `None` where this user may not mount.
    fn mount(path: &Path, mib: u32) -> Option<Self> {
        fs::create_dir_all(path).expect("a folder");
        let size = format!("size={mib}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "conclave-test"])
            .arg(path)
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then(|| Self(path.to_owned()))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

#[tokio::test]
async fn on_a_full_disk_a_batch_is_refused_whole_and_taken_once_there_is_room() {
    let mut place = Place::new();
    let Some(disk) = Tmpfs::mount(&place.folder().join("disk"), 4) else {
        eprintln!("skipped: this user may not mount a file system");
        return;
    };
    place.config.path = disk.0.join("responses.db");
    let store = place.open();
    store.commit(batch(0..10), mark(1)).await.unwrap();

    // Nothing is left for it.
    let ballast = disk.0.join("ballast");
    let mut file = File::create(&ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    drop(file);
    let waiting = batch(10..400);
    for _ in 0..3 {
        let error = store
            .commit(Arc::clone(&waiting), mark(2))
            .await
            .expect_err("the disk is full");
        assert!(matches!(error, StoreError::Full) && error.is_transient(), "{error}");
        assert_eq!(store.cursor("edge").unwrap(), Some([1; 16]));
        assert_eq!(
            numbers(&store, &Filter::default(), 100).await,
            (0..10).rev().collect::<Vec<_>>()
        );
    }

    fs::remove_file(&ballast).unwrap();
    assert_eq!(store.commit(waiting, mark(2)).await.unwrap().stored, 390);
    assert_eq!(store.cursor("edge").unwrap(), Some([2; 16]));
    assert_eq!(numbers(&store, &Filter::default(), 100).await.len(), 400);
    let stats = store.stats().await.unwrap();
    assert_eq!(stats.held.iter().map(|held| held.exchanges).sum::<u64>(), 400);
    drop(store);
    drop(disk);
}

#[test]
fn a_store_that_is_closed_says_so() {
    let place = Place::new();
    let store = place.open();
    assert!(!format!("{store:?}").contains("canary"));
    store.commit_blocking(batch(0..1), None).unwrap();
    drop(store);
    // The log beside the database is gone: all of it is in the database.
    assert!(!place.path().with_extension("db-wal").exists());
}
