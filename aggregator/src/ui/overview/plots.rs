//! The four plots: requests, tokens a second, time to the first token, errors.

use maud::{Markup, html};

use super::{lines, times};
use crate::api::series::By;
use crate::series::{Series, Source};
use crate::store::Sums;
use crate::ui::format;
use crate::ui::parts::{self, Tone};
use crate::ui::plot::{Form, LINES_MAX, Line, Plot, largest};

pub(super) fn plots(series: &Series, by: By) -> Markup {
    let times = times(series);
    html! {
        @if let Some(missing) = missing(series, by) { (missing) }
        div.plots {
            (requests(series, by, &times))
            (tokens(series, by, &times))
            (first_token(series, by, &times))
            (errors(series, by, &times))
        }
    }
}

/// What the plots cannot show, and why.
fn missing(series: &Series, by: By) -> Option<Markup> {
    let words = match (series.source, by) {
        (Source::Memory, By::Key) => {
            "Figures by key come from stored responses, and nothing is stored here. \
                                      Start with --db-path and --journal, or switch response_storage on in config.yaml."
        }
        (Source::Memory, By::Backend) => {
            "Nothing is stored here, so these plots know what the aggregator has sent since it started, \
                                          without tokens. Start with --db-path and --journal for all of it."
        }
        (Source::Store, _) if series.missing > 0 => {
            "There is more in this span than can be summed at once: the plots begin later."
        }
        (Source::Store, _) => return None,
    };
    Some(parts::notice(Tone::Quiet, html! { p { (words) } }))
}

fn requests(series: &Series, by: By, times: &[String]) -> Markup {
    let lines = lines(series, by, |sums| Some(sums.requests as f64));
    let total = sum(&lines);
    Plot {
        id: "requests",
        title: "Requests",
        // A council's one request is many to backends.
        summary: match by {
            By::Backend => format!("{} to backends", format::short(total)),
            By::Key => format!("{} of clients", format::short(total)),
        },
        form: Form::Bars,
        lines: largest(lines),
        times,
        shown: format::short,
        nothing: "No request in this time.",
    }
    .markup()
}

/// Written tokens: reading is thousands of times faster, and would hide them.
fn tokens(series: &Series, by: By, times: &[String]) -> Markup {
    let seconds = series.step_us as f64 / 1e6;
    let lines = lines(series, by, |sums| Some(sums.output_tokens as f64 / seconds));
    let most = (0..times.len()).map(|part| lines.iter().filter_map(|line| line.values[part]).sum());
    let most = most.fold(0.0, f64::max);
    Plot {
        id: "tokens",
        title: "Tokens written a second",
        summary: format!("{} at most", format::short(most)),
        form: Form::Bars,
        lines: largest(lines),
        times,
        shown: format::short,
        nothing: match series.source {
            Source::Store => "No token was written in this time.",
            Source::Memory => "Tokens are known where responses are stored.",
        },
    }
    .markup()
}

fn first_token(series: &Series, by: By, times: &[String]) -> Markup {
    let mean = |sums: &Sums| match sums.first_tokens {
        0 => None,
        count => Some(sums.first_token_us as f64 / 1e3 / count as f64),
    };
    let total = series.total();
    let summary = match total.first_tokens {
        0 => "none yet".to_owned(),
        count => format!("{} on average", format::micros(total.first_token_us / count)),
    };
    let title = match series.source {
        Source::Store => "Time to first token",
        Source::Memory => "Time to first byte",
    };
    Plot {
        id: "first-token",
        title,
        summary,
        form: Form::Lines,
        lines: busiest(series, by, lines(series, by, mean)),
        times,
        shown: format::time,
        nothing: "No answer in this time told when it began.",
    }
    .markup()
}

/// Means have no sum: the lines of those with most requests are shown, the others not.
fn busiest(series: &Series, by: By, lines: Vec<Line>) -> Vec<Line> {
    let mut counted: Vec<(f64, Line)> = super::lines(series, by, |sums| Some(sums.requests as f64))
        .iter()
        .map(|line| line.values.iter().flatten().sum())
        .zip(lines)
        .filter(|(_, line)| line.values.iter().any(Option::is_some))
        .collect();
    counted.sort_by(|(a, one), (b, other)| b.total_cmp(a).then_with(|| one.name.cmp(&other.name)));
    counted.into_iter().take(LINES_MAX + 1).map(|(_, line)| line).collect()
}

fn errors(series: &Series, by: By, times: &[String]) -> Markup {
    let lines = lines(series, by, |sums| Some(sums.errors as f64));
    let total = sum(&lines);
    Plot {
        id: "errors",
        title: "Errors",
        summary: format!("{} failed, broke off or refused", format::short(total)),
        form: Form::Bars,
        lines: largest(lines),
        times,
        shown: format::short,
        nothing: "Nothing went wrong in this time.",
    }
    .markup()
}

fn sum(lines: &[Line]) -> f64 {
    // Of nothing, `sum` makes -0.
    lines
        .iter()
        .flat_map(|line| line.values.iter().flatten())
        .fold(0.0, |sum, value| sum + value)
}
