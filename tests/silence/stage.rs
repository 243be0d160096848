//! Who begins strands, and waits for their end.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::process;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ringway::runtime::Handle;
use ringway::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use ringway::task::spawn_local;

use crate::silence::{expect_a_moment, expect_silence};
use crate::strands;

/// No strand takes as long; one that does hangs.
const HANG: Duration = Duration::from_secs(30);
/// Strands of a burst at most.
const STRANDS_MAX: usize = 8;
/// One burst of so many is followed by a long silence.
const LONG_EVERY: usize = 8;

pub(crate) type Story = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a runtime is like, and its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Workers,
    OneThread,
    /// The root has tasks of its thread.
    Local,
}

/// What strands have in common.
pub(crate) struct Scene {
    name: String,
    pub(crate) handle: Handle,
    kind: Kind,
    root: OnceLock<UnboundedSender<Option<Story>>>,
    /// What waits for ever, or is left as it is, until it is dropped.
    kept: Mutex<Vec<Box<dyn Any + Send>>>,
    /// Strands that have not ended, by the names of their kinds.
    open: Mutex<BTreeMap<&'static str, usize>>,
    ended: Condvar,
}

/// A strand that has not ended.
pub(crate) struct Strand {
    name: &'static str,
    scene: Arc<Scene>,
    is_done: bool,
}

impl Strand {
    /// It has come to its end.
    pub(crate) fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Strand {
    fn drop(&mut self) {
        if !self.is_done {
            fail(&format!("{}: {} was dropped", self.scene.name, self.name));
        }
        let mut open = self.scene.open();
        let count = open.get_mut(self.name).expect("it was begun");
        *count -= 1;
        self.scene.ended.notify_all();
    }
}

/// Ends the process: the main thread may hang.
pub(crate) fn fail(text: &str) -> ! {
    eprintln!("{text}");
    process::abort()
}

impl Scene {
    pub(crate) fn new(name: &str, handle: &Handle, kind: Kind) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            handle: handle.clone(),
            kind,
            root: OnceLock::new(),
            kept: Mutex::default(),
            open: Mutex::default(),
            ended: Condvar::new(),
        })
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<&'static str, usize>> {
        self.open.lock().expect("nobody panics with it")
    }

    /// Whether tasks of the runtime may block in place.
    pub(crate) fn has_workers(&self) -> bool {
        self.kind == Kind::Workers
    }

    pub(crate) fn begin(self: &Arc<Self>, name: &'static str) -> Strand {
        *self.open().entry(name).or_default() += 1;
        Strand {
            name,
            scene: Arc::clone(self),
            is_done: false,
        }
    }

    /// Keeps something beyond the end of a strand.
    pub(crate) fn keep(&self, what: impl Any + Send) {
        self.kept.lock().expect("no panic").push(Box::new(what));
    }

    /// Has a strand run somewhere.
    pub(crate) fn place(&self, dice: &mut Dice, strand: Story) {
        match self.root.get() {
            Some(root) if dice.below(3) == 0 => drop(root.send(Some(strand))),
            _ if dice.below(3) == 0 => {
                self.handle.spawn(async { drop(ringway::spawn(strand)) });
            }
            _ => drop(self.handle.spawn(strand)),
        }
    }

    /// Has the bursts follow one another, on a thread of its own, while the root that is returned is blocked on.
    pub(crate) fn conduct_with_root(
        self: &Arc<Self>,
        seed: usize,
        bursts: usize,
    ) -> (JoinHandle<()>, impl Future<Output = ()> + use<>) {
        let (sender, strands) = unbounded_channel();
        self.root.set(sender).expect("one root");
        let (has_tasks, scene) = (self.kind == Kind::Local, Arc::clone(self));
        let conductor = thread::spawn(move || {
            let _end = End(&scene);
            scene.conduct(seed, bursts);
        });
        (conductor, run_root(strands, has_tasks))
    }

    /// Has the bursts follow one another.
    pub(crate) fn conduct(self: &Arc<Self>, seed: usize, bursts: usize) {
        for burst in 0..bursts {
            let what = || format!("{}, seed {}", self.name, seed + burst);
            self.play(&what, &mut Dice::new(seed + burst));
            expect_a_moment(&what);
            if burst % LONG_EVERY == LONG_EVERY - 1 {
                expect_silence(&what);
            }
        }
    }

    /// Begins some strands, and waits for their end.
    fn play(self: &Arc<Self>, what: &dyn Fn() -> String, dice: &mut Dice) {
        if dice.below(4) == 0 {
            drop(std::mem::take(&mut *self.kept.lock().expect("no panic")));
        }
        for _ in 0..=dice.below(STRANDS_MAX) {
            strands::begin(self, dice);
            if dice.below(4) == 0 {
                let_pass(dice.moment());
            }
        }
        let begin = Instant::now();
        let mut open = self.open();
        while open.values().any(|&count| count > 0) {
            if begin.elapsed() > HANG {
                open.retain(|_, count| *count > 0);
                fail(&format!("{}: after {HANG:?} these hang: {open:?}", what()));
            }
            let waited = self.ended.wait_timeout(open, HANG / 10);
            (open, _) = waited.expect("nobody panics with it");
        }
    }
}

/// When dropped, the root ends.
struct End<'a>(&'a Scene);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let root = self.0.root.get().expect("there is a root");
        // It is gone only if it has panicked.
        let _ = root.send(None);
    }
}

/// Runs strands in the root itself, or in tasks of its thread.
async fn run_root(mut strands: UnboundedReceiver<Option<Story>>, has_tasks: bool) {
    let mut own = FuturesUnordered::new();
    loop {
        ringway::select! {
            strand = strands.recv() => match strand.flatten() {
                Some(strand) if has_tasks => drop(spawn_local(strand)),
                Some(strand) => own.push(strand),
                None => return,
            },
            Some(()) = own.next() => {}
        }
    }
}

/// Numbers at random (Knuth's MMIX).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    fn new(seed: usize) -> Self {
        let mut dice = Self((seed as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        dice.below(2);
        dice
    }

    /// One for another strand.
    pub(crate) fn split(&mut self) -> Self {
        Self::new(self.below(1 << 30))
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    /// 0 to 60 µs: somewhere between busy, looking out, falling asleep and asleep.
    pub(crate) fn moment(&mut self) -> Duration {
        Duration::from_micros(self.below(61) as u64)
    }
}

/// Waits awake.
pub(crate) fn let_pass(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::hint::spin_loop();
    }
}
