//! Every operation, and every errno of a table, at every call to the ring: once, and from then on for ever. Nothing panics,
//! hangs or leaks, the error comes out where it belongs or is got over, and the runtime is usable afterwards.

mod fault_support;

use std::io;
use std::time::{Duration, Instant};

use fault_support::{Case, Cut, all_cases, assert_descriptors, count, descriptors, within};
use ringway::runtime::{Builder, Driver, Runtime};
use ringway::time::{sleep, timeout};
use ringway_runtime::driver::Script;
use ringway_runtime::internals::mismatches;

/// What calls fail with.
const ERRNOS: [i32; 14] = [
    libc::EINTR,
    libc::EAGAIN,
    libc::EBUSY,
    libc::ENOMEM,
    libc::EMFILE,
    libc::ENFILE,
    libc::EIO,
    libc::ENOSPC,
    libc::ECONNRESET,
    libc::EPIPE,
    libc::ECANCELED,
    libc::EINVAL,
    libc::EOPNOTSUPP,
    libc::EBADF,
];

/// Each stands for a way in which errors are handled; all of them take some minutes.
const WAYS: [i32; 5] = [
    libc::EINTR,
    libc::EAGAIN,
    libc::EMFILE,
    libc::ECONNRESET,
    libc::EOPNOTSUPP,
];

/// What enters are refused with and may be tried again after.
const REFUSALS: [i32; 4] = [libc::EINTR, libc::EAGAIN, libc::EBUSY, libc::ENOMEM];

/// No scenario takes this long, whatever fails.
const BOUND: Duration = Duration::from_secs(10);
/// How long an operation that is interrupted or given up for ever is let try.
const TRIES: Duration = Duration::from_millis(20);
/// More failures than this say nothing new.
const FAILURES_MAX: usize = 4;
/// Calls of one scenario.
const CALLS_MAX: u64 = 64;

fn runtime(script: Script) -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder
        .ring_script(script)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Whether an error is the one that the ring was made to say.
fn is_of(error: &io::Error, errno: i32) -> bool {
    let expected = io::Error::from_raw_os_error(errno);
    error.raw_os_error() == Some(errno) || error.kind() == expected.kind()
}

/// Whether an error is the answer of a call that did not fail by script, and that the failing one was to look into: a
/// folder that cannot be made because it is there, if nobody can say whether it is a folder.
fn is_earlier(error: &io::Error, case: Case) -> bool {
    case.name == "create_dir_all" && error.kind() == io::ErrorKind::AlreadyExists
}

/// Runs the scenario with a call that fails; whether there was one.
fn fail_call(case: Case, errno: i32, number: u64, ever: bool) -> bool {
    let script = match ever {
        false => Script::new(0).fail_call(number, errno),
        true => Script::new(0).fail_calls_from(number, errno),
    };
    let played = script.clone();
    let runtime = runtime(script);
    // Who is interrupted, or given up by the kernel, tries again for as long as that may be, and others have their turn.
    let tries_on = ever && [libc::EINTR, libc::ECANCELED].contains(&errno);
    let patience = if tries_on { TRIES } else { BOUND };
    let result = runtime.block_on(async { timeout(patience, (case.run)(&Cut::never())).await });
    let result = match result {
        Ok(result) => result,
        Err(_) if tries_on => Ok(()),
        Err(_) => panic!("still not done after {BOUND:?}"),
    };
    let has_failed = played.played().failed > 0;
    match result {
        Ok(()) => {}
        Err(error) => {
            let is_of = is_of(&error, errno) || is_earlier(&error, case);
            assert!(has_failed && is_of, "{error:?}");
        }
    }
    runtime.block_on(async {
        sleep(Duration::from_micros(1)).await;
        assert_eq!(ringway::spawn(async { 7 }).await.expect("a task"), 7);
    });
    if has_failed && !ever {
        let again = runtime.block_on((case.run)(&Cut::never()));
        again.expect("nothing fails any more");
    }
    has_failed
}

fn errnos() -> Vec<i32> {
    match count("RINGWAY_TEST_ALL_ERRNOS", 0) {
        0 => WAYS.to_vec(),
        _ => ERRNOS.to_vec(),
    }
}

fn selected() -> Vec<Case> {
    let only = std::env::var("RINGWAY_TEST_CASE").unwrap_or_default();
    let cases = all_cases().into_iter();
    cases.filter(|case| case.name.contains(&only)).collect()
}

/// One test, because descriptors are the process's.
///
/// Mutants: a side that waits takes a failed poll for one that was given up, and arms it again for ever
/// (`net/src/socket/armed.rs`); a receive of many takes a failed wait for one that was in vain (`uring/src/receive.rs`).
#[test]
fn a_call_to_the_ring_may_fail_at_any_time() {
    every_call();
    every_enter();
    no_enter_at_all();
}

fn every_call() {
    for case in all_cases() {
        runtime(Script::new(0))
            .block_on((case.run)(&Cut::never()))
            .expect(case.name);
    }
    let before = descriptors();
    let begin = Instant::now();
    let mut runs = 0;
    let mut failures = Vec::new();
    for case in selected() {
        for (errno, ever) in errnos()
            .into_iter()
            .flat_map(|errno| [(errno, false), (errno, true)])
        {
            for number in 0..CALLS_MAX {
                let error = io::Error::from_raw_os_error(errno);
                let what = format!("{}, call {number}, ever: {ever}: {error}", case.name);
                runs += 1;
                let run = move || std::panic::catch_unwind(|| fail_call(case, errno, number, ever));
                match within(2 * BOUND, &what, run) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(_) => {
                        eprintln!("{what}: see above");
                        failures.push(what);
                        assert!(failures.len() < FAILURES_MAX, "{failures:#?}");
                    }
                }
            }
        }
        assert_eq!(mismatches(), 0, "{}", case.name);
        assert_descriptors(before, case.name);
    }
    println!(
        "{runs} runs with a call that fails in {:?}",
        begin.elapsed()
    );
    assert!(failures.is_empty(), "{failures:#?}");
}

/// An enter that is refused once, or once and again, is got over.
fn every_enter() {
    let before = descriptors();
    for (number, case) in (0u64..).zip(selected()) {
        let errno = REFUSALS[number as usize % REFUSALS.len()];
        for enter in 0..CALLS_MAX {
            let what = format!("{}, enter {enter}: errno {errno}", case.name);
            let reached = within(BOUND, &what, move || {
                let script = Script::new(0)
                    .refuse_enter(enter, errno)
                    .refuse_enter(enter + 1, errno)
                    .refuse_enter(enter + 4, errno);
                let played = script.clone();
                let runtime = runtime(script);
                let result = runtime.block_on((case.run)(&Cut::never()));
                result.expect("a refused enter is tried again");
                drop(runtime);
                played.played().refused > 0
            });
            if !reached {
                break;
            }
        }
        assert_eq!(mismatches(), 0, "{}", case.name);
        assert_descriptors(before, case.name);
    }
}

/// The ring is broken for ever. Timers and tasks go on, what needs the ring ends with an error that says why, the worker does
/// not spin meanwhile, and the runtime ends in time.
///
/// Not of the driver that enters no ring.
fn no_enter_at_all() {
    if runtime(Script::new(0)).metrics().driver() != Driver::IoUring {
        return;
    }
    let before = descriptors();
    let case = all_cases()
        .into_iter()
        .find(|case| case.name == "tcp_read")
        .expect("a scenario that waits");
    for errno in errnos() {
        within(BOUND, &format!("no enter, errno {errno}"), move || {
            let runtime = runtime(Script::new(0).refuse_enters_from(0, errno));
            let (begin, used) = (Instant::now(), thread_time());
            runtime.block_on(async {
                sleep(Duration::from_millis(1)).await;
                let result = timeout(BOUND / 2, (case.run)(&Cut::never())).await;
                let error = result.expect("an end").expect_err("there is no ring");
                let text = format!("{error:?}");
                assert!(text.contains(&format!("{errno}")), "{text}");
                assert_eq!(ringway::spawn(async { 7 }).await.expect("a task"), 7);
            });
            let (took, used) = (begin.elapsed(), thread_time() - used);
            assert!(used < took / 2 + SHORT, "{used:?} of {took:?}");
            let begin = Instant::now();
            runtime.shutdown_timeout(Duration::from_millis(50));
            assert!(begin.elapsed() < Duration::from_secs(5));
        });
    }
    assert_descriptors(before, "no enter");
}

/// Of processor time: setting a scenario up.
const SHORT: Duration = Duration::from_millis(100);

/// The processor time that this thread has used.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
