//! Which files are read, which are not, and that no look at one waits.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use custody::{Contents, Remark, Terms};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

/// However loaded the machine is, nothing here takes this long.
const NEVER: Duration = Duration::from_secs(60);

const BYTES_MAX: u64 = 1024;

struct Scene {
    outer: TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self {
            outer: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(scene.home()).unwrap();
        scene
    }

    fn home(&self) -> PathBuf {
        self.outer.path().canonicalize().unwrap().join("home")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home().join(name)
    }

    fn put(&self, path: &Path, mode: u32) -> PathBuf {
        let mut file = fs::File::create(path).unwrap();
        file.write_all(b"text").unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        path.to_owned()
    }

    /// What comes of reading it, told within a bound of time.
    fn read(&self, path: &Path) -> Result<Contents, (String, String)> {
        self.read_as(path, &Terms::of_folder(self.home(), BYTES_MAX))
    }

    fn read_as(&self, path: &Path, terms: &Terms) -> Result<Contents, (String, String)> {
        let (tell, told) = mpsc::channel();
        let (path, terms) = (path.to_owned(), terms.clone());
        std::thread::spawn(move || drop(tell.send(custody::read(&path, &terms))));
        let read = told.recv_timeout(NEVER).expect("reading a file does not wait");
        read.map_err(|error| (error.to_string(), custody::fix(&error).unwrap_or_default().to_owned()))
    }
}

fn fifo(path: &Path) -> PathBuf {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    path.to_owned()
}

#[test]
fn what_is_no_plain_file_is_refused_and_never_waited_for() {
    let scene = Scene::new();
    let _socket = UnixListener::bind(scene.path("socket")).unwrap();
    fs::create_dir(scene.path("folder")).unwrap();
    symlink("/dev/zero", scene.path("device_link")).unwrap();
    fifo(&scene.path("hidden_fifo"));
    symlink("hidden_fifo", scene.path("fifo_link")).unwrap();
    for (path, what) in [
        (fifo(&scene.path("fifo")), "a pipe, a socket or a device"),
        (scene.path("fifo_link"), "a pipe, a socket or a device"),
        (scene.path("socket"), "a pipe, a socket or a device"),
        (PathBuf::from("/dev/zero"), "a pipe, a socket or a device"),
        (scene.path("device_link"), "a pipe, a socket or a device"),
        (scene.path("folder"), "a folder"),
    ] {
        let (rule, fix) = scene.read(&path).unwrap_err();
        assert!(
            rule.contains(what) && fix.contains("regular file"),
            "{path:?}: {rule} {fix}"
        );
    }
}

#[test]
fn what_everybody_may_write_is_refused_and_the_fix_is_named() {
    let scene = Scene::new();
    for (mode, refused) in [
        (0o600, false),
        (0o644, false),
        (0o666, true),
        (0o602, true),
        (0o777, true),
    ] {
        let path = scene.put(&scene.path("a.yml"), mode);
        let read = scene.read(&path);
        assert_eq!(read.is_err(), refused, "{mode:o}");
        if let Err((rule, fix)) = read {
            assert!(rule.contains(&format!("mode 0{mode:o}")), "{rule}");
            assert!(fix.contains(&format!("chmod o-w {}", path.display())), "{fix}");
        }
    }
}

#[test]
fn links_are_followed_within_the_folder_and_not_out_of_it() {
    let scene = Scene::new();
    let outside = scene.put(&scene.outer.path().join("outside"), 0o600);
    fs::create_dir(scene.path("..v1")).unwrap();
    scene.put(&scene.path("..v1/a.yml"), 0o600);
    symlink("..v1", scene.path("..data")).unwrap();
    symlink(scene.outer.path(), scene.path("..away")).unwrap();
    // A name that only begins as the folder's.
    fs::create_dir(scene.outer.path().join("home2")).unwrap();
    scene.put(&scene.outer.path().join("home2/a"), 0o600);
    for (name, target, followed) in [
        ("swapped", PathBuf::from("..data/a.yml"), true),
        ("twice", PathBuf::from("swapped"), true),
        ("absolute", scene.path("..v1/a.yml"), true),
        ("out", outside.clone(), false),
        ("up", PathBuf::from("../outside"), false),
        ("through", PathBuf::from("..away/outside"), false),
        ("beside", PathBuf::from("../home2/a"), false),
        ("hop", PathBuf::from("out"), false),
    ] {
        symlink(target, scene.path(name)).unwrap();
        let read = scene.read(&scene.path(name));
        assert_eq!(read.is_ok(), followed, "{name}");
        if let Err((rule, fix)) = read {
            assert!(rule.contains("leads out of the folder") && !fix.is_empty(), "{rule}");
        }
    }
    // Where no folder is the file's place, links lead anywhere.
    let anywhere = scene.read_as(&scene.path("out"), &Terms::configuration(BYTES_MAX));
    assert_eq!(&**anywhere.unwrap().bytes, b"text");
}

#[test]
fn a_link_to_nothing_is_not_found() {
    let scene = Scene::new();
    symlink("nothing", scene.path("a.yml")).unwrap();
    for name in ["a.yml", "none"] {
        let error = custody::read(&scene.path(name), &Terms::configuration(BYTES_MAX)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{name}");
    }
}

#[test]
fn what_is_over_the_bound_is_not_read() {
    let scene = Scene::new();
    let path = scene.put(&scene.path("a"), 0o600);
    for (bytes, refused) in [(BYTES_MAX, false), (BYTES_MAX + 1, true), (1 << 40, true)] {
        fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(bytes)
            .unwrap();
        let read = scene.read(&path);
        assert_eq!(read.is_err(), refused, "{bytes}");
        if let Err((rule, _)) = read {
            assert!(rule.contains("1 KiB"), "{rule}");
        }
    }
}

#[test]
fn a_secret_that_everybody_may_read_is_remarked_on_and_read() {
    let scene = Scene::new();
    for (mode, remark) in [
        (0o600, None),
        (0o640, None),
        (0o644, Some(Remark::Readable)),
        (0o604, Some(Remark::Readable)),
    ] {
        let path = scene.put(&scene.path("key"), mode);
        let contents = scene.read_as(&path, &Terms::secret(BYTES_MAX)).unwrap();
        assert_eq!(contents.remark, remark, "{mode:o}");
        assert!(contents.remark.is_none_or(|remark| remark.fix().contains("chmod o-r")));
    }
}

#[test]
fn a_folder_in_which_everybody_may_put_files_is_no_place_for_any() {
    let scene = Scene::new();
    let path = scene.put(&scene.path("config.yaml"), 0o600);
    for (mode, of_folder, alone) in [
        (0o700, true, true),
        (0o755, true, true),
        (0o775, true, true),
        // Each may only move his own: what is there stays, and others may put more beside it.
        (0o1777, false, true),
        (0o777, false, false),
        (0o703, false, false),
    ] {
        fs::set_permissions(scene.home(), Permissions::from_mode(mode)).unwrap();
        let folder = custody::folder(&scene.home());
        assert_eq!(folder.is_ok(), of_folder, "{mode:o}");
        if let Err(error) = folder {
            let told = custody::told(&error);
            assert!(
                told.contains(&format!("chmod o-w {}", scene.home().display())),
                "{told}"
            );
        }
        let read = scene.read_as(&path, &Terms::configuration(BYTES_MAX));
        assert_eq!(read.is_ok(), alone, "{mode:o}");
    }
}

#[test]
fn text_that_is_none_is_refused_without_quoting_it() {
    let scene = Scene::new();
    fs::write(scene.path("a"), b"canary\xff").unwrap();
    let error = scene.read(&scene.path("a")).unwrap().text().unwrap_err();
    assert!(!format!("{error:?} {error}").contains("canary"));
    fs::write(scene.path("a"), "canary").unwrap();
    let shown = format!("{:?}", scene.read(&scene.path("a")).unwrap());
    assert!(!shown.contains("canary") && !shown.contains("99, 97"), "{shown}");
    fs::write(scene.path("a"), "ä").unwrap();
    assert_eq!(&**scene.read(&scene.path("a")).unwrap().text().unwrap(), "ä");
}
