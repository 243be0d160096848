//! `cargo xtask bench-dns`: the example `dns_gateway`, which answers from its cache, under `dnsperf`, beside the same
//! answers from a loop of `recvmmsg(2)` and `sendmmsg(2)` without a runtime.
//!
//! Three gateways run all the time: one that knows a zone, one that asks it and caches, and the loop, which knows the
//! zone itself; who is not asked sleeps. The last two are asked in turn, round after round, first as fast as they answer,
//! then half as fast. Of the rounds the best of each figure counts, but of the queries that were lost, of which all do.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::chore::{self, Result, output, program, target_folder};
use crate::processes::{Processes, ends_with_us, free_port};
use crate::{quiet, report};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How long each is asked in each round
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    seconds: u32,
    /// How often each is asked
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// How long each run waits for other programs to be quiet
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    patience: u64,
    /// Print the figures, and leave docs/BENCHMARKS.md as it is
    #[arg(long)]
    print_only: bool,
}

/// The lines of the document between which the figures stand.
const BEGIN: &str = "<!-- dns: written by `cargo xtask bench-dns`, do not edit -->";
const END: &str = "<!-- end of the dns -->";

/// Names of the zone, each of which is asked for.
const NAMES: u32 = 1_000;
/// Queries under way, from so many sockets.
const UNDER_WAY: &str = "200";
const CLIENTS: &str = "4";
/// What is promised: answers for each second of a processor.
const PROMISED: f64 = 100_000.0;
/// For an answer to the first query.
const REPLY_PATIENCE: Duration = Duration::from_millis(200);

/// A gateway that is asked.
struct Gateway {
    what: &'static str,
    processes: Processes,
    port: u16,
    figures: Figures,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Figures {
    answers_per_second: f64,
    /// Processor time of the gateway for each answer, in microseconds.
    processor: f64,
    lost: u64,
    lost_at_half: u64,
}

impl Figures {
    const UNKNOWN: Figures = Figures {
        answers_per_second: 0.0,
        processor: f64::INFINITY,
        lost: 0,
        lost_at_half: 0,
    };
}

/// What `dnsperf` has counted.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counted {
    completed: u64,
    lost: u64,
    per_second: f64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let version = program("dnsperf").arg("-h").output();
    let version = version.map_err(|_| "a program is missing: apt-get install dnsperf")?;
    let version = dnsperf_version(&String::from_utf8_lossy(&version.stdout));
    chore::run(program("cargo").args(["build", "--release", "--example", "dns_gateway"]))?;
    let (zone, queries) = write_files()?;
    let authority = free_port()?;
    let _authority = start(&["--zone".into(), zone.clone().into()], authority)?;
    let upstream = format!("127.0.0.1:{authority}");
    let gateways = [
        (
            "a task for each packet",
            vec!["--upstream".into(), upstream.into()],
        ),
        (
            "`recvmmsg` and `sendmmsg`, 1 thread",
            vec![
                "--bare".into(),
                "--workers".into(),
                "1".into(),
                "--zone".into(),
                zone.into(),
            ],
        ),
    ];
    let mut asked = Vec::new();
    for (what, words) in gateways {
        let port = free_port()?;
        asked.push(Gateway {
            what,
            processes: start(&words, port)?,
            port,
            figures: Figures::UNKNOWN,
        });
    }
    for _ in 0..options.rounds.max(1) {
        for gateway in &mut asked {
            quiet::wait(Duration::from_secs(options.patience))?;
            gateway.measure(&queries, options.seconds.max(1))?;
        }
    }
    let table = table(&asked);
    println!("{table}");
    if options.print_only {
        return Ok(());
    }
    let how = format!(
        "the best of {} rounds in turn, of {} s each",
        options.rounds, options.seconds
    );
    let facts = report::facts_beside(&version, &how)?;
    report::put(&format!("{facts}\n{table}"), BEGIN, END)
}

impl Gateway {
    /// Asks as fast as it answers, and then half as fast.
    fn measure(&mut self, queries: &Path, seconds: u32) -> Result<()> {
        let before = self.processes.processor_time();
        let counted = ask(queries, self.port, seconds, None)?;
        let used = self.processes.processor_time() - before;
        let half = ask(
            queries,
            self.port,
            seconds,
            Some(counted.per_second as u64 / 2),
        )?;
        if !self.processes.runs() {
            return Err(format!("{} has ended", self.what));
        }
        let processor = used.as_secs_f64() * 1e6 / counted.completed as f64;
        eprintln!(
            "  {:36} {:7.0} answers/s, {processor:.2} µs each, {} lost, {} at half the load",
            self.what, counted.per_second, counted.lost, half.lost
        );
        let known = &mut self.figures;
        known.answers_per_second = known.answers_per_second.max(counted.per_second);
        known.processor = known.processor.min(processor);
        known.lost += counted.lost;
        known.lost_at_half += half.lost;
        Ok(())
    }
}

/// Starts a gateway and waits until it answers.
fn start(words: &[OsString], port: u16) -> Result<Processes> {
    let mut all: Vec<OsString> = vec![target_folder("release/examples/dns_gateway").into()];
    all.extend(["--listen".into(), format!("127.0.0.1:{port}").into()]);
    all.extend_from_slice(words);
    Processes::start_until(ends_with_us(all), || answers(port))
}

/// Whether a gateway answers a query for the zone's apex.
fn answers(port: u16) -> bool {
    const QUERY: &[u8] =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04perf\x04test\x00\x00\x06\x00\x01";
    let asked = || {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(REPLY_PATIENCE))?;
        socket.connect((Ipv4Addr::LOCALHOST, port))?;
        socket.send(QUERY)?;
        socket.recv(&mut [0; 512])
    };
    asked().is_ok()
}

/// The zone, and the queries for all its names.
fn write_files() -> Result<(PathBuf, PathBuf)> {
    let folder = target_folder("bench-dns");
    let (zone, queries) = (folder.join("perf.zone"), folder.join("queries"));
    let mut master = String::from(
        "$ORIGIN perf.test.\n$TTL 3600\n@ IN SOA ns1 admin ( 1 3600 600 86400 60 )\n\
         @ IN NS ns1\nns1 IN A 192.0.2.1\n",
    );
    let mut asked = String::new();
    for number in 0..NAMES {
        let (high, low) = (number / 256, number % 256);
        master += &format!("h{number} IN A 10.0.{high}.{low}\n");
        asked += &format!("h{number}.perf.test A\n");
    }
    let put = |path: &Path, text: &str| {
        fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    put(&zone, &master)?;
    put(&queries, &asked)?;
    Ok((zone, queries))
}

/// Has `dnsperf` ask for so long, at most so often in a second.
fn ask(queries: &Path, port: u16, seconds: u32, most: Option<u64>) -> Result<Counted> {
    let mut command = program("dnsperf");
    command.args(["-s", "127.0.0.1", "-q", UNDER_WAY, "-c", CLIENTS, "-d"]);
    command.arg(queries);
    command.args(["-p", &port.to_string(), "-l", &seconds.to_string()]);
    if let Some(most) = most {
        command.args(["-Q", &most.max(1).to_string()]);
    }
    let said = output(&mut command)?;
    counted(&said).ok_or(format!("dnsperf has said what is not understood:\n{said}"))
}

/// Reads what `dnsperf` says at its end.
fn counted(said: &str) -> Option<Counted> {
    let value = |name: &str| {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(name));
        line?.split_whitespace().next()?.parse::<f64>().ok()
    };
    Some(Counted {
        completed: value("Queries completed:")? as u64,
        lost: value("Queries lost:")? as u64,
        per_second: value("Queries per second:")?,
    })
}

/// The version in `Version 2.10.0`.
fn dnsperf_version(said: &str) -> String {
    let number = said.lines().find_map(|line| line.strip_prefix("Version "));
    format!("dnsperf {}", number.unwrap_or("of unknown version").trim())
}

fn table(gateways: &[Gateway]) -> String {
    let mut table = String::from(
        "| | answers/s | processor µs/answer | answers for each second of a processor | promised | lost | lost at half the load |\n\
         |---|--:|--:|--:|---|--:|--:|\n",
    );
    for Gateway { what, figures, .. } in gateways {
        table += &row(what, figures);
    }
    table
}

fn row(what: &str, figures: &Figures) -> String {
    let per_processor = 1e6 / figures.processor;
    let missed = match per_processor < PROMISED || figures.lost_at_half > 0 {
        true => ", **missed**",
        false => "",
    };
    format!(
        "| {what} | {:.0} | {:.2} | {per_processor:.0} | ≥ {PROMISED:.0}, none lost at half the load{missed} | {} | {} |\n",
        figures.answers_per_second, figures.processor, figures.lost, figures.lost_at_half
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dnsperf_has_counted_is_read() {
        let said = "Statistics:\n\n  Queries sent:         200000\n  Queries completed:    199998 (100.00%)\n  \
                    Queries lost:         2 (0.00%)\n\n  Run time (s):         2.5\n  Queries per second:   79999.2\n";
        let expected = Counted {
            completed: 199_998,
            lost: 2,
            per_second: 79_999.2,
        };
        assert_eq!(counted(said), Some(expected));
        assert_eq!(counted("Usage: dnsperf"), None);
        assert_eq!(
            dnsperf_version("DNS Performance Testing Tool\nVersion 2.10.0\n"),
            "dnsperf 2.10.0"
        );
    }

    #[test]
    fn what_is_promised_and_missed_is_said() {
        let good = Figures {
            answers_per_second: 80_000.0,
            processor: 5.0,
            lost: 0,
            lost_at_half: 0,
        };
        let kept = row("x", &good);
        assert!(kept.contains("| 80000 | 5.00 | 200000 |"), "{kept}");
        assert!(!kept.contains("missed"), "{kept}");
        let slow = Figures {
            processor: 10.1,
            ..good
        };
        assert!(row("x", &slow).contains("**missed**"));
        let lossy = Figures {
            lost_at_half: 1,
            ..good
        };
        assert!(row("x", &lossy).contains("**missed**"));
    }
}
