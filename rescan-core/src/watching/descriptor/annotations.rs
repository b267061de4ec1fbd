//! Annotations behind a descriptor (BIP 393): `?bh=890000&gl=200`, before `#`.
//!
//! They tell a scan where to begin and how far to look. No script depends on them. Unknown keys
//! are ignored, as the BIP demands, but must be well formed.

use super::DescriptorError;
use crate::request::GAP_LIMIT_MAX;

/// The values of the keys that BIP 393 defines. All are lower bounds: a scan that begins at a lower
/// height, or looks further, finds no less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// `bh`: the height at or after which the wallet first received funds.
    pub birthday_height: Option<u32>,
    /// `gl`: the number of unused scripts in a row, 1 to [`GAP_LIMIT_MAX`]. None for `gl=0` too,
    /// which every gap limit satisfies.
    pub gap_limit: Option<u32>,
    /// `ml`: the highest label of a silent payment wallet (BIP 352).
    pub max_label: Option<u32>,
}

/// Splits text without checksum into the descriptor and its annotations.
///
/// # Errors
/// If the annotations break the grammar of BIP 393, or a value is beyond the range of its meaning.
pub(super) fn split(body: &str) -> Result<(&str, Annotations), DescriptorError> {
    let Some((descriptor, pairs)) = body.split_once('?') else { return Ok((body, Annotations::default())) };
    let mut annotations = Annotations::default();
    let mut position = descriptor.len().saturating_add(1);
    let mut seen: Vec<&str> = Vec::new();
    for pair in pairs.split('&') {
        let (key, value) = key_and_value(pair, position)?;
        if seen.contains(&key) {
            return Err(DescriptorError::BadAnnotation { position, reason: "expected each key once" });
        }
        seen.push(key);
        let number = |max| match value.parse::<u32>() {
            Ok(number) if number <= max => Ok(Some(number)),
            _ => Err(DescriptorError::AnnotationTooLarge { position, max }),
        };
        match key {
            "bh" => annotations.birthday_height = number(u32::MAX)?,
            "gl" => annotations.gap_limit = number(GAP_LIMIT_MAX)?.filter(|limit| *limit > 0),
            "ml" => annotations.max_label = number(u32::MAX)?,
            _ => {}
        }
        position = position.saturating_add(pair.len()).saturating_add(1);
    }
    Ok((descriptor, annotations))
}

/// The parts of one pair, both well formed.
fn key_and_value(pair: &str, position: usize) -> Result<(&str, &str), DescriptorError> {
    let bad = |reason| Err(DescriptorError::BadAnnotation { position, reason });
    if pair.contains('?') {
        return bad("expected & between annotations: ? stands once, before the first");
    }
    if pair.is_empty() {
        return bad("expected key=number, found nothing");
    }
    let Some((key, value)) = pair.split_once('=') else {
        return bad("expected = and a number after the key");
    };
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return bad("expected a key of lower-case letters before =");
    }
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return bad("expected a number in decimal digits after =");
    }
    if value.starts_with('0') && value != "0" {
        return bad("expected a number without leading zeros");
    }
    Ok((key, value))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_defined_keys_are_read_in_any_order_and_others_ignored() {
        let expected = Annotations { birthday_height: Some(890_000), gap_limit: Some(200), max_label: Some(3) };
        for pairs in ["bh=890000&gl=200&ml=3", "ml=3&bh=890000&gl=200", "x=0&bh=890000&ml=3&gl=200&bhx=99999999999999"]
        {
            assert_eq!(split(&format!("raw(00)?{pairs}")).unwrap(), ("raw(00)", expected));
        }
        assert_eq!(split("raw(00)").unwrap(), ("raw(00)", Annotations::default()));
    }

    #[test]
    fn a_gap_limit_of_zero_asks_for_nothing() {
        assert_eq!(split("raw(00)?gl=0").unwrap().1.gap_limit, None);
        assert_eq!(split("raw(00)?bh=0").unwrap().1.birthday_height, Some(0));
    }

    #[test]
    fn every_form_that_bip_393_lists_as_invalid_is_refused_at_its_position() {
        let forms = [
            ("Bh=1", 15, "lower-case letters"),
            ("bh=", 15, "decimal digits"),
            ("bh", 15, "= and a number"),
            ("bh=-1", 15, "decimal digits"),
            ("bh=abc", 15, "decimal digits"),
            ("bh=01", 15, "leading zeros"),
            ("=100", 15, "lower-case letters"),
            ("bh=1&", 20, "found nothing"),
            ("", 15, "found nothing"),
            ("bh=1&bh=2", 20, "each key once"),
            ("bh=1?gl=2", 15, "? stands once"),
        ];
        for (pairs, expected, part) in forms {
            let error = split(&format!("raw(deadbeef)?{pairs}").replacen("raw", " raw", 1)).unwrap_err();
            let DescriptorError::BadAnnotation { position, reason } = error else { panic!("{error}: {pairs}") };
            assert!(position == expected && reason.contains(part), "{pairs}: {position} {reason}");
        }
    }

    #[test]
    fn a_value_beyond_its_meaning_is_refused_with_the_largest() {
        let position = 8;
        for (pair, max) in [("bh=4294967296", u32::MAX), ("gl=1000001", GAP_LIMIT_MAX), ("ml=4294967296", u32::MAX)] {
            assert_eq!(
                split(&format!("raw(00)?{pair}")),
                Err(DescriptorError::AnnotationTooLarge { position, max }),
                "{pair}"
            );
        }
        assert_eq!(split("raw(00)?gl=1000000&bh=4294967295").unwrap().1.gap_limit, Some(GAP_LIMIT_MAX));
    }

    /// The grammar of the BIP, read letter by letter.
    fn is_annotation(text: &str) -> bool {
        let mut keys = Vec::new();
        text.split('&').all(|pair| {
            let mut parts = pair.split('=');
            let (Some(key), Some(value), None) = (parts.next(), parts.next(), parts.next()) else { return false };
            let is_first = !keys.contains(&key);
            keys.push(key);
            is_first
                && !key.is_empty()
                && key.chars().all(|c| c.is_ascii_lowercase())
                && value.chars().all(|c| c.is_ascii_digit())
                && (value == "0" || value.chars().next().is_some_and(|c| c != '0'))
        })
    }

    proptest! {
        #[test]
        fn annotations_are_accepted_exactly_by_the_grammar(pairs in "([a-cA]{0,2}=?[0-2-]{0,2}[&=?]?){0,4}") {
            let text = format!("raw(00)?{pairs}");
            prop_assert_eq!(split(&text).is_ok(), is_annotation(&pairs));
        }
    }
}
