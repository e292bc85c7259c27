//! Files change while requests run.

use std::fs;

use crate::harness::origin::Origin;
use crate::harness::world::{World, mapping, wait_for};

fn status(world: &World, key: &str) -> u16 {
    world
        .send(&format!("GET / HTTP/1.1\r\nHost: edge\r\nx-api-key: {key}\r\n\r\n"))
        .status
}

#[test]
fn a_file_dropped_in_works_and_a_file_taken_out_does_not() {
    let origin = Origin::answering("ok");
    let urls = std::slice::from_ref(&origin.url);
    let world = World::start(&[("a.yml", &mapping("a", "Key(`sk-a`)", urls))]);
    assert_eq!((status(&world, "sk-a"), status(&world, "sk-b")), (200, 401));
    world.change(|folder| {
        fs::write(folder.join(".b.tmp"), mapping("b", "Key(`sk-b`)", urls)).expect("written");
        fs::rename(folder.join(".b.tmp"), folder.join("b.yml")).expect("renamed");
    });
    assert_eq!((status(&world, "sk-a"), status(&world, "sk-b")), (200, 200));
    world.change(|folder| fs::remove_file(folder.join("a.yml")).expect("removed"));
    assert_eq!((status(&world, "sk-a"), status(&world, "sk-b")), (401, 200));
}

#[test]
fn a_broken_file_keeps_its_last_good_content_and_is_named() {
    let origin = Origin::answering("ok");
    let world = World::start(&[(
        "a.yml",
        &mapping("a", "Key(`sk-canary`)", std::slice::from_ref(&origin.url)),
    )]);
    assert_eq!(world.admin_get("/health").json()["status"], "ok");
    world.change(|folder| {
        fs::write(
            folder.join("a.yml"),
            "http:\n  routers:\n    a:\n      rule: Key(`sk-canary`\n",
        )
        .expect("written")
    });
    assert_eq!(status(&world, "sk-canary"), 200);
    let health = world.admin_get("/health");
    let bad = &health.json()["mappings"]["bad_files"][0];
    assert_eq!(
        (health.json()["status"].as_str(), bad["file"].as_str()),
        (Some("degraded"), Some("a.yml"))
    );
    assert!(
        bad["problems"][0]["line"].as_u64().is_some_and(|line| line >= 3),
        "{bad}"
    );
    assert!(!health.text().contains("sk-canary"));
    // An exchange is counted once it is over, which a client with its answer in hand may be ahead of.
    let metrics = || world.admin_get("/metrics").text();
    wait_for("both figures", || {
        let metrics = metrics();
        metrics.contains("conclave_mapping_files{state=\"kept_last_good\"} 1")
            && metrics.contains("conclave_edge_requests_total{code=\"200\"} 1")
    });
}

#[test]
fn a_service_may_live_in_another_file_and_its_loss_is_a_503() {
    let origin = Origin::answering("ok");
    let whole = mapping("a", "Key(`sk-a`)", std::slice::from_ref(&origin.url));
    let (router, service) = whole.split_once("  services:").expect("both");
    let world = World::start(&[
        ("router.yml", router),
        ("service.yml", &format!("http:\n  services:{service}")),
    ]);
    assert_eq!(status(&world, "sk-a"), 200);
    world.change(|folder| fs::remove_file(folder.join("service.yml")).expect("removed"));
    assert_eq!(status(&world, "sk-a"), 503);
}
