//! What an append costs, from one thread and from several, with one lock and with a lane for each; what reading costs.
//!
//! `cargo run --release -p journal --example journal_cost [FOLDER]`

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use journal::{Appended, Cursor, Exchange, ExchangeId, Kind, Options, Reader, Step, SyncPolicy, Writer};

const APPENDS: usize = 200_000;
const PAYLOAD: [u8; 200] = [b'x'; 200];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let base = std::env::args()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from)
        .join("journal-cost");
    println!(
        "{APPENDS} appends of {} bytes by each thread, in {}",
        PAYLOAD.len(),
        base.display()
    );
    println!(
        "{:<24}{:>8}{:>10}{:>10}{:>10}{:>12}",
        "", "threads", "ns each", "p50", "p99.9", "all / s"
    );
    let interval = Options::default().sync;
    for (name, sync) in [("unsynced", SyncPolicy::Never), ("synced each 100 ms", interval)] {
        for threads in [1, 2, 4] {
            for lanes in [1, threads].into_iter().take(threads.min(2)) {
                let shape = if lanes == 1 { "one lock" } else { "lanes" };
                measure(&base, &format!("{name}, {shape}"), sync, threads, lanes)?;
            }
        }
    }
    read(&base.join("lane-0"))?;
    std::fs::remove_dir_all(&base)?;
    Ok(())
}

/// A lane is a journal of its own: what a segment for each thread would cost at least.
fn measure(base: &Path, name: &str, sync: SyncPolicy, threads: usize, lanes: usize) -> Result<(), journal::Error> {
    let _there_may_be_none = std::fs::remove_dir_all(base);
    let options = Options {
        sync,
        stall_max: Duration::from_secs(60),
        ..Options::default()
    };
    let open = |lane| Writer::open(base.join(format!("lane-{lane}")), options);
    let writers = (0..lanes).map(open).collect::<Result<Vec<_>, _>>()?;
    let begun = Instant::now();
    let mut times: Vec<u64> = std::thread::scope(|scope| {
        let spawn = |thread: usize| {
            let writer = &writers[thread % lanes];
            scope.spawn(move || append(writer, thread))
        };
        let running: Vec<_> = (0..threads).map(spawn).collect();
        running
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_default())
            .collect()
    });
    let (elapsed, count) = (begun.elapsed(), times.len());
    assert_eq!(count, threads * APPENDS, "every append was written");
    times.sort_unstable();
    let mean = times.iter().sum::<u64>() / count as u64;
    let (median, tail) = (times[count / 2], times[count - count / 1000]);
    let per_second = count as f64 / elapsed.as_secs_f64();
    println!("{name:<28}{threads:>4}{mean:>10}{median:>10}{tail:>10}{per_second:>12.0}");
    Ok(())
}

/// The nanoseconds that each append took, with the encoding of its one record.
fn append(writer: &Writer, thread: usize) -> Vec<u64> {
    let mut exchange = Exchange::new(ExchangeId([thread as u8; 16]));
    let mut batch = writer.batch();
    let mut times = Vec::with_capacity(APPENDS);
    for _ in 0..APPENDS {
        let begun = Instant::now();
        batch.clear();
        batch.push(&mut exchange, Kind::ResponseBytes, &PAYLOAD);
        let appended = writer.append(&batch);
        let nanoseconds = begun.elapsed().as_nanos() as u64;
        if matches!(appended, Ok(Appended::Written(_))) {
            times.push(nanoseconds);
        }
    }
    times
}

fn read(folder: &Path) -> Result<(), journal::Error> {
    let mut reader = Reader::open(folder, Cursor::BEGINNING);
    let (begun, bytes) = (Instant::now(), reader.behind_bytes()?);
    let mut records = 0u64;
    while let Step::Record(_) = reader.next_step()? {
        records += 1;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let (per_second, mb) = (records as f64 / seconds, bytes as f64 / 1e6 / seconds);
    println!("read {records} records: {per_second:.0} records/s, {mb:.0} MB/s");
    Ok(())
}
