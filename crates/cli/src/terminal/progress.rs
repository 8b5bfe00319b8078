//! Progress on standard error: a live bar on a terminal, one line per stage and epoch elsewhere.

use super::{green, say, seconds, yellow};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lepton_core::{Event, Progress};
use std::io::IsTerminal;
use std::sync::Mutex;

/// Draws events.
pub(crate) struct Bars {
    live: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Bars {
    pub(crate) fn new() -> Bars {
        Bars { live: std::io::stderr().is_terminal(), bar: Mutex::new(None) }
    }

    /// A line above the bar.
    fn line(&self, text: &str) {
        match self.bar.lock().ok().as_deref() {
            Some(Some(bar)) => bar.println(text),
            _ => say(text),
        }
    }

    fn clear(&self) {
        let taken = self.bar.lock().ok().and_then(|mut slot| slot.take());
        if let Some(bar) = taken {
            bar.finish_and_clear();
        }
    }

    fn show(&self, done: u64, total: Option<u64>, message: String) {
        if !self.live {
            return;
        }
        let Ok(mut slot) = self.bar.lock() else { return };
        let bar = slot.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            // A template that does not parse only costs the looks.
            if let Ok(style) = ProgressStyle::with_template("  {bar:24.cyan/dim} {msg}") {
                bar.set_style(style.progress_chars("━━─"));
            }
            bar
        });
        bar.set_length(total.unwrap_or(done.max(1)));
        bar.set_position(done);
        bar.set_message(message);
    }
}

impl Progress for Bars {
    fn event(&self, event: Event) {
        match event {
            Event::StageStarted { stage } => self.show(0, Some(1), stage),
            Event::StageFinished { stage, seconds: took, cached, summary } => {
                self.clear();
                let how = if cached { "cached".to_owned() } else { seconds(took) };
                say(&format!("{} {stage:<9} {how:>12}  {summary}", green("✓")));
            }
            Event::Advanced { what, done, total, unit } => {
                let shown = match (unit, total) {
                    ("bytes", Some(total)) => format!("{what} {} of {}", super::bytes(done), super::bytes(total)),
                    ("bytes", None) => format!("{what} {}", super::bytes(done)),
                    (_, Some(total)) => format!("{what} {done} of {total} {unit}"),
                    (_, None) => format!("{what} {done} {unit}"),
                };
                self.show(done, total, shown);
            }
            Event::Step { epoch, epochs, step, steps, loss, accuracy, samples_per_second, seconds_left } => {
                let accuracy = accuracy.map_or_else(String::new, |value| format!("  accuracy {value:.4}"));
                let done = ((epoch - 1) * steps + step) as u64;
                self.show(
                    done,
                    Some((epochs * steps) as u64),
                    format!(
                        "epoch {epoch}/{epochs}  step {step}/{steps}  loss {loss:.4}{accuracy}  {samples_per_second:.0} samples/s  {} left",
                        seconds(seconds_left)
                    ),
                );
            }
            Event::EpochFinished {
                epoch,
                epochs,
                train_loss,
                valid_loss,
                valid_score,
                valid: _,
                learning_rate,
                seconds: took,
            } => {
                let score = valid_score.map_or_else(String::new, |(name, value)| format!("  valid {name} {value:.4}"));
                self.line(&format!(
                    "  epoch {epoch}/{epochs}  loss {train_loss:.4}  valid loss {valid_loss:.4}{score}  rate {learning_rate:.2e}  {}",
                    seconds(took)
                ));
            }
            Event::Note { text } => self.line(&format!("  {text}")),
            Event::Warning { text } => self.line(&format!("{} {text}", yellow("warning:"))),
        }
    }
}
