//! The page: one file that fetches nothing and runs nothing.
//!
//! A policy in its head forbids both, so that even a mistake in escaping could not make it load or run what a node's name
//! says. Style and charts are within it; figures are tables, which fold into cards on a phone.

use std::fmt::{Arguments, Write};

use super::charts::{self, Chart, Ink, Key, KeyShape, Table, UNIT};
use super::circumstances::circumstances;
use super::columns::{self, COLUMNS, NOT_MEASURED};
use super::escape::Html;
use super::headline::{headline, remarks, scope};
use super::{Comparison, WayResult};

const STYLE: &str = include_str!("style.css");

/// The whole of `index.html`.
pub(super) fn page(comparison: &Comparison) -> String {
    let mut page = Page(String::with_capacity(64 * 1024));
    let headline = headline(comparison);
    page.push(format_args!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>rescan compare: {}</title>\n<style>\n{}{STYLE}</style>\n</head>\n<body>\n<main>\n",
        Html(&headline),
        charts::style_sheet(),
    ));
    page.head(comparison, &headline);
    page.ways(comparison);
    let charts = charts::charts(comparison);
    if !charts.is_empty() {
        page.push(format_args!("<section class=\"charts\" aria-label=\"Charts\">\n"));
        charts.iter().for_each(|chart| page.chart(chart));
        page.push(format_args!("</section>\n"));
    }
    page.not_measured(comparison);
    page.circumstances(comparison);
    page.push(format_args!("</main>\n</body>\n</html>\n"));
    page.0
}

/// A page as far as it is written.
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

    fn ways(&mut self, comparison: &Comparison) {
        let rows = columns::rows(comparison);
        if rows.is_empty() {
            return;
        }
        self.push(format_args!("<section>\n<h2>All ways</h2>\n<table class=\"ways\" role=\"table\">\n<thead role=\"rowgroup\"><tr role=\"row\"><th scope=\"col\" role=\"columnheader\">Way</th>"));
        for column in &COLUMNS {
            self.push(format_args!("<th scope=\"col\" role=\"columnheader\">{}</th>", column.heading));
        }
        self.push(format_args!("</tr></thead>\n<tbody role=\"rowgroup\">\n"));
        for (figures, cells) in rows {
            let (title, explanation) = (Html(&figures.way.title), Html(&figures.way.explanation));
            let key = swatch(Ink::Way(figures.way.id), KeyShape::Bar);
            self.push(format_args!(
                "<tr role=\"row\"><th scope=\"row\" role=\"rowheader\">{key}{title}<small>{explanation}</small></th>"
            ));
            for (column, cell) in COLUMNS.iter().zip(cells) {
                let cell = cell.unwrap_or_else(|| NOT_MEASURED.to_owned());
                self.push(format_args!("<td role=\"cell\" data-name=\"{}\">{}</td>", column.heading, Html(cell)));
            }
            self.push(format_args!("</tr>\n"));
        }
        self.push(format_args!("</tbody>\n</table>\n<p class=\"note\">Figures are medians. {NOT_MEASURED} stands for what was not measured; see below.</p>\n</section>\n"));
    }

    fn chart(&mut self, chart: &Chart) {
        let Chart { id, title, says, legend, svg, table } = chart;
        self.push(format_args!(
            "<figure id=\"{id}\">\n<figcaption><h2>{title}</h2><p>{}</p></figcaption>\n",
            Html(says)
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
            .ways
            .iter()
            .filter_map(|way| match &way.result {
                WayResult::LeftOut(reason) => Some((way, reason)),
                WayResult::Measured(_) => None,
            })
            .collect();
        if left_out.is_empty() && comparison.not_measured.is_empty() {
            return;
        }
        self.push(format_args!("<section>\n<h2>What was not measured</h2>\n<ul class=\"gaps\">\n"));
        for (way, reason) in left_out {
            self.push(format_args!("<li><b>{}</b> was left out: {}</li>\n", Html(&way.title), Html(reason)));
        }
        for reason in &comparison.not_measured {
            self.push(format_args!("<li>{}</li>\n", Html(reason)));
        }
        self.push(format_args!("</ul>\n</section>\n"));
    }

    fn circumstances(&mut self, comparison: &Comparison) {
        self.push(format_args!("<section>\n<h2>Where and how</h2>\n<dl>\n"));
        for (name, text) in circumstances(comparison) {
            self.push(format_args!("<div><dt>{name}</dt><dd>{}</dd></div>\n", Html(text)));
        }
        let command = Html(&comparison.command);
        self.push(format_args!("<div><dt>Command</dt><dd><code>{command}</code></dd></div>\n</dl>\n"));
        self.push(format_args!("<p class=\"note\">report.json, beside this page, has every run.</p>\n</section>\n"));
    }
}

/// A small piece of what a chart draws.
fn swatch(ink: Ink, shape: KeyShape) -> String {
    let (wide, high) = (28 * UNIT, 12 * UNIT);
    let name = ink.name();
    let drawn = match shape {
        KeyShape::Bar => format!("<rect class=\"fill-{name}\" width=\"{}\" height=\"{high}\"/>", 12 * UNIT),
        KeyShape::Line => format!(
            "<line class=\"stroke-{name}\" stroke-width=\"{}\" x1=\"0\" x2=\"{wide}\" y1=\"{middle}\" y2=\"{middle}\"/>",
            3 * UNIT,
            middle = high / 2
        ),
    };
    let wide = if shape == KeyShape::Bar { 12 * UNIT } else { wide };
    format!("<svg class=\"swatch {}\" viewBox=\"0 0 {wide} {high}\" aria-hidden=\"true\">{drawn}</svg>", class(shape))
}

fn class(shape: KeyShape) -> &'static str {
    match shape {
        KeyShape::Bar => "bar",
        KeyShape::Line => "line",
    }
}
