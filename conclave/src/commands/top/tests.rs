//! Two looks at both planes → what is on the screen.

use std::collections::BTreeMap;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::draw::{Gaze, draw};
use super::exposition::Page;
use super::plain;
use super::scene::{History, Look, Scene, Seen, scene};
use super::table::{Order, SortBy};

fn edge(requests: u32, tokens: u32) -> Seen {
    Seen::There(Page::parse(&format!(
        "conclave_edge_requests_total{{code=\"200\"}} {requests}\n\
         conclave_edge_connections 5\n\
         conclave_mapping_keys 2\n\
         conclave_mapping_files{{state=\"loaded\"}} 2\n\
         conclave_mapping_files{{state=\"refused\"}} 1\n\
         conclave_edge_requests_in_flight{{router=\"alice\"}} 3\n\
         conclave_edge_requests_in_flight{{router=\"bob\"}} 1\n\
         conclave_edge_requests_in_flight{{router=\"_other\"}} 0\n\
         conclave_edge_request_duration_seconds_count{{router=\"alice\"}} {requests}\n\
         conclave_edge_request_duration_seconds_count{{router=\"bob\"}} 123456\n\
         conclave_edge_tokens_total{{router=\"alice\",direction=\"input\"}} 100\n\
         conclave_edge_tokens_total{{router=\"alice\",direction=\"output\"}} {tokens}\n\
         conclave_edge_time_to_first_token_seconds_sum{{router=\"alice\"}} 5\n\
         conclave_edge_time_to_first_token_seconds_count{{router=\"alice\"}} 20\n\
         conclave_edge_budget_used_tokens{{router=\"alice\"}} 900\n\
         conclave_edge_budget_limit_tokens{{router=\"alice\"}} 1000\n\
         conclave_edge_server_requests_in_flight{{service=\"farm\",server=\"http://gpu:1\"}} 4\n\
         conclave_edge_server_picks_total{{service=\"farm\",server=\"http://gpu:1\"}} {requests}\n\
         conclave_edge_server_state{{service=\"farm\",server=\"http://gpu:1\",state=\"up\"}} 0\n\
         conclave_edge_server_state{{service=\"farm\",server=\"http://gpu:1\",state=\"loading\"}} 1\n\
         conclave_edge_refusals_total{{reason=\"rate_limit_exceeded\"}} {requests}\n"
    )))
}

fn aggregator() -> Seen {
    let served = "gen_ai_operation_name=\"chat\",gen_ai_request_model=\"m\",backend=\"ollama-1\"";
    Seen::There(Page::parse(&format!(
        "conclave_backend_up{{backend=\"ollama-1\"}} 1\n\
         conclave_backend_up{{backend=\"old\"}} 0\n\
         conclave_backend_active_requests{{backend=\"ollama-1\"}} 2\n\
         conclave_backend_answered_total{{backend=\"ollama-1\"}} 40\n\
         gen_ai_client_token_usage_sum{{{served},gen_ai_token_type=\"output\"}} 700\n\
         gen_ai_server_request_duration_seconds_count{{{served},error_type=\"timeout\"}} 2\n\
         gen_ai_server_request_duration_seconds_count{{{served},error_type=\"\"}} 40\n"
    )))
}

fn scene_of_both() -> Scene {
    let before = Look {
        edge: edge(10, 50),
        aggregator: aggregator(),
        ..Look::default()
    };
    let now = Look {
        edge: edge(30, 150),
        aggregator: aggregator(),
        models: BTreeMap::from([("ollama-1".to_owned(), vec!["tiny".to_owned()])]),
        since: Some(Duration::from_secs(2)),
    };
    scene(&before, &now)
}

fn screen(scene: &Scene, (width, height): (u16, u16), gaze: &mut Gaze) -> Vec<String> {
    let mut history = History::default();
    history.push(scene);
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal
        .draw(|frame| draw(frame, scene, &history, gaze))
        .expect("it draws");
    let buffer = terminal.backend().buffer();
    let lines = buffer.content().chunks(width.into());
    let text = |line: &[ratatui::buffer::Cell]| line.iter().map(|cell| cell.symbol()).collect::<String>();
    lines.map(|line| text(line).trim_end().to_owned()).collect()
}

#[test]
fn a_screen_shows_servers_keys_and_troubles() {
    let lines = screen(&scene_of_both(), (110, 20), &mut Gaze::default());
    let expected = "\
conclave top  edge up · aggregator up
4 in flight · 10 req/s · 50 tok/s · first token 250 ms · 5 connections · 2 keys · 1 bad mapping files
tok/s                                                                                                      |
peak                                                                                                       |
50                                                                                                         |
SERVER                        PLANE      STATE     NOW   REQ/S   TOK/S   FIRST    LOADED
farm http://gpu:1             edge       loading   4     10      -       -
old                           aggregator down      0     0       0       -
ollama-1                      aggregator up        2     0       0       -        tiny";
    let expected: Vec<&str> = expected.lines().collect();
    assert_eq!(lines[0..2], expected[0..2], "{lines:#?}");
    assert!(lines[4].starts_with("50"), "{lines:#?}");
    let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for (at, wanted) in (5..9).zip(&expected[5..]) {
        assert_eq!(cells(&lines[at]), cells(wanted), "{lines:#?}");
    }
    let all = lines.join("\n");
    for (row, wanted) in [
        ("KEY", "KEY NOW REQ/S REQUESTS TOK/S TOKENS FIRST BUDGET"),
        ("alice", "alice 3 10 30 50 250 250 ms 90 % of 1000"),
        ("bob", "bob 1 0 123.5k - - - -"),
        ("refused:", "refused: rate_limit_exceeded 30, 10.0/s"),
        ("backend:", "backend: timeout 2, 0.0/s"),
    ] {
        let line = lines.iter().find(|line| line.starts_with(row));
        assert_eq!(cells(line.unwrap_or(&all)), cells(wanted), "{all}");
    }
    assert!(!all.contains("_other"), "{all}");
    assert!(lines[19].starts_with("q quit"), "{all}");
}

#[test]
fn whatever_the_size_it_draws() {
    let scene = scene_of_both();
    for size in [(1, 1), (10, 3), (40, 8), (80, 12), (300, 100)] {
        let lines = screen(&scene, size, &mut Gaze::default());
        assert_eq!(lines.len(), usize::from(size.1));
    }
    let low = screen(&scene, (80, 8), &mut Gaze::default());
    assert!(low.iter().any(|line| line.starts_with("alice")), "{low:#?}");
    let narrow = screen(&scene, (40, 20), &mut Gaze::default());
    let row = |name: &str| narrow.iter().find(|line| line.starts_with(name)).cloned();
    let words = row("alice").unwrap_or_default();
    assert_eq!(
        words.split_whitespace().collect::<Vec<_>>(),
        ["alice", "3", "10"],
        "{narrow:#?}"
    );
    assert!(
        row("farm http://gpu:1").is_some_and(|line| line.contains("loading")),
        "{narrow:#?}"
    );
}

#[test]
fn keys_are_sorted_and_scrolled() {
    let mut gaze = Gaze {
        order: Order {
            by: SortBy::Requests,
            reversed: false,
        },
        scrolled: 0,
    };
    let first = |gaze: &mut Gaze| {
        let lines = screen(&scene_of_both(), (100, 8), gaze);
        let head = lines.iter().position(|line| line.starts_with("KEY")).expect("keys");
        lines[head + 1].split(' ').next().unwrap_or_default().to_owned()
    };
    assert_eq!(first(&mut gaze), "bob");
    gaze.order.reversed = true;
    assert_eq!(first(&mut gaze), "alice");
    gaze.scrolled = 99;
    first(&mut gaze);
    assert!(gaze.scrolled < 2, "it ends with the last key");
}

#[test]
fn a_plane_that_is_away_is_said_to_be_and_the_other_is_shown() {
    let away = Seen::Away("cannot be reached".to_owned());
    let now = Look {
        edge: away.clone(),
        aggregator: aggregator(),
        ..Look::default()
    };
    let lines = screen(&scene(&Look::default(), &now), (100, 20), &mut Gaze::default());
    assert!(
        lines[0].contains("edge cannot be reached · aggregator up"),
        "{lines:#?}"
    );
    assert!(lines[1].starts_with("2 in flight"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("ollama-1")), "{lines:#?}");
    let none = Look {
        edge: away.clone(),
        aggregator: away,
        ..Look::default()
    };
    let text = plain::text(&scene(&Look::default(), &none));
    assert!(
        text.starts_with("edge cannot be reached · aggregator cannot be reached\n"),
        "{text}"
    );
}

#[test]
fn a_restarted_plane_has_no_negative_rate() {
    let before = Look {
        edge: edge(1000, 1000),
        ..Look::default()
    };
    let now = Look {
        edge: edge(3, 4),
        since: Some(Duration::from_secs(1)),
        ..Look::default()
    };
    let totals = scene(&before, &now).totals;
    assert_eq!((totals.requests_per_s, totals.tokens_per_s), (0.0, 0.0));
}

#[test]
fn plain_text_has_the_same_words() {
    let text = plain::text(&scene_of_both());
    let line = |begin: &str| text.lines().find(|line| line.starts_with(begin)).unwrap_or_default();
    assert!(line("alice").contains("90 % of 1000"), "{text}");
    assert!(line("ollama-1").contains("aggregator  up"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}
