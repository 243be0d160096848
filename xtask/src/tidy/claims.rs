//! The tests that the pages of promises name are there, and where the pages say.
//!
//! A test is called by a sentence, so a name in backticks that has three words or more is taken for one: there must be a
//! function of that name, or an entry in the list of a test without a harness. Where the page goes on ``in `PATH` ``, that file, or one
//! below that folder, must have it.

use super::source::words_at;
use super::{Complaint, Files};

/// The pages that say which test shows what.
const PAGES: [&str; 2] = ["docs/PROMISES.md", "tests/loom/README.md"];

pub(super) fn check(files: &Files) -> Vec<Complaint> {
    PAGES
        .iter()
        .filter_map(|page| Some((page, files.text(page)?)))
        .flat_map(|(page, text)| {
            (1..)
                .zip(text.lines())
                .flat_map(|(number, line)| check_line(files, page, number, line))
        })
        .collect()
}

fn check_line(files: &Files, page: &str, number: usize, line: &str) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    // Whose place has not been told yet.
    let mut waiting: Vec<&str> = Vec::new();
    let parts: Vec<&str> = line.split('`').collect();
    for (at, name) in parts.iter().enumerate().skip(1).step_by(2) {
        let before = parts[at - 1];
        if is_sentence(name) {
            let goes_on = [", ", " and ", ""].contains(&before);
            if !goes_on {
                waiting.clear();
            }
            waiting.push(name);
            if !is_there(files, name, "") {
                let message = format!("there is no test `{name}`");
                complaints.push(Complaint::error(page, number, message));
                waiting.pop();
            }
        } else if before == " in " && name.contains('/') {
            let strange = waiting
                .drain(..)
                .filter(|test| !is_there(files, test, name));
            let messages = strange.map(|test| format!("`{test}` is not in `{name}`"));
            complaints.extend(messages.map(|message| Complaint::error(page, number, message)));
        } else {
            waiting.clear();
        }
    }
    complaints
}

/// Whether it is the name of a test: three words or more.
fn is_sentence(name: &str) -> bool {
    let plain = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    let mut words = name.split('_');
    words.clone().count() >= 3 && words.all(|word| !word.is_empty() && word.chars().all(plain))
}

/// Whether a source that is, or is below, `path` has a test `name`.
fn is_there(files: &Files, name: &str, path: &str) -> bool {
    files
        .texts
        .iter()
        .filter(|(source, _)| source.starts_with(path) && source.ends_with(".rs"))
        .any(|(_, text)| text.lines().any(|line| defines(line, name)))
}

/// A function, or an entry in the list of tests that have no harness.
fn defines(line: &str, name: &str) -> bool {
    words_at(line, name).any(|column| {
        let before: String = line.chars().take(column).collect();
        let after: String = line.chars().skip(column + name.chars().count()).collect();
        before.trim_end().ends_with("fn") || (before.ends_with('"') && after.starts_with('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{files, printed};
    use super::*;

    fn complaints(text: &str) -> Vec<String> {
        let test = "#[test]\nfn a_stone_falls_down() {\n}\nconst LIST: [&str; 1] = [\"a_bird_flies_up\"];\n";
        let files = files(&[
            (PAGES[0], text),
            ("tests/stones.rs", test),
            ("tests/birds.rs", ""),
        ]);
        printed(&check(&files))
    }

    #[test]
    fn a_test_that_is_named_is_there() {
        assert_eq!(
            complaints("`a_stone_falls_down` and `a_bird_flies_up`"),
            [""; 0]
        );
        assert_eq!(
            complaints("first\n`a_stone_falls_up`"),
            ["docs/PROMISES.md:2: there is no test `a_stone_falls_up`"]
        );
        assert_eq!(
            complaints("`two_words`, `Wheel::next_deadline_exact_ns`, `a__b_c`"),
            [""; 0]
        );
    }

    #[test]
    fn it_is_where_it_is_said_to_be() {
        assert_eq!(
            complaints("`a_stone_falls_down` in `tests/stones.rs`"),
            [""; 0]
        );
        assert_eq!(
            complaints("`a_stone_falls_down`, `a_bird_flies_up` in `tests/`"),
            [""; 0]
        );
        assert_eq!(
            complaints("`a_stone_falls_down`, `a_bird_flies_up` in `tests/birds.rs`"),
            [
                "docs/PROMISES.md:1: `a_stone_falls_down` is not in `tests/birds.rs`",
                "docs/PROMISES.md:1: `a_bird_flies_up` is not in `tests/birds.rs`",
            ]
        );
        // What stands between them parts them.
        assert_eq!(
            complaints("`a_stone_falls_down`; 5 in `tests/birds.rs`"),
            [""; 0]
        );
    }
}
