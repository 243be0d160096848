//! `cargo xtask bench`: every workload on ringway and on tokio, alternately.
//!
//! A run is a process of its own (`workload NAME PEER`), so that neither runtime finds the threads or
//! the heap of the other. The peers alternate within each round, so that whatever else the machine
//! does falls on both; of all samples of all rounds the least counts, for that is the one that was
//! disturbed least. Processor time and wall time are the least of their own. Each run waits for a
//! quiet machine first; the report says how many did not find one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::chore::{self, Result, output, program, target_folder};
use crate::quiet;
use crate::report::{self, Cost, Row};

/// The peers, in the order in which they run.
const PEERS: [&str; 2] = ["ringway", "tokio"];

/// A run takes seconds; one that takes longer than this hangs, and the comparison fails.
const RUN_SECONDS_MAX: &str = "120";

/// How much is run.
struct Extent {
    rounds: u32,
    /// Samples in a run.
    samples: u32,
    sample_milliseconds: u32,
    patience: Duration,
}

impl Extent {
    /// For figures that are written down.
    const FULL: Extent = Extent {
        rounds: 5,
        samples: 5,
        sample_milliseconds: 200,
        patience: Duration::ZERO,
    };

    /// For a first look.
    const QUICK: Extent = Extent {
        rounds: 2,
        samples: 3,
        sample_milliseconds: 60,
        patience: Duration::ZERO,
    };

    /// How the figures of so many workloads came about, as the report says it.
    fn describe(&self, workloads: usize, disturbed: u32) -> String {
        let Extent {
            rounds,
            samples,
            sample_milliseconds,
            ..
        } = self;
        let mut how = format!(
            "the least of {rounds} alternating runs of {samples} samples of {sample_milliseconds} ms"
        );
        if disturbed > 0 {
            let runs = workloads as u32 * rounds * PEERS.len() as u32;
            how += &format!("; {disturbed} of {runs} runs began while other programs were busy");
        }
        how
    }
}

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
    /// How long each run waits for other programs to be quiet
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    patience: u64,
}

impl Options {
    fn extent(&self) -> Extent {
        let extent = if self.quick {
            Extent::QUICK
        } else {
            Extent::FULL
        };
        let rounds = self.rounds.unwrap_or(extent.rounds).max(1);
        Extent {
            rounds,
            patience: Duration::from_secs(self.patience),
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
    let mut disturbed = 0;
    for line in listed.lines() {
        let mut row = row(line)?;
        if row.name.contains(only) {
            eprintln!("{}", row.name);
            disturbed += compare(&driver, &mut row, &extent)?;
            rows.push(row);
        }
    }
    if rows.is_empty() {
        return Err(format!("no workload's name contains `{only}`"));
    }
    let how = extent.describe(rows.len(), disturbed);
    println!(
        "{}
Each figure is {how}.",
        report::table(&rows)
    );
    if options.is_full() {
        report::write(&rows, &how)
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

/// Runs one workload alternately on both peers and keeps the least of each. Returns how many of the
/// runs began although the machine was not quiet.
fn compare(driver: &Path, row: &mut Row, extent: &Extent) -> Result<u32> {
    let mut disturbed = 0;
    for _ in 0..extent.rounds {
        for peer in PEERS {
            disturbed += u32::from(!quiet::wait(extent.patience)?);
            let mut run = program("timeout");
            run.arg(RUN_SECONDS_MAX).arg(driver).args([&row.name, peer]);
            run.args([extent.samples, extent.sample_milliseconds].map(|n| n.to_string()));
            let printed = output(&mut run)?;
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
    Ok(disturbed)
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
    fn the_report_says_how_many_runs_were_disturbed() {
        assert!(
            Extent::QUICK
                .describe(3, 0)
                .ends_with("of 3 samples of 60 ms")
        );
        assert!(
            Extent::QUICK
                .describe(3, 2)
                .ends_with("; 2 of 12 runs began while other programs were busy")
        );
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
