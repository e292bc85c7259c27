//! The terminal: taken, drawn to, listened to, and given back however this ends.

use std::io;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::draw::{Gaze, draw};
use super::scene::{History, Look, Scene, scene};
use crate::signals::Signals;

/// A key is answered within it, and so is a signal.
const PATIENCE: Duration = Duration::from_millis(100);

/// Lines that a page of keys is scrolled by.
const PAGE_LINES: usize = 10;

/// What is on the screen.
#[derive(Default)]
struct Shown {
    before: Look,
    scene: Scene,
    history: History,
    gaze: Gaze,
}

/// Until somebody quits.
pub(super) fn run(looks: &Receiver<Look>, signals: &Signals) -> io::Result<()> {
    // It also gives the terminal back where this thread panics.
    let mut terminal = ratatui::try_init()?;
    let outcome = watch(&mut terminal, looks, signals);
    ratatui::try_restore()?;
    outcome
}

fn watch(terminal: &mut DefaultTerminal, looks: &Receiver<Look>, signals: &Signals) -> io::Result<()> {
    let mut shown = Shown::default();
    let mut is_stale = true;
    loop {
        match looks.try_recv() {
            Ok(look) => {
                shown.take(look);
                is_stale = true;
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
        if is_stale {
            terminal.draw(|frame| draw(frame, &shown.scene, &shown.history, &mut shown.gaze))?;
        }
        if signals.has_stop() {
            return Ok(());
        }
        is_stale = event::poll(PATIENCE)?;
        if !is_stale {
            continue;
        }
        match event::read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release && shown.press(key) => return Ok(()),
            // A resized terminal is drawn anew, as is one that was typed at.
            _ => {}
        }
    }
}

impl Shown {
    fn take(&mut self, look: Look) {
        self.scene = scene(&self.before, &look);
        self.history.push(&self.scene);
        self.before = look;
    }

    /// True where it is the end.
    fn press(&mut self, key: KeyEvent) -> bool {
        let gaze = &mut self.gaze;
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return true,
            KeyCode::Char('q') | KeyCode::Esc => return true,
            KeyCode::Char('s') => gaze.order.by = gaze.order.by.next(),
            KeyCode::Char('r') => gaze.order.reversed = !gaze.order.reversed,
            KeyCode::Down => gaze.scrolled = gaze.scrolled.saturating_add(1),
            KeyCode::Up => gaze.scrolled = gaze.scrolled.saturating_sub(1),
            KeyCode::PageDown => gaze.scrolled = gaze.scrolled.saturating_add(PAGE_LINES),
            KeyCode::PageUp => gaze.scrolled = gaze.scrolled.saturating_sub(PAGE_LINES),
            KeyCode::Home => gaze.scrolled = 0,
            _ => {}
        }
        false
    }
}
