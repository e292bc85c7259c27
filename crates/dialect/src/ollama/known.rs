//! What is known of one model, whoever serves it: gathered from an OpenAI-type backend's `/v1/models` entry and
//! llama.cpp's `/props`, from Gemini's model list, or from an Ollama backend's own `/api/tags`, `/api/ps` and `/api/show`.
//!
//! Only what a backend said is claimed: a capability nobody named is not listed, and an unknown size stays unknown.
//! An Ollama backend's own words are kept whole, so that fields we have never heard of reach the client too.

use serde_json::{Map, Value};

/// One model, as far as its backend described it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KnownModel {
    /// The name clients use; it may differ from the backend's own.
    pub name: String,
    /// Seconds since the epoch.
    pub modified_s: Option<u64>,
    pub size_bytes: Option<u64>,
    pub parameters: Option<u64>,
    /// `Q4_K_M`, as Ollama spells it.
    pub quantization: Option<String>,
    pub architecture: Option<String>,
    /// What the server accepts in one request.
    pub context_served: Option<u64>,
    /// What the model was trained for.
    pub context_trained: Option<u64>,
    pub embedding_length: Option<u64>,
    pub vocabulary: Option<u64>,
    pub template: Option<String>,
    pub capabilities: Vec<Capability>,
    /// An Ollama backend's own entry.
    pub(super) verbatim: Option<Map<String, Value>>,
}

/// What Ollama's clients look for in `capabilities`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    Completion,
    Tools,
    Insert,
    Vision,
    Audio,
    Embedding,
    Thinking,
}

impl Capability {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completion => "completion",
            Self::Tools => "tools",
            Self::Insert => "insert",
            Self::Vision => "vision",
            Self::Audio => "audio",
            Self::Embedding => "embedding",
            Self::Thinking => "thinking",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "completion" => Self::Completion,
            "tools" => Self::Tools,
            "insert" => Self::Insert,
            "vision" | "multimodal" | "image" => Self::Vision,
            "audio" => Self::Audio,
            "embedding" | "embeddings" => Self::Embedding,
            "thinking" => Self::Thinking,
            _ => return None,
        })
    }
}

impl KnownModel {
    /// A model of which nothing but its name is known. Whatever answers chats can complete.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            capabilities: vec![Capability::Completion],
            ..Self::default()
        }
    }

    /// From an entry of `data` in an OpenAI-type `/v1/models`. llama.cpp's `meta` tells the most.
    pub fn from_openai(name: impl Into<String>, entry: &Value) -> Self {
        let meta = &entry["meta"];
        let mut model = Self {
            modified_s: entry["created"].as_u64().filter(|&seconds| seconds > 0),
            size_bytes: meta["size"].as_u64(),
            parameters: meta["n_params"].as_u64(),
            quantization: meta["ftype"].as_str().map(quantization),
            context_served: first_number(&[&meta["n_ctx"], &entry["max_model_len"], &entry["context_length"]]),
            context_trained: meta["n_ctx_train"].as_u64(),
            embedding_length: meta["n_embd"].as_u64(),
            vocabulary: meta["n_vocab"].as_u64(),
            ..Self::named(name)
        };
        let inputs = &entry["architecture"]["input_modalities"];
        model.add_if(mentions(inputs, "image"), Capability::Vision);
        model.add_if(mentions(inputs, "audio"), Capability::Audio);
        model
    }

    /// Adds what an entry of `models` says, the Ollama-like half of llama.cpp's `/v1/models`.
    #[must_use]
    pub fn with_listing(mut self, entry: &Value) -> Self {
        let told: Vec<Capability> = strings(&entry["capabilities"]).filter_map(Capability::named).collect();
        if told.contains(&Capability::Embedding) && !told.contains(&Capability::Completion) {
            self.capabilities
                .retain(|&capability| capability != Capability::Completion);
        }
        told.into_iter().for_each(|capability| self.add_if(true, capability));
        self
    }

    /// Adds what llama.cpp's `/props` says: the template and what it can do, the modalities, the context of a slot.
    #[must_use]
    pub fn with_props(mut self, props: &Value) -> Self {
        let template = props["chat_template"].as_str().filter(|text| !text.is_empty());
        self.template = template.map(str::to_owned).or(self.template);
        self.context_served = props["default_generation_settings"]["n_ctx"]
            .as_u64()
            .or(self.context_served);
        self.quantization = props["model_ftype"].as_str().map(quantization).or(self.quantization);
        let capable = |name: &str| props["chat_template_caps"][name].as_bool() == Some(true);
        self.add_if(
            capable("supports_tools") || capable("supports_tool_calls"),
            Capability::Tools,
        );
        self.add_if(
            props["modalities"]["vision"].as_bool() == Some(true),
            Capability::Vision,
        );
        self.add_if(props["modalities"]["audio"].as_bool() == Some(true), Capability::Audio);
        let thinks = capable("supports_preserve_reasoning")
            || capable("supports_reasoning_effort")
            || template.is_some_and(template_thinks);
        self.add_if(thinks, Capability::Thinking);
        self
    }

    /// From an entry of `models` in Gemini's `/v1beta/models`.
    pub fn from_gemini(name: impl Into<String>, entry: &Value) -> Self {
        let does = |method: &str| mentions(&entry["supportedGenerationMethods"], method);
        let mut model = Self {
            name: name.into(),
            context_served: entry["inputTokenLimit"].as_u64(),
            ..Self::default()
        };
        model.add_if(does("generateContent"), Capability::Completion);
        model.add_if(
            does("embedContent") || does("batchEmbedContents"),
            Capability::Embedding,
        );
        model.add_if(entry["thinking"].as_bool() == Some(true), Capability::Thinking);
        model
    }

    /// From an Ollama backend's entry in `/api/tags` or `/api/ps`, or its answer to `/api/show`. Kept whole.
    pub fn from_ollama(name: impl Into<String>, entry: &Value) -> Self {
        let details = &entry["details"];
        let mut model = Self {
            name: name.into(),
            size_bytes: entry["size"].as_u64(),
            quantization: details["quantization_level"].as_str().map(str::to_owned),
            architecture: details["family"]
                .as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_owned),
            context_served: first_number(&[&entry["context_length"], &details["context_length"]]),
            embedding_length: details["embedding_length"].as_u64(),
            verbatim: entry.as_object().cloned(),
            ..Self::default()
        };
        for capability in strings(&entry["capabilities"]).filter_map(Capability::named) {
            model.add_if(true, capability);
        }
        model
    }

    fn add_if(&mut self, condition: bool, capability: Capability) {
        if condition && !self.capabilities.contains(&capability) {
            self.capabilities.push(capability);
        }
    }
}

/// llama.cpp's name of a quantisation as Ollama spells it: `Q4_K - Medium` is `Q4_K_M`, `all F32` is `F32`.
fn quantization(ftype: &str) -> String {
    let name = ftype
        .trim_start_matches("(guessed) ")
        .trim_start_matches("all ")
        .trim_start_matches("mostly ");
    let sizes = [
        (" - Extra Small", "_XS"),
        (" - Small", "_S"),
        (" - Medium", "_M"),
        (" - Large", "_L"),
    ];
    match sizes
        .iter()
        .find_map(|(long, short)| Some((name.strip_suffix(long)?, short)))
    {
        Some((stem, short)) => format!("{stem}{short}"),
        // `IQ2_XXS - 2.0625 bpw` says its bits as well.
        None => name.split(" - ").next().unwrap_or(name).to_owned(),
    }
}

/// Templates of thinking models open or strip a thinking block; others never mention one.
fn template_thinks(template: &str) -> bool {
    ["enable_thinking", "<think>", "reasoning_content", "<|channel|>analysis"]
        .iter()
        .any(|mark| template.contains(mark))
}

fn first_number(candidates: &[&Value]) -> Option<u64> {
    candidates.iter().find_map(|value| value.as_u64())
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn mentions(list: &Value, word: &str) -> bool {
    strings(list).any(|entry| entry == word)
}
