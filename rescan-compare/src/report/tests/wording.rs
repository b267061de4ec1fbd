//! The headline, its remarks, and the Markdown.

use super::super::headline::remarks;
use super::super::{headline, markdown};
use super::example::{full, scant, with_times};
use super::{Comparison, Method, MethodResult};

fn left_out(comparison: &mut Comparison, method: Method) {
    for report in &mut comparison.methods {
        if report.method == method {
            report.result = MethodResult::LeftOut("a <b>reason</b>".to_owned());
        }
    }
}

fn set_bytes(comparison: &mut Comparison, report: usize, received: u64) {
    let MethodResult::Measured(runs) = &mut comparison.methods[report].result else { panic!("it is measured") };
    for run in runs {
        (run.received_bytes, run.sent_bytes) = (received, 0);
    }
}

#[test]
fn the_headline_is_a_ratio_of_medians() {
    let says = "Asking the server for summaries was 23 times as fast as shipping blocks and decoding them, with 240,000 times \
                fewer bytes.";
    assert_eq!(headline(&full()), says);
    // A run that was disturbed moves no median.
    assert!(headline(&with_times(&[94, 90, 40_000], &[2_164, 2_000, 2_200])).contains("about as long as"));
    assert!(headline(&with_times(&[94, 90, 1_900], &[2_164, 2_000, 2_200])).contains("was 23 times as fast as"));
}

#[test]
fn the_headline_says_as_plainly_that_it_was_slower() {
    let slower = with_times(&[3_000], &[2_000]);
    let says = "Asking the server for summaries took 1.5 times as long as shipping blocks and decoding them, with 240,000 times \
                fewer bytes.";
    assert_eq!(headline(&slower), says);
}

#[test]
fn the_headline_names_no_winner_where_there_is_none() {
    assert!(headline(&with_times(&[2_000], &[2_040])).contains(" took as long as shipping"));
    assert!(headline(&with_times(&[2_040], &[2_000])).contains(" took as long as shipping"));
    let apart_by_medians_only = with_times(&[1_000, 1_000, 3_000], &[2_000, 2_000, 2_000]);
    assert!(
        headline(&apart_by_medians_only)
            .contains(" took about as long as shipping blocks and decoding them: 1.00 s against 2.00 s,")
    );
    assert!(remarks(&apart_by_medians_only)[0].contains("more runs may tell them apart"));
}

#[test]
fn the_headline_counts_bytes_in_either_direction() {
    let mut comparison = full();
    set_bytes(&mut comparison, 0, 3_000);
    set_bytes(&mut comparison, 2, 1_000);
    assert!(headline(&comparison).ends_with(", with 3.0 times more bytes."));
    set_bytes(&mut comparison, 2, 3_000);
    assert!(headline(&comparison).ends_with(", with as many bytes."));
    set_bytes(&mut comparison, 0, 0);
    assert!(headline(&comparison).ends_with("decoding them."));
}

#[test]
fn the_headline_compares_with_the_next_method_when_one_is_left_out() {
    let mut comparison = full();
    left_out(&mut comparison, Method::BlocksDecoded);
    assert!(headline(&comparison).contains("4.3 times as fast as shipping blocks and matching them in the wallet"));
    for id in [Method::BlocksMatched, Method::NodeGetBlock, Method::RequestPerBlock, Method::NodeScanBlocks] {
        left_out(&mut comparison, id);
    }
    assert_eq!(headline(&comparison), "Asking the server for summaries took 94 ms; nothing else was measured.");
    assert!(remarks(&comparison).contains(&"5 methods were left out; the reasons are below.".to_owned()));
    left_out(&mut comparison, Method::Summaries);
    assert!(headline(&comparison).starts_with("Asking the server for summaries was left out"));
    comparison.methods.clear();
    assert_eq!(headline(&comparison), "Nothing was measured.");
}

#[test]
fn times_too_short_to_measure_are_no_division_by_nothing() {
    assert!(
        headline(&with_times(&[0], &[5]))
            .contains("took no time that could be measured, and shipping blocks and decoding them 5.00 ms")
    );
    assert!(headline(&with_times(&[5], &[0])).contains("took 5.00 ms, and shipping"));
    assert!(headline(&with_times(&[0], &[0])).contains("about as long as"));
}

#[test]
fn one_run_and_a_wallet_without_history_are_pointed_out() {
    let remarks = remarks(&scant());
    assert!(remarks[0].contains("was run once"), "{remarks:?}");
    assert!(remarks[1].contains("Nothing matched"), "{remarks:?}");
    assert!(remarks[2].starts_with("2 methods were left out"), "{remarks:?}");
    assert!(super::super::headline::remarks(&full()).is_empty());
}

#[test]
fn markdown_has_the_finding_the_table_and_all_that_a_sceptic_asks() {
    let text = markdown(&full());
    for says in [
        "**Asking the server for summaries was 23 times as fast as",
        "\n| Method | Time | Least to most | Times the first |",
        "\n| blocks, decoded by the wallet | 2.16 s | 2.13 s to 2.25 s | 23 | 0.24 s | 2.09 s | 0.29 s | 0 s | 1.08 GB | 576 B |",
        "\n- Machine: AMD EPYC 9R14, 2 cores, 16.4 GB of memory, Linux 6.1.0-31-amd64",
        "\n- Blocks: 878,001 to 878,588: 588 blocks, 1.08 GB",
        "\n- Runs: 3 a method; figures are medians",
        "\n- Cache: warm",
        "\n- Cold files: ",
        "\nMade by `rescan compare --socket /run/rescan/rescan.sock --report report`",
    ] {
        assert!(text.contains(says), "{says:?} is not in\n{text}");
    }
    let table: Vec<_> = text.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(table.len(), 8);
    assert!(table.iter().all(|line| line.matches('|').count() == 14), "{table:#?}");
}

#[test]
fn markdown_shows_a_dash_for_a_missing_figure_and_its_reason() {
    let text = markdown(&scant());
    assert!(text.contains("| summaries | 97 ms | one run | 1 | no match | \u{2013} | \u{2013} | \u{2013} |"), "{text}");
    assert!(text.contains("\nLeft out:\n\n- the node's scanblocks: no RPC of a node was given"), "{text}");
}

#[test]
fn markdown_keeps_text_from_outside_in_its_cell() {
    let mut comparison = full();
    comparison.methods[1].title = "a | b\n| c <script>".to_owned();
    comparison.command = "rescan `compare`".to_owned();
    left_out(&mut comparison, Method::BlocksDecoded);
    let text = markdown(&comparison);
    assert!(text.contains("\n| a \\| b \\| c &lt;script&gt; | 0.40 s |"), "{text}");
    assert!(text.contains("\n- blocks, decoded by the wallet: a &lt;b&gt;reason&lt;/b&gt;\n"), "{text}");
    assert!(text.ends_with("Made by `` rescan `compare` ``\n"), "{text}");
}
