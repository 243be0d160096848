//! Every public function that does something is shown at work.
//!
//! The example is its own, or another one of the same file in which it is called: its type's, or a neighbour's. A
//! function whose documentation begins with `As [other]` (in code) does as that one does, and is shown with it.
//!
//! No example is asked of what only tells (nothing but `self` goes in, a value comes out, nothing can fail), of what is
//! deprecated, hidden or a test, and of functions that get their names from a macro's argument, which cannot be seen
//! here.

use std::collections::HashSet;

use super::sections::{self, Function};
use super::source::{Source, words_at};
use super::{Complaint, Files};

/// What is `pub` and yet not for users, and why.
const INSIDE: [(&str, &str); 23] = [
    ("net/src/op/accept.rs", "private"),
    ("net/src/seam.rs", "hidden: for the completion face"),
    ("net/src/socket/specimen.rs", "hidden: for models"),
    ("net/src/socket/stash.rs", "hidden: for the completion face"),
    ("runtime/src/blocking/crew.rs", "hidden: for models"),
    ("runtime/src/blocking/queue.rs", "hidden: for models"),
    (
        "runtime/src/driver/",
        "for the crates of this workspace; users meet it as `uring`, and see it at work there",
    ),
    ("runtime/src/local/mailbox.rs", "hidden: for models"),
    ("runtime/src/loom/", "private"),
    ("runtime/src/offer.rs", "hidden: for models"),
    ("runtime/src/pause.rs", "hidden: for models"),
    ("runtime/src/scheduler/", "private, or hidden for models"),
    ("runtime/src/spin.rs", "private"),
    ("runtime/src/task/cell.rs", "private"),
    ("runtime/src/task/owned.rs", "hidden: for models"),
    ("runtime/src/task/poll_time.rs", "private"),
    ("runtime/src/task/raw.rs", "hidden: for models"),
    (
        "runtime/src/trace/",
        "hidden: for the crates of this workspace",
    ),
    ("signal/src/seam.rs", "hidden: for `process`"),
    ("signal/src/specimen.rs", "hidden: for models"),
    ("timer/src/seam.rs", "for a runtime to implement"),
    ("timer/src/wheel/", "for a runtime to use"),
    (
        "uring/src/op/",
        "private: made by the functions of the crate",
    ),
];

pub(super) fn check(files: &Files) -> Vec<Complaint> {
    let outside = sections::FOLDERS
        .iter()
        .flat_map(|folder| files.below(folder))
        .filter(|source| !INSIDE.iter().any(|(path, _)| source.path.starts_with(path)));
    let shown: Vec<_> = outside.map(Shown::of).collect();
    let names: HashSet<&str> = shown.iter().flat_map(Shown::names).collect();
    shown
        .iter()
        .flat_map(|shown| shown.complaints(&names))
        .collect()
}

/// The functions of a file, and what its examples say.
struct Shown<'a> {
    source: &'a Source,
    functions: Vec<Function>,
    /// The lines of its examples.
    examples: Vec<&'a str>,
}

impl<'a> Shown<'a> {
    fn of(source: &'a Source) -> Shown<'a> {
        Shown {
            source,
            functions: sections::functions(source),
            examples: examples(source),
        }
    }

    /// The functions that have an example or are called in one.
    fn names(&self) -> impl Iterator<Item = &str> {
        let functions = self.functions.iter();
        functions
            .filter(|function| self.shows(function))
            .map(Function::name)
    }

    fn shows(&self, function: &Function) -> bool {
        let name = function.name();
        function.documentation.contains("```") || self.examples.iter().any(|line| calls(line, name))
    }

    fn complaints(&self, names: &HashSet<&str>) -> Vec<Complaint> {
        let dark = self.functions.iter().filter(|function| {
            let other = described_by(&function.documentation);
            let is_shown = self.shows(function) || other.is_some_and(|other| names.contains(other));
            !is_shown && must_be_shown(function)
        });
        dark.map(|function| {
            let message = format!("`{}` is called in no example of this file", function.name());
            Complaint::error(&self.source.path, function.line, message)
        })
        .collect()
    }
}

/// The lines between the fences of the documentation.
fn examples(source: &Source) -> Vec<&str> {
    let mut found = Vec::new();
    let mut is_inside = false;
    for comment in &source.comments {
        let comment = comment.trim();
        let text = comment
            .strip_prefix("///")
            .or_else(|| comment.strip_prefix("//!"));
        match text.map(str::trim) {
            Some(fence) if fence.starts_with("```") => is_inside = !is_inside,
            Some(line) if is_inside => found.push(line),
            _ => {}
        }
    }
    found
}

fn calls(line: &str, name: &str) -> bool {
    words_at(line, name).any(|column| {
        let after: String = line.chars().skip(column + name.chars().count()).collect();
        after.starts_with('(') || after.starts_with("::<")
    })
}

/// Of `As [`other`](Self::other), …`: `other`.
fn described_by(documentation: &str) -> Option<&str> {
    let path = documentation
        .trim()
        .strip_prefix("As [`")?
        .split('`')
        .next()?;
    let name = path.rsplit("::").next()?;
    Some(name.trim_end_matches("()"))
}

fn must_be_shown(function: &Function) -> bool {
    let from_macro = function.name().starts_with('$');
    !from_macro && !function.is_deprecated && !only_tells(function)
}

/// Whether nothing but `self`, not to be changed, goes in, and a value comes out in any case.
fn only_tells(function: &Function) -> bool {
    let Some((arguments, result)) = signature(&function.head) else {
        return false;
    };
    let is_plain = !arguments.contains([':', ',']) && !arguments.contains("&mut");
    let answers = result.contains("->") && !result.contains("Poll<");
    is_plain && answers && !function.is_async() && !function.may_fail()
}

/// What is between the brackets of a function's arguments, and what comes after them.
fn signature(head: &str) -> Option<(&str, &str)> {
    let (_, after) = head.split_once("fn ")?;
    let mut angles = 0;
    let mut before = ' ';
    let open = after.char_indices().find(|&(_, character)| {
        match character {
            '<' => angles += 1,
            '>' if before != '-' => angles -= 1,
            _ => {}
        }
        before = character;
        character == '(' && angles == 0
    });
    let (open, _) = open?;
    let mut depth = 0;
    let close = after[open..].char_indices().find(|&(_, character)| {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    let close = open + close?.0;
    let arguments = after[open + 1..close].trim().trim_end_matches(',');
    Some((arguments, &after[close + 1..]))
}

#[cfg(test)]
mod tests {
    use super::super::{files, printed};
    use super::*;

    fn complaints(text: &str) -> Vec<String> {
        printed(&check(&files(&[("net/src/a.rs", text)])))
    }

    const DARK: [&str; 1] = ["net/src/a.rs:2: `f` is called in no example of this file"];

    #[test]
    fn what_does_something_is_shown() {
        assert_eq!(complaints("/// Does.\npub fn f(a: u8) {\n}\n"), DARK);
        assert_eq!(complaints("/// Does.\npub async fn f() -> u8 {\n}\n"), DARK);
        assert_eq!(
            complaints("/// Does.\npub fn f(&mut self) -> u8 {\n}\n"),
            DARK
        );
        assert_eq!(
            complaints("/// Does.\npub fn f(&self) -> Poll<u8> {\n}\n"),
            DARK
        );
        assert_eq!(
            complaints("/// Does.\npub fn f<F: Fn() -> u8>(self) {\n}\n"),
            DARK
        );
        let shown = "/// ```\n/// f(1);\n/// ```\npub fn f(a: u8) {\n}\n";
        assert_eq!(complaints(shown), [""; 0]);
    }

    #[test]
    fn an_example_of_the_same_file_shows_whom_it_calls() {
        let with = |line: &str| {
            format!("/// Does.\npub fn f(a: u8) {{\n}}\n//! ```\n//! {line}\n//! ```\n")
        };
        assert_eq!(complaints(&with("a.f(5)")), [""; 0]);
        assert_eq!(complaints(&with("f::<u8>(5)")), [""; 0]);
        assert_eq!(complaints(&with("fly(f, self.f)")), DARK);
        assert_eq!(
            complaints("/// Does.\npub fn f(a: u8) {\n    f(5)\n}\n// f(5)\n"),
            DARK
        );
    }

    #[test]
    fn as_another_is_shown_with_that_one() {
        let text = "/// As [`g`](Self::g), but late.\npub fn f(a: u8) {\n}\n";
        assert_eq!(complaints(text), DARK);
        let shown = format!("{text}/// ```\n/// g(1)\n/// ```\npub fn g(a: u8) {{\n}}\n");
        assert_eq!(complaints(&shown), [""; 0]);
    }

    #[test]
    fn what_only_tells_needs_no_example() {
        assert_eq!(
            complaints("/// Tells.\npub fn f(&self) -> u8 {\n}\n"),
            [""; 0]
        );
        assert_eq!(
            complaints("/// Tells.\npub fn f(self) -> Option<u8> {\n}\n"),
            [""; 0]
        );
        assert_eq!(
            complaints("/// Tells.\npub fn f(&self) -> io::Result<u8> {\n}\n"),
            DARK
        );
    }

    #[test]
    fn the_reasons_are_for_files_that_there_are() {
        for (path, reason) in INSIDE {
            assert!(crate::chore::root().join(path).exists(), "{path}: {reason}");
        }
    }
}
