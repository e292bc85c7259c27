//! *Mappings*: which file gave what, what is broken and why, with the line.

use maud::{Markup, html};

use keymap::{FileState, Problem, Severity};

use super::fragment::Fragment;
use super::parts::{self, Tone};
use super::{Page, format};
use crate::api::mappings::{self, File, FilePage, FileRequest, Told};
use crate::api::query::Query;
use crate::error::ApiError;
use crate::mapping_lines::Line;
use crate::router::AppState;

const PAGE_MAX: usize = 50;
const NAMES_MAX: usize = 12;

pub(super) async fn fragment(state: &AppState, query: Query) -> Result<Fragment, ApiError> {
    let mut request = query.whole(FileRequest::read)?;
    request.listing = request.listing.at_most(PAGE_MAX);
    let lead = html! { "Files are followed as they change. One that does not check keeps its last good content." };
    let fragment = Fragment::new(Page::Mappings, lead);
    let Ok(keyring) = state.desk.keyring() else {
        return Ok(fragment.with(
            "list",
            parts::empty("No mapping folder", html! { p { "This aggregator follows none." } }),
        ));
    };
    let (is_for_problems, search) = (request.is_for_problems, request.search.clone());
    let page = mappings::page(keyring, request).await?;
    let folder = keyring.path().display().to_string();
    Ok(fragment
        .with("tools", tools(&page, is_for_problems, search.as_deref(), &folder))
        .with("list", list(&page, is_for_problems, search.as_deref()))
        .live())
}

fn tools(page: &FilePage, is_for_problems: bool, search: Option<&str>, folder: &str) -> Markup {
    let choices = [
        ("All files", "all", !is_for_problems),
        ("With problems", "problems", is_for_problems),
    ];
    html! {
        div.controls {
            (parts::choice("Files", choices.into_iter().map(|(name, state, is_it)| (name, format!("/ui/mappings?state={state}"), is_it))))
            form.find role="search" data-go="/ui/mappings" {
                label.sr for="search" { "Find a file" }
                input #search type="search" name="search" value=[search] placeholder="File";
                button type="submit" { "Find" }
                span.quiet { (format::counted(page.total, "file", "files")) " in " code { (folder) } }
            }
        }
        @for problem in &page.folder { (parts::notice(Tone::Bad, html! { p { (problem.rule) " " (problem.fix) } })) }
    }
}

fn list(page: &FilePage, is_for_problems: bool, search: Option<&str>) -> Markup {
    if page.files.is_empty() {
        return match is_for_problems {
            true => parts::empty(
                "Nothing is broken",
                html! { p { "Every mapping file checks. " a href="/ui/mappings" { "Show all files" } } },
            ),
            false => parts::empty(
                "No mapping file",
                html! { p { "Files that end with .yml or .yaml and lie in the folder appear here by themselves." } },
            ),
        };
    }
    let next = page.next.as_deref().map(|next| {
        let state = if is_for_problems { "problems" } else { "all" };
        let search = search.map(|search| format!("&search={}", parts::encoded(search)));
        format!(
            "/ui/mappings?state={state}&cursor={}{}",
            parts::encoded(next),
            search.unwrap_or_default()
        )
    });
    html! {
        ul.files { @for file in &page.files { li { (card(file)) } } }
        (parts::more(next, "Next files"))
    }
}

fn card(file: &File) -> Markup {
    let (tone, words) = match file.status.state {
        FileState::Loaded => (Tone::Good, "loaded"),
        FileState::KeptLastGood => (Tone::Bad, "broken: its last good content is served"),
        FileState::Refused => (Tone::Bad, "broken: its keys are refused"),
    };
    html! {
        article.card.file aria-label=(file.status.name) {
            header { h2 { (file.status.name) } (parts::badge(tone, words)) }
            @if let Some(mapping) = file.status.mapping.as_deref() {
                dl.facts {
                    (names("Routers", mapping.routers.iter().map(|router| &*router.name).collect()))
                    (names("Services", mapping.services.iter().map(|service| &*service.name).collect()))
                    (names("Middlewares", mapping.middlewares.iter().map(|middleware| &*middleware.name).collect()))
                }
            }
            @for told in &file.problems { (problem(&file.status.name, told)) }
            @if file.problems_total > file.problems.len() {
                p.quiet { "and " (file.problems_total - file.problems.len()) " more problems; " code { "conclave check" } " tells all of them" }
            }
        }
    }
}

fn names(label: &str, names: Vec<&str>) -> Markup {
    html! {
        @if !names.is_empty() {
            div {
                dt { (label) }
                dd {
                    (names.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", "))
                    @if names.len() > NAMES_MAX { " and " (names.len() - NAMES_MAX) " more" }
                }
            }
        }
    }
}

fn problem(file: &str, told: &Told) -> Markup {
    let Problem {
        severity,
        position,
        value,
        rule,
        fix,
        ..
    } = &told.problem;
    let (tone, word) = match severity {
        Severity::Error => (Tone::Bad, "error"),
        Severity::Warning => (Tone::Warn, "warning"),
    };
    html! {
        section.problem {
            p {
                (parts::badge(tone, word)) " "
                @if position.line > 0 { span.place { (file) ":" (position.line) ":" (position.column) } " " }
                strong { (parts::coded(rule)) }
            }
            @if !value.is_empty() { p.value { "Found: " code { (value) } } }
            @if !told.lines.is_empty() { (excerpt(&told.lines)) }
            @if !fix.is_empty() { p.fix { (parts::coded(fix)) } }
        }
    }
}

/// Lines with what may be a key masked.
fn excerpt(lines: &[Line]) -> Markup {
    html! {
        div.excerpt role="group" aria-label="The lines, with what may be a key masked" {
            @for line in lines {
                div class=(if line.is_it { "code-line it" } else { "code-line" }) {
                    span.number { @if line.is_it { span.sr { "Here: " } } (line.number) }
                    code { (line.text) }
                }
            }
        }
    }
}
