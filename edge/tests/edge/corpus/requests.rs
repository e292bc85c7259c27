//! Raw requests, through the edge into a server that records bytes.

use std::net::Shutdown;

use super::recorder::{Recorder, plain};
use super::table::{self, Case, shown};
use crate::harness::http::Connection;
use crate::harness::world::World;

const TABLE: &str = include_str!("requests.txt");
const PROBE: &[u8] = b"GET /probe HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\n\r\n";

/// The routers of the table: `sk` opens everything, `sk-v1` what begins with `/v1/`, `sk-host` one host, `sk-changed`
/// goes through middlewares, `sk-other` has its key replaced by the server's own.
fn mappings(url: &str) -> String {
    format!(
        "http:
  routers:
    all: {{rule: Key(`sk`), service: s}}
    v1: {{rule: 'Key(`sk-v1`) && PathPrefix(`/v1/`)', service: s}}
    host: {{rule: 'Key(`sk-host`) && Host(`edge`)', service: s}}
    changed: {{rule: Key(`sk-changed`), service: s, middlewares: [user, strip]}}
    other: {{rule: Key(`sk-other`), service: s, middlewares: [other]}}
  middlewares:
    user: {{headers: {{customRequestHeaders: {{X-User: alice}}}}}}
    strip: {{stripPrefix: {{prefixes: [/gpu]}}}}
    other: {{upstreamKey: {{env: CARGO_PKG_NAME}}}}
  services:
    s: {{loadBalancer: {{servers: [{{url: \"{url}\"}}]}}}}
"
    )
}

#[test]
fn what_leaves_is_strict_and_every_answer_is_as_tabled() {
    let cases = table::read(TABLE, &[("key", "Host: edge\\r\\nx-api-key: sk")]);
    assert!(cases.len() >= 120, "{} cases", cases.len());
    let recorder = Recorder::start();
    let world = World::start(&[("a.yml", &mappings(&recorder.url()))]);
    let only = std::env::var("CORPUS_CASE").ok();
    let faults: Vec<String> = cases
        .iter()
        .filter(|case| only.as_ref().is_none_or(|only| case.title.contains(only)))
        .filter_map(|case| {
            judged(case, &world, &recorder)
                .err()
                .map(|fault| format!("== {}\n{fault}", case.title))
        })
        .collect();
    assert!(
        faults.is_empty(),
        "{} cases are not as tabled\n{}",
        faults.len(),
        faults.join("\n")
    );
}

fn judged(case: &Case, world: &World, recorder: &Recorder) -> Result<(), String> {
    let mut client = world.connect();
    client.write(&case.sent);
    let expected: Vec<&String> = case.outcome.iter().filter(|part| *part != "closes").collect();
    let mut answers = Vec::new();
    for next in &expected {
        let said = said(&mut client, &case.sent).map_err(|why| format!("  expected {next}, got no answer: {why}"))?;
        answers.push(said);
    }
    if answers.iter().collect::<Vec<_>>() != expected {
        return Err(format!("  expected {expected:?}, was answered {answers:?}"));
    }
    let (bytes, requests) = recorder.take()?;
    let served = answers.iter().filter(|said| said.starts_with('2')).count();
    if requests != served {
        let seen = shown(&bytes);
        return Err(format!("  {served} served, {requests} requests at the server: {seen}"));
    }
    let arrived = plain(bytes, &recorder.authority);
    if arrived != case.arrives {
        let (expected, arrived) = (shown(&case.arrives), shown(&arrived));
        return Err(format!("  expected\n    {expected}\n  arrived\n    {arrived}"));
    }
    how_it_goes_on(case, client, recorder)
}

/// `400 bad_request`, or the status alone where the server answered.
fn said(client: &mut Connection, sent: &[u8]) -> Result<String, String> {
    if !client.has_more() {
        return Err("the connection ended".to_owned());
    }
    let answer = client.answer(sent.starts_with(b"HEAD "));
    let is_ours = answer.status >= 400 && !answer.body.is_empty();
    let code = if is_ours { answer.code() } else { String::new() };
    Ok(format!("{} {code}", answer.status).trim().to_owned())
}

/// A connection that goes on carries another request, and exactly that; one that ends says nothing more.
fn how_it_goes_on(case: &Case, mut client: Connection, recorder: &Recorder) -> Result<(), String> {
    if case.has("closes") {
        client.shut_down(Shutdown::Write);
        let ended = client.is_closed();
        return ended.then_some(()).ok_or("  the connection did not end".to_owned());
    }
    client.write(PROBE);
    let answered = said(&mut client, PROBE)?;
    let (bytes, requests) = recorder.take()?;
    let is_probe = bytes.starts_with(b"GET /probe HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\n");
    if answered == "200" && requests == 1 && is_probe {
        return Ok(());
    }
    let seen = shown(&bytes);
    Err(format!(
        "  the next request was answered {answered}, and the server saw {seen}"
    ))
}
