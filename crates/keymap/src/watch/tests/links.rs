//! Folders that are reached, or whose files are reached, through symbolic links.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use super::scene::{Scene, Served, good, served};

/// Kubernetes: every file is a link through `..data`, which is swapped in one rename.
#[test]
fn a_config_map_is_swapped_whole() {
    let scene = Scene::new(&[]);
    publish(&scene, "..version_1", &[("a.yml", good("one")), ("b.yml", good("two"))]);
    symlink("..data/a.yml", scene.path("a.yml")).unwrap();
    symlink("..data/b.yml", scene.path("b.yml")).unwrap();
    let scene = scene.start();
    assert_eq!(scene.served("one"), Served::Forwarded);

    publish(
        &scene,
        "..version_2",
        &[("a.yml", good("three")), ("b.yml", good("two"))],
    );
    fs::remove_dir_all(scene.path("..version_1")).unwrap();
    scene.until("the new version is served", |now| {
        served(now, "three") == Served::Forwarded
    });
    assert_eq!(
        (scene.served("one"), scene.served("two")),
        (Served::Unknown, Served::Forwarded)
    );
}

fn publish(scene: &Scene, version: &str, files: &[(&str, String)]) {
    fs::create_dir(scene.path(version)).unwrap();
    for (name, text) in files {
        fs::write(scene.path(version).join(name), text).unwrap();
    }
    symlink(version, scene.path("..data_tmp")).unwrap();
    fs::rename(scene.path("..data_tmp"), scene.path("..data")).unwrap();
}

#[test]
fn any_link_between_may_be_swapped() {
    let scene = Scene::new(&[]);
    for (version, key) in [("..v1", "one"), ("..v2", "two")] {
        fs::create_dir(scene.path(version)).unwrap();
        fs::write(scene.path(version).join("a.yml"), good(key)).unwrap();
    }
    symlink(scene.path("..v1"), scene.path("current")).unwrap();
    symlink("current/a.yml", scene.path("a.yml")).unwrap();
    let scene = scene.start();
    assert_eq!(scene.served("one"), Served::Forwarded);
    symlink(scene.path("..v2"), scene.path("next")).unwrap();
    fs::rename(scene.path("next"), scene.path("current")).unwrap();
    scene.until("the link's new target is served", |now| {
        served(now, "two") == Served::Forwarded
    });
}

/// As over NFS and behind bind mounts, no event tells of it.
#[test]
fn a_file_that_changes_without_an_event_is_found_by_the_survey() {
    let scene = Scene::new(&[]).poll_every(Duration::from_millis(50));
    let target = scene.path("..elsewhere").join("target");
    fs::create_dir(scene.path("..elsewhere")).unwrap();
    fs::write(&target, good("one")).unwrap();
    symlink(&target, scene.path("a.yml")).unwrap();
    let scene = scene.start();
    assert_eq!(scene.served("one"), Served::Forwarded);
    fs::write(&target, good("two")).unwrap();
    scene.until("the target's text is served", |now| {
        served(now, "two") == Served::Forwarded
    });
    fs::remove_file(&target).unwrap();
    scene.until("a link to nothing is no file", |now| now.files.is_empty());
}

#[test]
fn the_folder_itself_may_be_a_link_that_is_swapped() {
    let scene = Scene::new(&[]);
    fs::remove_dir(scene.folder()).unwrap();
    for (version, key) in [("v1", "one"), ("v2", "two")] {
        fs::create_dir(scene.outside(version)).unwrap();
        fs::write(scene.outside(version).join("a.yml"), good(key)).unwrap();
    }
    symlink("v1", scene.folder()).unwrap();
    let scene = scene.start();
    assert_eq!(scene.served("one"), Served::Forwarded);
    symlink("v2", scene.outside("next")).unwrap();
    fs::rename(scene.outside("next"), scene.folder()).unwrap();
    scene.until("the other folder is served", |now| {
        served(now, "two") == Served::Forwarded
    });
    assert_eq!(scene.served("one"), Served::Unknown);

    // And it is the other folder that is watched now.
    scene.put("b.yml", &good("three"));
    scene.until("its new file is served", |now| {
        served(now, "three") == Served::Forwarded
    });
}
