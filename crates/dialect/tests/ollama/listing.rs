//! What Ollama's clients ask about models.

use dialect::ollama::known::{Capability, KnownModel};
use dialect::ollama::listing;
use serde_json::{Value, json};

use crate::snapshot;

fn fixture(name: &str) -> Value {
    serde_json::from_slice(&snapshot::fixture(&format!("ollama/{name}"))).expect("JSON")
}

fn llama() -> KnownModel {
    let models = fixture("llama-models.json");
    KnownModel::from_openai("TinyLlama_Chat", &models["data"][0])
        .with_listing(&models["models"][0])
        .with_props(&fixture("llama-props.json"))
}

#[test]
fn a_llama_server_as_ollama_would_tell_it() {
    let model = llama();
    for (name, answer) in [
        ("tags", listing::tags([&model])),
        ("ps", listing::ps([&model])),
        ("show", listing::show(&model)),
        ("version", listing::version("0.12.6")),
    ] {
        snapshot::check(&format!("ollama/llama-{name}"), &format!("{answer:#}\n"));
    }
}

#[test]
fn an_ollama_backends_words_pass_whole_under_our_name() {
    for name in ["tags.json", "ps.json"] {
        let mut theirs = fixture(name);
        let model = KnownModel::from_ollama("gpu/qwen3:8b", &theirs["models"][0]);
        theirs["models"][0]["name"] = json!("gpu/qwen3:8b");
        theirs["models"][0]["model"] = json!("gpu/qwen3:8b");
        let ours = if name == "tags.json" {
            listing::tags([&model])
        } else {
            listing::ps([&model])
        };
        assert_eq!(ours, theirs);
    }
    let show = fixture("show.json");
    assert_eq!(listing::show(&KnownModel::from_ollama("qwen3:8b", &show)), show);
    // From a list alone an answer to /api/show can still be told.
    let listed = listing::show(&KnownModel::from_ollama("qwen3:8b", &fixture("tags.json")["models"][0]));
    assert_eq!(listed["capabilities"], json!(["completion", "tools", "thinking"]));
    assert_eq!(listed["model_info"]["qwen3.context_length"], 40960);
}

#[test]
fn capabilities_are_what_was_said() {
    let capable = |model: KnownModel| model.capabilities;
    let named = KnownModel::named("m");
    assert_eq!(capable(named.clone()), [Capability::Completion]);
    let embeds = named.clone().with_listing(&json!({"capabilities": ["embedding"]}));
    assert_eq!(capable(embeds), [Capability::Embedding]);
    let sees = named
        .clone()
        .with_listing(&json!({"capabilities": ["completion", "multimodal"]}));
    assert_eq!(capable(sees), [Capability::Completion, Capability::Vision]);
    let props = json!({"modalities": {"vision": true, "audio": false}, "chat_template": "{% if enable_thinking %}",
        "chat_template_caps": {"supports_tools": false}});
    assert_eq!(
        capable(named.clone().with_props(&props)),
        [Capability::Completion, Capability::Vision, Capability::Thinking]
    );
    assert_eq!(capable(named.with_props(&json!("rubbish"))), [Capability::Completion]);
}

#[test]
fn a_gemini_model_is_what_its_list_says() {
    let entry = json!({"name": "models/gemini-2.5-flash", "inputTokenLimit": 1_048_576, "thinking": true,
        "supportedGenerationMethods": ["generateContent", "countTokens"]});
    let model = KnownModel::from_gemini("gemini-2.5-flash", &entry);
    assert_eq!(model.capabilities, [Capability::Completion, Capability::Thinking]);
    assert_eq!(listing::show(&model)["model_info"]["unknown.context_length"], 1_048_576);
    let embeds = KnownModel::from_gemini("e", &json!({"supportedGenerationMethods": ["embedContent"]}));
    assert_eq!(embeds.capabilities, [Capability::Embedding]);
}

#[test]
fn nothing_known_still_answers_what_clients_slice_and_parse() {
    let answer = listing::tags([&KnownModel::named("m")]);
    let model = &answer["models"][0];
    assert_eq!(model["digest"].as_str().map(str::len), Some(64));
    assert_eq!(model["modified_at"], "0001-01-01T00:00:00Z");
    assert_eq!(
        listing::show(&KnownModel::named("m"))["model_info"],
        json!({"general.architecture": "unknown"})
    );
}

#[test]
fn sizes_and_quantisations_as_ollama_writes_them() {
    for (parameters, ftype, size, level) in [
        (8_030_261_248_u64, "Q4_K - Medium", "8.0B", "Q4_K_M"),
        (7_000_000_000, "Q4_0", "7B", "Q4_0"),
        (1_500_000_000, "Q3_K - Small", "1.5B", "Q3_K_S"),
        (13_000_000_000, "Q3_K - Large", "13B", "Q3_K_L"),
        (233_792, "all F32", "234K", "F32"),
        (22_713_216, "mostly F16", "22.71M", "F16"),
        (999, "(guessed) IQ2_XXS - 2.0625 bpw", "999", "IQ2_XXS"),
    ] {
        let model = KnownModel::from_openai("m", &json!({"meta": {"n_params": parameters, "ftype": ftype}}));
        let details = &listing::tags([&model])["models"][0]["details"];
        assert_eq!(
            (&details["parameter_size"], &details["quantization_level"]),
            (&json!(size), &json!(level))
        );
    }
}

#[test]
fn a_show_request_names_its_model() {
    for (body, model) in [
        (json!({"model": "m"}), Some("m")),
        (json!({"name": "m"}), Some("m")),
        (json!({"model": "", "name": "n"}), Some("n")),
        (json!({}), None),
        (json!([]), None),
    ] {
        assert_eq!(listing::show_request_model(&body), model);
    }
}
