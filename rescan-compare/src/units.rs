//! Numbers as people read them: bitcoin, bytes, durations, dates.

use std::time::Duration;

/// Satoshi as bitcoin with all eight places, without passing through floating point.
pub fn bitcoin(sat: i128) -> String {
    const SAT_PER_BITCOIN: u128 = 100_000_000;
    let sign = if sat < 0 { "-" } else { "" };
    let sat = sat.unsigned_abs();
    format!("{sign}{}.{:08}", sat / SAT_PER_BITCOIN, sat % SAT_PER_BITCOIN)
}

/// Bytes with a decimal unit and three digits: `812 B`, `81.2 kB`, `1.08 GB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    let Some((size, unit)) = UNITS.into_iter().find(|(size, _)| count >= *size) else { return format!("{count} B") };
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let scaled = count as f64 / size as f64;
    let places = if scaled < 9.995 { 2 } else { usize::from(scaled < 99.95) };
    format!("{scaled:.places$} {unit}")
}

/// Bytes a second over a time, in the units of [`bytes`].
pub fn rate(count: u64, time: Duration) -> String {
    let micros = time.as_micros().max(1);
    let per_second = u128::from(count) * 1_000_000 / micros;
    format!("{}/s", bytes(u64::try_from(per_second).unwrap_or(u64::MAX)))
}

/// A count with commas between thousands.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A noun with its count: `1 block`, `2 blocks`.
pub fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// The progress of a derivation: `deriving 120,000 of 1,000,000 scripts`. A total of 0 is unknown.
pub fn deriving(derived: u64, total: u64) -> String {
    match total {
        0 => "deriving scripts".to_owned(),
        total => format!("deriving {} of {}", grouped(derived), counted(total, "script")),
    }
}

/// A time with about three digits: `1.24 ms`, `12 ms`, `0.24 s`, `9.20 s`, `132 s`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        _ if time.is_zero() => "0 s".to_owned(),
        _ if seconds < 0.009_995 => format!("{:.2} ms", seconds * 1_000.0),
        _ if seconds < 0.1 => format!("{} ms", time.as_millis()),
        _ if seconds < 100.0 => format!("{seconds:.2} s"),
        _ => format!("{seconds:.0} s"),
    }
}

/// `whole` divided by `part`, with about two digits: `0.43`, `1.3`, `23`, `5,000`. None if `part`
/// is 0.
pub fn times(whole: u64, part: u64) -> Option<String> {
    let hundredths = (u128::from(whole) * 200 + u128::from(part)).checked_div(u128::from(part) * 2)?;
    Some(match hundredths {
        0..95 => format!("0.{hundredths:02}"),
        95..995 => format!("{}.{}", (hundredths + 5) / 100, (hundredths + 5) % 100 / 10),
        _ => grouped(two_digits((hundredths + 50) / 100)),
    })
}

/// A whole number rounded to its first two digits: no measurement of times is more precise.
fn two_digits(count: u128) -> u64 {
    let mut place = 1;
    while count / place >= 100 {
        place *= 10;
    }
    u64::try_from((count + place / 2) / place * place).unwrap_or(u64::MAX)
}

/// Seconds since 1970 as `YYYY-MM-DD HH:MM` in UTC.
pub fn utc(seconds: u32) -> String {
    let days = i64::from(seconds / 86_400);
    let minutes = seconds % 86_400 / 60;
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", minutes / 60, minutes % 60)
}

/// The start of the day `YYYY-MM-DD` in UTC, in seconds since 1970; none if there is no such day.
pub fn day_start(text: &str) -> Option<u32> {
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let widths = (year.len(), month.len(), day.len());
    let (year, month, day): (i64, i64, i64) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    if widths != (4, 2, 2) || !(1970..=2105).contains(&year) {
        return None;
    }
    let days = days_from_civil(year, month, day);
    // A day that does not exist is converted back to another one.
    (civil_from_days(days) == (year, month, day)).then(|| u32::try_from(days * 86_400).ok())?
}

/// Converts days since 1970-01-01 to a date of the proleptic Gregorian calendar. Years begin with
/// March here, which makes the leap day the last of its year; eras have 400 years.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    const DAYS_TO_1970: i64 = 719_468; // from 0000-03-01
    const DAYS_PER_ERA: i64 = 146_097;
    let days = days + DAYS_TO_1970;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitcoin_has_eight_places_and_keeps_every_satoshi() {
        assert_eq!(bitcoin(12_085), "0.00012085");
        assert_eq!(bitcoin(-2_100_000_000_000_001), "-21000000.00000001");
    }

    #[test]
    fn bytes_show_three_digits() {
        let shown = [999, 1_000, 81_234, 999_500, 1_077_814_507].map(bytes);
        assert_eq!(shown, ["999 B", "1.00 kB", "81.2 kB", "1000 kB", "1.08 GB"]);
    }

    #[test]
    fn a_rate_is_bytes_over_time() {
        assert_eq!(rate(3_000_000, Duration::from_millis(1_500)), "2.00 MB/s");
        assert_eq!(rate(1, Duration::ZERO), "1.00 MB/s");
    }

    #[test]
    fn a_short_time_is_shown_in_a_smaller_unit() {
        let shown = [0, 350, 1_240, 12_400, 240_000, 9_200_000, 132_000_000].map(Duration::from_micros).map(duration);
        assert_eq!(shown, ["0 s", "0.35 ms", "1.24 ms", "12 ms", "0.24 s", "9.20 s", "132 s"]);
    }

    #[test]
    fn a_ratio_has_two_digits() {
        let of = |whole, part| times(whole, part).expect("the part is not 0");
        assert_eq!([of(43, 100), of(1, 1), of(13, 10), of(994, 100)], ["0.43", "1.0", "1.3", "9.9"]);
        assert_eq!([of(2_345, 100), of(99, 1), of(4_987, 1), of(123_456, 1)], ["23", "99", "5,000", "120,000"]);
        assert_eq!([of(0, 7), of(u64::MAX, 1)], ["0.00", "18,000,000,000,000,000,000"]);
        assert_eq!(times(7, 0), None);
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([1, 2_000].map(|count| counted(count, "block")), ["1 block", "2,000 blocks"]);
    }

    #[test]
    fn dates_are_those_of_known_blocks() {
        assert_eq!(utc(1_231_006_505), "2009-01-03 18:15"); // genesis
        assert_eq!(utc(1_709_164_800), "2024-02-29 00:00");
        assert_eq!(utc(u32::MAX), "2106-02-07 06:28");
    }

    #[test]
    fn every_day_that_a_header_can_name_survives_the_round_trip() {
        for days in 0..=49_000u32 {
            let seconds = days * 86_400;
            assert_eq!(day_start(&utc(seconds)[..10]), Some(seconds));
        }
    }

    #[test]
    fn a_text_that_is_no_day_is_refused() {
        for text in ["2023-02-29", "2024-13-01", "2024-00-10", "24-01-01", "2024-1-1", "1969-12-31", "", "2024-01-01x"]
        {
            assert_eq!(day_start(text), None, "{text}");
        }
    }
}
