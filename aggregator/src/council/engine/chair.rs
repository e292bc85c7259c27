//! Whoever writes the answer: the synthesizer, its fallbacks, and where all of them fail the best single answer, marked.
//!
//! | a synthesizer | a client that reads a stream | one that waits for the whole |
//! |---|---|---|
//! | fails before its first word | reads the next one's answer | the same |
//! | fails after it | is told so, and reads the next one's answer from its beginning | reads the next one's answer |
//! | fails after it, and JSON is wanted | gets an error: two beginnings are no JSON | reads the next one's answer |

use std::sync::Arc;

use dialect::{Failure, FailureKind};
use serde_json::json;

use super::member::{Lost, Spoken, heard};
use super::{Deliberation, Word};
use crate::council::prompt;
use crate::council::transcript::{Stage, Transcript, Verdict, record};

/// Between the beginning of an answer that broke off, which a stream cannot take back, and the next one.
const RESTARTED: &str = "\n\n---\n*The answer above broke off. Another one begins here.*\n\n";

impl Deliberation<'_> {
    /// Writes the answer, and beneath it what is missing.
    pub(super) async fn conclude(&self, transcript: &mut Transcript) -> Result<(), Failure> {
        let messages = prompt::synthesis(self.sitting, transcript);
        let chair = &self.sitting.template.chair;
        // The client has read the beginning of an answer that broke off.
        let mut is_torn = false;
        for (index, model) in self.sitting.chair_models.iter().enumerate() {
            self.voice.event(
                "synthesis",
                json!({"status": "begun", "model": &**model, "by": &*chair.name}),
            );
            let request = self.sitting.chair_request(model, messages.clone());
            let part = format!("s{}", index + 1);
            let mut has_said = false;
            let outcome = heard(self.inquirer, &request, &part, chair.deadline, |text, _| {
                if self.sitting.is_streamed {
                    if is_torn && !has_said {
                        self.answer(RESTARTED.to_owned());
                    }
                    has_said = true;
                    self.answer(text.to_owned());
                }
            })
            .await;
            match outcome {
                Ok(spoken) => {
                    self.synthesized(spoken, transcript);
                    return Ok(());
                }
                Err(lost) => {
                    is_torn |= has_said;
                    self.failed(model, &lost, is_torn, transcript)?;
                }
            }
        }
        self.best_single(is_torn, transcript)
    }

    fn synthesized(&self, spoken: Spoken, transcript: &mut Transcript) {
        transcript.spend(Some(&spoken.usage));
        let usage = record::usage(&spoken.usage);
        transcript.verdict = Some(Verdict::Synthesis {
            model: Arc::clone(&spoken.model),
        });
        if !self.sitting.is_streamed {
            self.answer(spoken.text);
        }
        let done = json!({"status": "done", "model": &*spoken.model, "usage": usage, "is_cut": spoken.is_cut});
        transcript.is_cut = spoken.is_cut;
        self.voice.event("synthesis", done);
        self.add_footnote(transcript);
    }

    fn failed(&self, model: &Arc<str>, lost: &Lost, is_torn: bool, transcript: &mut Transcript) -> Result<(), Failure> {
        let reason = lost.reason();
        transcript.spend(None);
        transcript.lacks(Stage::Synthesis, self.sitting.rounds, model, reason.clone());
        self.voice.event(
            "synthesis",
            json!({"status": "failed", "model": &**model, "reason": reason}),
        );
        if is_torn && self.sitting.wants_json() {
            let message = format!("The council's answer broke off: {model} {reason}.");
            return Err(Failure::new(FailureKind::Api, message));
        }
        Ok(())
    }

    /// No synthesizer could: the best answer of one member stands, and says that it stands alone.
    fn best_single(&self, is_torn: bool, transcript: &mut Transcript) -> Result<(), Failure> {
        let Some(best) = transcript.best(self.sitting) else {
            return Err(Failure::new(FailureKind::Api, "The council has no answer."));
        };
        let (member, text) = (Arc::clone(&best.member), best.text.clone());
        let failed = transcript
            .missing
            .iter()
            .filter(|missing| missing.stage == Stage::Synthesis);
        let failed: Vec<String> = failed
            .map(|missing| format!("{} {}", missing.who, missing.reason))
            .collect();
        if !self.sitting.wants_json() {
            if is_torn {
                self.answer("\n\n---\n".to_owned());
            }
            let marked = format!(
                "*Council {}: no synthesis could be written: {}. This is the answer of one member, {member}, alone.*\n\n",
                self.sitting.template.name,
                failed.join("; ")
            );
            self.answer(marked);
        }
        transcript.verdict = Some(Verdict::BestSingle {
            member: Arc::clone(&member),
        });
        self.voice
            .event("synthesis", json!({"status": "best_single", "member": &*member}));
        self.answer(text);
        self.add_footnote(transcript);
        Ok(())
    }

    fn add_footnote(&self, transcript: &Transcript) {
        if let Some(note) = transcript.footnote(self.sitting).filter(|_| !self.sitting.wants_json()) {
            self.answer(format!("\n\n---\n{note}\n"));
        }
    }

    fn answer(&self, text: String) {
        self.voice.say(Word::Answer(text));
    }
}
