//! *Council*: a template is picked, a question asked, and the members are watched side by side. The script follows the
//! deliberation's own stream (`POST /admin/council/chat`).

use maud::{Markup, html};
use serde_json::Value;

use super::Page;
use super::fragment::Fragment;
use super::parts;
use crate::api::query::Query;
use crate::error::ApiError;
use crate::router::AppState;

/// Templates and models to choose from on a page.
const TEMPLATES_MAX: usize = 60;
pub(super) const MODELS_MAX: usize = 500;

pub(super) async fn fragment(state: &AppState, query: Query) -> Result<Fragment, ApiError> {
    query.whole(|_| Ok(()))?;
    let templates = state.gateway.council.describe();
    let models = state.gateway.model_ids();
    let lead = html! { "Several members answer, each with a persona of its own; a synthesizer writes the one answer." };
    let fragment = Fragment::new(Page::Council, lead);
    if models.is_empty() {
        return Ok(fragment.with(
            "ask",
            parts::empty(
                "No model to ask",
                html! {
                    p { "No backend that is up serves one. " a href="/ui/backends" { "See the backends" } }
                },
            ),
        ));
    }
    Ok(fragment
        .with("ask", ask(&templates, &models))
        .with("sitting", sitting()))
}

fn ask(templates: &[(String, Value)], models: &[std::sync::Arc<str>]) -> Markup {
    html! {
        form.card data-council {
            fieldset.templates {
                legend { "Template" }
                @for (index, (name, template)) in templates.iter().take(TEMPLATES_MAX).enumerate() {
                    label.template {
                        input type="radio" name="template" value=(name) checked[name == crate::council::DEFAULT_TEMPLATE || (index == 0 && !has_default(templates))];
                        span.name { (name) }
                        span.what { (template["description"].as_str().unwrap_or_default()) }
                        span.under { (members(template)) }
                    }
                }
            }
            div.field {
                label for="f-question" { "Question" }
                textarea #f-question name="question" rows="3" required placeholder="What should they think about?" {}
            }
            div.row {
                div.field {
                    label for="f-model" { "Model" }
                    select #f-model name="model" {
                        option value="" { "as the template has it" }
                        @for model in models.iter().take(MODELS_MAX) { option value=(model) selected[models.len() == 1] { (model) } }
                    }
                }
                button.primary type="submit" { "Ask" }
                button type="button" data-stop hidden { "Stop" }
            }
            p.trouble role="alert" {}
        }
    }
}

fn has_default(templates: &[(String, Value)]) -> bool {
    templates
        .iter()
        .any(|(name, _)| name == crate::council::DEFAULT_TEMPLATE)
}

fn members(template: &Value) -> String {
    let names = template["members"].as_array().into_iter().flatten();
    let names: Vec<&str> = names.filter_map(|member| member["name"].as_str()).collect();
    let rounds = match template["rounds"].as_u64() {
        Some(1) | None => String::new(),
        Some(rounds) => format!(", {rounds} rounds"),
    };
    format!(
        "{}: {}{rounds}",
        template["shape"].as_str().unwrap_or_default(),
        names.join(", ")
    )
}

/// Where it is watched; the script fills it.
fn sitting() -> Markup {
    html! {
        section.sitting data-sitting hidden aria-labelledby="sitting-title" {
            h2 #sitting-title tabindex="-1" { "The deliberation" }
            p.stage data-stage role="status" {}
            div.members data-members {}
            section.card.synthesis data-synthesis hidden aria-labelledby="synthesis-title" {
                header { h2 #synthesis-title { "The synthesis" } span.quiet data-by {} }
                div.words data-answer {}
            }
        }
    }
}
