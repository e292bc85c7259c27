//! The folder goes away and comes back.

use std::fs;
use std::time::Duration;

use super::scene::{Scene, Served, good, served};

#[test]
fn a_folder_that_is_not_there_yet_is_an_empty_one_and_a_problem() {
    let scene = Scene::new(&[]);
    fs::remove_dir(scene.folder()).unwrap();
    let scene = scene.start();
    assert_eq!((scene.now().files.len(), scene.now().problems.len()), (0, 1));
    assert!(scene.now().problems[0].rule.contains("cannot be listed"));

    fs::create_dir(scene.folder()).unwrap();
    scene.put("a.yml", &good("one"));
    scene.until("it is served", |now| {
        served(now, "one") == Served::Forwarded && now.problems.is_empty()
    });
    scene.put("b.yml", &good("two"));
    scene.until("and watched", |now| served(now, "two") == Served::Forwarded);
}

#[test]
fn a_folder_that_is_moved_away_keeps_what_it_held_until_it_returns() {
    let scene = Scene::new(&[("a.yml", good("one")), ("b.yml", good("two"))]).start();
    fs::rename(scene.folder(), scene.outside("away")).unwrap();
    scene.until("it is reported", |now| now.problems.len() == 1);
    assert_eq!(
        (scene.served("one"), scene.served("two")),
        (Served::Forwarded, Served::Forwarded)
    );
    // Nothing that happens meanwhile counts.
    fs::remove_file(scene.outside("away").join("a.yml")).unwrap();
    fs::write(scene.outside("away").join("c.yml"), good("three")).unwrap();
    assert_eq!(
        (scene.served("one"), scene.served("three")),
        (Served::Forwarded, Served::Unknown)
    );

    fs::rename(scene.outside("away"), scene.folder()).unwrap();
    scene.until("it is back", |now| {
        now.problems.is_empty() && served(now, "three") == Served::Forwarded
    });
    assert_eq!(
        (scene.served("one"), scene.served("two")),
        (Served::Unknown, Served::Forwarded)
    );
}

#[test]
fn a_folder_that_is_deleted_and_made_anew_is_followed_again() {
    let scene = Scene::new(&[("a.yml", good("one"))]).start();
    for round in 0..5 {
        fs::remove_dir_all(scene.folder()).unwrap();
        fs::create_dir(scene.folder()).unwrap();
        let (new, later) = (format!("new-{round}"), format!("later-{round}"));
        scene.put("b.yml", &good(&new));
        scene.until("its new file is served", |now| {
            served(now, &new) == Served::Forwarded && now.problems.is_empty()
        });
        scene.put("c.yml", &good(&later));
        scene.until("and it is watched", |now| served(now, &later) == Served::Forwarded);
        scene.until("what it held is gone", |now| served(now, "one") == Served::Unknown);
    }
}

#[test]
fn what_is_no_folder_keeps_what_was_there() {
    let scene = Scene::new(&[("a.yml", good("one"))])
        .poll_every(Duration::from_millis(50))
        .start();
    fs::rename(scene.folder(), scene.outside("away")).unwrap();
    fs::write(scene.folder(), "not a folder").unwrap();
    scene.until("it is reported", |now| {
        now.problems
            .iter()
            .any(|problem| problem.rule.contains("cannot be listed"))
    });
    assert_eq!(scene.served("one"), Served::Forwarded);
    fs::remove_file(scene.folder()).unwrap();
    fs::rename(scene.outside("away"), scene.folder()).unwrap();
    scene.until("it is back", |now| now.problems.is_empty());
    assert_eq!(scene.served("one"), Served::Forwarded);
}
