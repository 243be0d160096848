//! Waiting for the machine to be quiet, so that other programs do not fall into a measurement.

use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::chore::Result;

/// How long the machine is watched.
const WATCH: Duration = Duration::from_millis(200);

/// The busy part of all cores' time below which the machine is quiet.
const QUIET: f64 = 0.1;

/// The time of all cores together, in the kernel's ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ticks {
    busy: u64,
    idle: u64,
}

/// Waits until the machine is quiet, at most for `patience`; says whether it became quiet.
pub(crate) fn wait(patience: Duration) -> Result<bool> {
    let start = Instant::now();
    loop {
        let before = Ticks::now()?;
        thread::sleep(WATCH);
        if busy_part(before, Ticks::now()?) < QUIET {
            return Ok(true);
        }
        if start.elapsed() >= patience {
            return Ok(false);
        }
    }
}

fn busy_part(before: Ticks, after: Ticks) -> f64 {
    let busy = (after.busy - before.busy) as f64;
    let idle = (after.idle - before.idle) as f64;
    busy / (busy + idle).max(1.0)
}

impl Ticks {
    fn now() -> Result<Ticks> {
        let stat =
            fs::read_to_string("/proc/stat").map_err(|error| format!("/proc/stat: {error}"))?;
        Ticks::parse(&stat).ok_or_else(|| "/proc/stat does not begin with the line `cpu`".into())
    }

    /// The first line: user, nice, system, idle, iowait, irq, softirq, steal, then guests, which are
    /// in user already.
    fn parse(stat: &str) -> Option<Ticks> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = line
            .split_whitespace()
            .take(8)
            .filter_map(|word| word.parse().ok())
            .collect();
        let [user, nice, system, idle, iowait, irq, softirq, steal] = ticks.try_into().ok()?;
        Some(Ticks {
            busy: user + nice + system + irq + softirq + steal,
            idle: idle + iowait,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busy_part_leaves_waiting_and_guests_out() {
        let before = Ticks::parse("cpu  1 1 1 10 10 1 1 1 100 100\ncpu0 1").unwrap();
        assert_eq!(before, Ticks { busy: 6, idle: 20 });
        let after = Ticks { busy: 7, idle: 23 };
        assert_eq!(busy_part(before, after), 0.25);
        assert_eq!(busy_part(before, before), 0.0);
        assert_eq!(Ticks::parse("cpu0 1 2"), None);
    }

    #[test]
    fn patience_has_an_end() {
        let start = Instant::now();
        wait(Duration::ZERO).unwrap();
        assert!(start.elapsed() >= WATCH);
    }
}
