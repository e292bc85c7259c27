//! A folder with an edge's journal, written as the edge writes it, and what must come of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aggregator::ingest::{CaughtUp, IngestConfig, catch_up};
use aggregator::store::{NewExchange, Status};
use capture::{
    Begun, End, ExchangeId, Ledger, LossPolicy, Options, Outcome, Plane, Recorder, ResponseHead, Terms, folder_of,
};

use crate::memory::Memory;

/// Words of each answer: every frame says one.
pub(crate) const WORDS: usize = 8;

pub(crate) struct Scene {
    pub(crate) folder: tempfile::TempDir,
}

/// An exchange that is being written.
pub(crate) struct Talk {
    pub(crate) number: usize,
    recorder: Option<Recorder>,
    said: usize,
}

/// How an exchange is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Complete,
    ClientGone,
    UpstreamFailed,
    Refused,
    /// Not at all: its process dies.
    Dies,
}

pub(crate) const ENDINGS: [Ending; 5] = [
    Ending::Complete,
    Ending::ClientGone,
    Ending::UpstreamFailed,
    Ending::Refused,
    Ending::Dies,
];

impl Scene {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn edge(&self) -> PathBuf {
        folder_of(self.path(), Plane::Edge)
    }

    /// Opens the edge's journal for writing.
    pub(crate) fn writer(&self) -> Arc<Ledger> {
        self.writer_of(4 << 10)
    }

    pub(crate) fn writer_of(&self, segment_bytes_max: u64) -> Arc<Ledger> {
        let options = Options {
            segment_bytes_max,
            // A crowded machine is no stalled disk.
            stall_max: Duration::from_secs(30),
            ..Options::default()
        };
        Ledger::open(&self.edge(), options).expect("a journal")
    }

    /// Small batches and no patience: whatever can happen at a border happens.
    pub(crate) fn config(&self) -> IngestConfig {
        let mut config = IngestConfig::of(self.path());
        config.pace.batch_rows_max = 3;
        config.pace.resume_interval = Duration::ZERO;
        config
    }

    pub(crate) fn catch_up(&self, memory: &Arc<Memory>) -> CaughtUp {
        catch_up(&self.config(), memory).expect("nothing fails")
    }

    /// The folder as it is found after its writer was killed: what it wrote is there, and nobody has the lock.
    pub(crate) fn died(self) -> Self {
        let after = Self::new();
        for folder in ["", "parked"] {
            let Ok(entries) = std::fs::read_dir(self.edge().join(folder)) else {
                continue;
            };
            std::fs::create_dir_all(after.edge().join(folder)).expect("a folder");
            for path in entries.flatten().map(|entry| entry.path()) {
                let name = path.file_name().expect("a name");
                if path.is_file() && name != "lock" {
                    std::fs::copy(&path, after.edge().join(folder).join(name)).expect("a copy");
                }
            }
        }
        after
    }

    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.edge()).expect("the folder").flatten();
        let mut segments: Vec<_> = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|it| it == "segment"))
            .collect();
        segments.sort();
        segments
    }

    pub(crate) fn parked(&self) -> usize {
        std::fs::read_dir(self.edge().join("parked")).map_or(0, Iterator::count)
    }
}

pub(crate) fn id_of(number: usize) -> ExchangeId {
    let mut id = [0x70; 16];
    id[..8].copy_from_slice(&(0x0198_0000_0000_0000 + number as u64).to_be_bytes());
    ExchangeId(id)
}

pub(crate) fn request(number: usize) -> String {
    format!(r#"{{"model":"m{number}","stream":true,"messages":[{{"role":"user","content":"ask {number}"}}]}}"#)
}

pub(crate) fn word(number: usize, index: usize) -> String {
    format!("w{index}-é{number} ")
}

fn frame(number: usize, index: usize) -> String {
    format!(
        "data: {{\"model\":\"tiny\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n",
        word(number, index)
    )
}

pub(crate) const LAST: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":8}}\n\ndata: [DONE]\n\n";

impl Talk {
    /// The request goes out.
    pub(crate) fn begin(ledger: &Arc<Ledger>, number: usize) -> Self {
        let request_id = format!("request-{number}");
        let mut begun = Begun::new(
            Plane::Edge,
            1_700_000_000_000_000 + number as u64,
            &request_id,
            "POST",
            "/v1/chat/completions",
        );
        begun.router = Some("alice");
        begun.service = Some("llama");
        let terms = Terms {
            loss: LossPolicy::Refuse,
            ..Terms::default()
        };
        let mut recorder = Recorder::begin(ledger, id_of(number), &begun, terms, Instant::now());
        recorder.request_bytes(request(number).as_bytes());
        recorder.flush().expect("kept");
        Self {
            number,
            recorder: Some(recorder),
            said: 0,
        }
    }

    /// One word more, with the answer's head before the first. A frame comes in two pieces.
    pub(crate) fn say(&mut self) {
        let recorder = self.recorder.as_mut().expect("open");
        if self.said == 0 {
            recorder.response_head(&ResponseHead {
                status: 200,
                content_type: Some("text/event-stream"),
                server: Some("127.0.0.1:8011"),
                attempts: 1,
                ..ResponseHead::default()
            });
        }
        let frame = frame(self.number, self.said);
        let (one, other) = frame.as_bytes().split_at(frame.len() / 2);
        for piece in [one, other] {
            recorder.response_bytes(piece);
            recorder.flush().expect("kept");
        }
        self.said += 1;
    }

    pub(crate) fn end(mut self, ending: Ending) {
        let mut recorder = self.recorder.take().expect("open");
        let outcome = match ending {
            Ending::Complete => {
                recorder.response_bytes(LAST.as_bytes());
                Outcome::Complete
            }
            Ending::ClientGone => Outcome::ClientGone,
            Ending::UpstreamFailed => Outcome::UpstreamFailed,
            Ending::Refused => Outcome::Refused("rate_limit_exceeded"),
            Ending::Dies => {
                // As a process that is killed: nothing of its own runs any more.
                std::mem::forget(recorder);
                return;
            }
        };
        let status = Some(if ending == Ending::Refused { 429 } else { 200 });
        recorder.end(&End {
            outcome,
            status,
            server: None,
            attempts: 1,
        });
        recorder.flush().expect("kept");
    }
}

/// How many words an exchange says that ends like this.
pub(crate) fn words_of(ending: Ending) -> usize {
    match ending {
        Ending::Complete => WORDS,
        Ending::Refused => 0,
        Ending::ClientGone | Ending::UpstreamFailed => 5,
        Ending::Dies => 3,
    }
}

pub(crate) fn ending_of(number: usize) -> Ending {
    ENDINGS[number % ENDINGS.len()]
}

/// Writes exchanges, many of them at once, each with the ending that its number says.
pub(crate) fn write(ledger: &Arc<Ledger>, numbers: std::ops::Range<usize>) {
    const AT_ONCE: usize = 7;
    let mut open: Vec<Talk> = Vec::new();
    let mut next = numbers.start;
    let mut turn = 0usize;
    while next < numbers.end || !open.is_empty() {
        if next < numbers.end && open.len() < AT_ONCE {
            open.push(Talk::begin(ledger, next));
            next += 1;
        }
        turn += 1;
        let index = turn * 31 % open.len();
        let talk = &mut open[index];
        let ending = ending_of(talk.number);
        if talk.said < words_of(ending) {
            talk.say();
        } else {
            open.swap_remove(index).end(ending);
        }
    }
}

/// What an exchange that was written whole must be.
pub(crate) fn assert_right(row: &NewExchange, number: usize) {
    let ending = ending_of(number);
    let (status, refused) = match ending {
        Ending::Complete => (Status::Complete, None),
        Ending::ClientGone => (Status::ClientGone, None),
        Ending::UpstreamFailed => (Status::UpstreamFailed, None),
        Ending::Refused => (Status::Complete, Some("rate_limit_exceeded")),
        Ending::Dies => (Status::Interrupted, None),
    };
    let at = format!("exchange {number}, {ending:?}");
    assert_eq!(
        (row.answered.status, row.answered.refused.as_deref()),
        (status, refused),
        "{at}"
    );
    let text: String = (0..words_of(ending)).map(|index| word(number, index)).collect();
    assert_eq!(row.content.text.as_deref().unwrap_or_default(), text, "{at}");
    let mut response: String = (0..words_of(ending)).map(|index| frame(number, index)).collect();
    if ending == Ending::Complete {
        response.push_str(LAST);
    }
    assert_eq!(
        row.content.response.as_deref().unwrap_or_default(),
        response.as_bytes(),
        "{at}"
    );
    assert_eq!(row.content.request.as_deref(), Some(request(number).as_bytes()), "{at}");
    assert_eq!(row.asked.model, Some(format!("m{number}")), "{at}");
    assert_eq!(row.asked.key.as_deref(), Some("alice"), "{at}");
    assert_eq!(row.started_at_us, 1_700_000_000_000_000 + number as i64, "{at}");
    let is_complete = ending == Ending::Complete;
    assert_eq!(row.tokens.output, is_complete.then_some(8), "{at}");
    assert_eq!(
        row.answered.finish_reason.as_deref(),
        is_complete.then_some("stop"),
        "{at}"
    );
    assert!(
        !row.answered.is_lossy && !row.answered.is_request_cut && !row.answered.is_response_cut,
        "{at}"
    );
}

pub(crate) fn assert_all_right(memory: &Memory, numbers: std::ops::Range<usize>) {
    assert_eq!(memory.rows().len(), numbers.len());
    for number in numbers {
        let row = memory
            .row(id_of(number).0)
            .unwrap_or_else(|| panic!("exchange {number} is missing"));
        assert_right(&row, number);
    }
}
