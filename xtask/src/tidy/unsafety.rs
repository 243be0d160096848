//! The budget of unsafe code, which docs/UNSAFE.md keeps.
//!
//! The document has a table with a row for each file that uses the word `unsafe` in its code: the path
//! in backticks, then how often. Both must be exact, so that the budget shrinks with the code, and a
//! change that makes it grow has to say so in the document.

use std::collections::BTreeMap;

use super::{Complaint, Files};

const DOCUMENT: &str = "docs/UNSAFE.md";

pub(super) fn check(files: &Files) -> Vec<Complaint> {
    let Some(document) = files.text(DOCUMENT) else {
        return vec![Complaint::error(
            DOCUMENT,
            0,
            "missing; see `cargo xtask tidy --unsafe-table`",
        )];
    };
    let mut budget = budget(document);
    let mut complaints = Vec::new();
    for (path, count) in counts(files) {
        let allowed = budget.remove(path);
        let message = match allowed {
            None => format!("unsafe code in a file that {DOCUMENT} does not list"),
            Some((_, allowed)) if count > allowed => {
                format!("`unsafe` stands here {count} times; {DOCUMENT} allows {allowed}")
            }
            Some((_, allowed)) if count < allowed => {
                format!(
                    "`unsafe` stands here {count} times; lower the budget of {allowed} in {DOCUMENT}"
                )
            }
            Some(_) => continue,
        };
        complaints.push(Complaint::error(path, 0, message));
    }
    let stale = budget.into_iter().map(|(path, (line, _))| {
        Complaint::error(
            DOCUMENT,
            line,
            format!("`{path}` is gone or has no unsafe code: remove the row"),
        )
    });
    complaints.extend(stale);
    complaints
}

/// The table as the document should have it, but for the reasons.
pub(super) fn table(files: &Files) -> String {
    let rows = counts(files).map(|(path, count)| format!("| `{path}` | {count} | |\n"));
    format!(
        "| file | budget | why |\n|---|---:|---|\n{}",
        rows.collect::<String>()
    )
}

/// The files that have unsafe code, and how often the word stands in each.
fn counts(files: &Files) -> impl Iterator<Item = (&str, usize)> {
    let sources = files.sources.iter();
    sources
        .map(|source| (source.path.as_str(), source.lines_with("unsafe").count()))
        .filter(|(_, count)| *count > 0)
}

/// The rows of the document's table: path, line (from 1) and budget.
fn budget(document: &str) -> BTreeMap<&str, (usize, usize)> {
    let lines = (1..).zip(document.lines());
    lines
        .filter_map(|(line, text)| {
            let mut cells = text.strip_prefix('|')?.split('|').map(str::trim);
            let path = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
            Some((path, (line, cells.next()?.parse().ok()?)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{files, printed};
    use super::*;

    /// The word, which does not stand in the inputs below.
    const WORD: &str = concat!("un", "safe");

    /// Has it twice as a word of code, and besides in a comment and in other words.
    fn source() -> String {
        let lint = format!("#![deny({WORD}_op_in_{WORD}_fn)]");
        let code = format!("{WORD} fn a() {{ {WORD} {{ b() }} }}");
        format!("//! {WORD}\n{lint}\n{code}\n")
    }

    fn complaints(document: &str) -> Vec<String> {
        printed(&check(&files(&[
            ("a.rs", &source()),
            ("docs/UNSAFE.md", document),
        ])))
    }

    #[test]
    fn the_budget_is_exact() {
        assert_eq!(
            complaints("text\n| file | budget |\n|---|--:|\n| `a.rs` | 2 | why |\n"),
            [""; 0]
        );
        assert_eq!(
            complaints("| `a.rs` | 1 |"),
            ["a.rs: `unsafe` stands here 2 times; docs/UNSAFE.md allows 1"]
        );
        assert_eq!(
            complaints("| `a.rs` | 3 |"),
            ["a.rs: `unsafe` stands here 2 times; lower the budget of 3 in docs/UNSAFE.md"]
        );
    }

    #[test]
    fn a_file_must_be_listed_and_a_listed_file_must_be_there() {
        assert_eq!(
            complaints(""),
            ["a.rs: unsafe code in a file that docs/UNSAFE.md does not list"]
        );
        assert_eq!(
            complaints("| `a.rs` | 2 |\n| `b.rs` | 1 |"),
            ["docs/UNSAFE.md:2: `b.rs` is gone or has no unsafe code: remove the row"]
        );
    }

    #[test]
    fn the_document_must_be_there() {
        assert_eq!(check(&files(&[("a.rs", "")])).len(), 1);
    }

    #[test]
    fn the_printed_table_passes() {
        let table = table(&files(&[("a.rs", &source())]));
        assert_eq!(complaints(&table), [""; 0]);
    }
}
