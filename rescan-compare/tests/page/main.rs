//! The page of a report in a real browser: it loads without a complaint, shows all its data, and
//! fits its window.
//!
//! Without Chromium, this reports a skip and passes, unless `RESCAN_REQUIRE_BROWSER=1`. Pictures of
//! the page are written to `$RESCAN_ARTIFACTS`, or else to `report-page` in the target directory.
#![expect(clippy::unwrap_used, reason = "tests")]

mod browser;
#[expect(dead_code, reason = "some examples are for the unit tests alone")]
#[path = "../../src/report/tests/example.rs"]
mod example;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use rescan_compare::report::{self, WrittenReport};
use rescan_compare::{Comparison, Method, MethodResult};
use serde_json::{Value, json};

use browser::Browser;

/// Widths of windows, in CSS pixels: a small phone, a tablet, where the table unfolds, a usual
/// window, a wide one.
const WIDTHS: [u32; 7] = [320, 360, 768, 1_152, 1_160, 1_200, 1_920];

/// A4 without its margins, in CSS pixels.
const PAPER_WIDTH: u32 = 688;

/// Elements beyond the edge of the page or of their drawing, and overlapping texts of a drawing.
const MISFITS: &str = include_str!("misfits.js");

/// Each chart's name, its visible marks, and the points of its lines.
const MARKS: &str = include_str!("marks.js");

/// The browser, unless there is none and none is required.
fn browser() -> Option<Browser> {
    let found = browser::find();
    if found.is_none() {
        assert!(std::env::var_os("RESCAN_REQUIRE_BROWSER").is_none_or(|value| value != "1"), "there is no Chromium");
        // Past the capture of the test harness.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "skipped: there is no Chromium on the PATH, so the page was not tested").unwrap();
    }
    found.map(|program| Browser::launch(&program))
}

fn written(comparison: &Comparison, folder: &Path) -> WrittenReport {
    report::write(comparison, folder).unwrap()
}

/// The folder for pictures.
fn artifacts() -> PathBuf {
    let named = std::env::var_os("RESCAN_ARTIFACTS").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("report-page"));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn assert_fits(browser: &mut Browser, subject: &str) {
    for width in WIDTHS {
        browser.show(width, "light");
        // Also unfolded: no details may break the page.
        for open in [false, true] {
            browser.evaluate(&format!("document.querySelectorAll('details').forEach(it => it.open = {open})"));
            assert_eq!(browser.evaluate(MISFITS), json!([]), "{subject}, {width} pixels wide, details open: {open}");
        }
        browser.evaluate("document.querySelectorAll('details').forEach(it => it.open = false)");
    }
    browser.show_on_paper(PAPER_WIDTH, "light");
    assert_eq!(browser.evaluate(MISFITS), json!([]), "{subject} on paper");
    let cut = "[...document.querySelectorAll('figure, tr')].filter(it => getComputedStyle(it).breakInside !== 'avoid').length";
    assert_eq!(browser.evaluate(cut), json!(0), "{subject} has charts or rows that a page may cut");
}

fn assert_no_complaint(browser: &Browser, address: &str) {
    assert_eq!(browser.complaints(address), [] as [&str; 0]);
}

#[test]
fn a_full_report_loads_shows_all_its_data_and_fits_every_window() {
    let Some(mut browser) = browser() else { return };
    let directory = tempfile::tempdir().unwrap();
    let report = written(&example::full(), directory.path());
    let address = browser.open(&report.page);
    assert_no_complaint(&browser, &address);
    let shares = 2 * example::SHARES.len();
    let points = example::PROGRESS_POINTS;
    // Two of the methods wait.
    let cpu = 14;
    let lines = |count: usize, points: usize| vec![points; count];
    let expected: Value = json!({
        "time": { "marks": 6, "points": [], "rows": 6 },
        "bytes": { "marks": 6, "points": [], "rows": 6 },
        "cpu": { "marks": cpu, "points": [], "rows": 6 },
        "memory": { "marks": 12, "points": [], "rows": 6 },
        "bytes-over-blocks": { "marks": 6, "points": vec![points; 6], "rows": 66 },
        "time-over-matches": { "marks": shares, "points": lines(2, shares / 2), "rows": shares },
        "bytes-over-matches": { "marks": shares, "points": lines(2, shares / 2), "rows": shares },
    });
    assert_eq!(browser.evaluate(MARKS), expected);
    assert_fits(&mut browser, "the full report");
    assert_no_complaint(&browser, &address);
    for (name, width, scheme) in [
        ("light", 1_200, "light"),
        ("dark", 1_200, "dark"),
        ("tablet", 768, "light"),
        ("phone", 360, "light"),
        ("phone-dark", 360, "dark"),
    ] {
        browser.show(width, scheme);
        fs::write(artifacts().join(format!("{name}.png")), browser.screenshot()).unwrap();
    }
    let pdf = browser.pdf();
    assert!(pdf.starts_with(b"%PDF-"));
    fs::write(artifacts().join("print.pdf"), pdf).unwrap();
}

#[test]
fn a_scant_report_loads_and_fits_every_window() {
    let Some(mut browser) = browser() else { return };
    let directory = tempfile::tempdir().unwrap();
    let report = written(&example::scant(), directory.path());
    let address = browser.open(&report.page);
    assert_no_complaint(&browser, &address);
    let expected =
        json!({ "time": { "marks": 4, "points": [], "rows": 4 }, "bytes": { "marks": 4, "points": [], "rows": 4 } });
    assert_eq!(browser.evaluate(MARKS), expected);
    assert_fits(&mut browser, "the scant report");
    browser.show(1_200, "light");
    fs::write(artifacts().join("scant.png"), browser.screenshot()).unwrap();
}

#[test]
fn light_and_dark_differ_in_every_colour_and_only_light_is_printed() {
    let Some(mut browser) = browser() else { return };
    let directory = tempfile::tempdir().unwrap();
    let report = written(&example::full(), directory.path());
    browser.open(&report.page);
    let colours = |browser: &mut Browser| {
        let of = |element: &str| format!("getComputedStyle({element}).");
        let ground = browser.evaluate(&(of("document.body") + "backgroundColor"));
        let word = browser.evaluate(&(of("document.querySelector('figure svg text')") + "fill"));
        let mark = browser.evaluate(&(of("document.querySelector('#time .mark')") + "fill"));
        [ground, word, mark]
    };
    browser.show(1_200, "light");
    let light = colours(&mut browser);
    browser.show(1_200, "dark");
    let dark = colours(&mut browser);
    browser.show_on_paper(PAPER_WIDTH, "dark");
    assert_eq!(light[0], "rgb(255, 255, 255)");
    assert!(light.iter().zip(&dark).all(|(light, dark)| light != dark), "{light:?} {dark:?}");
    assert_eq!(colours(&mut browser), light);
}

#[test]
fn text_from_outside_stays_text() {
    let Some(mut browser) = browser() else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut comparison = example::full();
    let hostile = "\"><img src=x onerror=alert(1)><script>alert(2)</script></svg></title></style>\u{0}".to_owned();
    for report in &mut comparison.methods {
        (report.title, report.explanation) = (hostile.clone(), hostile.clone());
    }
    comparison.methods[5].result = MethodResult::LeftOut(hostile.clone());
    comparison.not_measured.push(hostile.clone());
    comparison.machine.processor.clone_from(&hostile);
    comparison.server.node = Some(hostile.clone());
    comparison.command = hostile;
    let report = written(&comparison, directory.path());
    let address = browser.open(&report.page);
    assert_no_complaint(&browser, &address);
    assert_eq!(browser.evaluate("document.querySelectorAll('script, img').length"), json!(0));
    assert_fits(&mut browser, "the hostile report");
}
