//! What keeping costs: a small exchange (a prompt of 200 bytes, an answer of 600) and a stream's token of 40 bytes.
//!
//! In time of this thread's on a processor, as the kernel counts it: what else the machine does is not in it.
//!
//! `cargo run --release -p capture --example cost [FOLDER]`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use capture::{Begun, End, Ledger, Options, Outcome, Plane, Recorder, ResponseHead, Terms};

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
    let ledger = Ledger::open(&folder, Options::default())?;
    // The first pass makes what is made once.
    for round in ["first", "then"] {
        let began = on_processor_ns()?;
        exchanges(&ledger)?;
        let each = (on_processor_ns()? - began) / 1e3 / f64::from(EXCHANGES);
        println!("{round}: {each:.2} µs an exchange, two appends among it");
        let began = on_processor_ns()?;
        tokens(&ledger)?;
        let each = (on_processor_ns()? - began) / 1e3 / f64::from(TOKENS);
        println!("{round}: {each:.2} µs a token, one append among it");
    }
    println!("{:?}", ledger.statistics());
    drop(ledger);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Since this thread began.
fn on_processor_ns() -> Result<f64, Box<dyn std::error::Error>> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = told.split(' ').next().ok_or("a kernel that does not count")?;
    Ok(first.parse()?)
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

fn end(recorder: &mut Recorder) -> Result<(), capture::NotKept> {
    recorder.end(&End {
        outcome: Outcome::Complete,
        status: Some(200),
        server: HEAD.server,
        attempts: 1,
    });
    recorder.flush()
}

fn exchanges(ledger: &Arc<Ledger>) -> Result<(), capture::NotKept> {
    for _ in 0..EXCHANGES {
        let mut recorder = begin(ledger);
        recorder.request_bytes(&PROMPT);
        recorder.flush()?;
        recorder.response_head(&HEAD);
        recorder.response_bytes(&ANSWER);
        end(&mut recorder)?;
    }
    Ok(())
}

fn tokens(ledger: &Arc<Ledger>) -> Result<(), capture::NotKept> {
    let mut recorder = begin(ledger);
    for _ in 0..TOKENS {
        recorder.response_bytes(&TOKEN);
        recorder.flush()?;
    }
    end(&mut recorder)
}
