//! A scene on a screen, whatever its size. Pure: it draws into the frame it is given.
//!
//! ```text
//!  conclave top   edge up · aggregator up
//!  4 in flight · 12 req/s · …
//!  ▂▃▅▇ tokens a second
//!  SERVER   STATE …
//!  KEY      NOW …
//!  refused: rate_limit_exceeded 12 …
//!  q quit  s sort: now …
//! ```
//! Colours repeat what words say: nothing is told by them alone.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, Sparkline, Table};

use super::scene::{History, Scene};
use super::table::{self, KEYS, Order, SERVERS};

const SPARKLINE_LINES: u16 = 3;

/// How it is looked at.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gaze {
    pub(super) order: Order,
    /// Keys above the first that is shown.
    pub(super) scrolled: usize,
}

pub(super) fn draw(frame: &mut Frame<'_>, scene: &Scene, history: &History, gaze: &mut Gaze) {
    let area = frame.area();
    let troubles = u16::try_from(scene.troubles.len()).unwrap_or(0).min(3);
    let few = |lines: usize, of: u16| {
        u16::try_from(lines + 1)
            .unwrap_or(u16::MAX)
            .min((area.height / of).max(2))
    };
    // On a screen that is too low what is last gives way first.
    let sparkline = if area.height >= 16 { SPARKLINE_LINES } else { 0 };
    let [head, totals, spark, servers, keys, below, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(sparkline),
        Constraint::Length(few(scene.servers.len(), 3)),
        Constraint::Min(2),
        Constraint::Length(if area.height >= 12 { troubles } else { 0 }),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(heading(scene), head);
    frame.render_widget(Paragraph::new(table::totals(&scene.totals)), totals);
    if sparkline > 0 {
        draw_history(frame, history, spark);
    }
    draw_servers(frame, scene, servers);
    draw_keys(frame, scene, gaze, keys);
    frame.render_widget(Paragraph::new(trouble_lines(scene)), below);
    frame.render_widget(foot_line(gaze), foot);
}

fn heading(scene: &Scene) -> Paragraph<'static> {
    let mut spans = vec![Span::styled(
        "conclave top  ",
        Style::new().add_modifier(Modifier::BOLD),
    )];
    let away = [scene.edge.is_some(), scene.aggregator.is_some()];
    for (index, (text, is_away)) in table::planes(scene).into_iter().zip(away).enumerate() {
        if index > 0 {
            spans.push(Span::raw(" · "));
        }
        spans.push(Span::styled(
            text,
            Style::new().fg(if is_away { Color::Red } else { Color::Green }),
        ));
    }
    Paragraph::new(Line::from(spans))
}

fn draw_history(frame: &mut Frame<'_>, history: &History, area: Rect) {
    let label = "tok/s ";
    let [left, right] = Layout::horizontal([Constraint::Length(6), Constraint::Min(1)]).areas(area);
    let data = history.last(right.width.into());
    let peak = data.iter().max().copied().unwrap_or(0);
    frame.render_widget(Paragraph::new(format!("{label}\npeak\n{peak}")), left);
    frame.render_widget(
        Sparkline::default().data(data).style(Style::new().fg(Color::Cyan)),
        right,
    );
}

/// Where a column's text is in a row, how wide it is, and how wide a screen must be to have it.
type Column = (usize, Constraint, u16);

const SERVER_COLUMNS: [Column; 8] = [
    (0, Constraint::Fill(3), 0),
    (1, Constraint::Length(10), 90),
    (2, Constraint::Length(9), 0),
    (3, Constraint::Length(5), 0),
    (4, Constraint::Length(7), 50),
    (5, Constraint::Length(7), 60),
    (6, Constraint::Length(8), 80),
    (7, Constraint::Fill(2), 110),
];

const KEY_COLUMNS: [Column; 8] = [
    (0, Constraint::Fill(1), 0),
    (1, Constraint::Length(5), 0),
    (2, Constraint::Length(7), 0),
    (3, Constraint::Length(9), 60),
    (4, Constraint::Length(7), 70),
    (5, Constraint::Length(8), 95),
    (6, Constraint::Length(8), 95),
    (7, Constraint::Length(15), 50),
];

/// Who needs a look stands first: it is there however low the screen is.
fn draw_servers(frame: &mut Frame<'_>, scene: &Scene, area: Rect) {
    let mut servers: Vec<_> = scene.servers.iter().collect();
    servers.sort_by_key(|server| matches!(server.state, "up" | "-"));
    let lines = usize::from(area.height.saturating_sub(1));
    // Where there is one line it is a server's.
    let shown = match servers.len() > lines && lines > 1 {
        true => lines - 1,
        false => servers.len(),
    };
    let hidden = servers.len() - shown;
    let rows = servers[..shown].iter().map(|server| {
        let colour = match server.state {
            "up" => Color::Green,
            "loading" => Color::Yellow,
            "-" => Color::Reset,
            _ => Color::Red,
        };
        let [name, plane, state, rest @ ..] = table::server(server).map(Span::raw);
        let state = state.style(Style::new().fg(colour));
        [name, plane, state].into_iter().chain(rest).collect()
    });
    let mut rows: Vec<_> = rows.collect();
    if hidden > 0 {
        let more = Span::styled(format!("and {hidden} more"), Style::new().add_modifier(Modifier::DIM));
        rows.push(
            std::iter::once(more)
                .chain((1..SERVERS.len()).map(|_| Span::raw("")))
                .collect(),
        );
    }
    draw_table(frame, area, &SERVER_COLUMNS, header(SERVERS, None), rows);
}

fn draw_keys(frame: &mut Frame<'_>, scene: &Scene, gaze: &mut Gaze, area: Rect) {
    let mut keys = scene.keys.clone();
    gaze.order.sort(&mut keys);
    let fits = usize::from(area.height.saturating_sub(1));
    gaze.scrolled = gaze.scrolled.min(keys.len().saturating_sub(fits));
    let rows = keys.iter().skip(gaze.scrolled).take(fits);
    let rows = rows.map(|key| table::key(key).map(Span::raw).into()).collect();
    let sorted = gaze.order.by.name().to_uppercase();
    draw_table(frame, area, &KEY_COLUMNS, header(KEYS, Some(&sorted)), rows);
}

/// With the columns that there is room for. The first is as wide as what stands in it, so that a wide screen has the figures
/// beside their names; a name that is cut off shows that it is.
fn draw_table(
    frame: &mut Frame<'_>,
    area: Rect,
    columns: &[Column],
    head: Vec<Span<'static>>,
    rows: Vec<Vec<Span<'static>>>,
) {
    let shown: Vec<&Column> = columns.iter().filter(|(_, _, from)| area.width >= *from).collect();
    let row = |cells: Vec<Span<'static>>| Row::new(shown.iter().map(|(at, ..)| cells[*at].clone()).collect::<Vec<_>>());
    let mut widths: Vec<_> = shown.iter().map(|(_, width, _)| *width).collect();
    let names = name_width(area.width, &widths, &rows);
    widths[0] = Constraint::Length(names);
    let rows = rows.into_iter().map(|mut cells| {
        cells[0].content = clipped(&cells[0].content, names.into()).into();
        cells
    });
    let rows: Vec<_> = rows.collect();
    let (head, rows) = (row(head), rows.into_iter().map(row).collect::<Vec<_>>());
    frame.render_widget(Table::new(rows, widths).header(head), area);
}

/// What the longest name takes, or what figures leave of the screen. A blank stands between columns.
fn name_width(screen: u16, widths: &[Constraint], rows: &[Vec<Span<'static>>]) -> u16 {
    let others = widths.iter().skip(1).map(|width| match width {
        Constraint::Length(width) => width + 1,
        // Of names that may be as long.
        _ => 1 + screen / 4,
    });
    let longest = rows.iter().map(|cells| cells[0].width()).max().unwrap_or(0);
    let room = screen.saturating_sub(others.sum());
    u16::try_from(longest).unwrap_or(u16::MAX).max(6).min(room)
}

fn clipped(text: &str, width: usize) -> String {
    match text.chars().count() <= width {
        true => text.to_owned(),
        false => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
    }
}

fn header(names: [&'static str; 8], sorted: Option<&str>) -> Vec<Span<'static>> {
    let cells = names.map(|name| {
        let style = Style::new().add_modifier(Modifier::BOLD);
        let is_sorted = sorted.is_some_and(|sorted| sorted == name);
        Span::styled(
            name,
            if is_sorted {
                style.add_modifier(Modifier::UNDERLINED)
            } else {
                style
            },
        )
    });
    cells.into()
}

fn trouble_lines(scene: &Scene) -> Vec<Line<'static>> {
    let line = |trouble: &super::scene::Trouble| {
        let text = format!("{}  {:.0}, {:.1}/s", trouble.what, trouble.total, trouble.per_s);
        let style = if trouble.per_s > 0.0 {
            Style::new().fg(Color::Red)
        } else {
            Style::new()
        };
        Line::styled(text, style)
    };
    scene.troubles.iter().map(line).collect()
}

fn foot_line(gaze: &Gaze) -> Paragraph<'static> {
    let order = gaze.order;
    let arrow = if order.reversed { "↑" } else { "↓" };
    let text = format!(
        "q quit   s sort: {}{arrow}   r reverse   ↑↓ PgUp PgDn scroll",
        order.by.name()
    );
    Paragraph::new(text).style(Style::new().add_modifier(Modifier::DIM))
}
