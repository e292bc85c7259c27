//! Prints a journal's exchanges as JSON lines, for looking into one by hand and for tests.
//!
//! `cargo run -p capture --example dump FOLDER`: the folder of one plane. Bodies are hexadecimal, since they may be
//! anything. Nothing is removed.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use capture::{Entry, Outcome, decode};
use journal::{Cursor, Reader, Step};
use serde_json::{Value, json};

/// An exchange as far as the journal goes.
#[derive(Default)]
struct Exchange {
    lines: serde_json::Map<String, Value>,
    request: Vec<u8>,
    response: Vec<u8>,
    next_sequence: u32,
    is_whole: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: dump FOLDER")?;
    let mut reader = Reader::open(folder, Cursor::BEGINNING);
    let mut exchanges: BTreeMap<[u8; 16], Exchange> = BTreeMap::new();
    let mut out = io::BufWriter::new(io::stdout().lock());
    loop {
        match reader.next_step()? {
            Step::Idle => break,
            Step::Gap(gap) => writeln!(out, "{}", json!({"gap": format!("{gap:?}")}))?,
            Step::Record(record) => {
                let exchange = exchanges.entry(record.exchange.0).or_insert_with(|| Exchange {
                    is_whole: true,
                    ..Exchange::default()
                });
                exchange.is_whole &= record.sequence == exchange.next_sequence;
                exchange.next_sequence = record.sequence.wrapping_add(1);
                exchange.take(decode(record.kind, record.payload)?);
            }
        }
    }
    for (id, exchange) in exchanges {
        let id = uuid::Uuid::from_bytes(id).to_string();
        writeln!(out, "{}", exchange.shown(id))?;
    }
    Ok(out.flush()?)
}

impl Exchange {
    fn take(&mut self, entry: Entry<'_>) {
        match entry {
            Entry::Begun(begun) => {
                let headers: BTreeMap<_, _> = begun
                    .headers
                    .iter()
                    .map(|(header, value)| (header.name(), value))
                    .collect();
                self.set("plane", begun.plane.name());
                self.set("request_id", begun.request_id);
                self.set(
                    "parent",
                    begun.parent.map(|id| uuid::Uuid::from_bytes(id.0).to_string()),
                );
                self.set("router", begun.router);
                self.set("service", begun.service);
                self.set("method", begun.method);
                self.set("path", begun.path);
                self.set("headers", json!(headers));
                self.set("mode", format!("{:?}", begun.mode).to_lowercase());
            }
            Entry::RequestBytes(piece) => self.request.extend_from_slice(piece.bytes),
            Entry::ResponseBytes(piece) => self.response.extend_from_slice(piece.bytes),
            Entry::ResponseHead(head) => {
                self.set("status", head.status);
                self.set("content_type", head.content_type);
                self.set("server", head.server);
                self.set("attempts", head.attempts);
            }
            Entry::Ended(ended) => {
                self.set("outcome", ended.outcome.name());
                if let Outcome::Refused(code) = ended.outcome {
                    self.set("code", code);
                }
                self.set("status", ended.status);
                self.set("request_bytes", ended.request_bytes);
                self.set("response_bytes", ended.response_bytes);
                self.set("cut", ended.cut_request || ended.cut_response);
                self.set("duration_us", ended.elapsed_us);
            }
        }
    }

    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.lines.insert(name.to_owned(), value.into());
    }

    fn shown(mut self, id: String) -> Value {
        self.set("id", id);
        self.set("is_whole", self.is_whole);
        let (request, response) = (hexadecimal(&self.request), hexadecimal(&self.response));
        self.set("request_hex", request);
        self.set("response_hex", response);
        Value::Object(self.lines)
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |byte: &u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]].map(char::from);
    bytes.iter().flat_map(digits).collect()
}
