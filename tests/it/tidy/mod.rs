//! The shape of the source: which crate may know which, how long a file gets, where `unsafe` is.

mod arrows;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file before its tests.
const PRODUCTION_LINES_MAX: usize = 400;

const GENERATED: [&str; 2] = ["rescan-schema/src/rescan_capnp.rs", "rescan-server/src/node_capnp.rs"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust file of the workspace by its path from the root, tests included.
fn sources() -> BTreeMap<String, String> {
    fn collect(directory: &Path, root: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    collect(&path, root, found);
                }
            } else if name.ends_with(".rs") {
                let from_root = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(from_root, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(&root(), &root(), &mut found);
    assert!(found.len() > 50, "the sources are not where they were");
    found
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.starts_with("tests/it/") || path.ends_with("tests.rs")
}

/// The part of a file before its tests.
fn production(text: &str) -> &str {
    text.split("\n#[cfg(test)]\n").next().unwrap_or(text)
}

/// The crates of this workspace that a crate depends on, without its tests.
fn dependencies(package: &str) -> Vec<String> {
    let manifest = fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    let names = section.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| name.starts_with("rescan-")).map(ToOwned::to_owned).collect()
}

#[test]
fn both_sides_know_the_core_and_neither_knows_the_other() {
    assert_eq!(dependencies("rescan-hash"), [] as [&str; 0]);
    assert_eq!(dependencies("rescan-core"), ["rescan-hash", "rescan-schema"]);
    assert_eq!(dependencies("rescan-server"), ["rescan-core"]);
    assert_eq!(dependencies("rescan-client"), ["rescan-core"]);
    assert_eq!(dependencies("rescan-node"), [] as [&str; 0]);
    assert_eq!(dependencies("rescan-compare"), ["rescan-client", "rescan-core", "rescan-node"]);
    assert_eq!(dependencies("rescan-fill"), ["rescan-client", "rescan-core", "rescan-node"]);
    let of_command = ["rescan-client", "rescan-compare", "rescan-core", "rescan-fill", "rescan-node"];
    assert_eq!(dependencies("rescan-cli"), of_command);
}

#[test]
fn the_core_has_no_effects() {
    let effects =
        ["std::fs", "std::net", "std::os", "std::process", "std::thread", "std::env", "std::io", "tokio", "async "];
    for (path, text) in sources().iter().filter(|(path, _)| path.starts_with("rescan-core/src/")) {
        if GENERATED.contains(&path.as_str()) || is_test(path) {
            continue;
        }
        for effect in effects {
            let code = production(text).lines().filter(|line| !line.trim_start().starts_with("//"));
            let found: Vec<&str> = code.filter(|line| line.contains(effect)).collect();
            assert!(found.is_empty(), "{path} has {effect}: {found:?}");
        }
    }
}

#[test]
fn no_file_is_too_long_to_read() {
    for (path, text) in sources() {
        let lines = production(&text).lines().count();
        assert!(
            is_test(&path) || GENERATED.contains(&path.as_str()) || lines <= PRODUCTION_LINES_MAX,
            "{path} has {lines} lines"
        );
    }
}

#[test]
fn unsafe_is_in_six_places_each_with_its_reason() {
    let expected = [
        ("fixtures/src/private_access.rs", 1),
        ("rescan-hash/src/sha_ni.rs", 1),
        ("rescan-server/src/allocator.rs", 2),
        ("rescan-server/src/blocks/block_file.rs", 1),
        ("rescan-server/src/main.rs", 1),
    ];
    let blocks = |text: &str| text.lines().filter(|line| line.contains("unsafe {") && !line.contains('"')).count();
    let sources = sources();
    let product = sources.iter().filter(|(path, _)| !is_test(path));
    let counted = product.map(|(path, text)| (path.as_str(), blocks(text)));
    let found: Vec<(&str, usize)> = counted.filter(|(_, blocks)| *blocks > 0).collect();
    assert_eq!(found, expected);
    for (path, blocks) in expected {
        for says in ["#[expect(unsafe_code, reason = ", "// SAFETY:"] {
            assert!(sources[path].matches(says).count() >= blocks, "{path} has no {says} for each block");
        }
    }
    assert!(sources["rescan-core/src/lib.rs"].contains("#![forbid(unsafe_code)]"));
}

/// The wall clock can be set; waits and measurements use the monotonic one (`Instant`).
#[test]
fn the_clock_that_can_be_set_is_asked_in_four_places() {
    let sources = sources();
    let product =
        sources.iter().filter(|(path, _)| path.contains("/src/") && path.starts_with("rescan-") && !is_test(path));
    let asks = product.filter(|(_, text)| production(text).contains("SystemTime::now"));
    // Whether a birthday is in the future; when a comparison was begun, for its report; whether a file was written a moment
    // ago; since when a node is linked, for people.
    let expected = [
        "rescan-cli/src/request/birthday.rs",
        "rescan-compare/src/compare.rs",
        "rescan-server/src/blocks/blocks_dir.rs",
        "rescan-server/src/node/link_task.rs",
    ];
    assert_eq!(asks.map(|(path, _)| path.as_str()).collect::<Vec<_>>(), expected);
}

#[test]
fn generated_code_says_what_wrote_it() {
    let sources = sources();
    for (path, schema) in GENERATED.iter().zip(["rescan", "node"]) {
        let head: Vec<&str> = sources[*path].lines().take(5).collect();
        let source = format!("source: {schema}.capnp");
        for says in ["@generated", "DO NOT EDIT", &source, "capnp binary version: ", "capnpc crate version: "] {
            assert!(head.iter().any(|line| line.contains(says)), "{says:?} is not in {head:#?}");
        }
    }
}
