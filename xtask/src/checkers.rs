//! Tests under a checker: loom's models, and suites under AddressSanitizer.

use clap::Args;

use crate::chore::{Result, program, root, run, target_folder};

/// Threads that a model switches between against its will. Two find nearly all known bugs of this
/// kind; each more multiplies the time.
const PREEMPTIONS: u32 = 2;

/// The only platform whose sanitizer we use.
const ASAN_TARGET: &str = "x86_64-unknown-linux-gnu";

/// Suites that asan runs unless told otherwise: those whose names contain one of these words.
const ASAN_SUITES: [&str; 7] = [
    "cancel",
    "come_and_go",
    "drop",
    "failure",
    "in_flight",
    "late_writes",
    "shutdown",
];

/// Where those suites are: package and folder.
const ASAN_FOLDERS: [(&str, &str); 2] =
    [("ringway", "tests"), ("ringway-runtime", "runtime/tests")];

#[derive(Debug, Args)]
pub(crate) struct LoomOptions {
    /// Only models whose names contain this
    name: Option<String>,
    /// How often a model may preempt a thread
    #[arg(long, default_value_t = PREEMPTIONS)]
    preemptions: u32,
    /// Print each step of each execution (give NAME as well)
    #[arg(long)]
    log: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AsanOptions {
    /// Suites of the facade and of the runtime (files in tests/ and runtime/tests/); by default those that cancel, drop
    /// and shut down
    suites: Vec<String>,
    /// Words for the test programs, after `--`
    #[arg(last = true)]
    words: Vec<String>,
}

/// Runs the loom models, optimized and in a target folder of their own.
pub(crate) fn loom(options: &LoomOptions) -> Result<()> {
    let mut cargo = program("cargo");
    cargo
        .env("RUSTFLAGS", "--cfg loom")
        .env("CARGO_TARGET_DIR", target_folder("loom"))
        .env("LOOM_MAX_PREEMPTIONS", options.preemptions.to_string())
        .args(["test", "--release", "--package", "ringway-loom-models"]);
    if options.log {
        cargo.env("LOOM_LOG", "trace").env("LOOM_LOCATION", "1");
    } else {
        cargo.env_remove("LOOM_LOG");
    }
    cargo.args(&options.name);
    if options.log {
        cargo.args(["--", "--nocapture"]);
    }
    run(&mut cargo)
}

/// Runs the tests against the stock tokio-console, which is built with a flag of its own.
pub(crate) fn console() -> Result<()> {
    run(program("cargo")
        .env("RUSTFLAGS", "--cfg console_without_tokio_unstable")
        .env("CARGO_TARGET_DIR", target_folder("console"))
        .args(["test", "--package", "ringway-console-tests"]))
}

/// Runs suites under AddressSanitizer, which also reports what they leak.
pub(crate) fn asan(options: &AsanOptions) -> Result<()> {
    let suites = if options.suites.is_empty() {
        default_suites()?
    } else {
        options.suites.clone()
    };
    let mut cargo = program("cargo");
    cargo
        .env("RUSTFLAGS", "-Zsanitizer=address")
        .env("CARGO_TARGET_DIR", target_folder("asan"))
        .args(["+nightly", "test", "--target", ASAN_TARGET])
        .args(
            ASAN_FOLDERS
                .iter()
                .flat_map(|(package, _)| ["--package", package]),
        )
        .args(suites.iter().flat_map(|suite| ["--test", suite]))
        .arg("--")
        .args(&options.words);
    run(&mut cargo)
}

fn default_suites() -> Result<Vec<String>> {
    let mut suites = Vec::new();
    for (_, folder) in ASAN_FOLDERS {
        let folder = root().join(folder);
        let entries = folder
            .read_dir()
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        let files = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|file| Some(file.strip_suffix(".rs")?.to_owned()));
        suites.extend(files.filter(|suite| ASAN_SUITES.iter().any(|word| suite.contains(word))));
    }
    if suites.is_empty() {
        return Err(format!(
            "no suite is named after any of {ASAN_SUITES:?}; name one"
        ));
    }
    Ok(suites)
}
