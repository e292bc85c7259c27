//! Folders before and after, byte for byte.

mod folders;
mod oracle;
mod spellings;

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::key::KeyHash;

pub(super) const OLD: &str = "API_KEY-1";
pub(super) const NOW: &str = "2026-11-22T12:00:00Z";

/// A mapping folder of a test's own.
pub(super) struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let scene = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        for (name, text) in files {
            scene.write(name, text);
        }
        scene
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    pub(super) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("a text")
    }

    /// What is there, temporaries and all.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("a folder");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }

    pub(super) fn locked(&self) -> LockedFolder {
        LockedFolder::lock(self.folder.path(), Duration::from_secs(10)).expect("a lock")
    }

    pub(super) fn rotate(&self, name: &str, plain: bool) -> Result<ApiKey, EditError> {
        self.rotate_until(name, plain, "2999-01-01T00:00:00Z")
    }

    pub(super) fn rotate_until(&self, name: &str, plain: bool, until: &str) -> Result<ApiKey, EditError> {
        let key = mint().expect("randomness");
        let locked = self.locked();
        let plan = locked.rotate(&Rotation {
            name,
            key: &key,
            plain,
            until,
            now: NOW,
        })?;
        locked.apply(&plan)?;
        Ok(key)
    }

    pub(super) fn revoke(&self, names: &[&str]) -> Result<Revocation, EditError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let locked = self.locked();
        let revocation = locked.revoke(&names)?;
        locked.apply(&revocation.plan)?;
        Ok(revocation)
    }

    /// By router, the keys that open it.
    pub(super) fn pins(&self) -> Vec<(String, Vec<KeyHash>)> {
        let sheets = sheet::Sheets::read(self.folder.path()).expect("a folder");
        assert!(
            sheets.all.iter().all(|sheet| sheet.mapping.is_some()),
            "every file checks"
        );
        let routers = sheets
            .routers()
            .map(|(_, router)| (router.name.to_string(), router.rule.pins().unwrap_or_default()));
        routers.collect()
    }
}

pub(super) fn new_key<'a>(name: &'a str, key: &'a ApiKey, service: NewService<'a>) -> NewKey<'a> {
    NewKey {
        name,
        key,
        plain: false,
        service,
        models: &[],
        requests_per_minute: None,
        tokens_per_day: None,
        concurrent: None,
        not_after: None,
        note: None,
    }
}

pub(super) fn refusal<T>(result: Result<T, EditError>) -> String {
    match result {
        Ok(_) => panic!("it should be refused"),
        Err(error) => error.to_string(),
    }
}

pub(super) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}
