//! The behaviour tests as on other kernels, in smaller rings and on the second driver: one run for each mode, and a table.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;

use crate::chore::{Result, program, target_folder};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only modes whose names contain one of these words
    modes: Vec<String>,
    /// Print the modes and run nothing
    #[arg(long)]
    list: bool,
    /// Words for `cargo test`, after `--`; by default the packages that run on the driver
    #[arg(last = true)]
    words: Vec<String>,
}

/// A mode: its name, and the variables that make it.
struct Mode {
    name: &'static str,
    variables: &'static [(&'static str, &'static str)],
}

const TINY: (&str, &str) = ("RINGWAY_RING_ENTRIES", "2,4");
const OLD: (&str, &str) = ("RINGWAY_MASK", "5.15");

const MODES: [Mode; 9] = [
    mode("latest", &[]),
    mode("kernel-6.12", &[("RINGWAY_MASK", "6.12")]),
    mode("kernel-6.6", &[("RINGWAY_MASK", "6.6")]),
    mode("kernel-6.1", &[("RINGWAY_MASK", "6.1")]),
    mode("kernel-5.15", &[OLD]),
    mode("poll", &[("RINGWAY_DRIVER", "poll")]),
    mode("tiny", &[TINY]),
    mode("tiny-kernel-5.15", &[TINY, OLD]),
    mode("wrap", &[("RINGWAY_FIRST_GENERATION", "4294967290"), TINY]),
];

/// What runs on the driver; the others would only run the same again.
const PACKAGES: [&str; 8] = [
    "ringway",
    "ringway-runtime",
    "ringway-net",
    "ringway-fs",
    "ringway-process",
    "ringway-signal",
    "ringway-stdio",
    "ringway-uring",
];

const fn mode(name: &'static str, variables: &'static [(&'static str, &'static str)]) -> Mode {
    Mode { name, variables }
}

/// What came of one run.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    passed: usize,
    failed: Vec<String>,
    /// The run as a whole, which may fail without a test that does.
    ended_well: bool,
    time: Duration,
}

impl Outcome {
    /// Counts a line of the output of a test program.
    fn note(&mut self, line: &str) {
        let Some((name, verdict)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.split_once(" ... "))
        else {
            return;
        };
        if verdict.starts_with("ok") {
            self.passed += 1;
        } else if verdict.starts_with("FAILED") {
            self.failed.push(name.to_owned());
        }
    }

    fn is_good(&self) -> bool {
        self.ended_well && self.failed.is_empty()
    }
}

/// Runs the tests in each mode that was asked for, prints a table, and fails if anything failed.
pub(crate) fn run(options: &Options) -> Result<()> {
    let chosen: Vec<&Mode> = MODES
        .iter()
        .filter(|mode| is_chosen(mode, options))
        .collect();
    if chosen.is_empty() {
        return Err(format!("no mode is named after any of {:?}", options.modes));
    }
    if options.list {
        for mode in chosen {
            println!("{:<18} {}", mode.name, shown(mode));
        }
        return Ok(());
    }
    let mut rows = Vec::new();
    for mode in chosen {
        println!("== {} {}", mode.name, shown(mode));
        let outcome = run_mode(mode, options)?;
        rows.push((mode, outcome));
    }
    print!("{}", table(&rows));
    match rows.iter().all(|(_, outcome)| outcome.is_good()) {
        true => Ok(()),
        false => Err("not every mode has passed".to_owned()),
    }
}

fn is_chosen(mode: &Mode, options: &Options) -> bool {
    let words = &options.modes;
    words.is_empty() || words.iter().any(|word| mode.name.contains(word.as_str()))
}

fn shown(mode: &Mode) -> String {
    let pairs = mode.variables.iter();
    let pairs: Vec<String> = pairs
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join(" ")
}

/// One run. Its whole output goes to a file, and what fails to the terminal.
fn run_mode(mode: &Mode, options: &Options) -> Result<Outcome> {
    let folder = target_folder("matrix");
    let path = folder.join(format!("{}.log", mode.name));
    let file = fs::create_dir_all(&folder).and_then(|()| fs::File::create(&path));
    let mut log = file.map_err(|error| format!("{}: {error}", path.display()))?;
    let begin = Instant::now();
    let mut child = command(mode, options)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    let output = child.stdout.take().expect("it is piped");
    let mut outcome = Outcome::default();
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| format!("output of cargo: {error}"))?;
        outcome.note(&line);
        // A log that cannot be written is no reason to stop.
        let _ = writeln!(log, "{line}");
    }
    let status = child.wait().map_err(|error| format!("cargo: {error}"))?;
    outcome.ended_well = status.success();
    outcome.time = begin.elapsed();
    if !outcome.is_good() {
        println!(
            "{} failed: {:?}; see {}",
            mode.name,
            outcome.failed,
            path.display()
        );
    }
    Ok(outcome)
}

fn command(mode: &Mode, options: &Options) -> Command {
    let mut cargo = program("cargo");
    cargo.args(["test", "--quiet", "--no-fail-fast"]);
    match options.words.is_empty() {
        true => cargo.args(PACKAGES.iter().flat_map(|package| ["--package", package])),
        false => cargo.args(&options.words),
    };
    // Without this the quiet programs print dots.
    cargo.args(["--tests", "--", "--format", "pretty"]);
    cargo.envs(mode.variables.iter().copied());
    cargo
}

fn table(rows: &[(&Mode, Outcome)]) -> String {
    let mut text =
        String::from("| mode | passed | failed | seconds |\n| --- | --- | --- | --- |\n");
    for (mode, outcome) in rows {
        let failed = match (outcome.failed.len(), outcome.ended_well) {
            (0, false) => "the run".to_owned(),
            (count, _) => count.to_string(),
        };
        let seconds = outcome.time.as_secs();
        text += &format!(
            "| {} | {} | {failed} | {seconds} |\n",
            mode.name, outcome.passed
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdicts_of_tests_are_counted_and_other_lines_are_not() {
        let mut outcome = Outcome::default();
        for line in [
            "running 3 tests",
            "test one::two ... ok",
            "test three ... ok, 3.5s",
            "test four ... FAILED",
            "test five ... ignored",
            "test result: FAILED. 2 passed; 1 failed; 1 ignored",
        ] {
            outcome.note(line);
        }
        assert_eq!(outcome.passed, 2);
        assert_eq!(outcome.failed, ["four"]);
        assert!(!outcome.is_good());
    }

    #[test]
    fn a_run_that_fails_without_a_test_that_does_is_seen_in_the_table() {
        let crashed = Outcome {
            passed: 7,
            ..Outcome::default()
        };
        assert!(!crashed.is_good());
        let text = table(&[(&MODES[0], crashed)]);
        assert!(text.ends_with("| latest | 7 | the run | 0 |\n"), "{text}");
    }

    #[test]
    fn a_mode_is_chosen_by_a_part_of_its_name() {
        let options = |words: &[&str]| Options {
            modes: words.iter().map(ToString::to_string).collect(),
            list: false,
            words: Vec::new(),
        };
        let chosen = |words: &[&str]| {
            let options = options(words);
            MODES
                .iter()
                .filter(|mode| is_chosen(mode, &options))
                .count()
        };
        assert_eq!(chosen(&[]), MODES.len());
        assert_eq!(chosen(&["5.15"]), 2);
        assert_eq!(chosen(&["latest", "wrap"]), 2);
    }
}
