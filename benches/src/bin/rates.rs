//! How many timers a second a runtime stands: how late they are at one rate after the other, ringway's beside tokio's.
//!
//!     rates [SECONDS]
//!
//! At each rate as many tasks as come due within so many seconds (3, unless told otherwise) sleep until random times, each
//! runtime in a process of its own. It takes two minutes and a half.
//!
//! A machine takes processors away from its threads, too. Before each row as many threads as there are workers do nothing
//! but read the clock, for half a second: *lost* is what part of that time was in gaps of more than 20 µs, and *late* the
//! part of all moments for which they came to read it more than 120 µs too late. If that is more than 1 %, no runtime can
//! keep 99 % of its timers within 120 µs there. *Waited* is the part of the workers' time for which the kernel counted a
//! thread of the runtime as one that would run and did not, because others did.

use std::collections::HashMap;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use ringway_benches::gauges::Figure;
use ringway_benches::ringway::workloads::WORKERS;
use ringway_benches::{ringway, tokio};

/// Timers a second.
const RATES: [usize; 9] = [
    1_000, 10_000, 50_000, 100_000, 200_000, 400_000, 600_000, 800_000, 1_000_000,
];

/// For how long, unless told otherwise.
const SECONDS: usize = 3;

/// By how much 99 of 100 may be late.
const BOUND: Duration = Duration::from_micros(120);

/// A gap between two readings of the clock in which nobody else took the processor is shorter.
const GAP_MIN: Duration = Duration::from_micros(20);

/// How long the machine alone is looked at.
const CONTROL: Duration = Duration::from_millis(500);

const USAGE: &str = "usage: rates [SECONDS]";

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        [] => compare(SECONDS),
        [seconds] => compare(number(seconds)?),
        [peer, rate, seconds] => print(peer, number(rate)?, number(seconds)?),
        _ => Err(USAGE.into()),
    }
}

fn number(argument: &str) -> Result<usize, String> {
    argument
        .parse()
        .map_err(|_| format!("`{argument}` is not a number; {USAGE}"))
}

/// Measures one peer at one rate, and prints the figures.
fn print(peer: &str, rate: usize, seconds: usize) -> Result<(), String> {
    let figures = match peer {
        "ringway" => ringway::workloads::sleeps::at_rate(rate, seconds),
        "tokio" => tokio::workloads::sleeps::at_rate(rate, seconds),
        _ => return Err(format!("`{peer}` is no peer; {USAGE}")),
    };
    for Figure { name, value, .. } in figures {
        println!("{name}={value}");
    }
    Ok(())
}

/// Prints a table of both, and the greatest rate at which each keeps the bound.
fn compare(seconds: usize) -> Result<(), String> {
    println!(
        "| timers/s | peer | late, p50 | p99 | processor time of a timer | waited | machine: lost | late |"
    );
    println!("|--:|---|--:|--:|--:|--:|--:|--:|");
    let peers = ["ringway", "tokio"];
    let mut greatest = [None; 2];
    for rate in RATES {
        for (peer, greatest) in peers.into_iter().zip(&mut greatest) {
            let machine = Machine::look();
            let figures = measure(peer, rate, seconds)?;
            let figure = |name| figures.get(name).ok_or(format!("no `{name}` of {peer}"));
            let p99 = *figure("late, p99")?;
            println!(
                "| {rate} | {peer} | {:.1} µs | {p99:.1} µs | {:.0} ns | {:.2} % | {:.2} % | {:.2} % |",
                figure("late, p50")?,
                figure("processor time")?,
                figure("waited for a processor")? / 10.0,
                machine.lost * 100.0,
                machine.late * 100.0,
            );
            if p99 <= BOUND.as_secs_f64() * 1e6 {
                *greatest = Some(rate);
            }
        }
    }
    for (peer, greatest) in peers.into_iter().zip(greatest) {
        let greatest = greatest.map_or("none".into(), |rate| format!("{rate} timers a second"));
        println!(
            "{peer}: the greatest rate at which 99 % are late by {BOUND:?} at most: {greatest}"
        );
    }
    Ok(())
}

/// The figures of one peer at one rate, measured by a process of its own.
fn measure(peer: &str, rate: usize, seconds: usize) -> Result<HashMap<String, f64>, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .args([peer, &rate.to_string(), &seconds.to_string()])
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!(
            "{peer} at {rate}: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let figures = text.lines().filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        Some((name.to_string(), value.parse().ok()?))
    });
    Ok(figures.collect())
}

/// What the machine takes from threads that would always run.
struct Machine {
    /// The part of their time that was in gaps.
    lost: f64,
    /// The part of all moments after which a reading came too late for [`BOUND`].
    late: f64,
}

impl Machine {
    fn look() -> Machine {
        let threads: Vec<_> = (0..WORKERS).map(|_| thread::spawn(read_clock)).collect();
        let parts: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().expect("it only reads the clock"))
            .collect();
        let mean = |part: fn(&Machine) -> f64| parts.iter().map(part).sum::<f64>() / WORKERS as f64;
        Machine {
            lost: mean(|machine| machine.lost),
            late: mean(|machine| machine.late),
        }
    }
}

/// What this thread loses while it reads the clock.
fn read_clock() -> Machine {
    let begin = Instant::now();
    let (mut last, mut lost, mut late) = (begin, Duration::ZERO, Duration::ZERO);
    while last - begin < CONTROL {
        let now = Instant::now();
        let gap = now - last;
        if gap > GAP_MIN {
            lost += gap;
            late += gap.saturating_sub(BOUND);
        }
        last = now;
    }
    let total = (last - begin).as_secs_f64();
    Machine {
        lost: lost.as_secs_f64() / total,
        late: late.as_secs_f64() / total,
    }
}
