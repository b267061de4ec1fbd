//! The colours of the charts, by their meaning.
//!
//! Each method keeps its colour on the whole page. Wallet and server, which meet within a bar,
//! differ in lightness, and waiting in hue. Each line also has its own dashes. The library writes
//! plain colours; the drawing replaces them with classes, and the style sheet made here defines a
//! light and a dark value for each.

use std::fmt::Write;

use plotters::style::RGBColor;

use super::super::Method;

/// The meaning of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Ink {
    /// Text and figures.
    Text,
    /// Secondary text: ticks and axes.
    Muted,
    /// The mesh behind the data.
    Grid,
    /// The line on which bars stand.
    Axis,
    /// Notes within a chart: the crossing of two lines, the spread of runs.
    Note,
    /// The wallet's side.
    Wallet,
    /// The server's side.
    Server,
    /// Time in which neither side computes.
    Waiting,
    /// One method.
    Method(Method),
}

/// A colour on light and on dark ground. The light one also identifies the ink while a chart is
/// drawn, so no two may be equal.
struct Tone {
    name: &'static str,
    light: (u8, u8, u8),
    dark: (u8, u8, u8),
    /// Lengths of dash and gap in units of a chart; empty for a solid line.
    dashes: &'static [u32],
}

impl Ink {
    pub(in super::super) const ALL: [Self; 14] = [
        Self::Text,
        Self::Muted,
        Self::Grid,
        Self::Axis,
        Self::Note,
        Self::Wallet,
        Self::Server,
        Self::Waiting,
        Self::Method(Method::Summaries),
        Self::Method(Method::BlocksMatched),
        Self::Method(Method::BlocksDecoded),
        Self::Method(Method::RequestPerBlock),
        Self::Method(Method::NodeScanBlocks),
        Self::Method(Method::NodeGetBlock),
    ];

    const fn tone(self) -> Tone {
        let (name, light, dark, dashes): (_, _, _, &'static [u32]) = match self {
            Self::Text => ("text", (0x1b, 0x1f, 0x24), (0xe8, 0xea, 0xed), &[]),
            Self::Muted => ("muted", (0x59, 0x61, 0x6b), (0xa6, 0xae, 0xb8), &[]),
            Self::Grid => ("grid", (0xe3, 0xe6, 0xea), (0x30, 0x36, 0x3e), &[]),
            Self::Axis => ("axis", (0x9a, 0xa3, 0xae), (0x69, 0x73, 0x7e), &[]),
            Self::Note => ("note", (0x24, 0x29, 0x2f), (0xf5, 0xf6, 0xf7), &[3, 2]),
            Self::Wallet => ("wallet", (0x2e, 0x3a, 0x47), (0xdd, 0xe3, 0xea), &[]),
            Self::Server => ("server", (0x7d, 0x8a, 0x98), (0x77, 0x84, 0x93), &[]),
            Self::Waiting => ("waiting", (0xb4, 0x6f, 0x4e), (0xd8, 0x9a, 0x77), &[]),
            Self::Method(Method::Summaries) => ("summaries", (0x03, 0x50, 0xae), (0x1d, 0x7e, 0xff), &[]),
            Self::Method(Method::BlocksMatched) => ("blocks-matched", (0xba, 0x6f, 0x00), (0xf7, 0xb7, 0x26), &[]),
            Self::Method(Method::BlocksDecoded) => ("blocks-decoded", (0xa6, 0x02, 0x29), (0xf5, 0x4f, 0x23), &[7, 4]),
            Self::Method(Method::RequestPerBlock) => {
                ("request-per-block", (0x56, 0x0e, 0x5b), (0xb0, 0x51, 0xae), &[2, 3])
            }
            Self::Method(Method::NodeScanBlocks) => {
                ("node-scan-blocks", (0x28, 0x97, 0x80), (0x5f, 0xf6, 0xc9), &[10, 3, 2, 3])
            }
            Self::Method(Method::NodeGetBlock) => {
                ("node-get-block", (0x9f, 0x71, 0xda), (0xb7, 0xaf, 0xed), &[5, 2, 2, 2])
            }
        };
        Tone { name, light, dark, dashes }
    }

    /// As the drawing library takes it.
    pub(super) fn color(self) -> RGBColor {
        let (red, green, blue) = self.tone().light;
        RGBColor(red, green, blue)
    }

    /// On light ground and on dark.
    #[cfg(test)]
    pub(in super::super) fn tones(self) -> [(u8, u8, u8); 2] {
        [self.tone().light, self.tone().dark]
    }

    /// The end of the names of its classes and of its variable.
    pub(in super::super) fn name(self) -> &'static str {
        self.tone().name
    }

    /// Whether it draws data.
    pub(in super::super) fn is_data(self) -> bool {
        matches!(self, Self::Wallet | Self::Server | Self::Waiting | Self::Method(_))
    }

    /// Whether its lines are solid.
    pub(super) fn is_solid(self) -> bool {
        self.tone().dashes.is_empty()
    }

    /// As the drawing library writes it.
    pub(super) fn written(self) -> String {
        hex(self.tone().light)
    }
}

/// Variables and classes of all inks, for light ground and dark.
pub(in super::super) fn style_sheet() -> String {
    let mut sheet = String::from(":root{");
    for ink in Ink::ALL {
        push(&mut sheet, format_args!("--{}:{};", ink.name(), hex(ink.tone().light)));
    }
    sheet.push_str("}\n@media screen and (prefers-color-scheme:dark){:root{");
    for ink in Ink::ALL {
        push(&mut sheet, format_args!("--{}:{};", ink.name(), hex(ink.tone().dark)));
    }
    sheet.push_str("}}\n");
    for ink in Ink::ALL {
        let name = ink.name();
        push(&mut sheet, format_args!(".fill-{name}{{fill:var(--{name})}}.stroke-{name}{{stroke:var(--{name})"));
        if !ink.tone().dashes.is_empty() {
            let dashes: Vec<String> =
                ink.tone().dashes.iter().map(|units| (units * super::canvas::UNIT).to_string()).collect();
            push(&mut sheet, format_args!(";stroke-dasharray:{}", dashes.join(" ")));
        }
        sheet.push_str("}\n");
    }
    sheet
}

fn push(sheet: &mut String, text: std::fmt::Arguments<'_>) {
    sheet.write_fmt(text).expect("a String takes all that is written");
}

fn hex((red, green, blue): (u8, u8, u8)) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}
