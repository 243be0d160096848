//! Arrows between the modules of a crate, and the one home of `cfg(loom)`.

use super::source::{Source, words_at};
use super::{Complaint, Files};

/// A folder, and the paths that nothing in it may name.
const LAYERS: &[(&str, &[&str])] = &[
    ("runtime/src/task/", &["crate::scheduler", "crate::driver"]),
    ("runtime/src/driver/", &["crate::scheduler", "crate::task"]),
    ("net/src/", &["ringway_runtime::scheduler"]),
    ("fs/src/", &["ringway_runtime::scheduler"]),
    ("signal/src/", &["ringway_runtime::scheduler"]),
    ("process/src/", &["ringway_runtime::scheduler"]),
    ("stdio/src/", &["ringway_runtime::scheduler"]),
];

/// The crates that may not ask for `cfg(loom)`...
const PRODUCT: [&str; 11] = [
    "axum/", "fs/", "hyper/", "macros/", "net/", "process/", "runtime/", "signal/", "src/",
    "stdio/", "timer/",
];

/// ...but for this one module.
const LOOM_HOME: &str = "runtime/src/loom";

pub(super) fn check(files: &Files) -> Vec<Complaint> {
    let layers = LAYERS.iter().flat_map(|(folder, forbidden)| {
        let sources = files.below(folder);
        sources.flat_map(|source| forbidden.iter().flat_map(|path| names(source, path)))
    });
    let product = PRODUCT.iter().flat_map(|folder| files.below(folder));
    let loom = product
        .filter(|source| !source.path.starts_with(LOOM_HOME))
        .flat_map(asks_for_loom);
    layers.chain(loom).collect()
}

/// Places that name `root::module`, alone or in a group `root::{.., module, ..}`.
fn names(source: &Source, path: &str) -> Vec<Complaint> {
    let (root, module) = path.split_once("::").expect("a path of two parts");
    let tests = source.test_lines();
    let code = source.code.join("\n");
    let starts: Vec<usize> = code
        .match_indices(&format!("{root}::"))
        .map(|(at, _)| at)
        .collect();
    starts
        .into_iter()
        .filter(|&at| words_at(&code[at..], root).next() == Some(0))
        .filter(|&at| heads(&code[at + root.len() + 2..]).any(|head| head == module))
        .map(|at| code[..at].matches('\n').count())
        .filter(|line| !tests.iter().any(|test| test.contains(line)))
        .map(|line| {
            Complaint::error(
                &source.path,
                line + 1,
                format!("this layer may not use `{path}`"),
            )
        })
        .collect()
}

/// The first words of a path or of each path in a group: what `root::` leads to.
fn heads(after_root: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let group = after_root.starts_with('{');
    let end = after_root.find(|character| {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        depth == 0 && !(character.is_alphanumeric() || "_:".contains(character))
    });
    let text = &after_root[..end.unwrap_or(after_root.len())];
    let text = if group { &text[1..] } else { text };
    let mut depth = 0;
    let parts = text.split(move |character| {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        depth == 0 && character == ','
    });
    parts.map(|part| {
        part.trim()
            .split([':', ' ', '{', '}'])
            .next()
            .unwrap_or_default()
    })
}

fn asks_for_loom(source: &Source) -> Vec<Complaint> {
    let lines = source
        .lines_with("loom")
        .filter(|&line| source.code[line].contains("cfg"));
    let message = format!("`cfg(loom)` has one home, {LOOM_HOME}");
    lines
        .map(|line| Complaint::error(&source.path, line + 1, message.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{files, printed};
    use super::*;

    fn complaints(path: &str, text: &str) -> Vec<String> {
        printed(&check(&files(&[(path, text)])))
    }

    #[test]
    fn a_lower_layer_may_not_name_a_higher_one() {
        let refused = ["runtime/src/task/state.rs:1: this layer may not use `crate::scheduler`"];
        let path = "runtime/src/task/state.rs";
        assert_eq!(complaints(path, "use crate::scheduler::Worker;"), refused);
        assert_eq!(
            complaints(path, "fn a() { crate::scheduler::wake() }"),
            refused
        );
        assert_eq!(
            complaints(path, "use crate::{loom::{a, b}, scheduler::{c}};"),
            refused
        );
        assert_eq!(
            complaints(path, "use crate::{\n    loom,\n    scheduler,\n};"),
            refused
        );
        assert_eq!(
            complaints("runtime/src/driver/op.rs", "use crate::task;").len(),
            1
        );
        assert_eq!(
            complaints("net/src/tcp.rs", "use ringway_runtime::scheduler::X;").len(),
            1
        );
    }

    #[test]
    fn other_paths_comments_and_tests_are_free() {
        let path = "runtime/src/task/state.rs";
        assert_eq!(
            complaints(
                path,
                "use crate::loom::scheduler;\nuse crate::task::scheduler;"
            ),
            [""; 0]
        );
        assert_eq!(
            complaints(path, "use crate::{loom::{scheduler}, task};"),
            [""; 0]
        );
        assert_eq!(complaints(path, "// crate::scheduler calls this"), [""; 0]);
        assert_eq!(
            complaints(path, "#[cfg(test)]\nmod tests {\n use crate::scheduler;\n}"),
            [""; 0]
        );
        assert_eq!(
            complaints("runtime/src/scheduler/a.rs", "use crate::{task, driver};"),
            [""; 0]
        );
    }

    #[test]
    fn cfg_loom_has_one_home() {
        assert_eq!(
            complaints("runtime/src/task/cell.rs", "#[cfg(not(loom))]\nfn a() {}").len(),
            1
        );
        assert_eq!(complaints("timer/src/lib.rs", "if cfg!(loom) {}").len(), 1);
        assert_eq!(
            complaints("runtime/src/loom/mod.rs", "#[cfg(loom)]\nmod model;"),
            [""; 0]
        );
        assert_eq!(
            complaints("runtime/src/task/cell.rs", "use crate::loom::AtomicU64;"),
            [""; 0]
        );
    }
}
