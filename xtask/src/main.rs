//! The chores of this workspace: `cargo xtask <chore>`.
//!
//! * `tidy` checks what the compiler and clippy cannot: arrows between crates and modules, lengths,
//!   the budget of unsafe code, comments beside memory orderings, paths named in the documents, what the documentation
//!   of a public function must say.
//! * `features` has clippy look at the facade with each feature alone, or each set of so many.
//! * `package` checks what is published, and makes the packages.
//! * `console` runs the tests against the stock tokio-console.
//! * `loom` runs the loom models, all or those whose names contain a word.
//! * `matrix` runs the behaviour tests as on older kernels and in the smallest rings, and prints a table.
//! * `asan` runs test suites of the facade under AddressSanitizer (nightly).
//! * `bench` runs every workload on ringway and on tokio alternately, and writes docs/BENCHMARKS.md.
//! * `bench-http` compares the example `file_server` with nginx and lighttpd under `wrk`, and writes docs/BENCHMARKS.md.
//! * `soak-http` keeps the example `file_server` busy for a long time, and checks that nothing is left of its clients.
//! * `browse` looks at the example `file_server` with a headless Chromium.
//! * `bench-dns` asks the example `dns_gateway` with `dnsperf`, and writes docs/BENCHMARKS.md.

mod bench;
mod browse;
mod checkers;
mod chore;
mod dns;
mod features;
mod http;
mod matrix;
mod package;
mod processes;
mod quiet;
mod report;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The chores of this workspace")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Check what the compiler and clippy cannot
    Tidy(tidy::Options),
    /// Run the loom models
    Loom(checkers::LoomOptions),
    /// Run the behaviour tests as on older kernels and in the smallest rings
    Matrix(matrix::Options),
    /// Run test suites under AddressSanitizer (needs a nightly toolchain)
    Asan(checkers::AsanOptions),
    /// Look at each set of features alone
    Features(features::Options),
    /// Check what is published, and make the packages
    Package(package::Options),
    /// Run the tests against the stock tokio-console
    Console,
    /// Compare ringway with tokio and write docs/BENCHMARKS.md
    Bench(bench::Options),
    /// Compare the example file_server with nginx and lighttpd and write docs/BENCHMARKS.md
    BenchHttp(http::Options),
    /// Keep the example file_server busy for a long time and check that nothing is left of its clients
    SoakHttp(http::SoakOptions),
    /// Look at the example file_server with a headless Chromium
    Browse(browse::Options),
    /// Ask the example dns_gateway with dnsperf and write docs/BENCHMARKS.md
    BenchDns(dns::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().chore {
        Chore::Tidy(options) => tidy::run(&options),
        Chore::Loom(options) => checkers::loom(&options),
        Chore::Matrix(options) => matrix::run(&options),
        Chore::Asan(options) => checkers::asan(&options),
        Chore::Features(options) => features::run_all(&options),
        Chore::Package(options) => package::run_all(&options),
        Chore::Console => checkers::console(),
        Chore::Bench(options) => bench::run(&options),
        Chore::BenchHttp(options) => http::run(&options),
        Chore::SoakHttp(options) => http::soak(&options),
        Chore::Browse(options) => browse::run(&options),
        Chore::BenchDns(options) => dns::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
