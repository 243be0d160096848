//! What the types are: their traits, their sizes, their texts.

use std::io;

use ringway_timer::error::{Elapsed, Error};
use ringway_timer::seam::Registration;
use ringway_timer::wheel::{Key, Wheel};
use ringway_timer::{Duration, Instant, Interval, Sleep, Timeout};

/// Has `IS` only where `T` has the trait; elsewhere the constant of the blanket implementation counts.
macro_rules! implements {
    ($type:ty: $trait:path) => {{
        #[allow(dead_code, reason = "not used where the type has the trait")]
        trait Otherwise {
            const IS: bool = false;
        }
        impl<T: ?Sized> Otherwise for T {}
        struct Probe<T: ?Sized>(std::marker::PhantomData<T>);
        #[allow(dead_code, reason = "not used where the type lacks the trait")]
        impl<T: ?Sized + $trait> Probe<T> {
            const IS: bool = true;
        }
        <Probe<$type>>::IS
    }};
}

#[test]
fn futures_go_from_thread_to_thread_and_only_sleeps_have_to_be_pinned() {
    type LocalOnly = std::rc::Rc<()>;
    assert!(implements!(Sleep: Send) && implements!(Sleep: Sync) && !implements!(Sleep: Unpin));
    assert!(implements!(Interval: Send) && implements!(Interval: Sync));
    assert!(implements!(Interval: Unpin) && implements!(Instant: Unpin));
    assert!(implements!(Timeout<u8>: Send) && implements!(Timeout<u8>: Sync));
    assert!(!implements!(Timeout<u8>: Unpin));
    assert!(!implements!(Timeout<LocalOnly>: Send) && !implements!(Timeout<LocalOnly>: Sync));
    assert!(implements!(Wheel: Send) && implements!(Wheel: Sync));
}

#[test]
fn timers_are_small() {
    assert_eq!(size_of::<Sleep>(), 40);
    assert_eq!(size_of::<Timeout<()>>(), 40);
    assert_eq!(size_of::<Registration>(), 16);
    assert_eq!(size_of::<Option<Key>>(), 8);
}

#[test]
fn errors_say_what_tokio_says() {
    let table = [
        (
            Error::shutdown(),
            [true, false, false],
            "the timer is shutdown, must be called from the context of Tokio runtime",
        ),
        (
            Error::at_capacity(),
            [false, true, false],
            "timer is at capacity and cannot create a new entry",
        ),
        (
            Error::invalid(),
            [false, false, true],
            "timer duration exceeds maximum duration",
        ),
    ];
    for (error, kinds, text) in table {
        assert_eq!(
            [
                error.is_shutdown(),
                error.is_at_capacity(),
                error.is_invalid()
            ],
            kinds
        );
        assert_eq!(error.to_string(), text);
    }
    fn turns_into_an_io_error<T: Into<io::Error> + std::error::Error>() {}
    turns_into_an_io_error::<Elapsed>();
}

/// Mutants it kills: any of the differences that panics or wraps instead of being zero.
#[test]
fn differences_of_instants_are_never_negative() {
    let early = Instant::now();
    let late = early + Duration::from_secs(5);
    let five = Duration::from_secs(5);
    assert_eq!((late - early, early - late), (five, Duration::ZERO));
    assert_eq!(
        (late.duration_since(early), early.duration_since(late)),
        (five, Duration::ZERO)
    );
    assert_eq!(late.checked_duration_since(early), Some(five));
    assert_eq!(early.checked_duration_since(late), None);
    assert_eq!(early.saturating_duration_since(late), Duration::ZERO);
    assert_eq!(early.checked_add(Duration::MAX), None);
    assert_eq!(early.checked_add(five), Some(late));
    assert_eq!(late.checked_sub(five), Some(early));
    assert_eq!(late - five, early);
    assert!(early < late);

    let mut moved = early;
    moved += five;
    assert_eq!(moved, late);
    moved -= five;
    assert_eq!(moved, early);
}

#[test]
fn an_instant_is_one_of_the_standard_library() {
    let std = std::time::Instant::now();
    let ours = Instant::from_std(std);
    assert_eq!(
        (ours.into_std(), std::time::Instant::from(ours)),
        (std, std)
    );
    assert_eq!(Instant::from(std), ours);
    assert_eq!(format!("{ours:?}"), format!("{std:?}"));
}
