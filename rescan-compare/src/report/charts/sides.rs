//! Two figures a way, the wallet's and the server's: processor time and memory. Either may be missing.

use super::super::Run;
use super::super::columns::{NOT_MEASURED, time as shown_time};
use super::super::figures::{self, Figures};
use super::axis::Axis;
use super::bars::{self, Bar, Form, Row};
use super::canvas::Words;
use super::ink::Ink;
use super::ways::in_words;
use super::{Chart, Comparison, Key, KeyShape, Table, Width};
use crate::units;

/// What a way cost both sides: medians.
struct Cost<'a> {
    way: Figures<'a>,
    wallet: Option<u64>,
    server: Option<u64>,
}

/// Processor time of both sides, one after the other: together they are what the machine spent.
pub(super) fn processor(comparison: &Comparison) -> Option<Chart> {
    let costs = costs(comparison, |run| run.client_cpu_us, |run| run.server_cpu_us);
    let both = |cost: &Cost<'_>| cost.wallet.unwrap_or(0).saturating_add(cost.server.unwrap_or(0));
    let most = costs.iter().map(both).max()?;
    let bars = |cost: &Cost<'_>| {
        let wallet = cost.wallet.unwrap_or(0);
        let first = cost.wallet.map(|to| Bar { ink: Ink::Wallet, from: 0, to });
        let second = cost.server.map(|own| Bar { ink: Ink::Server, from: wallet, to: wallet.saturating_add(own) });
        first.into_iter().chain(second).collect()
    };
    let rows: Vec<Row> = costs.iter().map(|cost| row(cost, bars(cost), shown_time)).collect();
    let (id, title) = ("cpu", "Processor time");
    let words = Words { id, title, description: &format!("Wallet / server. {}", in_words(&rows)) };
    let svg = bars::draw(&words, &Axis::time("processor time, wallet and server", most), Form::Stacked, &rows);
    let says = "What both processes computed, whichever waited for the other.".to_owned();
    Some(Chart { id, title, width: Width::Half, says, legend: legend(), svg, table: table(&costs, shown_time) })
}

/// The most memory of either side. Peaks at different times do not add up, so they lie beside each other.
pub(super) fn memory(comparison: &Comparison) -> Option<Chart> {
    let costs = costs(comparison, |run| run.client_peak_bytes, |run| run.server_peak_bytes);
    let most = costs.iter().flat_map(|cost| [cost.wallet, cost.server]).flatten().max()?;
    let bars = |cost: &Cost<'_>| {
        let bar = |ink, to: Option<u64>| to.map(|to| Bar { ink, from: 0, to });
        [bar(Ink::Wallet, cost.wallet), bar(Ink::Server, cost.server)].into_iter().flatten().collect()
    };
    let rows: Vec<Row> = costs.iter().map(|cost| row(cost, bars(cost), units::bytes)).collect();
    let (id, title) = ("memory", "Memory");
    let words = Words { id, title, description: &format!("Wallet / server. {}", in_words(&rows)) };
    let svg = bars::draw(&words, &Axis::bytes("peak above what was held before", most), Form::Beside, &rows);
    let says = "The most that each process held at once beyond what it held before, without files mapped.".to_owned();
    Some(Chart { id, title, width: Width::Half, says, legend: legend(), svg, table: table(&costs, units::bytes) })
}

/// The ways for which at least one side was measured.
fn costs(
    comparison: &Comparison,
    wallet: impl Fn(&Run) -> Option<u64>,
    server: impl Fn(&Run) -> Option<u64>,
) -> Vec<Cost<'_>> {
    let costs = figures::measured(comparison).into_iter().map(|way| Cost {
        way,
        wallet: way.median_if_measured(&wallet),
        server: way.median_if_measured(&server),
    });
    costs.filter(|cost| cost.wallet.is_some() || cost.server.is_some()).collect()
}

fn row(cost: &Cost<'_>, bars: Vec<Bar>, show: fn(u64) -> String) -> Row {
    let figure = |value: Option<u64>| value.map_or_else(|| NOT_MEASURED.to_owned(), show);
    Row {
        name: cost.way.way.title.clone(),
        figure: format!("{} / {}", figure(cost.wallet), figure(cost.server)),
        bars,
        spread: None,
    }
}

fn legend() -> Vec<Key> {
    let key = |ink, name: &str| Key { ink, shape: KeyShape::Bar, name: name.to_owned() };
    vec![key(Ink::Wallet, "wallet"), key(Ink::Server, "server or node")]
}

fn table(costs: &[Cost<'_>], show: fn(u64) -> String) -> Table {
    let figure = |value: Option<u64>| value.map_or_else(|| NOT_MEASURED.to_owned(), show);
    let cells = |cost: &Cost<'_>| vec![cost.way.way.title.clone(), figure(cost.wallet), figure(cost.server)];
    let head = ["Way", "Wallet", "Server or node"].map(ToOwned::to_owned).to_vec();
    Table { head, rows: costs.iter().map(cells).collect(), note: None }
}
