//! Plots as SVG, made of figures here. Pure.
//!
//! The picture holds shapes alone and is stretched to whatever place it has; words are HTML around it, so that they stay
//! legible on a phone. Behind each plot is a table of its figures, which is what a screen reader reads and what the pointer's
//! label is made of.

use maud::{Markup, html};
use std::fmt::Write as _;

use super::format;

/// Lines beyond these are put together as `others`: more colours nobody tells apart.
pub(super) const LINES_MAX: usize = 5;
const HEIGHT: f64 = 100.0;
const PART_WIDTH: usize = 10;
const BAR_WIDTH: usize = 8;
/// Of a value whose neighbours are not known.
const DASH_WIDTH: usize = 6;

pub(super) struct Line {
    pub(super) name: String,
    /// One a part; `None`: nothing is known.
    pub(super) values: Vec<Option<f64>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// On top of each other: they have a sum.
    Bars,
    Lines,
}

pub(super) struct Plot<'p> {
    pub(super) id: &'p str,
    pub(super) title: &'p str,
    /// What stands beside the title.
    pub(super) summary: String,
    pub(super) form: Form,
    pub(super) lines: Vec<Line>,
    /// When each part begins, as the table and the pointer's label say it.
    pub(super) times: &'p [String],
    pub(super) shown: fn(f64) -> String,
    /// What is said in place of an empty plot.
    pub(super) nothing: &'p str,
}

impl Plot<'_> {
    pub(super) fn markup(&self) -> Markup {
        let is_empty = self
            .lines
            .iter()
            .all(|line| line.values.iter().flatten().all(|value| *value == 0.0));
        let title = format!("{}-title", self.id);
        html! {
            figure.plot aria-labelledby=(title) data-plot {
                figcaption {
                    h2 id=(title) { (self.title) }
                    p.summary { (self.summary) }
                }
                @if is_empty {
                    div.nothing { p { (self.nothing) } }
                } @else {
                    (self.drawn())
                }
            }
        }
    }

    fn drawn(&self) -> Markup {
        let top = nice(self.highest());
        let width = self.times.len() * PART_WIDTH;
        let label = format!("{}: {}. The table below has the figures.", self.title, self.summary);
        html! {
            div.frame {
                span.top aria-hidden="true" { ((self.shown)(top)) }
                svg.drawing viewBox={ "0 0 " (width) " 100" } preserveAspectRatio="none" role="img" aria-label=(label) {
                    path.grid d={ "M0 0h" (width) "M0 50h" (width) "M0 100h" (width) } {}
                    @for (index, path) in self.paths(top).iter().enumerate() {
                        path class={ @if self.form == Form::Bars { "fill c" (index) } @else { "line c" (index) } } d=(path) {}
                    }
                }
                div.axis aria-hidden="true" {
                    @for index in marks(self.times.len()) { span { (self.times[index]) } }
                }
            }
            ul.legend {
                @for (index, line) in self.lines.iter().enumerate() {
                    li { span class={ "dot c" (index) } aria-hidden="true" {} span.name { (line.name) } }
                }
            }
            (self.table())
        }
    }

    fn table(&self) -> Markup {
        let is_told = |part: usize| {
            self.lines
                .iter()
                .any(|line| line.values[part].is_some_and(|value| value != 0.0))
        };
        let told: Vec<usize> = (0..self.times.len()).filter(|part| is_told(*part)).collect();
        html! {
            details.figures {
                summary { "Figures" span.sr { " of " (self.title) } }
                div.scroll role="region" tabindex="0" aria-label={ (self.title) ", as a table" } {
                    table {
                        caption.sr { (self.title) ". Times without any are left out." }
                        thead { tr {
                            th scope="col" { "Time" }
                            @for line in &self.lines { th scope="col" { (line.name) } }
                        } }
                        tbody { @for part in told { tr data-at=(part) {
                            th scope="row" { (self.times[part]) }
                            @for line in &self.lines {
                                td { @match line.values[part] { Some(value) => ((self.shown)(value)), None => (format::NONE) } }
                            }
                        } } }
                    }
                }
            }
        }
    }

    fn highest(&self) -> f64 {
        let parts = 0..self.times.len();
        let in_part = |part: usize| {
            let values = self.lines.iter().filter_map(move |line| line.values[part]);
            match self.form {
                Form::Bars => values.sum(),
                Form::Lines => values.fold(0.0, f64::max),
            }
        };
        parts.map(in_part).fold(0.0, f64::max)
    }

    /// One a line, in a space whose height is [`HEIGHT`] and in which `top` is at its upper end.
    fn paths(&self, top: f64) -> Vec<String> {
        let height = |value: f64| value / top * HEIGHT;
        let mut floor = vec![0.0; self.times.len()];
        let lines = self.lines.iter().map(|line| match self.form {
            Form::Bars => bars(&line.values, &mut floor, height),
            Form::Lines => strokes(&line.values, height),
        });
        lines.collect()
    }
}

fn bars(values: &[Option<f64>], floor: &mut [f64], height: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    for (part, (value, floor)) in values.iter().zip(floor).enumerate() {
        let Some(value) = value.filter(|value| *value > 0.0) else {
            continue;
        };
        let (x, rise) = (part * PART_WIDTH + 1, height(value));
        let y = HEIGHT - height(*floor);
        let _ = write!(path, "M{x} {y:.1}h{BAR_WIDTH}v-{rise:.1}h-{BAR_WIDTH}z");
        *floor += value;
    }
    path
}

/// A stroke where neighbours are known, a dash where one stands alone.
fn strokes(values: &[Option<f64>], height: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let mut is_drawing = false;
    for (part, value) in values.iter().enumerate() {
        let Some(value) = value else {
            is_drawing = false;
            continue;
        };
        let (x, y) = (part * PART_WIDTH + PART_WIDTH / 2, HEIGHT - height(*value));
        let is_alone = !is_drawing && values.get(part + 1).is_none_or(Option::is_none);
        let _ = match (is_drawing, is_alone) {
            (true, _) => write!(path, "L{x} {y:.1}"),
            (_, true) => write!(path, "M{} {y:.1}h{DASH_WIDTH}", x - DASH_WIDTH / 2),
            _ => write!(path, "M{x} {y:.1}"),
        };
        is_drawing = true;
    }
    path
}

/// The next of 1, 2, 5, 10, 20, …: people read these.
fn nice(highest: f64) -> f64 {
    if highest <= 0.0 {
        return 1.0;
    }
    let unit = 10_f64.powf(highest.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * unit);
    steps
        .into_iter()
        .find(|step| *step >= highest * 0.999)
        .unwrap_or(highest)
}

/// The parts that are named below the picture: the first, some between, the last.
fn marks(parts: usize) -> Vec<usize> {
    match parts {
        0..=4 => (0..parts).collect(),
        _ => (0..4).map(|mark| mark * (parts - 1) / 3).collect(),
    }
}

/// The largest by their sums, and the rest as one.
pub(super) fn largest(mut lines: Vec<Line>) -> Vec<Line> {
    let sum = |line: &Line| line.values.iter().flatten().sum::<f64>();
    lines.retain(|line| sum(line) > 0.0);
    lines.sort_by(|a, b| sum(b).total_cmp(&sum(a)).then_with(|| a.name.cmp(&b.name)));
    if lines.len() <= LINES_MAX + 1 {
        return lines;
    }
    let rest = lines.split_off(LINES_MAX);
    let parts = rest.first().map_or(0, |line| line.values.len());
    let summed = (0..parts).map(|part| {
        let values = rest.iter().filter_map(|line| line.values[part]);
        values.reduce(|a, b| a + b)
    });
    lines.push(Line {
        name: format!("{} others", rest.len()),
        values: summed.collect(),
    });
    lines
}

/// A line by itself, for beside a figure. The highest that there can be is 100.
pub(super) fn spark(values: &[Option<f64>], label: &str) -> Markup {
    let width = values.len().max(1) * PART_WIDTH;
    html! {
        svg.spark viewBox={ "0 0 " (width) " 100" } preserveAspectRatio="none" role="img" aria-label=(label) {
            path."line"."c0" d=(strokes(values, |value| value.clamp(0.0, 100.0))) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(lines: Vec<Line>, times: &[String]) -> String {
        let plot = Plot {
            id: "p",
            title: "Requests",
            summary: "3".to_owned(),
            form: Form::Bars,
            lines,
            times,
            shown: format::short,
            nothing: "Nothing yet.",
        };
        plot.markup().into_string()
    }

    fn line(name: &str, values: &[f64]) -> Line {
        Line {
            name: name.to_owned(),
            values: values.iter().map(|value| Some(*value)).collect(),
        }
    }

    #[test]
    fn bars_stand_on_each_other_and_names_are_escaped() {
        let times = ["a".to_owned(), "b".to_owned()];
        let markup = plot(vec![line("<x>", &[1.0, 0.0]), line("y", &[1.0, 2.0])], &times);
        assert!(
            markup.contains(r#"class="fill c0" d="M1 100.0h8v-50.0h-8z""#),
            "{markup}"
        );
        assert!(
            markup.contains(r#"class="fill c1" d="M1 50.0h8v-50.0h-8zM11 100.0h8v-100.0h-8z""#),
            "{markup}"
        );
        assert!(markup.contains("&lt;x&gt;") && !markup.contains("<x>"));
        assert!(!markup.contains("style="), "the policy allows no style in a page");
        assert!(plot(vec![], &times).contains("Nothing yet."));
    }

    #[test]
    fn strokes_break_where_nothing_is_known() {
        assert_eq!(
            strokes(&[Some(0.0), None, Some(50.0), Some(100.0)], |value| value),
            "M2 100.0h6M25 50.0L35 0.0"
        );
    }

    #[test]
    fn axes_end_at_figures_that_people_read() {
        for (highest, expected) in [
            (0.0, 1.0),
            (0.7, 1.0),
            (1.0, 1.0),
            (1.1, 2.0),
            (3.0, 5.0),
            (51.0, 100.0),
            (2000.0, 2000.0),
        ] {
            assert!((nice(highest) - expected).abs() < 1e-9, "{highest}");
        }
    }

    #[test]
    fn many_lines_become_the_largest_and_the_others() {
        let lines = (0..9_u32).map(|n| line(&n.to_string(), &[f64::from(n)])).collect();
        let kept = largest(lines);
        let names: Vec<&str> = kept.iter().map(|line| &*line.name).collect();
        assert_eq!(names, ["8", "7", "6", "5", "4", "3 others"]);
        assert_eq!(kept[5].values, [Some(6.0)]);
    }
}
