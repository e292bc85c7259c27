//! What keeping costs: a small exchange (a prompt of 200 bytes, an answer of 600) and a stream's token of 40 bytes, each
//! by itself, and as a thread's loop brings several at one moment, which share an append.
//!
//! Through a tray, and by a `write(2)` each. In time of this thread's and the syncing thread's on a processor, as the kernel
//! counts it: what else the machine does is not in it.
//!
//! `cargo run --release -p capture --example capture_cost [FOLDER]`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use capture::{Begun, End, Ledger, NotKept, Options, Outcome, Plane, Recorder, ResponseHead, Terms};

const EXCHANGES: u32 = 100_000;
const TOKENS: u32 = 500_000;
const PROMPT: [u8; 200] = [b'p'; 200];
const ANSWER: [u8; 600] = [b'a'; 600];
const TOKEN: [u8; 40] = [b't'; 40];

const HEAD: ResponseHead<'static> = ResponseHead {
    elapsed_us: 0,
    status: 200,
    content_type: Some("application/json"),
    content_encoding: None,
    server: Some("http://127.0.0.1:8011"),
    attempts: 1,
    fallback_model: None,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let base = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = base.join("capture-cost");
    let _there_may_be_none = std::fs::remove_dir_all(&folder);
    // The first pass makes what is made once.
    for round in ["first", "then"] {
        for (form, tray) in [("written", false), ("tray", true)] {
            let options = Options {
                tray,
                ..Options::default()
            };
            let ledger = Ledger::open(&folder, options)?;
            for at_once in [1, 16] {
                let what = format!("{round}, {form}: an exchange");
                measure(&ledger, &what, at_once, EXCHANGES, exchanges)?;
                measure(&ledger, &format!("{round}, {form}: a token"), at_once, TOKENS, tokens)?;
            }
            println!("{:?}", ledger.statistics());
            drop(ledger);
            std::fs::remove_dir_all(&folder)?;
        }
    }
    Ok(())
}

/// All threads of this process together.
fn on_processor_ns() -> Result<f64, Box<dyn std::error::Error>> {
    let mut sum = 0.0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let told = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let first = told.split(' ').next().ok_or("a kernel that does not count")?;
        sum += first.parse::<f64>()?;
    }
    Ok(sum)
}

fn begin(ledger: &Arc<Ledger>) -> Recorder {
    let begun = Begun {
        router: Some("alice"),
        service: Some("llama-server-1"),
        ..Begun::new(
            Plane::Edge,
            1,
            "019aac3c-0000-7000-8000-000000000000",
            "POST",
            "/v1/chat/completions",
        )
    };
    Recorder::begin(ledger, capture::new_id(), &begun, Terms::default(), Instant::now())
}

fn end(recorder: &mut Recorder) {
    recorder.end(&End {
        outcome: Outcome::Complete,
        status: Some(200),
        server: HEAD.server,
        attempts: 1,
    });
}

fn measure(
    ledger: &Arc<Ledger>,
    what: &str,
    at_once: u32,
    count: u32,
    act: fn(&Arc<Ledger>, u32) -> Result<(), NotKept>,
) -> Result<(), Box<dyn std::error::Error>> {
    let (began, appends) = (on_processor_ns()?, ledger.statistics().appends);
    act(ledger, at_once)?;
    let each = (on_processor_ns()? - began) / 1e3 / f64::from(count);
    let appends = (ledger.statistics().appends - appends) as f64 / f64::from(count);
    println!("{what}, {at_once} at once: {each:.3} µs, {appends:.2} appends");
    Ok(())
}

/// As the edge's forwarder does it: requests are handed in, and so are answers, which then wait for one append.
fn exchanges(ledger: &Arc<Ledger>, at_once: u32) -> Result<(), NotKept> {
    for _ in 0..EXCHANGES / at_once {
        let mut recorders: Vec<_> = (0..at_once).map(|_| begin(ledger)).collect();
        for recorder in &mut recorders {
            recorder.request_bytes(&PROMPT);
            recorder.hand_in()?;
        }
        for recorder in &mut recorders {
            recorder.response_head(&HEAD);
            recorder.response_bytes(&ANSWER);
            end(recorder);
            recorder.hand_in()?;
        }
        for recorder in &mut recorders {
            recorder.flush()?;
        }
    }
    Ok(())
}

fn tokens(ledger: &Arc<Ledger>, at_once: u32) -> Result<(), NotKept> {
    let mut recorders: Vec<_> = (0..at_once).map(|_| begin(ledger)).collect();
    for _ in 0..TOKENS / at_once {
        for recorder in &mut recorders {
            recorder.response_bytes(&TOKEN);
            recorder.hand_in()?;
        }
        for recorder in &mut recorders {
            recorder.flush()?;
        }
    }
    Ok(())
}
