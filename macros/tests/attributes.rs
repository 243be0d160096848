//! The attributes at work: what they make of a function compiles and does what it says.
//!
//! The runtime that they build is the one below, which notes what was asked of it. So these tests
//! know the whole conversation between the attribute and a runtime, and need none.

#![deny(warnings)]

mod ring {
    pub(crate) mod runtime {
        use std::cell::RefCell;
        use std::future::Future;
        use std::io;
        use std::pin::pin;
        use std::task::{Context, Poll, Waker};

        thread_local! {
            static ASKED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
        }

        /// What was asked of the builder on this thread since the last call.
        pub(crate) fn asked() -> Vec<String> {
            ASKED.take()
        }

        fn ask(what: impl Into<String>) {
            ASKED.with_borrow_mut(|asked| asked.push(what.into()));
        }

        pub(crate) struct Builder(());

        impl Builder {
            pub(crate) fn new_multi_thread() -> Builder {
                ask("multi_thread");
                Builder(())
            }

            pub(crate) fn new_current_thread() -> Builder {
                ask("current_thread");
                Builder(())
            }

            pub(crate) fn worker_threads(&mut self, threads: usize) -> &mut Builder {
                ask(format!("worker_threads {threads}"));
                self
            }

            pub(crate) fn start_paused(&mut self, paused: bool) -> &mut Builder {
                ask(format!("start_paused {paused}"));
                self
            }

            pub(crate) fn enable_all(&mut self) -> &mut Builder {
                ask("enable_all");
                self
            }

            pub(crate) fn build(&mut self) -> io::Result<Runtime> {
                ask("build");
                Ok(Runtime(()))
            }
        }

        pub(crate) struct Runtime(());

        impl Runtime {
            pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
                let mut future = pin!(future);
                loop {
                    let mut context = Context::from_waker(Waker::noop());
                    if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                        return output;
                    }
                }
            }
        }
    }
}

use ring::runtime::asked;
use ringway_macros::{main as start, test as check};

#[start(crate = "ring")]
async fn sum(left: u32, right: u32) -> u32 {
    std::future::ready(left).await + right
}

#[test]
fn main_runs_the_body_with_its_arguments_on_the_default_runtime() {
    assert_eq!(sum(2, 3), 5);
    assert_eq!(asked(), ["multi_thread", "enable_all", "build"]);
}

#[start(crate = "crate::ring", flavor = "multi_thread", worker_threads = 4)]
async fn four_workers() {}

#[start(crate = "ring", flavor = "current_thread", start_paused = true)]
async fn paused() {}

#[test]
fn each_argument_is_asked_of_the_builder() {
    four_workers();
    assert_eq!(
        asked(),
        ["multi_thread", "worker_threads 4", "enable_all", "build"]
    );
    paused();
    assert_eq!(
        asked(),
        ["current_thread", "start_paused true", "enable_all", "build"]
    );
}

#[check(crate = "ring")]
async fn a_test_runs_on_the_current_thread() {
    std::future::ready(()).await;
    assert_eq!(asked(), ["current_thread", "enable_all", "build"]);
}

#[check(crate = "ring")]
#[should_panic(expected = "on purpose")]
async fn a_test_may_be_expected_to_panic() {
    panic!("on purpose");
}

#[check(crate = "ring")]
async fn a_test_may_return_a_result() -> Result<(), std::num::ParseIntError> {
    assert_eq!("7".parse::<u8>()?, 7);
    Ok(())
}

#[start(crate = "ring")]
async fn returns_early(number: &str) -> Result<u8, Box<dyn std::error::Error>> {
    if number.is_empty() {
        return Err("empty".into());
    }
    Ok(number.parse()?)
}

#[test]
fn question_mark_and_return_work_as_in_an_async_fn() {
    assert_eq!(returns_early("9").unwrap(), 9);
    assert_eq!(returns_early("").unwrap_err().to_string(), "empty");
    assert!(
        returns_early("x")
            .unwrap_err()
            .is::<std::num::ParseIntError>()
    );
}

#[start(crate = "ring")]
async fn coerced(odd: bool) -> Box<dyn Fn(u32) -> u32> {
    // Without the declared type the two closures would not go together.
    if odd {
        Box::new(|it| 2 * it + 1)
    } else {
        Box::new(|it| 2 * it)
    }
}

#[start(crate = "ring")]
async fn opaque() -> impl Iterator<Item = u8> {
    1..3
}

#[start(crate = "ring")]
async fn never() -> ! {
    panic!("never returns")
}

#[test]
fn results_may_be_coerced_opaque_or_never() {
    assert_eq!(coerced(true)(3), 7);
    assert_eq!(coerced(false)(3), 6);
    assert_eq!(opaque().collect::<Vec<_>>(), [1, 2]);
    assert!(std::panic::catch_unwind(|| never()).is_err());
}

struct Counter {
    count: u32,
}

impl Counter {
    #[start(crate = "ring")]
    async fn add<'a, T: Into<u32> + Copy>(&mut self, more: &'a T) -> (&'a T, Self) {
        self.count += (*more).into();
        (more, Self { count: self.count })
    }
}

trait Named {
    fn name(&self) -> &str;
}

impl Named for Counter {
    #[start(crate = "ring")]
    async fn name(&self) -> &str {
        "counter"
    }
}

#[test]
fn methods_keep_self_their_generics_and_their_lifetimes() {
    let mut counter = Counter { count: 1 };
    assert_eq!(counter.add(&2_u8).1.count, 3);
    assert_eq!(counter.name(), "counter");
}

#[start(crate = "ring")]
async fn shadows(body: u32, output: u32) -> u32 {
    body * 10 + output
}

#[test]
fn arguments_may_have_the_names_that_the_expansion_uses() {
    assert_eq!(shadows(4, 2), 42);
}

#[start(crate = "ring")]
async fn lenient() -> u8 {
    #![expect(unused_variables, reason = "this is what the test is about")]
    let unused = 5;
    1
}

#[test]
fn inner_attributes_hold_for_the_whole_function() {
    assert_eq!(lenient(), 1);
}

macro_rules! from_macro {
    (async fn $name:ident() -> $output:ty $body:block) => {
        #[start(crate = "ring")]
        async fn $name() -> $output $body
    };
}

from_macro! {
    async fn eleven() -> u8 { 11 }
}

#[test]
fn the_function_may_come_out_of_another_macro() {
    assert_eq!(eleven(), 11);
}

/// Lints which tokio's users have found to fire inside code that an attribute wrote.
#[deny(
    clippy::pedantic,
    clippy::expect_used,
    clippy::unwrap_in_result,
    unused_braces
)]
mod strict {
    use super::start;

    #[start(crate = "super::ring")]
    pub(super) async fn fallible() -> Result<(), String> {
        Ok(())
    }

    #[start(crate = "super::ring")]
    pub(super) async fn statement() {
        std::hint::black_box(());
    }

    #[rustfmt::skip]
    #[start(crate = "super::ring")]
    pub(super) async fn one_line() { drop(String::new()) }

    #[start(crate = "super::ring")]
    pub(super) async fn diverges() {
        panic!("diverges");
    }
}

#[test]
fn strict_lints_have_nothing_to_say_about_the_expansion() {
    strict::fallible().unwrap();
    strict::statement();
    strict::one_line();
    assert!(std::panic::catch_unwind(strict::diverges).is_err());
}
