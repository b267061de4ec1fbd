//! The marks of charts: one for each figure, in distinct colours, with descriptions.

use roxmltree::{Document, Node};

use super::super::charts::{Ink, charts};
use super::super::crossover::Crossover;
use super::super::page::page;
use super::any::as_xml;
use super::example::{self, full, scant};
use super::{Comparison, CurvePoint, CurveRun, Method};

/// The result of `count` on the drawing of a chart.
fn drawing<T>(comparison: &Comparison, id: &str, count: impl Fn(Node<'_, '_>) -> T) -> T {
    let charts = charts(comparison);
    let chart = charts.iter().find(|chart| chart.id == id).unwrap_or_else(|| panic!("there is a chart {id}"));
    count(Document::parse(&chart.svg).unwrap().root_element())
}

fn marks(svg: Node<'_, '_>, element: &str) -> usize {
    let is_mark = |node: &Node<'_, '_>| node.attribute("class").is_some_and(|class| class.contains("mark "));
    svg.descendants().filter(|node| node.has_tag_name(element) && is_mark(node)).count()
}

#[test]
fn every_figure_has_its_mark() {
    let full = full();
    assert_eq!(drawing(&full, "time", |svg| marks(svg, "rect")), 6);
    assert_eq!(drawing(&full, "bytes", |svg| marks(svg, "circle")), 6);
    // Two of the methods wait.
    assert_eq!(drawing(&full, "cpu", |svg| marks(svg, "rect")), 14);
    assert_eq!(drawing(&full, "memory", |svg| marks(svg, "rect")), 12);
    for id in ["time-over-matches", "bytes-over-matches"] {
        assert_eq!(drawing(&full, id, |svg| marks(svg, "circle")), 2 * example::SHARES.len());
    }
    let points = |svg: Node<'_, '_>| -> Vec<usize> {
        let lines = svg.descendants().filter(|node| {
            node.has_tag_name("polyline") && node.attribute("class").is_some_and(|class| class.contains("mark "))
        });
        lines.map(|line| line.attribute("points").unwrap().split_whitespace().count()).collect()
    };
    assert_eq!(drawing(&full, "bytes-over-blocks", points), [example::PROGRESS_POINTS as usize; 6]);
}

#[test]
fn charts_without_figures_are_not_there() {
    let ids: Vec<_> = charts(&scant()).iter().map(|chart| chart.id).collect();
    assert_eq!(ids, ["time", "bytes"]);
    let mut empty = full();
    (empty.methods, empty.curve) = (Vec::new(), Vec::new());
    assert!(charts(&empty).is_empty());
}

#[test]
fn every_drawing_has_a_description_and_a_table() {
    for chart in charts(&full()) {
        let document = Document::parse(&chart.svg).unwrap();
        let svg = document.root_element();
        assert_eq!(svg.attribute("role"), Some("img"));
        for id in svg.attribute("aria-labelledby").unwrap().split(' ') {
            let labels = svg.children().find(|node| node.attribute("id") == Some(id)).unwrap();
            assert!(labels.text().is_some_and(|text| text.len() > 3), "{id} is empty");
        }
        assert!(!chart.table.rows.is_empty() && chart.table.rows.iter().all(|row| row.len() == chart.table.head.len()));
    }
}

#[test]
fn every_colour_of_a_drawing_became_a_class() {
    for chart in charts(&full()) {
        assert!(!chart.svg.contains("=\"#"), "{} has a plain colour", chart.id);
    }
}

#[test]
fn names_on_the_page_are_unique() {
    let page = as_xml(&page(&full()));
    let document = Document::parse(&page).unwrap();
    let mut ids: Vec<_> = document.descendants().filter_map(|node| node.attribute("id")).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), all), (21, 21));
}

fn crossover(gaps: &[(u32, u64, u64)]) -> Crossover {
    let mut comparison = full();
    let run = |method, wall_us| CurveRun { method, wall_us, received_bytes: 0 };
    let point = |(matching_per_mille, ours, theirs): &(u32, u64, u64)| CurvePoint {
        matching_per_mille: *matching_per_mille,
        matching_blocks: 0,
        methods: vec![run(Method::Summaries, *ours), run(Method::BlocksMatched, *theirs)],
    };
    comparison.curve = gaps.iter().map(point).collect();
    Crossover::of(&comparison, Method::Summaries, Method::BlocksMatched, |run| run.wall_us)
}

#[test]
fn curves_cross_where_the_lines_between_their_points_do() {
    assert_eq!(crossover(&[(0, 10, 50), (500, 30, 50), (1_000, 70, 50)]), Crossover::At(750.0));
    assert_eq!(crossover(&[(0, 60, 50), (1_000, 40, 50)]), Crossover::At(500.0));
    // They touch, and part on the other side.
    assert_eq!(crossover(&[(0, 10, 50), (500, 50, 50), (1_000, 70, 50)]), Crossover::At(500.0));
    assert_eq!(crossover(&[(0, 0, u64::MAX), (1_000, u64::MAX, 0)]), Crossover::At(500.0));
}

#[test]
fn curves_that_do_not_cross_have_no_crossing() {
    assert_eq!(crossover(&[(0, 10, 50), (500, 50, 50), (1_000, 40, 50)]), Crossover::FirstAhead);
    assert_eq!(crossover(&[(0, 50, 50), (1_000, 50, 50)]), Crossover::FirstAhead);
    assert_eq!(crossover(&[(0, 50, 50), (1_000, 60, 50)]), Crossover::SecondAhead);
    assert_eq!(crossover(&[(0, 10, 50)]), Crossover::Unknown);
    assert_eq!(crossover(&[]), Crossover::Unknown);
}

/// Colours as physics has them: parts of full light, red, green and blue.
type Light = [f64; 3];

fn light((red, green, blue): (u8, u8, u8)) -> Light {
    [red, green, blue].map(|value| {
        let part = f64::from(value) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    })
}

fn product(matrix: [Light; 3], [x, y, z]: Light) -> Light {
    matrix.map(|[a, b, c]| a * x + b * y + c * z)
}

/// Full colour vision, and the lack of each cone as Machado, Oliveira and Fernandes modelled it
/// (2009, severity 1.0).
const EYES: [(&str, [Light; 3]); 4] = [
    ("all cones", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    ("no red", [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    ("no green", [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    ("no blue", [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
];

/// Ottosson's Oklab, in which the distance of two colours is how different they look; black and
/// white are 1 apart.
fn seen(light: Light) -> Light {
    let cones = product(
        [[0.4122215, 0.5363325, 0.0514460], [0.2119035, 0.6806995, 0.1073970], [0.0883025, 0.2817188, 0.6299787]],
        light.map(|part| part.max(0.0)),
    );
    let signals = cones.map(f64::cbrt);
    product(
        [[0.2104543, 0.7936178, -0.0040720], [1.9779985, -2.4285922, 0.4505937], [0.0259040, 0.7827718, -0.8086758]],
        signals,
    )
}

fn distance(a: Light, b: Light) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// The contrast ratio of WCAG 2.
fn contrast(a: Light, b: Light) -> f64 {
    let luminance = |[red, green, blue]: Light| 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
    let (a, b) = (luminance(a), luminance(b));
    a.max(b) / a.min(b)
}

/// The panels behind every ink, light and dark.
const PANELS: [(u8, u8, u8); 2] = [(0xf6, 0xf7, 0xf9), (0x1c, 0x20, 0x26)];

#[test]
fn colours_are_distinct_for_every_kind_of_colour_vision() {
    let methods: Vec<Ink> = Ink::ALL.into_iter().filter(|ink| matches!(ink, Ink::Method(_))).collect();
    let sides = [Ink::Wallet, Ink::Server, Ink::Waiting];
    for (eyes, matrix) in EYES {
        for ground in 0..2 {
            for (at, one) in methods.iter().enumerate() {
                for other in &methods[at + 1..] {
                    let [one_seen, other_seen] =
                        [one, other].map(|ink| seen(product(matrix, light(ink.tones()[ground]))));
                    let apart = distance(one_seen, other_seen);
                    assert!(apart > 0.1, "{} and {} are {apart:.3} apart with {eyes}", one.name(), other.name());
                }
            }
            let [wallet, server, waiting] = sides.map(|ink| seen(product(matrix, light(ink.tones()[ground]))));
            assert!(distance(wallet, server) > 0.25);
            let apart = distance(wallet, waiting).min(distance(server, waiting));
            assert!(apart > 0.1, "waiting is {apart:.3} apart with {eyes}");
        }
    }
}

#[test]
fn everything_stands_out_from_its_ground() {
    for ink in Ink::ALL {
        // Bars and lines need 3, words 4.5; the mesh may be faint.
        let needed = match ink {
            Ink::Grid | Ink::Axis => continue,
            Ink::Text | Ink::Muted => 4.5,
            _ => 3.0,
        };
        for (tone, panel) in ink.tones().into_iter().zip(PANELS) {
            let found = contrast(light(tone), light(panel));
            assert!(found >= needed, "{} has a contrast of {found:.1}", ink.name());
        }
    }
}
