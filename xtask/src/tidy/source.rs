//! A Rust file, split into what is code and what is comment.
//!
//! Not a parser: it knows comments, strings and characters, which is all that is needed to look for
//! words and to count braces without being deceived. Macros are read like any other code.

use std::ops::Range;

/// A source file whose code and comments can be looked at apart.
#[derive(Debug)]
pub(crate) struct Source {
    /// Path from the root of the workspace.
    pub(crate) path: String,
    /// The code by lines: comments and the insides of strings are blanks.
    pub(crate) code: Vec<String>,
    /// The comments by lines: everything else is blanks.
    pub(crate) comments: Vec<String>,
}

/// How the attributes begin that make an item a part of the tests.
const TEST_ATTRIBUTES: [&str; 2] = ["#[cfg(test", "#[cfg(all(test"];

/// What a character belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Code,
    Comment,
    Text,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Source {
        let characters: Vec<char> = text.chars().collect();
        let parts = parts(&characters);
        Source {
            path: path.to_owned(),
            code: lines_of(Part::Code, &characters, &parts),
            comments: lines_of(Part::Comment, &characters, &parts),
        }
    }

    /// Lines (from 0) at which `word` stands in the code as a word of its own.
    pub(crate) fn lines_with(&self, word: &str) -> impl Iterator<Item = usize> {
        let places = self.code.iter().enumerate();
        places.flat_map(move |(line, code)| words_at(code, word).map(move |_| line))
    }

    /// The lines (from 0) of modules and functions that are compiled for tests only.
    pub(crate) fn test_lines(&self) -> Vec<Range<usize>> {
        let attributes = self.code.iter().enumerate();
        attributes
            .filter(|(_, code)| {
                TEST_ATTRIBUTES
                    .iter()
                    .any(|start| code.trim().starts_with(start))
            })
            .map(|(line, _)| line..self.end_of_block(line, 0).unwrap_or(line) + 1)
            .collect()
    }

    /// The line at which the block closes that opens next after a place; `None` if none does before
    /// a `;` or the end of the block around it.
    pub(crate) fn end_of_block(&self, line: usize, column: usize) -> Option<usize> {
        let mut braces = 0;
        let mut brackets = 0;
        for (number, code) in self.code.iter().enumerate().skip(line) {
            let skipped = if number == line { column } else { 0 };
            for character in code.chars().skip(skipped) {
                match character {
                    '{' => braces += 1,
                    '}' if braces == 0 => return None,
                    '}' if braces == 1 => return Some(number),
                    '}' => braces -= 1,
                    '(' | '[' => brackets += 1,
                    ')' | ']' => brackets -= 1,
                    ';' if braces == 0 && brackets == 0 => return None,
                    _ => {}
                }
            }
        }
        None
    }
}

/// Columns (in characters) at which `word` stands in `code` with no letter, digit or `_` beside it.
pub(crate) fn words_at(code: &str, word: &str) -> impl Iterator<Item = usize> {
    let inside = |character: char| character.is_alphanumeric() || character == '_';
    code.match_indices(word).filter_map(move |(start, found)| {
        let before = code[..start].chars().next_back();
        let after = code[start + found.len()..].chars().next();
        let alone = !before.is_some_and(inside) && !after.is_some_and(inside);
        alone.then(|| code[..start].chars().count())
    })
}

fn lines_of(wanted: Part, characters: &[char], parts: &[Part]) -> Vec<String> {
    let blanked: String = characters
        .iter()
        .zip(parts)
        .map(|(&character, &part)| {
            if part == wanted || character == '\n' {
                character
            } else {
                ' '
            }
        })
        .collect();
    blanked.lines().map(str::to_owned).collect()
}

/// Says of every character what it belongs to.
fn parts(characters: &[char]) -> Vec<Part> {
    let mut parts = vec![Part::Code; characters.len()];
    let mut at = 0;
    while at < characters.len() {
        let rest = &characters[at..];
        let (part, length) = match rest {
            ['/', '/', ..] => (Part::Comment, line_comment(rest)),
            ['/', '*', ..] => (Part::Comment, block_comment(rest)),
            ['"', ..] => (Part::Text, quoted(rest, '"')),
            ['r', ..] if begins_word(characters, at) => match raw_string(rest) {
                Some(length) => (Part::Text, length),
                None => (Part::Code, 1),
            },
            ['\'', '\\', ..] | ['\'', _, '\'', ..] => (Part::Text, quoted(rest, '\'')),
            _ => (Part::Code, 1),
        };
        let end = (at + length).min(characters.len());
        parts[at..end].fill(part);
        at = end;
    }
    parts
}

/// Whether no identifier goes on at `at`; `b` and `c` may stand before the `r` of a raw string.
fn begins_word(characters: &[char], at: usize) -> bool {
    let inside = |at: usize| characters[at].is_alphanumeric() || characters[at] == '_';
    let start = if at > 0 && matches!(characters[at - 1], 'b' | 'c') {
        at - 1
    } else {
        at
    };
    start == 0 || !inside(start - 1)
}

fn line_comment(rest: &[char]) -> usize {
    rest.iter()
        .position(|&character| character == '\n')
        .unwrap_or(rest.len())
}

fn block_comment(rest: &[char]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Length of the raw string that begins at the `r`; `None` if it is an identifier.
fn raw_string(rest: &[char]) -> Option<usize> {
    let hashes = rest[1..]
        .iter()
        .take_while(|&&character| character == '#')
        .count();
    let inside = rest.get(1 + hashes..)?;
    if inside.first() != Some(&'"') {
        return None;
    }
    let close: Vec<char> = std::iter::once('"')
        .chain(std::iter::repeat_n('#', hashes))
        .collect();
    let end = inside[1..]
        .windows(close.len())
        .position(|window| window == close)?;
    Some(1 + hashes + 1 + end + close.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The word, which does not stand in this file.
    const WORD: &str = concat!("un", "safe");

    fn code(text: &str) -> String {
        Source::new("x.rs", text).code.join("\n")
    }

    #[test]
    fn comments_and_strings_are_no_code() {
        assert_eq!(code(&format!("a // {WORD}\nb")).replace(' ', ""), "a\nb");
        assert_eq!(code("a /* { /* { */ } */ b").replace(' ', ""), "ab");
        assert_eq!(code(r#"a("un\"safe {") b"#).replace(' ', ""), "a()b");
        assert_eq!(code("a(r#\"un\"safe {\"#) b").replace(' ', ""), "a()b");
        assert_eq!(code("a(br\"\\\") b").replace(' ', ""), "a(b)b");
        assert_eq!(code(r"a('{', '\'', b'\\') b").replace(' ', ""), "a(,,b)b");
    }

    #[test]
    fn lifetimes_and_raw_identifiers_are_code() {
        assert_eq!(
            code("fn f<'a>(x: &'a str, r#type: u8)"),
            "fn f<'a>(x: &'a str, r#type: u8)"
        );
    }

    #[test]
    fn comments_are_found_on_their_line() {
        let source = Source::new("x.rs", "a\nb // why\n");
        assert_eq!(source.comments[0].trim(), "");
        assert_eq!(source.comments[1].trim(), "// why");
    }

    #[test]
    fn a_word_is_not_part_of_another() {
        let text = format!("{WORD} {{}}\n{WORD}_code\nnot_{WORD}\n {WORD} impl");
        let source = Source::new("x.rs", &text);
        assert_eq!(source.lines_with(WORD).collect::<Vec<_>>(), [0, 3]);
    }

    #[test]
    fn a_test_module_is_found_to_its_end() {
        let source = Source::new(
            "x.rs",
            "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n",
        );
        assert_eq!(source.test_lines(), vec![Range { start: 1, end: 5 }]);
    }

    #[test]
    fn a_block_ends_where_its_brace_closes() {
        let source = Source::new("x.rs", "fn a(x: [u8; 2]) {\n  if b {\n  }\n}\nfn c();\n");
        assert_eq!(source.end_of_block(0, 0), Some(3));
        assert_eq!(source.end_of_block(4, 0), None);
    }
}
