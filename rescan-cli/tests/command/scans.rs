//! One scan: its lines, their order, and its end.

use std::io::{BufRead, BufReader};

use rescan_client::position::Height;
use rescan_client::report::Ending;
use rescan_client::report::{Failure, FailureKind, FailurePlace, Outcome, Refusal, RefusalReason};

use super::{assert_error, code, ends, interrupt, scripted, spend_report, steps, text};
use rescan_tests::fake::Step;
use rescan_tests::fake::complete;

#[test]
fn json_is_a_line_a_transaction_and_the_summary_last() {
    let (_dir, _fake, mut command) =
        scripted(steps(vec![Step::Reports(vec![spend_report(1), spend_report(4)]), complete()]), &["--json"]);
    let output = command.output().unwrap();
    assert_eq!((code(&output), text(&output.stderr)), (0, String::new()));
    let stdout = text(&output.stdout);
    let lines: Vec<serde_json::Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<_> = lines.iter().map(|line| (line["type"].as_str().unwrap(), line["height"].as_u64())).collect();
    assert_eq!(found, [("transaction", Some(1)), ("transaction", Some(4)), ("summary", None)]);
    assert_eq!(lines[2]["outcome"], "complete");
    assert!(lines[2]["bytes_received"].as_u64().unwrap() > 100);
}

#[test]
fn a_streamed_report_is_printed_before_the_scan_has_ended() {
    let script = steps(vec![Step::Reports(vec![spend_report(1)]), Step::UntilCancelled, ends(Outcome::Cancelled)]);
    let (_dir, _fake, mut command) = scripted(script, &["--json", "--stream"]);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The server continues only when cancelled, so this line came before the end.
    assert!(lines.next().unwrap().unwrap().contains(r#""height":1"#));
    interrupt(&child);
    assert!(lines.next().unwrap().unwrap().contains(r#""outcome":"cancelled""#));
    assert!(lines.next().is_none());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn ctrl_c_prints_all_reports_and_the_summary() {
    let script = steps(vec![
        Step::Reports(vec![spend_report(1)]),
        Step::Reached,
        Step::UntilCancelled,
        Step::Reports(vec![spend_report(2)]),
        ends(Outcome::Cancelled),
    ]);
    let (_dir, fake, mut command) = scripted(script, &["--json"]);
    let child = command.spawn().unwrap();
    fake.reached.blocking_recv().unwrap();
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 130, "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().count(), 3);
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_the_server() {
    // The server receives the cancellation, and never ends the scan.
    let (_dir, fake, mut command) =
        scripted(steps(vec![Step::UntilCancelled, Step::Reached, Step::UntilCancelled]), &["--json"]);
    let child = command.spawn().unwrap();
    fake.scan_begun.blocking_recv().unwrap();
    interrupt(&child);
    fake.reached.blocking_recv().unwrap();
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), text(&output.stdout)), (130, String::new()));
}

#[test]
fn outcomes_other_than_complete_exit_with_3_and_a_summary() {
    for (outcome, word) in [
        (Outcome::Cancelled, r#""outcome":"cancelled""#),
        (Outcome::PrunedBelow(Height(7)), r#""outcome_height":7"#),
        (Outcome::ReorganisedFrom(Height(8)), r#""outcome":"reorganised""#),
    ] {
        let (_dir, _fake, mut command) = scripted(steps(vec![ends(outcome)]), &["--json"]);
        let output = command.output().unwrap();
        assert_eq!(code(&output), 3);
        assert!(text(&output.stdout).contains(word), "{}", text(&output.stdout));
    }
}

#[test]
fn a_refusal_is_a_usage_error_without_a_summary() {
    let refusal = Refusal { reason: RefusalReason::BadRange, position: 0, detail: "above the tip 9".to_owned() };
    let (_dir, _fake, mut command) = scripted(steps(vec![Step::End(Ending::Refused(refusal))]), &["--json"]);
    assert_error(&command.output().unwrap(), 2, "above the tip 9");
}

#[test]
fn a_failure_names_the_place_and_prints_no_summary() {
    let at = FailurePlace { height: Height(6), path: "/blocks/blk00001.dat".into(), offset: 1_234 };
    let failure = Failure { kind: FailureKind::CorruptBlock, detail: "merkle root".to_owned(), at: Some(at) };
    let script = steps(vec![Step::Reports(vec![spend_report(1)]), Step::End(Ending::Failed(failure))]);
    let (_dir, _fake, mut command) = scripted(script, &["--json"]);
    assert_error(&command.output().unwrap(), 1, "height 6, /blocks/blk00001.dat at offset 1234");
}

#[test]
fn a_server_that_vanishes_is_a_failure_and_not_an_answer() {
    let (_dir, _fake, mut command) =
        scripted(steps(vec![Step::Reports(vec![spend_report(1)]), Step::HangUp]), &["--json"]);
    assert_error(&command.output().unwrap(), 1, "connection to the server is gone");
}

#[test]
fn garbage_in_mid_scan_leaves_stdout_empty() {
    let (_dir, _fake, mut command) = scripted(steps(vec![Step::Garbage]), &["--json"]);
    assert_error(&command.output().unwrap(), 1, "error");
}

#[test]
fn a_reader_that_closes_its_end_is_no_failure_in_any_form() {
    for more in [&["--json"][..], &["--json", "--stream"], &[]] {
        // More than a pipe holds, so a write meets the closed end.
        let reports = (0..2_000).map(spend_report).collect();
        let (_dir, _fake, mut command) = scripted(steps(vec![Step::Reports(reports), complete()]), more);
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((code(&output), text(&output.stderr)), (0, String::new()), "{more:?}");
    }
}

#[test]
fn tables_name_each_transaction_and_how_it_ended() {
    let (_dir, _fake, mut command) = scripted(steps(vec![Step::Reports(vec![spend_report(1)]), complete()]), &[]);
    let output = command.output().unwrap();
    let stdout = text(&output.stdout);
    assert_eq!((code(&output), text(&output.stderr)), (0, String::new()));
    assert!(stdout.contains(&"0".repeat(64)) && stdout.ends_with("complete\n"), "{stdout}");
    assert!(!stdout.contains('\u{1b}'), "no colour where no terminal is");
}
