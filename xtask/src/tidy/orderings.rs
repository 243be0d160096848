//! Memory orderings come in pairs, and the comment beside each says which is its other half.
//!
//! The rule: between three lines above the statement and the ordering itself stands a comment.

use super::source::Source;
use super::{Complaint, Files};

/// Where the rule holds.
const FOLDER: &str = "runtime/src/";

/// What needs a comment. `Relaxed` orders nothing, so it pairs with nothing.
const ORDERINGS: [&str; 4] = ["Acquire", "Release", "AcqRel", "SeqCst"];

/// How far above the statement the comment may end.
const LINES_ABOVE: usize = 3;

pub(super) fn check(files: &Files) -> Vec<Complaint> {
    files.below(FOLDER).flat_map(check_source).collect()
}

fn check_source(source: &Source) -> Vec<Complaint> {
    let tests = source.test_lines();
    let mut lines: Vec<(usize, &str)> = ORDERINGS
        .iter()
        .flat_map(|ordering| {
            source
                .lines_with(ordering)
                .map(move |line| (line, *ordering))
        })
        .filter(|(line, _)| !tests.iter().any(|test| test.contains(line)))
        .filter(|(line, _)| !source.code[*line].trim_start().starts_with("use "))
        .collect();
    lines.sort_unstable();
    lines.dedup_by_key(|(line, _)| *line);
    lines
        .into_iter()
        .filter(|(line, _)| !has_comment(source, *line))
        .map(|(line, ordering)| {
            let message = format!("no comment says what this `{ordering}` pairs with");
            Complaint::warning(&source.path, line + 1, message)
        })
        .collect()
}

fn has_comment(source: &Source, line: usize) -> bool {
    let first = statement_start(source, line).saturating_sub(LINES_ABOVE);
    source.comments[first..=line]
        .iter()
        .any(|comment| !comment.trim().is_empty())
}

/// The line on which the statement begins that goes on at `line`: the one after the last `;`, `{` or
/// `}` outside of brackets.
fn statement_start(source: &Source, line: usize) -> usize {
    let mut depth = 0;
    for above in (0..line).rev() {
        for character in source.code[above].chars().rev() {
            match character {
                ')' | ']' => depth += 1,
                '(' | '[' => depth -= 1,
                ';' | '{' | '}' if depth <= 0 => return above + 1,
                _ => {}
            }
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::super::{files, printed};
    use super::*;

    fn complaints(text: &str) -> Vec<String> {
        printed(&check(&files(&[("runtime/src/a.rs", text)])))
    }

    #[test]
    fn an_ordering_without_a_comment_is_named() {
        assert_eq!(
            complaints("fn a() {\n    b.load(Ordering::Acquire);\n}"),
            ["runtime/src/a.rs:2: warning: no comment says what this `Acquire` pairs with"]
        );
        assert_eq!(
            complaints("// Far.\n\n\n\n\nfn a() {\n    fence(SeqCst);\n}").len(),
            1
        );
    }

    #[test]
    fn a_comment_on_the_line_or_near_above_will_do() {
        assert_eq!(complaints("b.load(Acquire); // Pairs with c."), [""; 0]);
        assert_eq!(
            complaints("// Pairs with c.\nlet x =\n    b.load(Acquire);"),
            [""; 0]
        );
        let call = "// Pairs.\nlet x = b\n    .swap(\n        1,\n        2,\n        3,\n        AcqRel,\n    );";
        assert_eq!(complaints(call), [""; 0]);
    }

    #[test]
    fn relaxed_imports_and_tests_are_free() {
        assert_eq!(
            complaints("use Ordering::{Acquire, Release};\nb.load(Relaxed);"),
            [""; 0]
        );
        assert_eq!(
            complaints("#[cfg(test)]\nmod tests {\n    a.load(SeqCst);\n}"),
            [""; 0]
        );
    }
}
