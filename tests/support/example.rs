//! An example as a program: built once for a run of tests, started, watched and stopped.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a test waits for something that should happen at once. Only a failure takes it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Builds the example `name` of the facade with the profile of the tests, and returns its path.
pub(crate) fn build(name: &str) -> PathBuf {
    build_with(name, &[])
}

/// The same with features that the facade's own tests do not have.
pub(crate) fn build_with(name: &str, features: &[&str]) -> PathBuf {
    // <target>[/<triple>]/<profile>/deps/<this test>
    let test = std::env::current_exe().expect("this test has a path");
    let profile_dir = test
        .ancestors()
        .nth(2)
        .expect("tests lie in <profile>/deps");
    let name_of = |path: &Path| {
        path.file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    let mut target_dir = profile_dir
        .parent()
        .expect("profiles lie in the target folder");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args([
        "build",
        "--quiet",
        "--offline",
        "--package",
        "ringway",
        "--example",
        name,
    ]);
    cargo.args(features.iter().flat_map(|feature| ["--features", feature]));
    // What cargo tells this test of its package, or build scripts that ask for it are run again.
    let told = std::env::vars_os().map(|(name, _)| name);
    for name in told.filter(|name| is_of_a_package(&name.to_string_lossy())) {
        cargo.env_remove(name);
    }
    if name_of(target_dir).contains("-linux-") {
        cargo.arg("--target").arg(name_of(target_dir));
        target_dir = target_dir
            .parent()
            .expect("triples lie in the target folder");
    }
    cargo.arg("--target-dir").arg(target_dir);
    match name_of(profile_dir).as_str() {
        "debug" => {}
        profile => drop(cargo.args(["--profile", profile])),
    }
    let build = cargo.output().expect("cargo runs");
    let errors = String::from_utf8_lossy(&build.stderr);
    assert!(
        build.status.success(),
        "the example does not build:\n{errors}"
    );
    profile_dir.join("examples").join(name)
}

fn is_of_a_package(name: &str) -> bool {
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

/// A running example. Dropping it kills the process.
pub(crate) struct Program {
    pub(crate) child: Child,
}

impl Program {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the program runs");
    }

    /// Waits until the process ends by itself.
    pub(crate) fn wait_for_end(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "the program did not end within {patience:?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our child").is_none()
    }

    pub(crate) fn open_descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .expect("the program runs")
            .count()
    }

    /// How many sockets the process has open. Unlike other descriptors, none is made by a worker that has begun late.
    pub(crate) fn open_sockets(&self) -> usize {
        let links = self.links().filter(|link| link.starts_with("socket:"));
        links.count()
    }

    /// How many files, sockets and pipes. None is made by a worker that has begun late, nor where a listener waits for the first
    /// time.
    pub(crate) fn open_files(&self) -> usize {
        let links = self.links().filter(|link| !link.starts_with("anon_inode:"));
        links.count()
    }

    /// What the process's descriptors lead to.
    fn links(&self) -> impl Iterator<Item = String> {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .expect("the program runs")
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .map(|link| link.to_string_lossy().into_owned())
    }

    /// Processor time that the process has used.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("runs");
        let after_name = stat.rsplit(") ").next().expect("a name in parentheses");
        let ticks: u64 = after_name
            .split(' ')
            .skip(11)
            .take(2)
            .map(|text| text.parse::<u64>().expect("ticks"))
            .sum();
        Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `call` returns that was not interrupted: a socket's read with a time limit is, when this process is stopped and
/// goes on, signal handlers or not.
pub(crate) fn uninterrupted<R>(mut call: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
