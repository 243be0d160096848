//! [`PollTime`]: a duration in one byte, to within an eighth.
//!
//! A task keeps how long its last poll took and its longest, and has no room for more. The byte is a small
//! floating-point number without sign: five bits of exponent and three of fraction, in microseconds.

use std::time::Duration;

/// How long a poll took, rounded down to three binary digits after the first; 2^31 microseconds, some 36
/// minutes, are the most that it tells apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PollTime(u8);

/// Binary digits after the first.
const FRACTION: u32 = 3;

impl PollTime {
    /// Rounds `time` down.
    pub fn new(time: Duration) -> Self {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        if micros < 1 << FRACTION {
            return Self(micros as u8);
        }
        let exponent = micros.ilog2();
        let fraction = (micros >> (exponent - FRACTION)) & ((1 << FRACTION) - 1);
        let bits = (u64::from(exponent - FRACTION + 1) << FRACTION) | fraction;
        Self(u8::try_from(bits).unwrap_or(u8::MAX))
    }

    /// The rounded time.
    pub fn duration(self) -> Duration {
        let bits = u64::from(self.0);
        let (exponent, fraction) = (bits >> FRACTION, bits & ((1 << FRACTION) - 1));
        let micros = match exponent.checked_sub(1) {
            None => fraction,
            Some(shift) => ((1 << FRACTION) | fraction) << shift,
        };
        Duration::from_micros(micros)
    }

    pub(super) fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    pub(super) fn to_bits(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_to_within_an_eighth() {
        for micros in (0..100_000).chain((0..31).map(|bit| (1 << bit) + bit)) {
            let time = Duration::from_micros(micros);
            let told = PollTime::new(time).duration();
            assert!(told <= time, "{told:?} of {time:?}");
            assert!(
                told * 9 / 8 + Duration::from_micros(1) > time,
                "{told:?} of {time:?}"
            );
        }
    }

    #[test]
    fn longer_times_are_never_told_as_shorter() {
        let told = |micros| PollTime::new(Duration::from_micros(micros));
        assert!((0..100_000).all(|micros| told(micros) <= told(micros + 1)));
        assert_eq!(PollTime::new(Duration::MAX), PollTime(u8::MAX));
    }
}
