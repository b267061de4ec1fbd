//! Bars that lie, one row a way: its name and its figure above, so that neither is squeezed on a phone.

use plotters::chart::ChartBuilder;
use plotters::element::{Circle, PathElement, Rectangle, Text};
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::canvas::{self, Area, DrawError, TEXT, UNIT, WIDTH, Words, line, steps, text};
use super::ink::Ink;

/// One row.
pub(super) struct Row {
    pub(super) name: String,
    /// What the bars say, in figures.
    pub(super) figure: String,
    pub(super) bars: Vec<Bar>,
    /// The least and the most of several runs.
    pub(super) spread: Option<(u64, u64)>,
}

/// One bar, from one value to another.
pub(super) struct Bar {
    pub(super) ink: Ink,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// How bars are drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// All bars of a row on one line: one, or several that are stacked.
    Stacked,
    /// Each bar of a row on its own line.
    Beside,
    /// A stem with a dot at its end: on a logarithmic axis it is the place that counts, since a length does not begin at
    /// nothing.
    Dots,
}

// All in units, from the top of a row.
const NAME_BASELINE: u32 = 13;
const BAR_TOP: u32 = 19;
const BAR_HEIGHT: u32 = 14;
const BAR_BESIDE_HEIGHT: u32 = 9;
const ROW_HEIGHT: u32 = 42;
const AXIS_HEIGHT: u32 = 40;
const LEFT: u32 = 5;
const RIGHT: u32 = 22;

/// A bar of more than nothing is never thinner, so that it is seen.
const BAR_WIDTH_MIN: f64 = 1.5;

/// Letters that fit side by side in [`WIDTH`] at [`TEXT`].
const LETTERS: usize = 56;

/// Draws the rows from top to bottom.
pub(super) fn draw(words: &Words<'_>, axis: &Axis, form: Form, rows: &[Row]) -> String {
    // More rows than there are ways would be no chart any more; the table has them all.
    let rows = rows.get(..rows.len().min(ROWS_MAX)).unwrap_or_default();
    let body = ROW_HEIGHT * u32::try_from(rows.len()).unwrap_or_default();
    canvas::draw(words, body + AXIS_HEIGHT, |area| draw_rows(area, axis, form, rows, body))
}

/// Above this a chart would be taller than what any screen or printer takes in one piece.
const ROWS_MAX: usize = 24;

fn draw_rows(area: &Area<'_>, axis: &Axis, form: Form, rows: &[Row], body: u32) -> Result<(), DrawError> {
    let mut chart = ChartBuilder::on(area)
        .margin_left(steps(LEFT))
        .margin_right(steps(RIGHT))
        .x_label_area_size(steps(AXIS_HEIGHT))
        .build_cartesian_2d(axis.clone(), f64::from(body)..0.0)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .bold_line_style(line(Ink::Grid, 4))
        .axis_style(line(Ink::Axis, 4))
        .label_style(text(Ink::Muted, TEXT - 1.0))
        .axis_desc_style(text(Ink::Muted, TEXT - 1.0))
        .x_label_formatter(&|at| axis.label(*at))
        .x_desc(axis.title.as_str())
        .set_all_tick_mark_size(i32::try_from(3 * UNIT).unwrap_or_default())
        .draw()?;
    let width = f64::from(WIDTH - LEFT - RIGHT);
    let thinnest = (axis.range.end - axis.range.start) * BAR_WIDTH_MIN / width;
    for (row, top) in rows.iter().zip((0u32..).step_by(ROW_HEIGHT as usize)) {
        draw_words(area, row, top)?;
        for (bar, order) in row.bars.iter().zip(0u32..) {
            let begin = if form == Form::Dots { axis.range.start } else { axis.at(bar.from) };
            let end = if bar.to > bar.from { axis.at(bar.to).max(begin + thinnest) } else { begin };
            let (top, height) = match form {
                Form::Beside => (top + BAR_TOP + order * (BAR_BESIDE_HEIGHT + 1), BAR_BESIDE_HEIGHT),
                _ => (top + BAR_TOP, BAR_HEIGHT),
            };
            let middle = f64::from(top) + f64::from(height) / 2.0;
            if form == Form::Dots {
                chart.draw_series([PathElement::new([(begin, middle), (end, middle)], line(Ink::Axis, 8))])?;
                chart.draw_series([Circle::new((end, middle), 6 * UNIT, bar.ink.color().filled())])?;
            } else {
                let corners = [(begin, f64::from(top)), (end, f64::from(top + height))];
                chart.draw_series([Rectangle::new(corners, bar.ink.color().filled())])?;
            }
        }
        if let Some((least, most)) = row.spread {
            let (least, most) = (axis.at(least), axis.at(most));
            let middle = f64::from(top + BAR_TOP) + f64::from(BAR_HEIGHT) / 2.0;
            let cap = |at| [(at, middle - 3.0), (at, middle + 3.0)];
            let strokes = [[(least, middle), (most, middle)], cap(least), cap(most)];
            chart.draw_series(strokes.map(|stroke| PathElement::new(stroke, line(Ink::Text, 5))))?;
        }
    }
    Ok(())
}

/// The name at the left, the figure at the right, on one line.
fn draw_words(area: &Area<'_>, row: &Row, top: u32) -> Result<(), DrawError> {
    let place = |units: u32| i32::try_from(steps(units)).unwrap_or(i32::MAX);
    let name = shortened(&row.name, LETTERS.saturating_sub(row.figure.chars().count() + 2));
    let baseline = place(top + NAME_BASELINE);
    let at_left = text(Ink::Text, TEXT).pos(Pos::new(HPos::Left, VPos::Bottom));
    area.draw(&Text::new(name, (place(LEFT), baseline), at_left))?;
    let at_right = text(Ink::Text, TEXT).pos(Pos::new(HPos::Right, VPos::Bottom));
    area.draw(&Text::new(row.figure.clone(), (place(WIDTH - RIGHT), baseline), at_right))
}

/// The text, or as much of it as so many letters hold.
fn shortened(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    text.chars().take(letters.saturating_sub(1)).chain(['\u{2026}']).collect()
}
