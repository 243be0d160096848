//! What the threads of this process do while there is nothing to do.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::stage::fail;

/// How long all are looked at after each burst, and the processor time that they may use meanwhile: the last threads look
/// out for 20 µs before they sleep, give things back, and end; the monitor looks once or twice. Who does not sleep uses it
/// all.
const MOMENT: Duration = Duration::from_millis(6);
const MOMENT_USED_MAX: Duration = Duration::from_millis(3);
/// What they may use before they are silent: the monitor looks some ten times, at 2 ms a time.
const USED_MAX: Duration = Duration::from_millis(10);
/// How long no thread is switched to when all is silent. A thread that sleeps is not switched to, however busy the machine.
const SILENCE: Duration = Duration::from_millis(60);
/// How often that is tried: a machine that is busy lets the monitor come late to its looks.
const TRIES: usize = 30;

/// The processor time that the process has used, but for this thread.
pub(crate) fn used_by_others() -> Duration {
    // In this order: what this thread uses in between is not counted for the others.
    let process = used(ClockId::ProcessCPUTime);
    process.saturating_sub(used_here())
}

/// What this thread has used.
pub(crate) fn used_here() -> Duration {
    used(ClockId::ThreadCPUTime)
}

fn used(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).expect("not negative")
}

/// Soon after a burst nobody is busy.
pub(crate) fn expect_a_moment(what: &dyn Fn() -> String) {
    let (begin, before) = (Instant::now(), used_by_others());
    thread::sleep(MOMENT);
    let used = used_by_others().saturating_sub(before);
    let took = begin.elapsed();
    if used > MOMENT_USED_MAX.max(took / 8) {
        fail(&format!(
            "{}: {used:?} of processor time in {took:?} in which there was nothing to do",
            what()
        ));
    }
}

/// Soon nobody is woken any more, and little is used until then.
pub(crate) fn expect_silence(what: &dyn Fn() -> String) {
    let before = used_by_others();
    let mut woken = Vec::new();
    for _ in 0..TRIES {
        let switches = switches();
        thread::sleep(SILENCE);
        let used = used_by_others().saturating_sub(before);
        if used > USED_MAX {
            fail(&format!(
                "{}: {used:?} of processor time before all is silent",
                what()
            ));
        }
        woken = woken_since(&switches);
        if woken.is_empty() {
            return;
        }
    }
    fail(&format!(
        "{}: again and again threads are woken: {woken:?}",
        what()
    ));
}

/// Context switches of each thread, and its name.
type Switches = BTreeMap<String, (String, u64)>;

/// Context switches of each thread of this process so far, but for this one.
fn switches() -> Switches {
    let this = fs::read_link("/proc/thread-self").expect("procfs");
    let threads = fs::read_dir("/proc/self/task").expect("procfs");
    let threads = threads.filter_map(|thread| {
        let thread = thread.expect("procfs");
        let id = thread.file_name().into_string().expect("a number");
        // Gone, if it cannot be read.
        let status = fs::read_to_string(thread.path().join("status")).ok()?;
        let mut name = String::new();
        let mut switches = 0;
        for line in status.lines() {
            let (field, value) = line.split_once(':').expect("a field");
            match field {
                "Name" => name = value.trim().to_owned(),
                "voluntary_ctxt_switches" | "nonvoluntary_ctxt_switches" => {
                    switches += value.trim().parse::<u64>().expect("a number");
                }
                _ => {}
            }
        }
        (!this.ends_with(&id)).then_some((id, (name, switches)))
    });
    threads.collect()
}

/// The threads that were switched to since, how often, and their names.
fn woken_since(before: &Switches) -> Vec<(String, u64)> {
    let after = switches();
    let counts = after.into_iter().filter_map(|(id, (name, count))| {
        let (_, former) = before.get(&id)?;
        (count != *former).then(|| (format!("{name} ({id})"), count - former))
    });
    counts.collect()
}
