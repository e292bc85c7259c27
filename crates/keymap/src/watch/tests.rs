//! Scenarios: what people and machines do to a mapping folder, and what is served in the end.
//!
//! Each begins with a poll interval of a minute, so that only events can make it pass; those that must do without
//! events say so.

mod custody;
mod folder_itself;
mod links;
mod scene;

use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use scene::{Scene, Served, good, served};

#[test]
fn a_file_that_is_renamed_into_the_folder_works_and_a_removed_one_stops() {
    let scene = Scene::new(&[("a.yml", good("one"))]).start();
    assert_eq!(scene.served("one"), Served::Forwarded);
    scene.put("b.yml", &good("two"));
    scene.until("two is served", |now| served(now, "two") == Served::Forwarded);
    scene.remove("a.yml");
    scene.until("one is unknown", |now| served(now, "one") == Served::Unknown);
    assert_eq!(scene.served("two"), Served::Forwarded);
}

#[test]
fn a_file_can_be_renamed_within_the_folder() {
    let scene = Scene::new(&[("a.yml", good("one"))]).start();
    fs::rename(scene.path("a.yml"), scene.path("b.yaml")).unwrap();
    scene.until("it has its new name", |now| {
        now.files.iter().map(|file| &*file.name).eq(["b.yaml"])
    });
    assert_eq!(scene.served("one"), Served::Forwarded);
    fs::rename(scene.path("b.yaml"), scene.path("b.yaml.bak")).unwrap();
    scene.until("a backup is no mapping", |now| served(now, "one") == Served::Unknown);
}

#[test]
fn editors_save_in_their_several_ways() {
    let scene = Scene::new(&[("a.yml", good("one"))]).start();

    // vi: the old file becomes the backup, the new one is written under its name.
    fs::rename(scene.path("a.yml"), scene.path("a.yml~")).unwrap();
    fs::write(scene.path("a.yml"), good("two")).unwrap();
    fs::remove_file(scene.path("a.yml~")).unwrap();
    scene.until("vi's is served", |now| served(now, "two") == Served::Forwarded);

    // Most others: a temporary file, renamed.
    fs::write(scene.path(".a.yml.tmp"), good("three")).unwrap();
    fs::rename(scene.path(".a.yml.tmp"), scene.path("a.yml")).unwrap();
    scene.until("the renamed one is served", |now| {
        served(now, "three") == Served::Forwarded
    });

    // nano, `cat >`: in place.
    fs::write(scene.path("a.yml"), good("four")).unwrap();
    scene.until("the one in place is served", |now| {
        served(now, "four") == Served::Forwarded
    });
    assert_eq!(scene.served("three"), Served::Unknown);
}

#[test]
fn only_mapping_files_are_loaded() {
    let scene = Scene::new(&[]).start();
    for name in [
        ".a.yml",
        "a.yml~",
        "a.yml.bak.1",
        ".a.yml.swp",
        "#a.yml#",
        "a.json",
        "A.YML",
    ] {
        scene.put(name, &good("hidden"));
    }
    scene.put("b.yml", &good("one"));
    scene.until("the mapping is there", |now| served(now, "one") == Served::Forwarded);
    assert!(scene.now().files.iter().map(|file| &*file.name).eq(["b.yml"]));
    assert_eq!(scene.served("hidden"), Served::Unknown);
}

#[test]
fn half_a_file_never_takes_the_place_of_a_whole_one() {
    let scene = Scene::new(&[("a.yml", good("one"))]).start();
    let lost = scene.count(|now| served(now, "one") != Served::Forwarded);
    let text = format!("# {}\n{}", "x".repeat(5_000), good("one"));
    let (half, rest) = text.split_at(text.len() - 30);
    let mut file = fs::File::create(scene.path("a.yml")).unwrap();
    file.write_all(half.as_bytes()).unwrap();
    // It stays half written until it has been seen so.
    scene.until("half of it is seen", |now| {
        now.files[0].state == FileState::KeptLastGood
    });
    assert_eq!(scene.now().bad_files().count(), 1);
    assert!(scene.now().problems_total() > 0);
    file.write_all(rest.as_bytes()).unwrap();
    drop(file);
    scene.until("the whole is loaded", |now| now.files[0].state == FileState::Loaded);
    assert_eq!(lost.load(Ordering::Acquire), 0, "the key was never without its router");
}

#[test]
fn an_emptied_file_counts_only_once_it_has_stayed_empty() {
    let scene = Scene::new(&[("a.yml", good("one"))]).start();
    let lost = scene.count(|now| served(now, "one") != Served::Forwarded);
    let file = fs::File::create(scene.path("a.yml")).unwrap();
    // Seen empty, then written: nothing was lost between the two.
    scene.put("b.yml", &good("two"));
    scene.until("something later was seen", |now| {
        served(now, "two") == Served::Forwarded
    });
    fs::write(scene.path("a.yml"), format!("{}\n", good("one"))).unwrap();
    scene.until("the new text is loaded", |now| now.files_read == 3);
    assert_eq!(lost.load(Ordering::Acquire), 0);

    let emptied = Instant::now();
    file.set_len(0).unwrap();
    drop(file);
    scene.until("it is given up", |now| served(now, "one") == Served::Unknown);
    assert!(
        emptied.elapsed() >= Duration::from_millis(500),
        "{:?}",
        emptied.elapsed()
    );
    assert_eq!(
        scene.now().files[0].state,
        FileState::Loaded,
        "an empty file is a valid one"
    );
}

#[test]
fn a_bad_file_is_refused_repaired_kept_and_removed() {
    let bad = good("one").replace("service:", "servce:");
    let scene = Scene::new(&[("a.yml", bad.clone()), ("b.yml", good("two"))]).start();
    assert_eq!(scene.served("one"), Served::Refused, "it has no good content yet");
    assert_eq!(scene.served("two"), Served::Forwarded, "no other file suffers");
    assert_eq!(scene.now().files[0].state, FileState::Refused);

    scene.put("a.yml", &good("one"));
    scene.until("it is repaired", |now| served(now, "one") == Served::Forwarded);
    assert_eq!(scene.now().problems_total(), 0);

    scene.put("a.yml", &bad);
    scene.until("its last good content is kept", |now| {
        now.files[0].state == FileState::KeptLastGood
    });
    assert_eq!(scene.served("one"), Served::Forwarded);
    assert_eq!(scene.now().files[0].problems[0].path, scene.path("a.yml"));

    scene.remove("a.yml");
    scene.until("it is gone for good", |now| served(now, "one") == Served::Unknown);
}

#[test]
fn a_hundred_files_at_once_are_a_few_changes() {
    let scene = Scene::new(&[]).start();
    let before = scene.now();
    for i in 0..100 {
        fs::write(scene.outside(&format!("{i}.yml")), good(&format!("key-{i}"))).unwrap();
    }
    for i in 0..100 {
        fs::rename(scene.outside(&format!("{i}.yml")), scene.path(&format!("{i}.yml"))).unwrap();
    }
    scene.until("all are served", |now| {
        (0..100).all(|i| served(now, &format!("key-{i}")) == Served::Forwarded)
    });
    let now = scene.now();
    assert_eq!(now.files_read - before.files_read, 100);
    assert!(
        now.generation - before.generation <= 50,
        "{} tables",
        now.generation - before.generation
    );
}

#[test]
fn more_events_than_fit_end_in_a_survey() {
    let scene = Scene::new(&[]).start();
    for i in 0..3_000 {
        fs::write(scene.path(&format!("{i}.yml")), good(&format!("key-{i}"))).unwrap();
    }
    scene.until("all are there", |now| {
        now.files.len() == 3_000 && served(now, "key-2999") == Served::Forwarded
    });
    for i in 1..3_000 {
        scene.remove(&format!("{i}.yml"));
    }
    scene.until("one is left", |now| now.files.len() == 1 && now.table.keys() == 1);
}

#[test]
fn a_change_costs_its_own_parse() {
    let files: Vec<_> = (0..1_000)
        .map(|i| (format!("{i}.yml"), good(&format!("key-{i}"))))
        .collect();
    let files: Vec<_> = files.iter().map(|(name, text)| (&**name, text.clone())).collect();
    let scene = Scene::new(&files).start();
    assert_eq!(scene.now().files_read, 1_000);
    scene.put("new.yml", &good("new"));
    scene.until("it is served", |now| served(now, "new") == Served::Forwarded);
    assert_eq!(scene.now().files_read, 1_001);

    // A survey parses what has changed, which is nothing, even where a file was touched.
    fs::File::open(scene.path("5.yml"))
        .unwrap()
        .set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    scene.watch().rescan();
    scene.put("newer.yml", &good("newer"));
    scene.until("it is served", |now| served(now, "newer") == Served::Forwarded);
    assert_eq!(scene.now().files_read, 1_002);
}

#[test]
fn a_change_that_hides_behind_size_and_time_is_found() {
    let scene = Scene::new(&[("a.yml", good("one"))])
        .poll_every(Duration::from_millis(50))
        .start();
    let modified = fs::metadata(scene.path("a.yml")).unwrap().modified().unwrap();
    let file = fs::File::options().write(true).open(scene.path("a.yml")).unwrap();
    (&file).write_all(good("two").as_bytes()).unwrap();
    file.set_modified(modified).unwrap();
    drop(file);
    scene.until("two is served", |now| served(now, "two") == Served::Forwarded);
}

#[test]
fn what_is_no_file_is_reported() {
    let scene = Scene::new(&[]).start();
    fs::create_dir(scene.path("a.yml")).unwrap();
    scene.watch().rescan();
    scene.until("it is refused", |now| {
        now.files.iter().any(|file| file.state == FileState::Refused)
    });
    assert!(scene.now().files[0].problems[0].rule.contains("no regular file"));
    fs::remove_dir(scene.path("a.yml")).unwrap();
    scene.until("it is forgotten", |now| now.files.is_empty());
}

#[test]
fn reactions_are_called_after_every_change_and_not_after_the_end() {
    let mut scene = Scene::new(&[]).start();
    let changes = scene.count(|_| true);
    scene.put("a.yml", &good("one"));
    scene.until("one is served", |now| served(now, "one") == Served::Forwarded);
    scene.until("it was called", |_| changes.load(Ordering::Acquire) > 0);

    let snapshot = scene.watch().snapshot();
    let began = Instant::now();
    scene.stop();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(Arc::strong_count(&snapshot), 1, "the thread has gone, and what it held");
    assert_eq!(Arc::strong_count(&changes), 1);
}

#[test]
fn load_once_reports_all_mistakes_of_all_files() {
    let bad = [
        "rule: Nope(`a`)",
        "rule: 'Path(`/a`'",
        "rule: Path(`/a`)\n      prority: 1",
        "rule: [x]",
        "rule: \"Path(`/a`)",
    ];
    let names = ["a.yml", "b.yml", "c.yml", "d.yml", "e.yml"];
    let files = names.iter().zip(bad).map(|(name, line)| {
        (
            *name,
            format!("http:\n  routers:\n    r-{name}:\n      service: noop@internal\n      {line}\n"),
        )
    });
    let files: Vec<_> = files.collect();
    let scene = Scene::new(&files);
    let loaded = load_once(&scene.folder(), &scene.options()).unwrap();
    assert_eq!(loaded.bad_files().count(), 5);
    for file in &loaded.files {
        let problem = &file.problems[0];
        assert!(problem.position.line >= 5 && problem.position.column > 1, "{problem}");
        assert!(!problem.rule.is_empty() && !problem.fix.is_empty(), "{problem}");
        assert_eq!(problem.path.file_name().unwrap().to_str(), Some(&*file.name));
    }
    assert!(load_once(&scene.path("none"), &scene.options()).is_err());
}

/// Problems of the first load are logged on the caller's thread, where a subscriber can listen.
#[test]
fn the_log_names_the_place_and_no_key() {
    let key = "sk-canary-4711";
    let named = good(key).replace(&format!("r-{key}"), "r");
    let broken = [
        named.replace("service:", "servce:"),
        named.replace("Key(", "Kee("),
        named.replace("`)", "`"),
        named.replace("rule: ", "rule: \""),
        format!("http: {key}\n"),
        format!("{key}: [\n"),
    ];
    let names: Vec<_> = (0..broken.len()).map(|i| format!("{i}.yml")).collect();
    let files: Vec<_> = names
        .iter()
        .zip(&broken)
        .map(|(name, text)| (&**name, text.clone()))
        .collect();
    let scene = Scene::new(&files);
    let (scene, log) = scene::listening(|| scene.start());
    assert_eq!(scene.served(key), Served::Refused);
    for name in &names {
        assert!(log.contains(&format!("{name}:")), "{name}\n{log}");
    }
    assert!(!log.contains("canary"), "{log}");
}

#[derive(Debug, Clone)]
enum Op {
    Rename { file: u8, key: u8 },
    WriteInPlace { file: u8, key: u8 },
    Break { file: u8 },
    Empty { file: u8 },
    Remove { file: u8 },
    Move { from: u8, to: u8 },
    Wait,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let (file, key) = (0..4_u8, 0..6_u8);
    let op = prop_oneof![
        3 => (file.clone(), key.clone()).prop_map(|(file, key)| Op::Rename { file, key }),
        2 => (file.clone(), key).prop_map(|(file, key)| Op::WriteInPlace { file, key }),
        1 => file.clone().prop_map(|file| Op::Break { file }),
        1 => file.clone().prop_map(|file| Op::Empty { file }),
        1 => file.clone().prop_map(|file| Op::Remove { file }),
        1 => (file.clone(), file).prop_map(|(from, to)| Op::Move { from, to }),
        2 => Just(Op::Wait),
    ];
    prop::collection::vec(op, 1..20)
}

fn perform(op: &Op, scene: &Scene) {
    let name = |file: &u8| format!("{file}.yml");
    match op {
        Op::Rename { file, key } => scene.put(&name(file), &good(&key.to_string())),
        Op::WriteInPlace { file, key } => fs::write(scene.path(&name(file)), good(&key.to_string())).unwrap(),
        Op::Break { file } => scene.put(&name(file), "http: ["),
        Op::Empty { file } => drop(fs::File::create(scene.path(&name(file))).unwrap()),
        Op::Remove { file } => drop(fs::remove_file(scene.path(&name(file)))),
        Op::Move { from, to } => drop(fs::rename(scene.path(&name(from)), scene.path(&name(to)))),
        // Lets the watcher act between operations, not only after them.
        Op::Wait => scene.until("a moment later", {
            let later = Instant::now() + Duration::from_millis(30);
            move |_| Instant::now() >= later
        }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever was done to the folder, in the end it is served as if it had been loaded just now. A file that is bad
    /// in the end is removed first: that it keeps its last good content is what sets the two apart.
    #[test]
    fn any_sequence_ends_in_what_a_fresh_load_would_serve(ops in ops()) {
        let scene = Scene::new(&[("0.yml", good("0"))]).start();
        for op in &ops {
            perform(op, &scene);
        }
        for bad in load_once(&scene.folder(), &scene.options()).unwrap().bad_files() {
            scene.remove(&bad.name);
        }
        let fresh = load_once(&scene.folder(), &scene.options()).unwrap();
        let keys: Vec<_> = (0..6).map(|key| key.to_string()).collect();
        scene.until("it is as loaded afresh", |now| {
            keys.iter().all(|key| served(now, key) == served(&fresh, key))
                && now.files.iter().map(|file| (&file.name, file.state)).eq(fresh.files.iter().map(|file| (&file.name, file.state)))
                && now.table.routers() == fresh.table.routers()
        });
    }
}
