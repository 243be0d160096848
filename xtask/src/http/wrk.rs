//! One run of `wrk`, and what the server used in that time.

use std::fmt::Write;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{fs, thread};

use super::case::{Case, What};
use super::figures::Figures;
use super::tree::{MIX_FILES, Tree};
use crate::chore::{Result, output, target_folder};
use crate::processes::Processes;

/// How often memory is looked at.
const MEMORY_INTERVAL: Duration = Duration::from_millis(250);

/// How long a run may take beyond its time.
const GRACE_SECONDS: u32 = 30;

/// What `wrk` says at its end, on one line.
#[derive(Debug, PartialEq)]
struct Said {
    requests: u64,
    microseconds: u64,
    bytes: u64,
    p50: f64,
    p99: f64,
    /// Connections, reads and writes that failed, and statuses of 400 and more.
    errors: u64,
}

/// Asks a server for some seconds.
pub(super) fn ask(
    case: &Case,
    tree: &Tree,
    processes: &mut Processes,
    port: u16,
    seconds: u32,
) -> Result<Figures> {
    let script = write_script(case)?;
    let threads = case.connections.min(2).to_string();
    let mut command = Command::new("timeout");
    command
        .arg((seconds + GRACE_SECONDS).to_string())
        .args(["wrk", "--threads", &threads, "--timeout", "20s"])
        .args(["--connections", &case.connections.to_string()])
        .args(["--duration", &format!("{seconds}s"), "--script"])
        .arg(script)
        .arg(format!("http://127.0.0.1:{port}{}", path(case)))
        .current_dir(tree.root());
    let before = processes.processor_time();
    let (said, memory) = watch_memory(processes, || output(&mut command));
    let processor = processes.processor_time() - before;
    let said = parse(&said?)?;
    if !processes.runs() {
        return Err("the server has ended".into());
    }
    if said.errors > 0 {
        return Err(format!("{said:?}"));
    }
    Ok(figures(case, &said, processor, memory))
}

fn figures(case: &Case, said: &Said, processor: Duration, memory: u64) -> Figures {
    let requests = match case.counted_bytes() {
        Some(bytes) => said.bytes as f64 / bytes as f64,
        None => said.requests as f64,
    };
    // With few answers the latencies are those of the luckiest connections.
    let has_latency = said.requests >= 4 * u64::from(case.connections);
    let latency = |value| if has_latency { value } else { f64::INFINITY };
    Figures {
        requests_per_second: requests * 1e6 / said.microseconds as f64,
        p50: latency(said.p50),
        p99: latency(said.p99),
        processor: processor.as_secs_f64() * 1e6 / requests,
        memory: memory as f64 / 1024.0,
    }
}

/// Runs `work`, and returns beside its result the most memory that the processes had meanwhile.
fn watch_memory<T: Send>(processes: &Processes, work: impl FnOnce() -> T + Send) -> (T, u64) {
    let (done, is_done) = mpsc::channel();
    thread::scope(|scope| {
        let working = scope.spawn(move || {
            let result = work();
            // The watcher waits for it until the end.
            let _ = done.send(());
            result
        });
        let mut most = processes.memory();
        while is_done.recv_timeout(MEMORY_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            most = most.max(processes.memory());
        }
        (
            working.join().expect("it does not panic"),
            most.max(processes.memory()),
        )
    })
}

fn path(case: &Case) -> String {
    match case.what {
        What::File { name, .. } => format!("/{name}"),
        What::Mix => "/mix/0/0.html".into(),
    }
}

/// Writes the script: what each request is, and what is said at the end.
fn write_script(case: &Case) -> Result<std::path::PathBuf> {
    let mut script = String::from(
        "done = function(summary, latency)\n\
         local e = summary.errors\n\
         io.write(string.format('said %d %d %d %f %f %d\\n', summary.requests, summary.duration, summary.bytes,\n\
         latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status))\n\
         end\n",
    );
    if case.what == What::Mix {
        let last = MIX_FILES - 1;
        // Every thread begins elsewhere: the address of a new table is as good as any.
        write!(
            script,
            "local requests = {{}}\n\
             init = function()\n\
             for n = 0, {last} do requests[n] = wrk.format('GET', '/mix/' .. math.floor(n / 100) .. '/' .. n % 100 .. '.html') end\n\
             math.randomseed(tonumber(tostring({{}}):match('0x(%x+)'), 16) % 2147483647)\n\
             end\n\
             request = function() return requests[math.random(0, {last})] end\n"
        )
        .map_err(|error| error.to_string())?;
    }
    let path = target_folder("bench-http").join("wrk.lua");
    fs::write(&path, script).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

fn parse(printed: &str) -> Result<Said> {
    let unexpected = || format!("wrk printed:\n{printed}");
    let line = printed.lines().find_map(|line| line.strip_prefix("said "));
    let words: Vec<&str> = line.ok_or_else(unexpected)?.split(' ').collect();
    let [requests, microseconds, bytes, p50, p99, errors] = words[..] else {
        return Err(unexpected());
    };
    let number = |word: &str| word.parse::<u64>().map_err(|_| unexpected());
    let decimal = |word: &str| word.parse::<f64>().map_err(|_| unexpected());
    Ok(Said {
        requests: number(requests)?,
        microseconds: number(microseconds)?.max(1),
        bytes: number(bytes)?,
        p50: decimal(p50)?,
        p99: decimal(p99)?,
        errors: number(errors)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::case;

    #[test]
    fn what_wrk_says_becomes_figures() {
        let said = parse("Running 1s test\nsaid 1000 500000 209715200 10.5 99.0 0\n").unwrap();
        let case = |name| case::all().find(|case| case.name() == name).unwrap();
        let small = figures(&case("4KiB-64"), &said, Duration::from_millis(8), 2048);
        assert_eq!((small.requests_per_second, small.p99), (2000.0, 99.0));
        assert_eq!((small.processor, small.memory), (8.0, 2.0));
        let large = figures(&case("100MiB-512"), &said, Duration::from_millis(8), 2048);
        assert_eq!((large.requests_per_second, large.processor), (4.0, 4000.0));
        assert_eq!(large.p99, f64::INFINITY);
        assert!(parse("unable to connect").is_err());
    }
}
