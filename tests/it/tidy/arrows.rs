//! Imports inside a crate go one way: no module at a crate's root, and no folder, is in a circle.
//!
//! Two files of one folder may know each other; a folder is the smallest room with a door.

use std::collections::{BTreeMap, BTreeSet};

use super::{GENERATED, is_test, production, sources};

const CRATES: [&str; 10] = [
    "rescan-hash",
    "rescan-core",
    "rescan-server",
    "rescan-client",
    "rescan-node",
    "rescan-compare",
    "rescan-fill",
    "rescan-cli",
    "fixtures",
    "tests",
];

/// A module by its path from the crate's root: `["blocks", "walk"]`.
type Module = Vec<String>;

/// The module of a file, by its path below `src/`; `mod.rs` is its folder, `lib.rs` the root.
fn module_of(path: &str) -> Module {
    let mut module: Module = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|name| ["mod", "lib", "main"].contains(&name.as_str())) {
        module.pop();
    }
    module
}

/// Every path that `code` begins with `crate::` or `super::`, from the crate's root.
fn imports(code: &str, module: &Module) -> BTreeSet<Module> {
    let names = |path: &str| -> Module {
        let end = path.find(|letter: char| !(letter.is_alphanumeric() || "_:".contains(letter))).unwrap_or(path.len());
        path[..end].split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    let mut found = BTreeSet::new();
    for line in code.lines().map(str::trim_start).filter(|line| !line.starts_with("//")) {
        found.extend(line.split("crate::").skip(1).map(names));
        if let Some(rest) = line.split_once("super::").map(|(_, rest)| rest) {
            let mut base = module.clone();
            let mut rest = rest;
            base.pop();
            while let Some(further) = rest.strip_prefix("super::") {
                base.pop();
                rest = further;
            }
            base.extend(names(rest));
            found.insert(base);
        }
    }
    found
}

/// The circles of a graph: what remains when nodes that lead nowhere, or that nothing leads to, are removed until none is
/// left.
fn circles(mut edges: BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    loop {
        let led_to: BTreeSet<String> = edges.values().flatten().cloned().collect();
        let is_end = |from: &String, to: &BTreeSet<String>| to.is_empty() || !led_to.contains(from);
        let ends: BTreeSet<String> =
            edges.iter().filter(|(from, to)| is_end(from, to)).map(|(from, _)| from.clone()).collect();
        if ends.is_empty() {
            return edges;
        }
        edges.retain(|from, _| !ends.contains(from));
        edges.values_mut().for_each(|to| to.retain(|to| !ends.contains(to)));
    }
}

/// The imports between the children of `parent`.
fn edges_below(parent: &[String], uses: &BTreeMap<Module, BTreeSet<Module>>) -> BTreeMap<String, BTreeSet<String>> {
    let child = |module: &Module| -> Option<String> { module.strip_prefix(parent)?.first().cloned() };
    let mut edges: BTreeMap<String, BTreeSet<String>> =
        uses.keys().filter_map(child).map(|name| (name, BTreeSet::new())).collect();
    let names: BTreeSet<String> = edges.keys().cloned().collect();
    for (module, used) in uses {
        let Some(from) = child(module) else { continue };
        let to = used.iter().filter_map(child).filter(|to| *to != from && names.contains(to));
        edges.entry(from.clone()).or_default().extend(to.collect::<Vec<_>>());
    }
    edges
}

#[test]
fn no_folder_and_no_module_of_a_crates_root_is_in_a_circle() {
    let sources = sources();
    for package in CRATES {
        let root = format!("{package}/src/");
        let mut uses: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
        let mut folders: BTreeSet<Module> = BTreeSet::new();
        for (path, text) in sources.iter().filter(|(path, _)| path.starts_with(&root)) {
            if GENERATED.contains(&path.as_str()) || is_test(path) {
                continue;
            }
            let file = &path[root.len()..];
            let module = module_of(file);
            let found = imports(production(text), &module);
            uses.entry(module.clone()).or_default().extend(found);
            let depth = file.split('/').count() - 1;
            folders.extend((1..=depth).map(|depth| file.split('/').take(depth).map(str::to_owned).collect()));
        }
        assert!(!uses.is_empty(), "{package} has no sources");
        let at_root = circles(edges_below(&[], &uses));
        assert!(at_root.is_empty(), "{package}: a circle at the root: {at_root:#?}");
        for parent in &folders {
            let between = circles(edges_below(parent, &uses));
            let is_folder = |name: &String| folders.contains(&[parent.as_slice(), std::slice::from_ref(name)].concat());
            assert!(
                !between.keys().any(is_folder),
                "{package}/{}: a folder in a circle: {between:#?}",
                parent.join("/")
            );
        }
    }
}

#[test]
fn a_circle_is_found_and_a_line_of_imports_is_none() {
    let graph = |edges: &[(&str, &str)]| {
        let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in edges {
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
            graph.entry((*to).to_owned()).or_default();
        }
        graph
    };
    assert!(circles(graph(&[("scan", "chain"), ("chain", "blocks"), ("scan", "blocks")])).is_empty());
    let found = circles(graph(&[("scan", "chain"), ("chain", "session"), ("session", "scan"), ("chain", "blocks")]));
    assert_eq!(found.keys().collect::<Vec<_>>(), ["chain", "scan", "session"]);
}

#[test]
fn imports_are_read_from_the_root() {
    let module = ["scan".to_owned(), "pass".to_owned()].to_vec();
    let code = "use crate::chain::Chain;\n    // use crate::session;\nuse super::segment::{Segment};\nuse super::super::node;\n";
    let found: Vec<String> = imports(code, &module).iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["chain::Chain", "node", "scan::segment"]);
}
