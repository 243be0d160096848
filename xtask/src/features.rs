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
}

/// Has clippy look at the facade with each set.
pub(crate) fn run_all(options: &Options) -> Result<()> {
    for set in sets(&names()?, options.most) {
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
}
