//! Escapes text from outside for HTML and Markdown. Names from a node, a kernel or a command line
//! stay text: they can neither end an element nor begin one.

use std::fmt::{self, Display, Formatter, Write};

/// Text escaped for HTML, fit for content and for values between double quotes. Control characters,
/// which neither XML nor HTML may hold, are replaced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Html<T>(pub(super) T);

impl<T: Display> Display for Html<T> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(Escaping(out, html), "{}", self.0)
    }
}

/// Text escaped for GitHub's Markdown, within a line or a cell of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Markdown<T>(pub(super) T);

impl<T: Display> Display for Markdown<T> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(Escaping(out, markdown), "{}", self.0)
    }
}

/// Text between backticks, with more of them than any run within.
pub(super) fn markdown_code(text: &str) -> String {
    let text = printable(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// The text without control characters, and in one line.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(shown).collect()
}

/// The character, or a replacement if no document may hold it.
fn shown(c: char) -> char {
    match c {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
        // The last two of each plane are no characters, and XML refuses these of the first.
        _ if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => char::REPLACEMENT_CHARACTER,
        // They would reverse the text around them.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
        _ => c,
    }
}

fn html(c: char, out: &mut Formatter<'_>) -> fmt::Result {
    match shown(c) {
        '&' => out.write_str("&amp;"),
        '<' => out.write_str("&lt;"),
        '>' => out.write_str("&gt;"),
        '"' => out.write_str("&quot;"),
        '\'' => out.write_str("&#39;"),
        c => out.write_char(c),
    }
}

fn markdown(c: char, out: &mut Formatter<'_>) -> fmt::Result {
    match shown(c) {
        '&' => out.write_str("&amp;"),
        '<' => out.write_str("&lt;"),
        '>' => out.write_str("&gt;"),
        // An entity: after a backslash, GitHub would still notify the person of that name.
        '@' => out.write_str("&#64;"),
        c @ ('\\' | '`' | '*' | '_' | '~' | '[' | ']' | '|' | '#' | '$') => {
            out.write_char('\\')?;
            out.write_char(c)
        }
        c => out.write_char(c),
    }
}

/// Writes each character as the language needs it.
struct Escaping<'a, 'b, F>(&'a mut Formatter<'b>, F);

impl<F: Fn(char, &mut Formatter<'_>) -> fmt::Result> Write for Escaping<'_, '_, F> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| (self.1)(c, self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_cannot_be_left_nor_entered() {
        let text = "</td><script src='x' id=\"y\">a && b\n\u{0}\u{202e}";
        let shown = "&lt;/td&gt;&lt;script src=&#39;x&#39; id=&quot;y&quot;&gt;a &amp;&amp; b \u{fffd}\u{fffd}";
        assert_eq!(Html(text).to_string(), shown);
    }

    #[test]
    fn markdown_stays_in_its_line_and_cell_and_notifies_nobody() {
        let text = "a|b\n# <b> [x](y) @someone `c`";
        assert_eq!(Markdown(text).to_string(), "a\\|b \\# &lt;b&gt; \\[x\\](y) &#64;someone \\`c\\`");
    }

    #[test]
    fn code_is_fenced_by_more_backticks_than_it_holds() {
        assert_eq!(markdown_code("a b"), "`a b`");
        assert_eq!(markdown_code("a ``b` c"), "```a ``b` c```");
        assert_eq!(markdown_code("`a"), "`` `a ``");
    }
}
