//! What keys cost: time to load, resident memory, time of a look-up and of one more file, at 1, 10,000 and 1,000,000
//! keys, each in a file of its own as create-mapping writes it.
//!
//! `cargo run --release -p keymap --example scale [KEYS…]`
//!
//! Each count runs in a process of its own: memory that an earlier one gave back would hide what a later one takes.

use std::env;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, header};
use keymap::{Compiler, Credential, Decision, Model, Request, Table, check};

const COUNTS: [&str; 3] = ["1", "10000", "1000000"];
/// Look-ups are timed in batches and the median is told, so that an interrupt in one of them does not count.
const BATCHES: usize = 31;
const LOOKUPS_PER_BATCH: usize = 2_000;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [flag, count] = arguments.as_slice()
        && flag == "--measure"
    {
        return measure(count.parse().expect("a number of keys"));
    }
    println!(
        "{:>10} {:>12} {:>12} {:>10} {:>10} {:>12}",
        "keys", "build", "memory", "hit", "miss", "one file"
    );
    let counts = if arguments.is_empty() {
        COUNTS.map(String::from).to_vec()
    } else {
        arguments
    };
    let program = env::current_exe().expect("this program's path");
    for count in counts {
        let status = Command::new(&program)
            .args(["--measure", &count])
            .status()
            .expect("a process to measure in");
        assert!(status.success(), "measuring {count} keys failed");
    }
}

fn measure(keys: usize) {
    let before = resident_bytes();
    let started = Instant::now();
    let mut compiler = Compiler::new(None);
    for key in 0..keys {
        add_file(&mut compiler, key);
    }
    let (table, problems) = compiler.table();
    let build = started.elapsed();
    assert!(problems.is_empty(), "{:?}", problems.first());
    assert_eq!(table.keys(), keys);
    let memory = resident_bytes().saturating_sub(before);

    // Every key in turn, far apart from the last one: as cold as requests of many users are.
    let hit = median_of_lookups(
        &table,
        |at| at * 7919 % keys,
        |decision| matches!(decision, Decision::Forward(_)),
    );
    let miss = median_of_lookups(
        &table,
        |at| keys + 1 + at,
        |decision| matches!(decision, Decision::UnknownKey),
    );

    let started = Instant::now();
    add_file(&mut compiler, keys);
    let (next, _) = compiler.table();
    let one_file = started.elapsed();
    assert_eq!((table.keys(), next.keys()), (keys, keys + 1));

    let megabytes = memory as f64 / 1e6;
    println!("{keys:>10} {build:>12.2?} {megabytes:>9.1} MB {hit:>10.0?} {miss:>10.0?} {one_file:>12.2?}");
    // The process ends here; taking a million routers apart one by one would only be waited for.
    std::process::exit(0);
}

fn add_file(compiler: &mut Compiler, key: usize) {
    let name = format!("llama-server-{key}.yml");
    let text = format!(
        "http:
  routers:
    llama-server-{key}:
      rule: \"HeaderRegexp(`Authorization`, `^Bearer sk-{key:032x}$`)\"
      service: llama-server-{key}
  services:
    llama-server-{key}:
      loadBalancer:
        servers:
          - url: \"http://127.0.0.1:8011\"
"
    );
    let (mapping, problems) = check(Path::new(&name), &text);
    compiler.set(&name, Some(Arc::new(mapping.unwrap_or_else(|| panic!("{problems:?}")))));
}

/// From header lines to decision, the key's hash included.
fn median_of_lookups(table: &Table, key: impl Fn(usize) -> usize, expected: fn(&Decision) -> bool) -> Duration {
    let mut batches: Vec<Duration> = (0..BATCHES)
        .map(|batch| {
            let requests: Vec<HeaderMap> = (0..LOOKUPS_PER_BATCH)
                .map(|at| headers(key(batch * LOOKUPS_PER_BATCH + at)))
                .collect();
            let started = Instant::now();
            for headers in &requests {
                assert!(expected(&black_box(lookup(table, headers))));
            }
            started.elapsed()
        })
        .collect();
    batches.sort();
    batches[BATCHES / 2] / u32::try_from(LOOKUPS_PER_BATCH).expect("a small number")
}

fn headers(key: usize) -> HeaderMap {
    let value = HeaderValue::from_str(&format!("Bearer sk-{key:032x}")).expect("a header value");
    HeaderMap::from_iter([(header::AUTHORIZATION, value)])
}

fn lookup(table: &Table, headers: &HeaderMap) -> Decision {
    let credential = Credential::from_headers(headers).expect("one key");
    table.decide(&Request {
        credential: credential.as_ref(),
        method: "POST",
        host: "localhost",
        path: "/v1/chat/completions",
        query: None,
        headers,
        client_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        entry_point: None,
        model: Model::Unread,
    })
}

/// As Linux tells it; 0 elsewhere.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().unwrap_or(0);
    kilobytes * 1024
}
