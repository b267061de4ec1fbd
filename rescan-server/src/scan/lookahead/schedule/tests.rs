#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use rescan_core::report::KeychainUse;

use super::*;
use crate::scan::gap_rule::GapLimit;

const AFTER: Duration = Duration::from_millis(250);
const SOON: Duration = Duration::ZERO;
/// Long enough to afford any width.
const LONG: Duration = Duration::from_secs(3_600);

fn config() -> LookaheadConfig {
    LookaheadConfig { each: 100, total: 1_000, each_min: 10, after: AFTER }
}

fn ranged(gap_limit: u32) -> GapLimit {
    GapLimit { gap_limit: Some(gap_limit), last_revealed: None }
}

/// Two keychains, matched up to their gap limit of 5.
fn satisfied() -> GapRule {
    GapRule::new(&[ranged(5), ranged(5)], |_| Some(4))
}

/// The same after a use of keychain 1, which has moved its gap limit from index 4 to 7.
fn exhausted() -> GapRule {
    let mut rule = satisfied();
    rule.note_use(1, Some(2));
    assert!(rule.is_exhausted());
    rule
}

fn range(keychain: u32, first: u32, last: u32) -> IndexRange {
    IndexRange { keychain, first, last }
}

#[test]
fn nothing_is_derived_before_the_delay_unless_the_look_ahead_is_exhausted() {
    let mut schedule = Schedule::new(config(), &satisfied());
    assert_eq!(schedule.begin(&satisfied(), WalkPosition::Early, AFTER - Duration::from_millis(1)), None);
    let needed = schedule.begin(&exhausted(), WalkPosition::Start, SOON);
    assert_eq!(needed, Some(vec![range(0, 5, 14), range(1, 5, 17)]));
}

#[test]
fn after_the_delay_the_full_width_is_derived_once() {
    let mut schedule = Schedule::new(config(), &satisfied());
    let ranges = schedule.begin(&satisfied(), WalkPosition::Late, AFTER);
    assert_eq!(ranges, Some(vec![range(0, 5, 104), range(1, 5, 104)]));
    assert_eq!(schedule.begin(&satisfied(), WalkPosition::Late, LONG), None, "the next waits for the gap limit");
    assert!(schedule.begin(&exhausted(), WalkPosition::Late, LONG).is_some());
}

#[test]
fn a_walk_that_has_ended_derives_only_for_used_keychains_and_only_if_needed() {
    let mut schedule = Schedule::new(config(), &satisfied());
    assert_eq!(schedule.begin(&satisfied(), WalkPosition::End, LONG), None);
    assert_eq!(schedule.begin(&exhausted(), WalkPosition::End, SOON), Some(vec![range(1, 5, 17)]));
}

#[test]
fn a_short_walk_pays_for_few_scripts_and_each_time_for_twice_as_many() {
    let mut schedule = Schedule::new(config(), &satisfied());
    let widths = [SOON, SOON, LONG, LONG].map(|walk| {
        let ranges = schedule.begin(&exhausted(), WalkPosition::End, walk).unwrap();
        ranges[0].last - 7
    });
    assert_eq!(widths, [10, 20, 400, 800], "10 and 20 are the minimum, 400 is 100 doubled twice");
}

#[test]
fn after_scripts_that_were_too_many_the_smallest_width_is_tried() {
    let mut schedule = Schedule::new(config(), &satisfied());
    schedule.begin(&satisfied(), WalkPosition::Early, AFTER);
    schedule.shrink();
    let ranges = schedule.begin(&exhausted(), WalkPosition::Late, LONG);
    assert_eq!(ranges, Some(vec![range(0, 5, 14), range(1, 5, 17)]));
}

#[test]
fn without_a_ranged_keychain_nothing_is_derived() {
    let rule = GapRule::new(&[GapLimit { gap_limit: None, last_revealed: None }], |_| None);
    let mut schedule = Schedule::new(config(), &rule);
    assert_eq!(schedule.begin(&rule, WalkPosition::Early, LONG), None);
}

#[test]
fn one_in_flight_is_taken_when_needed_and_waited_for_only_at_the_start_and_the_end() {
    use WalkPosition::{Early, End, Late, Start};
    let due = |rule: &GapRule, is_finished| [Start, Early, Late, End].map(|it| is_due(rule, it, is_finished));
    assert_eq!(due(&exhausted(), false), [true, false, false, true]);
    assert_eq!(due(&exhausted(), true), [true, true, true, true]);
    assert_eq!(due(&satisfied(), false), [false, false, false, false]);
    assert_eq!(due(&satisfied(), true), [true, true, false, false]);
}

#[test]
fn the_walk_is_early_up_to_an_eighth_of_its_bytes() {
    let progress = ScanProgress::new(100);
    progress.set_bytes_total(800);
    progress.settle(1, 100);
    assert_eq!(WalkPosition::within(&progress), WalkPosition::Early);
    progress.settle(1, 1);
    assert_eq!(WalkPosition::within(&progress), WalkPosition::Late);
    let unknown = ScanProgress::new(100);
    unknown.settle(1, 1);
    assert_eq!(WalkPosition::within(&unknown), WalkPosition::Late, "the total is not added up yet");
}

proptest! {
    /// The worst case: each use lies at the gap limit, and each walk takes no time.
    #[test]
    fn the_number_of_derivations_is_logarithmic_in_the_highest_index(
        gap_limit in 1_u32..50,
        each in 1_u32..2_000,
        each_min in 1_u32..100,
        highest in 0_u32..20_000,
    ) {
        let rules = [ranged(gap_limit)];
        let mut rule = GapRule::new(&rules, |_| Some(gap_limit - 1));
        let config = LookaheadConfig { each, total: u32::MAX, each_min, after: AFTER };
        let mut schedule = Schedule::new(config, &rule);
        let mut derivations = 0_u32;
        let mut used = gap_limit - 1;
        while used < highest {
            rule.note_use(0, Some(used));
            while rule.is_exhausted() {
                let ranges = schedule.begin(&rule, WalkPosition::Late, SOON).unwrap();
                rule.mark_matched(&ranges);
                derivations += 1;
            }
            used = rules[0].limit(KeychainUse::LastUsed(used)).unwrap();
        }
        let doublings = f64::from((highest + 1).max(each_min)) / f64::from(each_min);
        prop_assert!(f64::from(derivations) <= 1.0 + doublings.log2().ceil(), "{derivations} up to {highest}");
    }
}
