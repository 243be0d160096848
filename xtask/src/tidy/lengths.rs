//! Alarms for files and functions that have grown too long to be read at once.

use super::source::{Source, words_at};
use super::{Complaint, Files};

/// Lines of a file, tests included.
const FILE_LINES_MAX: usize = 700;

/// Lines of a function, from `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

pub(super) fn check(files: &Files) -> Vec<Complaint> {
    files
        .sources
        .iter()
        .flat_map(|source| file(source).into_iter().chain(functions(source)))
        .collect()
}

fn file(source: &Source) -> Option<Complaint> {
    let lines = source.code.len();
    let message = format!("{lines} lines; a file has at most {FILE_LINES_MAX}: split it");
    (lines > FILE_LINES_MAX).then(|| Complaint::error(&source.path, 0, message))
}

fn functions(source: &Source) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (line, code) in source.code.iter().enumerate() {
        for column in words_at(code, "fn") {
            let name = code.chars().skip(column + 2).collect::<String>();
            let name = name
                .trim_start()
                .split(['(', '<'])
                .next()
                .unwrap_or_default();
            // `fn(u8)` is a type.
            let end = if name.is_empty() {
                None
            } else {
                source.end_of_block(line, column)
            };
            let lines = end.map_or(0, |end| end - line + 1);
            if lines > FUNCTION_LINES_MAX {
                let message = format!(
                    "`{name}` has {lines} lines; a function has at most {FUNCTION_LINES_MAX}"
                );
                complaints.push(Complaint::error(&source.path, line + 1, message));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::super::{files, printed};
    use super::*;

    fn function(lines: usize) -> String {
        format!(
            "fn short() {{}}\npub fn long<'a>(\n) {{\n{}}}\n",
            "    step();\n".repeat(lines - 3)
        )
    }

    #[test]
    fn a_long_file_is_refused() {
        let complaints = |lines| check(&files(&[("a.rs", &"x();\n".repeat(lines))])).len();
        assert_eq!(complaints(FILE_LINES_MAX), 0);
        assert_eq!(complaints(FILE_LINES_MAX + 1), 1);
    }

    #[test]
    fn a_long_function_is_refused_at_its_first_line() {
        assert!(check(&files(&[("a.rs", &function(FUNCTION_LINES_MAX))])).is_empty());
        let complaints = check(&files(&[("a.rs", &function(FUNCTION_LINES_MAX + 1))]));
        assert_eq!(
            printed(&complaints),
            ["a.rs:2: `long` has 71 lines; a function has at most 70"]
        );
    }

    #[test]
    fn declarations_and_types_have_no_length() {
        let text = format!(
            "trait A {{\n fn a(x: fn(u8));\n}}\n{}",
            "struct B {\n f: fn(u8),\n}\n".repeat(40)
        );
        assert!(check(&files(&[("a.rs", &text)])).is_empty());
    }
}
