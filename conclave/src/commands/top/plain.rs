//! A scene as plain text, for pipes.

use std::fmt::Write as _;

use super::scene::Scene;
use super::table::{self, KEYS, Order, SERVERS};

pub(super) fn text(scene: &Scene) -> String {
    let mut out = format!(
        "{}\n{}\n",
        table::planes(scene).join(" · "),
        table::totals(&scene.totals)
    );
    let servers: Vec<_> = scene.servers.iter().map(table::server).collect();
    columns(&mut out, SERVERS, &servers);
    let mut keys = scene.keys.clone();
    Order::default().sort(&mut keys);
    let keys: Vec<_> = keys.iter().map(table::key).collect();
    columns(&mut out, KEYS, &keys);
    if !scene.troubles.is_empty() {
        out.push('\n');
    }
    for trouble in &scene.troubles {
        let _infallible = writeln!(out, "{}  {:.0}", trouble.what, trouble.total);
    }
    out
}

/// As wide as what is in them, two blanks between.
fn columns<const N: usize>(out: &mut String, head: [&str; N], rows: &[[String; N]]) {
    if rows.is_empty() {
        return;
    }
    out.push('\n');
    let head = head.map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&head]).map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..N).map(width).collect();
    for row in [&head].into_iter().chain(rows) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        out.push_str(line.trim_end());
        out.push('\n');
    }
}
