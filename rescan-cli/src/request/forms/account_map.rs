//! Account maps name the receive path alone, or no path, and mean the change path too.
//!
//! Specter and Fully Noded write `/0/*` and derive change from `/1/*` (Specter, `wallet_importer.py`). Sparrow writes keys
//! without steps for the same two paths.

use rescan_client::descriptor;

/// The descriptors of both paths that an account map's descriptor means.
pub(super) fn paths(text: String) -> Vec<String> {
    let body = text.split('#').next().unwrap_or_default();
    if body.contains("/0/*") {
        let change = body.replace("/0/*", "/1/*");
        return vec![text, change];
    }
    // The changed text has no checksum, so the given one is checked here.
    match with_steps(body) {
        Some(body) if descriptor::expand(&text).is_ok() => {
            vec![body.replace(STEPS, "/0/*"), body.replace(STEPS, "/1/*")]
        }
        _ => vec![text],
    }
}

/// Stands for both paths.
const STEPS: &str = "/<0;1>/*";

/// Characters of an extended key: all have 111, and nothing else in a descriptor has as many without a delimiter.
const KEY_CHARS: usize = 111;

/// The text with steps behind each extended key; none if a key has steps already, or if there is no key.
fn with_steps(body: &str) -> Option<String> {
    let mut spelt = String::with_capacity(body.len() + STEPS.len());
    for piece in body.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let token = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        spelt.push_str(token);
        if token.len() == KEY_CHARS && token.get(1..4) == Some("pub") {
            if piece.ends_with('/') {
                return None;
            }
            spelt.push_str(STEPS);
        }
        spelt.push_str(&piece[token.len()..]);
    }
    (spelt.len() > body.len()).then_some(spelt)
}
