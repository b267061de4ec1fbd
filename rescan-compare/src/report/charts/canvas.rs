//! One drawing as inline SVG: the library's output, with classes in place of colours, and a
//! description for screen readers.

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::prelude::SVGBackend;
use plotters::style::{Color, IntoFont, ShapeStyle, TextStyle};

use super::super::escape::Html;
use super::ink::Ink;

/// Steps of the drawing to a unit. The library rounds to whole steps, which would make lines jagged
/// if they were units.
pub(in super::super) const UNIT: u32 = 4;

/// The width of every chart in units: about the pixels of a phone, where text of 12 units is
/// legible.
pub(super) const WIDTH: u32 = 360;

/// The size of text in units.
pub(super) const TEXT: f64 = 12.0;

/// The library divides the size of a text by this.
const LIBRARY_TEXT_RATIO: f64 = 1.24;

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type DrawError = DrawingAreaErrorKind<std::io::Error>;

/// The id, title and description of a drawing.
pub(super) struct Labels<'a> {
    /// Unique on the page.
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    /// The figures as text.
    pub(super) description: &'a str,
}

/// Draws into an area of [`WIDTH`] by `height` units.
pub(super) fn draw(labels: &Labels<'_>, height: u32, draw: impl Fn(&Area<'_>) -> Result<(), DrawError>) -> String {
    let mut svg = String::new();
    let size = (steps(WIDTH), steps(height));
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw(&area)
            .and_then(|()| area.present())
            .expect("a String takes all that is drawn, and there is room for each area");
    }
    let body = svg.split_once('>').map_or("", |(_, body)| body);
    let Labels { id, title, description } = labels;
    let (title, description) = (Html(title), Html(description));
    let (width, height) = size;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-labelledby=\"{id}-title {id}-words\">\
         <title id=\"{id}-title\">{title}</title><desc id=\"{id}-words\">{description}</desc>{}",
        with_classes(body)
    )
}

/// Units in steps of the drawing.
pub(super) fn steps(units: u32) -> u32 {
    units.saturating_mul(UNIT)
}

/// A line of so many quarters of a unit.
pub(super) fn line(ink: Ink, quarters: u32) -> ShapeStyle {
    ink.color().stroke_width(quarters * UNIT / 4)
}

/// Text of the usual size.
pub(super) fn text(ink: Ink, units: f64) -> TextStyle<'static> {
    ("sans-serif", units * f64::from(UNIT) * LIBRARY_TEXT_RATIO).into_font().color(&ink.color())
}

/// Puts classes in place of colours. A text cannot be mistaken for an attribute: its quotes are
/// escaped.
fn with_classes(svg: &str) -> String {
    let mut svg =
        svg.replace(" opacity=\"1\"", "").replace(" font-family=\"sans-serif\"", "").replace(" stroke=\"none\"", "");
    for ink in Ink::ALL {
        let (name, color) = (ink.name(), ink.written());
        let mark = if ink.is_data() { "mark " } else { "" };
        for part in ["fill", "stroke"] {
            svg = svg.replace(&format!("{part}=\"{color}\""), &format!("class=\"{mark}{part}-{name}\""));
        }
    }
    svg
}
