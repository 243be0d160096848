//! A server that runs: all its processes, what they have used, and how they end.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{io, thread};

use rustix::process::{Pid, Signal, kill_process};

use crate::chore::Result;

/// How long a server may take until it answers, or to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a condition is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// Dropping it ends the processes, and no others.
#[derive(Debug)]
pub(crate) struct Processes {
    first: Child,
}

impl Processes {
    /// Starts a server in a process group of its own and waits until it accepts connections.
    pub(crate) fn start(command: Command, port: u16) -> Result<Processes> {
        Processes::start_until(command, || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        })
    }

    /// Starts a server in a process group of its own and waits until it answers.
    pub(crate) fn start_until(
        command: Command,
        answers: impl FnMut() -> bool,
    ) -> Result<Processes> {
        Processes::start_with_output(command, Stdio::null(), answers)
    }

    /// The same for a server whose output is wanted.
    pub(crate) fn start_with_output(
        mut command: Command,
        output: Stdio,
        mut answers: impl FnMut() -> bool,
    ) -> Result<Processes> {
        command.stdin(Stdio::null()).stdout(output).process_group(0);
        let first = command
            .spawn()
            .map_err(|error| format!("cannot run {command:?}: {error}"))?;
        let mut processes = Processes { first };
        let begin = Instant::now();
        while !answers() {
            if let Ok(Some(status)) = processes.first.try_wait() {
                return Err(format!("{command:?} ended at once: {status}"));
            }
            if begin.elapsed() > PATIENCE {
                return Err(format!("{command:?} does not answer"));
            }
            thread::sleep(GLANCE);
        }
        Ok(processes)
    }

    /// Takes over a process that leads a group of its own.
    pub(crate) fn adopt(first: Child) -> Processes {
        Processes { first }
    }

    /// The first process and all that descend from it.
    pub(crate) fn all(&self) -> Vec<u32> {
        let mut all = vec![self.first.id()];
        let mut next = 0;
        while let Some(&process) = all.get(next) {
            all.extend(children(process));
            next += 1;
        }
        all
    }

    /// Processor time of all threads of all processes so far, in the kernel and outside of it.
    pub(crate) fn processor_time(&self) -> Duration {
        self.all().into_iter().map(processor_time).sum()
    }

    /// Memory of all processes now, in KiB; pages that several share count once.
    pub(crate) fn memory(&self) -> u64 {
        self.all()
            .into_iter()
            .map(|process| kib(process, "smaps_rollup", "Pss:"))
            .sum()
    }

    /// Open descriptors of all processes, but for pipes.
    pub(crate) fn descriptors(&self) -> usize {
        self.count_descriptors(|target| !is_pipe(target))
    }

    /// Open ends of pipes of all processes.
    pub(crate) fn ends_of_pipes(&self) -> usize {
        self.count_descriptors(is_pipe)
    }

    fn count_descriptors(&self, counts: impl Fn(&Path) -> bool) -> usize {
        let count = |process| {
            let open = fs::read_dir(format!("/proc/{process}/fd"));
            let targets = open.into_iter().flatten().flatten();
            let targets = targets.filter_map(|entry| fs::read_link(entry.path()).ok());
            targets.filter(|target| counts(target)).count()
        };
        self.all().into_iter().map(count).sum()
    }

    /// Threads of all processes, without those that the kernel adds to their rings: it keeps one once it has needed one.
    pub(crate) fn threads(&self) -> usize {
        let is_own = |task: &String| {
            let name = fs::read_to_string(format!("{task}/comm"));
            name.is_ok_and(|name| !name.starts_with("iou-"))
        };
        let count = |process| threads(process).filter(is_own).count();
        self.all().into_iter().map(count).sum()
    }

    /// Whether the first process still runs.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.first.try_wait(), Ok(None))
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        let all = self.all();
        send(self.first.id(), Signal::TERM);
        wait_until(|| !self.runs());
        // Workers end with their master, unless it is killed.
        let rest = &all[1..];
        rest.iter()
            .filter(|process| lives(**process))
            .for_each(|process| send(*process, Signal::TERM));
        wait_until(|| !rest.iter().any(|process| lives(*process)));
        all.iter()
            .filter(|process| lives(**process))
            .for_each(|process| send(*process, Signal::KILL));
        // It is gone, or was killed just now.
        let _ = self.first.wait();
    }
}

/// A port that nobody listens at, at this moment.
pub(crate) fn free_port() -> Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port: {error}"))
}

/// A command that ends with this program, whatever ends that.
pub(crate) fn ends_with_us(words: impl IntoIterator<Item = OsString>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]).args(words);
    command
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() && begin.elapsed() < PATIENCE {
        thread::sleep(GLANCE);
    }
}

fn lives(process: u32) -> bool {
    fs::metadata(format!("/proc/{process}")).is_ok()
}

/// A process that is gone needs no signal.
fn send(process: u32, signal: Signal) {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    let sent = process.map(|process| kill_process(process, signal));
    debug_assert!(!matches!(sent, Some(Err(error)) if error != rustix::io::Errno::SRCH));
}

/// Whether a descriptor is of an anonymous pipe, by what its link says.
fn is_pipe(target: &Path) -> bool {
    target.to_string_lossy().starts_with("pipe:")
}

fn threads(process: u32) -> impl Iterator<Item = String> {
    let listed = fs::read_dir(format!("/proc/{process}/task"));
    listed
        .into_iter()
        .flatten()
        .map_while(io::Result::ok)
        .map(|entry| entry.path().to_string_lossy().into_owned())
}

fn children(process: u32) -> Vec<u32> {
    let lists = threads(process).map(|task| fs::read_to_string(format!("{task}/children")));
    let numbers = lists.map_while(io::Result::ok).flat_map(|list| {
        let numbers = list.split_whitespace().map(str::parse);
        numbers
            .map_while(std::result::Result::ok)
            .collect::<Vec<u32>>()
    });
    numbers.collect()
}

/// User and system time of a process from its line in /proc.
fn processor_time(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let ticks = processor_ticks(&stat);
    Duration::from_secs(ticks)
        / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100)
}

/// Fields 14 and 15. The name in the second field may have spaces and parentheses.
fn processor_ticks(stat: &str) -> u64 {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields = after_name.split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// A value in KiB of a file of /proc; 0 for a process that is gone.
fn kib(process: u32, file: &str, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_a_name_with_spaces() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 3 4 20 0 1 0 5";
        assert_eq!(processor_ticks(stat), 300);
        assert_eq!(processor_ticks(""), 0);
    }

    #[test]
    fn what_descends_from_a_process_ends_with_it() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & sleep 60 & wait"]);
        let first = command.process_group(0).spawn().expect("a shell");
        let processes = Processes { first };
        wait_until(|| processes.all().len() == 3);
        let all = processes.all();
        assert_eq!((all.len(), processes.threads()), (3, 3));
        assert!(processes.memory() > 0);
        assert!(processes.descriptors() + processes.ends_of_pipes() >= 3);
        drop(processes);
        assert!(!all.into_iter().any(lives));
    }
}
