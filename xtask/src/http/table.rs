//! The comparison of servers as tables, and its place in docs/BENCHMARKS.md.

use super::Comparison;
use super::figures::Figures;
use super::rivals::{Rival, Role};
use crate::chore::Result;
use crate::report;

/// The lines of the document between which the comparison stands.
const BEGIN: &str = "<!-- servers: written by `cargo xtask bench-http`, do not edit -->";
const END: &str = "<!-- end of the servers -->";

/// What our processor time for a request may be, as a part of the best of the others'.
const PROCESSOR_RATIO_MAX: f64 = 0.9;

/// What our 99th percentile of latency may be, as a part of the best of the others'.
const P99_RATIO_MAX: f64 = 1.0;

/// What our memory may be, in MiB.
const MEMORY_MAX: f64 = 32.0;

/// A figure of the tables: how it is read, which of two is better, and what is promised.
struct Measure {
    title: &'static str,
    read: fn(&Figures) -> f64,
    more_is_better: bool,
    decimals: usize,
}

const REQUESTS: Measure = Measure {
    title: "requests/s",
    read: |figures| figures.requests_per_second,
    more_is_better: true,
    decimals: 0,
};

const PROCESSOR: Measure = Measure {
    title: "processor µs/request",
    read: |figures| figures.processor,
    more_is_better: false,
    decimals: 1,
};

const P50: Measure = Measure {
    title: "p50, µs",
    read: |figures| figures.p50,
    more_is_better: false,
    decimals: 0,
};

const P99: Measure = Measure {
    title: "p99, µs",
    read: |figures| figures.p99,
    more_is_better: false,
    decimals: 0,
};

/// All tables, in Markdown.
pub(super) fn tables(comparison: &Comparison) -> String {
    let mut text = String::new();
    for measure in [REQUESTS, PROCESSOR, P50, P99] {
        text += &table(comparison, &measure);
        text.push('\n');
    }
    text + &memory(comparison)
}

pub(super) fn write(comparison: &Comparison) -> Result<()> {
    let facts = report::facts_beside(&comparison.versions, &comparison.how)?;
    let plots = super::plot::links();
    report::put(
        &format!("{facts}\n{}\n{plots}", tables(comparison)),
        BEGIN,
        END,
    )
}

fn table(comparison: &Comparison, measure: &Measure) -> String {
    let names = comparison.servers.iter().map(|(rival, _)| rival.name);
    let names: Vec<_> = names.collect();
    let mut table = format!(
        "| {} | {} | ours to the best other | promised | the loop to the best other |\n|---|{}--:|---|--:|\n",
        measure.title,
        names.join(" | "),
        "--:|".repeat(names.len()),
    );
    for (row, case) in comparison.cases.iter().enumerate() {
        let value = |(_, figures): &(Rival, Vec<Figures>)| (measure.read)(&figures[row]);
        let shown = comparison.servers.iter().map(value);
        let shown: Vec<_> = shown.map(|value| number(value, measure.decimals)).collect();
        let best = |role| {
            let servers = comparison.servers.iter();
            let of_role = servers.filter(|(rival, _)| rival.role == role).map(value);
            of_role.reduce(|one, other| match measure.more_is_better {
                true => one.max(other),
                false => one.min(other),
            })
        };
        let to_best = |role| {
            let ratio = best(role)
                .zip(best(Role::Other))
                .map(|(one, other)| one / other);
            ratio.filter(|ratio| ratio.is_finite())
        };
        let ratio = to_best(Role::Ours);
        let bound = match measure.title {
            title if title == REQUESTS.title => Some(Bound::Least(case.promised_ratio())),
            title if title == PROCESSOR.title => Some(Bound::Most(PROCESSOR_RATIO_MAX)),
            title if title == P99.title => Some(Bound::Most(P99_RATIO_MAX)),
            _ => None,
        };
        let verdict = ratio.zip(bound).map(|(ratio, bound)| bound.verdict(ratio));
        table += &format!(
            "| {} | {} | {} | {} | {} |\n",
            case.name(),
            shown.join(" | "),
            ratio.map_or_else(|| "-".into(), |ratio| format!("**{ratio:.2}**")),
            verdict.unwrap_or_default(),
            to_best(Role::Loop).map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}")),
        );
    }
    table
}

/// What is promised of a ratio.
#[derive(Clone, Copy)]
enum Bound {
    Least(f64),
    Most(f64),
}

impl Bound {
    /// The promise, and whether it is kept at the precision that is printed.
    fn verdict(self, ratio: f64) -> String {
        let (sign, bound, kept) = match self {
            Bound::Least(bound) => ('≥', bound, ratio > bound - 0.005),
            Bound::Most(bound) => ('≤', bound, ratio < bound + 0.005),
        };
        let missed = if kept { "" } else { ", **missed**" };
        format!("{sign} {bound:.2}{missed}")
    }
}

/// The most memory that each had in any case.
fn memory(comparison: &Comparison) -> String {
    let mut table = String::from(
        "| server | what it is | symlink-safe | most memory | promised |\n|---|---|---|--:|---|\n",
    );
    for (rival, figures) in &comparison.servers {
        let most = figures
            .iter()
            .fold(0.0, |most: f64, figures| most.max(figures.memory));
        let promised = match rival.role {
            Role::Ours if most > MEMORY_MAX => format!("≤ {MEMORY_MAX:.0} MiB, **missed**"),
            Role::Ours => format!("≤ {MEMORY_MAX:.0} MiB"),
            Role::Other | Role::Loop => String::new(),
        };
        let safe = if rival.is_symlink_safe { "yes" } else { "no" };
        table += &format!(
            "| {} | {} | {safe} | {most:.1} MiB | {promised} |\n",
            rival.name, rival.remark
        );
    }
    table
}

fn number(value: f64, decimals: usize) -> String {
    match value {
        value if !value.is_finite() => "-".into(),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.decimals$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{case, rivals};

    /// With a loop that takes half of what the other server does.
    fn comparison(ours: f64, other: f64) -> Comparison {
        let figures = |value| Figures {
            requests_per_second: 1e6 / value,
            p50: value,
            p99: f64::INFINITY,
            processor: value,
            memory: 4.0 * value,
        };
        let values = [ours, other, other / 2.0];
        let names = ["ringway", "lighttpd", "loop"].into_iter().zip(values);
        Comparison {
            cases: case::all()
                .filter(|case| case.name() == "4KiB-64")
                .collect(),
            servers: names
                .map(|(name, value)| {
                    let rival = rivals::ALL.into_iter().find(|rival| rival.name == name);
                    (rival.unwrap(), vec![figures(value)])
                })
                .collect(),
            versions: String::new(),
            how: String::new(),
        }
    }

    #[test]
    fn what_is_promised_and_missed_is_said() {
        let good = tables(&comparison(8.0, 10.0));
        assert!(
            good.contains("| 4KiB-64 | 125000 | 100000 | 200000 | **1.25** | ≥ 1.10 | 2.00 |"),
            "{good}"
        );
        assert!(
            good.contains("| 4KiB-64 | 8.0 | 10.0 | 5.0 | **0.80** | ≤ 0.90 | 0.50 |"),
            "{good}"
        );
        assert!(
            good.contains("| 4KiB-64 | - | - | - | - |  | - |"),
            "{good}"
        );
        assert!(good.contains("| yes | 32.0 MiB | ≤ 32 MiB |"), "{good}");
        let bad = tables(&comparison(9.5, 10.0));
        assert!(bad.contains("**1.05** | ≥ 1.10, **missed** |"), "{bad}");
        assert!(bad.contains("**0.95** | ≤ 0.90, **missed** |"), "{bad}");
        assert!(bad.contains("38.0 MiB | ≤ 32 MiB, **missed** |"), "{bad}");
    }
}
