//! The page around every page. It holds no data, so whoever reaches the address may have it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, html};

use super::Page;
use crate::config_file::AdminAuth;
use crate::router::AppState;

/// What is no page gets the same, which then says so: the browser shows a page, not a document for programs.
pub(crate) async fn shell(State(state): State<AppState>, name: Option<Path<String>>) -> Response {
    let page = match &name {
        None => Some(Page::Overview),
        Some(Path(name)) => Page::from_name(name),
    };
    let status = page.map_or(StatusCode::NOT_FOUND, |_| StatusCode::OK);
    let head = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, "no-cache")];
    (status, head, document(page, entry(&state)).into_string()).into_response()
}

/// Whether a token is wanted: the script asks for one before it asks for a page.
fn entry(state: &AppState) -> &'static str {
    match state.settings.load().admin {
        AdminAuth::Open => "open",
        AdminAuth::Bearer(_) => "token",
        AdminAuth::Closed => "closed",
    }
}

fn document(page: Option<Page>, entry: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-entry=(entry) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (page.map_or("No such page", Page::title)) " · Conclave" }
                link rel="icon" type="image/svg+xml" href="/ui/assets/icon.svg";
                link rel="stylesheet" href="/ui/assets/app.css";
                script src="/ui/assets/theme.js" {}
                script type="module" src="/ui/assets/app.js" {}
            }
            body {
                a.skip href="#main" { "Skip to content" }
                (bar(page))
                main #main tabindex="-1" {
                    noscript { p.notice { "These pages need JavaScript: it brings the admin token to the server, and nothing else does." } }
                    div #page aria-busy="true" { (waiting()) }
                }
                (gate())
                (asking())
                div.sr #said role="status" aria-live="polite" {}
                div #toasts role="alert" {}
            }
        }
    }
}

fn bar(current: Option<Page>) -> Markup {
    html! {
        header.bar {
            a.brand href="/ui" { (mark()) span { "Conclave" } }
            nav.pages aria-label="Pages" {
                ul { @for page in Page::ALL { li {
                    a href={ "/ui/" (page.name()) } data-nav=(page.name()) aria-current=[(Some(page) == current).then_some("page")] {
                        (icon(page)) span { (page.title()) }
                    }
                } } }
            }
            div.tools {
                span.pulse #pulse data-state="idle" { span.dot aria-hidden="true" {} span.words { "Not connected" } }
                button.plain #theme type="button" aria-label="Colours: as the system" title="Colours" { (sun()) }
                button.plain #leave type="button" hidden { "Sign out" }
            }
        }
    }
}

/// What stands in place of a page that is on its way.
fn waiting() -> Markup {
    html! {
        div.page.waiting {
            p.sr { "Loading" }
            div.bone.title {} div.bones { @for _ in 0..4 { div.bone {} } } div.bone.tall {} div.bone.tall {}
        }
    }
}

/// A page's own frame; the forms have no action: the script takes what is typed.
fn gate() -> Markup {
    html! {
        dialog #gate aria-labelledby="gate-title" {
            form #gate-form {
                (mark())
                h2 #gate-title { "Admin token" }
                p { "These pages show and do what the admin token may. It stays in this tab and is gone when you close it." }
                label for="token" { "Token" }
                input #token type="password" name="token" autocomplete="current-password" spellcheck="false" required
                    aria-describedby="gate-trouble";
                p.trouble #gate-trouble role="alert" {}
                button.primary type="submit" { "Sign in" }
                p.hint { "It is " code { "admin.auth.token" } " in config.yaml, or " code { "ADMIN_TOKEN" } "." }
            }
        }
    }
}

/// Asks before something that cannot be undone.
fn asking() -> Markup {
    html! {
        dialog #asking aria-labelledby="asking-title" {
            form method="dialog" {
                h2 #asking-title {}
                p #asking-text {}
                div.row {
                    button type="submit" value="no" { "Cancel" }
                    button.danger type="submit" value="yes" #asking-yes { "Do it" }
                }
            }
        }
    }
}

/// A keyhole in a door.
fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" aria-hidden="true" {
            path.door d="M12 1.5C6.8 1.5 3.5 5 3.5 10v12.5h17V10c0-5-3.300-8.500-8.500-8.500z" {}
            path.hole d="M12 7.500a3 3 0 0 0-1.600 5.550L9.300 18h5.400l-1.100-4.950A3 3 0 0 0 12 7.500z" {}
        }
    }
}

fn sun() -> Markup {
    html! {
        svg viewBox="0 0 24 24" aria-hidden="true" {
            circle cx="12" cy="12" r="8.500" {}
            path.half d="M12 3.500a8.500 8.500 0 0 1 0 17z" {}
        }
    }
}

fn icon(page: Page) -> Markup {
    let path = match page {
        Page::Overview => "M3 20h18M6 16v-5M11 16V6M16 16v-8M21 16v-3",
        Page::Backends => "M4 4h16v6H4zM4 14h16v6H4zM8 7h.01M8 17h.01",
        Page::Keys => "M15 9a4 4 0 1 1-8 0 4 4 0 0 1 8 0zM11 13v8M11 17h4M11 20.500h3",
        Page::Mappings => "M5 3h9l5 5v13H5zM14 3v5h5M8 13h8M8 17h5",
        Page::Responses => "M4 5h16v11H9l-5 4zM8 9h8M8 12.500h5",
        Page::Council => {
            "M12 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM5 15a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM19 15a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM7 21a5 5 0 0 1 10 0"
        }
        Page::Try => "M4 12h11M11 6l6 6-6 6M20 4v16",
    };
    html! { svg viewBox="0 0 24 24" aria-hidden="true" { path d=(path) {} } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_needs_no_other_host_and_holds_no_script_of_its_own() {
        for page in Page::ALL {
            let text = document(Some(page), "token").into_string();
            assert!(
                !text.contains("http://") && !text.contains("https://") && !text.contains("//cdn"),
                "{text}"
            );
            assert!(!text.contains("style=") && !text.contains(" onclick"), "{text}");
            assert_eq!(
                text.matches("<script").count(),
                text.matches("<script src=").count() + text.matches("<script type=\"module\" src=").count()
            );
            assert_eq!(text.matches("aria-current").count(), 1);
        }
    }
}
