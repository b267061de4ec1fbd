//! One descriptor a line. `#` begins a comment at the start of a line and after a space; a descriptor's own `#checksum`
//! follows without one.
//!
//! Sparrow's "Output Descriptor" export is of this form: a multipath descriptor and its two paths, each under a comment.

use super::Source;
use crate::error::DescriptorPosition;
use crate::request::given::GivenDescriptor;

pub(super) fn descriptors(source: &Source) -> Vec<GivenDescriptor> {
    let lines = (1..).zip(source.text.lines()).map(|(line, text)| (line, without_comment(text)));
    lines
        .filter(|(_, text)| !text.is_empty())
        .map(|(line, text)| {
            let position = DescriptorPosition::Line { source: source.name.clone(), line };
            GivenDescriptor::new(text, position)
        })
        .collect()
}

/// A line without its comment and surrounding space.
fn without_comment(line: &str) -> &str {
    let mut before = ' ';
    let comment = line.char_indices().find(|(_, c)| std::mem::replace(&mut before, *c).is_whitespace() && *c == '#');
    comment.map_or(line, |(start, _)| &line[..start]).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_begins_at_the_start_or_after_a_space_and_a_checksum_does_not() {
        for (line, descriptor) in [
            ("# wpkh(x)", ""),
            ("\t#", ""),
            ("wpkh(x)#checksum", "wpkh(x)#checksum"),
            ("  wpkh(x)#checksum\t # mine ", "wpkh(x)#checksum"),
            ("wpkh(x) #checksum", "wpkh(x)"),
            ("wpkh(x)\u{a0}# mine", "wpkh(x)"),
            ("", ""),
        ] {
            assert_eq!(without_comment(line), descriptor, "{line:?}");
        }
    }
}
