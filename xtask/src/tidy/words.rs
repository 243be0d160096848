//! Words that may not be committed: unfinished work, tests that are switched off, silent `allow`s,
//! and paths that exist on one machine only.

use super::source::Source;
use super::{Complaint, Files};

/// In code, comments being no matter. They are put together here, so that this file holds none of them.
const IN_CODE: &[(&str, &str)] = &[
    (concat!("to", "do!"), "finish it"),
    (concat!("unimpl", "emented!"), "finish it"),
    (concat!("#[ign", "ore"), "a test runs or is removed"),
];

/// In the code of the crates. A module that several test programs share cannot do without: what one of
/// them leaves unused, another uses.
const ALLOWS: &[(&str, &str)] = &[
    (
        concat!("#[al", "low("),
        "use `expect`, which says when it is no longer needed",
    ),
    (
        concat!("#![al", "low("),
        "use `expect`, which says when it is no longer needed",
    ),
];

/// Code that is written into other people's programs, where an `expect` could fail.
const GENERATOR: &str = "macros/";

/// In any text file.
const IN_TEXT: &[(&str, &str)] = &[
    (concat!("FIX", "ME"), "fix it or open an issue"),
    (concat!("TO", "DO"), "do it or open an issue"),
    (concat!("XX", "X"), "say what is meant"),
    (concat!("HA", "CK"), "say why it has to be so"),
    (concat!("/ho", "me/"), "a path of one machine"),
    (concat!("/wo", "rk/"), "a path of one machine"),
];

/// What nobody writes.
const EXEMPT: [&str; 1] = ["Cargo.lock"];

pub(super) fn check(files: &Files) -> Vec<Complaint> {
    let sources = files
        .sources
        .iter()
        .filter(|source| !is_exempt(&source.path));
    let texts = files.texts.iter().filter(|(path, _)| !is_exempt(path));
    let in_text = texts.flat_map(|(path, text)| find(path, text.lines(), IN_TEXT));
    sources.flat_map(in_code).chain(in_text).collect()
}

fn is_exempt(path: &str) -> bool {
    EXEMPT.contains(&path)
}

fn in_code(source: &Source) -> Vec<Complaint> {
    let Source { path, code, .. } = source;
    let code = || code.iter().map(String::as_str);
    let in_crate = path.starts_with("src/") || path.contains("/src/");
    let allows = if in_crate && !path.starts_with(GENERATOR) {
        ALLOWS
    } else {
        &[]
    };
    [find(path, code(), IN_CODE), find(path, code(), allows)].concat()
}

fn find<'a>(
    path: &str,
    lines: impl Iterator<Item = &'a str>,
    words: &[(&str, &str)],
) -> Vec<Complaint> {
    (1..)
        .zip(lines)
        .flat_map(|(line, text)| {
            let found = words.iter().filter(|(word, _)| text.contains(word));
            found.map(move |(word, advice)| {
                Complaint::error(path, line, format!("`{word}`: {advice}"))
            })
        })
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
    fn unfinished_work_and_silenced_tests_are_refused() {
        assert_eq!(
            complaints("a.rs", concat!("fn a() {\n    to", "do!()\n}")),
            [concat!("a.rs:2: `to", "do!`: finish it")]
        );
        let silenced = concat!("#[ign", "ore = \"slow\"]");
        assert_eq!(complaints("a.rs", silenced).len(), 1);
        let outer = concat!("#[al", "low(dead_code)]");
        assert_eq!(complaints("src/a.rs", outer).len(), 1);
        let inner = concat!("#![al", "low(dead_code)]");
        assert_eq!(complaints("fs/src/a.rs", inner).len(), 1);
        assert_eq!(complaints("tests/a.rs", outer), [""; 0]);
        let generated = format!("quote!({outer})");
        assert_eq!(complaints("macros/src/a.rs", &generated), [""; 0]);
        assert_eq!(
            complaints("docs/a.md", concat!("TO", "DO: write")),
            [concat!("docs/a.md:1: `TO", "DO`: do it or open an issue")]
        );
    }

    #[test]
    fn comments_may_name_a_macro() {
        assert_eq!(
            complaints("a.rs", concat!("// no to", "do!() and no #[ign", "ore]")),
            [""; 0]
        );
    }
}
