//! The crates of others that ours are built of: docs/VERSIONS.md says which of them a user meets in the public face, and
//! which are inside. What is inside is named by no public function.

use serde_json::Value;

use super::sections::functions;
use super::source::{Source, words_at};
use super::{Complaint, Files};
use crate::chore::Result;

/// Where both lists are.
const DOCUMENT: &str = "docs/VERSIONS.md";

/// How the paragraph begins that lists what is inside.
const INSIDE: &str = "Inside,";

/// What other crates of ours see, and the facade does not hand on.
const HIDDEN: [&str; 4] = [
    "net/src/op/",
    "runtime/src/driver/",
    "runtime/src/loom/",
    "timer/src/wheel/",
];

pub(super) fn check(files: &Files, metadata: &str) -> Result<Vec<Complaint>> {
    let metadata: Value =
        serde_json::from_str(metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let used = dependencies(&metadata);
    let Some(text) = files.text(DOCUMENT) else {
        return Ok(vec![Complaint::error(DOCUMENT, 0, "missing")]);
    };
    let (in_face, inside) = stated(text);
    let is_stated = |name: &String| in_face.contains(name) || inside.contains(name);
    let unstated = used.iter().filter(|name| !is_stated(name));
    let mut complaints: Vec<_> = unstated
        .map(|name| Complaint::error(DOCUMENT, 0, format!("`{name}` is not stated")))
        .collect();
    let gone = in_face.iter().chain(&inside);
    let gone = gone.filter(|name| !used.contains(name));
    complaints.extend(
        gone.map(|name| Complaint::error(DOCUMENT, 0, format!("`{name}` is no dependency"))),
    );
    let visible = files.sources.iter().filter(|source| {
        source.path.contains("src/") && !HIDDEN.iter().any(|path| source.path.starts_with(path))
    });
    complaints.extend(visible.flat_map(|source| named(source, &inside)));
    Ok(complaints)
}

/// What the packages that are published need of others, each once.
fn dependencies(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let published = packages.filter(|package| package["publish"].is_null());
    let all = published.flat_map(|package| package["dependencies"].as_array());
    let needed = all
        .flatten()
        // Those of tests and of models are not built by who uses it.
        .filter(|dependency| dependency["kind"].is_null() && dependency["target"].is_null())
        .filter(|dependency| !dependency["path"].is_string());
    let mut names: Vec<_> = needed
        .filter_map(|dependency| dependency["name"].as_str())
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The names in the first column of the table, and those in the paragraph after it.
fn stated(text: &str) -> (Vec<String>, Vec<String>) {
    let in_backticks = |text: &str| {
        let names = text.split('`').skip(1).step_by(2);
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let first_columns = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let in_face = first_columns.flat_map(|row| {
        let column = row.split(" | ").next().unwrap_or_default();
        in_backticks(&format!("`{column}"))
    });
    let inside = text.split("\n\n").find(|text| text.starts_with(INSIDE));
    let inside = inside.and_then(|text| text.split(". ").next());
    (in_face.collect(), in_backticks(inside.unwrap_or_default()))
}

/// Public functions that name a type of a crate that is inside.
fn named(source: &Source, inside: &[String]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for name in inside {
        let path = format!("{}::", name.replace('-', "_"));
        let imported = imported(source, &path);
        for function in functions(source) {
            let head = &function.head;
            let is_named = head.contains(&path)
                || imported
                    .iter()
                    .any(|name| words_at(head, name).next().is_some());
            if is_named {
                let message = format!("a public function names a type of `{name}`: {head}");
                complaints.push(Complaint::error(&source.path, function.line, message));
            }
        }
    }
    complaints
}

/// The types and traits that are imported from the crate whose paths begin so.
fn imported(source: &Source, path: &str) -> Vec<String> {
    let code = source.code.join("\n");
    let begin = format!("use {path}");
    let imports = code.split(&begin).skip(1);
    let imports = imports.filter_map(|rest| rest.split(';').next());
    let names = imports.flat_map(|import| {
        import.split(|character: char| !character.is_alphanumeric() && character != '_')
    });
    names
        .filter(|name| name.starts_with(char::is_uppercase))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{files, printed};
    use super::*;

    const TEXT: &str = "| crate | where |\n| --- | --- |\n| `bytes` 1, `tokio` 1 | `net` |\n\n\
                        Inside, and free:\n`libc`, `socket2`. `cargo xtask tidy` looks.\n";

    fn complaints(text: &str, dependencies: &[&str], code: &str) -> Vec<String> {
        let dependencies = dependencies.iter().map(
            |name| serde_json::json!({ "name": name, "kind": null, "target": null, "path": null }),
        );
        let dependencies: Vec<_> = dependencies.collect();
        let metadata = serde_json::json!({
            "packages": [{ "publish": null, "dependencies": dependencies }],
        });
        let files = files(&[(DOCUMENT, text), ("net/src/a.rs", code)]);
        printed(&check(&files, &metadata.to_string()).unwrap())
    }

    const ALL: [&str; 4] = ["bytes", "libc", "socket2", "tokio"];

    #[test]
    fn what_is_stated_is_what_is_used() {
        assert_eq!(complaints(TEXT, &ALL, ""), [""; 0]);
        let with_slab = ["bytes", "libc", "slab", "socket2", "tokio"];
        let complaint = ["docs/VERSIONS.md: `slab` is not stated"];
        assert_eq!(complaints(TEXT, &with_slab, ""), complaint);
        let complaint = ["docs/VERSIONS.md: `tokio` is no dependency"];
        assert_eq!(complaints(TEXT, &ALL[..3], ""), complaint);
    }

    #[test]
    fn what_is_inside_is_named_by_no_public_function() {
        let of_face = "use bytes::BufMut;\npub fn f(buffer: &mut impl BufMut) {\n}\n";
        assert_eq!(complaints(TEXT, &ALL, of_face), [""; 0]);
        let imported = "use socket2::{SockAddr, Socket};\npub fn f(at: &SockAddr) {\n}\n";
        assert_eq!(complaints(TEXT, &ALL, imported).len(), 1);
        let by_path = "pub fn f(at: libc::c_int) {\n}\n";
        assert_eq!(complaints(TEXT, &ALL, by_path).len(), 1);
        let private = "pub(crate) fn f(at: libc::c_int) {\n}\n";
        assert_eq!(complaints(TEXT, &ALL, private), [""; 0]);
    }
}
