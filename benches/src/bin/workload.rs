//! Runs one workload, or reads one gauge, on one peer in this process, and prints the figures as lines of JSON.
//!
//!     workload list
//!     workload NAME ringway|tokio|bare [SAMPLES [MILLISECONDS]]
//!     workload calls NAME ringway|tokio|bare
//!     workload gauges
//!     workload gauge NAME ringway|tokio
//!
//! One process for each run, so that neither peer finds threads or a heap that the other left
//! behind; and a profiler sees one thing: `perf record -g workload echo_64 ringway 20`.

use std::time::{Duration, Instant};

use ringway_benches::calls::Calls;
use ringway_benches::gauges::{Figure, GAUGES, Gauge, Promise};
use ringway_benches::meter::Meter;
use ringway_benches::{Peer, Run, WORKLOADS, Workload, clients};

const USAGE: &str = "usage: workload list | gauges | [calls] NAME PEER | gauge NAME PEER \
                     | NAME PEER SAMPLES [MILLISECONDS]; a peer is ringway, tokio or bare";

/// Samples of one run, unless told otherwise.
const SAMPLES: u64 = 5;

/// Length of a sample, unless told otherwise: see `meter` for why it is not less.
const SAMPLE_MILLISECONDS: u64 = 200;

fn main() -> Result<(), String> {
    clients::run_if_asked();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        ["list"] => list(),
        ["gauges"] => list_gauges(),
        ["gauge", name, peer] => read_gauge(name, peer)?,
        ["calls", name, peer] => count_calls(name, peer)?,
        [name, peer] => run(name, peer, SAMPLES, SAMPLE_MILLISECONDS)?,
        [name, peer, samples] => run(name, peer, number(samples)?, SAMPLE_MILLISECONDS)?,
        [name, peer, samples, time] => run(name, peer, number(samples)?, number(time)?)?,
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

fn number(argument: &str) -> Result<u64, String> {
    argument
        .parse()
        .map_err(|_| format!("`{argument}` is not a number; {USAGE}"))
}

fn list() {
    for workload in WORKLOADS {
        let Workload {
            name,
            operation,
            promise,
            ..
        } = workload;
        let promise = promise.map_or("null".into(), |promise| promise.to_string());
        let bare = workload.is_for(Peer::Bare);
        println!(
            r#"{{"name":"{name}","operation":"{operation}","promise":{promise},"bare":{bare}}}"#
        );
    }
}

fn list_gauges() {
    for Gauge { name, what, .. } in GAUGES {
        println!(r#"{{"name":"{name}","what":"{what}"}}"#);
    }
}

fn read_gauge(name: &str, peer: &str) -> Result<(), String> {
    let gauge = Gauge::by_name(name).ok_or(format!("no gauge is called `{name}`"))?;
    let peer = find_peer(peer)?;
    if peer == Peer::Bare {
        return Err(format!("`{name}` needs a runtime"));
    }
    for figure in gauge.read(peer) {
        let Figure {
            name, unit, value, ..
        } = figure;
        let promise = match figure.promise {
            None => String::new(),
            Some(Promise::Ratio(most)) => format!(r#","ratio_max":{most}"#),
            Some(Promise::Value(most)) => format!(r#","max":{most}"#),
        };
        println!(r#"{{"figure":"{name}","unit":"{unit}","value":{value:.4}{promise}}}"#);
    }
    Ok(())
}

/// Prints the system calls of an operation; nothing, if the kernel does not let us count.
fn count_calls(name: &str, peer: &str) -> Result<(), String> {
    let workload = find_workload(name)?;
    let peer = find_peer(peer)?;
    let Ok(calls) = Calls::of_this_and_new_threads() else {
        return Ok(());
    };
    let mut run = start(workload, peer)?;
    let batches = calibrate(&mut run, Duration::from_millis(SAMPLE_MILLISECONDS));
    let before = calls.count();
    run(batches);
    let made = (calls.count() - before) as f64;
    let operations = (batches * workload.batch) as f64;
    println!(r#"{{"calls":{:.6}}}"#, made / operations);
    Ok(())
}

fn find_workload(name: &str) -> Result<&'static Workload, String> {
    Workload::by_name(name).ok_or(format!("no workload is called `{name}`"))
}

fn start(workload: &Workload, peer: Peer) -> Result<Run, String> {
    if !workload.is_for(peer) {
        return Err(format!("`{}` needs a runtime", workload.name));
    }
    Ok(workload.start(peer))
}

fn find_peer(name: &str) -> Result<Peer, String> {
    Peer::by_name(name).ok_or(format!("no peer is called `{name}`"))
}

fn run(name: &str, peer: &str, samples: u64, milliseconds: u64) -> Result<(), String> {
    let workload = find_workload(name)?;
    let mut run = start(workload, find_peer(peer)?)?;
    let batches = calibrate(&mut run, Duration::from_millis(milliseconds));
    for _ in 0..samples {
        let meter = Meter::start();
        run(batches);
        let reading = meter.read();
        let operations = (batches * workload.batch) as f64;
        println!(
            r#"{{"cpu_ns":{:.1},"system_ns":{:.1},"wall_ns":{:.1},"waits":{:.5}}}"#,
            reading.cpu().as_nanos() as f64 / operations,
            reading.system.as_nanos() as f64 / operations,
            reading.wall.as_nanos() as f64 / operations,
            reading.waits as f64 / operations,
        );
    }
    Ok(())
}

/// How many batches last about as long as `sample`; warms everything up on the way.
fn calibrate(run: &mut Run, sample: Duration) -> u64 {
    let mut batches = 1;
    loop {
        let start = Instant::now();
        run(batches);
        let elapsed = start.elapsed();
        if elapsed >= sample / 2 {
            let per_batch = elapsed.as_secs_f64() / batches as f64;
            return ((sample.as_secs_f64() / per_batch) as u64).max(1);
        }
        batches *= 2;
    }
}
