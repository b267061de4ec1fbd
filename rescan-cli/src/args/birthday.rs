//! The option `--birthday`: a day or seconds since 1970, and the forms that people give instead.

use std::fmt;

use rescan_compare::units;

use super::repeated::found;

/// The day of Bitcoin's first block, 2009-01-03, in seconds since 1970.
const FIRST_DAY: u32 = 1_230_940_800;

/// A smaller number is a height rather than a time; the chain reaches it in 2198.
const HEIGHT_MAX: u64 = 10_000_000;

/// A value that is refused with its reason. The texts repeat nothing that could hold a key.
#[derive(Debug)]
pub(super) struct BadValue {
    /// Follows `found`.
    pub(super) found: String,
    /// The next step.
    pub(super) hint: String,
}

impl BadValue {
    fn new(found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { found: found.into(), hint: hint.into() }
    }
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "found {}: {}", self.found, self.hint)
    }
}

impl std::error::Error for BadValue {}

/// Seconds since 1970, not before Bitcoin's first day.
pub(super) fn parse_birthday(text: &str) -> Result<u32, BadValue> {
    let is_number = !text.is_empty() && text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = match text.parse::<u32>() {
        _ if !is_number => day(text)?,
        Ok(seconds) if seconds >= FIRST_DAY => seconds,
        _ => return Err(bad_number(text)),
    };
    if seconds < FIRST_DAY {
        let hint = "leave out --birthday to scan from the first block, or give the day of the wallet's creation";
        return Err(BadValue::new(format!("{text}, and Bitcoin's first block is of 2009-01-03"), hint));
    }
    Ok(seconds)
}

fn day(text: &str) -> Result<u32, BadValue> {
    if let Some(start) = units::day_start(text) {
        return Ok(start);
    }
    if has_form_of_day(text) {
        return Err(BadValue::new(
            format!("{text}, and there is no such day"),
            "write year, month and day: 2021-05-01",
        ));
    }
    let hint = match text.get(..10).filter(|day| units::day_start(day).is_some()) {
        Some(day) => format!("without the time of day: --birthday {day}"),
        None => "write year, month and day with dashes: 2021-05-01".to_owned(),
    };
    Err(BadValue::new(found(text), hint))
}

fn has_form_of_day(text: &str) -> bool {
    text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if [4, 7].contains(&at) { byte == b'-' } else { byte.is_ascii_digit() })
}

/// A number that is no time of the chain: a year, a day without dashes, a height, milliseconds.
fn bad_number(text: &str) -> BadValue {
    let number: u64 = text.parse().unwrap_or(u64::MAX);
    let hint = match (number, dashed_day(text), seconds_of_milliseconds(number)) {
        (0 | 1, _, _) => "leave out --birthday to scan from the first block".to_owned(),
        (2009..=2105, _, _) if text.len() == 4 => {
            format!("a year is no form: give its first day, --birthday {text}-01-01")
        }
        _ if text.len() == 4 => {
            format!("a year is no form: give a day, YYYY-MM-DD; if it is a height, --from-height {text}")
        }
        (_, Some(day), _) => format!("did you mean the day {day}? --birthday {day}"),
        (..=HEIGHT_MAX, _, _) => format!("did you mean a height? --from-height {number}"),
        (_, _, Some(seconds)) => format!("did you mean milliseconds? in seconds: --birthday {seconds}"),
        _ if number < u64::from(FIRST_DAY) => {
            "as seconds since 1970, it is before Bitcoin's first block, of 2009-01-03".to_owned()
        }
        _ => "as seconds since 1970, it is after the year 2105".to_owned(),
    };
    BadValue::new(found(text), hint)
}

/// `20210501` as `2021-05-01`.
fn dashed_day(text: &str) -> Option<String> {
    let day = format!("{}-{}-{}", text.get(..4)?, text.get(4..6)?, text.get(6..)?);
    units::day_start(&day).filter(|start| *start >= FIRST_DAY).map(|_start| day)
}

fn seconds_of_milliseconds(number: u64) -> Option<u32> {
    u32::try_from(number / 1_000).ok().filter(|seconds| *seconds >= FIRST_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_birthday_is_seconds_or_a_day_from_bitcoins_first_on() {
        for (text, seconds) in [
            ("1700000000", 1_700_000_000),
            ("2023-11-14", 1_699_920_000),
            ("2009-01-03", FIRST_DAY),
            ("1230940800", FIRST_DAY),
            ("2024-02-29", 1_709_164_800),
        ] {
            assert_eq!(parse_birthday(text).expect(text), seconds);
        }
    }

    #[test]
    fn another_form_is_refused_with_the_one_that_was_meant() {
        for (text, found, hint) in [
            ("2021", "2021", "a year is no form: give its first day, --birthday 2021-01-01"),
            ("1700", "1700", "a year is no form: give a day, YYYY-MM-DD; if it is a height, --from-height 1700"),
            ("800000", "800000", "did you mean a height? --from-height 800000"),
            ("20210501", "20210501", "did you mean the day 2021-05-01? --birthday 2021-05-01"),
            ("1700000000000", "1700000000000", "did you mean milliseconds? in seconds: --birthday 1700000000"),
            ("1230940799", "1230940799", "before Bitcoin's first block, of 2009-01-03"),
            ("4294967296", "4294967296", "after the year 2105"),
            ("99999999999999999999", "99999999999999999999", "after the year 2105"),
            ("0", "0", "leave out --birthday"),
            ("2021-02-30", "2021-02-30, and there is no such day", "year, month and day"),
            ("2021-13-01", "2021-13-01, and there is no such day", "year, month and day"),
            ("2008-12-31", "2008-12-31, and Bitcoin's first block is of 2009-01-03", "leave out --birthday"),
            ("2021-05-01T12:00:00Z", "something else", "without the time of day: --birthday 2021-05-01"),
            ("2021-5-1", "2021-5-1", "with dashes: 2021-05-01"),
            ("01.05.2021", "01.05.2021", "with dashes: 2021-05-01"),
            ("yesterday", "yesterday", "with dashes: 2021-05-01"),
            ("+1700000000", "something else", "with dashes: 2021-05-01"),
            ("", "nothing", "with dashes: 2021-05-01"),
        ] {
            let error = parse_birthday(text).expect_err(text);
            assert!(error.found.starts_with(found) && error.hint.contains(hint), "{text}: {error}");
        }
    }

    #[test]
    fn the_form_that_was_meant_is_accepted() {
        for text in ["2021", "20210501", "1700000000000", "2021-05-01T12:00:00Z"] {
            let error = parse_birthday(text).expect_err(text);
            let (_, meant) = error.hint.rsplit_once(' ').expect("it has words");
            parse_birthday(meant).unwrap_or_else(|again| panic!("{text}: {again}"));
        }
    }
}
