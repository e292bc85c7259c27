//! What is seen without a key.

use crate::harness::origin::Origin;
use crate::harness::world::{Terms, World, mapping};

fn world(aggregator: Option<String>, files: &[(&str, &str)]) -> World {
    World::on(
        Terms {
            aggregator,
            ..Terms::default()
        },
        files,
    )
}

#[test]
fn the_model_list_and_the_figures_come_from_the_aggregator_and_nothing_else_does() {
    let aggregator = Origin::answering("all");
    let world = world(Some(aggregator.url.clone()), &[]);
    for (request, status) in [
        ("GET /v1/models", 200),
        ("HEAD /v1/models", 200),
        ("GET /stats", 200),
        ("GET /v1/../stats", 200),
        ("POST /v1/models", 401),
        ("GET /v1/models/", 401),
        ("GET /health", 401),
        ("GET /", 401),
    ] {
        let answer = world.send(&format!("{request} HTTP/1.1\r\nHost: edge\r\n\r\n"));
        assert_eq!(answer.status, status, "{request}");
    }
    let lines: Vec<_> = aggregator.seen().iter().map(|seen| seen.line().to_owned()).collect();
    assert_eq!(
        lines[3], "GET /stats HTTP/1.1",
        "the cleaned path is forwarded: {lines:?}"
    );
}

#[test]
fn a_mappings_keyless_router_comes_before_the_built_in_ones() {
    let (aggregator, other) = (Origin::answering("all"), Origin::answering("other"));
    let file = mapping("list", "Path(`/v1/models`)", std::slice::from_ref(&other.url));
    let world = world(Some(aggregator.url.clone()), &[("routheon-server.yml", &file)]);
    assert_eq!(
        world.send("GET /v1/models HTTP/1.1\r\nHost: edge\r\n\r\n").text(),
        "other"
    );
    assert_eq!(world.send("GET /stats HTTP/1.1\r\nHost: edge\r\n\r\n").text(), "all");
}

#[test]
fn without_an_aggregator_the_built_in_routes_say_so() {
    let world = world(None, &[]);
    let answer = world.send("GET /v1/models HTTP/1.1\r\nHost: edge\r\n\r\n");
    assert_eq!((answer.status, answer.code().as_str()), (503, "no_aggregator"));
}

#[test]
fn internal_services_are_the_aggregator_and_a_dead_end() {
    let aggregator = Origin::answering("all");
    let files = [(
        "internal.yml",
        "http:\n  routers:\n    list:\n      rule: Key(`sk-list`)\n      service: aggregator@internal\n    end:\n      rule: Key(`sk-end`)\n      service: noop@internal\n",
    )];
    let world = world(Some(aggregator.url.clone()), &files);
    assert_eq!(
        world
            .send("GET /any HTTP/1.1\r\nHost: edge\r\nx-api-key: sk-list\r\n\r\n")
            .text(),
        "all"
    );
    assert_eq!(
        world
            .send("GET /any HTTP/1.1\r\nHost: edge\r\nx-api-key: sk-end\r\n\r\n")
            .status,
        418
    );
}
