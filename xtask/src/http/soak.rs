//! `cargo xtask soak-http`: the example `file_server` under half load for a long time, and what is left of it.
//!
//! Beside `wrk`, which sends half of the requests that the server could answer, there are clients that connect for one
//! request, clients that go away in the middle of a download, clients that read slowly and clients that never
//! finish a request. When all are gone, descriptors and threads must be as many as before, and memory as much but for
//! what an allocator keeps.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, fs, thread};

use clap::Args;

use super::rivals::{self, Role};
use super::tree::Tree;
use crate::chore::{Result, target_folder};
use crate::processes::{Processes, free_port};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How long the clients go on
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
}

/// What must be the same before and after.
#[derive(Clone, Copy, Debug)]
struct Holdings {
    /// But for pipes.
    descriptors: usize,
    ends_of_pipes: usize,
    threads: usize,
    memory_kib: u64,
}

/// Memory that may be more afterwards: what the allocator and the cache of small files keep of the many clients.
const MEMORY_GROWTH_MAX_KIB: u64 = 4 * 1024;

/// A file that has been sent by a pipe keeps one for the next time, and when that is so depends on whether its pages are in memory.
/// There are three large files; beyond that there are no more ends of pipes than before the first client.
const ENDS_OF_KEPT_PIPES_MAX: usize = 2 * 3;

/// The server closes what is idle or stalled after this.
const TIMEOUT_MS: &str = "3000";

/// How long the last clients, and threads that have nothing to do, may take to be gone.
const REST: Duration = Duration::from_secs(40);

/// How long the load is on before the first values are taken.
const WARM_UP: Duration = Duration::from_secs(15);

/// So many times, less one, what the server holds is printed while the clients go on.
const LOOKS: u32 = 12;

/// Folders of the mix from which files are asked for: so few that what is kept of them is settled when the first values
/// are taken, and that growth afterwards is none of the cache.
const SOAK_FOLDERS: u32 = 10;

/// What `wrk` asks for, with a pause before each request.
const SOAK_SCRIPT: &str = "delay = function() return math.random(2, 6) end
local n = 0
request = function() n = n + 1
  if n % 4 == 0 then return wrk.format('GET', '/64KiB') end
  return wrk.format('GET', '/mix/' .. n % folders .. '/' .. math.floor(n / folders) % 100 .. '.html') end
done = function(s) io.write(string.format('requests %d\\n', s.requests)) end
";

/// Connections of `wrk`.
const CONNECTIONS: u32 = 128;

/// Each kind of other client, so many at a time.
const OTHERS: usize = 8;

/// What the other clients have done.
#[derive(Debug, Default)]
struct Deeds {
    connects: AtomicU64,
    aborts: AtomicU64,
    slow_reads: AtomicU64,
    slow_heads: AtomicU64,
    failures: AtomicU64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let time = Duration::try_from_secs_f64(options.minutes * 60.0)
        .map_err(|error| format!("--minutes {}: {error}", options.minutes))?;
    let ours = rivals::ALL
        .into_iter()
        .find(|rival| rival.role == Role::Ours);
    let ours = ours.ok_or("no server is ours")?;
    rivals::check_installed(&[ours])?;
    super::build_server()?;
    let tree = Tree::make()?;
    let port = free_port()?;
    let timeouts = [
        "--idle-timeout-ms",
        "--stall-timeout-ms",
        "--head-timeout-ms",
    ];
    let arguments = timeouts.map(|option| [option, TIMEOUT_MS]).concat();
    let mut processes = ours.start_with(tree.root(), port, &arguments)?;
    let ends_of_pipes_max = processes.ends_of_pipes() + ENDS_OF_KEPT_PIPES_MAX;
    let deeds = Deeds::default();
    load(port, WARM_UP, &deeds)?;
    let before = rest(&processes, |_| false);
    println!("before: {before}");
    let requests = watched(&processes, time, || load(port, time, &deeds))?;
    let is_as_before =
        |now: &Holdings| now.is_like(&before) && now.ends_of_pipes <= ends_of_pipes_max;
    let after = rest(&processes, is_as_before);
    println!("after:  {after}");
    println!("{requests} requests by wrk, {deeds}");
    if !processes.runs() {
        return Err("the server has ended".into());
    }
    if is_as_before(&after) {
        Ok(())
    } else {
        Err(format!("something is left: {before} before, {after} after"))
    }
}

impl Holdings {
    fn of(processes: &Processes) -> Holdings {
        Holdings {
            descriptors: processes.descriptors(),
            ends_of_pipes: processes.ends_of_pipes(),
            threads: processes.threads(),
            memory_kib: processes.memory(),
        }
    }

    /// But for pipes.
    fn is_like(&self, before: &Holdings) -> bool {
        self.descriptors <= before.descriptors
            && self.threads <= before.threads
            && self.memory_kib <= before.memory_kib + MEMORY_GROWTH_MAX_KIB
    }
}

impl fmt::Display for Holdings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Holdings {
            descriptors,
            ends_of_pipes,
            threads,
            memory_kib,
        } = self;
        write!(
            f,
            "{descriptors} descriptors, {ends_of_pipes} ends of pipes, {threads} threads, {memory_kib} KiB"
        )
    }
}

impl fmt::Display for Deeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [connects, aborts, reads, heads, failures] = [
            &self.connects,
            &self.aborts,
            &self.slow_reads,
            &self.slow_heads,
            &self.failures,
        ]
        .map(|count| count.load(Ordering::Relaxed));
        write!(
            f,
            "{connects} connections for one request, {aborts} downloads given up, {reads} slow readers, \
             {heads} heads without end, {failures} clients that were refused"
        )
    }
}

/// Prints what the server holds from time to time while `load` goes on: a leak is a line that rises to the end.
fn watched<R>(processes: &Processes, time: Duration, load: impl FnOnce() -> R) -> R {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let begin = Instant::now();
            for look in 1..LOOKS {
                while begin.elapsed() < time * look / LOOKS {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    thread::sleep(Duration::from_millis(100));
                }
                println!(
                    "  {:>4} s {}",
                    begin.elapsed().as_secs(),
                    Holdings::of(processes)
                );
            }
        });
        let result = load();
        is_over.store(true, Ordering::Relaxed);
        result
    })
}

/// Waits until all clients are gone, and at the longest for [`REST`]; what the server holds then.
fn rest(processes: &Processes, is_enough: impl Fn(&Holdings) -> bool) -> Holdings {
    let begin = Instant::now();
    loop {
        thread::sleep(Duration::from_millis(500));
        let now = Holdings::of(processes);
        if is_enough(&now) || begin.elapsed() > REST {
            return now;
        }
    }
}

/// Lets all clients loose for a time; the requests of `wrk`.
fn load(port: u16, time: Duration, deeds: &Deeds) -> Result<u64> {
    let stops = AtomicBool::new(false);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    thread::scope(|scope| {
        let kinds: [fn(SocketAddr, &Deeds) -> std::io::Result<()>; 4] =
            [connect_once, give_up, read_slowly, never_finish];
        for kind in kinds.into_iter().flat_map(|kind| [kind; OTHERS]) {
            let stops = &stops;
            scope.spawn(move || {
                while !stops.load(Ordering::Relaxed) {
                    if kind(address, deeds).is_err() {
                        deeds.failures.fetch_add(1, Ordering::Relaxed);
                        thread::sleep(Duration::from_millis(100));
                    }
                }
            });
        }
        let requests = half_load(port, time);
        stops.store(true, Ordering::Relaxed);
        requests
    })
}

/// Runs `wrk` with a pause before each request, so that half of the processors' time is left.
fn half_load(port: u16, time: Duration) -> Result<u64> {
    let script = target_folder("bench-http").join("soak.lua");
    let text = format!("local folders = {SOAK_FOLDERS}\n{SOAK_SCRIPT}");
    fs::write(&script, text).map_err(|error| format!("{}: {error}", script.display()))?;
    let output = Command::new("wrk")
        .args(["--threads", "2", "--connections", &CONNECTIONS.to_string()])
        .args([
            "--duration",
            &format!("{}s", time.as_secs().max(1)),
            "--script",
        ])
        .arg(script)
        .arg(format!("http://127.0.0.1:{port}/"))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("wrk: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let count = printed
        .lines()
        .find_map(|line| line.strip_prefix("requests "));
    let count = count.and_then(|count| count.parse().ok());
    count.ok_or(format!("wrk printed:\n{printed}"))
}

fn connect(address: SocketAddr, target: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(REST))?;
    write!(
        stream,
        "GET {target} HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n"
    )?;
    Ok(stream)
}

fn connect_once(address: SocketAddr, deeds: &Deeds) -> std::io::Result<()> {
    let mut answer = Vec::new();
    connect(address, "/4KiB")?.read_to_end(&mut answer)?;
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    deeds.connects.fetch_add(1, Ordering::Relaxed);
    thread::sleep(Duration::from_millis(5));
    Ok(())
}

/// What is not read when a socket is closed resets the connection.
fn give_up(address: SocketAddr, deeds: &Deeds) -> std::io::Result<()> {
    let mut stream = connect(address, "/100MiB")?;
    stream.read_exact(&mut [0; 4096])?;
    deeds.aborts.fetch_add(1, Ordering::Relaxed);
    thread::sleep(Duration::from_millis(5));
    Ok(())
}

fn read_slowly(address: SocketAddr, deeds: &Deeds) -> std::io::Result<()> {
    let mut stream = connect(address, "/1MiB")?;
    for _ in 0..20 {
        stream.read_exact(&mut [0; 1024])?;
        thread::sleep(Duration::from_millis(50));
    }
    deeds.slow_reads.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn never_finish(address: SocketAddr, deeds: &Deeds) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    for byte in b"GET / HTTP/1.1" {
        stream.write_all(&[*byte])?;
        thread::sleep(Duration::from_millis(50));
    }
    deeds.slow_heads.fetch_add(1, Ordering::Relaxed);
    Ok(())
}
