//! What documentation shows by an example: the types, traits and free functions of sources that are read as text.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Public names at the top of their files, and whether one of that name is shown by an example.
pub(crate) type Shown = BTreeMap<String, bool>;

/// What begins a public item, before its name.
const ITEMS: [&str; 5] = ["async fn ", "enum ", "fn ", "struct ", "trait "];

/// Reads the files below `folder`, but for those parts that are tests.
pub(crate) fn read(folder: &Path, shown: &mut Shown) {
    let Ok(entries) = fs::read_dir(folder) else {
        panic!("{folder:?} cannot be read")
    };
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read(&path, shown);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            read_text(&fs::read_to_string(&path).expect("text"), shown);
        }
    }
}

fn read_text(text: &str, shown: &mut Shown) {
    let mut has_example = false;
    let mut is_hidden = false;
    let mut is_method = false;
    for line in text.lines() {
        let code = line.trim_start();
        // What is in a macro is indented, as methods are.
        is_method = match line {
            _ if line.starts_with("impl") => true,
            _ if line.starts_with('}') => false,
            _ => is_method,
        };
        if line == "#[cfg(test)]" {
            return;
        } else if let Some(documentation) = code.strip_prefix("///") {
            has_example |= documentation.trim_start().starts_with("```");
        } else if code.starts_with("#[") || code.starts_with("//") {
            is_hidden |= code.contains("doc(hidden)");
        } else {
            if let Some(name) = name(code)
                && !is_hidden
                && !is_method
            {
                *shown.entry(name).or_default() |= has_example;
            }
            // An attribute may have several lines, and an item's documentation ends with a blank one.
            if code.is_empty() || code.starts_with("pub ") || code.starts_with('}') {
                (has_example, is_hidden) = (false, false);
            }
        }
    }
}

fn name(code: &str) -> Option<String> {
    let item = code.strip_prefix("pub ")?;
    let rest = ITEMS.iter().find_map(|begin| item.strip_prefix(begin))?;
    let name = rest.split(|character: char| !character.is_alphanumeric() && character != '_');
    name.into_iter().next().map(str::to_owned)
}
