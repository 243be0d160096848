//! Paths that the documents name must exist.
//!
//! A path is what stands in backticks or as the target of a link and begins with a folder or is a file
//! of the workspace's root, or ends as a source file does.

use std::path::Path;

use super::{Complaint, Files};

/// The map of the code, without which nobody finds anything.
const MAP: &str = "docs/ARCHITECTURE.md";

/// How files end that can only be ours.
const ENDINGS: [&str; 3] = [".rs", ".md", ".toml"];

pub(super) fn check(files: &Files, root: &Path) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    if files.text(MAP).is_none() {
        complaints.push(Complaint::error(MAP, 0, "missing"));
    }
    let documents = files.texts.iter().filter(|(path, _)| path.ends_with(".md"));
    for (document, text) in documents {
        for (line, text) in (1..).zip(text.lines()) {
            let in_backticks = text
                .split('`')
                .skip(1)
                .step_by(2)
                .filter(|name| is_path(name, root));
            for name in in_backticks.filter(|name| !root.join(name).exists()) {
                complaints.push(Complaint::error(
                    document,
                    line,
                    format!("`{name}` does not exist"),
                ));
            }
            let folder = root.join(document);
            let folder = folder.parent().expect("a file is in a folder");
            for target in link_targets(text).filter(|target| !folder.join(target).exists()) {
                complaints.push(Complaint::error(
                    document,
                    line,
                    format!("link to `{target}`, which does not exist"),
                ));
            }
        }
    }
    complaints
}

/// Whether `name` means a file or folder of the workspace.
fn is_path(name: &str, root: &Path) -> bool {
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
    if name.is_empty() || name.starts_with(['/', '.', '-']) || !name.chars().all(plain) {
        return false;
    }
    match name.split_once('/') {
        Some((first, _)) => {
            root.join(first).is_dir() || ENDINGS.iter().any(|ending| name.ends_with(ending))
        }
        None => false,
    }
}

/// Targets of links within the workspace, without their anchors.
fn link_targets(text: &str) -> impl Iterator<Item = &str> {
    let targets = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ', '#']).next());
    targets.filter(|target| {
        !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:")
    })
}

#[cfg(test)]
mod tests {
    use super::super::{files, printed};
    use super::*;
    use crate::chore::root;

    fn complaints(text: &str) -> Vec<String> {
        printed(&check(&files(&[(MAP, text)]), root()))
    }

    #[test]
    fn a_path_that_does_not_exist_is_named() {
        assert_eq!(
            complaints(
                "See\n`xtask/src/nothing.rs`, `xtask/src/main.rs`, `nothing/`, `other/a.rs`."
            ),
            [
                "docs/ARCHITECTURE.md:2: `xtask/src/nothing.rs` does not exist",
                "docs/ARCHITECTURE.md:2: `other/a.rs` does not exist",
            ]
        );
        assert_eq!(
            complaints("[a](nothing.md) [b](../xtask/Cargo.toml#x) [c](https://example.org/)"),
            ["docs/ARCHITECTURE.md:1: link to `nothing.md`, which does not exist"]
        );
    }

    #[test]
    fn code_is_no_path() {
        assert_eq!(
            complaints("`cargo bench`, `a/b`, `u8`, `/proc/self`, `fs::read`, `--x/y`"),
            [""; 0]
        );
    }

    #[test]
    fn the_map_must_be_there() {
        assert_eq!(check(&files(&[]), root()).len(), 1);
    }
}
