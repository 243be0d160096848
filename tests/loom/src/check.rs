//! Running a model.

use std::cell::Cell;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Preemptions that a model explores unless `LOOM_MAX_PREEMPTIONS` says otherwise: two find nearly all known bugs
/// of this kind, and each more multiplies the time.
const PREEMPTIONS: usize = 2;
/// Steps of one interleaving. The models need some hundreds; what needs more loops without end.
const STEPS_MAX: usize = 20_000;

/// Tries `model` in every interleaving, and prints how many there were.
///
/// # Panics
///
/// If an assertion of the model fails, if an access to memory is not ordered with another, if all threads wait for
/// each other, if counted memory is not freed, and if anything panicked at all, also where the code under test
/// would have contained it.
pub fn check(model: impl Fn() + Sync + Send + 'static) {
    note_panics();
    let count: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
    let counted = move || {
        count.fetch_add(1, Ordering::Relaxed);
        PANICKED.set(false);
        model();
        assert!(!PANICKED.get(), "a panic was contained: see above");
    };
    let start = Instant::now();
    if std::env::var_os("LOOM_LOG").is_some() {
        loom::model(counted);
    } else {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound.get_or_insert(PREEMPTIONS);
        builder.max_branches = STEPS_MAX;
        builder.check(counted);
    }
    let thread = std::thread::current();
    println!(
        "{}: {} interleavings in {:.2} s",
        thread.name().unwrap_or("model"),
        count.load(Ordering::Relaxed),
        start.elapsed().as_secs_f64()
    );
}

/// A thread of a model.
pub fn spawn<T: 'static>(body: impl FnOnce() -> T + 'static) -> loom::thread::JoinHandle<T> {
    loom::thread::spawn(body)
}

thread_local! {
    /// All threads of a model are coroutines on the thread of its test.
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let former = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let _ = PANICKED.try_with(|panicked| panicked.set(true));
            former(info);
        }));
    });
}
