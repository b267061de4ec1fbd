//! The page: one file that fetches nothing and runs nothing.
//!
//! A content security policy in its head forbids both, even if a defect in escaping let a node's
//! name through. Style and charts are inline. The figures are tables, which become cards on a
//! phone.

use std::fmt::{Arguments, Write};

use super::charts::{self, Chart, Ink, Key, KeyShape, Table, UNIT, Width};
use super::circumstances::circumstances;
use super::columns::{self, COLUMNS, NOT_MEASURED};
use super::escape::Html;
use super::headline::{headline, remarks, scope};
use super::{Comparison, MethodResult};

const STYLE: &str = include_str!("style.css");

/// Up to the title. With an empty icon, a browser requests none.
const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
"#;

/// Up to the headings of the table of all methods. A narrow screen lays it out as cards, which
/// removes its meaning as a table for screen readers; the roles restore it.
const METHODS: &str = r#"<section>
<h2>All methods</h2>
<div class="scroll"><table class="methods" role="table">
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Method</th>"#;

/// The whole of `index.html`.
pub(super) fn page(comparison: &Comparison) -> String {
    let mut page = Page(String::with_capacity(64 * 1024));
    let headline = headline(comparison);
    page.push(format_args!("{HEAD}<title>rescan compare: {}</title>\n", Html(&headline)));
    page.push(format_args!("<style>\n{}{STYLE}</style>\n</head>\n<body>\n<main>\n", charts::style_sheet()));
    page.head(comparison, &headline);
    page.methods(comparison);
    let charts = charts::charts(comparison);
    if !charts.is_empty() {
        page.push(format_args!("<section class=\"charts\" aria-label=\"Charts\">\n"));
        charts.iter().for_each(|chart| page.chart(chart));
        page.push(format_args!("</section>\n"));
    }
    page.explanations(comparison);
    page.not_measured(comparison);
    page.circumstances(comparison);
    page.push(format_args!("</main>\n</body>\n</html>\n"));
    page.0
}

/// A page under construction.
struct Page(String);

impl Page {
    fn push(&mut self, text: Arguments<'_>) {
        self.0.write_fmt(text).expect("a String takes all that is written");
    }

    fn head(&mut self, comparison: &Comparison, headline: &str) {
        self.push(format_args!("<header>\n<p class=\"kicker\">rescan compare</p>\n<h1>{}</h1>\n", Html(headline)));
        self.push(format_args!("<p class=\"scope\">{}</p>\n", Html(scope(comparison))));
        for remark in remarks(comparison) {
            self.push(format_args!("<p class=\"remark\">{}</p>\n", Html(remark)));
        }
        self.push(format_args!("</header>\n"));
    }

    fn methods(&mut self, comparison: &Comparison) {
        let rows = columns::rows(comparison);
        if rows.is_empty() {
            return;
        }
        self.push(format_args!("{METHODS}"));
        for column in &COLUMNS {
            self.push(format_args!("<th scope=\"col\" role=\"columnheader\">{}</th>", column.heading));
        }
        self.push(format_args!("</tr></thead>\n<tbody role=\"rowgroup\">\n"));
        let gaps = rows.iter().any(|(_, cells)| cells.contains(&None));
        for (figures, cells) in rows {
            let title = Html(&figures.report.title);
            let key = swatch(Ink::Method(figures.report.method), KeyShape::Bar);
            self.push(format_args!("<tr role=\"row\"><th scope=\"row\" role=\"rowheader\">{key}{title}</th>"));
            for (column, cell) in COLUMNS.iter().zip(cells) {
                let cell = cell.unwrap_or_else(|| NOT_MEASURED.to_owned());
                self.push(format_args!("<td role=\"cell\" data-name=\"{}\">{}</td>", column.heading, Html(cell)));
            }
            self.push(format_args!("</tr>\n"));
        }
        self.push(format_args!("</tbody>\n</table></div>\n<p class=\"note\">Figures are medians."));
        if gaps {
            let why = if comparison.not_measured.is_empty() { "" } else { "; the reasons are below" };
            self.push(format_args!(" {NOT_MEASURED} stands for a missing figure{why}."));
        }
        self.push(format_args!("</p>\n</section>\n"));
    }

    /// The methods.
    fn explanations(&mut self, comparison: &Comparison) {
        if comparison.methods.is_empty() {
            return;
        }
        self.push(format_args!("<section>\n<h2>The methods</h2>\n<dl class=\"explanations\">\n"));
        for report in &comparison.methods {
            let key = swatch(Ink::Method(report.method), KeyShape::Bar);
            let (title, explanation) = (Html(&report.title), Html(&report.explanation));
            self.push(format_args!("<div><dt>{key}{title}</dt><dd>{explanation}</dd></div>\n"));
        }
        self.push(format_args!("</dl>\n</section>\n"));
    }

    fn chart(&mut self, chart: &Chart) {
        let Chart { id, title, width, caption, legend, svg, table } = chart;
        let class = if *width == Width::Whole { " class=\"whole\"" } else { "" };
        self.push(format_args!(
            "<figure id=\"{id}\"{class}>\n<figcaption><h2>{title}</h2><p>{}</p></figcaption>\n",
            Html(caption)
        ));
        if !legend.is_empty() {
            self.push(format_args!("<ul class=\"legend\">"));
            for Key { ink, shape, name } in legend {
                self.push(format_args!("<li>{}{}</li>", swatch(*ink, *shape), Html(name)));
            }
            self.push(format_args!("</ul>\n"));
        }
        self.push(format_args!("{svg}<details><summary>These figures as text</summary>\n"));
        self.table(table);
        self.push(format_args!("</details>\n</figure>\n"));
    }

    fn table(&mut self, table: &Table) {
        self.push(format_args!("<table class=\"figures\"><thead><tr>"));
        table.head.iter().for_each(|cell| self.push(format_args!("<th scope=\"col\">{}</th>", Html(cell))));
        self.push(format_args!("</tr></thead><tbody>\n"));
        for row in &table.rows {
            self.push(format_args!("<tr>"));
            row.iter().for_each(|cell| self.push(format_args!("<td>{}</td>", Html(cell))));
            self.push(format_args!("</tr>\n"));
        }
        self.push(format_args!("</tbody></table>"));
        if let Some(note) = &table.note {
            self.push(format_args!("<p class=\"note\">{}</p>", Html(note)));
        }
    }

    fn not_measured(&mut self, comparison: &Comparison) {
        let left_out: Vec<_> = comparison
            .methods
            .iter()
            .filter_map(|report| match &report.result {
                MethodResult::LeftOut(reason) => Some((report, reason)),
                MethodResult::Measured(_) => None,
            })
            .collect();
        if left_out.is_empty() && comparison.not_measured.is_empty() {
            return;
        }
        self.push(format_args!("<section>\n<h2>Not measured</h2>\n<ul class=\"gaps\">\n"));
        for (report, reason) in left_out {
            self.push(format_args!("<li><b>{}</b> was left out: {}</li>\n", Html(&report.title), Html(reason)));
        }
        for reason in &comparison.not_measured {
            self.push(format_args!("<li>{}</li>\n", Html(reason)));
        }
        self.push(format_args!("</ul>\n</section>\n"));
    }

    fn circumstances(&mut self, comparison: &Comparison) {
        self.push(format_args!("<section>\n<h2>Circumstances</h2>\n<dl>\n"));
        for (name, text) in circumstances(comparison) {
            self.push(format_args!("<div><dt>{name}</dt><dd>{}</dd></div>\n", Html(text)));
        }
        let command = Html(&comparison.command);
        self.push(format_args!("<div><dt>Command</dt><dd><code>{command}</code></dd></div>\n</dl>\n"));
        self.push(format_args!("<p class=\"note\">report.json, beside this page, has every run.</p>\n</section>\n"));
    }
}

/// A sample of a chart's ink.
fn swatch(ink: Ink, shape: KeyShape) -> String {
    let (name, high) = (ink.name(), 12 * UNIT);
    let (class, wide, drawn) = match shape {
        KeyShape::Bar => ("bar", high, format!("<rect class=\"fill-{name}\" width=\"{high}\" height=\"{high}\"/>")),
        KeyShape::Line => {
            let (wide, middle, breadth) = (28 * UNIT, high / 2, 3 * UNIT);
            let place = format!("x1=\"0\" x2=\"{wide}\" y1=\"{middle}\" y2=\"{middle}\"");
            ("line", wide, format!("<line class=\"stroke-{name}\" stroke-width=\"{breadth}\" {place}/>"))
        }
    };
    format!("<svg class=\"swatch {class}\" viewBox=\"0 0 {wide} {high}\" aria-hidden=\"true\">{drawn}</svg>")
}
