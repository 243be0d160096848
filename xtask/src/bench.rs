//! `cargo xtask bench`: every workload on ringway and on tokio, alternately.
//!
//! A run is a process of its own (`workload NAME PEER`), so that neither runtime finds the threads or
//! the heap of the other. The peers alternate within each round, so that whatever else the machine
//! does falls on both; of all samples of all rounds the least counts, for that is the one that was
//! disturbed least. Processor time and wall time are the least of their own. Each run waits for a
//! quiet machine first; the report says how many did not find one. System calls are counted in a run of
//! their own, for the counting costs time. Gauges, which are no times per operation, are read the same way.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::chore::{self, Result, output, program, target_folder};
use crate::quiet;
use crate::report::{self, Cost, Gauged, Promise, Report, Row};

/// The peers, in the order in which they run.
const PEERS: [&str; 2] = ["ringway", "tokio"];

/// What some workloads can be run on beside them: a loop without a runtime.
const BARE: &str = "bare";

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

    /// How the figures came about, as the report says it.
    fn describe(&self, runs: &Runs) -> String {
        let Extent {
            rounds,
            samples,
            sample_milliseconds,
            ..
        } = self;
        let mut how = format!(
            "the least of {rounds} alternating runs of {samples} samples of {sample_milliseconds} ms"
        );
        if runs.disturbed > 0 {
            how += &format!(
                "; {} of {} runs began while other programs were busy",
                runs.disturbed, runs.all
            );
        }
        how
    }
}

/// How many runs there were, and how many of them began although the machine was not quiet.
#[derive(Default)]
struct Runs {
    all: u32,
    disturbed: u32,
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
    let mut bench = Bench {
        driver: build()?,
        extent: options.extent(),
        runs: Runs::default(),
    };
    let only = options.only.as_deref().unwrap_or_default();
    let mut rows = Vec::new();
    for mut row in bench.list("list", row)? {
        if row.name.contains(only) {
            eprintln!("{}", row.name);
            bench.compare(&mut row)?;
            rows.push(row);
        }
    }
    let mut gauged = Vec::new();
    for (gauge, what) in bench.list("gauges", gauge)? {
        if gauge.contains(only) {
            eprintln!("{gauge}");
            bench.gauge(&gauge, &what, &mut gauged)?;
        }
    }
    if rows.is_empty() && gauged.is_empty() {
        return Err(format!("no workload's or gauge's name contains `{only}`"));
    }
    let how = bench.extent.describe(&bench.runs);
    let report = Report { rows, gauged, how };
    println!("{}\nEach figure is {}.", report.tables(), report.how);
    if options.is_full() {
        report::write(&report)
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
    Ok(Row {
        name: text(&value, "name")?,
        operation: text(&value, "operation")?,
        promise: value["promise"].as_f64(),
        ringway: Cost::UNKNOWN,
        tokio: Cost::UNKNOWN,
        bare: (value["bare"] == true).then_some(Cost::UNKNOWN),
    })
}

/// A gauge as the driver lists it: its name, and what it measures.
fn gauge(line: &str) -> Result<(String, String)> {
    let value = json(line)?;
    Ok((text(&value, "name")?, text(&value, "what")?))
}

fn text(value: &Value, key: &str) -> Result<String> {
    value[key]
        .as_str()
        .map(str::to_owned)
        .ok_or(format!("no `{key}` in {value}"))
}

fn number(value: &Value, key: &str) -> Result<f64> {
    value[key].as_f64().ok_or(format!("no `{key}` in {value}"))
}

/// A comparison under way.
struct Bench {
    driver: PathBuf,
    extent: Extent,
    runs: Runs,
}

impl Bench {
    fn list<T>(&self, what: &str, parse: fn(&str) -> Result<T>) -> Result<Vec<T>> {
        let listed = output(program(&self.driver).arg(what))?;
        listed.lines().map(parse).collect()
    }

    /// Runs one workload alternately on both peers and keeps the least of each.
    fn compare(&mut self, row: &mut Row) -> Result<()> {
        let Extent {
            samples,
            sample_milliseconds,
            rounds,
            ..
        } = self.extent;
        let extent = [samples, sample_milliseconds].map(|number| number.to_string());
        let bare = row.bare.map(|_| BARE);
        let peers = || PEERS.into_iter().chain(bare);
        for _ in 0..rounds {
            for peer in peers() {
                let printed = self.run(&[&row.name, peer, &extent[0], &extent[1]])?;
                let cost = row.cost(peer);
                for line in printed.lines() {
                    *cost = cost.least(sample(line)?);
                }
            }
        }
        for peer in peers() {
            let printed = self.run(&["calls", &row.name, peer])?;
            row.cost(peer).calls = printed.lines().next().map(calls).transpose()?;
        }
        Ok(())
    }

    /// Reads one gauge alternately on both peers and keeps the least of each figure.
    fn gauge(&mut self, gauge: &str, what: &str, gauged: &mut Vec<Gauged>) -> Result<()> {
        let begin = gauged.len();
        for _ in 0..self.extent.rounds {
            for peer in PEERS {
                let printed = self.run(&["gauge", gauge, peer])?;
                for line in printed.lines() {
                    let (figure, value) = figure(line, gauge, what)?;
                    let known = gauged[begin..]
                        .iter()
                        .position(|known| known.figure == figure.figure);
                    let place = begin + known.unwrap_or(gauged.len() - begin);
                    if known.is_none() {
                        gauged.push(figure);
                    }
                    let least = gauged[place].value(peer);
                    *least = least.min(value);
                }
            }
        }
        Ok(())
    }

    /// One run of the driver; what it printed.
    fn run(&mut self, arguments: &[&str]) -> Result<String> {
        self.runs.all += 1;
        self.runs.disturbed += u32::from(!quiet::wait(self.extent.patience)?);
        let mut run = program("timeout");
        run.arg(RUN_SECONDS_MAX).arg(&self.driver).args(arguments);
        output(&mut run)
    }
}

fn sample(line: &str) -> Result<Cost> {
    let value = json(line)?;
    Ok(Cost {
        cpu_ns: number(&value, "cpu_ns")?,
        wall_ns: number(&value, "wall_ns")?,
        waits: number(&value, "waits")?,
        calls: None,
    })
}

fn calls(line: &str) -> Result<f64> {
    number(&json(line)?, "calls")
}

/// A figure of a gauge, not yet known for either peer, and the value that one of them has.
fn figure(line: &str, gauge: &str, what: &str) -> Result<(Gauged, f64)> {
    let value = json(line)?;
    let promise = match (value["ratio_max"].as_f64(), value["max"].as_f64()) {
        (Some(ratio), _) => Some(Promise::Ratio(ratio)),
        (None, Some(most)) => Some(Promise::Value(most)),
        (None, None) => None,
    };
    let gauged = Gauged {
        gauge: gauge.to_owned(),
        what: what.to_owned(),
        figure: text(&value, "figure")?,
        unit: text(&value, "unit")?,
        promise,
        ringway: f64::INFINITY,
        tokio: f64::INFINITY,
    };
    Ok((gauged, number(&value, "value")?))
}

fn json(line: &str) -> Result<Value> {
    serde_json::from_str(line).map_err(|error| format!("{line}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_without_a_figure_is_an_error() {
        let cost = sample(r#"{"cpu_ns":2.5,"wall_ns":1.5,"waits":0.5}"#).unwrap();
        assert_eq!(
            cost,
            Cost {
                cpu_ns: 2.5,
                wall_ns: 1.5,
                waits: 0.5,
                calls: None,
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
        let describe = |disturbed| Extent::QUICK.describe(&Runs { all: 12, disturbed });
        assert!(describe(0).ends_with("of 3 samples of 60 ms"));
        assert!(describe(2).ends_with("; 2 of 12 runs began while other programs were busy"));
    }

    #[test]
    fn a_figure_has_a_promise_of_one_kind_or_none() {
        let parse = |rest: &str| {
            let line = format!(r#"{{"figure":"p50","unit":"µs","value":7.5{rest}}}"#);
            let (figure, value) = figure(&line, "wake", "a wake").unwrap();
            assert_eq!(
                (figure.figure.as_str(), figure.unit.as_str(), value),
                ("p50", "µs", 7.5)
            );
            figure.promise
        };
        assert_eq!(parse(""), None);
        assert_eq!(parse(r#","max":0"#), Some(Promise::Value(0.0)));
        assert_eq!(parse(r#","ratio_max":1"#), Some(Promise::Ratio(1.0)));
        assert!(figure(r#"{"figure":"p50"}"#, "", "").is_err());
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
