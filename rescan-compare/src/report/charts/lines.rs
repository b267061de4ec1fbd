//! Lines over an axis, one a method, each with its own colour and dashes.

use plotters::chart::ChartBuilder;
use plotters::element::{Circle, PathElement, Text};
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::canvas::{self, Area, DrawError, Labels, TEXT, UNIT, WIDTH, line, steps, text};
use super::ink::Ink;

/// One line.
pub(super) struct Series {
    pub(super) ink: Ink,
    pub(super) points: Vec<(u64, u64)>,
}

/// Which points of a line get a dot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dots {
    /// Each point: they are few, and nothing was measured between them.
    Each,
    /// The last point.
    Last,
}

/// A marked position on the horizontal axis.
pub(super) struct Mark {
    /// In the axis's coordinates.
    pub(super) at: f64,
    pub(super) label: String,
}

/// Both axes.
pub(super) struct Axes {
    pub(super) across: Axis,
    pub(super) up: Axis,
}

// In units.
const HEIGHT: u32 = 232;
const TOP: u32 = 24;
const RIGHT: u32 = 26;
const BOTTOM: u32 = 2;
const LEFT_AXIS: u32 = 40;
const BOTTOM_AXIS: u32 = 40;

/// Draws the lines. Solid lines lie below dashed ones and show through their gaps. The first line
/// is the one that the others are compared with, and wide enough to be visible below them.
pub(super) fn draw(labels: &Labels<'_>, axes: &Axes, dots: Dots, series: &[Series], mark: Option<&Mark>) -> String {
    canvas::draw(labels, HEIGHT, |area| draw_lines(area, axes, dots, series, mark))
}

fn draw_lines(
    area: &Area<'_>,
    axes: &Axes,
    dots: Dots,
    series: &[Series],
    mark: Option<&Mark>,
) -> Result<(), DrawError> {
    let Axes { across, up } = axes;
    let mut chart = ChartBuilder::on(area)
        .margin_top(steps(TOP))
        .margin_right(steps(RIGHT))
        .margin_bottom(steps(BOTTOM))
        .x_label_area_size(steps(BOTTOM_AXIS))
        .y_label_area_size(steps(LEFT_AXIS))
        .build_cartesian_2d(across.clone(), up.clone())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(line(Ink::Grid, 4))
        .axis_style(line(Ink::Axis, 4))
        .label_style(text(Ink::Muted, TEXT - 1.0))
        .axis_desc_style(text(Ink::Muted, TEXT - 1.0))
        .x_label_formatter(&|at| across.label(*at))
        .y_label_formatter(&|at| up.label(*at))
        .x_desc(across.title.as_str())
        .set_all_tick_mark_size(i32::try_from(3 * UNIT).unwrap_or_default())
        .draw()?;
    let unit = i32::try_from(UNIT).unwrap_or_default();
    // The library would turn it upright along the axis, where it is hard to read.
    let at_left = text(Ink::Muted, TEXT - 1.0).pos(Pos::new(HPos::Left, VPos::Top));
    area.draw(&Text::new(up.title.clone(), (2 * unit, 2 * unit), at_left))?;
    let (solid, dashed): (Vec<_>, Vec<_>) = series.iter().partition(|own| own.ink.is_solid());
    let first = series.first().map(|first| first.ink);
    for own in solid.into_iter().chain(dashed) {
        let (breadth, radius) =
            if Some(own.ink) == first { (14, 4 * UNIT + UNIT / 2) } else { (9, 3 * UNIT + UNIT / 2) };
        let places: Vec<(f64, f64)> = own.points.iter().map(|(x, y)| (across.at(*x), up.at(*y))).collect();
        let last = places.len().saturating_sub(1);
        let dotted = if dots == Dots::Each { 0 } else { last };
        let circles: Vec<(f64, f64)> = places.get(dotted..).unwrap_or_default().to_vec();
        chart.draw_series([PathElement::new(places, line(own.ink, breadth))])?;
        chart.draw_series(circles.into_iter().map(|at| Circle::new(at, radius, own.ink.color().filled())))?;
    }
    if let Some(mark) = mark {
        let ends = [(mark.at, up.range.start), (mark.at, up.range.end)];
        chart.draw_series([PathElement::new(ends, line(Ink::Note, 5))])?;
        // On the side with room.
        let half = across.range.start.midpoint(across.range.end);
        let (side, shift) = if mark.at > half { (HPos::Right, -5) } else { (HPos::Left, 5) };
        let style = text(Ink::Text, TEXT - 1.0).pos(Pos::new(side, VPos::Top));
        let (x, y) = chart.backend_coord(&(mark.at, up.range.end));
        area.draw(&Text::new(mark.label.clone(), (x.saturating_add(shift * unit), y), style))?;
    }
    Ok(())
}

/// Room for the axis and the margin beside the lines.
const _: () = assert!(WIDTH > LEFT_AXIS + RIGHT);
