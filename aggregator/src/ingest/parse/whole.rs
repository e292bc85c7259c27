//! Answers that came as one document: conversations and embeddings.

use dialect::json::read::{Object, Problems};
use dialect::{BadResponse, ChatResponse, EmbeddingResponse, Identity, anthropic, gemini, ollama, openai};
use serde_json::value::RawValue;

use super::mend::{holds_text, mend};
use super::responses;
use super::stream::{Reading, read_documents};
use super::{Answer, Endpoint};
use crate::store::Embeddings;

/// `body` may be the beginning of one: then what is there is read.
pub(super) fn read(endpoint: Endpoint, body: &[u8], answer: &mut Answer) {
    let is_whole = serde_json::from_slice::<&RawValue>(body).is_ok();
    let mended = if is_whole { None } else { mend(body) };
    let document = mended.as_deref().unwrap_or(body);
    answer.usage = dialect::usage::of_body(endpoint.dialect(), document);
    match endpoint {
        Endpoint::Chat => chat(
            openai::response::parse(document, &Identity::default()),
            is_whole,
            answer,
        ),
        Endpoint::Messages => chat(
            anthropic::response::parse(document, &Identity::default()),
            is_whole,
            answer,
        ),
        Endpoint::Completions => {
            read_documents::<super::completions::Pieces>(&[document], is_whole, answer);
        }
        Endpoint::Responses => response(document, is_whole, answer),
        Endpoint::OllamaChat | Endpoint::OllamaGenerate => {
            read_documents::<<ollama::stream::Decoder as Reading>::Reader>(&[document], is_whole, answer);
        }
        Endpoint::Gemini => pieces(document, is_whole, answer),
        Endpoint::Embeddings => embeddings(openai::embeddings::parse_response(document), answer),
        Endpoint::OllamaEmbed => embeddings(ollama::embeddings::parse_response(document), answer),
        Endpoint::GeminiEmbed => embeddings(gemini::embeddings::parse_response(document), answer),
    }
    if !is_whole {
        // Half a model's name is another model's.
        let model = answer.gathered.model.take();
        answer.gathered.model = model.filter(|model| holds_text(body, model));
    }
}

fn chat(response: Result<ChatResponse, BadResponse>, is_whole: bool, answer: &mut Answer) {
    match response {
        Ok(response) => answer.gathered.take_response(response, is_whole),
        Err(_) => answer.broken_frames += 1,
    }
}

fn response(document: &[u8], is_whole: bool, answer: &mut Answer) {
    let problems = Problems::lenient();
    let Some(root) = Object::root(document, &problems) else {
        answer.broken_frames += 1;
        return;
    };
    let mut events = Vec::new();
    responses::Pieces::default().whole(&root, &mut events);
    answer.gathered.take(&mut events, 0);
    answer.gathered.end();
    (answer.gathered.first_token_us, answer.gathered.last_token_us) = (None, None);
    if !is_whole {
        answer.gathered.finish = None;
    }
}

/// Gemini's answer, or, where no SSE was asked for, the array of pieces that its stream is then.
fn pieces(document: &[u8], is_whole: bool, answer: &mut Answer) {
    type Pieces = <gemini::stream::Decoder as Reading>::Reader;
    match serde_json::from_slice::<Vec<&RawValue>>(document) {
        Ok(pieces) => {
            let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.get().as_bytes()).collect();
            let mut reader =
                dialect::usage::UsageReader::new(dialect::Dialect::Gemini, dialect::usage::Framing::Ndjson);
            for piece in &pieces {
                let line: Vec<u8> = piece
                    .iter()
                    .map(|byte| if *byte == b'\n' { b' ' } else { *byte })
                    .collect();
                reader.push(&line);
                reader.push(b"\n");
            }
            answer.usage = reader.finish();
            read_documents::<Pieces>(&pieces, is_whole, answer);
        }
        Err(_) => read_documents::<Pieces>(&[document], is_whole, answer),
    }
}

/// How many there are and how long; the vectors themselves are in the bytes that are kept.
fn embeddings(response: Result<EmbeddingResponse, BadResponse>, answer: &mut Answer) {
    let Ok(response) = response else {
        answer.broken_frames += 1;
        return;
    };
    answer.usage.input = answer.usage.input.or(response.input_tokens);
    answer.gathered.model = Some(response.model).filter(|model| !model.is_empty());
    answer.embeddings = Some(Embeddings {
        count: response.vectors.len() as u64,
        dimensions: response.vectors.first().map_or(0, |vector| vector.len() as u64),
    });
}
