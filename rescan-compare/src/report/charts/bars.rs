//! Horizontal bars, one row a method, with name and figure above: both have room on a phone.

use plotters::chart::ChartBuilder;
use plotters::element::{Circle, PathElement, Rectangle, Text};
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::escape::printable;
use super::axis::Axis;
use super::canvas::{self, Area, DrawError, Labels, TEXT, UNIT, WIDTH, line, steps, text};
use super::ink::Ink;

/// One row.
pub(super) struct Row {
    pub(super) name: String,
    /// The bars as text.
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
    /// A stem with a dot at its end: on a logarithmic axis the position counts, since a length does
    /// not begin at 0.
    Dots,
}

// All in units, from the top of a row.
const NAME_BASELINE: u32 = 16;
const BAR_TOP: u32 = 19;
const BAR_HEIGHT: u32 = 14;
const BAR_BESIDE_HEIGHT: u32 = 8;
const ROW_HEIGHT: u32 = 44;
const AXIS_HEIGHT: u32 = 40;
const LEFT: u32 = 5;
/// A logarithmic axis begins with a label, which extends beyond it by half its width.
const LEFT_OF_DOTS: u32 = 20;
const RIGHT: u32 = 22;
const BOTTOM: u32 = 2;

/// The least width of a bar above 0, which keeps it visible.
const BAR_WIDTH_MIN: f64 = 2.0;

/// The least width of a spread that is drawn: a narrower one would hide the bar's end.
const SPREAD_WIDTH_MIN: f64 = 3.0;

/// Units between a name and its figure.
const GAP: f64 = 8.0;

/// Draws the rows from top to bottom.
pub(super) fn draw(labels: &Labels<'_>, axis: &Axis, form: Form, rows: &[Row]) -> String {
    // The table has all rows.
    let rows = rows.get(..rows.len().min(ROWS_MAX)).unwrap_or_default();
    let body = ROW_HEIGHT * u32::try_from(rows.len()).unwrap_or_default();
    canvas::draw(labels, body + AXIS_HEIGHT + BOTTOM, |area| draw_rows(area, axis, form, rows, body))
}

/// The most rows of a chart: a screen or a page shows no taller one whole.
const ROWS_MAX: usize = 24;

fn draw_rows(area: &Area<'_>, axis: &Axis, form: Form, rows: &[Row], body: u32) -> Result<(), DrawError> {
    let left = if form == Form::Dots { LEFT_OF_DOTS } else { LEFT };
    let mut chart = ChartBuilder::on(area)
        .margin_left(steps(left))
        .margin_right(steps(RIGHT))
        .margin_bottom(steps(BOTTOM))
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
    let width = f64::from(WIDTH - left - RIGHT);
    let unit = (axis.range.end - axis.range.start) / width;
    for (row, top) in rows.iter().zip((0u32..).step_by(ROW_HEIGHT as usize)) {
        draw_row_labels(area, row, left, top)?;
        for (bar, order) in row.bars.iter().zip(0u32..) {
            let begin = if form == Form::Dots { axis.range.start } else { axis.at(bar.from) };
            let end = if bar.to > bar.from { axis.at(bar.to).max(begin + unit * BAR_WIDTH_MIN) } else { begin };
            let (top, height) = match form {
                Form::Beside => (top + BAR_TOP + order * BAR_BESIDE_HEIGHT, BAR_BESIDE_HEIGHT),
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
            if most - least < unit * SPREAD_WIDTH_MIN {
                continue;
            }
            let middle = f64::from(top + BAR_TOP) + f64::from(BAR_HEIGHT) / 2.0;
            let cap = |at| [(at, middle - 3.0), (at, middle + 3.0)];
            let strokes = [[(least, middle), (most, middle)], cap(least), cap(most)];
            chart.draw_series(strokes.map(|stroke| PathElement::new(stroke, line(Ink::Text, 5))))?;
        }
    }
    Ok(())
}

/// The name at the left, the figure at the right, on one line.
fn draw_row_labels(area: &Area<'_>, row: &Row, left: u32, top: u32) -> Result<(), DrawError> {
    let place = |units: u32| i32::try_from(steps(units)).unwrap_or(i32::MAX);
    let room = f64::from(WIDTH - left - RIGHT) - GAP - TEXT * breadth(&row.figure);
    let name = shortened(&printable(&row.name), room / TEXT);
    let baseline = place(top + NAME_BASELINE);
    let at_left = text(Ink::Text, TEXT).pos(Pos::new(HPos::Left, VPos::Bottom));
    area.draw(&Text::new(name, (place(left), baseline), at_left))?;
    let at_right = text(Ink::Text, TEXT).pos(Pos::new(HPos::Right, VPos::Bottom));
    area.draw(&Text::new(row.figure.clone(), (place(WIDTH - RIGHT), baseline), at_right))
}

/// The text, shortened to this width.
fn shortened(text: &str, breadth_max: f64) -> String {
    if breadth(text) <= breadth_max {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        if breadth(&short) + 1.0 > breadth_max {
            short.pop();
            break;
        }
    }
    short + "\u{2026}"
}

/// The approximate width of a text as a multiple of its size, in DejaVu Sans, which is wider than
/// most fonts. The reader's font is unknown here, and a shortened name is better than overlapping
/// texts.
fn breadth(text: &str) -> f64 {
    let letter = |c: char| match c {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 0.34,
        ' ' | 'f' | 'r' | 't' | '(' | ')' | '-' | '/' => 0.42,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 1.0,
        'a'..='z' | '0'..='9' => 0.64,
        c if c.is_ascii() => 0.84,
        _ => 1.0,
    };
    text.chars().map(letter).sum()
}
