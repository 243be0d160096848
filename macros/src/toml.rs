//! As much of TOML as it takes to find a dependency in a manifest.
//!
//! [`for_each_entry`] walks a document and reports every scalar together with its full key, however
//! it was written: below a `[header]`, with a dotted key, or in an inline table. Cargo has read the
//! file before us and refused it if it was malformed, so there are no error messages here: at the
//! first thing that makes no sense the walk ends, and what was found so far is the answer.
//!
//! Rejected: the crate `proc-macro-crate`, which does this job too. It brings a complete TOML editor
//! with its hash maps into the build of every program that uses an attribute, and starts a `cargo`
//! process to find the workspace.

/// A value, as far as the manifest reader can be interested in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    /// A string of any of the four kinds.
    Text(String),
    /// A boolean.
    Bool(bool),
    /// A number, a date, an array, or an empty table: it is there, and that is all.
    Other,
}

/// Calls `entry` with the key and the value of every scalar in `document`, in order.
///
/// An array counts as one value, and what stands inside it is not reported.
pub(crate) fn for_each_entry(document: &str, mut entry: impl FnMut(&[String], &Scalar)) {
    let mut reader = Reader { rest: document };
    // The walk is over when the document is, or where it stops making sense.
    let _ = reader.document(&mut entry);
}

struct Reader<'a> {
    rest: &'a str,
}

type Entry<'e> = dyn FnMut(&[String], &Scalar) + 'e;

impl Reader<'_> {
    fn document(&mut self, entry: &mut Entry<'_>) -> Option<()> {
        let mut table: Vec<String> = Vec::new();
        loop {
            self.skip_blank(true);
            if self.rest.is_empty() {
                return Some(());
            }
            if self.eat('[') {
                self.eat('[');
                table = self.key()?;
                self.expect(']')?;
                self.eat(']');
            } else {
                self.assignment(&table, entry)?;
            }
        }
    }

    /// `a.b = value`, reported below `table`.
    fn assignment(&mut self, table: &[String], entry: &mut Entry<'_>) -> Option<()> {
        let mut key = table.to_vec();
        key.extend(self.key()?);
        self.expect('=')?;
        self.value(&key, entry)
    }

    /// `a . "b.c" . d`
    fn key(&mut self) -> Option<Vec<String>> {
        let mut parts = Vec::new();
        loop {
            self.skip_blank(false);
            parts.push(match self.rest.chars().next()? {
                '"' | '\'' => self.text()?,
                _ => self.bare(|c| c.is_alphanumeric() || c == '-' || c == '_')?,
            });
            self.skip_blank(false);
            if !self.eat('.') {
                return Some(parts);
            }
        }
    }

    fn value(&mut self, key: &[String], entry: &mut Entry<'_>) -> Option<()> {
        self.skip_blank(false);
        let scalar = match self.rest.chars().next()? {
            '"' | '\'' => Scalar::Text(self.text()?),
            '{' => return self.inline_table(key, entry),
            '[' => {
                self.array(key)?;
                Scalar::Other
            }
            _ => match self
                .bare(|c| !c.is_whitespace() && !",]}#".contains(c))?
                .as_str()
            {
                "true" => Scalar::Bool(true),
                "false" => Scalar::Bool(false),
                _ => Scalar::Other,
            },
        };
        entry(key, &scalar);
        Some(())
    }

    fn inline_table(&mut self, key: &[String], entry: &mut Entry<'_>) -> Option<()> {
        self.expect('{')?;
        self.skip_blank(true);
        if self.eat('}') {
            entry(key, &Scalar::Other);
            return Some(());
        }
        // A comma after the last entry and line breaks are allowed since TOML 1.1.
        while !self.eat('}') {
            self.assignment(key, entry)?;
            self.skip_blank(true);
            self.eat(',');
            self.skip_blank(true);
        }
        Some(())
    }

    fn array(&mut self, key: &[String]) -> Option<()> {
        self.expect('[')?;
        self.skip_blank(true);
        while !self.eat(']') {
            self.value(key, &mut |_, _| ())?;
            self.skip_blank(true);
            self.eat(',');
            self.skip_blank(true);
        }
        Some(())
    }

    /// A string with its quotes. Of the escapes only those that stand for one printable character
    /// are resolved; no name of a crate and no sensible path needs another.
    fn text(&mut self) -> Option<String> {
        let quote = self.rest.chars().next()?;
        let long = quote.to_string().repeat(3);
        let delimiter = if self.rest.starts_with(&long) {
            &long
        } else {
            &long[..1]
        };
        self.rest = &self.rest[delimiter.len()..];
        let mut text = String::new();
        while !self.rest.starts_with(delimiter) {
            let next = self.take()?;
            text.push(if next == '\\' && quote == '"' {
                self.take()?
            } else {
                next
            });
        }
        self.rest = &self.rest[delimiter.len()..];
        // A long string may end in one or two quotes of its own.
        while delimiter.len() == 3 && self.eat(quote) {
            text.push(quote);
        }
        Some(text)
    }

    /// One or more characters that belong to `set`.
    fn bare(&mut self, set: impl Fn(char) -> bool) -> Option<String> {
        let end = self.rest.find(|c| !set(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then(|| word.to_owned())
    }

    /// Skips spaces and tabs, and with `lines` also line breaks and comments.
    fn skip_blank(&mut self, lines: bool) {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t']);
            if !lines {
                return;
            }
            let before = self.rest.len();
            self.rest = self.rest.trim_start();
            if self.rest.starts_with('#') {
                self.rest = &self.rest[self.rest.find('\n').unwrap_or(self.rest.len())..];
            }
            if self.rest.len() == before {
                return;
            }
        }
    }

    fn expect(&mut self, wanted: char) -> Option<()> {
        self.skip_blank(false);
        self.eat(wanted).then_some(())
    }

    fn eat(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn take(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(document: &str) -> Vec<(String, Scalar)> {
        let mut found = Vec::new();
        for_each_entry(document, |key, value| {
            found.push((key.join(" / "), value.clone()))
        });
        found
    }

    fn text(key: &str, value: &str) -> (String, Scalar) {
        (key.to_owned(), Scalar::Text(value.to_owned()))
    }

    #[test]
    fn headers_dotted_keys_and_inline_tables_give_the_same_key() {
        let wanted = vec![text("dependencies / tokio / package", "ringway")];
        for document in [
            "[dependencies.tokio]\npackage = \"ringway\"",
            "[dependencies]\ntokio.package = \"ringway\"",
            "[dependencies]\ntokio = { package = \"ringway\" }",
            "dependencies = { tokio = { package = 'ringway' } }",
            "[ dependencies . \"tokio\" ] # a comment\r\npackage=\"\"\"ringway\"\"\"\r\n",
            "[dependencies]\ntokio = {\n  # since TOML 1.1\n  package = \"ringway\",\n}\n",
        ] {
            assert_eq!(entries(document), wanted, "{document}");
        }
    }

    #[test]
    fn quoted_keys_keep_their_dots_and_brackets() {
        assert_eq!(
            entries("[target.'cfg(target_os = \"linux\")'.dependencies]\na = \"1.0\""),
            vec![text(
                "target / cfg(target_os = \"linux\") / dependencies / a",
                "1.0"
            )]
        );
    }

    #[test]
    fn arrays_count_as_one_value_whatever_is_in_them() {
        let document =
            "a = [\n  \"x]\", # ]\n  { b = 1 },\n  ['y', []],\n]\nc = true\n[[bin]]\nd=-1.5";
        assert_eq!(
            entries(document),
            vec![
                ("a".to_owned(), Scalar::Other),
                ("c".to_owned(), Scalar::Bool(true)),
                ("bin / d".to_owned(), Scalar::Other),
            ]
        );
    }

    #[test]
    fn strings_may_hold_quotes_hashes_and_line_breaks() {
        let document = "a = \"say \\\"#\\\"\"\nb = '''it's\n[x]'''\nc = \"\"\"\"q\"\"\"\"\nd = {}";
        assert_eq!(
            entries(document),
            vec![
                text("a", "say \"#\""),
                text("b", "it's\n[x]"),
                text("c", "\"q\""),
                ("d".to_owned(), Scalar::Other)
            ]
        );
    }

    #[test]
    fn nonsense_ends_the_walk_and_keeps_what_came_before() {
        for nonsense in [
            "=",
            "[a",
            "b = ",
            "c = { d",
            "e = [1",
            "f = \"",
            "g",
            "\u{1F980}x",
        ] {
            let document = format!("x = 'y'\n{nonsense}");
            assert_eq!(entries(&document)[0], text("x", "y"), "{nonsense}");
        }
    }
}
