//! Each set of the facade's features by itself, as a dependant may ask for it: all that have no more than so many.

use clap::Args;
use serde_json::Value;

use crate::chore::{Result, output, program, run};

/// How `cargo xtask features` is called.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many features a set has at most
    #[arg(default_value_t = 1)]
    most: usize,
    /// Only the sets with this feature
    #[arg(long, value_name = "NAME")]
    with: Option<String>,
}

/// Has clippy look at the facade with each set.
pub(crate) fn run_all(options: &Options) -> Result<()> {
    let names = names()?;
    if let Some(unknown) = options.with.as_ref().filter(|name| !names.contains(name)) {
        return Err(format!("the facade has no feature {unknown}"));
    }
    for set in sets(&names, options.most) {
        if !is_asked_for(&set, options.with.as_deref()) {
            continue;
        }
        println!("{}", set.join(","));
        // The package by its name: the workspace's default members would bring all features.
        let facade = ["clippy", "--quiet", "--package", "ringway", "--lib"];
        let with = ["--no-default-features", "--features", &set.join(",")];
        let strictly = ["--", "-D", "warnings"];
        run(program("cargo").args(facade).args(with).args(strictly))?;
    }
    Ok(())
}

/// The features' names.
fn names() -> Result<Vec<String>> {
    let arguments = ["metadata", "--format-version=1", "--no-deps"];
    let metadata = output(program("cargo").args(arguments))?;
    let metadata: Value =
        serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let facade = packages
        .into_iter()
        .find(|package| package["name"] == "ringway");
    let features = facade.and_then(|facade| facade["features"].as_object());
    let features = features.ok_or("cargo metadata lists no features")?;
    Ok(features
        .keys()
        .filter(|name| *name != "default")
        .cloned()
        .collect())
}

/// Whether `set` has the feature that all are to have, if there is one.
fn is_asked_for(set: &[String], with: Option<&str>) -> bool {
    with.is_none_or(|name| set.iter().any(|feature| feature == name))
}

/// All sets of at most `most` names, the empty one too.
fn sets(names: &[String], most: usize) -> Vec<Vec<String>> {
    let Some((first, rest)) = names.split_first() else {
        return vec![Vec::new()];
    };
    let mut all = sets(rest, most);
    if most > 0 {
        let with_first = sets(rest, most - 1).into_iter().map(|mut set| {
            set.insert(0, first.clone());
            set
        });
        all.extend(with_first);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_all_of_their_size_and_below() {
        let names: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
        let mut all: Vec<_> = sets(&names, 2)
            .into_iter()
            .map(|set| set.concat())
            .collect();
        all.sort();
        assert_eq!(all, ["", "a", "ab", "ac", "b", "bc", "c"]);
        assert_eq!(sets(&names, 0), [Vec::<String>::new()]);
    }

    /// Mutant: sets that have only a feature whose name contains the one asked for.
    #[test]
    fn sets_with_a_feature_have_that_very_one() {
        let set: Vec<String> = ["io-util", "rt-multi-thread"].map(str::to_owned).into();
        assert!(is_asked_for(&set, None));
        assert!(is_asked_for(&set, Some("io-util")));
        assert!(!is_asked_for(&set, Some("rt")));
    }
}
