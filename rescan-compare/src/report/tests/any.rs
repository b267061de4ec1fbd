//! Any comparison that a file can hold can be drawn, whatever its numbers and texts.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use roxmltree::Document;

use super::super::page::page;
use super::super::{headline, markdown};
use super::example::full;
use super::{
    BlockRange, CacheState, Comparison, CurvePoint, CurveRun, Machine, Method, MethodReport, MethodResult,
    ProgressPoint, Run, Server, WalletSize,
};

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(u64::MAX), 0..2_000_000u64, any::<u64>()]
}

fn height() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(u32::MAX), any::<u32>(), 800_000..900_000u32]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,80}", ".{0,20}", Just("</svg></title><script>alert(1)</script>\u{0}\u{1b}\"'|`".to_owned())]
}

fn any_method() -> impl Strategy<Value = Method> {
    use Method::{BlocksDecoded, BlocksMatched, NodeGetBlock, NodeScanBlocks, RequestPerBlock, Summaries};
    prop::sample::select(vec![Summaries, BlocksMatched, BlocksDecoded, RequestPerBlock, NodeScanBlocks, NodeGetBlock])
}

prop_compose! {
    fn progress()(height in height(), received_bytes in number()) -> ProgressPoint {
        ProgressPoint { height, received_bytes }
    }
}

prop_compose! {
    fn run()(
        numbers in prop::array::uniform5(number()),
        maybe in prop::array::uniform7(option::of(number())),
        progress in vec(progress(), 0..30),
    ) -> Run {
        let [wall_us, received_bytes, sent_bytes, received_messages, sent_messages] = numbers;
        let [first_match_us, client_cpu_us, server_cpu_us, waiting_us, client_peak_bytes, server_peak_bytes, server_disk_bytes] =
            maybe;
        Run {
            wall_us, first_match_us, client_cpu_us, server_cpu_us, waiting_us, client_peak_bytes, server_peak_bytes,
            server_disk_bytes, received_bytes, sent_bytes, received_messages, sent_messages, progress,
        }
    }
}

prop_compose! {
    fn method_report()(
        method in any_method(),
        title in text(),
        explanation in text(),
        result in prop_oneof![vec(run(), 0..4).prop_map(MethodResult::Measured), text().prop_map(MethodResult::LeftOut)],
    ) -> MethodReport {
        MethodReport { method, title, explanation, result }
    }
}

prop_compose! {
    fn curve_run()(method in any_method(), wall_us in number(), received_bytes in number()) -> CurveRun {
        CurveRun { method, wall_us, received_bytes }
    }
}

prop_compose! {
    fn curve_point()(
        matching_per_mille in height(),
        matching_blocks in number(),
        methods in vec(curve_run(), 0..4),
    ) -> CurvePoint {
        CurvePoint { matching_per_mille, matching_blocks, methods }
    }
}

prop_compose! {
    fn circumstances()(
        numbers in prop::array::uniform7(number()),
        heights in prop::array::uniform4(height()),
        texts in prop::array::uniform6(text()),
        memory_bytes in option::of(number()),
        node in option::of(text()),
    ) -> Comparison {
        let [begun_seconds, blocks, bytes, scripts, matching_blocks, transactions, unspent_count] = numbers;
        let [format, from_height, to_height, cores] = heights;
        let [command, processor, system, software, client, tip_hash] = texts;
        Comparison {
            format, begun_seconds, command,
            machine: Machine { processor, cores, memory_bytes, system },
            server: Server { software, client, network: tip_hash.clone(), node },
            range: BlockRange { from_height, to_height, tip_hash, blocks, bytes },
            wallet: WalletSize { scripts, matching_blocks, transactions, unspent_count },
            cache: CacheState::Unknown,
            methods: Vec::new(), curve: Vec::new(), not_measured: Vec::new(),
        }
    }
}

prop_compose! {
    fn comparison()(
        circumstances in circumstances(),
        methods in vec(method_report(), 0..7),
        curve in vec(curve_point(), 0..5),
        not_measured in vec(text(), 0..3),
    ) -> Comparison {
        Comparison { methods, curve, not_measured, ..circumstances }
    }
}

/// The body of the page, which is well-formed XML: browsers then agree on its structure.
pub(super) fn as_xml(page: &str) -> String {
    let body = page.split_once("<body>").map(|(_, body)| body.split_once("</body>").unwrap().0).unwrap();
    format!("<body>{body}</body>")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn anything_can_be_drawn(comparison in comparison()) {
        let page = page(&comparison);
        let xml = as_xml(&page);
        let document = Document::parse(&xml).unwrap();
        prop_assert!(!document.descendants().any(|node| node.has_tag_name("script")));
        for node in document.descendants() {
            for attribute in node.attributes() {
                prop_assert!(!attribute.value().contains("NaN") && !attribute.value().contains("inf"));
            }
        }
        let written = serde_json::to_string(&comparison).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Comparison>(&written).unwrap(), &comparison);
        let table = markdown(&comparison);
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        prop_assert!(table.lines().filter(|line| line.starts_with('|')).all(|line| cells(line) == 14));
        prop_assert!(headline(&comparison).ends_with('.'));
    }
}

#[test]
fn the_page_loads_nothing_and_runs_nothing() {
    let page = page(&full());
    for forbidden in ["<script", " src=", "@import", "url(", "http://", "https://", " on"] {
        // No browser fetches the name of SVG's namespace; " on" is an attribute only within a tag.
        let text = page.replace("http://www.w3.org/2000/svg", "");
        let tags = text.split('<').filter_map(|rest| rest.split('>').next());
        let found: Vec<&str> = tags.filter(|tag| tag.contains(forbidden)).collect();
        assert!(found.is_empty(), "{forbidden}: {found:?}");
    }
    assert!(page.contains("default-src 'none'"));
}
