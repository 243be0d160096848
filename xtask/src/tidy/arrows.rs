//! Arrows between the crates of the workspace: which may depend on which.
//!
//! Only what is built into a crate counts; its tests may use any other.

use serde_json::Value;

use super::Complaint;
use crate::chore::Result;

/// Each crate, and those of ours that it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("ringway-timer", &[]),
    ("ringway-macros", &[]),
    ("ringway-runtime", &["ringway-timer"]),
    ("ringway-net", &["ringway-runtime"]),
    ("ringway-fs", &["ringway-runtime"]),
    ("ringway-signal", &["ringway-runtime"]),
    ("ringway-stdio", &["ringway-runtime"]),
    (
        "ringway-process",
        &["ringway-net", "ringway-runtime", "ringway-signal"],
    ),
    (
        "ringway-uring",
        &["ringway-net", "ringway-runtime", "ringway-timer"],
    ),
    (
        "ringway",
        &[
            "ringway-axum",
            "ringway-fs",
            "ringway-hickory",
            "ringway-hyper",
            "ringway-macros",
            "ringway-net",
            "ringway-process",
            "ringway-quinn",
            "ringway-runtime",
            "ringway-signal",
            "ringway-stdio",
            "ringway-timer",
            "ringway-uring",
        ],
    ),
    (
        "ringway-loom-models",
        &[
            "ringway-net",
            "ringway-runtime",
            "ringway-signal",
            "ringway-timer",
        ],
    ),
    (
        "ringway-axum",
        &["ringway-hyper", "ringway-net", "ringway-runtime"],
    ),
    ("ringway-hyper", &["ringway-runtime", "ringway-timer"]),
    (
        "ringway-hickory",
        &["ringway-net", "ringway-runtime", "ringway-timer"],
    ),
    (
        "ringway-quinn",
        &["ringway-net", "ringway-runtime", "ringway-timer"],
    ),
    ("ringway-compat-tests", &["ringway"]),
    ("ringway-ecosystem-tests", &["ringway"]),
    ("ringway-console-tests", &["ringway"]),
    ("ringway-benches", &["ringway"]),
    ("ringway-guide", &[]),
    ("xtask", &[]),
];

/// Compares what `cargo metadata` says with the table.
pub(super) fn check(metadata: &str) -> Result<Vec<Complaint>> {
    let metadata: Value =
        serde_json::from_str(metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = metadata["packages"]
        .as_array()
        .ok_or("cargo metadata lists no packages")?;
    Ok(packages.iter().flat_map(check_package).collect())
}

fn check_package(package: &Value) -> Vec<Complaint> {
    let name = package["name"].as_str().unwrap_or_default();
    let manifest = package["manifest_path"].as_str().unwrap_or_default();
    let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) else {
        let message = format!("`{name}` has no row in the table of xtask/src/tidy/arrows.rs");
        return vec![Complaint::error(manifest, 0, message)];
    };
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    dependencies
        .filter(|dependency| dependency["kind"].as_str() != Some("dev"))
        .filter(|dependency| dependency["path"].is_string())
        .filter_map(|dependency| dependency["name"].as_str())
        .filter(|to| !allowed.contains(to))
        .map(|to| {
            let message =
                format!("`{name}` may not depend on `{to}`; of ours, only on {allowed:?}");
            Complaint::error(manifest, 0, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_one(name: &str, dependency: &str, kind: &str) -> Vec<Complaint> {
        let metadata = format!(
            r#"{{"packages":[{{"name":"{name}","manifest_path":"Cargo.toml",
                "dependencies":[{{"name":"{dependency}","kind":{kind},"path":"/p"}}]}}]}}"#
        );
        check(&metadata).unwrap()
    }

    #[test]
    fn an_arrow_that_is_not_in_the_table_is_refused() {
        assert!(check_one("ringway-net", "ringway-runtime", "null").is_empty());
        let complaints = check_one("ringway-net", "ringway-fs", "null");
        assert!(
            complaints[0]
                .message
                .contains("`ringway-net` may not depend on `ringway-fs`")
        );
        assert_eq!(
            check_one("ringway-timer", "ringway-runtime", r#""build""#).len(),
            1
        );
    }

    #[test]
    fn tests_may_depend_on_anything() {
        assert!(check_one("ringway-timer", "ringway-runtime", r#""dev""#).is_empty());
    }

    #[test]
    fn a_crate_without_a_row_is_refused() {
        assert!(
            check_one("ringway-new", "x", "null")[0]
                .message
                .contains("no row")
        );
    }
}
