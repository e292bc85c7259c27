//! Takes the samples: the host on its own clock, NVIDIA's tool on another, faster while somebody looks.
//!
//! Reading `/proc` is quick but blocking, so each sample is taken on the blocking pool and moved there and back.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use super::StatsConfig;
use super::board::StatsBoard;
use super::filter::StatsFilter;
use super::gpu::{nvidia_smi, sysfs};
use super::host::Host;
use super::shape::{Gpu, Stats};
use crate::tasks::{Stop, Tasks};

/// The first CPU reading compares two moments; sysinfo takes none that are closer.
const FIRST_INTERVAL: Duration = sysinfo::MINIMUM_CPU_UPDATE_INTERVAL;

/// NVIDIA's tool runs this often while somebody has looked within [`WATCHED_FOR`] …
const GPU_INTERVAL_WATCHED: Duration = Duration::from_secs(5);
/// … and this often otherwise, so that the first look finds something not older than a minute.
const GPU_INTERVAL_IDLE: Duration = Duration::from_secs(60);
const WATCHED_FOR: Duration = Duration::from_secs(60);

/// Starts the tasks that keep the board current.
pub(crate) fn spawn(tasks: &mut Tasks, config: StatsConfig, board: &Arc<StatsBoard>) {
    let (sender, tool_gpus) = watch::channel(Vec::new());
    if let Some(program) = config.nvidia_smi.clone() {
        tasks.spawn(
            "GPU sampler",
            ask_gpu_tool(program, sender, board.readers(), tasks.stop_signal()),
        );
    }
    tasks.spawn(
        "host sampler",
        sample(config, tool_gpus, Arc::clone(board), tasks.stop_signal()),
    );
}

/// Samples the host until stopped and posts each sample on the board; takes along what NVIDIA's tool said last.
async fn sample(config: StatsConfig, tool_gpus: watch::Receiver<Vec<Gpu>>, board: Arc<StatsBoard>, mut stop: Stop) {
    let mut host = Host::new();
    let first = Instant::now() + FIRST_INTERVAL;
    let mut ticks = tokio::time::interval_at(first, config.sample_interval.max(FIRST_INTERVAL));
    // After a suspended machine wakes, one sample is enough.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.requested() => return,
            _ = ticks.tick() => {}
        }
        let drm_folder = config.drm_folder.clone();
        let mut gpus = tool_gpus.borrow().clone();
        let measured = tokio::task::spawn_blocking(move || {
            gpus.splice(0..0, sysfs::read(&drm_folder));
            let stats = host.measure(gpus);
            (host, stats)
        });
        let Ok((returned, stats)) = measured.await else {
            return; // It panicked: this task ends by itself, which the service reports.
        };
        host = returned;
        board.post(serialised(&stats, config.filter.as_ref()));
    }
}

fn serialised(stats: &Stats, filter: Option<&StatsFilter>) -> bytes::Bytes {
    let json = match filter {
        None => serde_json::to_vec(stats),
        Some(filter) => serde_json::to_value(stats).and_then(|stats| serde_json::to_vec(&filter.apply(&stats))),
    };
    json.expect("strings, numbers and lists always serialise").into()
}

async fn ask_gpu_tool(
    program: PathBuf,
    gpus: watch::Sender<Vec<Gpu>>,
    mut readers: watch::Receiver<Option<Instant>>,
    mut stop: Stop,
) {
    loop {
        let asked_at = Instant::now();
        tokio::select! {
            () = stop.requested() => return,
            answer = nvidia_smi::ask(&program) => {
                gpus.send_replace(answer.unwrap_or_else(|cause| {
                    // No such tool is the common case and no fault: nothing louder than debug.
                    tracing::debug!(%cause, "NVIDIA's tool tells nothing");
                    Vec::new()
                }));
            }
        }
        tokio::select! {
            () = stop.requested() => return,
            () = until_due(asked_at, &mut readers) => {}
        }
    }
}

/// Waits for the idle interval, cut short to the watched one as soon as somebody looks.
async fn until_due(asked_at: Instant, readers: &mut watch::Receiver<Option<Instant>>) {
    let watched = |read_at: &Option<Instant>| read_at.is_some_and(|read_at| read_at.elapsed() < WATCHED_FOR);
    let idle_end = asked_at + GPU_INTERVAL_IDLE;
    let somebody_looks = tokio::time::timeout_at(idle_end, readers.wait_for(watched))
        .await
        .is_ok();
    let end = if somebody_looks {
        asked_at + GPU_INTERVAL_WATCHED
    } else {
        idle_end
    };
    tokio::time::sleep_until(end).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pause(board: &StatsBoard) -> Duration {
        let started = Instant::now();
        until_due(started, &mut board.readers()).await;
        started.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn the_tool_is_asked_often_only_while_somebody_looks() {
        let board = StatsBoard::new();
        board.post(bytes::Bytes::from_static(b"{}"));
        assert_eq!(pause(&board).await, GPU_INTERVAL_IDLE);
        board.serve().await;
        assert_eq!(pause(&board).await, GPU_INTERVAL_WATCHED);
        tokio::time::sleep(WATCHED_FOR).await;
        assert_eq!(pause(&board).await, GPU_INTERVAL_IDLE);
    }
}
