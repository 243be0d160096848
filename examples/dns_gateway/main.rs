//! A caching DNS forwarder, on ringway.
//!
//! ```text
//! cargo run --release --example dns_gateway -- --listen 127.0.0.1:5353 --upstream HOST:PORT [--zone FILE]
//! ```
//!
//! The way of a query:
//!
//! | module | what it knows |
//! |---|---|
//! | `args`, `limits` | the command line; every bound, with its reason |
//! | `server` | the sockets' common ground, the graceful stop |
//! | `udp`, `tcp` | receiving queries, a task for each; sending answers |
//! | `query`, `wire` | what a packet asks, read without decoding it |
//! | `resolver` | from a packet to its answer |
//! | `cache`, `lifetime` | answers by question, each fetched once; how long they are kept |
//! | `zone` | answers from a master file |
//! | `upstream` | asking others: retries, random ports and ids, TCP for what is too long |
//! | `answer` | an answer as it is kept, and as it is sent to one client |
//! | `counters` | what has happened |
//! | `bare` | the same answers from a loop without a runtime, to compare with |
//!
//! `query`, `wire`, `answer`, `lifetime` and `zone` are plain functions without a runtime.

#![deny(unsafe_code)]

mod answer;
mod args;
mod bare;
mod cache;
mod counters;
mod lifetime;
mod limits;
mod query;
mod resolver;
mod server;
mod tcp;
mod udp;
mod upstream;
mod wire;
mod zone;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use ringway::net::lookup_host;
use ringway::runtime::{Builder, Runtime};

use crate::args::Args;
use crate::counters::{Counters, say};
use crate::resolver::Resolver;
use crate::server::{Outcome, Server, Signals, Sockets};
use crate::upstream::Upstreams;
use crate::zone::Zone;

/// What is left to the runtime when the gateway has ended: queries that were cut off.
const RUNTIME_END_TIME: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(code) => code,
        Err(message) => {
            say(format_args!("{message}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode, String> {
    let zone = args.zone.as_deref().map(Zone::load).transpose()?;
    let runtime =
        build_runtime(args).map_err(|error| format!("cannot start the runtime: {error}"))?;
    let outcome = runtime.block_on(serve(args, zone));
    runtime.shutdown_timeout(RUNTIME_END_TIME);
    Ok(report(outcome?))
}

fn build_runtime(args: &Args) -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if let Some(workers) = args.workers {
        builder.worker_threads(usize::from(workers));
    }
    builder.enable_all().build()
}

async fn serve(args: &Args, zone: Option<Zone>) -> Result<Outcome, String> {
    let limits = args.limits();
    let addresses = find_upstreams(args).await?;
    let counters = Arc::<Counters>::default();
    let announced = announcement(&zone, &addresses);
    let upstreams = (!addresses.is_empty()).then(|| Upstreams::new(addresses, limits.reply));
    let resolver = Resolver::new(zone, upstreams, &limits, Arc::clone(&counters));
    let mut sockets = Vec::new();
    for &address in &args.listen {
        sockets.push(bind(address)?);
    }
    if args.bare {
        announce(&sockets, &announced)?;
        let threads = args.workers.map_or(1, usize::from);
        return bare::serve(resolver, sockets, threads)
            .map_err(|error| format!("cannot serve without a runtime: {error}"));
    }
    let signals =
        Signals::listen().map_err(|error| format!("cannot listen for signals: {error}"))?;
    announce(&sockets, &announced)?;
    Ok(Arc::new(Server::new(resolver, counters, limits))
        .run(sockets, signals)
        .await)
}

/// The addresses of all upstreams.
async fn find_upstreams(args: &Args) -> Result<Vec<SocketAddr>, String> {
    let mut addresses = Vec::new();
    for upstream in &args.upstream {
        let found = lookup_host(upstream)
            .await
            .map_err(|error| format!("cannot find the upstream {upstream}: {error}"))?;
        addresses.extend(found);
    }
    Ok(addresses)
}

fn bind(address: SocketAddr) -> Result<Sockets, String> {
    Sockets::bind(address).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "another program uses this port: choose another with --listen"
            }
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need a privilege: choose another with --listen"
            }
            io::ErrorKind::AddrNotAvailable => {
                "this machine has no such address: try --listen 127.0.0.1:5353"
            }
            _ => "choose another address with --listen",
        };
        format!("cannot answer at {address}: {error}; {remedy}")
    })
}

/// Whom is asked, and for what nobody is.
fn announcement(zone: &Option<Zone>, upstreams: &[SocketAddr]) -> String {
    let mut text = String::new();
    if let Some(zone) = zone {
        text += &format!(", for {}", zone.apex());
    }
    for upstream in upstreams {
        text += &format!(", asking {upstream}");
    }
    text
}

/// Says on standard output where the gateway is.
fn announce(sockets: &[Sockets], what: &str) -> Result<(), String> {
    for sockets in sockets {
        let address = sockets
            .address()
            .map_err(|error| format!("cannot learn the address of a socket: {error}"))?;
        // The gateway is of use to others even if nobody reads this.
        let _ = writeln!(io::stdout(), "Answering at {address}{what} (Ctrl-C stops)");
    }
    Ok(())
}

/// Says how the gateway ended, if it did not end as it should.
fn report(outcome: Outcome) -> ExitCode {
    match outcome {
        Outcome::Finished => return ExitCode::SUCCESS,
        Outcome::CutOff(count) => say(format_args!("{count} queries were not answered in time")),
        Outcome::Interrupted => say(format_args!("stopped at once by a second signal")),
    }
    ExitCode::FAILURE
}
