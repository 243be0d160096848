//! `cargo xtask bench`: every workload on ringway and on tokio, alternately.
//!
//! A run is a process of its own (`workload NAME PEER`), so that neither runtime finds the threads or
//! the heap of the other. The peers alternate within each round, so that whatever else the machine
//! does falls on both; of all samples of all rounds the least counts, for that is the one that was
//! disturbed least. Processor time and wall time are the least of their own.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use crate::chore::{self, Result, output, program, target_folder};
use crate::report::{self, Cost, Row};

/// The peers, in the order in which they run.
const PEERS: [&str; 2] = ["ringway", "tokio"];

/// How much is run.
struct Extent {
    rounds: u32,
    /// Samples in a run.
    samples: u32,
    sample_milliseconds: u32,
}

/// For figures that are written down.
const FULL: Extent = Extent {
    rounds: 5,
    samples: 5,
    sample_milliseconds: 200,
};

/// For a first look.
const QUICK: Extent = Extent {
    rounds: 2,
    samples: 3,
    sample_milliseconds: 60,
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How often each workload runs on each peer [default: 5, with --quick 2]
    #[arg(long)]
    rounds: Option<u32>,
    /// Only workloads whose names contain this; docs/BENCHMARKS.md stays as it is
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Few and short samples, for a first look; docs/BENCHMARKS.md stays as it is
    #[arg(long)]
    quick: bool,
}

impl Options {
    fn extent(&self) -> Extent {
        let extent = if self.quick { QUICK } else { FULL };
        Extent {
            rounds: self.rounds.unwrap_or(extent.rounds).max(1),
            ..extent
        }
    }

    /// Whether the result is good enough to be written down.
    fn is_full(&self) -> bool {
        !self.quick && self.only.is_none()
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let driver = build()?;
    let only = options.only.as_deref().unwrap_or_default();
    let extent = options.extent();
    let listed = output(program(&driver).arg("list"))?;
    let mut rows = Vec::new();
    for line in listed.lines() {
        let mut row = row(line)?;
        if row.name.contains(only) {
            eprintln!("{}", row.name);
            compare(&driver, &mut row, &extent)?;
            rows.push(row);
        }
    }
    if rows.is_empty() {
        return Err(format!("no workload's name contains `{only}`"));
    }
    println!("{}", report::table(&rows));
    if options.is_full() {
        report::write(&rows, &how(&extent))
    } else {
        Ok(())
    }
}

/// Builds the program that runs one workload, and says where it is.
fn build() -> Result<PathBuf> {
    let package = ["--package", "ringway-benches", "--bin", "workload"];
    chore::run(program("cargo").args(["build", "--release"]).args(package))?;
    Ok(target_folder("release").join("workload"))
}

/// A workload as the driver lists it, with nothing measured yet.
fn row(line: &str) -> Result<Row> {
    let value = json(line)?;
    let text = |key: &str| {
        value[key]
            .as_str()
            .map(str::to_owned)
            .ok_or(format!("no `{key}` in {line}"))
    };
    Ok(Row {
        name: text("name")?,
        operation: text("operation")?,
        promise: value["promise"].as_f64(),
        ringway: Cost::UNKNOWN,
        tokio: Cost::UNKNOWN,
    })
}

/// Runs one workload alternately on both peers and keeps the least of each.
fn compare(driver: &Path, row: &mut Row, extent: &Extent) -> Result<()> {
    for _ in 0..extent.rounds {
        for peer in PEERS {
            let printed = output(program(driver).args([row.name.as_str(), peer]).args([
                extent.samples.to_string(),
                extent.sample_milliseconds.to_string(),
            ]))?;
            let cost = if peer == "ringway" {
                &mut row.ringway
            } else {
                &mut row.tokio
            };
            for line in printed.lines() {
                *cost = cost.least(sample(line)?);
            }
        }
    }
    Ok(())
}

fn sample(line: &str) -> Result<Cost> {
    let value = json(line)?;
    let number = |key: &str| value[key].as_f64().ok_or(format!("no `{key}` in {line}"));
    Ok(Cost {
        cpu_ns: number("cpu_ns")?,
        wall_ns: number("wall_ns")?,
    })
}

fn json(line: &str) -> Result<Value> {
    serde_json::from_str(line).map_err(|error| format!("{line}: {error}"))
}

/// How the figures came about, as the report says it.
fn how(extent: &Extent) -> String {
    let Extent {
        rounds,
        samples,
        sample_milliseconds,
    } = extent;
    format!(
        "the least of {rounds} alternating runs of {samples} samples of {sample_milliseconds} ms"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_without_a_figure_is_an_error() {
        let cost = sample(r#"{"cpu_ns":2.5,"wall_ns":1.5,"waits":0.0}"#).unwrap();
        assert_eq!(
            cost,
            Cost {
                cpu_ns: 2.5,
                wall_ns: 1.5
            }
        );
        assert!(
            sample(r#"{"cpu_ns":2.5}"#)
                .unwrap_err()
                .contains("no `wall_ns`")
        );
        assert!(sample("nothing").is_err());
    }

    #[test]
    fn a_listed_workload_may_have_no_promise() {
        assert_eq!(
            row(r#"{"name":"a","operation":"b","promise":null}"#)
                .unwrap()
                .promise,
            None
        );
        assert_eq!(
            row(r#"{"name":"a","operation":"b","promise":0.5}"#)
                .unwrap()
                .promise,
            Some(0.5)
        );
        assert!(row(r#"{"name":"a"}"#).is_err());
    }
}
