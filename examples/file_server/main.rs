//! A file server over HTTP/1.1, on ringway.
//!
//! ```text
//! cargo run --release --example file_server -- DIR [--addr 127.0.0.1:8080] [--workers N]
//! ```
//!
//! From the socket inwards:
//!
//! | module | what it knows |
//! |---|---|
//! | `args`, `limits` | the command line; every bound, with its reason |
//! | `server`, `peers` | accepting, the caps, the graceful stop |
//! | `connection`, `terms`, `waits` | the loop of one connection: receive, answer, send; when it ends |
//! | `linger` | how it ends without taking back what was sent |
//! | `listener`, `transport`, `tls` | TCP or Unix sockets, or TLS over TCP |
//! | `input`, `request`, `fields` | what was received; where a head ends and what it says |
//! | `path`, `policy`, `site` | from a path to an open file beneath the root, and to an answer |
//! | `conditional`, `range`, `coding`, `media` | validators, conditions, ranges, compressed forms, types |
//! | `reply`, `multipart` | the answer's head; several ranges in one answer |
//! | `listing`, `notice`, `page` | the page that shows a directory, that of an error, and what both look like |
//! | `cache`, `content`, `entity` | what is kept of files between requests, and for how long it is believed |
//! | `activation`, `supervisor` | sockets that systemd hands over, and what it is told |
//! | `status` | the page that shows the runtime at work, once a second |
//! | `journal`, `clock` | the access log; the time as text |
//!
//! `path`, `range`, `conditional`, `coding`, `request`, `fields`, `reply`, `multipart`, `input`, `notice`, `page`, `peers`
//! and `clock` wait for nothing.

#![deny(unsafe_code)]

mod activation;
mod args;
mod cache;
mod clock;
mod coding;
mod conditional;
mod connection;
mod content;
mod entity;
mod fields;
#[cfg(test)]
mod fuzz;
mod input;
mod journal;
mod limits;
mod linger;
mod listener;
mod listing;
mod media;
mod multipart;
mod notice;
mod page;
mod path;
mod peers;
mod policy;
mod range;
mod reply;
mod request;
mod server;
mod site;
mod spare;
mod status;
mod supervisor;
mod terms;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
mod tls;
mod transport;
mod waits;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use ringway::join;
use ringway::net::{TcpListener, UnixListener};
use ringway::runtime::{Builder, Handle, Runtime};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::activation::{HandedOver, Inherited};
use crate::args::Args;
use crate::journal::Journal;
use crate::limits::{
    CACHE_DESCRIPTORS_PART, DESCRIPTORS_PER_CONNECTION, DESCRIPTORS_PER_TRANSFER,
    DESCRIPTORS_RESERVED, Limits, TRANSFER_DESCRIPTORS_PART,
};
use crate::listener::Listener;
use crate::server::{Outcome, Server, StopSignals};
use crate::site::Site;
use crate::status::{Gauges, Page, Status};
use crate::tls::Acceptor;

/// What is left to the runtime when the server has ended: connections that were cut off, a listing
/// being read.
const RUNTIME_END_TIME: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(code) => code,
        Err(message) => {
            // If standard error is gone there is nobody left to tell.
            let _ = writeln!(io::stderr(), "file_server: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode, String> {
    #[allow(unsafe_code, reason = "it changes the environment")]
    // SAFETY: there is no second thread yet; the first that there will be is the journal's.
    let inherited = unsafe { Inherited::take() }?;
    let journal = Journal::start(!args.quiet)
        .map_err(|error| format!("cannot start the thread of the access log: {error}"))?;
    let journal = Arc::new(journal);
    let mut limits = args.limits();
    fit_to_descriptors(&mut limits, &journal);
    let status = match (inherited.status, args.status) {
        (Some(listener), _) => Some(Status::over(listener, args.status_anywhere)?),
        (None, Some(address)) => Some(Status::bind(address, args.status_anywhere)?),
        (None, None) => None,
    };
    let runtime = build_runtime(args, status.as_ref(), &journal)
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    let sockets = inherited.files;
    let outcome = runtime.block_on(serve(args, limits, sockets, status, Arc::clone(&journal)));
    runtime.shutdown_timeout(RUNTIME_END_TIME);
    journal.close();
    Ok(report(outcome?))
}

fn build_runtime(
    args: &Args,
    status: Option<&Status>,
    journal: &Arc<Journal>,
) -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if let Some(workers) = args.workers {
        builder.worker_threads(usize::from(workers));
    }
    if let Some(status) = status {
        status.watch(&mut builder, journal);
    }
    builder.enable_all().build()
}

async fn serve(
    args: &Args,
    limits: Limits,
    sockets: Vec<HandedOver>,
    status: Option<Status>,
    journal: Arc<Journal>,
) -> Result<Outcome, String> {
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Some(Acceptor::load(certificate, key)?),
        _ => None,
    };
    let directory = &args.directory;
    let site = Site::open_root(
        directory,
        args.policy(),
        &limits.cache,
        Arc::clone(&journal),
    )
    .await
    .map_err(|error| {
        format!(
            "cannot serve {}: {error}; name a directory that may be read",
            directory.display()
        )
    })?;
    let signals =
        StopSignals::listen().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let listeners = listen(args, &limits, sockets).await?;
    let places = places(&listeners, tls.is_some())?;
    announce(directory, &places);
    let workers = Handle::current().metrics().num_workers();
    let gauges = status.is_some().then(|| Arc::new(Gauges::new(workers)));
    let drain = limits.drain;
    let server = Server::new(site, limits, Arc::clone(&journal));
    let server = Arc::new(server.with_tls(tls).with_gauges(gauges.clone()));
    // It is shown until the last connection has ended.
    let _page = match status.zip(gauges) {
        Some((status, gauges)) => Some(show(status, &server, gauges, directory, &places)?),
        None => None,
    };
    let telling = format!("Serving {} at {places}", directory.display());
    let informed = supervisor::inform(journal, telling, server.subscribe_to_stop(), drain);
    let (outcome, ()) = join!(server.run(listeners, signals), informed);
    Ok(outcome)
}

/// Takes the sockets that were handed over, or else listens on the address of the command line.
async fn listen(
    args: &Args,
    limits: &Limits,
    sockets: Vec<HandedOver>,
) -> Result<Vec<Listener>, String> {
    let mut listeners = if sockets.is_empty() {
        let listener = TcpListener::bind(args.addr).await;
        let listener = listener.map_err(|error| bind_error(args, &error))?;
        vec![Listener::Tcp(listener)]
    } else {
        let taken: io::Result<_> = sockets.into_iter().map(take).collect();
        taken.map_err(|error| format!("cannot use the sockets that were handed over: {error}"))?
    };
    for listener in &mut listeners {
        if let (Listener::Unix { .. }, Some(_)) = (&*listener, &args.tls_cert) {
            return Err(
                "TLS is spoken over TCP only, and a Unix socket was handed over".to_owned(),
            );
        }
        listener
            .bound_unsent(limits.unsent_share())
            .map_err(|error| format!("cannot bound what the kernel holds: {error}"))?;
    }
    Ok(listeners)
}

fn take(socket: HandedOver) -> io::Result<Listener> {
    Ok(match socket {
        HandedOver::Tcp(socket) => Listener::Tcp(TcpListener::from_std(socket)?),
        HandedOver::Unix(socket) => Listener::Unix {
            listener: UnixListener::from_std(socket)?,
            unsent_bytes: None,
        },
    })
}

/// Where the site is, for people.
fn places(listeners: &[Listener], with_tls: bool) -> Result<String, String> {
    let places = listeners.iter().map(|listener| listener.place(with_tls));
    let places: io::Result<Vec<_>> = places.collect();
    let places =
        places.map_err(|error| format!("cannot learn the address of the socket: {error}"))?;
    Ok(places.join(" and "))
}

/// Serves the status page, and says on standard output where.
fn show(
    status: Status,
    server: &Arc<Server>,
    gauges: Arc<Gauges>,
    directory: &Path,
    places: &str,
) -> Result<Page, String> {
    let trouble = |error| format!("cannot serve the status page: {error}");
    let place = status.address().map_err(trouble)?;
    let page = status.serve(server, gauges, directory, places);
    let page = page.map_err(trouble)?;
    // The page is of use even if nobody reads this.
    let _ = writeln!(io::stdout(), "Status at http://{place}/");
    Ok(page)
}

fn bind_error(args: &Args, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "another program uses this port: choose another with --addr",
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege: choose another with --addr"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address: try --addr 127.0.0.1:8080"
        }
        _ => "choose another address with --addr",
    };
    format!("cannot listen on {}: {error}; {remedy}", args.addr)
}

/// Says on standard output where the site is. The line comes before every line of the access log.
fn announce(directory: &Path, places: &str) {
    let shown = directory
        .canonicalize()
        .unwrap_or_else(|_| directory.to_owned());
    // The server is of use to others even if nobody reads this.
    let _ = writeln!(
        io::stdout(),
        "Serving {} at {places} (Ctrl-C stops)",
        shown.display()
    );
}

/// Raises the number of descriptors that this process may have to what the connections may need. If
/// that is not to be had, lowers the cap of transfers, and that of connections if it must be.
fn fit_to_descriptors(limits: &mut Limits, journal: &Journal) {
    let for_connections =
        limits.connections as u64 * DESCRIPTORS_PER_CONNECTION + DESCRIPTORS_RESERVED;
    let wanted = for_connections + limits.cache.descriptors;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    let raised = Some(maximum.map_or(wanted, |maximum| maximum.min(wanted)));
    let is_raised = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: raised,
            maximum,
        },
    )
    .is_ok();
    let available = (if is_raised { raised } else { current }).unwrap_or(wanted);
    if available < wanted {
        let left = available.saturating_sub(for_connections);
        let for_cache = left.max(available / CACHE_DESCRIPTORS_PART);
        limits.cache.descriptors = limits.cache.descriptors.min(for_cache);
    }
    let free = available.saturating_sub(DESCRIPTORS_RESERVED + limits.cache.descriptors);
    if free / DESCRIPTORS_PER_CONNECTION < limits.connections as u64 {
        let sockets = (free - free / TRANSFER_DESCRIPTORS_PART).max(1);
        limits.connections = limits.connections.min(sockets as usize);
        let transfers = free.saturating_sub(limits.connections as u64) / DESCRIPTORS_PER_TRANSFER;
        limits.transfers = Some(transfers as usize);
        journal.warn(format_args!(
            "only {available} descriptors may be open, so at most {} connections are served at a \
             time, and {transfers} large bodies are sent without a copy; raise `ulimit -n` for more",
            limits.connections
        ));
    }
}

/// Says how the server ended, if it did not end as it should.
fn report(outcome: Outcome) -> ExitCode {
    let message = match outcome {
        Outcome::Finished => return ExitCode::SUCCESS,
        Outcome::CutOff(1) => "1 connection did not finish in time and was cut off".to_owned(),
        Outcome::CutOff(count) => {
            format!("{count} connections did not finish in time and were cut off")
        }
        Outcome::Interrupted => "stopped at once by a second signal".to_owned(),
    };
    // If standard error is gone there is nobody left to tell.
    let _ = writeln!(io::stderr(), "file_server: {message}");
    ExitCode::FAILURE
}
