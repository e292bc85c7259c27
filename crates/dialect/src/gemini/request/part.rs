//! Gemini's parts, as they are written.

use crate::Json;
use crate::json::write::Object;

/// One of Gemini's parts.
pub(super) enum WirePart<'a> {
    Text(&'a str),
    Image(Blob<'a>),
    /// An empty one is not marked as a thought: it is the text that Gemini hangs a signature on.
    Thought {
        text: &'a str,
        signature: Option<&'a str>,
    },
    Call {
        id: &'a str,
        name: &'a str,
        arguments: Json,
        signature: Option<&'a str>,
    },
    Response {
        id: &'a str,
        name: &'a str,
        response: Json,
        images: Vec<Blob<'a>>,
    },
}

/// An image, and what kind it is.
pub(super) struct Blob<'a> {
    pub(super) media_type: &'a str,
    pub(super) data: &'a str,
}

impl WirePart<'_> {
    pub(super) fn write(&self, to: &mut Object<'_>) {
        match self {
            Self::Text(text) => {
                to.field("text", text);
            }
            Self::Image(image) => image.write(to),
            Self::Thought { text, signature } => {
                to.field("text", text);
                if !text.is_empty() {
                    to.field("thought", &true);
                }
                to.opt("thoughtSignature", signature);
            }
            Self::Call {
                id,
                name,
                arguments,
                signature,
            } => {
                to.object("functionCall", |call| {
                    call.opt("id", &(!id.is_empty()).then_some(id));
                    call.field("name", name).field("args", arguments);
                });
                to.opt("thoughtSignature", signature);
            }
            Self::Response {
                id,
                name,
                response,
                images,
            } => {
                to.object("functionResponse", |it| {
                    it.opt("id", &(!id.is_empty()).then_some(id));
                    it.field("name", name).field("response", response);
                    if !images.is_empty() {
                        it.array("parts", |parts| {
                            images.iter().for_each(|image| {
                                parts.object(|part| image.write(part));
                            });
                        });
                    }
                });
            }
        }
    }
}

impl Blob<'_> {
    fn write(&self, part: &mut Object<'_>) {
        part.object("inlineData", |blob| {
            blob.field("mimeType", self.media_type).field("data", self.data);
        });
    }
}
