//! What keys cost: time to load, resident memory, time of a look-up and of one more file, at 1, 10, 10,000 and
//! 1,000,000 keys, each in a file of its own as create-mapping writes it.
//!
//! `cargo run --release -p keymap --example scale [KEYS…]`
//!
//! ```text
//!  build     files parsed on every core, as the watch does it, and compiled on one
//!  memory    resident after the build, less what was resident before it
//!  hit       a request with one of all keys, drawn at random: beyond the processor's caches where they are many
//!  again     a request with one of the same ten keys: what the look-up itself costs, whatever the number of keys
//!  miss      a request with a key that nobody has
//!  one file  one more file, and the table with it
//! ```
//!
//! From the headers to the decision, the key's hash included: that alone is most of it. Each count runs in a process
//! of its own: memory that an earlier one gave back would hide what a later one takes.

use std::env;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, header};
use keymap::{Compiler, Credential, Decision, Mapping, Model, Request, Table, check};

/// What the program itself runs with; how much memory a million small things take is the allocator's doing, too.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const COUNTS: [&str; 4] = ["1", "10", "10000", "1000000"];
const ENTRY_POINT: &str = "llama-servers";
/// Look-ups are timed in batches and the median is told, so that an interrupt in one of them does not count. The first
/// batches find the code and the table's top cold, which no server is for long.
const BATCHES: usize = 101;
const BATCHES_TO_WARM_UP: usize = 20;
const LOOKUPS_PER_BATCH: usize = 2_000;
const ONE_FILE_TIMES: usize = 51;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [flag, count] = arguments.as_slice()
        && flag == "--measure"
    {
        return measure(count.parse().expect("a number of keys"));
    }
    println!(
        "{:>9} {:>10} {:>11} {:>8} {:>8} {:>8} {:>8} {:>10}",
        "keys", "build", "memory", "per key", "hit", "again", "miss", "one file"
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
    let mut compiler = Compiler::new(Some(vec![ENTRY_POINT.into()]));
    for (name, mapping) in files(keys) {
        compiler.set(&name, Some(mapping));
    }
    let (table, problems) = compiler.table();
    let build = started.elapsed();
    assert!(problems.is_empty(), "{:?}", problems.first());
    assert_eq!(table.keys(), keys);
    let memory = resident_bytes().saturating_sub(before);

    let forwards = |decision: &Decision| matches!(decision, Decision::Forward(_));
    let refuses = |decision: &Decision| matches!(decision, Decision::UnknownKey);
    let hit = median_of_lookups(&table, |at| shuffled(at) % keys, forwards);
    let again = median_of_lookups(&table, |at| shuffled(shuffled(at) % 10) % keys, forwards);
    let miss = median_of_lookups(&table, |at| keys + 1 + shuffled(at) % (1 << 40), refuses);
    let one_file = median((0..ONE_FILE_TIMES).map(|more| {
        let (name, mapping) = file(keys + more);
        let started = Instant::now();
        compiler.set(&name, Some(mapping));
        let (next, _) = compiler.table();
        let taken = started.elapsed();
        assert_eq!((table.keys(), next.keys()), (keys, keys + more + 1));
        taken
    }));

    let megabytes = memory as f64 / 1e6;
    let per_key = memory / keys;
    let [hit, again, miss] = [hit, again, miss].map(|time| time.as_nanos());
    println!(
        "{keys:>9} {build:>10.2?} {megabytes:>8.1} MB {per_key:>6} B {hit:>5} ns {again:>5} ns {miss:>5} ns {one_file:>10.2?}"
    );
    // The process ends here; taking a million routers apart one by one would only be waited for.
    std::process::exit(0);
}

/// So many files, read on every core.
fn files(keys: usize) -> Vec<(String, Arc<Mapping>)> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = keys.div_ceil(threads);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || (thread * share..keys.min((thread + 1) * share)).map(file).collect()))
            .collect();
        let shares = workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker's files"));
        shares.flat_map(|share: Vec<_>| share).collect()
    })
}

fn file(key: usize) -> (String, Arc<Mapping>) {
    let name = format!("llama-server-{key}.yml");
    let text = format!(
        "http:
  routers:
    llama-server-{key}:
      rule: \"HeaderRegexp(`Authorization`, `^Bearer sk-{key:032x}$`)\"
      service: llama-server-{key}
      entryPoints:
        - {ENTRY_POINT}

  services:
    llama-server-{key}:
      loadBalancer:
        servers:
          - url: \"http://127.0.0.1:8011\"
"
    );
    let (mapping, problems) = check(Path::new(&name), &text);
    (name, Arc::new(mapping.unwrap_or_else(|| panic!("{problems:?}"))))
}

/// From header lines to decision, the key's hash included.
fn median_of_lookups(table: &Table, key: impl Fn(usize) -> usize, expected: fn(&Decision) -> bool) -> Duration {
    let batches = (0..BATCHES_TO_WARM_UP + BATCHES).map(|batch| {
        let requests: Vec<HeaderMap> = (0..LOOKUPS_PER_BATCH)
            .map(|at| headers(key(batch * LOOKUPS_PER_BATCH + at)))
            .collect();
        let started = Instant::now();
        for headers in &requests {
            assert!(expected(&black_box(lookup(table, headers))));
        }
        started.elapsed()
    });
    median(batches.skip(BATCHES_TO_WARM_UP)) / u32::try_from(LOOKUPS_PER_BATCH).expect("a small number")
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.collect();
    times.sort();
    times[times.len() / 2]
}

/// A number far from those of its neighbours, the same in every run (the finaliser of splitmix64).
fn shuffled(at: usize) -> usize {
    let mut bits = (at as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits ^ (bits >> 31)) as usize
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
        entry_point: Some(ENTRY_POINT),
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
