//! `cargo xtask bench-http`: the example `file_server` beside nginx, lighttpd, and a loop without a runtime, under `wrk`, in turn.
//!
//! All servers run all the time, with two workers each, over one tree; who is not asked sleeps. For each case
//! (a file, or the mix, and a number of connections) the servers are asked one after the other, and that again in each
//! round, so that whatever else the machine does falls on all. Of the rounds the most requests per second count, and the
//! least of each other figure, for that is the round that was disturbed least.

mod case;
mod figures;
mod plot;
mod rivals;
mod soak;
mod table;
mod tree;
mod wrk;

use std::time::Duration;

use clap::Args;

use self::case::Case;
use self::figures::Figures;
use self::rivals::Rival;
use self::tree::Tree;
use crate::chore::{self, Result, program};
use crate::processes::{Processes, free_port};
use crate::quiet;

pub(crate) use self::soak::{Options as SoakOptions, run as soak};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How long each server is asked in each round
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    seconds: u32,
    /// How often each server is asked for each case
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Only cases whose names contain one of these words, such as 4KiB-64 or mix; docs/BENCHMARKS.md stays as it is
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Only servers whose names begin with one of these words; docs/BENCHMARKS.md stays as it is
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    servers: Vec<String>,
    /// How long each run waits for other programs to be quiet
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    patience: u64,
}

impl Options {
    fn cases(&self) -> Vec<Case> {
        let wanted = |case: &Case| {
            self.only.is_empty() || self.only.iter().any(|word| case.name().contains(word))
        };
        case::all().filter(wanted).collect()
    }

    fn rivals(&self) -> Vec<Rival> {
        let wanted = |rival: &Rival| {
            self.servers.is_empty() || self.servers.iter().any(|word| rival.name.starts_with(word))
        };
        rivals::ALL.into_iter().filter(wanted).collect()
    }

    fn is_full(&self) -> bool {
        self.only.is_empty() && self.servers.is_empty()
    }
}

/// A server that is asked, and what came of it, in the order of the cases.
struct Column {
    rival: Rival,
    processes: Processes,
    port: u16,
    figures: Vec<Figures>,
}

/// What stands in the report.
struct Comparison {
    cases: Vec<Case>,
    servers: Vec<(Rival, Vec<Figures>)>,
    versions: String,
    how: String,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let (cases, rivals) = (options.cases(), options.rivals());
    if cases.is_empty() || rivals.is_empty() {
        return Err("no case or no server has such a name".into());
    }
    rivals::check_installed(&rivals)?;
    build_server()?;
    build_loop()?;
    let tree = Tree::make()?;
    let versions = rivals::versions(&rivals)?;
    let mut columns = Vec::new();
    for rival in rivals {
        let port = free_port()?;
        columns.push(Column {
            processes: rival.start(tree.root(), port)?,
            rival,
            port,
            figures: Vec::new(),
        });
    }
    for case in &cases {
        eprintln!("{}", case.name());
        measure(options, case, &tree, &mut columns)?;
    }
    let servers = columns.into_iter().map(|column| {
        let Column { rival, figures, .. } = column;
        (rival, figures)
    });
    let comparison = Comparison {
        cases,
        servers: servers.collect(),
        versions,
        how: format!(
            "the best of {} rounds in turn, of {} s each",
            options.rounds, options.seconds
        ),
    };
    println!("{}", table::tables(&comparison));
    if options.is_full() {
        plot::write(&comparison)?;
        table::write(&comparison)?;
    }
    Ok(())
}

/// Asks all servers in turn, round after round.
fn measure(options: &Options, case: &Case, tree: &Tree, columns: &mut [Column]) -> Result<()> {
    for column in &mut *columns {
        column.figures.push(Figures::UNKNOWN);
    }
    // The first round counts for nobody: it fills the servers' caches, and has the machine find memory for them.
    for round in 0..=options.rounds.max(1) {
        for column in &mut *columns {
            quiet::wait(Duration::from_secs(options.patience))?;
            let figures = wrk::ask(
                case,
                tree,
                &mut column.processes,
                column.port,
                options.seconds.max(1),
            )
            .map_err(|error| format!("{}, {}: {error}", column.rival.name, case.name()))?;
            if round > 0 {
                let known = column.figures.last_mut().expect("pushed above");
                *known = known.best(figures);
            }
        }
    }
    for column in columns {
        let figures = column.figures.last().expect("pushed above");
        eprintln!("  {:20} {figures}", column.rival.name);
    }
    Ok(())
}

/// Builds the example that is compared, as one would build what is deployed.
fn build_server() -> Result<()> {
    build(&["--example", "file_server"])
}

/// Builds the loop beside it in the same way.
fn build_loop() -> Result<()> {
    build(&["--package", "ringway-benches", "--bin", "bare_files"])
}

fn build(what: &[&str]) -> Result<()> {
    chore::run(
        program("cargo")
            .args(["build", "--profile", "fast"])
            .args(what),
    )
}
