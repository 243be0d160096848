//! Who reaps: no zombie stays of children that were awaited, killed, dropped, dropped without a runtime, or that nobody
//! could wait for; with pidfds, and where the kernel refuses them.
//!
//! Each case runs in a forked child of this program, which has no other children: what it finds of them is its own.

mod process_support;

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use process_support::seccomp::Filter;
use process_support::{Child as Fork, End};
use ringway::process::{Child, Command};
use ringway::runtime::{Builder, Runtime};
use ringway::time::timeout;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// An orphan is reaped within this time of its end, on a machine that others use as well.
const REAP_MAX: Duration = Duration::from_secs(5);
/// No case waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(15);
/// Children of the cases about few.
const SOME: usize = 20;
/// What is left of the limit on descriptors where they are to be few.
const DESCRIPTORS: u64 = 300;
/// How long a tracer holds a child that has ended.
const HELD: Duration = Duration::from_millis(300);

type Case = (&'static str, fn());

const CASES: [Case; 9] = [
    (
        "a_thousand_children_at_once_are_awaited_and_reaped",
        a_thousand,
    ),
    ("a_dropped_child_is_reaped_when_it_ends", dropped),
    ("kill_on_drop_kills_and_reaps", killed_on_drop),
    (
        "a_child_that_is_dropped_outside_of_runtimes_is_reaped",
        dropped_outside,
    ),
    ("an_orphan_moves_to_a_runtime_that_lives", moved),
    (
        "orphans_without_a_runtime_wait_for_the_next_child",
        without_runtime,
    ),
    (
        "a_future_of_output_that_is_dropped_leaves_no_zombie",
        dropped_future,
    ),
    ("a_child_that_is_traced_is_awaited_without_spinning", traced),
    (
        "few_descriptors_are_an_error_and_leave_nothing",
        few_descriptors,
    ),
];

fn main() {
    let words: Vec<_> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    for (name, case) in CASES {
        if !words.is_empty() && !words.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        let begin = Instant::now();
        assert_eq!(Fork::fork(case).wait(), End::Passed, "{name}");
        let without = || {
            let _filter = Filter::install(&[libc::SYS_pidfd_open], libc::ENOSYS, Some(0));
            case();
        };
        assert_eq!(
            Fork::fork(without).wait(),
            End::Passed,
            "{name}, without pidfds"
        );
        println!("test {name} ... ok, {:?}", begin.elapsed());
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Children of this process, running or as zombies.
fn children() -> usize {
    let me = std::process::id();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        // Behind the name, which may hold anything: state and parent.
        let (_, behind) = stat.rsplit_once(") ")?;
        behind.split(' ').nth(1)?.parse::<u32>().ok()
    });
    processes.filter(|parent| *parent == me).count()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[track_caller]
fn wait_until(what: &str, bound: Duration, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < bound, "still not: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[track_caller]
fn wait_until_all_are_reaped() {
    wait_until("all children are reaped", REAP_MAX, || children() == 0);
}

/// What ends children: they read the one, and end when the other is dropped.
fn leash() -> (OwnedFd, OwnedFd) {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap()
}

/// A child that ends when the leash does.
fn leashed(end: &OwnedFd) -> Command {
    let mut command = Command::new("cat");
    command
        .stdin(Stdio::from(end.try_clone().unwrap()))
        .stdout(Stdio::null());
    command
}

fn start(count: usize, end: &OwnedFd) -> Vec<Child> {
    (0..count).map(|_| leashed(end).spawn().unwrap()).collect()
}

fn a_thousand() {
    let count = std::env::var("RINGWAY_TEST_CHILDREN").map_or(1000, |text| text.parse().unwrap());
    // One descriptor for each, beside ours.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    )
    .unwrap();
    let runtime = runtime();
    // What is opened once for all is open from now on.
    runtime.block_on(async { assert!(Command::new("true").status().await.unwrap().success()) });
    let before = (descriptors(), threads());
    runtime.block_on(async {
        let (end, leash) = leash();
        let tasks: Vec<_> = start(count, &end)
            .into_iter()
            .map(|mut child| ringway::spawn(async move { child.wait().await.unwrap() }))
            .collect();
        drop(end);
        assert_eq!(children(), count);
        assert_eq!(threads(), before.1, "no thread waits");
        drop(leash);
        for task in tasks {
            assert!(timeout(PATIENCE, task).await.unwrap().unwrap().success());
        }
        assert_eq!(children(), 0);
    });
    wait_until("all descriptors are back", PATIENCE, || {
        descriptors() == before.0
    });
}

/// Mutant: the operation of an orphan is dropped with the child.
fn dropped() {
    let runtime = runtime();
    let (end, leash) = leash();
    let before = runtime.block_on(async {
        let mut children = start(SOME, &end);
        // Some have an operation already.
        for child in &mut children[..SOME / 2] {
            assert!(
                timeout(Duration::from_millis(1), child.wait())
                    .await
                    .is_err()
            );
        }
        let before = threads();
        drop(children);
        before
    });
    assert_eq!(threads(), before, "no thread waits for orphans");
    assert_eq!(children(), SOME, "they run on");
    drop((end, leash));
    wait_until_all_are_reaped();
    // Also while the runtime has nothing else to do, and its end is not held up by those that run on.
    let (end, _leash) = self::leash();
    drop(runtime.block_on(async { start(SOME, &end) }));
    let begin = Instant::now();
    drop(runtime);
    assert!(begin.elapsed() < REAP_MAX);
}

fn killed_on_drop() {
    let runtime = runtime();
    let (end, _leash) = leash();
    runtime.block_on(async {
        let children: Vec<_> = (0..SOME)
            .map(|_| leashed(&end).kill_on_drop(true).spawn().unwrap())
            .collect();
        drop(children);
    });
    wait_until_all_are_reaped();
}

/// Mutant: `any_shard` is left out, so that an orphan goes into the runtime of the thread that drops it or nowhere.
fn dropped_outside() {
    let runtime = runtime();
    let (end, leash) = leash();
    let children = runtime.block_on(async { start(SOME, &end) });
    std::thread::spawn(|| drop(children)).join().unwrap();
    drop((end, leash));
    wait_until_all_are_reaped();
    drop(runtime);
}

/// Mutant: orphans end with the runtime where they were started.
fn moved() {
    let (first, second) = (runtime(), runtime());
    let (end, leash) = leash();
    let (before, after) = first.block_on(async { (start(SOME, &end), start(SOME, &end)) });
    first.block_on(async { drop(before) });
    drop(first);
    drop(after);
    drop((end, leash));
    wait_until_all_are_reaped();
    drop(second);
}

fn without_runtime() {
    let first = runtime();
    let (end, leash) = leash();
    let kept = first.block_on(async {
        drop(start(SOME, &end));
        start(SOME, &end)
    });
    drop(first);
    drop(kept);
    drop((end, leash));
    let second = runtime();
    second.block_on(async { assert!(Command::new("true").status().await.unwrap().success()) });
    wait_until_all_are_reaped();
    // Also one that ends later.
    let (end, leash) = self::leash();
    let kept = second.block_on(async { start(SOME, &end) });
    drop(second);
    drop(kept);
    let third = runtime();
    third.block_on(async { assert!(Command::new("true").status().await.unwrap().success()) });
    assert_eq!(children(), SOME);
    drop((end, leash));
    wait_until_all_are_reaped();
    drop(third);
}

fn dropped_future() {
    let runtime = runtime();
    let (end, _leash) = leash();
    runtime.block_on(async {
        let mut command = leashed(&end);
        command.kill_on_drop(true);
        assert!(
            timeout(Duration::from_millis(5), command.output())
                .await
                .is_err()
        );
        assert!(
            timeout(Duration::from_millis(5), command.status())
                .await
                .is_err()
        );
    });
    wait_until_all_are_reaped();
}

/// A debugger sees the end first, and until it lets go the parent cannot reap, while the pidfd says that the child has
/// ended. Mutant: the wait for SIGCHLD is left out, and `wait` asks again and again.
fn traced() {
    let runtime = runtime();
    let (end, _leash) = leash();
    let mut command = leashed(&end);
    // SAFETY: the function makes one system call.
    unsafe { command.pre_exec(allow_tracing) };
    let (mut child, mut orphan) =
        runtime.block_on(async { (command.spawn().unwrap(), command.spawn().unwrap()) });
    let ids = [&child, &orphan].map(|child| child.id().unwrap());
    let (seized, mut is_seized) = std::io::pipe().unwrap();
    let tracer = Fork::fork(move || {
        for id in ids {
            // SAFETY: no pointer is used by this request.
            let done = unsafe { libc::ptrace(libc::PTRACE_SEIZE, id as i32, 0, 0) };
            assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
        }
        is_seized.write_all(b"!").unwrap();
        drop(is_seized);
        // They end, which it is told of and does not ask about, and stay until it ends itself.
        std::thread::sleep(HELD);
    });
    let mut byte = [0];
    std::io::Read::read_exact(&mut &seized, &mut byte).unwrap();
    // The tracer has copies of the leash, so they end by a signal.
    child.start_kill().unwrap();
    orphan.start_kill().unwrap();
    drop(orphan);
    let before = processor_time();
    let status = runtime
        .block_on(async { timeout(PATIENCE, child.wait()).await })
        .unwrap()
        .unwrap();
    assert_eq!(status.signal(), Some(libc::SIGKILL));
    let spent = processor_time() - before;

    assert!(spent < HELD / 4, "{spent:?}");
    assert_eq!(tracer.wait(), End::Passed);
    wait_until_all_are_reaped();
}

/// Lets any process trace this one. Without Yama that is not known, and nothing has to be allowed.
fn allow_tracing() -> std::io::Result<()> {
    // SAFETY: the call takes no pointer.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY) };
    Ok(())
}

/// Processor time of this process.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Whatever is missing, a child that was started does not stay. Mutant: what `spawn` has started is forgotten when no
/// descriptor is left to wait by.
fn few_descriptors() {
    let runtime = runtime();
    let limit = getrlimit(Resource::Nofile);
    let few = limit.current.map(|current| current.min(DESCRIPTORS));
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: few,
            ..limit
        },
    )
    .unwrap();
    let mut outcomes = [0, 0];
    for left in 0..16 {
        let taken = take_all_but(left / 2);
        let outcome = runtime.block_on(async {
            let mut command = Command::new("cat");
            if left % 2 == 1 {
                command.stdin(Stdio::piped()).stdout(Stdio::piped());
            }
            match command.spawn() {
                Ok(mut child) => {
                    let status = timeout(PATIENCE, child.wait()).await.unwrap();
                    assert!(status.unwrap().success());
                    0
                }
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
                    1
                }
            }
        });
        drop(taken);
        outcomes[outcome] += 1;
        wait_until_all_are_reaped();
    }
    assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
}

/// Takes all descriptors but `left`.
fn take_all_but(left: usize) -> Vec<File> {
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    taken.truncate(taken.len() - left);
    taken
}
