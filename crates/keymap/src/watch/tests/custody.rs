//! Files that must not be believed, and files made to harm: each is refused with its fix, and the others are unharmed.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::super::*;
use super::scene::{Scene, Served, good, served};

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn status<'a>(now: &'a Snapshot, name: &str) -> Option<&'a Arc<FileStatus>> {
    now.files.iter().find(|file| &*file.name == name)
}

/// Whether the file is refused with a fix that says this.
fn is_refused(now: &Snapshot, name: &str, state: FileState, fix: &str) -> bool {
    status(now, name)
        .is_some_and(|file| file.state == state && file.problems.iter().any(|found| found.fix.contains(fix)))
}

#[test]
fn what_is_no_plain_file_of_the_folder_s_own_is_refused_and_all_others_are_served() {
    let scene = Scene::new(&[
        ("a.yml", good("one")),
        ("z.yml", good("two")),
        ("open.yml", good("three")),
    ])
    .poll_every(Duration::from_millis(50));
    chmod(&scene.path("open.yml"), 0o666);
    mknodat(
        CWD,
        scene.path("fifo.yml"),
        FileType::Fifo,
        Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let _socket = UnixListener::bind(scene.path("socket.yml")).unwrap();
    symlink("/dev/zero", scene.path("device.yml")).unwrap();
    fs::create_dir(scene.path("folder.yml")).unwrap();
    fs::write(scene.outside("away"), good("four")).unwrap();
    symlink(scene.outside("away"), scene.path("link.yml")).unwrap();
    let scene = scene.start();
    let now = scene.now();
    for (name, fix) in [
        ("open.yml", "chmod o-w"),
        ("fifo.yml", "regular file"),
        ("socket.yml", "regular file"),
        ("device.yml", "regular file"),
        ("folder.yml", "regular file"),
        ("link.yml", "Put the file itself here"),
    ] {
        assert!(
            is_refused(&now, name, FileState::Refused, fix),
            "{name}: {:#?}",
            status(&now, name)
        );
    }
    for (key, expected) in [
        ("one", Served::Forwarded),
        ("two", Served::Forwarded),
        ("three", Served::Unknown),
        ("four", Served::Unknown),
    ] {
        assert_eq!(scene.served(key), expected, "{key}");
    }
    // A change of the others is followed although these stay.
    scene.put("a.yml", &good("five"));
    scene.until("a change is followed", |now| served(now, "five") == Served::Forwarded);
    // And each is taken in when it is mended, by nothing but its mode or a file in its place.
    chmod(&scene.path("open.yml"), 0o644);
    fs::remove_file(scene.path("link.yml")).unwrap();
    scene.put("link.yml", &good("four"));
    scene.until("what was mended is served", |now| {
        served(now, "three") == Served::Forwarded && served(now, "four") == Served::Forwarded
    });
}

#[test]
fn a_file_that_everybody_may_write_from_now_on_keeps_what_it_held() {
    let scene = Scene::new(&[("a.yml", good("one"))])
        .poll_every(Duration::from_millis(50))
        .start();
    chmod(&scene.path("a.yml"), 0o646);
    fs::write(scene.path("a.yml"), good("intruder")).unwrap();
    scene.until("it is refused", |now| {
        is_refused(now, "a.yml", FileState::KeptLastGood, "chmod o-w")
    });
    assert_eq!(
        (scene.served("one"), scene.served("intruder")),
        (Served::Forwarded, Served::Unknown)
    );
    fs::write(scene.path("a.yml"), good("two")).unwrap();
    chmod(&scene.path("a.yml"), 0o644);
    scene.until("it is believed again", |now| served(now, "two") == Served::Forwarded);
    assert_eq!(scene.served("one"), Served::Unknown);
}

#[test]
fn a_folder_in_which_everybody_may_put_files_gives_none_and_takes_away_all_the_same() {
    let scene = Scene::new(&[("a.yml", good("one")), ("b.yml", good("two"))])
        .poll_every(Duration::from_millis(50))
        .start();
    chmod(&scene.folder(), 0o777);
    scene.until("it is reported", |now| {
        now.problems.iter().any(|problem| problem.fix.contains("chmod o-w"))
    });
    scene.put("c.yml", &good("intruder"));
    scene.put("b.yml", &good("other"));
    scene.remove("a.yml");
    scene.until("what is gone is gone", |now| served(now, "one") == Served::Unknown);
    assert_eq!(
        (scene.served("two"), scene.served("intruder"), scene.served("other")),
        (Served::Forwarded, Served::Unknown, Served::Unknown)
    );
    scene.remove("c.yml");
    chmod(&scene.folder(), 0o755);
    scene.until("it is followed again", |now| {
        served(now, "other") == Served::Forwarded && now.problems.is_empty()
    });
    assert_eq!(scene.served("two"), Served::Unknown);
}

#[test]
fn such_a_folder_gives_nothing_at_the_start_and_a_check_says_why() {
    let scene = Scene::new(&[("a.yml", good("one"))]).poll_every(Duration::from_millis(50));
    chmod(&scene.folder(), 0o1777);
    let error = load_once(&scene.folder(), &scene.options()).unwrap_err();
    assert!(custody::told(&error).contains("chmod o-w"), "{error}");
    let scene = scene.start();
    assert_eq!(scene.served("one"), Served::Unknown);
    assert!(scene.now().problems[0].fix.contains("chmod o-w"));
    chmod(&scene.folder(), 0o700);
    scene.until("it is followed", |now| served(now, "one") == Served::Forwarded);
}

/// Every kind of text that was made to cost more than it says.
fn bombs() -> Vec<(&'static str, String)> {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    let mut merges = "b0: &b0 {k0: v}\n".to_owned();
    for level in 1..32 {
        let (this, last) = (level, level - 1);
        let items = vec![format!("*a{last}"); 9].join(", ");
        writeln!(laughs, "a{this}: &a{this} [{items}]").unwrap();
        let items = vec![format!("*b{last}"); 9].join(", ");
        writeln!(merges, "b{this}: &b{this} {{<<: [{items}], k{this}: *b{last}}}").unwrap();
    }
    let scalar = "x".repeat(1 << 19);
    vec![
        ("laughs.yml", laughs),
        ("merges.yml", merges),
        ("flow.yml", "[".repeat(1 << 15)),
        ("flow_map.yml", "{a: ".repeat(1 << 15)),
        ("block.yml", "- ".repeat(1 << 15)),
        ("scalar.yml", format!("http: {scalar}\n")),
        ("quoted.yml", format!("http: \"{scalar}\"\n")),
        ("key.yml", format!("{scalar}: 1\n")),
        (
            "rule.yml",
            format!("http: {{routers: {{r: {{rule: \"Key(`{scalar}`)\", service: s}}}}}}\n"),
        ),
        (
            "parentheses.yml",
            format!(
                "http: {{routers: {{r: {{rule: \"{}\", service: s}}}}}}\n",
                "(".repeat(1 << 15)
            ),
        ),
        (
            "regex.yml",
            format!(
                "http: {{routers: {{r: {{rule: \"PathRegexp(`{}`)\", service: s}}}}}}\n",
                "(a{1000}){1000}".repeat(64)
            ),
        ),
        ("anchors.yml", "- &a x\n".repeat(1 << 15)),
        (
            "commas.yml",
            format!(
                "http: {{middlewares: {{m: {{ipAllowList: {{sourceRange: \"\\x61{}\"}}}}}}}}\n",
                ",a".repeat(1 << 15)
            ),
        ),
        ("zeros.yml", "\0".repeat(1 << 15)),
        ("recursive.yml", "a: &a [*a]\n".to_owned()),
        ("tags.yml", "a: !!binary x\n".repeat(1 << 15)),
        ("directives.yml", "%YAML 1.2\n".repeat(1 << 15)),
        ("documents.yml", "---\na\n".repeat(1 << 15)),
        (
            "aliases.yml",
            format!("a: &a {}\nb: [{}]\n", "y".repeat(1 << 15), "*a,".repeat(1 << 17)),
        ),
    ]
}

/// What this thread has had of a processor: how loaded the machine is does not count.
fn spent() -> Duration {
    let told = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(told.split(' ').next().unwrap().parse().unwrap())
}

/// Each alone takes so little that the others need not notice; the bound is generous, for debug builds.
#[test]
fn files_made_to_cost_are_refused_in_little_time_and_the_others_are_served() {
    let scene = Scene::new(&[("a.yml", good("one"))]);
    let mut names = Vec::new();
    for (name, text) in bombs() {
        let terms = crate::load::terms(&scene.folder());
        fs::write(scene.path(name), text).unwrap();
        let began = spent();
        let loaded = crate::load::load(&scene.path(name), &terms, None);
        let crate::load::Loaded::Checked(checked) = loaded else {
            panic!("{name}: {loaded:?}")
        };
        assert!(checked.mapping.is_none(), "{name} was taken for a mapping");
        // What is said of it is bounded, however long it is.
        let said: usize = checked.problems.iter().map(|problem| problem.to_string().len()).sum();
        assert!(said < 4 << 20, "{name}: {said} bytes are said of it");
        let took = spent() - began;
        assert!(took < Duration::from_secs(30), "{name} took {took:?}");
        names.push(name);
    }
    let scene = scene.start();
    let now = scene.now();
    assert_eq!(scene.served("one"), Served::Forwarded);
    for name in names {
        assert_eq!(
            status(&now, name).map(|file| file.state),
            Some(FileState::Refused),
            "{name}"
        );
    }
}
