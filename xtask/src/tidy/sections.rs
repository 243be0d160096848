//! What the documentation of a public function must say, by its headings: an async function what is lost when its
//! future is dropped, one that returns a result when it fails, one that blames its caller when it panics.

use super::source::Source;
use super::{Complaint, Files};

/// The folders of what is published.
pub(super) const FOLDERS: [&str; 13] = [
    "axum/src/",
    "fs/src/",
    "hickory/src/",
    "hyper/src/",
    "net/src/",
    "process/src/",
    "quinn/src/",
    "runtime/src/",
    "signal/src/",
    "src/",
    "stdio/src/",
    "timer/src/",
    "uring/src/",
];

/// What makes a heading necessary, and the heading.
type Rule = (fn(&Function) -> bool, &'static str);

const RULES: [Rule; 3] = [
    (|function| function.is_async(), "# Cancel safety"),
    (|function| function.may_fail(), "# Errors"),
    (|function| function.is_tracked, "# Panics"),
];

/// A public function and what is said of it.
pub(super) struct Function {
    /// From 1.
    pub(super) line: usize,
    /// From `pub` to the body.
    pub(super) head: String,
    pub(super) documentation: String,
    /// It has `#[track_caller]`.
    is_tracked: bool,
    /// It has `#[deprecated]`, with or without a note.
    pub(super) is_deprecated: bool,
}

impl Function {
    pub(super) fn name(&self) -> &str {
        let after = self.head.split_once("fn ").map_or("", |(_, after)| after);
        after.split(['(', '<']).next().unwrap_or_default()
    }

    pub(super) fn is_async(&self) -> bool {
        self.head.contains("async fn")
    }

    pub(super) fn may_fail(&self) -> bool {
        let head = self.head.split(" where ").next().unwrap_or_default();
        // An arrow inside of brackets belongs to an argument.
        let mut depth = 0;
        let mut before = ' ';
        for (at, character) in head.char_indices() {
            match (before, character) {
                ('-', '>') if depth == 0 => return head[at..].contains("Result<"),
                ('-', '>') => {}
                (_, '(' | '<') => depth += 1,
                (_, ')' | '>') => depth -= 1,
                _ => {}
            }
            before = character;
        }
        false
    }
}

pub(super) fn check(files: &Files) -> Vec<Complaint> {
    FOLDERS
        .iter()
        .flat_map(|folder| files.below(folder))
        .flat_map(check_source)
        .collect()
}

fn check_source(source: &Source) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for function in functions(source) {
        for (is_needed, heading) in RULES {
            if is_needed(&function) && !function.documentation.contains(heading) {
                let message = format!("`{}` has no section `{heading}`", function.name());
                complaints.push(Complaint::error(&source.path, function.line, message));
            }
        }
    }
    complaints
}

/// The public functions that are documented, but for those of the tests.
pub(super) fn functions(source: &Source) -> Vec<Function> {
    let tests = source.test_lines();
    let mut found = Vec::new();
    let mut documentation = String::new();
    let mut attributes = String::new();
    for (line, code) in source.code.iter().enumerate() {
        let (code, comment) = (code.trim(), source.comments[line].trim());
        if let Some(text) = comment.strip_prefix("///") {
            documentation.push_str(text);
            documentation.push('\n');
        } else if code.starts_with("#[") || is_open(&attributes) {
            attributes.push_str(code);
        } else if !code.is_empty() || comment.is_empty() {
            let is_for_tests = tests.iter().any(|lines| lines.contains(&line));
            if is_function(code) && !is_for_tests && !attributes.contains("doc(hidden)") {
                found.push(Function {
                    line: line + 1,
                    head: head(source, line),
                    documentation: documentation.clone(),
                    is_tracked: attributes.contains("#[track_caller]"),
                    is_deprecated: attributes.contains("#[deprecated"),
                });
            }
            documentation.clear();
            attributes.clear();
        }
    }
    found
}

/// Whether an attribute goes on in the next line.
fn is_open(attributes: &str) -> bool {
    attributes.matches('[').count() > attributes.matches(']').count()
}

fn is_function(code: &str) -> bool {
    let Some(rest) = code.strip_prefix("pub ") else {
        return false;
    };
    rest.split_once("fn ").is_some_and(|(before, _)| {
        before
            .split_whitespace()
            .all(|word| ["async", "const", "unsafe"].contains(&word))
    })
}

/// The function's head on one line.
fn head(source: &Source, line: usize) -> String {
    let mut head = String::new();
    for code in &source.code[line..] {
        head.push_str(code.trim());
        head.push(' ');
        if code.contains(['{', ';']) {
            break;
        }
    }
    head
}

#[cfg(test)]
mod tests {
    use super::super::{files, printed};
    use super::*;

    fn complaints(text: &str) -> Vec<String> {
        printed(&check(&files(&[("net/src/a.rs", text)])))
    }

    #[test]
    fn an_async_function_says_what_a_drop_loses() {
        let complaint = ["net/src/a.rs:2: `f` has no section `# Cancel safety`"];
        assert_eq!(complaints("/// Does.\npub async fn f() {\n}\n"), complaint);
        assert!(
            complaints("/// # Cancel safety\n///\n/// Safe.\npub async fn f() {\n}\n").is_empty()
        );
        assert!(complaints("/// Does.\nasync fn f() {\n}\n").is_empty());
        assert!(complaints("/// Does.\npub(crate) async fn f() {\n}\n").is_empty());
    }

    #[test]
    fn a_function_that_fails_says_when() {
        let complaint = ["net/src/a.rs:3: `f` has no section `# Errors`"];
        let text = "/// Does.\n#[inline]\npub fn f(\n    a: u8,\n) -> Poll<io::Result<()>> {\n}\n";
        assert_eq!(complaints(text), complaint);
        assert!(complaints(&text.replace("Does.", "# Errors")).is_empty());
        let of_argument = "/// Does.\npub fn f(g: impl Fn() -> io::Result<()>) -> u8 {\n}\n";
        assert!(complaints(of_argument).is_empty());
    }

    #[test]
    fn a_function_that_blames_its_caller_says_for_what() {
        let complaint = ["net/src/a.rs:3: `f` has no section `# Panics`"];
        let text = "/// Does.\n#[track_caller]\npub fn f() {\n}\n";
        assert_eq!(complaints(text), complaint);
        assert!(complaints(&text.replace("Does.", "# Panics")).is_empty());
    }

    #[test]
    fn what_is_hidden_or_a_test_may_say_nothing() {
        assert!(complaints("#[doc(hidden)]\npub async fn f() {\n}\n").is_empty());
        assert!(
            complaints("#[cfg(test)]\nmod tests {\n    pub async fn f() {\n    }\n}\n").is_empty()
        );
    }

    #[test]
    fn what_is_said_of_one_function_is_not_said_of_the_next() {
        let text = "/// # Cancel safety\npub async fn f() {\n}\n\npub async fn g() {\n}\n";
        let complaint = ["net/src/a.rs:5: `g` has no section `# Cancel safety`"];
        assert_eq!(complaints(text), complaint);
    }
}
