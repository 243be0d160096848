//! The comparison as a table, and its place in docs/BENCHMARKS.md.

use std::fs;

use crate::chore::{Result, output, program, root};

const DOCUMENT: &str = "docs/BENCHMARKS.md";

/// The lines of the document between which the comparison stands.
const BEGIN: &str = "<!-- comparison: written by `cargo xtask bench`, do not edit -->";
const END: &str = "<!-- end of the comparison -->";

/// What one operation costs on one peer, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cost {
    pub(crate) cpu_ns: f64,
    pub(crate) wall_ns: f64,
}

impl Cost {
    /// Nothing measured yet: more than anything that will be.
    pub(crate) const UNKNOWN: Cost = Cost {
        cpu_ns: f64::INFINITY,
        wall_ns: f64::INFINITY,
    };

    /// The lesser of each figure.
    pub(crate) fn least(self, other: Cost) -> Cost {
        Cost {
            cpu_ns: self.cpu_ns.min(other.cpu_ns),
            wall_ns: self.wall_ns.min(other.wall_ns),
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
}

impl Row {
    fn cpu_ratio(&self) -> f64 {
        self.ringway.cpu_ns / self.tokio.cpu_ns
    }

    fn wall_ratio(&self) -> f64 {
        self.ringway.wall_ns / self.tokio.wall_ns
    }

    /// The promise, and whether it is kept at the precision that is printed.
    fn verdict(&self) -> String {
        match self.promise {
            None => "".into(),
            Some(promise) if self.cpu_ratio() < promise + 0.005 => format!("≤ {promise:.2}"),
            Some(promise) => format!("≤ {promise:.2}, **missed**"),
        }
    }
}

/// The comparison as a table in Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut table = "\
        | workload | one operation | ringway | tokio | ratio | promised | ratio of wall time |\n\
        |---|---|--:|--:|--:|---|--:|\n"
        .to_owned();
    for row in rows {
        table += &format!(
            "| {} | {} | {} | {} | **{:.2}** | {} | {:.2} |\n",
            row.name,
            row.operation,
            time(row.ringway.cpu_ns),
            time(row.tokio.cpu_ns),
            row.cpu_ratio(),
            row.verdict(),
            row.wall_ratio(),
        );
    }
    table
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
pub(crate) fn write(rows: &[Row], how: &str) -> Result<()> {
    let path = root().join(DOCUMENT);
    let document = fs::read_to_string(&path).map_err(|error| format!("{DOCUMENT}: {error}"))?;
    let comparison = format!("{}\n{}", facts(how)?, table(rows));
    let document = replace(&document, &comparison)?;
    fs::write(&path, document).map_err(|error| format!("{DOCUMENT}: {error}"))?;
    eprintln!("written to {DOCUMENT}");
    Ok(())
}

fn replace(document: &str, comparison: &str) -> Result<String> {
    let missing = || format!("{DOCUMENT} needs the lines `{BEGIN}` and `{END}`");
    let (before, rest) = document.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{before}{BEGIN}\n\n{comparison}\n{END}{after}"))
}

/// When, of what and on what the figures are.
fn facts(how: &str) -> Result<String> {
    let date = output(program("date").args(["-u", "+%F"]))?;
    let commit = output(program("git").args(["describe", "--always", "--dirty", "--exclude=*"]))?;
    let rustc = output(program("rustc").arg("--version"))?;
    let kernel = read("/proc/sys/kernel/osrelease")?;
    let processors = read("/proc/cpuinfo")?;
    let lock = fs::read_to_string(root().join("Cargo.lock"))
        .map_err(|error| format!("Cargo.lock: {error}"))?;
    Ok(format!(
        "{date}, commit {commit}, tokio {tokio}, {rustc}; {cores} cores of {model}, Linux {kernel}.\n\
         Each figure is {how}.\n",
        date = date.trim(),
        commit = commit.trim(),
        tokio = locked_version(&lock, "tokio").ok_or("Cargo.lock names no tokio")?,
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

    fn row(ringway: f64, promise: Option<f64>) -> Row {
        Row {
            name: "spawn".into(),
            operation: "a task".into(),
            promise,
            ringway: Cost {
                cpu_ns: ringway,
                wall_ns: 3_000.0,
            },
            tokio: Cost {
                cpu_ns: 1_000.0,
                wall_ns: 30_000.0,
            },
        }
    }

    #[test]
    fn a_row_shows_the_ratio_and_a_promise_that_is_missed() {
        let table = table(&[
            row(504.0, Some(0.5)),
            row(506.0, Some(0.5)),
            row(506.0, None),
        ]);
        let rows: Vec<_> = table.lines().skip(2).collect();
        assert_eq!(
            rows[0],
            "| spawn | a task | 504 ns | 1.00 µs | **0.50** | ≤ 0.50 | 0.10 |"
        );
        assert_eq!(
            rows[1],
            "| spawn | a task | 506 ns | 1.00 µs | **0.51** | ≤ 0.50, **missed** | 0.10 |"
        );
        assert_eq!(
            rows[2],
            "| spawn | a task | 506 ns | 1.00 µs | **0.51** |  | 0.10 |"
        );
    }

    #[test]
    fn the_least_of_each_figure_counts() {
        let cost = Cost::UNKNOWN.least(Cost {
            cpu_ns: 2.0,
            wall_ns: 5.0,
        });
        assert_eq!(
            cost.least(Cost {
                cpu_ns: 3.0,
                wall_ns: 4.0
            }),
            Cost {
                cpu_ns: 2.0,
                wall_ns: 4.0
            }
        );
    }

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let document = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let expected = format!("a\n{BEGIN}\n\nnew\n{END}\nb\n");
        assert_eq!(replace(&document, "new").unwrap(), expected);
        assert!(
            replace("a\n", "new")
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
