//! What happens to a folder: names, files of ours, links, permissions, runs that meet.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

const SERVICE: &str = "http:\n  services:\n    gpu: {loadBalancer: {servers: [{url: http://127.0.0.1:8011}]}}\n";

fn create(scene: &Scene, new: &NewKey<'_>) -> Result<(), EditError> {
    let locked = scene.locked();
    let plan = locked.create(new)?;
    locked.apply(&plan)
}

#[test]
fn a_new_key_has_a_file_of_its_own_without_the_key() {
    let scene = Scene::new(&[("gpu.yml", SERVICE)]);
    let key = mint().expect("randomness");
    let models = ["tiny".to_owned(), "a \"b\" \\c".to_owned()];
    let new = NewKey {
        models: &models,
        requests_per_minute: Some(60),
        tokens_per_day: Some(200_000),
        concurrent: Some(4),
        not_after: Some("2999-01-01T00:00:00Z"),
        note: Some("Alice, room 3\nuntil the new year"),
        ..new_key("alice", &key, NewService::Named("gpu"))
    };
    create(&scene, &new).expect("a new key");
    let text = scene.text("alice.yml");
    assert!(!text.contains(key.expose()) && text.contains(&key.hash().to_hex()));
    let expected = format!(
        "# Written by `conclave key new`; `conclave key rotate` and `revoke` know it by its name.\n\
         # Alice, room 3\n# until the new year\n\
         http:\n  routers:\n    alice:\n      rule: \"KeySha256(`{}`)\"\n      service: gpu\n      middlewares:\n        \
         - alice-validity\n        - alice-models\n        - alice-rate\n        - alice-concurrent\n        - alice-tokens\n\n  \
         middlewares:\n    alice-validity:\n      validity:\n        notAfter: \"2999-01-01T00:00:00Z\"\n    \
         alice-models:\n      models:\n        allow:\n          - \"tiny\"\n          - \"a \\\"b\\\" \\\\c\"\n    \
         alice-rate:\n      rateLimit:\n        average: 60\n        period: 1m\n        burst: 10\n    \
         alice-concurrent:\n      inFlightReq:\n        amount: 4\n    \
         alice-tokens:\n      tokenLimit:\n        amount: 200000\n        period: 24h\n        count: total\n",
        key.hash().to_hex()
    );
    assert_eq!(text, expected);
    assert_eq!(mode(&scene.path("alice.yml")), 0o600);
    assert_eq!(scene.names(), ["alice.yml", "gpu.yml"]);
    assert_eq!(scene.pins(), [("alice".to_owned(), vec![key.hash()])]);
}

/// As the Debian package makes it: root's keys are read by an edge that is of the folder's group.
#[test]
fn in_a_folder_that_gives_its_group_a_new_file_is_that_groups_to_read() {
    let scene = Scene::new(&[]);
    let folder = scene.path("alice.yml").parent().expect("a folder").to_owned();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o2770)).expect("a mode");
    let key = mint().expect("randomness");
    create(&scene, &new_key("alice", &key, NewService::At("http://127.0.0.1:8011"))).expect("a new key");
    assert_eq!(mode(&scene.path("alice.yml")), 0o640);
}

#[test]
fn a_new_key_may_bring_its_server_and_stand_in_the_clear() {
    let scene = Scene::new(&[]);
    let key = mint().expect("randomness");
    let new = NewKey {
        plain: true,
        ..new_key("no", &key, NewService::At("http://127.0.0.1:8011/base"))
    };
    create(&scene, &new).expect("a new key");
    let text = scene.text("no.yml");
    assert!(text.contains(&format!("Key(`{}`)", key.expose())), "{text}");
    assert!(
        text.contains("\"no\":") && text.contains("preservePath: true"),
        "{text}"
    );
    assert_eq!(scene.pins(), [("no".to_owned(), vec![key.hash()])]);
    assert_eq!(scene.locked().only_service().expect("one service"), "no");
}

#[test]
fn names_that_are_taken_or_unfit_are_refused() {
    let taken = "http:\n  routers:\n    alice: {rule: Key(`API_KEY-1`), service: gpu}\n  middlewares:\n    carol-rate: {compress: {}}\n";
    let scene = Scene::new(&[
        ("gpu.yml", SERVICE),
        ("team.yaml", taken),
        ("dave.yaml", ""),
        ("bad.yml", "http:\n  routers:\n    erin: [\n"),
    ]);
    symlink("nowhere", scene.path("frank.yml")).expect("a link");
    let before = scene.names();
    let key = mint().expect("randomness");
    let named = |name| new_key(name, &key, NewService::Named("gpu"));
    for (new, message) in [
        (named("alice"), "taken, by a router"),
        (named("dave"), "taken, by a file"),
        (named("frank"), "taken, by a file"),
        (named("erin"), "does not check"),
        (named(""), "made of letters"),
        (named("../x"), "made of letters"),
        (named("-x"), "made of letters"),
        (named(".x"), "made of letters"),
        (named("a b"), "made of letters"),
        (named("ä"), "made of letters"),
        (named(&"x".repeat(101)), "made of letters"),
        (named("x.old"), "rotation"),
        (
            NewKey {
                requests_per_minute: Some(1),
                ..named("carol")
            },
            "middleware",
        ),
        (
            NewKey {
                note: Some("a\u{1b}[2J"),
                ..named("x")
            },
            "control",
        ),
        (
            new_key("gpu", &key, NewService::At("http://127.0.0.1:1")),
            "taken, by a file",
        ),
        (new_key("x", &key, NewService::At("ftp://127.0.0.1:1")), "http"),
        (new_key("x", &key, NewService::Named("gpuu")), "gpu"),
    ] {
        let told = refusal(create(&scene, &new));
        assert!(told.contains(message), "{}: {told}", new.name);
        assert!(!told.contains(key.expose()) && !told.contains(OLD), "{told}");
    }
    assert_eq!(scene.names(), before);
}

#[test]
fn the_service_may_be_left_out_where_there_is_one() {
    assert!(refusal(Scene::new(&[]).locked().only_service()).contains("none"));
    let scene = Scene::new(&[("a.yml", SERVICE)]);
    assert_eq!(scene.locked().only_service().expect("one"), "gpu");
    scene.write("b.yml", "http: {services: {cpu: {loadBalancer: {}}}}");
    assert!(refusal(scene.locked().only_service()).contains("cpu, gpu"));
}

#[test]
fn a_rotation_under_way_is_not_rotated_again_before_it_is_over() {
    let scene = Scene::new(&[("gpu.yml", SERVICE)]);
    let key = mint().expect("randomness");
    create(&scene, &new_key("alice", &key, NewService::Named("gpu"))).expect("a new key");
    let second = scene
        .rotate_until("alice", false, "2000-01-01T00:00:00Z")
        .expect("a rotation that is over at once");
    let third = scene.rotate("alice", false).expect("another");
    let pins = |first: &ApiKey, old: &ApiKey| {
        vec![
            ("alice.old".to_owned(), vec![old.hash()]),
            ("alice".to_owned(), vec![first.hash()]),
        ]
    };
    assert_eq!(scene.pins(), pins(&third, &second));
    assert!(refusal(scene.rotate("alice", false)).contains("revoke alice.old"));
    assert!(refusal(scene.rotate("alice.old", false)).contains("in rotation already"));
    assert!(refusal(create(&scene, &new_key("alice.old", &key, NewService::Named("gpu")))).contains("rotation"));
    scene.revoke(&["alice.old"]).expect("the old key ended");
    scene.rotate("alice", false).expect("a third rotation");
    scene.revoke(&["alice"]).expect("both revoked");
    assert_eq!(scene.names(), ["gpu.yml"]);
}

/// Killed between its steps: the old key works, the new one was never shown, and the next run goes through.
#[test]
fn a_rotation_cut_off_in_the_middle_is_done_again() {
    let scene = Scene::new(&[(
        "team.yml",
        "http: {routers: {alice: {rule: Key(`API_KEY-1`), service: s, priority: 9}}}\n",
    )]);
    let key = mint().expect("randomness");
    let locked = scene.locked();
    let rotation = Rotation {
        name: "alice",
        key: &key,
        plain: false,
        until: "2999-01-01T00:00:00Z",
        now: NOW,
    };
    let mut plan = locked.rotate(&rotation).expect("a plan");
    plan.steps.truncate(1);
    locked.apply(&plan).expect("the first step");
    drop(locked);
    let old = vec![KeyHash::of(OLD.as_bytes())];
    assert_eq!(
        scene.pins(),
        [("alice.old".to_owned(), old.clone()), ("alice".to_owned(), old.clone())]
    );
    let new = scene.rotate("alice", false).expect("again");
    assert_eq!(
        scene.pins(),
        [("alice.old".to_owned(), old), ("alice".to_owned(), vec![new.hash()])]
    );
    assert!(scene.text("alice.old.yml").contains("priority: 9"));
}

#[test]
fn a_router_whose_key_is_not_one_and_its_own_is_not_rotated() {
    for (rule, message) in [
        ("Key(`a`) || Key(`b`)", "several keys"),
        ("HeaderRegexp(`Authorization`, `Bearer k`)", "exactly"),
        ("Path(`/v1/models`)", "asks for no key"),
        ("Key(`shared`)", "Other routers"),
    ] {
        let text = format!(
            "http:\n  routers:\n    r: {{rule: '{rule}', service: s}}\n    t: {{rule: 'Key(`shared`) && Model(`m`)', service: s}}\n"
        );
        let scene = Scene::new(&[("a.yml", &text)]);
        let told = refusal(scene.rotate("r", false));
        assert!(
            told.contains(message) && told.contains("a.yml") || message == "Other routers",
            "{rule}: {told}"
        );
        assert_eq!((scene.names(), scene.text("a.yml")), (vec!["a.yml".to_owned()], text));
    }
    let scene = Scene::new(&[("a.yml", "http: {routers: {r: {rule: Key(`k`), service: s}}}")]);
    assert!(refusal(scene.rotate("q", false)).contains("There are: r."));
}

#[test]
fn a_key_that_works_elsewhere_is_not_said_to_be_revoked() {
    let scene = Scene::new(&[
        (
            "a.yml",
            "http: {routers: {one: {rule: 'Key(`k`) && Model(`m`)', service: s}}}",
        ),
        (
            "b.yml",
            "http: {routers: {two: {rule: 'Key(`k`) && Model(`n`)', service: s}, any: {rule: 'HeaderRegexp(`Authorization`, `Bearer`)', service: s}}}",
        ),
    ]);
    assert!(refusal(scene.revoke(&["one"])).contains("two"));
    let done = scene.revoke(&["one", "two"]).expect("both");
    assert_eq!(
        (done.routers, done.patterns),
        (vec!["one".to_owned(), "two".to_owned()], vec!["any".to_owned()])
    );
    assert_eq!(scene.text("a.yml"), "http: {routers: {}}");

    // Of a broken file the edge may serve what it was.
    scene.write("c.yml", "http: {routers: {three: {rule: Key(`x`), service: s}}}");
    scene.write("d.yml", "http:\n  routers:\n    four: {rule: Key(`x`), servize: s}\n");
    assert!(refusal(scene.revoke(&["three"])).contains("does not check"));
    assert!(refusal(scene.revoke(&["four"])).contains("does not check"));
}

#[test]
fn a_name_in_two_files_is_revoked_in_both() {
    let text = "http: {routers: {r: {rule: Key(`k`), service: s}, q: {rule: Key(`q`), service: s}}}";
    let scene = Scene::new(&[("a.yml", text), ("b.yml", text)]);
    assert!(refusal(scene.rotate("r", false)).contains("Two files"));
    scene.revoke(&["r"]).expect("both");
    for file in ["a.yml", "b.yml"] {
        assert_eq!(scene.text(file), "http: {routers: {q: {rule: Key(`q`), service: s}}}");
    }
}

#[test]
fn our_file_goes_unless_somebody_needs_what_is_in_it() {
    let scene = Scene::new(&[]);
    let key = mint().expect("randomness");
    create(&scene, &new_key("alice", &key, NewService::At("http://127.0.0.1:1"))).expect("alice");
    let other = mint().expect("randomness");
    create(&scene, &new_key("carol", &other, NewService::Named("alice@file"))).expect("carol");
    scene.revoke(&["alice"]).expect("alice's key");
    assert!(
        scene.names().contains(&"alice.yml".to_owned()),
        "carol's server is in it"
    );
    assert!(scene.text("alice.yml").contains("routers: {}"));
    assert_eq!(scene.pins(), [("carol".to_owned(), vec![other.hash()])]);
    scene.revoke(&["carol"]).expect("carol's key");
    assert_eq!(scene.names(), ["alice.yml"]);
}

#[test]
fn the_diff_shows_no_key() {
    let text = "# k is API_KEY-1\nhttp:\n  routers:\n    alice:\n      rule: >\n        Key(`API_KEY-1`)\n        && Path(`/v1`)\n      service: 'a#b' # was API_KEY-1\n    bob: {rule: Key(`b`), service: s}\n";
    let scene = Scene::new(&[("team.yml", text)]);
    let diff = scene
        .locked()
        .revoke(&["alice".to_owned()])
        .expect("a plan")
        .plan
        .diff();
    assert!(!diff.contains("API_KEY"), "{diff}");
    for line in [
        "-    alice:",
        "-      rule: >",
        "-        …",
        "-      service: 'a#b' # …",
    ] {
        assert!(diff.lines().any(|found| found == line), "{line}\n{diff}");
    }
    assert!(diff.contains("@@ -4,5 +3,0 @@"), "{diff}");
    assert!(!diff.contains("bob"), "{diff}");
    assert_eq!(scene.text("team.yml"), text);
}

#[test]
fn permissions_are_kept_and_links_stay_in_the_folder() {
    let text =
        "http:\n  routers:\n    alice: {rule: Key(`API_KEY-1`), service: s}\n    bob: {rule: Key(`b`), service: s}\n";
    let scene = Scene::new(&[("team.yml", text)]);
    for mode_before in [0o600, 0o640, 0o400] {
        scene.write("team.yml.new", text);
        fs::rename(scene.path("team.yml.new"), scene.path("team.yml")).expect("renamed");
        fs::set_permissions(scene.path("team.yml"), fs::Permissions::from_mode(mode_before)).expect("a mode");
        scene.revoke(&["alice"]).expect("revoked");
        assert_eq!(mode(&scene.path("team.yml")), mode_before);
    }

    let outside = tempfile::tempdir().expect("a folder");
    fs::write(outside.path().join("team.yml"), text).expect("written");
    fs::remove_file(scene.path("team.yml")).expect("removed");
    symlink(outside.path().join("team.yml"), scene.path("team.yml")).expect("a link");
    assert!(refusal(scene.revoke(&["alice"])).contains("leads out of the folder"));
    assert!(refusal(scene.rotate("alice", false)).contains("leads out of the folder"));
    assert_eq!(
        fs::read_to_string(outside.path().join("team.yml")).expect("a text"),
        text
    );

    // Within it, as Kubernetes has it, the file behind the link is edited and the link stays.
    fs::remove_file(scene.path("team.yml")).expect("removed");
    fs::create_dir(scene.path("..data")).expect("a folder");
    scene.write("..data/team.yml", text);
    symlink("..data/team.yml", scene.path("team.yml")).expect("a link");
    scene.revoke(&["bob"]).expect("revoked");
    assert!(scene.path("team.yml").symlink_metadata().expect("a link").is_symlink());
    assert!(!scene.text("..data/team.yml").contains("bob"));
}

#[test]
fn a_file_that_somebody_else_changed_meanwhile_is_left_alone() {
    let text = "http: {routers: {alice: {rule: Key(`API_KEY-1`), service: s}}}";
    let scene = Scene::new(&[("team.yml", text)]);
    let locked = scene.locked();
    let plan = locked.revoke(&["alice".to_owned()]).expect("a plan").plan;
    scene.write("team.yml", &format!("{text} # by hand"));
    assert!(refusal(locked.apply(&plan)).contains("Run the command again"));
    assert_eq!(scene.text("team.yml"), format!("{text} # by hand"));
}

#[test]
fn runs_wait_for_each_other() {
    let scene = Scene::new(&[("gpu.yml", SERVICE)]);
    let held = scene.locked();
    let told = refusal(LockedFolder::lock(scene.folder.path(), Duration::from_millis(30)).map(|_| ()));
    assert!(told.contains("Another run"), "{told}");
    drop(held);
    assert!(refusal(LockedFolder::lock(&scene.path("gone"), Duration::ZERO).map(|_| ())).contains("--mappings"));
    assert!(
        refusal(LockedFolder::lock(&scene.path("gpu.yml"), Duration::ZERO).map(|_| ())).contains("cannot be opened")
    );

    let made = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let key = mint().expect("randomness");
                    create(&scene, &new_key("alice", &key, NewService::Named("gpu"))).is_ok()
                })
            })
            .collect();
        runs.into_iter()
            .map(|run| run.join().expect("no panic"))
            .filter(|made| *made)
            .count()
    });
    assert_eq!(
        (made, scene.names()),
        (1, vec!["alice.yml".to_owned(), "gpu.yml".to_owned()])
    );
}
