//! Ways to do the same work, beside each other.
//!
//! Every way of a group does the same work. They alternate, for [`ROUNDS`] rounds, and the least processor time for one
//! operation is printed: what disturbs the machine only ever adds.

use std::time::Duration;

use crate::Run;
use crate::meter::Meter;

/// One way to do the work of its group.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// The work.
    pub group: &'static str,
    /// The way.
    pub name: &'static str,
    /// Operations in a batch.
    pub operations: u64,
    /// Sets it up.
    pub start: fn() -> Run,
}

/// Rounds of all ways of a group.
pub const ROUNDS: usize = 7;
/// Processor time that one measurement takes at least: the kernel counts that of other cores by its tick.
const LEAST: Duration = Duration::from_millis(150);

/// Measures the groups whose names contain one of the program's arguments, or all, and prints what they cost.
pub fn compare(ways: &[Way]) {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let mut groups: Vec<&str> = ways.iter().map(|way| way.group).collect();
    groups.dedup();
    for group in groups {
        if !asked.is_empty() && !asked.iter().any(|part| group.contains(part.as_str())) {
            continue;
        }
        println!("{group}");
        let ways: Vec<&Way> = ways.iter().filter(|way| way.group == group).collect();
        let mut least = vec![f64::INFINITY; ways.len()];
        for _ in 0..ROUNDS {
            for (least, way) in least.iter_mut().zip(&ways) {
                *least = least.min(measure(way));
            }
        }
        for (least, way) in least.iter().zip(&ways) {
            println!("  {:<24} {least:>10.0} ns", way.name);
        }
    }
}

/// Processor time of one operation, in nanoseconds.
fn measure(way: &Way) -> f64 {
    let mut run = (way.start)();
    run(1);
    let meter = Meter::start();
    let mut batches = 0;
    while meter.read().cpu() < LEAST {
        run(1);
        batches += 1;
    }
    meter.read().cpu().as_nanos() as f64 / (batches * way.operations) as f64
}
