//! One JSON line a request, written by a thread of its own.
//!
//! The queue is bounded: where the disk is slower than the traffic, lines are dropped and counted, never waited for.
//! A line names the router, never the key; the query string, where clients put secrets, is left out.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use serde::Serialize;

use crate::metrics::Metrics;

/// A few seconds of traffic at full load, about 4 MiB.
const QUEUE_LINES: usize = 16 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLogTarget {
    Stdout,
    File(PathBuf),
}

#[derive(Debug, Serialize)]
pub(crate) struct Line {
    /// RFC 3339, UTC.
    pub(crate) time: String,
    pub(crate) request_id: String,
    pub(crate) client: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: Option<u16>,
    pub(crate) outcome: &'static str,
    pub(crate) router: Option<Arc<str>>,
    pub(crate) service: Option<Arc<str>>,
    pub(crate) server: Option<String>,
    pub(crate) attempts: u32,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) duration_ms: f64,
}

enum Message {
    Line(Box<Line>),
    Reopen,
}

/// The sending half. Dropping it ends the thread once everything queued is written.
pub(crate) struct AccessLog {
    queue: Option<SyncSender<Message>>,
    writer: Option<JoinHandle<()>>,
    metrics: Weak<Metrics>,
}

impl AccessLog {
    /// # Errors
    /// Where the file cannot be opened or the thread not started.
    pub(crate) fn start(target: AccessLogTarget, metrics: &Arc<Metrics>) -> io::Result<Self> {
        let sink = open(&target)?;
        let (queue, lines) = sync_channel(QUEUE_LINES);
        let writer = std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write_lines(&lines, sink, &target))?;
        Ok(Self {
            queue: Some(queue),
            writer: Some(writer),
            metrics: Arc::downgrade(metrics),
        })
    }

    pub(crate) fn write(&self, line: Line) {
        let Some(queue) = &self.queue else { return };
        if let Err(TrySendError::Full(_)) = queue.try_send(Message::Line(Box::new(line)))
            && let Some(metrics) = self.metrics.upgrade()
        {
            metrics.access_log_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// After a rotation: the next line goes to a newly opened file.
    pub(crate) fn reopen(&self) {
        if let Some(queue) = &self.queue {
            // A full queue drops this too: the rotation then takes effect with the next SIGHUP.
            let _ = queue.try_send(Message::Reopen);
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

type Sink = BufWriter<Box<dyn Write + Send>>;

fn open(target: &AccessLogTarget) -> io::Result<Sink> {
    let sink: Box<dyn Write + Send> = match target {
        AccessLogTarget::Stdout => Box::new(io::stdout()),
        AccessLogTarget::File(path) => {
            let opened = OpenOptions::new().create(true).append(true).open(path);
            Box::new(opened.map_err(|error| named(&error, path))?)
        }
    };
    Ok(BufWriter::with_capacity(64 * 1024, sink))
}

/// Which file it was, and what it needs.
fn named(error: &io::Error, path: &Path) -> io::Error {
    let text = format!(
        "{}: {error}; its folder must be there, and let the edge write",
        path.display()
    );
    io::Error::new(error.kind(), text)
}

fn write_lines(lines: &Receiver<Message>, mut sink: Sink, target: &AccessLogTarget) {
    let mut healthy = true;
    while let Ok(first) = lines.recv() {
        let mut next = Some(first);
        let mut result = Ok(());
        while let Some(message) = next {
            match message {
                Message::Line(line) => result = result.and_then(|()| write_line(&mut sink, &line)),
                Message::Reopen => match open(target) {
                    Ok(reopened) => sink = reopened,
                    Err(error) => tracing::error!(%error, "the access log cannot be reopened; the old file is kept"),
                },
            }
            next = lines.try_recv().ok();
        }
        // Flushed whenever the queue is empty, so that whoever follows the file is at most one request behind.
        let result = result.and_then(|()| sink.flush());
        if let Err(error) = &result
            && healthy
        {
            tracing::error!(%error, "the access log cannot be written");
        }
        healthy = result.is_ok();
    }
}

fn write_line(sink: &mut Sink, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *sink, line)?;
    sink.write_all(b"\n")
}
