//! *Try it*: a chat with any model, with the administrator's own access, or with a key that is pasted. A pasted key goes to the
//! server in the requests it is for, and stays nowhere.

use std::sync::Arc;

use maud::{Markup, html};

use super::Page;
use super::council::MODELS_MAX;
use super::fragment::Fragment;
use super::parts;
use crate::api::identify;
use crate::api::query::Query;
use crate::error::ApiError;
use crate::router::AppState;

/// Keys to choose from; any other is found by `?key=`.
const KEYS_MAX: usize = 500;

pub(super) async fn fragment(state: &AppState, query: Query) -> Result<Fragment, ApiError> {
    let key = query.whole(|query| query.text("key"))?;
    let models = match &key {
        Some(key) => identify::models_of(state, key)?,
        None => state.gateway.model_ids(),
    };
    let keys = state
        .desk
        .keyring()
        .map(|keyring| keyring.rows())
        .unwrap_or_else(|_| Arc::from([]));
    let names: Vec<&str> = keys.iter().take(KEYS_MAX).map(|row| &*row.name).collect();
    let lead = html! { "A chat with any model. Limits are the edge's to enforce, and are not asked here." };
    Ok(Fragment::new(Page::Try, lead).with("chat", chat(&models, &names, key.as_deref())))
}

fn chat(models: &[Arc<str>], keys: &[&str], key: Option<&str>) -> Markup {
    html! {
        div.try {
            form.card.access data-access {
                fieldset {
                    legend { "Access" }
                    label { input type="radio" name="access" value="admin" checked; " The admin token" }
                    label { input type="radio" name="access" value="key"; " A key" }
                }
                div.field data-for="admin" {
                    label for="f-of" { "Models of" }
                    select #f-of name="of" {
                        option value="" { "every backend" }
                        @for name in keys { option value=(name) selected[key == Some(*name)] { (name) } }
                    }
                }
                div.field data-for="key" hidden {
                    label for="f-key" { "Key" }
                    input #f-key type="password" name="key" autocomplete="off" spellcheck="false" aria-describedby="h-key";
                    button type="button" data-identify { "Look it up" }
                    span.hint #h-key data-known role="status" { "It is sent with each request and kept nowhere." }
                }
                div.field {
                    label for="f-model" { "Model" }
                    select #f-model name="model" {
                        @for model in models.iter().take(MODELS_MAX) { option value=(model) { (model) } }
                    }
                }
                button type="button" data-anew { "New chat" }
            }
            section.card.chat aria-label="Chat" {
                ol.messages data-messages aria-live="polite" {}
                @if models.is_empty() { (parts::empty("No model to ask", html! { p { "Nobody who is up serves one. " a href="/ui/backends" { "See the backends" } } })) }
                form.say data-say {
                    label.sr for="f-say" { "Message" }
                    textarea #f-say name="say" rows="2" required placeholder="Say something" {}
                    button.primary type="submit" disabled[models.is_empty()] { "Send" }
                    button type="button" data-stop hidden { "Stop" }
                }
                p.trouble role="alert" {}
            }
        }
    }
}
