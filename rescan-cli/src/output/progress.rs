//! Progress bars on stderr, if that is a terminal.
//!
//! A bar asks the server a few times a second and never delays the scan.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rescan_client::ScanHandle;
use rescan_client::report::{self, Phase};
use rescan_compare::{Step, units};
use rescan_fill::{Plan, Run};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

/// Often enough to look alive; each call costs the server some ten microseconds.
const INTERVAL: Duration = Duration::from_millis(150);

/// The bar of a scan, until it is dropped.
pub(super) struct ScanProgress {
    bar: ProgressBar,
    polling: Option<JoinHandle<()>>,
}

impl ScanProgress {
    /// Shows the progress of `scan`, if stderr is a terminal.
    pub(super) fn of(scan: ScanHandle) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden(), polling: None };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
            .with_style(style(false))
            .with_message("waiting for the server");
        let polling = tokio::spawn(poll(scan, bar.clone()));
        Self { bar, polling: Some(polling) }
    }

    /// Runs `work`, which writes to stdout, while the bar is cleared.
    pub(super) fn suspend<T>(&self, work: impl FnOnce() -> T) -> T {
        self.bar.suspend(work)
    }
}

impl Drop for ScanProgress {
    fn drop(&mut self) {
        if let Some(polling) = &self.polling {
            polling.abort();
        }
        self.bar.finish_and_clear();
    }
}

/// The bar of a comparison, until it is dropped.
pub(crate) struct ComparisonProgress(ProgressBar);

impl ComparisonProgress {
    pub(crate) fn begin() -> Self {
        // indicatif draws nothing if stderr is no terminal.
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style(true));
        bar.enable_steady_tick(INTERVAL);
        Self(bar)
    }

    pub(crate) fn show(&self, step: &Step) {
        self.0.update(|state| {
            state.set_len(step.total);
            state.set_pos(step.done.min(step.total));
        });
        self.0.set_message(step.doing.clone());
    }
}

impl Drop for ComparisonProgress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// The bar over the calls of a fill, until it is dropped.
pub(super) struct FillProgress(ProgressBar);

impl FillProgress {
    /// By blocks, since calls differ in length.
    pub(super) fn of(plan: &Plan) -> Self {
        let style = ProgressStyle::with_template(FILL_TEMPLATE).unwrap_or_else(|_bad| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(plan.blocks()), ProgressDrawTarget::stderr());
        Self(bar.with_style(style.progress_chars("=> ")))
    }

    /// A call has ended.
    pub(super) fn advance(&self, run: &Run) {
        self.0.set_message(format!("height {}", units::grouped(run.last.into())));
        self.0.inc(run.blocks().into());
    }

    /// Runs `work`, which writes to the terminal, while the bar is cleared.
    pub(super) fn suspend<T>(&self, work: impl FnOnce() -> T) -> T {
        self.0.suspend(work)
    }
}

impl Drop for FillProgress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

const FILL_TEMPLATE: &str = "{percent:>3}% [{wide_bar}] {human_pos} of {human_len} blocks, {msg}, {eta} left";

async fn poll(scan: ScanHandle, bar: ProgressBar) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match scan.progress().await {
            Ok(progress) => show(&bar, &progress),
            // The scan's stream has the reason.
            Err(_ended) => return,
        }
    }
}

fn show(bar: &ProgressBar, progress: &report::Progress) {
    let (done, total) = match progress.phase {
        Phase::Deriving => (progress.scripts_derived, progress.scripts_total),
        _ => (progress.bytes_done, progress.bytes_total),
    };
    bar.set_style(style(total > 0));
    // One update: nothing is drawn in between.
    bar.update(|state| {
        state.set_len(total);
        state.set_pos(done.min(total));
    });
    bar.set_message(describe(progress));
}

fn style(measured: bool) -> ProgressStyle {
    let style = ProgressStyle::with_template(template(measured)).unwrap_or_else(|_bad| ProgressStyle::default_bar());
    style.progress_chars("=> ")
}

fn template(measured: bool) -> &'static str {
    if measured { "{percent:>3}% [{wide_bar}] {msg}" } else { "{spinner} {msg}" }
}

/// The phase; during the walk also blocks, rates and time left.
fn describe(progress: &report::Progress) -> String {
    match progress.phase {
        Phase::ReadingChain => format!(
            "the server is reading its block files: {} of {}",
            units::bytes(progress.bytes_done),
            units::bytes(progress.bytes_total)
        ),
        Phase::Deriving => units::deriving(progress.scripts_derived, progress.scripts_total),
        Phase::Walking => walking(progress),
        _ => "finishing".to_owned(),
    }
}

fn walking(progress: &report::Progress) -> String {
    let elapsed = Duration::from_micros(progress.elapsed_micros);
    let blocks_per_second = u128::from(progress.blocks_done) * 1_000_000 / u128::from(progress.elapsed_micros.max(1));
    let mut text = format!(
        "{} of {}, {} blocks/s, {}",
        units::grouped(progress.blocks_done),
        units::counted(progress.blocks_total, "block"),
        units::grouped(u64::try_from(blocks_per_second).unwrap_or(u64::MAX)),
        units::rate(progress.bytes_done, elapsed),
    );
    if let Some(left) = time_left(progress) {
        text.push_str(&format!(", {} left", units::duration(left)));
    }
    text
}

/// By bytes, since blocks differ in size a thousandfold; none before the first block.
fn time_left(progress: &report::Progress) -> Option<Duration> {
    let left = u128::from(progress.bytes_total.saturating_sub(progress.bytes_done));
    let micros = (u128::from(progress.elapsed_micros) * left).checked_div(u128::from(progress.bytes_done))?;
    Some(Duration::from_micros(u64::try_from(micros).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(blocks_done: u64, bytes_done: u64) -> report::Progress {
        report::Progress {
            blocks_done,
            blocks_total: 2_000,
            bytes_done,
            bytes_total: 4_000_000_000,
            elapsed_micros: 500_000,
            ..report::Progress::at_start_of(Phase::Walking)
        }
    }

    #[test]
    fn walking_shows_both_rates_and_the_time_left() {
        assert_eq!(
            describe(&progress(500, 1_000_000_000)),
            "500 of 2,000 blocks, 1,000 blocks/s, 2.00 GB/s, 1.50 s left"
        );
    }

    #[test]
    fn deriving_shows_how_many_scripts_of_how_many() {
        let start = report::Progress::at_start_of(Phase::Deriving);
        let counted = report::Progress { scripts_derived: 120_000, scripts_total: 1_000_000, ..start };
        assert_eq!(describe(&counted), "deriving 120,000 of 1,000,000 scripts");
        assert_eq!(describe(&start), "deriving scripts", "an older server does not count");
    }

    #[test]
    fn before_the_first_block_no_time_is_guessed() {
        assert_eq!(describe(&progress(0, 0)), "0 of 2,000 blocks, 0 blocks/s, 0 B/s");
    }

    #[test]
    fn the_styles_parse() {
        for template in [template(true), template(false), FILL_TEMPLATE] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
