//! The comparison as a table, and its place in docs/BENCHMARKS.md.

use std::fs;

use crate::chore::{Result, output, program, root};

const DOCUMENT: &str = "docs/BENCHMARKS.md";

/// The lines of the document between which the comparison stands.
const BEGIN: &str = "<!-- comparison: written by `cargo xtask bench`, do not edit -->";
const END: &str = "<!-- end of the comparison -->";

/// Everything that was measured, and how.
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    pub(crate) gauged: Vec<Gauged>,
    pub(crate) how: String,
}

/// What one operation costs on one peer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cost {
    pub(crate) cpu_ns: f64,
    pub(crate) wall_ns: f64,
    /// How often a thread gave its core up to wait.
    pub(crate) waits: f64,
    /// System calls, where the kernel lets us count.
    pub(crate) calls: Option<f64>,
}

impl Cost {
    /// Nothing measured yet: more than anything that will be.
    pub(crate) const UNKNOWN: Cost = Cost {
        cpu_ns: f64::INFINITY,
        wall_ns: f64::INFINITY,
        waits: f64::INFINITY,
        calls: None,
    };

    /// The lesser of each figure that is taken in every sample.
    pub(crate) fn least(self, other: Cost) -> Cost {
        Cost {
            cpu_ns: self.cpu_ns.min(other.cpu_ns),
            wall_ns: self.wall_ns.min(other.wall_ns),
            waits: self.waits.min(other.waits),
            calls: self.calls.or(other.calls),
        }
    }
}

/// One workload, measured.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) operation: String,
    /// What we promise: the processor time as a part of tokio's.
    pub(crate) promise: Option<f64>,
    pub(crate) ringway: Cost,
    pub(crate) tokio: Cost,
    /// Without a runtime, where the workload can be had so.
    pub(crate) bare: Option<Cost>,
}

/// A figure of a gauge, measured; less is better.
#[derive(Clone, Debug)]
pub(crate) struct Gauged {
    pub(crate) gauge: String,
    pub(crate) what: String,
    pub(crate) figure: String,
    pub(crate) unit: String,
    pub(crate) promise: Option<Promise>,
    pub(crate) ringway: f64,
    pub(crate) tokio: f64,
}

/// The most that a figure of ours may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Promise {
    /// Of tokio's.
    Ratio(f64),
    /// In its unit.
    Value(f64),
}

impl Row {
    /// The cost on one peer.
    pub(crate) fn cost(&mut self, peer: &str) -> &mut Cost {
        match (peer, &mut self.bare) {
            ("ringway", _) => &mut self.ringway,
            ("bare", Some(bare)) => bare,
            (_, _) => &mut self.tokio,
        }
    }

    fn cpu_ratio(&self) -> f64 {
        self.ringway.cpu_ns / self.tokio.cpu_ns
    }

    fn wall_ratio(&self) -> f64 {
        self.ringway.wall_ns / self.tokio.wall_ns
    }

    /// The promise, and whether it is kept.
    fn verdict(&self) -> String {
        self.promise
            .map_or_else(String::new, |most| verdict(self.cpu_ratio(), most))
    }

    /// The ratio of wall time, and whether it breaks the promise that it is never above tokio's.
    fn wall_verdict(&self) -> String {
        let ratio = self.wall_ratio();
        if is_kept(ratio, WALL_RATIO_MAX) {
            format!("{ratio:.2}")
        } else {
            format!("{ratio:.2}, **missed**")
        }
    }
}

impl Gauged {
    /// The value on one peer.
    pub(crate) fn value(&mut self, peer: &str) -> &mut f64 {
        if peer == "ringway" {
            &mut self.ringway
        } else {
            &mut self.tokio
        }
    }

    fn ratio(&self) -> f64 {
        self.ringway / self.tokio
    }

    fn verdict(&self) -> String {
        match self.promise {
            None => String::new(),
            Some(Promise::Ratio(most)) => verdict(self.ratio(), most),
            Some(Promise::Value(most)) => verdict(self.ringway, most),
        }
    }
}

/// Promised of every workload.
const WALL_RATIO_MAX: f64 = 1.0;

/// Promised of the processor time of every workload that can be had without a runtime, as a part of what it takes so.
const BARE_RATIO_MAX: f64 = 1.1;

fn verdict(value: f64, most: f64) -> String {
    if is_kept(value, most) {
        format!("≤ {most:.2}")
    } else {
        format!("≤ {most:.2}, **missed**")
    }
}

/// Whether a promise is kept at the precision that is printed.
pub(crate) fn is_kept(value: f64, most: f64) -> bool {
    value < most + 0.005
}

impl Report {
    /// Both comparisons as tables in Markdown, those that have rows.
    pub(crate) fn tables(&self) -> String {
        let mut tables = String::new();
        if !self.rows.is_empty() {
            tables += &workload_table(&self.rows);
        }
        if self.rows.iter().any(|row| row.bare.is_some()) {
            tables += "\n";
            tables += &bare_table(&self.rows);
        }
        if !self.gauged.is_empty() {
            tables += "\n";
            tables += &gauge_table(&self.gauged);
        }
        tables
    }
}

fn workload_table(rows: &[Row]) -> String {
    let mut table = "\
        | workload | one operation | ringway | tokio | ratio | promised | ratio of wall time | waits | system calls |\n\
        |---|---|--:|--:|--:|---|--:|--:|--:|\n"
        .to_owned();
    for row in rows {
        table += &format!(
            "| {} | {} | {} | {} | **{:.2}** | {} | {} | {} / {} | {} / {} |\n",
            row.name,
            row.operation,
            time(row.ringway.cpu_ns),
            time(row.tokio.cpu_ns),
            row.cpu_ratio(),
            row.verdict(),
            row.wall_verdict(),
            count(Some(row.ringway.waits)),
            count(Some(row.tokio.waits)),
            count(row.ringway.calls),
            count(row.tokio.calls),
        );
    }
    table
}

fn bare_table(rows: &[Row]) -> String {
    let mut table = "\
        | workload | ringway | without a runtime | ratio | promised | waits | system calls |\n\
        |---|--:|--:|--:|---|--:|--:|\n"
        .to_owned();
    for row in rows {
        let Some(bare) = row.bare else { continue };
        let ratio = row.ringway.cpu_ns / bare.cpu_ns;
        table += &format!(
            "| {} | {} | {} | **{ratio:.2}** | {} | {} / {} | {} / {} |\n",
            row.name,
            time(row.ringway.cpu_ns),
            time(bare.cpu_ns),
            verdict(ratio, BARE_RATIO_MAX),
            count(Some(row.ringway.waits)),
            count(Some(bare.waits)),
            count(row.ringway.calls),
            count(bare.calls),
        );
    }
    table
}

fn gauge_table(gauged: &[Gauged]) -> String {
    let mut table = "\
        | gauge | of what | figure | ringway | tokio | ratio | promised |\n\
        |---|---|---|--:|--:|--:|---|\n"
        .to_owned();
    for row in gauged {
        let unit = row.unit.as_str();
        table += &format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            row.gauge,
            row.what,
            row.figure,
            amount(row.ringway, unit),
            amount(row.tokio, unit),
            ratio(row.ratio()),
            row.verdict(),
        );
    }
    table
}

/// A ratio; a dash for one of nothing to nothing.
fn ratio(ratio: f64) -> String {
    if ratio.is_nan() {
        "-".into()
    } else {
        format!("{ratio:.2}")
    }
}

/// An amount with its unit, and three digits that matter.
fn amount(value: f64, unit: &str) -> String {
    let digits = if value < 10.0 {
        2
    } else {
        usize::from(value < 100.0)
    };
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}

/// A count for each operation; a dash where it is not known.
fn count(each: Option<f64>) -> String {
    match each {
        None => "-".into(),
        Some(each) if each < 0.0005 => "0".into(),
        Some(each) if each < 1.0 => format!("{each:.3}"),
        Some(each) => format!("{each:.2}"),
    }
}

/// Nanoseconds with three digits that matter.
fn time(nanoseconds: f64) -> String {
    if nanoseconds < 1_000.0 {
        format!("{nanoseconds:.0} ns")
    } else if nanoseconds < 10_000.0 {
        format!("{:.2} µs", nanoseconds / 1_000.0)
    } else {
        format!("{:.1} µs", nanoseconds / 1_000.0)
    }
}

/// Puts the comparison into the document, in place of the last one.
pub(crate) fn write(report: &Report) -> Result<()> {
    let comparison = format!("{}\n{}", facts(&report.how)?, report.tables());
    put(&comparison, BEGIN, END)
}

/// Puts a text into the document, in place of what stands between two lines of it.
pub(crate) fn put(text: &str, begin: &str, end: &str) -> Result<()> {
    let path = root().join(DOCUMENT);
    let document = fs::read_to_string(&path).map_err(|error| format!("{DOCUMENT}: {error}"))?;
    let document = replace(&document, text, begin, end)?;
    fs::write(&path, document).map_err(|error| format!("{DOCUMENT}: {error}"))?;
    eprintln!("written to {DOCUMENT}");
    Ok(())
}

fn replace(document: &str, text: &str, begin: &str, end: &str) -> Result<String> {
    let missing = || format!("{DOCUMENT} needs the lines `{begin}` and `{end}`");
    let (before, rest) = document.split_once(begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(end).ok_or_else(missing)?;
    Ok(format!("{before}{begin}\n\n{text}\n{end}{after}"))
}

/// When, of what and on what the figures are.
fn facts(how: &str) -> Result<String> {
    let lock = fs::read_to_string(root().join("Cargo.lock"))
        .map_err(|error| format!("Cargo.lock: {error}"))?;
    let tokio = locked_version(&lock, "tokio").ok_or("Cargo.lock names no tokio")?;
    facts_beside(&format!("tokio {tokio}"), how)
}

/// The same, beside programs of these versions.
pub(crate) fn facts_beside(versions: &str, how: &str) -> Result<String> {
    let date = output(program("date").args(["-u", "+%F"]))?;
    let commit = output(program("git").args(["describe", "--always", "--dirty", "--exclude=*"]))?;
    let rustc = output(program("rustc").arg("--version"))?;
    let kernel = read("/proc/sys/kernel/osrelease")?;
    let processors = read("/proc/cpuinfo")?;
    Ok(format!(
        "{date}, commit {commit}, {versions}, {rustc}; {cores} cores of {model}, Linux {kernel}.\n\
         Each figure is {how}.\n",
        date = date.trim(),
        commit = commit.trim(),
        rustc = rustc.trim(),
        cores = processors
            .lines()
            .filter(|line| line.starts_with("processor"))
            .count(),
        model = processor_model(&processors),
        kernel = kernel.trim(),
    ))
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

fn processor_model(cpuinfo: &str) -> &str {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": "))
        .map_or("an unnamed processor", |(_, model)| model)
}

/// The version of a package in a lock file.
fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKIO: Cost = Cost {
        cpu_ns: 1_000.0,
        wall_ns: 3_000.0,
        waits: 1.5,
        calls: None,
    };

    fn row(cpu_ns: f64, wall_ns: f64, promise: Option<f64>) -> Row {
        Row {
            name: "spawn".into(),
            operation: "a task".into(),
            promise,
            ringway: Cost {
                cpu_ns,
                wall_ns,
                waits: 0.0,
                calls: Some(0.25),
            },
            tokio: TOKIO,
            bare: None,
        }
    }

    #[test]
    fn a_row_shows_the_ratios_and_the_promises_that_are_missed() {
        let table = workload_table(&[
            row(504.0, 300.0, Some(0.5)),
            row(506.0, 3_000.0, Some(0.5)),
            row(506.0, 3_030.0, None),
        ]);
        let rows: Vec<_> = table.lines().skip(2).collect();
        assert_eq!(
            rows[0],
            "| spawn | a task | 504 ns | 1.00 µs | **0.50** | ≤ 0.50 | 0.10 | 0 / 1.50 | 0.250 / - |"
        );
        assert!(rows[1].contains("| **0.51** | ≤ 0.50, **missed** | 1.00 |"));
        assert!(rows[2].contains("| **0.51** |  | 1.01, **missed** |"));
    }

    #[test]
    fn only_what_needs_no_runtime_is_held_to_what_it_takes_without_one() {
        let bare = Cost {
            calls: Some(2.0),
            ..TOKIO
        };
        let with_bare = |cpu_ns| Row {
            bare: Some(bare),
            ..row(cpu_ns, 1.0, None)
        };
        let table = bare_table(&[row(1.0, 1.0, None), with_bare(1_100.0), with_bare(1_110.0)]);
        let rows: Vec<_> = table.lines().skip(2).collect();
        assert_eq!(
            rows[0],
            "| spawn | 1.10 µs | 1.00 µs | **1.10** | ≤ 1.10 | 0 / 1.50 | 0.250 / 2.00 |"
        );
        assert!(rows[1].contains("| **1.11** | ≤ 1.10, **missed** |"));
        assert_eq!(rows.len(), 2);
    }

    #[test]
    fn a_gauge_is_held_to_a_ratio_or_to_a_value() {
        let mut gauged = Gauged {
            gauge: "wake".into(),
            what: "a wake".into(),
            figure: "p99".into(),
            unit: "µs".into(),
            promise: Some(Promise::Ratio(1.0)),
            ringway: 12.34,
            tokio: 123.4,
        };
        let table = gauge_table(&[gauged.clone()]);
        let row = table.lines().last();
        assert_eq!(
            row,
            Some("| wake | a wake | p99 | 12.3 µs | 123 µs | 0.10 | ≤ 1.00 |")
        );
        gauged.promise = Some(Promise::Value(12.0));
        assert_eq!(gauged.verdict(), "≤ 12.00, **missed**");
        gauged.promise = None;
        assert_eq!(gauged.verdict(), "");
        (gauged.ringway, gauged.tokio) = (0.0, 0.0);
        assert!(gauge_table(&[gauged]).ends_with("| 0.00 µs | 0.00 µs | - |  |\n"));
    }

    #[test]
    fn the_least_of_each_figure_counts() {
        let other = Cost {
            cpu_ns: 2_000.0,
            wall_ns: 2_000.0,
            waits: 1.0,
            calls: Some(1.0),
        };
        let least = Cost {
            cpu_ns: 1_000.0,
            ..other
        };
        assert_eq!(Cost::UNKNOWN.least(TOKIO).least(other), least);
    }

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let document = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let expected = format!("a\n{BEGIN}\n\nnew\n{END}\nb\n");
        assert_eq!(replace(&document, "new", BEGIN, END).unwrap(), expected);
        assert!(
            replace("a\n", "new", BEGIN, END)
                .unwrap_err()
                .contains("needs the lines")
        );
    }

    #[test]
    fn times_have_three_digits() {
        assert_eq!(
            [59.4, 1_234.0, 12_345.0].map(time),
            ["59 ns", "1.23 µs", "12.3 µs"]
        );
    }

    #[test]
    fn facts_are_read_from_their_files() {
        let lock =
            "name = \"tokio-macros\"\nversion = \"2\"\n\nname = \"tokio\"\nversion = \"1.54.1\"\n";
        assert_eq!(locked_version(lock, "tokio"), Some("1.54.1"));
        assert_eq!(
            processor_model("processor\t: 0\nmodel name\t: A B\n"),
            "A B"
        );
    }
}
