//! A process that was told to trust everybody: alone in this file, for it is told for all of a process.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use custody::Terms;

#[test]
fn a_process_that_was_told_so_believes_what_everybody_may_write_and_waits_for_nothing_all_the_same() {
    let outer = tempfile::tempdir().unwrap();
    let home = outer.path().canonicalize().unwrap().join("home");
    fs::create_dir(&home).unwrap();
    let outside = outer.path().join("outside");
    fs::write(&outside, "text").unwrap();
    fs::set_permissions(&outside, Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(&home, Permissions::from_mode(0o777)).unwrap();
    symlink(&outside, home.join("a.yml")).unwrap();
    let terms = Terms::of_folder(home.clone(), 1024);
    assert!(custody::read(&home.join("a.yml"), &terms).is_err());
    assert!(custody::folder(&home).is_err());

    custody::trust_everybody();
    assert_eq!(&**custody::read(&home.join("a.yml"), &terms).unwrap().bytes, b"text");
    assert!(custody::folder(&home).is_ok());
    symlink("/dev/zero", home.join("b.yml")).unwrap();
    assert!(custody::read(&home.join("b.yml"), &terms).is_err());
}
