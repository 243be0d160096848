//! What is published: each crate says what a package must say, brings what it must bring and no more, and cargo can
//! make packages of all of them together.

use clap::Args;
use serde_json::Value;

use crate::chore::{Result, output, program, run};

/// How `cargo xtask package` is called.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Build each package too, from nothing but the packages; takes minutes
    #[arg(long)]
    verify: bool,
}

/// What a manifest must say.
const FIELDS: [&str; 5] = [
    "description",
    "license",
    "readme",
    "rust_version",
    "edition",
];

/// What each package must bring.
const FILES: [&str; 5] = [
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "src/lib.rs",
];

/// What else a package may bring: files, and folders with all that is in them.
const OTHER_FILES: [&str; 4] = [
    ".cargo_vcs_info.json",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml.orig",
];
const FOLDERS: [&str; 2] = ["examples/", "src/"];

/// Checks the manifests and the lists of files, and makes the packages.
pub(crate) fn run_all(options: &Options) -> Result<()> {
    let arguments = ["metadata", "--format-version=1", "--no-deps"];
    let metadata = output(program("cargo").args(arguments))?;
    let metadata: Value =
        serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = published(&metadata);
    let mut complaints = Vec::new();
    for package in &packages {
        complaints.extend(of_manifest(package, &packages));
        let list = ["package", "--list", "--allow-dirty", "--quiet", "--package"];
        let files = output(program("cargo").args(list).arg(name(package)))?;
        complaints.extend(of_files(name(package), &files));
    }
    if !complaints.is_empty() {
        return Err(format!("package:\n{}", complaints.join("\n")));
    }
    let mut command = program("cargo");
    command.args(["package", "--quiet", "--allow-dirty"]);
    if !options.verify {
        command.arg("--no-verify");
    }
    for package in &packages {
        command.args(["--package", name(package)]);
    }
    run(&mut command)
}

/// The packages that may be published.
fn published(metadata: &Value) -> Vec<&Value> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages
        // None at all is what `publish = false` becomes; what is not said is null.
        .filter(|package| {
            package["publish"]
                .as_array()
                .is_none_or(|to| !to.is_empty())
        })
        .collect()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap_or_default()
}

/// What is wrong with the manifest of a package that is published with the others.
fn of_manifest(package: &Value, published: &[&Value]) -> Vec<String> {
    let of = name(package);
    let missing = FIELDS.iter().filter(|field| !package[**field].is_string());
    let mut complaints: Vec<_> = missing
        .map(|field| format!("{of}: its manifest does not say `{field}`"))
        .collect();
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    for dependency in dependencies.filter(|dependency| dependency["path"].is_string()) {
        let to = name(dependency);
        let is_for_tests = dependency["kind"] == "dev";
        let has_version = dependency["req"] != "*";
        // A dependency of the tests that has no version is left out of the package.
        if is_for_tests && has_version {
            complaints.push(format!(
                "{of}: for its tests it needs `{to}` with a version"
            ));
        }
        if !is_for_tests && !has_version {
            complaints.push(format!("{of}: it needs `{to}` without a version"));
        }
        if !is_for_tests && !published.iter().any(|package| name(package) == to) {
            complaints.push(format!("{of}: it needs `{to}`, which is not published"));
        }
    }
    complaints
}

/// What is wrong with the list of a package's files.
fn of_files(of: &str, files: &str) -> Vec<String> {
    let files: Vec<_> = files.lines().collect();
    let missing = FILES.iter().filter(|file| !files.contains(file));
    let missing = missing.map(|file| format!("{of}: `{file}` is missing"));
    let is_known = |file: &&&str| {
        FILES.contains(file)
            || OTHER_FILES.contains(file)
            || FOLDERS.iter().any(|folder| file.starts_with(folder))
    };
    let unknown = files.iter().filter(|file| !is_known(file));
    let unknown = unknown.map(|file| format!("{of}: `{file}` does not belong into a package"));
    missing.chain(unknown).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(name: &str, dependencies: Value) -> Value {
        json!({
            "name": name, "publish": null, "dependencies": dependencies, "description": "d",
            "license": "l", "readme": "r", "rust_version": "v", "edition": "e",
        })
    }

    #[test]
    fn what_is_not_to_be_published_is_left_out() {
        let mut secret = package("secret", json!([]));
        secret["publish"] = json!([]);
        let metadata = json!({ "packages": [package("open", json!([])), secret] });
        let names: Vec<_> = published(&metadata).into_iter().map(name).collect();
        assert_eq!(names, ["open"]);
    }

    #[test]
    fn a_manifest_that_says_too_little_is_refused() {
        let mut poor = package("poor", json!([]));
        assert!(of_manifest(&poor, &[]).is_empty());
        poor["readme"] = Value::Null;
        assert_eq!(
            of_manifest(&poor, &[]),
            ["poor: its manifest does not say `readme`"]
        );
    }

    #[test]
    fn a_dependency_must_be_published_and_have_a_version() {
        let to = |kind: Value, req: &str| {
            let dependency = json!({ "name": "to", "path": "/to", "kind": kind, "req": req });
            package("of", json!([dependency]))
        };
        let published = package("to", json!([]));
        let published = [&published];
        assert!(of_manifest(&to(Value::Null, "^1"), &published).is_empty());
        assert!(of_manifest(&to(json!("dev"), "*"), &[]).is_empty());
        assert_eq!(of_manifest(&to(Value::Null, "*"), &published).len(), 1);
        assert_eq!(of_manifest(&to(Value::Null, "^1"), &[]).len(), 1);
        assert_eq!(of_manifest(&to(json!("dev"), "^1"), &published).len(), 1);
    }

    #[test]
    fn a_package_brings_what_it_must_and_no_more() {
        let enough = FILES.join("\n");
        assert!(of_files("a", &enough).is_empty());
        assert!(of_files("a", &format!("{enough}\nsrc/b/c.rs\nCargo.lock")).is_empty());
        assert_eq!(
            of_files("a", &format!("{enough}\ntests/b.rs")),
            ["a: `tests/b.rs` does not belong into a package"]
        );
        let without = enough.replace("LICENSE-MIT\n", "");
        assert_eq!(of_files("a", &without), ["a: `LICENSE-MIT` is missing"]);
    }
}
